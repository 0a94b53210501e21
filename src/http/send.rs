//! A request body on its way out.
#[derive(Debug)]
pub(super) struct Abandon;
