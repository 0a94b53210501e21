//! No secret and no signed address anywhere it could be read: logs at their loudest, the ledger
//! and its log, reports, the process list, and what children are given.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longhaul::simulator::content_server::User;
use longhaul::simulator::faults::Scenario;
use longhaul::simulator::{Options, campaign};

use crate::support::{Systems, of_type};

const TOKEN: &str = "c4n4ry-t0ken-5b0f7a1e";
const PASSWORD: &str = "c4n4ry p4ss&word=%41";

/// What must be nowhere: the secrets, as they are and as addresses and forms write them, and what
/// signs an address or opens a session.
const NOWHERE: [&str; 8] = [
    TOKEN,
    PASSWORD,
    "c4n4ry%20p4ss",
    "c4n4ry+p4ss",
    "c4n4ry p4ss",
    "X-Amz-Signature=",
    "X-Amz-Credential=",
    "X-Amz-Security-Token=",
];

#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    for secret in NOWHERE {
        let found = bytes
            .windows(secret.len())
            .position(|window| window == secret.as_bytes());
        if let Some(at) = found {
            let near = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
            panic!("{what} holds {secret:?}: {}", String::from_utf8_lossy(near));
        }
    }
}

/// Both systems, whose secrets are canaries.
fn systems() -> Systems {
    let systems = Systems::start(Options::with(campaign::small()));
    let simulator = &systems.simulator;
    simulator.iconik().add_token(TOKEN, true, &[]);
    let server = simulator.content_server();
    let user = server.add_user(User {
        name: "svc-canary".into(),
        password: PASSWORD.into(),
        administrator: true,
    });
    let rights = [
        "see",
        "see_contents",
        "modify",
        "edit_attributes",
        "add_items",
        "reserve",
        "add_major_version",
        "delete_versions",
        "delete",
        "edit_permissions",
    ];
    let parts = simulator.parts();
    for node in [parts.target, parts.staging] {
        server.grant(node, user, &rights).expect("known rights");
    }
    // The token is printed by a command, which keeps what it was given; the password is in a
    // variable of the operator's own.
    let place = &systems.place;
    place.write("token", TOKEN);
    place.write(
        "print-token",
        "#!/bin/sh\nenv > child-environment\ncat /proc/$$/cmdline > child-arguments\ncat token\n",
    );
    let script = place.path().join("print-token");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700))
        .expect("the mode of an own file");
    let mut toml = simulator.settings_toml();
    let own_token = format!("token = \"{}\"", simulator.iconik().token());
    assert!(toml.contains(&own_token));
    toml = toml.replace(&own_token, "token = { command = [\"./print-token\"] }");
    let own_auth = format!(
        "auth = {{ user = \"{}\", password = \"{}\" }}",
        longhaul::simulator::USER,
        longhaul::simulator::PASSWORD
    );
    assert!(toml.contains(&own_auth));
    toml = toml.replace(
        &own_auth,
        "auth = { user = \"svc-canary\", password = { env = \"CS_PASSWORD\" } }",
    );
    place.write("longhaul.toml", &toml);
    systems
}

#[test]
fn no_secret_is_in_logs_ledger_reports_arguments_or_childrens_environment() {
    let systems = systems();
    let place = systems.place.path().to_owned();
    let scenario = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/scenarios/rough-source.json"),
    )
    .unwrap();
    let scenario: Scenario = serde_json::from_str(&scenario).unwrap();
    systems.simulator.faults().play(scenario);
    let collection = systems.simulator.collection();
    let mut child = systems
        .place
        .bare()
        .args(["archive", &collection, "--json", "--log-level", "trace"])
        .env("CS_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).unwrap();
        bytes
    });
    // While it works, as anybody on the machine sees it.
    let arguments = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    clean("the process list", &arguments);
    // The ledger's log is gone once it is closed: it is looked at while it is in use.
    let over = Arc::new(AtomicBool::new(false));
    let looks = std::thread::spawn({
        let (over, wal) = (Arc::clone(&over), place.join("longhaul.db-wal"));
        move || {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                if let Ok(bytes) = std::fs::read(&wal)
                    && !bytes.is_empty()
                {
                    clean("the ledger's log in use", &bytes);
                    looks += 1;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            looks
        }
    });
    let mut lines = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut lines)
        .unwrap();
    let status = child.wait().unwrap();
    over.store(true, Ordering::Relaxed);
    assert!(looks.join().unwrap() > 0, "it was never there to look at");
    let log = log.join().unwrap();
    let text = String::from_utf8_lossy(&lines);
    assert_eq!(status.code(), Some(1), "three assets need a person: {text}");
    assert!(
        log.len() > 100_000,
        "the log at trace level has only {} bytes",
        log.len()
    );
    clean("the log", &log);
    clean("standard output", &lines);

    let mut looked_at = 0;
    for entry in std::fs::read_dir(&place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.ends_with("token") {
            clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
            looked_at += 1;
        }
    }
    assert!(
        looked_at >= 5,
        "the ledger and what the child kept: {looked_at}"
    );
    let environment = std::fs::read_to_string(place.join("child-environment")).unwrap();
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("CS_PASSWORD"), "{environment}");

    for arguments in [
        &["status"][..],
        &["audit"],
        &["audit", "verify"],
        &["settings", "show"],
        &["verify"],
    ] {
        for json in [&[][..], &["--json"]] {
            let done = systems
                .place
                .bare()
                .args(arguments)
                .args(json)
                .args(["--log-level", "trace"])
                .env("CS_PASSWORD", PASSWORD)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert!(done.status.code().is_some(), "{arguments:?}");
            clean(&format!("{arguments:?}"), &done.stdout);
            clean(&format!("the log of {arguments:?}"), &done.stderr);
        }
    }
    systems.stop();
}

#[test]
fn a_refused_sign_in_repeats_no_secret() {
    let systems = systems();
    let done = systems
        .place
        .bare()
        .args([
            "archive",
            &systems.simulator.collection(),
            "--log-level",
            "trace",
        ])
        .env("CS_PASSWORD", format!("{PASSWORD} wrong"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(77));
    clean("standard output", &done.stdout);
    clean("the log", &done.stderr);
    systems.stop();
}

#[test]
fn what_longhaul_writes_is_for_its_owner_alone_whatever_the_umask() {
    let systems = Systems::start(Options::with(campaign::one(5_000_000)));
    let place = systems.place.path().to_owned();
    let under = |umask: &str, arguments: &[&str]| {
        let bare = systems.place.bare();
        let mut command = std::process::Command::new("sh");
        command
            .arg("-c")
            .arg(format!("umask {umask}; exec \"$0\" \"$@\""))
            .arg(bare.get_program())
            .args(arguments)
            .current_dir(&place)
            .env_clear();
        for (name, value) in bare.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null()).output().unwrap()
    };
    let before: Vec<_> = std::fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let collection = systems.simulator.collection();
    let done = under("000", &["archive", &collection, "--json"]);
    assert!(done.status.success());
    let lines = systems.must(&["verify"]);
    let file = lines.iter().find(|line| line["type"] == "file").unwrap();
    let node = file["node"].to_string();
    let done = under("000", &["export", "--node", &node, "--to", "out.bin"]);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let mut written = 0;
    for entry in std::fs::read_dir(&place).unwrap() {
        let entry = entry.unwrap();
        if before.contains(&entry.file_name()) {
            continue;
        }
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        written += 1;
    }
    assert!(
        written >= 3,
        "the ledger, its lock file and the export: {written}"
    );
    assert_eq!(of_type(&lines, "verified")["differ"], 0);
    systems.stop();
}

#[test]
fn a_secret_that_others_can_read_or_that_is_typed_is_refused() {
    let systems = Systems::start(Options::with(campaign::one(1000)));
    let place = &systems.place;
    let path = place.write("token", TOKEN);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let toml = systems.simulator.settings_toml();
    let own = format!("token = \"{}\"", systems.simulator.iconik().token());
    place.write(
        "longhaul.toml",
        &toml.replace(&own, "token = { file = \"token\" }"),
    );
    let collection = systems.simulator.collection();
    let (code, lines) = systems.run(&["archive", &collection]);
    let exit = of_type(&lines, "exit").to_string();
    assert_eq!(code, 2, "{exit}");
    assert!(exit.contains("0640") && !exit.contains(TOKEN), "{exit}");
    let help = place.bare().args(["archive", "--help"]).output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).to_lowercase();
    for word in ["--token", "--password", "--secret", "--app-id"] {
        assert!(!help.contains(word), "{word} is a flag");
    }
    assert_eq!(systems.simulator.history().count(), 0, "nothing was sent");
    systems.stop();
}

#[test]
fn a_title_that_looks_like_a_path_writes_nothing_outside() {
    use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
    let names = [
        "../../escape.mov",
        "/etc/escape.mov",
        "..",
        "con\u{202e}vom.exe",
        "a\\..\\b.mov",
    ];
    let mut campaign = Campaign::new();
    for (seed, name) in (1u64..).zip(names) {
        campaign = campaign.asset(AssetSpec::new(
            name,
            vec![FileSpec::generated(name, seed, 1000).stored_as(&format!("object-{seed}"))],
        ));
    }
    let systems = Systems::start(Options::with(campaign));
    let above = systems.place.path().parent().unwrap().join("escape.mov");
    systems.archive(&[]);
    assert!(!above.exists());
    for entry in std::fs::read_dir(systems.place.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with("longhaul."), "{name} was written");
    }
    // One document and one sidecar for each.
    assert_eq!(systems.versions().len(), 2 * names.len());
    systems.stop();
}
