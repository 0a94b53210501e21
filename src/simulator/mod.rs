//! Both systems as loopback servers, with faults, slow links and generated masters.
