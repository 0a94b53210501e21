//! Both systems as loopback servers, with faults, slow links and generated masters.

pub mod content_server;
pub mod faults;
pub mod server;
