//! The serving end: one task per connection, a few at a time, each request answered in order.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::live::Live;
use super::protocol::{Answer, REQUEST, Request, VERSION};
use super::{Error, addressable, socket_of};

/// Connections at once.
const AT_ONCE: u32 = 16;
/// Longest wait for answers when it is closed.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Longest silence of a connection.
const SILENCE: Duration = Duration::from_secs(120);

/// The socket while it is served. Dropped, it is gone.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    inode: (u64, u64),
    answering: Arc<Semaphore>,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends it once every request in hand is answered: whoever said that the run is to end learns
    /// that it was heard.
    pub async fn close(self) {
        let all = self.answering.acquire_many(AT_ONCE);
        let _answered = tokio::time::timeout(LAST_ANSWER, all).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Another one's is not taken away.
        if inode(&self.path).is_ok_and(|found| found == self.inode)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "the control socket stays behind");
        }
    }
}

fn inode(path: &Path) -> std::io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Serves the control socket of the ledger that this process owns.
///
/// # Errors
///
/// [`Error::Socket`] when it cannot listen there, also when something lies there that is no
/// socket.
pub fn serve(ledger: &Path, live: Arc<Live>) -> Result<Server, Error> {
    let path = socket_of(ledger);
    let listener = listen(&path).map_err(|error| Error::Socket {
        socket: path.clone(),
        problem: error.to_string(),
    })?;
    let inode = inode(&path).map_err(|error| Error::Socket {
        socket: path.clone(),
        problem: error.to_string(),
    })?;
    let answering = Arc::new(Semaphore::new(AT_ONCE as usize));
    let accepting = accept(listener, live, Arc::clone(&answering));
    let task = AbortOnDropHandle::new(tokio::spawn(accepting));
    Ok(Server {
        path,
        inode,
        answering,
        _task: task,
    })
}

/// Listens beside the place first, so that the socket appears there with its mode, in one step,
/// and in place of a dead process's.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(std::io::Error::other(
                "something that is no socket lies there; move it away",
            ));
        }
        _ => {}
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    if std::fs::symlink_metadata(&beside).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(&beside)?;
    }
    let (address, _folder) = addressable(&beside)?;
    let listener = UnixListener::bind(address)?;
    let placed = std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&beside, path));
    if placed.is_err() {
        let _gone = std::fs::remove_file(&beside);
    }
    placed.map(|()| listener)
}

/// Whether a user may steer a process of `own`.
pub(super) fn may_steer(user: u32, own: u32) -> bool {
    user == own || user == 0
}

async fn accept(listener: UnixListener, live: Arc<Live>, answering: Arc<Semaphore>) {
    let places = Arc::new(Semaphore::new(AT_ONCE as usize));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (live, answering) = (Arc::clone(&live), Arc::clone(&answering));
                connections.spawn(async move {
                    let _place = place;
                    if let Err(error) = converse(stream, &live, &answering).await {
                        tracing::debug!(%error, "a control connection ended");
                    }
                });
            }
            Err(error) => {
                // Few descriptors, perhaps: it passes.
                tracing::debug!(%error, "no control connection");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(
    mut stream: UnixStream,
    live: &Live,
    answering: &Semaphore,
) -> std::io::Result<()> {
    let peer = stream.peer_cred()?;
    if !may_steer(peer.uid(), rustix::process::geteuid().as_raw()) {
        tracing::warn!(uid = peer.uid(), "a user who may not steer this process");
        return Ok(());
    }
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut read).take(REQUEST);
        let got = tokio::time::timeout(SILENCE, bounded.read_until(b'\n', &mut line))
            .await
            .map_err(|_| std::io::ErrorKind::TimedOut)??;
        if got == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && got as u64 >= REQUEST {
            let said = format!("the request is longer than {REQUEST} bytes");
            send(&mut write, &refusal(said)).await?;
            return Ok(());
        }
        let _answering = answering.acquire().await;
        let answer = answer(&line, live, &peer).await;
        send(&mut write, &answer).await?;
    }
}

async fn answer(line: &[u8], live: &Live, peer: &tokio::net::unix::UCred) -> Answer {
    // The version first: what a later one asks need not be readable.
    #[derive(serde::Deserialize)]
    struct Versioned {
        v: u32,
    }
    match serde_json::from_slice::<Versioned>(line) {
        Ok(Versioned { v: VERSION }) => {}
        Ok(Versioned { v }) => {
            return refusal(format!(
                "this process speaks version {VERSION} of the control protocol, not {v}; use the longhaul that started it"
            ));
        }
        Err(error) => return refusal(format!("the request cannot be read: {error}")),
    }
    let Request { mut from, ask, .. } = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return refusal(format!("the request cannot be read: {error}")),
    };
    // Who it is, the kernel says; a name is taken as a name.
    from.uid = peer.uid();
    from.pid = peer.pid().unwrap_or(0);
    let plain = |text: &str| -> String {
        let printable = text.chars().filter(|c| !c.is_control());
        printable.take(200).collect()
    };
    from.user = plain(&from.user);
    from.command = plain(&from.command);
    match live.apply(&ask, &from).await {
        Ok((said, facts)) => Answer {
            v: VERSION,
            ok: true,
            said,
            facts,
        },
        Err(error) => refusal(error.to_string()),
    }
}

fn refusal(said: String) -> Answer {
    Answer {
        v: VERSION,
        ok: false,
        said,
        facts: None,
    }
}

async fn send(write: &mut tokio::net::unix::WriteHalf<'_>, answer: &Answer) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    tokio::time::timeout(SILENCE, write.write_all(&line))
        .await
        .map_err(|_| std::io::ErrorKind::TimedOut)?
}
