//! The asking end.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::protocol::{ANSWER, Answer, Ask, From, LiveFacts, Request, VERSION};
use super::{Error, addressable, server, socket_of};

/// Longest wait for an answer: a retry of many items takes the ledger a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the process at work on a ledger.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the process at work on the ledger.
    ///
    /// # Errors
    ///
    /// [`Error::Nobody`] when none is, [`Error::Socket`] when it cannot be spoken with.
    pub async fn connect(ledger: &Path) -> Result<Self, Error> {
        let socket = socket_of(ledger);
        let bad = |problem: String| Error::Socket {
            socket: socket.clone(),
            problem,
        };
        let (address, _folder) = addressable(&socket).map_err(|error| bad(error.to_string()))?;
        let stream = match UnixStream::connect(address).await {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) =>
            {
                return Err(Error::Nobody {
                    ledger: ledger.to_owned(),
                });
            }
            Err(error) => return Err(bad(error.to_string())),
        };
        let peer = stream.peer_cred().map_err(|error| bad(error.to_string()))?;
        let own = rustix::process::geteuid().as_raw();
        // Root may ask anybody's process; others are told nothing by strangers.
        if own != 0 && !server::may_steer(peer.uid(), own) {
            return Err(bad(format!(
                "is served by another user (uid {})",
                peer.uid()
            )));
        }
        Ok(Self {
            socket,
            stream: BufReader::new(stream),
        })
    }

    /// Asks; what the process says it did.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when it does not do it, [`Error::Socket`] when it does not answer.
    pub async fn ask(&mut self, ask: Ask, from: &From) -> Result<String, Error> {
        self.exchange(ask, from).await.map(|answer| answer.said)
    }

    /// What only the process knows.
    ///
    /// # Errors
    ///
    /// As of [`ask`](Self::ask).
    pub async fn facts(&mut self) -> Result<LiveFacts, Error> {
        let answer = self.exchange(Ask::Facts, &From::default()).await?;
        answer
            .facts
            .map(|facts| *facts)
            .ok_or_else(|| self.bad("it answered without facts"))
    }

    async fn exchange(&mut self, ask: Ask, from: &From) -> Result<Answer, Error> {
        let request = Request {
            v: VERSION,
            from: from.clone(),
            ask,
        };
        let told = async {
            let mut line = serde_json::to_vec(&request)?;
            line.push(b'\n');
            self.stream.get_mut().write_all(&line).await?;
            let mut line = Vec::new();
            (&mut self.stream)
                .take(ANSWER)
                .read_until(b'\n', &mut line)
                .await?;
            if line.is_empty() {
                return Err(std::io::Error::other("it ended without an answer"));
            }
            Ok(serde_json::from_slice::<Answer>(&line)?)
        };
        let answer = match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.bad(error)),
            Err(_) => return Err(self.bad("no answer within a minute")),
        };
        if answer.ok {
            Ok(answer)
        } else {
            Err(Error::Refused(answer.said))
        }
    }

    fn bad(&self, problem: impl ToString) -> Error {
        Error::Socket {
            socket: self.socket.clone(),
            problem: problem.to_string(),
        }
    }
}
