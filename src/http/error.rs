//! Why an exchange failed, and what that asks of the caller.

use std::fmt;
use std::time::Duration;

use crate::types::{ByteCount, Failure, FailureClass, Reason, display_bytes};

/// Which way the bytes were going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The request body, from here to the server.
    Sending,
    /// The response body, from the server to here.
    Receiving,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sending => "sending",
            Self::Receiving => "receiving",
        })
    }
}

/// Why an exchange failed. Hosts are named, paths and queries never: they may be secrets.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client cannot be built as configured. Nothing was sent; nothing helps but a change.
    #[error("network settings: {0}")]
    Config(String),
    /// Not an address a request can go to. Nothing was sent.
    #[error("not a usable address: {0}")]
    InvalidUrl(String),
    /// The address has no TLS and its host is not on the list of those that need none.
    #[error(
        "{host} would be reached without TLS; use https, or list the host in network.plain_http"
    )]
    PlainHttp {
        /// Host and port.
        host: String,
        /// Whether an API gave us the address, rather than a person.
        guarded: bool,
    },
    /// A credential was about to go to another origin than its own. Nothing was sent.
    #[error("a credential of {belongs} may not be sent to {host}")]
    CredentialOrigin {
        /// Where the request would go.
        host: String,
        /// The origin the credential is for.
        belongs: String,
    },
    /// The name has no address. Tried again.
    #[error(
        "{host} has no address; check how it is spelt, and the name service of this machine ({cause})"
    )]
    Dns {
        /// The name.
        host: String,
        /// What the resolver said.
        cause: String,
    },
    /// A guarded request led to an address that is not on the public internet. Never tried again.
    #[error(
        "{host} leads to {address}, {why}; if that is right, list it in network.allow as a CIDR"
    )]
    RefusedAddress {
        /// Host of the request.
        host: String,
        /// The address it has.
        address: String,
        /// What kind of address that is.
        why: &'static str,
    },
    /// No connection. Tried again.
    #[error("cannot connect to {host}: {cause}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the operating system said.
        cause: String,
    },
    /// No connection within the limit, TLS included. Tried again.
    #[error("no connection to {host} within {limit:?}")]
    ConnectTimeout {
        /// Host and port.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// The proxy did not let us through. Tried again, unless it wants other credentials.
    #[error("proxy {proxy}: {cause}")]
    Proxy {
        /// Host and port of the proxy.
        proxy: String,
        /// What it said.
        cause: String,
        /// Whether trying again is pointless.
        permanent: bool,
    },
    /// The peer could not prove who it is, or speaks no TLS we accept. Never tried again, never
    /// weakened.
    #[error("{host} is not trusted: {cause}")]
    Tls {
        /// Host and port.
        host: String,
        /// What is wrong and what to do.
        cause: String,
    },
    /// The request is out, the response head did not come. May have been carried out.
    #[error("{host} did not answer within {limit:?}")]
    FirstByteTimeout {
        /// Host and port.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// A body stopped moving. May have been carried out.
    #[error("{host}: nothing moved for {limit:?} while {direction}")]
    Stall {
        /// Host and port.
        host: String,
        /// Which body.
        direction: Direction,
        /// The limit.
        limit: Duration,
    },
    /// A body moved, but slower than the minimum. May have been carried out.
    #[error("{host}: only {} in {window:?} while {direction}", display_bytes(*.bytes))]
    Trickle {
        /// Host and port.
        host: String,
        /// Which body.
        direction: Direction,
        /// Bytes that moved within the window.
        bytes: ByteCount,
        /// Time the peer had; our own pauses are not in it.
        window: Duration,
    },
    /// The connection broke, or what came was not HTTP. May have been carried out.
    #[error("{host}: {cause}")]
    Broken {
        /// Host and port.
        host: String,
        /// What happened.
        cause: String,
    },
    /// A success came before the server had the whole body. What it did with the part it had is
    /// unknown.
    #[error("{host}: it answered {status} before it had the whole body")]
    AnsweredEarly {
        /// Host and port.
        host: String,
        /// The status.
        status: u16,
    },
    /// The request never reached a connection. Tried again.
    #[error("{host}: the connection was gone before the request")]
    Unsent {
        /// Host and port.
        host: String,
    },
    /// The response body ended before its end.
    #[error("{host}: the body was cut after {}", display_bytes(*.received))]
    Incomplete {
        /// Host and port.
        host: String,
        /// Bytes that arrived.
        received: ByteCount,
    },
    /// The response body has another length than the one asked for.
    #[error("{host}: {expected} bytes were expected and {offered} came")]
    WrongLength {
        /// Host and port.
        host: String,
        /// Bytes asked for.
        expected: ByteCount,
        /// Bytes announced, or received so far.
        offered: ByteCount,
    },
    /// The response head or body is larger than the caller takes.
    #[error("{host}: the answer is larger than {}", display_bytes(*.limit))]
    BodyTooLarge {
        /// Host and port.
        host: String,
        /// The limit.
        limit: ByteCount,
    },
    /// Something on the way encoded the body though `identity` was asked for.
    #[error("{host}: the body came with content-encoding {encoding}, which was not asked for")]
    Encoded {
        /// Host and port.
        host: String,
        /// The encoding.
        encoding: String,
    },
    /// The request body was shorter or longer than announced. The request was cut before its
    /// last byte, so the server never had a whole one.
    #[error("the request body was announced with {expected} bytes and {offered} were offered")]
    BodyLength {
        /// Content-Length.
        expected: ByteCount,
        /// Bytes that the body offered, as far as it was read.
        offered: ByteCount,
    },
    /// The request body failed; the request was cut before its last byte.
    #[error("the request body failed: {0}")]
    Source(Failure),
    /// The answer is complete and not what it should be.
    #[error("{host}: cannot read the answer{}: {cause}", place(.path))]
    Decode {
        /// Host and port.
        host: String,
        /// The field.
        path: String,
        /// What is wrong there, without values.
        cause: String,
    },
}

/// Where in an answer; the root needs no words.
fn place(path: &str) -> String {
    if path == "." {
        String::new()
    } else {
        format!(" at {path}")
    }
}

impl Error {
    /// Whether no byte of the request can have taken effect at the server.
    pub fn not_sent(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::InvalidUrl(_)
                | Self::PlainHttp { .. }
                | Self::CredentialOrigin { .. }
                | Self::Dns { .. }
                | Self::RefusedAddress { .. }
                | Self::Connect { .. }
                | Self::ConnectTimeout { .. }
                | Self::Proxy { .. }
                | Self::Tls { .. }
                | Self::Unsent { .. }
        )
    }

    /// Whether the same request may well succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::FirstByteTimeout { .. }
            | Self::Stall { .. }
            | Self::Trickle { .. }
            | Self::Broken { .. }
            | Self::AnsweredEarly { .. }
            | Self::Unsent { .. }
            | Self::Incomplete { .. } => true,
            Self::Proxy { permanent, .. } => !permanent,
            _ => false,
        }
    }

    /// As the engine sees it. A failure of the request body comes back as it was.
    pub fn into_failure(self) -> Failure {
        let class = match &self {
            Self::Source(failure) => return failure.clone(),
            Self::PlainHttp { guarded: true, .. }
            | Self::InvalidUrl(_)
            | Self::RefusedAddress { .. }
            | Self::WrongLength { .. }
            | Self::BodyTooLarge { .. }
            | Self::BodyLength { .. }
            | Self::Encoded { .. } => FailureClass::ItemIsWrong,
            Self::Config(_)
            | Self::PlainHttp { .. }
            | Self::CredentialOrigin { .. }
            | Self::Tls { .. }
            | Self::Proxy {
                permanent: true, ..
            } => FailureClass::StopEverything,
            _ => FailureClass::RetryNow,
        };
        let reason = match &self {
            _ if self.not_sent() => Reason::NotDone,
            Self::BodyLength { .. } => Reason::Mismatch,
            _ => Reason::Ambiguous,
        };
        Failure::new(class, reason, self.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        error.into_failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> String {
        "files.test:443".to_owned()
    }

    #[track_caller]
    fn check(error: Error, class: FailureClass, reason: Reason) {
        let failure = error.into_failure();
        assert_eq!(
            (failure.class, failure.reason),
            (class, reason),
            "{failure}"
        );
    }

    #[test]
    fn what_never_left_is_not_done_and_what_may_have_arrived_is_ambiguous() {
        let cause = String::new;
        check(
            Error::Connect {
                host: host(),
                cause: cause(),
            },
            FailureClass::RetryNow,
            Reason::NotDone,
        );
        check(
            Error::FirstByteTimeout {
                host: host(),
                limit: Duration::from_secs(1),
            },
            FailureClass::RetryNow,
            Reason::Ambiguous,
        );
        check(
            Error::Broken {
                host: host(),
                cause: cause(),
            },
            FailureClass::RetryNow,
            Reason::Ambiguous,
        );
        check(
            Error::Tls {
                host: host(),
                cause: cause(),
            },
            FailureClass::StopEverything,
            Reason::NotDone,
        );
        check(
            Error::RefusedAddress {
                host: host(),
                address: "10.0.0.1".to_owned(),
                why: "a private address",
            },
            FailureClass::ItemIsWrong,
            Reason::NotDone,
        );
    }

    #[test]
    fn a_failure_inside_the_body_comes_back_as_it_was() {
        let failure = Failure::item(Reason::SourceChanged, "the source changed");
        let back = Error::Source(failure).into_failure();
        assert_eq!(back.reason, Reason::SourceChanged);
        assert_eq!(back.message, "the source changed");
    }
}
