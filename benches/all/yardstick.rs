//! The yardstick: a bare relay between the same ends. A ranged GET whose frames become the file of
//! one POST to a Content Server that counts and discards, SHA-256 on a thread of
//! its own (inline when there are as many streams as cores), no ledger, no states, no retries.
//!
//! It runs as a child process, as longhaul does, so that the kernel counts its CPU time and memory
//! apart from the ends'.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use longhaul::telemetry::Resources;
use md5::Md5;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::PollSender;

use crate::report::Figures;

/// Buffer of a TLS connection, each way.
const TLS_BUFFER: usize = 256 << 10;

/// Between the fields of a form.
const BOUNDARY: &str = "----yardstick-4bb1b2c9";

/// What one relay is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Signed addresses, read one after another by each stream in turn.
    pub(crate) sources: Vec<String>,
    /// Bytes of each.
    pub(crate) size: u64,
    /// Where everything is posted, as a form with a file.
    pub(crate) sink: String,
    /// Ticket of a session there.
    pub(crate) ticket: String,
    /// Folder there.
    pub(crate) folder: i64,
    /// Streams at once.
    pub(crate) streams: usize,
    /// Whether an MD5 is computed too.
    pub(crate) md5: bool,
    /// Certificate (PEM) to trust for `https` addresses.
    pub(crate) ca: Option<String>,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What hashes beside the relay.
enum Hashing {
    Inline(Box<Sha256>),
    Threads(Vec<PollSender<Bytes>>),
}

/// The frames of an answer as the body of a request.
struct Relay {
    from: Incoming,
    left: u64,
    hashing: Hashing,
    /// What goes before and after them.
    head: Option<Bytes>,
    tail: Option<Bytes>,
}

impl Body for Relay {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(head) = this.head.take() {
            this.left -= head.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        if let Hashing::Threads(senders) = &mut this.hashing {
            for sender in senders {
                match sender.poll_reserve(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(reserved) => reserved?,
                }
            }
        }
        match Pin::new(&mut this.from).poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(this.tail.take().map(|tail| {
                this.left -= tail.len() as u64;
                Ok(Frame::data(tail))
            })),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref() {
                    this.left = this.left.saturating_sub(bytes.len() as u64);
                    match &mut this.hashing {
                        Hashing::Inline(sha256) => sha256.update(bytes),
                        Hashing::Threads(senders) => {
                            for sender in senders {
                                sender.send_item(bytes.clone())?;
                            }
                        }
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A thread that digests what it is sent.
fn digest<D: Digest + Send + 'static>() -> (PollSender<Bytes>, std::thread::JoinHandle<Vec<u8>>) {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(2);
    let thread = std::thread::spawn(move || {
        let mut digest = D::new();
        while let Some(bytes) = receiver.blocking_recv() {
            digest.update(&bytes);
        }
        digest.finalize().to_vec()
    });
    (PollSender::new(sender), thread)
}

/// Where an address leads.
struct End {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl End {
    fn parse(address: &str) -> Result<Self, Error> {
        let url = url::Url::parse(address)?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self {
            tls: url.scheme() == "https",
            host: url
                .host_str()
                .ok_or("an address without a host")?
                .to_owned(),
            port: url
                .port_or_known_default()
                .ok_or("an address without a port")?,
            path,
        })
    }

    async fn connect<B>(
        &self,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Result<SendRequest<B>, Error>
    where
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Error>,
    {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        socket2::SockRef::from(&tcp).set_tcp_congestion(b"cubic")?;
        match tls.filter(|_| self.tls) {
            None => speak(tcp).await,
            Some(config) => {
                let name = rustls::pki_types::ServerName::try_from(self.host.clone())?;
                let tls = tokio_rustls::TlsConnector::from(Arc::clone(config))
                    .connect_with(name, BufReader::with_capacity(TLS_BUFFER, tcp), |tls| {
                        tls.set_buffer_limit(Some(TLS_BUFFER));
                    })
                    .await?;
                speak(tls).await
            }
        }
    }
}

async fn speak<B, I>(io: I) -> Result<SendRequest<B>, Error>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Error>,
{
    let (sender, connection) = Builder::new()
        .max_buf_size(1 << 20)
        .handshake(TokioIo::new(io))
        .await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// What surrounds a file in the form that creates a document.
fn form(folder: i64, source: &str) -> (Bytes, Bytes) {
    let name = hex::encode(Sha256::digest(source));
    let mut head = String::new();
    for (field, value) in [
        ("type", "144"),
        ("parent_id", &folder.to_string()),
        ("name", &name),
    ] {
        head += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
        );
    }
    head += &format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/mxf\r\n\r\n"
    );
    (head.into(), format!("\r\n--{BOUNDARY}--\r\n").into())
}

async fn one(
    job: &Job,
    source: &str,
    inline: bool,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<(), Error> {
    let (from, to) = (End::parse(source)?, End::parse(&job.sink)?);
    let mut reading = from.connect::<http_body_util::Empty<Bytes>>(tls).await?;
    let mut writing = to.connect::<Relay>(tls).await?;
    let get = http::Request::get(&from.path)
        .header("host", format!("{}:{}", from.host, from.port))
        .header("range", format!("bytes=0-{}", job.size - 1))
        .body(http_body_util::Empty::new())?;
    let answer = reading.send_request(get).await?;
    if answer.status() != 206 {
        return Err(format!("the source answered {}", answer.status()).into());
    }
    let mut threads = Vec::new();
    let hashing = if inline {
        Hashing::Inline(Box::default())
    } else {
        let (sender, thread) = digest::<Sha256>();
        threads.push(thread);
        let mut senders = vec![sender];
        if job.md5 {
            let (sender, thread) = digest::<Md5>();
            threads.push(thread);
            senders.push(sender);
        }
        Hashing::Threads(senders)
    };
    let (head, tail) = form(job.folder, source);
    let body = Relay {
        from: answer.into_body(),
        left: (head.len() + tail.len()) as u64 + job.size,
        hashing,
        head: Some(head),
        tail: Some(tail),
    };
    let post = http::Request::post(&to.path)
        .header("host", format!("{}:{}", to.host, to.port))
        .header("otcsticket", &job.ticket)
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(body)?;
    let answer = writing.send_request(post).await?;
    if !answer.status().is_success() {
        return Err(format!("the sink answered {}", answer.status()).into());
    }
    answer.into_body().collect().await?;
    for thread in threads {
        std::hint::black_box(thread.join().map_err(|_| "a hashing thread ended early")?);
    }
    Ok(())
}

async fn relay(job: Job) -> Result<(), Error> {
    let tls = job.ca.as_ref().map(|pem| trusting(pem)).transpose()?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let inline = job.streams >= cores && !job.md5;
    let streams = (0..job.streams).map(|stream| {
        let (job, tls) = (job.clone(), tls.clone());
        async move {
            let task = tokio::spawn(async move {
                for source in job.sources.iter().skip(stream).step_by(job.streams) {
                    one(&job, source, inline, tls.as_ref()).await?;
                }
                Ok::<(), Error>(())
            });
            task.await?
        }
    });
    try_join_all(streams).await?;
    Ok(())
}

fn trusting(pem: &str) -> Result<Arc<rustls::ClientConfig>, Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(
        pem.as_bytes(),
    )?)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The child: does the job in `text` and prints what it came to.
pub(crate) fn child(text: &str) -> Result<(), Error> {
    let job: Job = serde_json::from_str(text)?;
    let total = job.size * job.sources.len() as u64;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let start = Instant::now();
    runtime.block_on(relay(job))?;
    let figures = Figures::of(total, start.elapsed().as_secs_f64(), Resources::now());
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// Runs a job in a child process.
pub(crate) async fn run(job: &Job) -> anyhow::Result<Figures> {
    apart("yardstick", job).await
}

/// Runs a yardstick in a process of its own; its figures.
pub(crate) async fn apart(which: &str, job: &impl Serialize) -> anyhow::Result<Figures> {
    let done = tokio::process::Command::new(std::env::current_exe()?)
        .arg(which)
        .arg(serde_json::to_string(job)?)
        .output()
        .await?;
    anyhow::ensure!(
        done.status.success(),
        "the yardstick ended with {}: {}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(serde_json::from_slice(&done.stdout)?)
}
