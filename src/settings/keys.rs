//! The table of settings: every key once, with its default and the reason for it.
//!
//! The names in the file, in the environment and in `settings show` all come from here, so they
//! cannot drift apart. `iconik.url` in the file is `LONGHAUL_ICONIK_URL` in the environment.

/// How a key's text in the environment or a flag is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text, number or list of words, as written.
    Plain,
    /// A TOML value: a table or an array of tables.
    Structured,
    /// A secret: the text itself, or `…_FILE`, `…_ENV`, `…_COMMAND`, `…_CREDENTIAL` saying where it is.
    Secret,
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Where it stands in the file: section and name, joined by dots.
    pub path: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// Its default as one would write it; `None` when there is none.
    pub default: Option<&'static str>,
    /// What a value looks like, where the default does not say it.
    pub example: Option<&'static str>,
    /// What it decides, in a sentence for people.
    pub about: &'static str,
}

impl Key {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        variable(self.path)
    }
}

const fn key(path: &'static str, default: Option<&'static str>, about: &'static str) -> Key {
    Key {
        path,
        kind: Kind::Plain,
        default,
        example: None,
        about,
    }
}

const fn structured(path: &'static str, example: &'static str, about: &'static str) -> Key {
    Key {
        path,
        kind: Kind::Structured,
        default: None,
        example: Some(example),
        about,
    }
}

const fn secret(path: &'static str, about: &'static str) -> Key {
    Key {
        path,
        kind: Kind::Secret,
        default: None,
        example: None,
        about,
    }
}

/// Every setting, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    key(
        "iconik.url",
        Some("https://app.iconik.io"),
        "base address of iconik; other regions have their own",
    ),
    key("iconik.app_id", None, "id of the iconik application"),
    secret("iconik.token", "token of the iconik application"),
    // iconik allows about 50 a second per application; 45 leaves room for people's own tools.
    key(
        "iconik.calls_per_second",
        Some("45"),
        "most calls a second to iconik",
    ),
    key(
        "iconik.versions",
        Some("all"),
        "versions of an asset to file: `all` or `current`",
    ),
    structured(
        "iconik.mounts",
        "{ \"storage id\" = \"/mnt/storage\" }",
        "where on-premise storages are mounted: storage id = path",
    ),
    key(
        "content_server.url",
        None,
        "address of Content Server, up to and including its program (`…/otcs/cs.exe`)",
    ),
    key(
        "content_server.name",
        None,
        "name of this instance in markers; the host when unset; never change it later",
    ),
    key("content_server.auth.user", None, "user to sign in as"),
    secret("content_server.auth.password", "that user's password"),
    key(
        "content_server.otds.client_id",
        None,
        "OAuth client to sign in with through OTDS",
    ),
    secret("content_server.otds.client_secret", "that client's secret"),
    key(
        "content_server.otds.token_url",
        None,
        "address of the OTDS token endpoint",
    ),
    key(
        "content_server.target.folder",
        None,
        "node id of the folder that masters are published in",
    ),
    key(
        "content_server.target.staging",
        None,
        "node id of the folder that unfinished masters are kept in, away from people",
    ),
    // The stock server has 8 worker threads that people need too.
    key(
        "content_server.uploads",
        Some("3"),
        "most uploads at the same time",
    ),
    // The request limit and a margin: after it no late commit can appear any more.
    key(
        "content_server.commit_quiet",
        Some("35 min"),
        "wait after an unanswered commit before it may be repeated",
    ),
    // A stock web server's limit for one request (1800 s).
    key(
        "content_server.request_limit",
        Some("30 min"),
        "longest time the server lets one request live",
    ),
    key(
        "content_server.single_post_max",
        None,
        "largest file sent in one request when upload sessions do not take it; refused when unset",
    ),
    key(
        "content_server.versioning",
        Some("standard"),
        "how versions are counted: `standard`, or advanced with each a `major` or a `minor` one",
    ),
    key(
        "source.streams",
        Some("32"),
        "most reads from the source at the same time",
    ),
    key("ledger.path", Some("longhaul.db"), "the ledger's file"),
    key(
        "transfer.memory",
        Some("256 MiB"),
        "most bytes of masters held in memory",
    ),
    key(
        "transfer.verify",
        Some("read-back"),
        "proof before an item is done: `read-back`, `sent`, `size`, or `read-back up to 10 GiB, else sent`",
    ),
    // MD5 halves the rate, so it runs only to compare with one that the source states.
    key(
        "transfer.source_md5",
        Some("when quoted"),
        "compare with the source's MD5: `when quoted` or `never`",
    ),
    key(
        "transfer.oversize",
        Some("refuse"),
        "masters too large for one document: `refuse` or `split`",
    ),
    key("transfer.items", Some("8"), "most items at the same time"),
    key(
        "transfer.tune",
        Some("true"),
        "find out how many uploads and reads at once bring most, within their caps",
    ),
    key(
        "transfer.sidecar",
        Some("true"),
        "file the source's metadata beside each master",
    ),
    key(
        "package.enabled",
        Some("false"),
        "let `archive` end with a package of the campaign",
    ),
    key(
        "package.mhl",
        Some("true"),
        "compute xxh128 and xxh64 while reading back, for the package's fixity history",
    ),
    key(
        "package.organization",
        None,
        "whose campaigns they are, as packages say it",
    ),
    key(
        "package.files",
        Some("20000"),
        "the most files that one package may list; its papers are made in memory, about 10 KB for each file",
    ),
    key(
        "package.container",
        Some("folder"),
        "what a package is in Content Server: \"folder\", \"compound\" (a compound document) or \"workspace\" (the business workspace itself)",
    ),
    key(
        "package.workspace",
        None,
        "business workspace that a package is in, or is: a table as `publish.workspace`, with {title} and the collection's fields",
    ),
    key(
        "package.mark",
        None,
        "what the collection's metadata is told once its package is complete: { view, values = { FIELD = \"text with {day}, {node}, {link}\" } }",
    ),
    key(
        "package.only",
        Some("all"),
        "which masters a package takes: \"all\" that are filed, or those that are \"final\" by `publish.approved`; the others are listed with the reason",
    ),
    key(
        "package.sources",
        Some("list"),
        "assets outside the campaign that its edits use: \"list\" them as gaps, or \"include\" them: they are filed and packed too",
    ),
    key(
        "package.originals",
        Some("keep"),
        "what `package retire` does with the originals in iconik: \"keep\", \"status\" (shown as archived), { storage = \"archive storage id\" }, or \"remove\" (into the recycle bin)",
    ),
    key(
        "migrate.duplicates",
        Some("file"),
        "masters whose content another asset has too: \"file\" them as well, or \"hold\" them for a person",
    ),
    key(
        "network.ca_file",
        None,
        "PEM file of private certificate authorities, beside the system's",
    ),
    key(
        "network.proxy",
        Some("environment"),
        "`environment` honours HTTPS_PROXY, HTTP_PROXY and NO_PROXY; `none` does not",
    ),
    key(
        "network.allow",
        Some(""),
        "private address ranges that an API may send longhaul to, as CIDRs",
    ),
    key(
        "network.plain_http",
        Some(""),
        "hosts that may be reached without TLS",
    ),
    key(
        "network.connect_timeout",
        Some("10 s"),
        "longest time to connect, TLS included",
    ),
    key(
        "network.first_byte_timeout",
        Some("60 s"),
        "longest time to the start of an answer",
    ),
    key(
        "network.stall_timeout",
        Some("30 s"),
        "longest silence while a body moves",
    ),
    key(
        "network.retry_wait",
        Some("500 ms"),
        "longest wait before a call is made again; doubles with each attempt, up to 30 s",
    ),
    key(
        "network.congestion_control",
        None,
        "congestion control of connections, such as `cubic` or `bbr`; unset leaves the system's",
    ),
    key(
        "pace.bandwidth",
        Some("unlimited"),
        "highest rate of masters' bytes, such as `600 MiB/s` or `4 Gbit/s`",
    ),
    structured(
        "pace.calendar",
        "[{ days = [\"mon\", \"fri\"], from = \"08:00\", to = \"18:00\", zone = \"Europe/Berlin\", bandwidth = \"200 MiB/s\" }]",
        "other rates at other times: { days, from, to, zone, bandwidth }, first match holds; bandwidth `pause` begins nothing",
    ),
    key(
        "prices.egress",
        None,
        "what reading from cloud storages costs, such as `0.09 EUR/GB`; plans state it",
    ),
    key(
        "prices.restore",
        None,
        "what restoring archived masters costs, such as `0.02 EUR/GB`; plans state it",
    ),
    key(
        "prices.storage",
        None,
        "what keeping filed masters costs a month, such as `0.03 EUR/GB`; plans state it",
    ),
    key(
        "schedule.flows",
        Some(""),
        "what `longhaul run` runs, in order: command lines without `longhaul`",
    ),
    structured(
        "map.fields",
        "{ campaign = { iconik = \"campaign\", category = \"Media record\", attribute = \"Campaign\", required = true }, \
           expiry_date = { category = \"Media record\", attribute = \"Expiry date\", type = \"date\" } }",
        "which iconik field fills which category attribute: by name, { iconik, category, set, attribute, type, values, default, required, truth }",
    ),
    Key {
        kind: Kind::Structured,
        default: Some("review"),
        ..structured(
            "publish.approved",
            "review",
            "which assets are final: `review` (approved in iconik), `any`, or { field, values }",
        )
    },
    key(
        "publish.place",
        None,
        "folders below the target from metadata, such as `/{campaign}/{region}`; made when missing",
    ),
    structured(
        "publish.workspace",
        "{ type = \"Campaign\", name = \"{campaign}\" }",
        "business workspace that records are filed in instead of the target folder: { type, template, name, external_system, external_type, external_id, create, fields, participants }",
    ),
    structured(
        "publish.permissions",
        "{ public = \"none\", group = 1001, group_rights = \"read\", custom = { 2002 = [\"see\", \"see_contents\"] } }",
        "who may do what with a record: { owner, owner_rights, group, group_rights, public, custom }",
    ),
    structured(
        "publish.access",
        "{ field = \"rights_status\", values = { restricted = { public = \"none\", group = 1001, group_rights = \"read\" } } }",
        "permissions by a field's value in either system's spelling, instead of `publish.permissions`: { field, values = { word = permissions } }",
    ),
    key(
        "publish.classifications",
        Some(""),
        "node ids of the classifications that a record gets",
    ),
    structured(
        "publish.records_class",
        "{ field = \"rights_status\", values = { cleared = 4711 }, default = 4712 }",
        "records management classification that makes it a record: a node id, or { field, values, default }",
    ),
    structured(
        "publish.security",
        "{ field = \"rights_status\", values = { restricted = { level = 30, markings = [\"LEGAL\"] } } }",
        "security clearance by a field's value: { field, values = { word = { level, markings } } }",
    ),
    key("publish.official", Some("false"), "mark records official"),
    // It can refuse every later edit, so it is asked for.
    key("publish.finalise", Some("false"), "finalise records"),
    key(
        "publish.locked",
        Some("hold"),
        "new content of a finalised or held record: `hold` (a person decides) or `supersede` (a document of its own)",
    ),
    key(
        "publish.rename",
        Some("false"),
        "rename a record when its asset's file has another name",
    ),
    key(
        "publish.relocate",
        Some("false"),
        "move a record when its place by metadata is another",
    ),
    structured(
        "publish.write_back",
        "{ view = \"view id\", record = \"record_id\", version = \"record_version\", link = \"record_link\" }",
        "fields of an iconik metadata view that are told what was filed: { view, record, version, link, sha256, proof, filed }",
    ),
    structured(
        "rights.fields",
        "{ status = \"rights_status\", owner = \"owner\", ends = \"expiry_date\", regions = \"region\", media = \"media\" }",
        "iconik fields that hold a licence; with any, a rights sidecar is filed beside each master: { status, owner, licensee, begins, ends, regions, excluded, media, uses, purpose, industry, language, recipient, restrictions, duties }",
    ),
    structured(
        "rights.words",
        "{ regions = { DACH = [\"DE\", \"AT\", \"CH\"] }, restrictions = { \"No edits\" = [\"modify\", \"derive\"] } }",
        "what words of those fields stand for: tables by the same names",
    ),
    structured(
        "rights.licences",
        "{ tv = { fields = { media = \"tv_media\", regions = \"tv_regions\", ends = \"tv_until\" } } }",
        "several licences of one asset, by name, each with fields of its own beside those of `rights.fields`: { fields, rows, relation }; with `rows = true` the first value of each field is one licence, the second the next; with `relation` each asset that the master has this relation to is one, and has the fields",
    ),
    structured(
        "rights.papers",
        "{ release = { role = \"talent-release\", relation = \"RELEASE\", required = { field = \"talent\", values = [\"yes\"] } } }",
        "papers that prove it, by name: { role, relation | format | field | folder, files, required }; a master whose required papers are missing is held",
    ),
    key(
        "rights.papers_place",
        Some("/Rights papers"),
        "folders below the target that papers from iconik are filed in",
    ),
    key(
        "rights.cross_reference",
        None,
        "kind of cross-reference from a record to its papers, as records management defines it",
    ),
    key(
        "rights.shortcuts",
        Some("false"),
        "keep a shortcut to each of its papers beside a master's sidecars",
    ),
    Key {
        kind: Kind::Structured,
        default: Some("document"),
        ..structured(
            "rights.sidecar",
            "{ rendition = \"rights\" }",
            "what a published master's rights sidecar is, which is a document beside it in any case: document, related (a related item of the record too, by `rights.cross_reference`), or { rendition = \"TYPE\" } (a rendition of the master too)",
        )
    },
    Key {
        kind: Kind::Structured,
        default: Some("review"),
        ..structured(
            "approval.when",
            "review",
            "when a filed asset is ready for formal approval: `review` (approved in iconik), `any`, or { field, values }",
        )
    },
    structured(
        "approval.routes",
        "[{ name = \"legal\", map = \"Legal review\", when = { rights_status = [\"restricted\"] }, form = { Campaign = \"{campaign}\" } }]",
        "which workflow map an asset goes into, the first that fits: { name, map, when = { field = values }, form = { label or key = template } }",
    ),
    structured(
        "approval.outcome",
        "{ from = \"activities\", approved = [\"Approve\"], rejected = [\"Reject\"] }",
        "where a finished workflow's outcome is read: { from = `activities`, `comments`, `audit`, `steps`, `attribute` or `document`, attribute, category, set, approved, rejected }",
    ),
    structured(
        "approval.mark",
        "{ category = \"Media record\", attribute = \"Approval\", running = \"in approval\", approved = \"approved\", rejected = \"rejected\" }",
        "attribute on the document that says how far its approval is: { category, set, attribute, running, approved, rejected }",
    ),
    structured(
        "approval.tell",
        "{ view = \"view id\", status = \"approval_status\", approver = \"approver\", comment = \"approval_comment\" }",
        "fields of an iconik metadata view that are told about an approval: { view, status, outcome, route, process, step, steps, approver, comment, date, due, document }",
    ),
    key(
        "approval.vote",
        Some("false"),
        "give iconik's review a vote of longhaul's user when an approval ends",
    ),
    structured(
        "lifecycle.status",
        "{ field = \"obsolete\", values = { true = \"obsolete\" } }",
        "iconik field whose values mean `obsolete`, `superseded` or `expired`: { field, values }",
    ),
    key(
        "lifecycle.relation",
        None,
        "relation by which an asset supersedes another, such as `supersedes`",
    ),
    key(
        "lifecycle.expiry",
        None,
        "iconik field with the last day of use; an asset is expired the day after",
    ),
    structured(
        "lifecycle.record_status",
        "{ obsolete = \"OBSOLETE\", superseded = \"SUPERSEDED\", expired = \"EXPIRED\" }",
        "the record's file status for each mark: { obsolete, superseded, expired }",
    ),
    structured(
        "lifecycle.attribute",
        "{ category = \"Lifecycle\", attribute = \"Status\", date = \"Since\", values = { obsolete = \"Obsolete\" } }",
        "category attribute that is told the mark: { category, attribute, date, values }",
    ),
    key(
        "lifecycle.review_days",
        None,
        "days until a marked record is to be reviewed; sets its next review date",
    ),
    key(
        "lifecycle.cross_reference",
        None,
        "type of the cross-reference from a superseded record to its successor",
    ),
    structured(
        "lifecycle.outcome",
        "{ from = \"disposition\", search = 4711, values = { \"32\" = \"destroy\", archive = \"archive\", \"0\" = \"retain\" } }",
        "where Content Server's outcome is read: { from, category, attribute, search, values }; from is `attribute`, `schedule` or `disposition`",
    ),
    key(
        "lifecycle.archive",
        Some("status"),
        "what the outcome `archive` does in iconik: `status`, `nothing`, or { storage } to move the originals",
    ),
    // Nothing is ever destroyed unless somebody asked for it here and decided it for the asset.
    key(
        "lifecycle.destroy",
        Some("false"),
        "whether the outcome `destroy` may be carried out at all",
    ),
    key(
        "lifecycle.certificates",
        Some("Certificates of destruction"),
        "folders below the target that certificates of destruction are filed in",
    ),
    key(
        "references.audience",
        None,
        "id of the Content Server user or group whose rights decide which documents iconik shows",
    ),
    structured(
        "references.rules",
        "{ briefs = { collections = [\"collection id\"], workspace = { type = \"Campaign\", name = \"{title}\" }, path = \"Briefs\" } }",
        "which documents are shown at which collections: by name, { collections, folder, workspace, search, path, deep, only, into, field, title }",
    ),
    key(
        "exchange.record",
        Some("comments, markers, status, approvals"),
        "what of iconik goes into an asset's review record: any of `comments`, `markers`, `status`, `approvals`",
    ),
    structured(
        "exchange.comments",
        "{ category = \"Media record\", attribute = \"Comments\" }",
        "the category attribute that people at Content Server write comments in, a value each: { category, set, attribute }",
    ),
    key(
        "exchange.workflow",
        Some("true"),
        "comments, decisions and signatures of an asset's approval processes go into its review record",
    ),
    key(
        "exchange.show_as",
        Some("comment"),
        "what a remark from Content Server is in iconik: `comment` or `generic` (time-based metadata)",
    ),
    key(
        "exchange.full_every",
        Some("1 h"),
        "how long after a run that read the remarks of every filed asset the next such run is due; those between read what seems changed",
    ),
];

/// What can be said of where a secret is, in the file as a table and in the environment as a
/// suffix.
pub(super) const SECRET_PLACES: [&str; 4] = ["file", "env", "command", "credential"];

/// The key with that path.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The environment variable of a path: `iconik.app_id` is `LONGHAUL_ICONIK_APP_ID`.
pub(super) fn variable(path: &str) -> String {
    format!("LONGHAUL_{}", path.replace('.', "_").to_ascii_uppercase())
}

/// Whether keys stand below that path.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| {
        key.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The names directly below a section, in order.
pub(super) fn children(section: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in KEYS {
        let rest = if section.is_empty() {
            Some(key.path)
        } else {
            key.path
                .strip_prefix(section)
                .and_then(|rest| rest.strip_prefix('.'))
        };
        let Some(name) = rest.and_then(|rest| rest.split('.').next()) else {
            continue;
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What was probably meant by an unknown path.
pub(super) fn near(path: &str) -> Option<String> {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    if let Some(sibling) = nearest(name, children(section)) {
        return Some(if section.is_empty() {
            sibling.to_owned()
        } else {
            format!("{section}.{sibling}")
        });
    }
    // The right name in the wrong section.
    if let Some(key) = KEYS
        .iter()
        .find(|key| key.path.rsplit('.').next() == Some(name))
    {
        return Some(key.path.to_owned());
    }
    nearest(path, KEYS.iter().map(|key| key.path)).map(str::to_owned)
}

/// The candidate that `word` is a misspelling of: at most a third of its letters differ.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_settings_share_a_variable() {
        let mut seen = BTreeSet::new();
        for key in KEYS {
            assert!(seen.insert(key.variable()), "{} twice", key.variable());
            if key.kind == Kind::Secret {
                for place in SECRET_PLACES {
                    let variable = variable(&format!("{}.{place}", key.path));
                    assert!(seen.insert(variable.clone()), "{variable} twice");
                }
            }
        }
        assert!(!seen.contains("LONGHAUL_CONFIG"), "names the file itself");
    }

    #[test]
    fn a_key_is_never_a_section_too() {
        for key in KEYS {
            assert!(!is_section(key.path), "{}", key.path);
        }
        assert!(is_section("content_server.auth"));
        assert!(!is_section("icon"));
    }

    #[test]
    fn misspelt_and_misplaced_keys_find_their_neighbour() {
        for (typed, meant) in [
            ("iconik.tokn", Some("iconik.token")),
            ("iconik.appid", Some("iconik.app_id")),
            ("iconic", Some("iconik")),
            ("contentserver", Some("content_server")),
            ("transfer.uploads", Some("content_server.uploads")),
            (
                "content_server.auth.pasword",
                Some("content_server.auth.password"),
            ),
            ("iconik.completely_different", None),
        ] {
            assert_eq!(near(typed).as_deref(), meant, "{typed}");
        }
    }
}
