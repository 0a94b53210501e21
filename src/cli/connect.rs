//! From settings to signed-in systems and an engine: each module's own configuration is made here.

use std::path::Path;
use std::sync::Arc;

use super::exit::{Ended, Exit};
use crate::content_server::Right;
use crate::flows::{self, Systems, probe};
use crate::ledger::{Ledger, Reader};
use crate::pace::{Calendar, Pace, Window};
use crate::settings::{self, ContentServerAuth, Rate, Resolved};
use crate::transfer::{self, Destination, Engine, Oversize, Stop, VerifyPolicy};
use crate::types::{Failure, FailureClass, NodeId, ProofLevel, Reason};
use crate::{content_server, http, iconik};

/// Both systems, signed in and looked at once.
pub(crate) struct Connected {
    pub(crate) systems: Systems,
    pub(crate) staging: NodeId,
}

/// Facts of a flow that wait for a person.
pub(crate) fn waiting(settings: &Resolved, flow: &str) -> anyhow::Result<u64> {
    let open = existing_ledger(settings)?.open_questions()?;
    let own = open.iter().find(|(name, _)| name == flow);
    Ok(own.map_or(0, |(_, count)| *count))
}

/// Remembers how a flow ended, for `status`; `found` counts what it found, by kind.
pub(crate) async fn note(
    ledger: &Ledger,
    flow: &str,
    exit: Exit,
    found: impl IntoIterator<Item = (String, u64)>,
) -> anyhow::Result<()> {
    let through = matches!(exit, Exit::Done | Exit::Held);
    let found = found.into_iter().filter(|(_, count)| *count > 0).collect();
    flows::standing::note(ledger, flow, exit.code().into(), through, found).await?;
    Ok(())
}

/// The HTTP client as the settings want it.
pub(crate) fn http_client(settings: &Resolved) -> anyhow::Result<http::Client> {
    let network = &settings.network;
    let mut plain_http = network.plain_http.clone();
    let iconik = settings.iconik().ok();
    // Built-in simulators live on this machine: whoever points iconik at it means it.
    if iconik.is_some_and(|iconik| is_loopback(&iconik.url)) {
        plain_http.push("loopback".into());
    }
    let config = http::Config {
        connect_timeout: network.connect_timeout,
        first_byte_timeout: network.first_byte_timeout,
        stall_timeout: network.stall_timeout,
        backoff: network.retry_wait,
        congestion_control: network.congestion_control.clone(),
        ca_file: network.ca_file.clone(),
        proxy_from_environment: network.proxy == settings::Proxy::Environment,
        plain_http,
        allow: network.allow.iter().map(ToString::to_string).collect(),
        ..http::Config::default()
    };
    Ok(http::Client::new(config)?)
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// iconik's client.
pub(crate) async fn iconik(
    settings: &Resolved,
    http: &http::Client,
) -> anyhow::Result<iconik::Client> {
    let iconik = settings.iconik()?;
    let token = iconik.token.read().await?;
    let config = iconik::Config {
        calls_per_second: iconik.calls_per_second,
        mounts: iconik
            .mounts
            .iter()
            .map(|(storage, path)| (storage.0.clone(), path.clone()))
            .collect(),
        ..iconik::Config::new(iconik.url.clone(), iconik.app_id.clone(), token)
    };
    Ok(iconik::Client::new(http.clone(), config)?)
}

/// Content Server's client, going by what a probe learnt of this server.
pub(crate) async fn content_server(
    settings: &Resolved,
    http: &http::Client,
) -> anyhow::Result<content_server::Client> {
    let client = unprobed(settings, http).await?;
    learn(settings, &client).await?;
    Ok(client)
}

/// Content Server's client before anything is known of the server: for those who ask it first.
pub(crate) async fn unprobed(
    settings: &Resolved,
    http: &http::Client,
) -> anyhow::Result<content_server::Client> {
    let server = settings.content_server()?;
    let auth = match &server.auth {
        ContentServerAuth::Password { user, password } => content_server::Auth::Password {
            user: user.clone(),
            password: password.read().await?,
            domain: None,
        },
        ContentServerAuth::Otds {
            client_id,
            client_secret,
            token_url,
        } => content_server::Auth::Otds {
            client_id: client_id.clone(),
            client_secret: client_secret.read().await?,
            token_url: token_url.clone(),
        },
    };
    let config = content_server::Config {
        request_limit: server.request_limit,
        versioning: match server.versioning {
            settings::Versioning::Standard => content_server::Versioning::Standard,
            settings::Versioning::Major => content_server::Versioning::Major,
            settings::Versioning::Minor => content_server::Versioning::Minor,
        },
        ..content_server::Config::new(server.url.clone(), server.name.clone(), auth)
    };
    Ok(content_server::Client::new(http.clone(), config)?)
}

/// Signs in at both ends and looks at the target and staging folders.
pub(crate) async fn connect(settings: &Resolved) -> anyhow::Result<Connected> {
    let (_, server) = settings.systems()?;
    let http = http_client(settings)?;
    let iconik = iconik(settings, &http).await?;
    let content_server = unprobed(settings, &http).await?;
    let destination: Arc<dyn Destination> = Arc::new(content_server.clone());
    let (iconik_url, server_url) = (settings.iconik()?.url.as_str(), server.url.as_str());
    let signed_in = async {
        let explained = |error: crate::iconik::Error| {
            let forbidden = error.is_forbidden();
            let mut failure = error.into_failure();
            // Here it is no item that is forbidden but the run.
            if forbidden {
                failure.reason = Reason::Refused;
            }
            failure.context(format!("iconik.url = {iconik_url}"))
        };
        iconik.validate().await.map_err(explained)?;
        iconik.domain().await.map_err(explained)
    };
    let folders = async {
        for (id, setting) in [
            (server.target.folder, "content_server.target.folder"),
            (server.target.staging, "content_server.target.staging"),
        ] {
            folder(&content_server, id, setting)
                .await
                .map_err(|failure| failure.context(format!("content_server.url = {server_url}")))?;
        }
        Ok(())
    };
    let (domain, ()) = tokio::try_join!(signed_in, folders)?;
    learn(settings, &content_server).await?;
    Ok(Connected {
        systems: Systems {
            content_server,
            iconik,
            destination,
            instance: server.name.clone(),
            domain,
            target: server.target.folder,
            told: super::record::told(settings, server)?,
        },
        staging: server.target.staging,
    })
}

/// Has the client go by what a probe learnt of its server, when the ledger holds such a profile. One
/// of another release says nothing about this one.
async fn learn(settings: &Resolved, client: &content_server::Client) -> anyhow::Result<()> {
    let path = &settings.ledger.path;
    if !path.exists() {
        return Ok(());
    }
    // A ledger that cannot be read is reported by whoever needs it.
    let Ok(reader) = Reader::open(path) else {
        return Ok(());
    };
    let stored = probe::profiles(&reader, settings.content_server()?.url.as_str())?;
    if stored.is_empty() {
        return Ok(());
    }
    let version = client.server_info().await?.version.unwrap_or_default();
    match stored.iter().find(|stored| stored.version == version) {
        Some(known) => client.learn(known.profile.clone()),
        None => tracing::warn!(
            "content server is of release {version:?} and was probed as {:?}: what was learnt is not followed; `longhaul doctor --probe --yes` asks again",
            stored[0].version
        ),
    }
    Ok(())
}

/// Looks at a folder before anything is moved: a master that arrives and may not be put there has
/// come for nothing.
async fn folder(
    content_server: &content_server::Client,
    id: NodeId,
    setting: &str,
) -> Result<(), Failure> {
    let node = content_server.node(id).await.map_err(|mut failure| {
        if matches!(failure.reason, Reason::NotFound | Reason::Inaccessible) {
            failure
                .message
                .push_str("; check the node id, and that the user may see it");
        }
        failure.context(format!("{setting} = {id}"))
    })?;
    let wrong = |reason, what: String| {
        Err(Failure::new(
            FailureClass::StopEverything,
            reason,
            format!("{setting} = {id} is {:?}, {what}", node.name),
        ))
    };
    if !node.container {
        return wrong(
            Reason::NotFound,
            "which is no folder; name a folder's node id".into(),
        );
    }
    if let Some(user) = content_server.barred(id, Right::AddItems).await? {
        return wrong(
            Reason::Refused,
            format!(
                "where user {user:?} may not add items; give it that right, or name another folder"
            ),
        );
    }
    Ok(())
}

/// The bandwidth limits.
pub(crate) fn pace(settings: &Resolved) -> Arc<Pace> {
    let windows = settings
        .pace
        .calendar
        .iter()
        .map(|rule| {
            let window = Window::new(
                rule.days.clone(),
                rule.from,
                rule.to,
                rule.zone.clone(),
                rule.bandwidth.and_then(Rate::bytes_per_second),
            );
            match rule.bandwidth {
                Some(_) => window,
                None => window.closed(),
            }
        })
        .collect();
    Arc::new(Pace::new(
        settings.pace.bandwidth.bytes_per_second(),
        Calendar::new(windows),
    ))
}

/// The engine over connected systems.
pub(crate) fn engine(
    settings: &Resolved,
    connected: &Connected,
    ledger: &Ledger,
    pace: &Arc<Pace>,
    stop: Stop,
    wait: bool,
) -> anyhow::Result<Engine> {
    let (_, server) = settings.systems()?;
    let transfer = &settings.transfer;
    let config = transfer::Config {
        memory: transfer.memory,
        uploads: server.uploads as usize,
        streams: settings.source.streams as usize,
        tune: transfer.tune,
        items: transfer.items as usize,
        verify: match transfer.verify {
            settings::Verify::Always(ProofLevel::ReadBack) => VerifyPolicy::default(),
            settings::Verify::Always(level) => VerifyPolicy {
                read_back_up_to: None,
                otherwise: level,
            },
            settings::Verify::UpTo { size, large, .. } => VerifyPolicy {
                read_back_up_to: Some(size),
                otherwise: large,
            },
        },
        commit_quiet: server.commit_quiet,
        single_post_max: server.single_post_max,
        oversize: match transfer.oversize {
            settings::Oversize::Refuse => Oversize::Refuse,
            settings::Oversize::Split => Oversize::Split,
        },
        source_md5: transfer.source_md5 == settings::SourceMd5::WhenQuoted,
        history_digests: settings.package.mhl,
        wait,
        start_barrier: ledger.started_after_unclean_boot(),
        ..transfer::Config::new(connected.staging)
    };
    Ok(Engine::new(
        config,
        Arc::new(connected.systems.iconik.reader()),
        Arc::clone(&connected.systems.destination),
        ledger.clone(),
        Arc::clone(pace),
        stop,
    ))
}

/// Opens the ledger for writing.
pub(crate) fn open_ledger(path: &Path, command: &str) -> anyhow::Result<Ledger> {
    // Its errors name the file.
    Ok(Ledger::open(
        path,
        &format!("longhaul {command}, process {}", std::process::id()),
    )?)
}

/// Refuses a ledger that does not exist: only commands that start a run make one.
pub(crate) fn must_exist(settings: &Resolved) -> anyhow::Result<&Path> {
    let path = settings.ledger.path.as_path();
    // An empty file is none yet.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() || found.len() > 0) {
        return Ok(path);
    }
    Err(Ended::usage(format!(
        "there is no ledger at {}; --ledger or ledger.path names another",
        path.display()
    )))
}

/// Opens the ledger of this or another process for reading.
pub(crate) fn existing_ledger(settings: &Resolved) -> anyhow::Result<Reader> {
    Ok(Reader::open(must_exist(settings)?)?)
}
