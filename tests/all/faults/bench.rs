//! The bench the faults are tried on: both systems with a few masters, rules that must fire, and
//! what is asked of the simulators' history afterwards.

use std::time::Duration;

use longhaul::simulator::bucket::Object;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::content_server::VisibleVersion;
use longhaul::simulator::faults::{Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::simulator::masters::{self, Master};
use longhaul::simulator::server::Record;
use longhaul::simulator::{Options, PASSWORD, USER};
use longhaul::types::{ByteCount, MIB};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Extra, Systems, items, of_type};

/// Master, as seed and size, above the smallest upload session: seven parts.
pub(super) const PARTS: (u64, ByteCount) = (1, 7 * MIB - 5);
/// One that goes in as a single streamed POST.
pub(super) const POST: (u64, ByteCount) = (2, 3 * MIB + 7);
/// One that is hashed before it is sent.
pub(super) const SMALL: (u64, ByteCount) = (3, 70_001);

/// Paths of Content Server's calls, as rules spell them.
pub(super) mod path {
    pub(in super::super) const SESSION: &str = "*/v2/multipart";
    pub(in super::super) const PART: &str = "*/v2/multipart/*/*";
    pub(in super::super) const CLOSE: &str = "*/v2/multipart/????????????????????????????????";
    pub(in super::super) const CREATE: &str = "*/api/v2/nodes";
    pub(in super::super) const VERSIONS: &str = "*/v2/nodes/*/versions";
    pub(in super::super) const DESCRIBE: &str = "*/v2/nodes/*/versions/*";
    pub(in super::super) const NAMES: &str = "*/v1/validation/nodes/names";
    pub(in super::super) const CONTENT: &str = "*/content";
}

/// The name a master is filed under.
pub(super) fn name(seed: u64) -> String {
    format!("master-{seed}.mxf")
}

/// A campaign of these masters, each an asset of its own.
pub(super) fn campaign(masters: &[(u64, ByteCount)]) -> Campaign {
    masters
        .iter()
        .fold(Campaign::new(), |campaign, (seed, size)| {
            let file = FileSpec::generated(&name(*seed), *seed, *size);
            campaign.asset(AssetSpec::new(&format!("Master {seed}"), vec![file]))
        })
}

/// Sections that make waiting short and leave sidecars out.
const SECTIONS: &str = "[transfer]\nsidecar = false\n[network]\nfirst_byte_timeout = \"2 s\"\nstall_timeout = \"1 s\"\n";

/// Both systems and the faults.
pub(super) struct Bench {
    pub(super) systems: Systems,
    armed: Vec<(String, u64)>,
}

impl Bench {
    pub(super) fn new(masters: &[(u64, ByteCount)]) -> Self {
        Self::of(campaign(masters))
    }

    pub(super) fn of(campaign: Campaign) -> Self {
        Self::with(Options::with(campaign))
    }

    pub(super) fn with(options: Options) -> Self {
        Self::tuned(options, "")
    }

    /// With more sections in the settings.
    pub(super) fn tuned(mut options: Options, sections: &str) -> Self {
        // What is measured here is not iconik's pace.
        options.quirks.calls_per_second = None;
        let sections = format!("{SECTIONS}{sections}");
        let extra = Extra {
            iconik: "calls_per_second = 1000",
            sections: &sections,
            ..Extra::default()
        };
        Self {
            systems: Systems::with(options, extra),
            armed: Vec::new(),
        }
    }

    /// Sets a fault. Every one of them must have fired by the end.
    pub(super) fn arm(&mut self, rule: Rule) {
        let what = format!("{rule:?}");
        let id = self.systems.simulator.faults().add(rule);
        self.armed.push((what, id));
    }

    /// Takes the faults away; each has fired.
    #[track_caller]
    pub(super) fn disarm(&mut self) {
        let faults = self.systems.simulator.faults();
        for (what, id) in self.armed.drain(..) {
            assert!(faults.fired(id) > 0, "never fired: {what}");
            faults.remove(id);
        }
    }

    /// How often the last fault fired.
    pub(super) fn fired(&self) -> u64 {
        let (_, id) = self.armed.last().expect("a fault");
        self.systems.simulator.faults().fired(*id)
    }

    /// Archives the collection with these flags; exit code and JSON lines.
    pub(super) fn archive(&self, flags: &[&str]) -> (i32, Vec<Value>) {
        let collection = self.systems.simulator.collection();
        self.systems
            .run(&[&["archive", collection.as_str()], flags].concat())
    }

    /// Archives; every one of `masters` is filed once, as it is, and every fault fired.
    #[track_caller]
    pub(super) fn files(&mut self, masters: &[(u64, ByteCount)]) -> Vec<Value> {
        let (code, lines) = self.archive(&[]);
        assert_eq!(code, 0, "{lines:#?}");
        let done = items(of_type(&lines, "summary"), "done");
        assert_eq!(done, masters.len() as u64, "{lines:#?}");
        self.disarm();
        self.filed(masters);
        lines
    }

    /// Each of `masters` is published once, with its own bytes, and nothing else is anywhere.
    #[track_caller]
    pub(super) fn filed(&self, masters: &[(u64, ByteCount)]) {
        let versions = self.systems.versions();
        assert_eq!(versions.len(), masters.len(), "{versions:#?}");
        for (seed, size) in masters {
            self.holds(&name(*seed), 1, *seed, *size);
        }
        let leaks = self.systems.simulator.parts().bucket.leaks();
        assert_eq!(leaks, 0, "credentials went to the bucket");
    }

    /// The document of that name has `count` versions, and the last holds that master.
    #[track_caller]
    pub(super) fn holds(&self, name: &str, count: usize, seed: u64, size: ByteCount) {
        let versions = self.published(name);
        assert_eq!(versions.len(), count, "{name}: {versions:#?}");
        let last = versions.last().expect("a version");
        assert_eq!(last.size, size, "{name}");
        let digest = last.sha256.map(|digest| digest.to_string());
        assert_eq!(digest, Some(masters::sha256(seed, size)), "{name}");
        assert!(!last.corrupted, "{name}");
        assert!(
            last.description.contains(&masters::sha256(seed, size)),
            "{}",
            last.description
        );
    }

    /// Versions of that name where people see them.
    pub(super) fn published(&self, name: &str) -> Vec<VisibleVersion> {
        let target = self.systems.simulator.parts().target;
        let mut found = self.systems.named(name);
        found.retain(|version| version.parent == target);
        found
    }

    /// Nothing at all is where people see it.
    #[track_caller]
    pub(super) fn nothing_published(&self) {
        let target = self.systems.simulator.parts().target;
        let mut versions = self.systems.versions();
        versions.retain(|version| version.parent == target);
        assert_eq!(versions, [], "published");
    }

    /// Effects of that kind in Content Server, in order.
    pub(super) fn effects(&self, kind: &str) -> Vec<Value> {
        let mut effects = self.systems.simulator.content_server().history();
        effects.retain(|effect| effect["kind"] == kind);
        effects
    }

    /// How often each part was stored: never twice.
    #[track_caller]
    pub(super) fn parts_stored_once(&self, wanted: usize) {
        let parts = self.effects("part");
        let mut seen: Vec<_> = parts
            .iter()
            .map(|part| (part["upload_key"].to_string(), part["part"].to_string()))
            .collect();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), parts.len()), (wanted, wanted), "{parts:#?}");
    }

    /// Requests of that method to `system` whose path contains `fragment`.
    pub(super) fn requests(&self, system: System, method: &str, fragment: &str) -> Vec<Record> {
        let mut records = self.systems.simulator.history().of(system);
        records.retain(|record| record.method == method && record.path.contains(fragment));
        records
    }

    /// Reads of masters: the ranges asked for, in order; an empty text where none was named.
    pub(super) fn reads(&self) -> Vec<String> {
        let reads = self.requests(System::Bucket, "GET", "/masters/");
        reads
            .into_iter()
            .map(|read| read.range.unwrap_or_default())
            .collect()
    }

    /// Data of the journal's lines with that event.
    #[track_caller]
    pub(super) fn journal(&self, event: &str) -> Vec<Value> {
        let mut lines = self.systems.must(&["audit"]);
        lines.retain(|line| line["type"] == "journal" && line["event"] == event);
        lines.iter_mut().map(|line| line["data"].take()).collect()
    }

    /// The row in iconik of a master's file.
    #[track_caller]
    pub(super) fn row(&self, name: &str) -> Value {
        let rows = self.systems.simulator.iconik().rows(Kind::File);
        let row = rows.into_iter().find(|row| row["original_name"] == name);
        row.unwrap_or_else(|| panic!("no file {name}"))
    }

    /// Changes that row, as a person or iconik would.
    #[track_caller]
    pub(super) fn change_row(&self, name: &str, change: Value) {
        let row = self.row(name);
        let id = row["id"].as_str().expect("an id");
        assert!(
            self.systems
                .simulator
                .iconik()
                .change(Kind::File, id, change)
        );
    }

    /// Key of a master in the bucket.
    #[track_caller]
    pub(super) fn key(&self, name: &str) -> String {
        let row = self.row(name);
        let id = row["id"].as_str().expect("an id");
        let key = self.systems.simulator.iconik().key(id);
        key.expect("a key in the bucket")
    }

    /// Other bytes behind a master's address.
    pub(super) fn replace(&self, name: &str, object: Object) {
        let simulator = &self.systems.simulator;
        simulator.content_server().register(object.master.clone());
        let key = self.key(name);
        simulator.parts().bucket.put(&key, object);
    }

    /// Saves other content over a master, and iconik knows of it.
    pub(super) fn save_over(&self, name: &str, seed: u64, size: ByteCount) {
        let object = Object::new(Master::generated(seed, size), &format!("saved-{seed}"));
        self.replace(name, object);
        self.change_row(
            name,
            json!({"size": size, "checksum": null, "date_modified": "2031-01-01T00:00:00+00:00"}),
        );
    }

    /// Waits until `there` is true, at most half a minute.
    #[track_caller]
    pub(super) fn until(&self, what: &str, mut there: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !there(self) {
            assert!(started.elapsed() < Duration::from_secs(30), "never: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts an archive that is left to itself, output thrown away.
    pub(super) fn spawn(&self, flags: &[&str]) -> std::process::Child {
        let collection = self.systems.simulator.collection();
        self.systems
            .place
            .bare()
            .args(["archive", &collection, "--json"])
            .args(flags)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("longhaul starts")
    }

    /// What a person does in Content Server by its own interface; the status.
    pub(super) fn person(&self, method: &str, path: &str, form: &str) -> u16 {
        let login = format!("username={USER}&password={PASSWORD}");
        let (_, answer) = self.call("POST", "/api/v1/auth", "", &login);
        let ticket = answer["ticket"].as_str().expect("a ticket").to_owned();
        let head = format!("OTCSTicket: {ticket}\r\n");
        self.call(method, path, &head, form).0
    }

    fn call(&self, method: &str, path: &str, head: &str, form: &str) -> (u16, Value) {
        use std::io::{Read as _, Write as _};
        let address = self.systems.simulator.content_server_url();
        let address = address.trim_start_matches("http://");
        let (host, cgi) = address.split_once('/').expect("a path");
        let mut stream = std::net::TcpStream::connect(host).expect("content server");
        write!(
            stream,
            "{method} /{cgi}{path} HTTP/1.1\r\nHost: {host}\r\n{head}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{form}",
            form.len()
        )
        .expect("a request");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        let status = reply.split(' ').nth(1).expect("a status");
        let status = status.parse().expect("a status");
        let json = reply.find('{').zip(reply.rfind('}'));
        let json = json.and_then(|(from, to)| serde_json::from_str(&reply[from..=to]).ok());
        (status, json.unwrap_or_default())
    }

    pub(super) fn stop(self) {
        self.systems.stop();
    }
}

/// The reason and message of the only item that is not done.
#[track_caller]
pub(super) fn trouble(lines: &[Value], state: &str) -> (String, String) {
    let item = of_type(lines, "item");
    assert_eq!(item["state"], state, "{lines:#?}");
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}
