//! Large masters against the bare relay.

use longhaul::simulator::Simulator;
use longhaul::simulator::workload::Workload;
use longhaul::types::{GIB, MIB, display_bytes};
use serde_json::json;

use crate::Plan;
use crate::ends::{self, Tls};
use crate::ours::{Longhaul, Told};
use crate::report::{Figures, Row, median};
use crate::small;
use crate::yardstick::{self, Job};

/// One large master.
const LARGE: u64 = 8 * GIB;
/// Each of several.
const SEVERAL: u64 = GIB;
/// How many.
const COUNT: u64 = 8;

/// A kind of row.
struct Kind {
    what: String,
    workload: Workload,
    told: Told,
    streams: usize,
    tls: bool,
    target: f64,
    cpu_target: Option<f64>,
}

pub(crate) async fn multipart(plan: &Plan) -> anyhow::Result<Row> {
    let size = plan.scaled(LARGE);
    row(
        plan,
        Kind {
            what: format!("One {} master in parts of 16 MiB", display_bytes(size)),
            workload: Workload::new(1, size),
            cpu_target: Some(1.2),
            ..Kind::usual()
        },
    )
    .await
}

pub(crate) async fn single_post(plan: &Plan) -> anyhow::Result<Row> {
    let size = plan.scaled(LARGE);
    row(
        plan,
        Kind {
            what: format!("One {} master by single POST", display_bytes(size)),
            workload: Workload {
                single_post: true,
                ..Workload::new(1, size)
            },
            ..Kind::usual()
        },
    )
    .await
}

pub(crate) async fn with_md5(plan: &Plan) -> anyhow::Result<Row> {
    let size = plan.scaled(LARGE);
    row(
        plan,
        Kind {
            what: format!("One {} master with a quoted MD5", display_bytes(size)),
            workload: Workload {
                md5: true,
                ..Workload::new(1, size)
            },
            ..Kind::usual()
        },
    )
    .await
}

pub(crate) async fn eight(plan: &Plan) -> anyhow::Result<Row> {
    let size = plan.scaled(SEVERAL);
    row(
        plan,
        Kind {
            what: format!(
                "{COUNT} masters of {} at once (uploads = 8, items = 8)",
                display_bytes(size)
            ),
            workload: Workload::new(COUNT, size),
            told: Told {
                uploads: 8,
                items: 8,
                memory: 512 * MIB,
                ..Told::default()
            },
            streams: 8,
            ..Kind::usual()
        },
    )
    .await
}

pub(crate) async fn tls(plan: &Plan) -> anyhow::Result<Row> {
    let size = plan.scaled(LARGE) / 2;
    row(
        plan,
        Kind {
            what: format!("One {} master, TLS on both sides", display_bytes(size)),
            workload: Workload::new(1, size),
            tls: true,
            target: 0.85,
            ..Kind::usual()
        },
    )
    .await
}

impl Kind {
    fn usual() -> Self {
        Self {
            what: String::new(),
            workload: Workload::new(1, GIB),
            told: Told::default(),
            streams: 1,
            tls: false,
            target: 0.9,
            cpu_target: None,
        }
    }
}

async fn row(plan: &Plan, kind: Kind) -> anyhow::Result<Row> {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for number in 0..=plan.runs {
        let (a, b) = (longhaul(&kind).await?, relay(&kind).await?);
        plan.note(&format!(
            "{}: longhaul {}, yardstick {}{}",
            kind.what,
            said(&a),
            said(&b),
            if number == 0 { " (warm-up)" } else { "" }
        ));
        if number > 0 {
            ours.push(a);
            theirs.push(b);
        }
    }
    let pairs: Vec<(&Figures, &Figures)> = ours.iter().zip(&theirs).collect();
    let speed = median(&pairs, |(a, b)| a.mib_per_second / b.mib_per_second);
    let cpu = median(&pairs, |(a, b)| {
        a.cpu_seconds_per_gib / b.cpu_seconds_per_gib
    });
    let met = speed >= kind.target && kind.cpu_target.is_none_or(|most| cpu <= most);
    Ok(Row {
        what: kind.what.clone(),
        longhaul: summed_up(&ours),
        yardstick: summed_up(&theirs),
        target: match kind.cpu_target {
            Some(most) => format!("≥ {:.2} of its rate, ≤ {most:.2} of its CPU", kind.target),
            None => format!("≥ {:.2} of its rate", kind.target),
        },
        came_to: format!("{speed:.2} of its rate, {cpu:.2} of its CPU"),
        met: Some(met),
        runs: json!({"longhaul": ours, "yardstick": theirs}),
    })
}

async fn longhaul(kind: &Kind) -> anyhow::Result<Figures> {
    let simulator = Simulator::start(kind.workload.options()).await?;
    let tls = kind.tls.then(Tls::new).transpose()?;
    let mut fronts = Vec::new();
    let mut edit: Box<dyn Fn(String) -> String> = Box::new(|text| text);
    if let Some(tls) = &tls {
        let bucket = tls
            .front(ends::address_of(&simulator.bucket_url())?)
            .await?;
        let server = tls
            .front(ends::address_of(&simulator.content_server_url())?)
            .await?;
        simulator
            .parts()
            .bucket
            .set_url(&format!("https://localhost:{}", bucket.address.port()));
        let plain = ends::address_of(&simulator.content_server_url())?;
        let secret = format!("https://localhost:{}", server.address.port());
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, &tls.pem)?;
        edit = Box::new(move |text| {
            let text = text.replace(&format!("http://{plain}"), &secret);
            text.replace("[network]\n", &format!("[network]\nca_file = {file:?}\n"))
        });
        fronts.push((bucket, server, folder));
    }
    let longhaul = Longhaul::new(&simulator, &kind.workload, &kind.told, edit)?;
    let total = kind.workload.size * kind.workload.count;
    let (figures, _) = longhaul.archive(&simulator, total).await?;
    simulator.stop().await;
    drop(fronts);
    Ok(figures)
}

async fn relay(kind: &Kind) -> anyhow::Result<Figures> {
    let simulator = Simulator::start(kind.workload.options()).await?;
    let tls = kind.tls.then(Tls::new).transpose()?;
    let mut address = simulator.content_server_url();
    let mut fronts = Vec::new();
    if let Some(tls) = &tls {
        let bucket = tls
            .front(ends::address_of(&simulator.bucket_url())?)
            .await?;
        let plain = ends::address_of(&address)?;
        let front = tls.front(plain).await?;
        simulator
            .parts()
            .bucket
            .set_url(&format!("https://localhost:{}", bucket.address.port()));
        let secret = format!("https://localhost:{}", front.address.port());
        address = address.replace(&format!("http://{plain}"), &secret);
        fronts.extend([bucket, front]);
    }
    let connection = simulator.connection_json();
    let job = Job {
        sources: ends::addresses(&simulator, &kind.workload),
        size: kind.workload.size,
        sink: format!("{address}/api/v2/nodes"),
        ticket: small::sign_in(&connection).await?,
        folder: connection["content_server"]["staging"]
            .as_i64()
            .unwrap_or(0),
        streams: kind.streams,
        md5: kind.workload.md5,
        ca: tls.as_ref().map(|tls| tls.pem.clone()),
    };
    let figures = yardstick::run(&job).await?;
    simulator.stop().await;
    drop(fronts);
    Ok(figures)
}

fn said(figures: &Figures) -> String {
    format!(
        "{:.0} MiB/s {:.2} s/GiB",
        figures.mib_per_second, figures.cpu_seconds_per_gib
    )
}

/// Medians of all runs.
pub(crate) fn summed_up(runs: &[Figures]) -> String {
    format!(
        "{:.0} MiB/s, {:.2} CPU s/GiB, {:.0} MiB peak",
        median(runs, |run| run.mib_per_second),
        median(runs, |run| run.cpu_seconds_per_gib),
        median(runs, |run| run.peak_mib),
    )
}
