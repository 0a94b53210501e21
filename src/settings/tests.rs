//! Settings as a whole: layers, origins and everything that can be wrong.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::ExposeSecret;

use super::*;
use crate::types::{GIB, MIB, NodeId};

const COMPLETE: &str = r#"
[iconik]
app_id = "4711"
token = { env = "TOKEN" }
[content_server]
url = "https://cs.example.com/otcs/cs.exe"
auth = { user = "svc", password = { env = "PASSWORD" } }
target = { folder = 1, staging = 2 }
"#;

/// The settings of a file with this text, or everything wrong with it.
pub(super) fn read(text: &str) -> Result<Resolved, String> {
    let given = given(text);
    load(&given.sources).map_err(|problems| problems.to_string())
}

/// A directory with a settings file of mode 0600, and sources that read it.
struct Given {
    dir: tempfile::TempDir,
    sources: Sources,
}

fn given(toml: &str) -> Given {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("longhaul.toml");
    std::fs::write(&path, toml).unwrap();
    chmod(&path, 0o600);
    let sources = Sources {
        config: Some(path),
        ..Sources::default()
    };
    Given { dir, sources }
}

impl Given {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.into(), value.into());
        self
    }

    fn flag(mut self, flag: &str, key: &str, value: &str) -> Self {
        self.sources.flags.push(Flag {
            flag: flag.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    fn load(&self) -> Result<Resolved, Problems> {
        load(&self.sources)
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Loads settings that are wrong and checks that some line says all of `words`.
#[track_caller]
fn check_refused(given: &Given, words: &[&str]) {
    let problems = given.load().unwrap_err().to_string();
    assert!(
        problems
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word))),
        "{words:?} not in:\n{problems}"
    );
}

#[track_caller]
fn shown(resolved: &Resolved, key: &str) -> (String, String) {
    let shown = resolved
        .shown
        .iter()
        .find(|shown| shown.key == key)
        .unwrap();
    (
        shown.value.clone().unwrap_or_default(),
        shown.origin.to_string(),
    )
}

#[test]
fn without_anything_set_the_defaults_hold_and_the_systems_say_what_they_miss() {
    let resolved = load(&Sources::default()).unwrap();
    assert_eq!(resolved.transfer.memory, 256 * MIB);
    assert_eq!(resolved.ledger.path, Path::new("longhaul.db"));
    assert_eq!(resolved.pace.bandwidth, Rate::Unlimited);
    assert!(resolved.transfer.sidecar && resolved.network.allow.is_empty());
    let missing = resolved.systems().unwrap_err().to_string();
    for name in [
        "`iconik.app_id`",
        "LONGHAUL_ICONIK_APP_ID",
        "LONGHAUL_ICONIK_TOKEN_FILE",
        "`content_server.url`",
        "`content_server.auth.user`",
        "`content_server.target.staging`",
    ] {
        assert!(missing.contains(name), "{name} not in {missing}");
    }
    let iconik = resolved.iconik().unwrap_err().to_string();
    assert!(!iconik.contains("content_server"), "{iconik}");
}

#[test]
fn every_setting_of_the_full_fixture_arrives() {
    let given = given(include_str!("../../fixtures/settings/full.toml"));
    let resolved = given.load().unwrap();
    let (iconik, server) = resolved.systems().unwrap();
    assert_eq!(iconik.versions, Versions::Current);
    assert_eq!(iconik.calls_per_second, 20);
    assert_eq!(
        iconik.mounts[&"other".into()],
        given.dir.path().join("mounts/other"),
        "paths in the file stand beside it"
    );
    assert!(matches!(&iconik.token.place,
        Place::File(path) if *path == given.dir.path().join("secrets/iconik")));
    assert!(matches!(&server.auth,
        ContentServerAuth::Password { user, password }
            if user == "svc-longhaul" && matches!(&password.place, Place::Environment(_))));
    assert_eq!(server.name, "records");
    assert_eq!(
        server.target,
        Target {
            folder: NodeId(12345),
            staging: NodeId(12346)
        }
    );
    assert_eq!(server.commit_quiet.as_secs(), 20 * 60);
    assert_eq!(server.versioning, Versioning::Major);
    assert_eq!(server.single_post_max, Some(4 * GIB));
    assert_eq!(
        resolved.ledger.path,
        given.dir.path().join("state/longhaul.db")
    );
    assert_eq!(resolved.transfer.oversize, Oversize::Split);
    assert!(!resolved.transfer.sidecar && !resolved.transfer.tune);
    assert_eq!(
        resolved.network.congestion_control.as_deref(),
        Some("cubic")
    );
    assert_eq!(resolved.network.plain_http, ["storage.example.com"]);
    assert_eq!(resolved.network.allow[1].to_string(), "192.168.7.9/32");
    assert_eq!(resolved.pace.bandwidth, Rate::BytesPerSecond(600 * MIB));
    let egress = resolved.prices.egress.as_ref().map(ToString::to_string);
    assert_eq!(egress.as_deref(), Some("0.09 EUR/GB"));
    assert_eq!(resolved.pace.calendar.len(), 2);
    assert_eq!(resolved.pace.calendar[0].days.len(), 5);
    assert_eq!(resolved.pace.calendar[1].bandwidth, Some(Rate::Unlimited));
    for shown in &resolved.shown {
        let otds = shown.key.starts_with("content_server.otds.");
        assert!(
            otds || shown.origin != Origin::Default,
            "{} is not in the fixture",
            shown.key
        );
    }
}

#[test]
fn everything_wrong_in_a_file_is_said_at_once_with_its_line() {
    let given = given(include_str!("../../fixtures/settings/broken.toml"));
    for words in [
        [
            ":3:",
            "unknown setting `iconik.app_ld`; did you mean `iconik.app_id`?",
        ],
        [
            ":4:",
            "`iconik.token` has an unknown place `flie`; did you mean `file`?",
        ],
        [
            ":5:",
            "`iconik.calls_per_second` expects a whole number from 1 to 100000, found the text \"45\"",
        ],
        [":8:", "`content_server.url` expects an address"],
        [
            ":9:",
            "`content_server.target` expects a table with folder, staging, found the number 12345",
        ],
        [
            ":12:",
            "`transfer.memory` expects a size with its unit, such as \"256 MiB\", found the boolean true",
        ],
        [
            ":13:",
            "unknown setting `transfer.uploads`; did you mean `content_server.uploads`?",
        ],
        [":14:", "Content Server gives none"],
        [":18:", "unknown entry `dayz`; did you mean `days`?"],
        [
            ":18:",
            "`pace.calendar.from` expects a time of day such as \"08:00\", found the text \"8\"",
        ],
        [":21:", "unknown setting `networking`"],
    ] {
        check_refused(&given, &words);
    }
    assert_eq!(given.load().unwrap_err().0.len(), 11);
}

#[test]
fn flags_go_over_the_environment_over_the_file_over_the_default() {
    let file = format!("{COMPLETE}[source]\nstreams = 8\n[transfer]\nitems = 5\n");
    let given = given(&file)
        .env("LONGHAUL_SOURCE_STREAMS", "9")
        .env("LONGHAUL_LEDGER_PATH", "env.db")
        .flag("--ledger", "ledger.path", "flag.db");
    let resolved = given.load().unwrap();
    assert_eq!(resolved.source.streams, 9);
    assert_eq!(
        shown(&resolved, "source.streams"),
        ("9".into(), "environment LONGHAUL_SOURCE_STREAMS".into())
    );
    assert_eq!(
        shown(&resolved, "ledger.path"),
        ("flag.db".into(), "flag --ledger".into())
    );
    let (items, origin) = shown(&resolved, "transfer.items");
    assert!(
        items == "5" && origin.ends_with("longhaul.toml:12"),
        "{origin}"
    );
    assert_eq!(
        shown(&resolved, "transfer.memory"),
        ("256 MiB".into(), "default".into())
    );
}

#[test]
fn empty_variables_count_as_not_set() {
    let given = given(COMPLETE).env("LONGHAUL_SOURCE_STREAMS", "");
    assert_eq!(given.load().unwrap().source.streams, 32);
}

#[test]
fn structured_settings_fit_into_one_variable() {
    let given = given(COMPLETE)
        .env("LONGHAUL_ICONIK_MOUNTS", "{ s1 = \"/mnt/one\" }")
        .env("LONGHAUL_NETWORK_ALLOW", "10.0.0.0/8, fd00::/8")
        .env(
            "LONGHAUL_PACE_CALENDAR",
            "[{ from = \"20:00\", to = \"06:00\", bandwidth = \"1 GiB/s\" }]",
        );
    let resolved = given.load().unwrap();
    assert_eq!(
        resolved.iconik().unwrap().mounts[&"s1".into()],
        Path::new("/mnt/one")
    );
    assert_eq!(resolved.network.allow.len(), 2);
    let rule = &resolved.pace.calendar[0];
    assert!(rule.bandwidth.is_some(), "a rate, no pause");
    assert_eq!(rule.days.len(), 7, "daily unless days are named");
    assert!(rule.to < rule.from, "ends on the next day");
}

#[test]
fn a_wrong_value_names_the_variable_or_flag_it_came_from() {
    let given = given(COMPLETE)
        .env("LONGHAUL_SOURCE_STREAMS", "many")
        .flag("--limit-bandwidth", "pace.bandwidth", "fast")
        .flag("--set", "transfer.verfy", "sent");
    check_refused(
        &given,
        &[
            "environment LONGHAUL_SOURCE_STREAMS: `source.streams`",
            "\"many\"",
        ],
    );
    check_refused(
        &given,
        &["flag --limit-bandwidth: `pace.bandwidth` expects a rate"],
    );
    check_refused(
        &given,
        &["flag --set: unknown setting `transfer.verfy`; did you mean `transfer.verify`?"],
    );
}

#[test]
fn a_secret_is_shown_only_by_its_place() {
    let given = given(COMPLETE)
        .env("LONGHAUL_ICONIK_TOKEN", "swordfish")
        .env(
            "LONGHAUL_CONTENT_SERVER_AUTH_PASSWORD_FILE",
            "/run/secrets/cs",
        );
    let resolved = given.load().unwrap();
    assert_eq!(
        shown(&resolved, "iconik.token"),
        (
            "(set, as it is)".into(),
            "environment LONGHAUL_ICONIK_TOKEN".into()
        )
    );
    assert_eq!(
        shown(&resolved, "content_server.auth.password").0,
        "(set, from file /run/secrets/cs)"
    );
    assert!(!format!("{resolved:?}").contains("swordfish"));
    let Place::Literal(token) = &resolved.iconik().unwrap().token.place else {
        panic!("a literal")
    };
    assert_eq!(token.expose_secret(), "swordfish");
}

#[test]
fn a_literal_secret_needs_a_private_file() {
    let file = COMPLETE.replace("{ env = \"TOKEN\" }", "\"swordfish\"");
    let given = given(&file);
    assert!(given.load().is_ok());
    chmod(given.sources.config.as_ref().unwrap(), 0o640);
    check_refused(
        &given,
        &[":4: `iconik.token` is written in a file that is not private (its mode is 0640)"],
    );
    assert!(!given.load().unwrap_err().to_string().contains("swordfish"));
}

#[test]
fn a_secret_cannot_be_a_flag() {
    let given = given(COMPLETE).flag("--set", "iconik.token", "swordfish");
    check_refused(&given, &["`iconik.token` is a secret and cannot be a flag"]);
    assert!(!given.load().unwrap_err().to_string().contains("swordfish"));
}

#[test]
fn a_secret_in_two_variables_is_refused() {
    let given = given(COMPLETE)
        .env("LONGHAUL_ICONIK_TOKEN", "x")
        .env("LONGHAUL_ICONIK_TOKEN_FILE", "/x");
    check_refused(
        &given,
        &[
            "LONGHAUL_ICONIK_TOKEN",
            "LONGHAUL_ICONIK_TOKEN_FILE is set too",
        ],
    );
}

#[test]
fn secrets_put_in_the_wrong_place_are_not_repeated() {
    for line in [
        "content_server.auth = \"swordfish\"",
        "content_server.auth.password = { literal = \"swordfish\" }",
        "content_server.auth.password = [\"swordfish\"]",
        "content_server.url = \"https://svc:swordfish@cs.example.com/\"",
        "iconik.url = \"https://app.iconik.io/?token=swordfish\"",
        "content_server.auth.password = \"swordfish",
    ] {
        let problems = given(line).load().unwrap_err().to_string();
        assert!(!problems.contains("swordfish"), "{problems}");
    }
}

#[test]
fn contradictions_are_named() {
    for (replace, with, words) in [
        ("staging = 2", "staging = 1", "is the target folder itself"),
        (
            "auth = ",
            "commit_quiet = \"2 s\"\nauth = ",
            "`content_server.commit_quiet` is shorter than",
        ),
        (
            "auth = ",
            "otds = { client_id = \"x\" }\nauth = ",
            "are both set",
        ),
        (
            "https://cs.example.com",
            "http://cs.example.com",
            "name cs.example.com in `network.plain_http`",
        ),
    ] {
        check_refused(
            &given(&COMPLETE.replace(replace, with)),
            &["longhaul.toml:", words],
        );
    }
}

#[test]
fn addresses_without_tls_are_for_this_machine_or_by_name() {
    let local = COMPLETE.replace("https://cs.example.com", "http://127.0.0.1:8080");
    assert!(given(&local).load().is_ok());
    let named =
        COMPLETE.replace("https", "http") + "[network]\nplain_http = [\"CS.example.com\"]\n";
    assert!(given(&named).load().is_ok());
}

#[test]
fn otds_is_the_other_way_to_sign_in() {
    let file = COMPLETE.replace(
        "auth = { user = \"svc\", password = { env = \"PASSWORD\" } }",
        "otds = { client_id = \"c\", client_secret = { command = \"pass show otds\" }, token_url = \"https://otds.example.com/otdsws/oauth2/token\" }",
    );
    let resolved = given(&file).load().unwrap();
    let server = resolved.content_server().unwrap();
    assert!(matches!(&server.auth,
        ContentServerAuth::Otds { client_secret, .. }
            if matches!(&client_secret.place, Place::Command(argv) if argv.len() == 3)));
    assert_eq!(server.name, "cs.example.com", "the host names the instance");
}

#[test]
fn a_file_that_was_named_must_exist() {
    let sources = Sources {
        config: Some("/nonexistent/longhaul.toml".into()),
        ..Sources::default()
    };
    let problems = load(&sources).unwrap_err().to_string();
    assert!(
        problems.starts_with("flag --config: cannot read"),
        "{problems}"
    );
}

#[test]
fn the_users_own_file_is_found_after_the_directorys() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("longhaul")).unwrap();
    std::fs::write(
        dir.path().join("longhaul/longhaul.toml"),
        "source.streams = 3",
    )
    .unwrap();
    let mut sources = Sources::default();
    sources
        .environment
        .insert("XDG_CONFIG_HOME".into(), dir.path().into());
    assert_eq!(load(&sources).unwrap().source.streams, 3);
}

#[test]
fn misspelt_variables_are_warned_of_and_foreign_ones_are_not() {
    let given = given(COMPLETE)
        .env("LONGHAUL_ICONIC_URL", "https://x.example")
        .env("LONGHAUL_PORT", "tcp://10.0.0.1:80")
        .env("LONGHAUL_ICONIK_TOKEN_FILE", "/x");
    let warnings = given.load().unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("did you mean LONGHAUL_ICONIK_URL?"),
        "{warnings:?}"
    );
}

#[test]
fn every_default_is_a_value_its_setting_takes() {
    let resolved = load(&Sources::default()).unwrap();
    for key in KEYS.iter().filter(|key| key.default.is_some()) {
        let (value, origin) = shown(&resolved, key.path);
        assert_eq!(
            (value.as_str(), origin.as_str()),
            (key.default.unwrap(), "default"),
            "{}",
            key.path
        );
    }
}
