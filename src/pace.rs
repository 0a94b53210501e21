//! Rate limits: bandwidth and requests, with a calendar, on a clock that tests can hold.

/// Calls per second to one system.
#[derive(Debug)]
pub struct Calls {}
