//! Documents that travel with a master: metadata now, rights and manifests later; pure functions.
