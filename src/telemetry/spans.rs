//! Names of spans. Logs and exports use these and no others.

/// One request with all its attempts; fields `method`, `host`, `path`.
pub const REQUEST: &str = "request";
