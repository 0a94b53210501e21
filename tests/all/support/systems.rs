//! Both simulated systems with a directory for `longhaul`, whose settings point at them.

use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::bucket::Object;
use longhaul::simulator::content_server::{VisibleVersion, duplicates};
use longhaul::simulator::iconik::Kind;
use longhaul::simulator::masters::Master;
use longhaul::simulator::{Options, PASSWORD, Simulator, USER};
use longhaul::types::{ByteCount, Failure};
use longhaul::{content_server, http};
use serde_json::{Value, json};

use super::{Place, json_lines};

/// Settings to add to those of the simulators.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extra<'a> {
    /// Lines of the section `iconik`.
    pub(crate) iconik: &'a str,
    /// Lines of the section `content_server`.
    pub(crate) content_server: &'a str,
    /// Whole sections.
    pub(crate) sections: &'a str,
}

/// Both systems and a directory with settings for them.
pub(crate) struct Systems {
    runtime: tokio::runtime::Runtime,
    pub(crate) simulator: Simulator,
    pub(crate) place: Place,
}

impl Systems {
    /// Starts both systems.
    pub(crate) fn start(options: Options) -> Self {
        Self::with(options, Extra::default())
    }

    /// Starts both systems; the settings are the simulators' own and `extra`.
    pub(crate) fn with(mut options: Options, extra: Extra<'_>) -> Self {
        options.quirks.calls_per_second = None;
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let simulator = runtime
            .block_on(Simulator::start(options))
            .expect("free ports");
        let place = Place::new();
        let systems = Self {
            runtime,
            simulator,
            place,
        };
        systems.configure(extra);
        systems
    }

    /// Writes the settings anew.
    pub(crate) fn configure(&self, extra: Extra<'_>) {
        let own = self.simulator.settings_toml();
        let own = own.replacen("[iconik]\n", &format!("[iconik]\n{}\n", extra.iconik), 1);
        let text = format!("{own}{}\n\n{}\n", extra.content_server, extra.sections);
        self.place.write("longhaul.toml", &text);
    }

    /// Runs a command to its end: its exit code and JSON lines.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let done = self
            .place
            .bare()
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::null())
            .output()
            .expect("longhaul starts");
        (
            done.status.code().expect("nobody killed it"),
            json_lines(&done.stdout),
        )
    }

    /// Runs a command until it dies at a place, `NAME:OCCURRENCE`.
    #[track_caller]
    pub(crate) fn die(&self, arguments: &[&str], place: &str) {
        let log = self.place.path().join("crash.log");
        let _gone = std::fs::remove_file(&log);
        let died = self
            .place
            .killable()
            .args(arguments)
            .env("LONGHAUL_CRASH", place)
            .env("LONGHAUL_CRASH_LOG", &log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("longhaul starts");
        assert_eq!(died.code(), None, "{place}: it was killed");
        assert!(log.exists(), "{place} was reached");
    }

    /// Runs a command that must end with 0.
    #[track_caller]
    pub(crate) fn must(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, lines) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {lines:#?}");
        lines
    }

    /// With another token for iconik, which lacks a role.
    pub(crate) fn without(&self, role: &str, does: impl FnOnce()) {
        let iconik = self.simulator.iconik();
        let token = format!("token-without-{role}");
        iconik.add_token(&token, false, &[role]);
        let path = self.place.path().join("longhaul.toml");
        let good = std::fs::read_to_string(path).expect("the settings");
        self.place
            .write("longhaul.toml", &good.replace(iconik.token(), &token));
        does();
        self.place.write("longhaul.toml", &good);
    }

    /// Begins a command and kills it, as it is, after `patience`.
    pub(crate) fn kill_after(&self, patience: Duration, arguments: &[&str]) {
        let mut child = self
            .place
            .killable()
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("longhaul starts");
        std::thread::sleep(patience);
        child.kill().expect("it can be killed");
        child.wait().expect("it is dead");
    }

    /// Archives the campaign's collection with these flags; everything must be done.
    #[track_caller]
    pub(crate) fn archive(&self, flags: &[&str]) -> Vec<Value> {
        let collection = self.simulator.collection();
        self.must(&[&["archive", collection.as_str()], flags].concat())
    }

    /// Every version that can be seen at the destination; none of them is there twice.
    #[track_caller]
    pub(crate) fn versions(&self) -> Vec<VisibleVersion> {
        let versions = self.simulator.content_server().visible_versions();
        assert_eq!(duplicates(&versions).len(), 0, "a version is there twice");
        versions
    }

    /// The JSON document of that name in Content Server.
    pub(crate) fn json_of(&self, name: &str) -> Value {
        let node = self.named(name)[0].node.to_string();
        self.must(&["export", "--node", &node, "--to", name]);
        let path = self.place.path().join(name);
        let text = std::fs::read(&path).expect("the file");
        std::fs::remove_file(&path).expect("the file");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The versions of the published documents of that name, in order.
    pub(crate) fn named(&self, name: &str) -> Vec<VisibleVersion> {
        let mut found = self.versions();
        found.retain(|version| version.name == name);
        found.sort_by_key(|version| version.version);
        found
    }

    /// Ids of the assets with these titles.
    #[track_caller]
    pub(crate) fn assets(&self, titles: &[&str]) -> Vec<String> {
        let rows = self.simulator.iconik().rows(Kind::Asset);
        titles
            .iter()
            .map(|title| {
                let row = rows.iter().find(|row| row["title"] == *title);
                let row = row.unwrap_or_else(|| panic!("no asset {title:?}"));
                row["id"].as_str().expect("an id").to_owned()
            })
            .collect()
    }

    /// Does something at Content Server that a person there would do.
    pub(crate) fn person<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        does: impl FnOnce(content_server::Client) -> F,
    ) -> T {
        let http = http::Client::new(http::Config {
            plain_http: vec!["loopback".into()],
            ..http::Config::default()
        });
        let url = self.simulator.content_server_url();
        let auth = content_server::Auth::Password {
            user: USER.into(),
            password: PASSWORD.to_owned().into(),
            domain: None,
        };
        let config = content_server::Config::new(url.parse().expect("an address"), "sim", auth);
        let client = content_server::Client::new(http.expect("a client"), config);
        self.runtime
            .block_on(does(client.expect("a client")))
            .expect("what a person may do")
    }

    /// Stops both.
    pub(crate) fn stop(self) {
        self.runtime.block_on(self.simulator.stop());
    }
}

/// The first line of that type.
#[track_caller]
pub(crate) fn of_type<'a>(lines: &'a [Value], kind: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} line in {lines:?}"))
}

/// Items of a summary in one state.
pub(crate) fn items(summary: &Value, state: &str) -> u64 {
    let states = summary["states"].as_array().expect("states");
    let found = states.iter().find(|count| count["state"] == state);
    found.map_or(0, |count| count["items"].as_u64().expect("a number"))
}

/// Puts other content behind a file of that name, as an editor who saves over it would.
pub(crate) fn replace(systems: &Systems, name: &str, seed: u64, size: ByteCount) {
    let iconik = systems.simulator.iconik();
    let rows = iconik.rows(Kind::File);
    let row = rows.iter().find(|row| row["original_name"] == name);
    let id = row.expect("the file")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let key = iconik.key(&id).expect("a key in the bucket");
    let master = Master::generated(seed, size);
    systems.simulator.content_server().register(master.clone());
    systems
        .simulator
        .parts()
        .bucket
        .put(&key, Object::new(master, &format!("\"changed-{seed}\"")));
    // Each content has a date of its own.
    let (hour, minute, second) = (seed / 3600 % 24, seed / 60 % 60, seed % 60);
    let date = format!("2031-01-01T{hour:02}:{minute:02}:{second:02}+00:00");
    let changed =
        json!({"size": size, "checksum": null, "date_modified": date, "file_date_modified": date});
    assert!(iconik.change(Kind::File, &id, changed));
}
