//! What a person reads when something fails, word for word: every failure is made to happen, and
//! what the command line says is compared with `fixtures/errors`. `LONGHAUL_GOLDEN=write` writes
//! those files anew; whoever does that reads them, at three in the morning if possible.

mod command_line;
mod ends;
mod masters;

use std::collections::BTreeSet;
use std::path::Path;

use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::{Options, Simulator};
use serde_json::Value;

use crate::support::{Extra, Place, Systems};

/// The failures of one golden file.
struct Golden {
    file: &'static str,
    text: String,
    names: BTreeSet<&'static str>,
}

impl Golden {
    fn new(file: &'static str) -> Self {
        Self {
            file,
            text: String::new(),
            names: BTreeSet::new(),
        }
    }

    /// A failure in a directory without systems.
    fn alone(&mut self, name: &'static str, place: &Place, arguments: &[&str], code: i32) {
        let mut command = place.bare();
        command.args(arguments);
        self.command(name, place, arguments, command, code);
    }

    /// What a prepared command says. It must end with `code`.
    #[track_caller]
    fn command(
        &mut self,
        name: &'static str,
        place: &Place,
        arguments: &[&str],
        mut command: std::process::Command,
        code: i32,
    ) {
        let done = command
            .stdin(std::process::Stdio::null())
            .output()
            .expect("longhaul starts");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        // Log lines have a time and are for machines; messages are for people.
        let said: String = said
            .lines()
            .filter(|line| !line.starts_with("20"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(done.status.code(), Some(code), "{name}: {said}");
        assert!(!said.contains("panicked"), "{name}: {said}");
        assert!(!said.trim().is_empty(), "{name}: nothing was said");
        let line = format!("$ longhaul {}", arguments.join(" "));
        self.add(name, place.path(), &line, code, &said);
    }

    /// A failure of a command against the systems.
    #[track_caller]
    fn against(&mut self, name: &'static str, systems: &Systems, arguments: &[&str], code: i32) {
        self.alone(name, &systems.place, arguments, code);
    }

    /// What is said of the items of a run that could not be filed.
    #[track_caller]
    fn items(&mut self, name: &'static str, systems: &Systems, arguments: &[&str], code: i32) {
        let (ended, lines) = systems.run(arguments);
        assert_eq!(ended, code, "{name}: {lines:#?}");
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or("-").to_owned();
        let mut said: Vec<String> = lines
            .iter()
            .filter(|line| line["type"] == "item" && line["state"] != "done")
            .map(|item| {
                format!(
                    "{} is {} ({}, {}): {}\n  remedy: {}\n",
                    text(item, "title"),
                    text(item, "state"),
                    text(item, "class"),
                    text(item, "reason"),
                    text(item, "message"),
                    text(item, "remedy"),
                )
            })
            .collect();
        said.sort();
        assert!(!said.is_empty(), "{name}: no item failed: {lines:#?}");
        let line = format!("$ longhaul {}", arguments.join(" "));
        self.add(name, systems.place.path(), &line, code, &said.concat());
    }

    fn add(&mut self, name: &'static str, place: &Path, line: &str, code: i32, said: &str) {
        assert!(self.names.insert(name), "{name} twice");
        let said = normal(said.trim_end(), place);
        let line = normal(line, place);
        self.text
            .push_str(&format!("== {name}\n{line}\nexit {code}\n{said}\n\n"));
    }

    /// Compares with the golden file, or writes it.
    #[track_caller]
    fn check(self, least: usize) {
        let count = self.names.len();
        assert!(count >= least, "only {count} failures");
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/errors")
            .join(self.file);
        if std::env::var_os("LONGHAUL_GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(&path, &self.text).expect("the golden file can be written");
            return;
        }
        let golden = std::fs::read_to_string(&path).expect("the golden file");
        let (mut is, mut was) = (self.text.split("== "), golden.split("== "));
        loop {
            match (is.next(), was.next()) {
                (None, None) => return,
                (is, was) => assert_eq!(
                    is, was,
                    "{} says something else (LONGHAUL_GOLDEN=write accepts it)",
                    self.file
                ),
            }
        }
    }
}

/// The text without what differs from run to run: the directory, ports, processes, times, digests.
fn normal(text: &str, place: &Path) -> String {
    let text = text.replace(&place.display().to_string(), "DIR");
    let lines = text.split_inclusive('\n').map(|line| {
        // What a run used of the machine differs from run to run.
        if line.contains(" s of CPU") {
            "  USED\n"
        } else {
            line
        }
    });
    let text: String = lines.collect();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("127.0.0.1:") {
        let (before, after) = rest.split_at(at + "127.0.0.1:".len());
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str("PORT");
    }
    out.push_str(rest);
    let mut words: Vec<String> = Vec::new();
    for word in out.split(' ') {
        // "in use by process 4711"; the holder's own words about itself stay.
        if words.ends_with(&["by".to_owned(), "process".to_owned()]) {
            words.push("PID".to_owned());
            continue;
        }
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let digest = bare.len() >= 32 && bare.chars().all(|c| c.is_ascii_hexdigit());
        words.push(if digest {
            word.replace(bare, "DIGEST")
        } else {
            word.to_owned()
        });
    }
    words.join(" ")
}

const UNKNOWN: &str = "8ae2c3d4-0000-11ee-8000-0242ac120002";

fn one() -> Campaign {
    let file = FileSpec::generated("master.mxf", 1, 5_000);
    Campaign::new().asset(AssetSpec::new("Master", vec![file]))
}

/// Short waits, and no sidecars that fail along.
const QUICK: Extra<'static> = Extra {
    iconik: "calls_per_second = 1000",
    content_server: "",
    sections: "[transfer]\nsidecar = false\n[network]\nfirst_byte_timeout = \"2 s\"\nstall_timeout = \"1 s\"\n",
};

fn systems(mut options: Options) -> Systems {
    options.quirks.calls_per_second = None;
    Systems::with(options, QUICK)
}

/// The settings of the simulators with `from` replaced.
#[track_caller]
fn with(systems: &Systems, from: &str, to: &str) {
    let own = systems.simulator.settings_toml();
    assert!(own.contains(from), "{from:?} is not in {own}");
    systems
        .place
        .write("longhaul.toml", &own.replacen(from, to, 1));
}

/// A folder in the target's neighbourhood that may only be looked at.
fn shelf(simulator: &Simulator) -> i64 {
    let server = simulator.content_server();
    let id = server.add_folder(longhaul::simulator::content_server::ENTERPRISE, "Shelf");
    server
        .publish(id, &["see", "see_contents"])
        .expect("rights");
    id
}
