//! The loopback HTTP server under every simulated system, and where faults are injected.
