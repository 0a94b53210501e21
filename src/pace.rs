//! Rate limits: bandwidth and requests, with a calendar, on a clock that tests can hold.

/// Calls per second to one system.
#[derive(Debug)]
pub struct Calls {}
impl Calls {
    /// Waits.
    pub async fn take(&self) {}
    /// Notes.
    pub fn note_remaining(&self, _left: u32) {}
}
