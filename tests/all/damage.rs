//! The ledger under damage, as a user meets it: real processes against both simulated systems.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use longhaul::simulator::content_server::duplicates;
use longhaul::simulator::{Options, campaign};
use serde_json::Value;

use crate::support::{self, Systems, items, json_lines, of_type};

const LEDGER: [&str; 4] = [
    "longhaul.db",
    "longhaul.db-wal",
    "longhaul.db-shm",
    "longhaul.db.lock",
];

/// Removes the ledger's files but those in `keep`.
fn remove(place: &Path, keep: &[&str]) {
    for name in LEDGER.iter().filter(|name| !keep.contains(name)) {
        match std::fs::remove_file(place.join(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// Copies the file and its log, as a backup takes them.
fn copy(from: &Path, to: &Path) {
    for name in &LEDGER[..2] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).expect("a copy");
        }
    }
}

/// Kills an archive after that time; the first kills it before it has a run.
fn killed_after(systems: &Systems, arguments: &[&str], patience: Duration) {
    let mut child = systems
        .place
        .killable()
        .args(arguments)
        .args(["--limit-bandwidth", "16 MiB/s", "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("longhaul starts");
    std::thread::sleep(patience);
    child.kill().expect("an own child");
    child.wait().expect("an own child");
}

/// Every visible version, in an order of their own.
fn world(systems: &Systems) -> Vec<String> {
    let found = systems.simulator.content_server().visible_versions();
    let twice = duplicates(&found);
    assert!(twice.is_empty(), "there twice: {twice:#?}");
    let mut versions: Vec<String> = found
        .iter()
        .map(|version| {
            format!(
                "{} {} {} {} {:?}",
                version.parent, version.name, version.version, version.size, version.sha256
            )
        })
        .collect();
    versions.sort();
    versions
}

#[track_caller]
fn ended(systems: &Systems, arguments: &[&str]) -> Vec<Value> {
    let (code, lines) = systems.run(arguments);
    assert_eq!(code, 1, "three assets need a person: {lines:?}");
    lines
}

#[test]
fn a_ledger_put_back_from_a_backup_makes_no_second_version() {
    let systems = Systems::start(Options::with(campaign::small()));
    let collection = systems.simulator.collection();
    let place = systems.place.path().to_owned();
    // Backups of a process that was killed at some moment, and of one that had begun nothing.
    let mut backups: Vec<tempfile::TempDir> = Vec::new();
    let mut arguments = vec!["archive", &collection];
    for patience in [400, 900] {
        killed_after(&systems, &arguments, Duration::from_millis(patience));
        let (_, lines) = systems.run(&["status"]);
        if lines.iter().any(|line| line["type"] == "status") {
            arguments = vec!["resume"];
            let backup = support::directory();
            copy(&place, backup.path());
            backups.push(backup);
        }
    }
    ended(&systems, &arguments);
    let after = world(&systems);
    assert!(!backups.is_empty(), "no process had begun a run");
    for (number, backup) in backups.iter().enumerate() {
        for keep in [&["longhaul.db.lock"][..], &[]] {
            remove(&place, keep);
            copy(backup.path(), &place);
            ended(&systems, &["resume"]);
            assert_eq!(world(&systems), after, "backup {number}, kept {keep:?}");
        }
    }
    assert_eq!(systems.run(&["verify"]).0, 0);

    // No ledger at all, with and without what its owner left behind.
    for keep in [&["longhaul.db.lock"][..], &[]] {
        remove(&place, keep);
        let lines = ended(&systems, &["archive", &collection]);
        let summary = of_type(&lines, "summary");
        assert_eq!((items(summary, "done"), items(summary, "parked")), (17, 3));
        assert_eq!(world(&systems), after, "no ledger, kept {keep:?}");
    }
    systems.stop();
}

/// The command under a limit of the size of the files it writes, in KiB.
fn limited(command: &Command, kib: u64) -> Command {
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        // Blocks of 512 bytes.
        .arg(format!("ulimit -f {}; exec \"$0\" \"$@\"", 2 * kib))
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            limited.env(name, value);
        }
    }
    limited.current_dir(command.get_current_dir().expect("a directory of its own"));
    limited
}

#[test]
fn a_disk_that_is_full_ends_the_run_with_the_ledgers_code_and_a_resume_loses_nothing() {
    let systems = Systems::start(Options::with(campaign::small()));
    let collection = systems.simulator.collection();
    let mut arguments = vec!["archive", &collection];
    let mut full = 0;
    for kib in [64, 96, 160, 256, 320, 384, 448, 512, 640, 768] {
        let mut command = systems.place.bare();
        command.args(&arguments).arg("--json");
        let done = limited(&command, kib)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let code = done
            .status
            .code()
            .unwrap_or_else(|| panic!("{kib} KiB: {}", done.status));
        if code == 1 {
            break;
        }
        let lines = json_lines(&done.stdout);
        assert_eq!(code, 74, "{kib} KiB: {lines:?}");
        let exit = of_type(&lines, "exit").to_string();
        assert!(
            [
                "disk failed",
                "disk is full",
                "cannot be",
                "File too large",
                "cannot hold",
                "write"
            ]
            .iter()
            .any(|words| exit.contains(words)),
            "{kib} KiB: {exit}"
        );
        full += 1;
        let (_, lines) = systems.run(&["status"]);
        if lines.iter().any(|line| line["type"] == "status") {
            arguments = vec!["resume"];
        }
    }
    assert!(full >= 3, "the disk was full {full} times");
    let lines = ended(&systems, &arguments);
    let summary = of_type(&lines, "summary");
    assert_eq!((items(summary, "done"), items(summary, "parked")), (17, 3));
    assert_eq!(systems.run(&["verify"]).0, 0);
    assert_eq!(systems.run(&["audit", "verify"]).0, 0);
    systems.versions();
    systems.stop();
}

#[test]
fn a_damaged_ledger_is_refused_by_every_command_that_writes_and_left_as_it_is() {
    let systems = Systems::start(Options::with(campaign::one(1000)));
    systems.archive(&[]);
    let path: PathBuf = systems.place.path().join("longhaul.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2 + 77;
    bytes[at] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    let collection = systems.simulator.collection();
    for arguments in [&["archive", &collection][..], &["resume"]] {
        let (code, lines) = systems.run(arguments);
        assert_eq!(code, 74, "{arguments:?}: {lines:?}");
        let exit = of_type(&lines, "exit").to_string();
        assert!(
            exit.contains("keep the file") && exit.contains("adopt"),
            "{exit}"
        );
        assert!(std::fs::read(&path).unwrap() == bytes, "it was changed");
    }
    systems.stop();
}
