//! `longhaul settings`, and what every command shares: exit codes, JSON lines, usage errors.

use std::process::Stdio;

use crate::support::{Place, json_lines};

const COMPLETE: &str = r#"
[iconik]
app_id = "4711"
token = { file = "token" }
[content_server]
url = "https://cs.example.com/otcs/cs.exe"
auth = { user = "svc", password = { env = "CS_PASSWORD" } }
target = { folder = 1, staging = 2 }
"#;

/// A place with complete settings and their secrets.
fn complete() -> Place {
    let place = Place::new();
    place.write("longhaul.toml", COMPLETE);
    place.write("token", "swordfish\n");
    place
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

#[test]
fn show_says_where_each_value_came_from_and_no_secret() {
    let output = complete()
        .longhaul()
        .args(["settings", "show", "--ledger", "run.db"])
        .env("LONGHAUL_SOURCE_STREAMS", "7")
        .env("LONGHAUL_CONTENT_SERVER_AUTH_PASSWORD", "hunter2")
        .assert()
        .success()
        .get_output()
        .clone();
    let shown = text(&output.stdout);
    for (key, words) in [
        ("ledger.path", ["run.db", "flag --ledger"]),
        (
            "source.streams",
            ["7", "environment LONGHAUL_SOURCE_STREAMS"],
        ),
        ("iconik.app_id", ["\"4711\"", "longhaul.toml:3"]),
        ("iconik.token", ["(set, from file", "longhaul.toml:4"]),
        ("transfer.memory", ["256 MiB", "default"]),
        ("network.ca_file", ["(not set)", "default"]),
    ] {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap();
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    let all = shown + &text(&output.stderr);
    assert!(!all.contains("hunter2") && !all.contains("swordfish"));
    assert!(!all.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn show_as_json_is_a_line_for_each_setting() {
    let output = complete()
        .longhaul()
        .args(["--json", "settings", "show"])
        .assert()
        .success()
        .get_output()
        .clone();
    let lines = json_lines(&output.stdout);
    let token = lines
        .iter()
        .find(|line| line["key"] == "iconik.token")
        .unwrap();
    assert_eq!(token["secret"], true);
    let exit = lines.last().unwrap();
    assert_eq!((&exit["code"], &exit["name"]), (&0.into(), &"done".into()));
}

#[test]
fn check_says_all_is_well_once_every_secret_can_be_read() {
    complete()
        .longhaul()
        .args(["settings", "check"])
        .env("CS_PASSWORD", "hunter2")
        .assert()
        .success();
    let output = complete()
        .longhaul()
        .args(["settings", "check"])
        .assert()
        .code(2)
        .get_output()
        .clone();
    let error = text(&output.stderr);
    assert!(
        error.contains("content_server.auth.password") && error.contains("CS_PASSWORD"),
        "{error}"
    );
}

#[test]
fn check_names_everything_that_is_missing_at_once() {
    let output = Place::new()
        .longhaul()
        .args(["settings", "check", "--json"])
        .assert()
        .code(2)
        .get_output()
        .clone();
    let lines = json_lines(&output.stdout);
    let message = lines.last().unwrap()["message"].as_str().unwrap();
    for name in [
        "iconik.app_id",
        "iconik.token",
        "content_server.url",
        "content_server.target.folder",
    ] {
        assert!(message.contains(name), "{name} not in {message}");
    }
}

#[test]
fn a_wrong_file_is_a_usage_error_with_line_and_near_match() {
    let place = Place::new();
    place.write("longhaul.toml", "[iconik]\ntokn = \"swordfish\"\n");
    let output = place
        .longhaul()
        .args(["settings", "show"])
        .assert()
        .code(2)
        .get_output()
        .clone();
    let error = text(&output.stderr);
    assert!(
        error.contains(
            "longhaul.toml:2: unknown setting `iconik.tokn`; did you mean `iconik.token`?"
        ),
        "{error}"
    );
    assert!(!error.contains("swordfish"), "{error}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_file_named_in_the_environment_is_used() {
    let place = Place::new();
    place.write("other.toml", "source.streams = 5\n");
    let output = place
        .longhaul()
        .args(["settings", "show"])
        .env("LONGHAUL_CONFIG", "other.toml")
        .assert()
        .success()
        .get_output()
        .clone();
    assert!(text(&output.stdout).contains("other.toml:1"));
}

#[test]
fn a_misspelt_variable_is_warned_of() {
    let output = complete()
        .longhaul()
        .args(["settings", "show"])
        .env("LONGHAUL_ICONIC_URL", "https://iconik.example.com")
        .assert()
        .success()
        .get_output()
        .clone();
    assert!(text(&output.stderr).contains("LONGHAUL_ICONIK_URL"));
}

#[test]
fn usage_errors_are_code_2_and_an_exit_line_in_json() {
    let place = Place::new();
    let output = place
        .longhaul()
        .arg("archiv")
        .assert()
        .code(2)
        .get_output()
        .clone();
    assert!(
        text(&output.stderr).contains("archive"),
        "clap names the near command"
    );
    let output = place
        .longhaul()
        .args(["--json", "settings", "show", "--frobnicate"])
        .assert()
        .code(2)
        .get_output()
        .clone();
    let lines = json_lines(&output.stdout);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["name"], "usage");
    assert!(
        lines[0]["message"]
            .as_str()
            .unwrap()
            .contains("--frobnicate")
    );
}

#[test]
fn help_and_version_are_no_errors() {
    for flag in ["--help", "--version"] {
        let output = Place::new()
            .longhaul()
            .arg(flag)
            .assert()
            .success()
            .get_output()
            .clone();
        assert!(text(&output.stdout).contains("longhaul"), "{flag}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_panic() {
    let place = complete();
    let mut child = place
        .bare()
        .args(["settings", "show"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let error = text(&output.stderr);
    assert!(
        output.status.success() && error.is_empty(),
        "{:?} {error}",
        output.status
    );
}
