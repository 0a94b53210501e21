//! What longhaul is used for: each integration flow is one file.
