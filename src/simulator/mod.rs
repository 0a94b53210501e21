//! Both systems as loopback servers, with faults, slow links and generated masters.

pub mod bucket;
pub mod campaign;
pub mod clock;
pub mod content_server;
pub mod faults;
pub mod iconik;
pub mod masters;
pub mod server;
#[cfg(test)]
pub(crate) mod testing;
