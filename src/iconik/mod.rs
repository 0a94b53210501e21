//! The source system: sign-in, assets, files, metadata, jobs.
