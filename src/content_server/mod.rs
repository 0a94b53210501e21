//! The destination: sign-in, nodes, versions, upload sessions.
