//! The sections of the settings as plain values, and how each is read.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use url::{Host, Url};

use super::approval::{self, ApprovalSettings};
use super::exchange::{self, ExchangeSettings};
use super::keys;
use super::layers::{Reader, Reported, Wrong};
use super::lifecycle::{self, LifecycleSettings};
use super::package::{self, PackageSettings};
use super::price::Price;
use super::raw::{Located, Raw};
use super::record::{self, PublishSettings};
use super::references::{self, ReferenceSettings};
use super::rights::{self, RightsSettings};
use super::secret::SecretRef;
use super::words::{
    CalendarRule, Duplicates, Expected, Oversize, Proxy, Rate, SourceMd5, Verify, Versioning,
    Versions, parse_days, parse_duration, parse_time, parse_window_rate, parse_zone,
};
use crate::sidecar::mapping::FieldMap;
use crate::types::{ByteCount, MIB, NodeId, StorageId, parse_size};

/// `[iconik]`
#[derive(Clone, Debug)]
pub struct IconikSettings {
    /// Base address.
    pub url: Url,
    /// Application id.
    pub app_id: String,
    /// Application token.
    pub token: SecretRef,
    /// Most calls a second; at least 1.
    pub calls_per_second: u32,
    /// Versions of an asset to file.
    pub versions: Versions,
    /// Where on-premise storages are mounted.
    pub mounts: BTreeMap<StorageId, PathBuf>,
}

/// `[content_server]`
#[derive(Clone, Debug)]
pub struct ContentServerSettings {
    /// Address up to and including the program.
    pub url: Url,
    /// The instance's name in markers.
    pub name: String,
    /// How to sign in.
    pub auth: ContentServerAuth,
    /// Where masters are filed.
    pub target: Target,
    /// Most uploads at the same time; at least 1.
    pub uploads: u32,
    /// Wait after an unanswered commit; never below `request_limit`.
    pub commit_quiet: Duration,
    /// Longest time the server lets one request live.
    pub request_limit: Duration,
    /// Largest file sent in one request when sessions do not take it.
    pub single_post_max: Option<ByteCount>,
    /// How versions are counted.
    pub versioning: Versioning,
}

/// How to sign in to Content Server.
#[derive(Clone, Debug)]
pub enum ContentServerAuth {
    /// With a user's name and password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretRef,
    },
    /// As an OAuth client, through OTDS.
    Otds {
        /// The client.
        client_id: String,
        /// Its secret.
        client_secret: SecretRef,
        /// The token endpoint.
        token_url: Url,
    },
}

/// Where masters are filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Folder that they are published in.
    pub folder: NodeId,
    /// Folder for unfinished ones; another than `folder`.
    pub staging: NodeId,
}

/// `[source]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSettings {
    /// Most reads at the same time; at least 1.
    pub streams: u32,
}

/// `[ledger]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The ledger's file.
    pub path: PathBuf,
}

/// `[transfer]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferSettings {
    /// Most bytes of masters held in memory.
    pub memory: ByteCount,
    /// Proof before an item is done.
    pub verify: Verify,
    /// Whether the source's MD5 is compared.
    pub source_md5: SourceMd5,
    /// What becomes of masters too large for one document.
    pub oversize: Oversize,
    /// Most items at the same time; at least 1.
    pub items: u32,
    /// Whether the source's metadata is filed beside each master.
    pub sidecar: bool,
    /// Whether the numbers of streams are tuned.
    pub tune: bool,
}

/// `[migrate]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrateSettings {
    /// What becomes of masters whose content another asset has too.
    pub duplicates: Duplicates,
}

/// `[network]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Private certificate authorities (PEM).
    pub ca_file: Option<PathBuf>,
    /// Whether a proxy is used.
    pub proxy: Proxy,
    /// Private ranges that an API may send longhaul to.
    pub allow: Vec<IpNet>,
    /// Hosts that may be reached without TLS, lower case.
    pub plain_http: Vec<String>,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time to the start of an answer.
    pub first_byte_timeout: Duration,
    /// Longest silence while a body moves.
    pub stall_timeout: Duration,
    /// Longest first wait before a call is made again.
    pub retry_wait: Duration,
    /// Congestion control of connections; `None` leaves the system's.
    pub congestion_control: Option<String>,
}

/// `[pace]`
#[derive(Clone, Debug, PartialEq)]
pub struct PaceSettings {
    /// Highest rate when no rule of the calendar holds.
    pub bandwidth: Rate,
    /// Other rates at other times; the first rule that matches holds.
    pub calendar: Vec<CalendarRule>,
}

/// `[prices]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceSettings {
    /// Reading from cloud storages.
    pub egress: Option<Price>,
    /// Restoring archived masters.
    pub restore: Option<Price>,
    /// Keeping filed masters for a month.
    pub storage: Option<Price>,
}

/// All sections. A system's is `None` when something it needs is missing.
pub(super) struct Sections {
    pub(super) iconik: Option<IconikSettings>,
    pub(super) content_server: Option<ContentServerSettings>,
    pub(super) source: SourceSettings,
    pub(super) ledger: LedgerSettings,
    pub(super) transfer: TransferSettings,
    pub(super) package: PackageSettings,
    pub(super) migrate: MigrateSettings,
    pub(super) network: NetworkSettings,
    pub(super) pace: PaceSettings,
    pub(super) prices: PriceSettings,
    pub(super) map: Vec<FieldMap>,
    pub(super) schedule: Vec<String>,
    pub(super) publish: PublishSettings,
    pub(super) rights: RightsSettings,
    pub(super) approval: ApprovalSettings,
    pub(super) lifecycle: LifecycleSettings,
    pub(super) references: ReferenceSettings,
    pub(super) exchange: ExchangeSettings,
}

/// Reads every section before giving up, so that everything wrong is recorded.
pub(super) fn read(reader: &mut Reader) -> Result<Sections, Reported> {
    let iconik = iconik(reader);
    let content_server = content_server(reader);
    let source = reader.get("source.streams", whole(1, 1024));
    let ledger = reader.path("ledger.path");
    let transfer = transfer(reader);
    let package = package::package(reader);
    let duplicates = reader.get("migrate.duplicates", word::<Duplicates>);
    let network = network(reader);
    let pace = pace(reader);
    let prices = prices(reader);
    let map = record::map(reader);
    let schedule = reader.get("schedule.flows", lines);
    let publish = record::publish(reader);
    let rights = rights::rights(reader);
    let approval = approval::read(reader);
    let lifecycle = lifecycle::lifecycle(reader);
    let references = references::references(reader);
    let exchange = exchange::read(reader);
    let (iconik, content_server, network) = (iconik?, content_server?, network?);
    let addresses = [
        ("iconik.url", iconik.as_ref().map(|iconik| &iconik.url)),
        (
            "content_server.url",
            content_server.as_ref().map(|server| &server.url),
        ),
        (
            "content_server.otds.token_url",
            content_server
                .as_ref()
                .and_then(|server| match &server.auth {
                    ContentServerAuth::Otds { token_url, .. } => Some(token_url),
                    ContentServerAuth::Password { .. } => None,
                }),
        ),
    ];
    for (path, url) in addresses {
        if let Some(url) = url {
            secure(reader, path, url, &network)?;
        }
    }
    Ok(Sections {
        iconik,
        content_server,
        source: SourceSettings { streams: source? },
        ledger: LedgerSettings {
            path: ledger?.expect("the table has a default for the ledger's path"),
        },
        transfer: transfer?,
        package: package?,
        migrate: MigrateSettings {
            duplicates: duplicates?,
        },
        network,
        pace: pace?,
        prices: prices?,
        map: map?,
        schedule: schedule?,
        publish: publish?,
        rights: rights?,
        approval: approval?,
        lifecycle: lifecycle?,
        references: references?,
        exchange: exchange?,
    })
}

fn iconik(reader: &mut Reader) -> Result<Option<IconikSettings>, Reported> {
    let url = reader.get("iconik.url", address);
    let app_id = reader.needed("iconik.app_id", text);
    let token = reader.secret("iconik.token", true);
    let calls_per_second = reader.get("iconik.calls_per_second", whole(1, 100_000));
    let versions = reader.get("iconik.versions", word::<Versions>);
    let mounts = reader.paths("iconik.mounts");
    let (url, app_id, token, calls_per_second, versions, mounts) =
        (url?, app_id?, token?, calls_per_second?, versions?, mounts?);
    Ok(app_id.zip(token).map(|(app_id, token)| IconikSettings {
        url,
        app_id,
        token,
        calls_per_second,
        versions,
        mounts: mounts
            .into_iter()
            .map(|(storage, path)| (StorageId(storage), path))
            .collect(),
    }))
}

fn content_server(reader: &mut Reader) -> Result<Option<ContentServerSettings>, Reported> {
    let url = reader.needed("content_server.url", address);
    let name = reader.optional("content_server.name", text);
    let auth = content_server_auth(reader);
    let folder = reader.needed("content_server.target.folder", node);
    let staging = reader.needed("content_server.target.staging", node);
    let uploads = reader.get("content_server.uploads", whole(1, 64));
    let commit_quiet = reader.get("content_server.commit_quiet", duration);
    let request_limit = reader.get("content_server.request_limit", duration);
    let single_post_max = reader.optional("content_server.single_post_max", size);
    let versioning = reader.get("content_server.versioning", word::<Versioning>);
    // A marker takes 26 characters of a name, a suffix and an extension the rest.

    let (commit_quiet, request_limit) = (commit_quiet?, request_limit?);
    let quiet_enough = if commit_quiet < request_limit {
        Err(reader.problem(
            "content_server.commit_quiet",
            "`content_server.commit_quiet` is shorter than `content_server.request_limit`: a \
             commit could be repeated while the first one may still come through, and file a \
             master twice",
        ))
    } else {
        Ok(())
    };
    let (folder, staging) = (folder?, staging?);
    if folder.is_some() && folder == staging {
        return Err(reader.problem(
            "content_server.target.staging",
            "`content_server.target.staging` is the target folder itself; unfinished masters need \
             a folder of their own",
        ));
    }
    quiet_enough?;
    let (url, name, auth, uploads, single_post_max, versioning) =
        (url?, name?, auth?, uploads?, single_post_max?, versioning?);
    let (Some(url), Some(auth), Some(folder), Some(staging)) = (url, auth, folder, staging) else {
        return Ok(None);
    };
    Ok(Some(ContentServerSettings {
        name: name.unwrap_or_else(|| url.host_str().unwrap_or_default().to_owned()),
        url,
        auth,
        target: Target { folder, staging },
        uploads,
        commit_quiet,
        request_limit,
        single_post_max,
        versioning,
    }))
}

fn content_server_auth(reader: &mut Reader) -> Result<Option<ContentServerAuth>, Reported> {
    let set = |reader: &Reader, section: &str| {
        keys::children(section)
            .into_iter()
            .find_map(|name| reader.origin(&format!("{section}.{name}")))
    };
    let password = set(reader, "content_server.auth");
    let otds = set(reader, "content_server.otds");
    if let (Some(password), Some(otds)) = (&password, &otds) {
        let (password, otds) = (password.clone(), otds.clone());
        return Err(reader.problem_at(
            otds,
            format!(
                "`content_server.otds` and `content_server.auth` ({password}) are both set; keep \
                 the one to sign in with"
            ),
        ));
    }
    if otds.is_some() {
        let client_id = reader.needed("content_server.otds.client_id", text);
        let client_secret = reader.secret("content_server.otds.client_secret", true);
        let token_url = reader.needed("content_server.otds.token_url", address);
        return Ok(client_id?.zip(client_secret?).zip(token_url?).map(
            |((client_id, client_secret), token_url)| ContentServerAuth::Otds {
                client_id,
                client_secret,
                token_url,
            },
        ));
    }
    let user = reader.needed("content_server.auth.user", text);
    let password = reader.secret("content_server.auth.password", true);
    Ok(user?
        .zip(password?)
        .map(|(user, password)| ContentServerAuth::Password { user, password }))
}

fn transfer(reader: &mut Reader) -> Result<TransferSettings, Reported> {
    let memory = reader.get("transfer.memory", |raw| {
        // A single range, its copy and a part must fit, or nothing could move.
        let expected = Expected("a size of at least 8 MiB, such as \"256 MiB\"".to_owned());
        match size(raw) {
            Ok(memory) if memory < 8 * MIB => Err(Wrong::new(&expected, raw).into()),
            other => other,
        }
    });
    let verify = reader.get("transfer.verify", word::<Verify>);
    let source_md5 = reader.get("transfer.source_md5", word::<SourceMd5>);
    let oversize = reader.get("transfer.oversize", word::<Oversize>);
    let items = reader.get("transfer.items", whole(1, 256));
    let sidecar = reader.get("transfer.sidecar", yes_or_no);
    let tune = reader.get("transfer.tune", yes_or_no);
    Ok(TransferSettings {
        memory: memory?,
        verify: verify?,
        source_md5: source_md5?,
        oversize: oversize?,
        items: items?,
        sidecar: sidecar?,
        tune: tune?,
    })
}

fn network(reader: &mut Reader) -> Result<NetworkSettings, Reported> {
    let ca_file = reader.path("network.ca_file");
    let proxy = reader.get("network.proxy", word::<Proxy>);
    let allow = reader.get("network.allow", list(network_range));
    let plain_http = reader.get("network.plain_http", list(host));
    let connect_timeout = reader.get("network.connect_timeout", duration);
    let first_byte_timeout = reader.get("network.first_byte_timeout", duration);
    let stall_timeout = reader.get("network.stall_timeout", duration);
    let retry_wait = reader.get("network.retry_wait", duration);
    let congestion_control = reader.optional("network.congestion_control", algorithm);
    Ok(NetworkSettings {
        ca_file: ca_file?,
        proxy: proxy?,
        allow: allow?,
        plain_http: plain_http?,
        connect_timeout: connect_timeout?,
        first_byte_timeout: first_byte_timeout?,
        stall_timeout: stall_timeout?,
        retry_wait: retry_wait?,
        congestion_control: congestion_control?,
    })
}

fn pace(reader: &mut Reader) -> Result<PaceSettings, Reported> {
    let bandwidth = reader.get("pace.bandwidth", word::<Rate>);
    let calendar = reader.optional("pace.calendar", calendar);
    Ok(PaceSettings {
        bandwidth: bandwidth?,
        calendar: calendar?.unwrap_or_default(),
    })
}

fn prices(reader: &mut Reader) -> Result<PriceSettings, Reported> {
    let egress = reader.optional("prices.egress", word::<Price>);
    let restore = reader.optional("prices.restore", word::<Price>);
    let storage = reader.optional("prices.storage", word::<Price>);
    Ok(PriceSettings {
        egress: egress?,
        restore: restore?,
        storage: storage?,
    })
}

/// Refuses an address without TLS, unless it is this machine or a host named for it.
fn secure(
    reader: &mut Reader,
    path: &str,
    url: &Url,
    network: &NetworkSettings,
) -> Result<(), Reported> {
    let host = url.host_str().unwrap_or_default();
    let allowed = url.scheme() == "https"
        || is_loopback(url)
        || network.plain_http.iter().any(|plain| plain == host);
    if allowed {
        Ok(())
    } else {
        Err(reader.problem(
            path,
            format!(
                "`{path}` is without TLS, so secrets would cross the network in the clear; use \
                 https, or name {host} in `network.plain_http`"
            ),
        ))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

pub(super) type Parsed<T> = Result<T, Vec<Wrong>>;

pub(super) fn wrong<T>(expected: impl Display, raw: &Raw) -> Parsed<T> {
    Err(Wrong::new(&Expected(expected.to_string()), raw).into())
}

pub(super) fn text(raw: &Raw) -> Parsed<String> {
    match raw.as_text() {
        Some(text) if !text.trim().is_empty() && !text.chars().any(char::is_control) => {
            Ok(text.to_owned())
        }
        Some(text) if text.trim().is_empty() => Err(vec![Wrong {
            inside: String::new(),
            line: None,
            message: "is still empty: fill it in".to_owned(),
        }]),
        _ => wrong("a text", raw),
    }
}

/// A text that reads as a `T`.
fn word<T: FromStr<Err = Expected>>(raw: &Raw) -> Parsed<T> {
    // An empty text makes the parser say what it expects.
    raw.as_text()
        .unwrap_or_default()
        .parse()
        .map_err(|expected| Wrong::new(&expected, raw).into())
}

pub(super) fn whole(least: u32, most: u32) -> impl Fn(&Raw) -> Parsed<u32> {
    move |raw| {
        let number = match raw {
            Raw::Integer(number) => u32::try_from(*number).ok(),
            Raw::Word(word) => word.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(number),
            _ => wrong(format!("a whole number from {least} to {most}"), raw),
        }
    }
}

pub(super) fn node(raw: &Raw) -> Parsed<NodeId> {
    let id = match raw {
        Raw::Integer(number) => Some(*number),
        Raw::Word(word) => word.trim().parse().ok(),
        _ => None,
    };
    match id {
        Some(id) if id > 0 => Ok(NodeId(id)),
        _ => wrong("a node id, a number such as 12345", raw),
    }
}

pub(super) fn yes_or_no(raw: &Raw) -> Parsed<bool> {
    match raw {
        Raw::Bool(flag) => Ok(*flag),
        Raw::Word(word) if word.trim() == "true" => Ok(true),
        Raw::Word(word) if word.trim() == "false" => Ok(false),
        _ => wrong("true or false", raw),
    }
}

fn size(raw: &Raw) -> Parsed<ByteCount> {
    let bytes = match raw {
        Raw::Integer(number) => u64::try_from(*number).ok(),
        raw => raw.as_text().and_then(|text| parse_size(text).ok()),
    };
    match bytes {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => wrong("a size with its unit, such as \"256 MiB\"", raw),
    }
}

pub(super) fn duration(raw: &Raw) -> Parsed<Duration> {
    match parse_duration(raw.as_text().unwrap_or_default()) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => wrong("a duration above zero, such as \"2 s\"", raw),
        Err(expected) => Err(Wrong::new(&expected, raw).into()),
    }
}

/// An address with a host, and without anything that could be a secret.
fn address(raw: &Raw) -> Parsed<Url> {
    let url = raw.as_text().and_then(|text| Url::parse(text.trim()).ok());
    let Some(url) = url.filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
    else {
        return wrong("an address such as \"https://host/path\"", raw);
    };
    let has_login = !url.username().is_empty() || url.password().is_some();
    if has_login || url.query().is_some() || url.fragment().is_some() {
        // Not shown: it may hold a password.
        return Err(vec![Wrong {
            inside: String::new(),
            line: None,
            message: "expects an address without user name, password, `?` or `#`".to_owned(),
        }]);
    }
    Ok(url)
}

/// A list of lines in TOML, or one line.
fn lines(raw: &Raw) -> Parsed<Vec<String>> {
    match raw {
        Raw::List(elements) => collect(elements.iter().map(|located| text(&located.raw))),
        Raw::Word(word) if word.trim().is_empty() => Ok(Vec::new()),
        raw => text(raw).map(|line| vec![line]),
    }
}

/// A list in TOML, or words between commas.
pub(super) fn list<T>(element: impl Fn(&Raw) -> Parsed<T>) -> impl Fn(&Raw) -> Parsed<Vec<T>> {
    move |raw| {
        let elements: Vec<Located> = match raw {
            Raw::List(elements) => elements.clone(),
            Raw::Word(word) => word
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(|word| Located {
                    raw: Raw::Word(word.to_owned()),
                    line: 1,
                })
                .collect(),
            _ => return wrong("an array of texts", raw),
        };
        collect(elements.iter().map(|located| {
            element(&located.raw).map_err(|wrongs| {
                wrongs
                    .into_iter()
                    .map(|wrong| Wrong {
                        line: Some(located.line),
                        ..wrong
                    })
                    .collect()
            })
        }))
    }
}

fn collect<T>(results: impl Iterator<Item = Parsed<T>>) -> Parsed<Vec<T>> {
    let (mut values, mut wrongs) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(more) => wrongs.extend(more),
        }
    }
    if wrongs.is_empty() {
        Ok(values)
    } else {
        Err(wrongs)
    }
}

/// A congestion control algorithm as the kernel names them.
fn algorithm(raw: &Raw) -> Parsed<String> {
    match raw.as_text().map(str::trim) {
        Some(name)
            if (1..16).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') =>
        {
            Ok(name.to_owned())
        }
        _ => wrong("the name of an algorithm, such as \"cubic\"", raw),
    }
}

fn network_range(raw: &Raw) -> Parsed<IpNet> {
    let range = raw.as_text().and_then(|text| {
        text.parse::<IpNet>()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    });
    range.map_or_else(
        || wrong("an address range such as \"10.20.0.0/16\"", raw),
        Ok,
    )
}

fn host(raw: &Raw) -> Parsed<String> {
    let host = raw.as_text().and_then(|text| Host::parse(text.trim()).ok());
    host.map_or_else(
        || wrong("a host name such as \"cs.example.com\"", raw),
        |host| Ok(host.to_string()),
    )
}

fn calendar(raw: &Raw) -> Parsed<Vec<CalendarRule>> {
    let Raw::List(rules) = raw else {
        return wrong("an array of { days, from, to, zone, bandwidth }", raw);
    };
    collect(rules.iter().map(|rule| calendar_rule(&rule.raw, rule.line)))
}

fn calendar_rule(raw: &Raw, line: usize) -> Parsed<CalendarRule> {
    const NAMES: [&str; 5] = ["days", "from", "to", "zone", "bandwidth"];
    let Raw::Table(entries) = raw else {
        return wrong(
            "entries of the form { days, from, to, zone, bandwidth }",
            raw,
        );
    };
    let mut wrongs: Vec<Wrong> = entries
        .iter()
        .filter(|(name, _)| !NAMES.contains(&name.as_str()))
        .map(|(name, value)| Wrong {
            inside: String::new(),
            line: Some(value.line),
            message: match keys::nearest(name, NAMES) {
                Some(meant) => format!("has an unknown entry `{name}`; did you mean `{meant}`?"),
                None => format!("has an unknown entry `{name}`"),
            },
        })
        .collect();
    let days = entry(
        entries,
        "days",
        Some("daily"),
        line,
        &mut wrongs,
        parse_days,
    );
    let from = entry(entries, "from", None, line, &mut wrongs, parse_time);
    let to = entry(entries, "to", None, line, &mut wrongs, parse_time);
    let zone = entry(
        entries,
        "zone",
        Some("system"),
        line,
        &mut wrongs,
        parse_zone,
    );
    let bandwidth = entry(
        entries,
        "bandwidth",
        None,
        line,
        &mut wrongs,
        parse_window_rate,
    );
    match (days, from, to, zone, bandwidth) {
        (Some(days), Some(from), Some(to), Some(zone), Some(bandwidth)) if wrongs.is_empty() => {
            Ok(CalendarRule {
                days,
                from,
                to,
                zone,
                bandwidth,
            })
        }
        _ => Err(wrongs),
    }
}

/// One entry of a calendar rule; what is wrong with it goes to `wrongs`.
fn entry<T>(
    entries: &[(String, Located)],
    name: &str,
    default: Option<&str>,
    line: usize,
    wrongs: &mut Vec<Wrong>,
    parse: impl Fn(&str) -> Result<T, Expected>,
) -> Option<T> {
    let found = entries.iter().find(|(found, _)| found == name);
    let Some((_, value)) = found else {
        return match default {
            Some(default) => parse(default).ok(),
            None => {
                wrongs.push(Wrong {
                    inside: String::new(),
                    line: Some(line),
                    message: format!("has an entry without `{name}`"),
                });
                None
            }
        };
    };
    match parse(value.raw.as_text().unwrap_or_default()) {
        Ok(parsed) => Some(parsed),
        Err(expected) => {
            wrongs.push(Wrong::new(&expected, &value.raw).inside(name, value.line));
            None
        }
    }
}
