//! The client: one request's attempts.

use std::sync::Arc;

use super::{Answer, Config, Error, Request, Response};

/// The client. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client(Arc<()>);

impl Client {
    /// Builds a client.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for an unreadable CA file or an entry that is no CIDR.
    pub fn new(_config: Config) -> Result<Self, Error> {
        todo!()
    }

    /// Sends a request; any complete response head is `Ok`, whatever its status (429, 502-504
    /// and HTML error pages only after the attempts of a repeatable request are used up).
    pub async fn send(&self, _request: Request) -> Result<Response, Error> {
        todo!()
    }

    /// Sends a request and reads the whole answer, at most `limit` bytes. A repeatable request
    /// is tried again when the body is cut as well.
    pub async fn call(&self, _request: Request, _limit: usize) -> Result<Answer, Error> {
        todo!()
    }
}

pub(super) fn broken(host: &str, error: &hyper::Error) -> Error {
    Error::Broken {
        host: host.to_owned(),
        cause: error.to_string(),
    }
}
