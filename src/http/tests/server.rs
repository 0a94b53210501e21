//! A server that does exactly what it is told, byte for byte.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done about one request, in order.
#[derive(Clone)]
pub(super) enum Step {
    /// Reads the head, and the body that it announces.
    Read,
    /// Reads the head only.
    ReadHead,
    /// Reads this many bytes of the body, after the head.
    ReadBody(usize),
    /// Neither reads nor writes any more, and stays.
    Hold,
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes one byte after another, with a pause between them, until the peer leaves.
    Trickle(Duration),
    /// Says nothing until the peer leaves.
    Silence,
    /// Breaks the connection with a reset.
    Reset,
    /// Closes the connection.
    Close,
}

/// Reads a request and writes `answer`.
pub(super) fn answer(answer: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Read, Step::Write(answer.into())]
}

/// A complete answer.
pub(super) fn whole(status: &str, headers: &str, body: &str) -> Vec<Step> {
    answer(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    ))
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// Serves one script a request; requests beyond the script find the connection closed.
pub(super) struct Server {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepted: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

type Scripts = Arc<Mutex<VecDeque<Vec<Step>>>>;

impl Server {
    pub(super) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        Self::with(scripts, None).await
    }

    pub(super) async fn with_tls(scripts: Vec<Vec<Step>>, tls: Arc<rustls::ServerConfig>) -> Self {
        Self::with(scripts, Some(tls)).await
    }

    async fn with(scripts: Vec<Vec<Step>>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scripts: Scripts = Arc::new(Mutex::new(scripts.into()));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let accepted: Arc<Mutex<usize>> = Arc::default();
        let task = tokio::spawn({
            let (seen, accepted) = (Arc::clone(&seen), Arc::clone(&accepted));
            async move {
                let mut connections = tokio::task::JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    *accepted.lock().unwrap() += 1;
                    let (scripts, seen) = (Arc::clone(&scripts), Arc::clone(&seen));
                    let tls = tls.clone();
                    connections.spawn(async move {
                        match tls {
                            None => talk(stream, &scripts, &seen).await,
                            Some(tls) => {
                                let acceptor = tokio_rustls::TlsAcceptor::from(tls);
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    talk(stream, &scripts, &seen).await;
                                }
                            }
                        }
                    });
                }
            }
        });
        Self {
            port,
            seen,
            accepted,
            task,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn accepted(&self) -> usize {
        *self.accepted.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets a script reset a connection.
pub(super) trait Breakable: AsyncRead + AsyncWrite + Unpin + Send {
    fn reset_on_close(&self);
}

impl Breakable for TcpStream {
    fn reset_on_close(&self) {
        socket2::SockRef::from(self)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

impl Breakable for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

async fn talk(mut stream: impl Breakable, scripts: &Scripts, seen: &Mutex<Vec<Seen>>) {
    let mut buffer = Vec::new();
    loop {
        // A script is only taken by a request, so that idle connections take none.
        if buffer.is_empty() && !fill(&mut stream, &mut buffer).await {
            return;
        }
        let Some(script) = scripts.lock().unwrap().pop_front() else {
            return;
        };
        for step in script {
            match step {
                Step::Read | Step::ReadHead => {
                    let Some((head, len)) = read_head(&mut stream, &mut buffer).await else {
                        return;
                    };
                    let index = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(Seen {
                            head,
                            body: Vec::new(),
                        });
                        seen.len() - 1
                    };
                    if matches!(step, Step::Read) {
                        while buffer.len() < len && fill(&mut stream, &mut buffer).await {}
                        let body = buffer.drain(..len.min(buffer.len())).collect();
                        seen.lock().unwrap()[index].body = body;
                    }
                }
                Step::ReadBody(len) => {
                    while buffer.len() < len && fill(&mut stream, &mut buffer).await {}
                    let body: Vec<u8> = buffer.drain(..len.min(buffer.len())).collect();
                    let mut seen = seen.lock().unwrap();
                    seen.last_mut().unwrap().body.extend(body);
                }
                Step::Hold => std::future::pending().await,
                Step::Write(bytes) => {
                    if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
                Step::Trickle(pause) => loop {
                    if stream.write_all(b"x").await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                },
                Step::Silence => {
                    while fill(&mut stream, &mut Vec::new()).await {}
                    return;
                }
                Step::Reset => {
                    stream.reset_on_close();
                    return;
                }
                Step::Close => {
                    let _ = stream.shutdown().await;
                    return;
                }
            }
        }
    }
}

/// Reads what is there; `false` when the peer has left.
async fn fill(stream: &mut impl Breakable, buffer: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(buffer).await, Ok(1..))
}

async fn read_head(stream: &mut impl Breakable, buffer: &mut Vec<u8>) -> Option<(String, usize)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
            let len = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().unwrap());
            return Some((head, len));
        }
        if !fill(stream, buffer).await {
            return None;
        }
    }
}
