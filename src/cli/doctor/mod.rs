//! `doctor`: whether it will work, looked at before anything moves.

mod configured;
mod probe;
mod publishing;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::exit::Exit;
use super::output::{BAD, DIM, GOOD, WARN, styled};
use super::{Context, connect, explain, record};
use crate::content_server::{self, Holder, Right};
use crate::flows::rights::PaperSource;
use crate::ledger::Reader;
use crate::settings::{ContentServerSettings, Resolved, RightsSettings, RightsSidecar};
use crate::transfer::Destination;
use crate::types::{ByteCount, GIB, MIB, NodeId, display_bytes};

/// Look at everything a run needs before it starts: settings and secrets, the ledger's place,
/// both sign-ins, the folders, the upload window, what the flows are configured with, the speed of
/// the hash. Changes nothing.
///
/// With --probe it also asks Content Server how it behaves where servers differ (names, ranges,
/// moves, descriptions, upload sessions) by trying it on documents of a few bytes, in a scratch
/// folder that it makes in the staging folder and removes again. The answers are kept in the ledger
/// and followed by every command from then on, until the server is of another release.
///
/// Examples:
///   longhaul doctor
///   longhaul doctor --json | jq 'select(.verdict == "fail")'
///   longhaul doctor --probe --dry-run            # what would be asked, and how
///   longhaul doctor --probe --yes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Ask Content Server how it behaves, in a scratch folder
    #[arg(long)]
    probe: bool,
    /// Agree to the scratch folder
    #[arg(long, requires = "probe", conflicts_with = "dry_run")]
    yes: bool,
    /// Say what would be asked and done; write nothing
    #[arg(long, requires = "probe")]
    dry_run: bool,
    /// Most bytes that a probe sends in one body or upload session
    #[arg(long, requires = "probe", value_name = "SIZE", default_value = "1 MiB")]
    send_up_to: String,
}

/// How a line came out, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    Unknown,
    Warn,
    Fail,
}

impl Verdict {
    fn word(self) -> (&'static str, anstyle::Style) {
        match self {
            Self::Ok => ("ok", GOOD),
            Self::Unknown => ("unknown", DIM),
            Self::Warn => ("warn", WARN),
            Self::Fail => ("fail", BAD),
        }
    }
}

struct Findings<'a> {
    context: &'a Context,
    worst: Verdict,
    exits: Vec<Exit>,
}

impl Findings<'_> {
    fn line(&mut self, verdict: Verdict, what: &str, found: &str, remedy: Option<&str>) {
        self.worst = self.worst.max(verdict);
        let (word, style) = verdict.word();
        let output = &self.context.output;
        output.say(format!(
            "{} {what}: {found}",
            styled(style, format!("{word:4}"))
        ));
        if let Some(remedy) = remedy {
            output.say(format!("     {}", styled(DIM, remedy)));
        }
        output.event(
            "check",
            json!({"verdict": word, "what": what, "found": found, "remedy": remedy}),
        );
    }

    fn ok(&mut self, what: &str, found: impl AsRef<str>) {
        self.line(Verdict::Ok, what, found.as_ref(), None);
    }

    fn warn(&mut self, what: &str, found: impl AsRef<str>, remedy: &str) {
        self.line(Verdict::Warn, what, found.as_ref(), Some(remedy));
    }

    fn unknown(&mut self, what: &str, found: impl AsRef<str>, remedy: &str) {
        self.line(Verdict::Unknown, what, found.as_ref(), Some(remedy));
    }

    fn fail(&mut self, what: &str, found: impl AsRef<str>, remedy: &str, exit: Exit) {
        self.exits.push(exit);
        self.line(Verdict::Fail, what, found.as_ref(), Some(remedy));
    }

    fn error(&mut self, what: &str, error: &anyhow::Error, remedy: &str) {
        self.fail(what, explain(error), remedy, Exit::of_error(error));
    }
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<Exit> {
    if arguments.probe {
        return probe::run(context, &arguments).await;
    }
    let mut findings = Findings {
        context,
        worst: Verdict::Ok,
        exits: Vec::new(),
    };
    let settings = context.settings(Vec::new())?;
    let complete = settings.systems().map(|_| ());
    match &complete {
        Ok(()) => {
            let from = settings
                .file
                .as_ref()
                .map_or("environment".to_owned(), |path| path.display().to_string());
            findings.ok("settings", format!("complete ({from})"));
        }
        Err(problems) => {
            let error = anyhow::anyhow!("{problems}");
            findings.fail(
                "settings",
                explain(&error),
                "`longhaul init` writes a file with every setting explained",
                Exit::Usage,
            );
        }
    }
    ledger(&settings, &mut findings);
    hash(&mut findings).await;
    proxy(&settings, &mut findings);
    if complete.is_ok() {
        iconik(&settings, &mut findings).await;
        server(&settings, &mut findings).await;
    }
    let output = &context.output;
    output.event(
        "doctor",
        json!({"ready": findings.worst < Verdict::Fail, "warnings": findings.worst == Verdict::Warn}),
    );
    output.say(match findings.worst {
        Verdict::Ok | Verdict::Unknown => styled(GOOD, "ready"),
        Verdict::Warn => styled(WARN, "ready, with the warnings above"),
        Verdict::Fail => styled(BAD, "not ready"),
    });
    Ok(Exit::of_all(findings.exits))
}

/// Where the ledger is or will be.
fn ledger(settings: &Resolved, findings: &mut Findings<'_>) {
    let path = &settings.ledger.path;
    let shown = path.display();
    if path.exists() {
        match Reader::open(path) {
            Ok(reader) => match reader.owner().filter(|owner| owner.alive) {
                Some(owner) => findings.warn(
                    "ledger",
                    format!("{shown} is in the hands of {} (process {})", owner.text, owner.pid),
                    "one process at a time moves with one ledger; `longhaul status` looks over its shoulder",
                ),
                None => findings.ok("ledger", format!("{shown} can be read")),
            },
            Err(error) => findings.error(
                "ledger",
                &error.into(),
                "name another with --ledger, or rebuild a lost one with `longhaul adopt`",
            ),
        }
    } else {
        findings.ok("ledger", format!("{shown} will be created"));
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match rustix::fs::statvfs(parent) {
        Err(error) => findings.fail(
            "ledger's disk",
            format!("{}: {error}", parent.display()),
            "create the directory, or name another place in ledger.path",
            Exit::Ledger,
        ),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let text = format!("{} free", display_bytes(free));
            if free < GIB {
                findings.warn(
                    "ledger's disk",
                    text,
                    "a million items need about 1.3 GB; masters themselves need no room here",
                );
            } else {
                findings.ok("ledger's disk", text);
            }
        }
    }
}

/// How fast one master can be hashed: nothing moves faster than that.
async fn hash(findings: &mut Findings<'_>) {
    const LOOK: Duration = Duration::from_millis(200);
    let rate = tokio::task::spawn_blocking(|| {
        let chunk = vec![0x5a; 4 * 1024 * 1024];
        let mut sha256 = Sha256::new();
        let (begun, mut bytes) = (Instant::now(), 0u64);
        while begun.elapsed() < LOOK {
            sha256.update(&chunk);
            bytes += chunk.len() as u64;
        }
        let _ = std::hint::black_box(sha256.finalize());
        bytes as f64 / begun.elapsed().as_secs_f64()
    })
    .await
    .unwrap_or_default();
    let text = format!("SHA-256 at {:.0} MiB/s a core", rate / MIB as f64);
    if rate < (300 * MIB) as f64 {
        findings.warn(
            "hash",
            text,
            "this processor has no SHA instructions (or this is a debug build): one master moves no faster than that",
        );
    } else {
        findings.ok("hash", text);
    }
}

fn proxy(settings: &Resolved, findings: &mut Findings<'_>) {
    if let Some(path) = &settings.network.ca_file {
        match std::fs::metadata(path) {
            Ok(_) => findings.ok(
                "private certificates",
                format!("{} beside the system's", path.display()),
            ),
            Err(error) => findings.fail(
                "private certificates",
                format!("cannot read {}: {error}", path.display()),
                "name a PEM file in network.ca_file",
                Exit::Usage,
            ),
        }
    }
    if settings.network.proxy == crate::settings::Proxy::Environment {
        let set: Vec<&str> = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
            .into_iter()
            .filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
            .collect();
        if !set.is_empty() {
            findings.ok(
                "proxy",
                format!("{} and NO_PROXY are followed", set.join(", ")),
            );
        }
    }
}

async fn iconik(settings: &Resolved, findings: &mut Findings<'_>) {
    let begun = Instant::now();
    let signed_in = async {
        let http = connect::http_client(settings)?;
        let client = connect::iconik(settings, &http).await?;
        let signed_in = client.validate().await?;
        let domain = signed_in.domain.clone();
        let user = signed_in.user.as_ref().map(|user| user.id.clone());
        anyhow::Ok((client, domain, user))
    };
    match signed_in.await {
        Ok((client, domain, user)) => {
            let text = format!(
                "signed in to account {domain} ({} ms)",
                begun.elapsed().as_millis()
            );
            match user {
                Some(_) => findings.ok("iconik", text),
                None => findings.warn(
                    "iconik",
                    format!("{text}, but the token's user cannot be read"),
                    "give the token's user the right to read users, so that records can name who acted",
                ),
            }
            publishing::names(&client, settings, findings).await;
        }
        Err(error) => findings.error(
            "iconik",
            &error,
            "check iconik.url, iconik.app_id and iconik.token: Admin, Settings, Application Tokens",
        ),
    }
}

async fn server(settings: &Resolved, findings: &mut Findings<'_>) {
    let Ok((_, configured)) = settings.systems() else {
        return;
    };
    let client = async {
        let http = connect::http_client(settings)?;
        let client = connect::unprobed(settings, &http).await?;
        anyhow::Ok(client)
    };
    let client = match client.await {
        Ok(client) => client,
        Err(error) => {
            findings.error("content server", &error, "check content_server.auth");
            return;
        }
    };
    let begun = Instant::now();
    match client.server_info().await {
        Ok(info) => {
            probe::stored(settings, configured, info.version.as_deref(), findings);
            let version = info.version.as_deref().unwrap_or("of an unnamed release");
            findings.ok(
                "content server",
                format!("{version} ({} ms)", begun.elapsed().as_millis()),
            );
            if let Some(life) = info.session_timeout
                && info.sliding == Some(false)
                && life < Duration::from_secs(600)
            {
                findings.warn(
                    "sessions",
                    format!("end {} s after sign-in", life.as_secs()),
                    "longhaul signs in again, but large single POSTs may not outlive one",
                );
            }
        }
        Err(failure) => {
            findings.error(
                "content server",
                &failure.into(),
                "check content_server.url: it ends with the program, such as …/otcs/cs.exe",
            );
            return;
        }
    }
    match client.current_user().await {
        Ok(user) => findings.ok("sign-in", format!("as {}", user.name)),
        Err(failure) => {
            findings.error("sign-in", &failure.into(), "check content_server.auth");
            return;
        }
    }
    window(&client, configured, findings).await;
    let target = configured.target.folder;
    let staging = configured.target.staging;
    let found = folder(&client, "target folder", target, findings).await;
    if folder(&client, "staging folder", staging, findings).await {
        privacy(&client, staging, findings).await;
    }
    if found
        && let Ok(node) = client.node(staging).await
        && node.parent == target
    {
        findings.warn(
            "folders",
            "the staging folder is inside the target folder",
            "people who browse the target see it; a folder elsewhere is safer",
        );
    }
    if found && !settings.map.is_empty() {
        match record::binding(&settings.map, &client, target).await {
            Ok(binding) => findings.ok(
                "mapping",
                format!(
                    "{} fields found in the categories' definitions",
                    binding.fields.len()
                ),
            ),
            Err(error) => findings.error(
                "mapping",
                &error,
                "mend `map.fields`; `longhaul map test ASSET` shows what it does to one asset",
            ),
        }
    }
    publishing::places(&client, settings, target, findings).await;
    rights(&client, &settings.rights, target, findings).await;
    configured::look(&client, settings, target, findings).await;
}

/// What the papers that prove rights need on the server.
async fn rights(
    client: &content_server::Client,
    configured: &RightsSettings,
    target: NodeId,
    findings: &mut Findings<'_>,
) {
    for paper in &configured.papers {
        if let PaperSource::Folder(id) = paper.source {
            let what = format!("papers `{}`", paper.name);
            folder(client, &what, id, findings).await;
        }
    }
    if let Some(wanted) = &configured.cross_reference {
        cross_reference(client, "rights.cross_reference", wanted, findings).await;
    }
    if configured.shortcuts {
        shortcuts(client, target, findings).await;
    }
    if let RightsSidecar::Rendition(kind) = &configured.sidecar {
        renditions(client, kind, target, findings).await;
    }
}

/// Whether documents can have renditions here.
async fn renditions(
    client: &content_server::Client,
    kind: &str,
    target: NodeId,
    findings: &mut Findings<'_>,
) {
    let remedy = "leave `rights.sidecar` at \"document\" where the server has no renditions";
    match client.knows_renditions(target).await {
        Ok(true) => findings.ok(
            "rights.sidecar",
            format!("documents can have renditions, of type {kind:?}"),
        ),
        Ok(false) => findings.fail(
            "rights.sidecar",
            "this server knows no renditions",
            remedy,
            Exit::Usage,
        ),
        Err(failure) => findings.error("rights.sidecar", &failure.into(), remedy),
    }
}

/// Whether shortcuts to papers can be made in the target folder.
async fn shortcuts(client: &content_server::Client, target: NodeId, findings: &mut Findings<'_>) {
    let what = "shortcuts to papers";
    match client.takes_shortcuts(target).await {
        Ok(Some(true)) => findings.ok(what, "this user may make them in the target folder"),
        Ok(Some(false)) => findings.fail(
            what,
            format!("this user may create nothing in node {target}"),
            "give longhaul's user the right to add items there, or leave `rights.shortcuts` out",
            Exit::Usage,
        ),
        Ok(None) => findings.unknown(
            what,
            format!("the server lists what may be created in node {target}, and names nothing that longhaul knows as a shortcut"),
            "create one there by hand; where that is refused, leave `rights.shortcuts` out",
        ),
        Err(failure) => findings.error(
            what,
            &failure.into(),
            "longhaul's user must be able to read the target folder",
        ),
    }
}

/// Whether a kind of cross-reference that a setting names is defined.
async fn cross_reference(
    client: &content_server::Client,
    setting: &str,
    wanted: &str,
    findings: &mut Findings<'_>,
) {
    let what = "cross-references";
    match client.cross_reference_kinds().await {
        Ok(kinds) if kinds.iter().any(|kind| kind.eq_ignore_ascii_case(wanted)) => {
            findings.ok(what, format!("{wanted:?} is defined"));
        }
        Ok(kinds) => findings.fail(
            what,
            format!("{wanted:?} is none of {}", kinds.join(", ")),
            &format!("name a kind that records management defines in `{setting}`"),
            Exit::Usage,
        ),
        Err(failure) => findings.error(
            what,
            &failure.into(),
            &format!("leave `{setting}` out where there is no records management"),
        ),
    }
}

/// The sizes that upload sessions take, against what is configured for others.
async fn window(
    client: &content_server::Client,
    configured: &ContentServerSettings,
    findings: &mut Findings<'_>,
) {
    let limit = |bytes: Option<ByteCount>| bytes.map(display_bytes);
    match client.window().await {
        Ok(Some(window)) => {
            let text = format!(
                "more than {} and less than {}",
                display_bytes(window.min),
                display_bytes(window.max)
            );
            match limit(configured.single_post_max) {
                Some(max) => findings.ok("upload sessions", format!("{text}; single POST up to {max}")),
                None => findings.warn(
                    "upload sessions",
                    format!("{text}; larger masters are refused or split"),
                    "raise max_size on the server, or set content_server.single_post_max or transfer.oversize = \"split\"",
                ),
            }
        }
        Ok(None) => match limit(configured.single_post_max) {
            Some(max) => findings.warn(
                "upload sessions",
                format!("not offered; single POST up to {max}"),
                "without them a cut starts a file again from its first byte: enable Large File Upload on the server",
            ),
            None => findings.warn(
                "upload sessions",
                "not offered, and single POST has no limit configured",
                "enable Large File Upload on the server, or set content_server.single_post_max",
            ),
        },
        Err(failure) => findings.error(
            "upload sessions",
            &failure.into(),
            "the user must be able to read the upload settings",
        ),
    }
}

async fn folder(
    client: &content_server::Client,
    what: &str,
    id: NodeId,
    findings: &mut Findings<'_>,
) -> bool {
    match client.node(id).await {
        Ok(node) if node.container => {
            findings.ok(what, format!("{id} is {:?}", node.name));
            true
        }
        Ok(node) => {
            findings.fail(
                what,
                format!("{id} is {:?}, which is no folder", node.name),
                "name a folder's node id",
                Exit::Usage,
            );
            false
        }
        Err(failure) => {
            findings.error(
                what,
                &failure.into(),
                "name a folder's node id, and let longhaul's user see it",
            );
            false
        }
    }
}

/// Who else looks into staging.
async fn privacy(client: &content_server::Client, staging: NodeId, findings: &mut Findings<'_>) {
    match client.permissions(staging).await {
        Ok(grants) => {
            let public = grants.iter().any(|grant| {
                grant.holder == Holder::Public && grant.rights.contains(&Right::SeeContents)
            });
            if public {
                findings.warn(
                    "staging folder",
                    "everybody can see what is in it",
                    "take the public access away: what waits there is not proved yet",
                );
            }
        }
        Err(failure) => findings.warn(
            "staging folder",
            format!("its permissions cannot be read: {}", failure.message),
            "make sure that only longhaul's user sees it",
        ),
    }
}
