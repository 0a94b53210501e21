//! `lifecycle`: marks to records, outcomes to iconik, and nothing destroyed that a hold protects.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec, StorageKind};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::{Kind, storage_id};
use longhaul::types::{KIB, NodeId};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, of_type};

const OBSOLETE: &str = r#"
[lifecycle]
status = { field = "obsolete", values = { true = "obsolete" } }
expiry = "expires_on"
record_status = { obsolete = "OBSOLETE", superseded = "SUPERSEDED", expired = "EXPIRED" }
review_days = 30
attribute = { category = "Lifecycle", attribute = "Status", date = "Since", values = { obsolete = "Obsolete", superseded = "Superseded", expired = "Expired" } }
"#;

const BY_ATTRIBUTE: &str = r#"outcome = { from = "attribute", category = "Lifecycle", attribute = "Disposition", values = { Keep = "retain", Archive = "archive", Destroy = "destroy" } }
"#;

/// The settings of `[lifecycle]` with more lines, and a class that makes records of everything.
fn sections(class: i64, more: &str) -> String {
    format!("[publish]\napproved = \"any\"\nrecords_class = {class}\n{OBSOLETE}{more}")
}

fn start(assets: u64, more: &str) -> Systems {
    let campaign = (0..assets).fold(Campaign::new(), |campaign, number| {
        let file = FileSpec::generated(&format!("clip{number}.mov"), number + 1, 4 * KIB);
        campaign.asset(AssetSpec::new(&format!("Clip {number}"), vec![file]))
    });
    let systems = Systems::start(Options::with(campaign));
    let class = systems
        .simulator
        .content_server()
        .add_records_class("Media");
    systems.configure(Extra {
        sections: &sections(class, more),
        ..Extra::default()
    });
    systems.must(&["publish", &systems.simulator.collection()]);
    systems
}

struct Desk<'a>(&'a Systems);

impl Desk<'_> {
    fn node(&self, number: u64) -> NodeId {
        NodeId(self.0.named(&format!("clip{number}.mov"))[0].node)
    }

    fn asset(&self, number: u64) -> String {
        self.0.assets(&[&format!("Clip {number}")]).remove(0)
    }

    fn row(&self, number: u64) -> Value {
        let iconik = self.0.simulator.iconik();
        iconik
            .row(Kind::Asset, &self.asset(number))
            .expect("the asset")
    }

    fn set(&self, number: u64, field: &str, values: &[&str]) {
        let iconik = self.0.simulator.iconik();
        assert!(iconik.set_values(&self.asset(number), field, values));
    }

    /// A record manager says what becomes of a document.
    fn disposition(&self, number: u64, word: &str) {
        let (node, word) = (self.node(number), json!(word));
        self.0.person(|server| async move {
            let target = server.categories(node).await?;
            let category = target.iter().find(|one| {
                one.values.0.keys().any(|key| key.ends_with("_4")) && one.values.0.len() == 3
            });
            let id = category.expect("the category Lifecycle").id.0;
            let values = BTreeMap::from([(format!("{id}_4"), word)]);
            server
                .write_values(node, &BTreeMap::from([(id, values)]))
                .await
        });
    }

    fn record(&self, number: u64) -> longhaul::content_server::RecordFields {
        let node = self.node(number);
        let state = self
            .0
            .person(|server| async move { server.record_state(node).await });
        state.record.expect("a record").fields
    }

    /// What the category says: status and date.
    fn told(&self, number: u64) -> Vec<Value> {
        let node = self.node(number);
        let all = self
            .0
            .person(|server| async move { server.categories(node).await });
        let own = all.iter().find(|one| one.values.0.len() == 3);
        own.map_or_else(Vec::new, |own| own.values.0.values().cloned().collect())
    }

    /// Everything that could show a change.
    fn effects(&self) -> (usize, usize, usize) {
        (
            self.0.simulator.iconik().writes().len(),
            self.0.simulator.content_server().history().len(),
            self.0.must(&["audit"]).len(),
        )
    }

    fn events(&self, event: &str) -> Vec<Value> {
        let mut lines = self.0.must(&["audit"]);
        lines.retain(|line| line["event"] == event);
        lines
    }

    fn decide(&self, number: u64, outcome: &str) -> (i32, Vec<Value>) {
        let asset = self.asset(number);
        let because = ["--because", "board decision"];
        let words = ["lifecycle", "decide", asset.as_str(), "--outcome", outcome];
        self.0.run(&[&words[..], &because[..]].concat())
    }

    /// A run that finds nothing new: it writes nothing anywhere.
    #[track_caller]
    fn quiet(&self, code: i32) {
        let before = self.effects();
        assert_eq!(self.0.run(&["lifecycle"]).0, code);
        assert_eq!(self.0.run(&["lifecycle", "--full"]).0, code);
        assert_eq!(self.effects(), before, "a quiet run writes nothing");
    }
}

fn steps(lines: &[Value]) -> Value {
    of_type(lines, "lifecycle_summary")["steps"].clone()
}

#[track_caller]
fn why(lines: &[Value], step: &str) -> String {
    let line = lines.iter().find(|line| line["step"] == step);
    let line = line.unwrap_or_else(|| panic!("no step {step} in {lines:#?}"));
    line["why"].as_str().expect("a reason").to_owned()
}

#[test]
fn a_mark_reaches_the_record_once_and_its_outcome_comes_back() {
    let systems = start(3, BY_ATTRIBUTE);
    let desk = Desk(&systems);
    assert_eq!(steps(&systems.must(&["lifecycle"])), json!({}));
    desk.set(0, "obsolete", &["true"]);
    desk.set(1, "expires_on", &["2020-02-29"]);
    desk.set(2, "expires_on", &["2999-01-01"]);
    let dry = systems.must(&["lifecycle", "--dry-run"]);
    assert_eq!(steps(&dry), json!({"marked": 2}));
    assert_eq!(desk.record(0).status.as_deref(), Some("ACTIVE"));
    let lines = systems.must(&["lifecycle"]);
    assert_eq!(steps(&lines), json!({"marked": 2}));
    assert_eq!(desk.record(0).status.as_deref(), Some("OBSOLETE"));
    let expired = desk.record(1);
    assert_eq!(expired.status.as_deref(), Some("EXPIRED"));
    assert!(expired.status_date.unwrap().starts_with("2020-02-29"));
    assert!(expired.next_review_date.unwrap().starts_with("2020-03-30"));
    assert_eq!(desk.told(0)[0], "Obsolete");
    assert_eq!(desk.record(2).status.as_deref(), Some("ACTIVE"));
    let marking = &desk.events("lifecycle-marking")[0];
    assert_eq!(marking["data"]["overwrites"]["record"]["status"], "ACTIVE");
    desk.quiet(0);

    desk.disposition(0, "Keep");
    desk.disposition(1, "Archive");
    let lines = systems.must(&["lifecycle"]);
    assert_eq!(steps(&lines), json!({"retained": 1, "archived": 1}));
    assert_eq!(desk.row(0)["archive_status"], "NOT_ARCHIVED");
    assert_eq!(desk.row(1)["archive_status"], "ARCHIVED");
    desk.quiet(0);
    // The mark is taken away: the record is what it was.
    desk.set(0, "obsolete", &["false"]);
    let lines = systems.must(&["lifecycle"]);
    assert_eq!(steps(&lines), json!({"withdrawn": 1}));
    assert_eq!(desk.record(0).status.as_deref(), Some("ACTIVE"));
    assert_ne!(desk.told(0)[0], "Obsolete");
    desk.quiet(0);
    assert_eq!(systems.run(&["audit", "verify"]).0, 0);
    systems.stop();
}

#[test]
fn nothing_is_destroyed_unless_everything_allows_it_and_then_it_is_certified() {
    let systems = start(1, BY_ATTRIBUTE);
    let desk = Desk(&systems);
    desk.set(0, "obsolete", &["true"]);
    systems.must(&["lifecycle"]);
    assert_eq!(
        desk.decide(0, "archive").0,
        0,
        "it waits for Content Server"
    );
    desk.disposition(0, "Destroy");
    let (code, lines) = systems.run(&["lifecycle"]);
    assert_eq!(code, 3);
    assert!(why(&lines, "held").contains("nothing is done while the two differ"));
    desk.quiet(3);
    // The settings do not allow it, whoever decides.
    let (code, lines) = desk.decide(0, "destroy");
    assert_eq!(code, 3);
    assert!(why(&lines, "held").contains("`lifecycle.destroy` does not allow"));
    let (code, _) = systems.run(&["lifecycle", "--yes"]);
    assert_eq!((code, desk.row(0)["status"].as_str()), (3, Some("ACTIVE")));

    let class = systems.simulator.content_server().add_records_class("More");
    systems.configure(Extra {
        sections: &sections(class, &format!("{BY_ATTRIBUTE}destroy = true\n")),
        ..Extra::default()
    });
    // A hold on the folder above protects it as well, and voids the decision.
    let server = systems.simulator.content_server();
    let target = of_target(&systems);
    let hold = server.hold(target, "Litigation");
    let (code, lines) = systems.run(&["lifecycle"]);
    assert_eq!((code, desk.row(0)["status"].as_str()), (3, Some("ACTIVE")));
    assert!(why(&lines, "held").contains("Litigation"));
    assert_eq!(
        desk.events("lifecycle-stopped")[0]["data"]["voided"]["outcome"],
        "destroy"
    );
    desk.quiet(3);
    release(&systems, target, hold);
    let (code, lines) = systems.run(&["lifecycle"]);
    assert_eq!(code, 3);
    assert!(why(&lines, "approve").contains("lifecycle decide"));
    let (code, listed) = systems.run(&["lifecycle", "list", "--waiting"]);
    assert_eq!(
        (code, of_type(&listed, "lifecycle_case")["waits"].as_bool()),
        (3, Some(true))
    );
    desk.quiet(3);

    let (code, lines) = desk.decide(0, "destroy");
    assert_eq!(
        (code, steps(&lines)),
        (0, json!({"destroyed": 1, "certified": 1})),
        "{lines:#?}"
    );
    assert_eq!(desk.row(0)["status"], "DELETED");
    let certificates: Vec<_> = systems
        .versions()
        .into_iter()
        .filter(|version| version.name.contains("certificate of destruction"))
        .collect();
    assert_eq!(certificates.len(), 2);
    let node = certificates
        .iter()
        .find(|one| one.name.ends_with(".json"))
        .unwrap()
        .node;
    systems.must(&[
        "export",
        "--node",
        &node.to_string(),
        "--to",
        "certificate.json",
    ]);
    let text = std::fs::read(systems.place.path().join("certificate.json")).unwrap();
    let certificate: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(certificate["decided"]["because"], "board decision");
    assert_eq!(
        certificate["files"][0]["sha256"].as_str().unwrap().len(),
        64
    );
    assert_eq!(desk.events("lifecycle-destroying").len(), 1);
    desk.quiet(0);
    assert_eq!(desk.decide(0, "retain").0, 2, "its way is over");
    systems.stop();
}

/// The folder that masters are published in.
fn of_target(systems: &Systems) -> i64 {
    systems.simulator.parts().target
}

/// A lawyer lifts a hold.
fn release(systems: &Systems, node: i64, hold: i64) {
    assert!(systems.simulator.content_server().release(node, hold));
}

#[test]
fn a_hold_of_the_last_moment_stops_it_before_or_takes_it_out_of_the_bin() {
    let systems = start(2, &format!("{BY_ATTRIBUTE}destroy = true\n"));
    let desk = Desk(&systems);
    for number in 0..2 {
        desk.set(number, "obsolete", &["true"]);
    }
    systems.must(&["lifecycle"]);
    for number in 0..2 {
        desk.disposition(number, "Destroy");
    }
    // The first comes after the holds were read, the second after they were read again.
    let server = systems.simulator.content_server();
    server.hold_after(desk.node(0).0, "Between look and act", 1);
    server.hold_after(desk.node(1).0, "During the act", 2);
    let (code, lines) = systems.run(&["lifecycle", "--yes"]);
    assert_eq!((code, steps(&lines)), (3, json!({"held": 2})), "{lines:#?}");
    for number in 0..2 {
        assert_eq!(desk.row(number)["status"], "ACTIVE", "Clip {number}");
    }
    let deletes = |number: u64| {
        let asset = desk.asset(number);
        let writes = systems.simulator.iconik().writes();
        let of_asset = |write: &&longhaul::simulator::iconik::Write| {
            let text = serde_json::to_string(write).unwrap();
            text.contains("DELETE") && text.contains(&asset)
        };
        writes.iter().filter(of_asset).count()
    };
    assert_eq!((deletes(0), deletes(1)), (0, 1));
    assert_eq!(desk.events("lifecycle-stopped").len(), 1);
    assert_eq!(desk.events("lifecycle-restored").len(), 1);
    assert_eq!(desk.events("lifecycle-destroyed").len(), 0);
    desk.quiet(3);
    systems.stop();
}

#[test]
fn the_outcome_of_a_schedule_or_a_review_counts_once_it_is_clear() {
    let systems = start(
        2,
        "outcome = { from = \"schedule\", values = { Destroy = \"destroy\", \"0\" = \"retain\" } }\n",
    );
    let desk = Desk(&systems);
    let server = systems.simulator.content_server();
    server.set_schedule("M1", "2999-01-01T00:00:00", "0");
    for number in 0..2 {
        let node = desk.node(number);
        let fields = longhaul::content_server::RecordFields {
            rsi: Some("M1".to_owned()),
            ..Default::default()
        };
        systems.person(|server| async move { server.edit_record(node, &fields, None).await });
        desk.set(number, "obsolete", &["true"]);
    }
    let lines = systems.must(&["lifecycle"]);
    assert_eq!(of_type(&lines, "lifecycle")["due"], "2999-01-01T00:00:00");
    desk.quiet(0);
    let retained = || -> Vec<Value> {
        let lines = systems.must(&["report"]);
        let rows = lines.iter().filter(|line| line["type"] == "report_item");
        rows.map(|row| row["retention_due"].clone()).collect()
    };
    assert_eq!(retained(), vec![json!("2999-01-01T00:00:00"); 2]);
    server.set_schedule("M1", "2020-01-01T00:00:00", "Shred");
    let (code, lines) = systems.run(&["lifecycle"]);
    assert_eq!(
        retained(),
        vec![json!("2020-01-01T00:00:00"); 2],
        "as it was read now"
    );
    assert_eq!((code, steps(&lines)), (3, json!({"held": 2})));
    assert!(why(&lines, "held").contains("\"Shred\", which `lifecycle.outcome.values`"));
    desk.quiet(3);

    let search = server.add_folder(of_target(&systems), "Reviews");
    let class = server.add_records_class("Other");
    let outcome = format!(
        "outcome = {{ from = \"disposition\", search = {search}, values = {{ \"0\" = \"retain\", reject = \"retain\" }} }}\n"
    );
    systems.configure(Extra {
        sections: &sections(class, &outcome),
        ..Extra::default()
    });
    server.review(search, "20260101", desk.node(0).0, "0", "pending");
    server.review(search, "20260201", desk.node(1).0, "32", "reject");
    let lines = systems.must(&["lifecycle"]);
    assert_eq!(steps(&lines), json!({"retained": 1}));
    server.review(search, "20260101", desk.node(0).0, "0", "approve");
    assert_eq!(steps(&systems.must(&["lifecycle"])), json!({"retained": 1}));
    desk.quiet(0);
    systems.stop();
}

#[test]
fn originals_move_to_the_archive_storage_that_is_named() {
    let tape = storage_id(StorageKind::Archive);
    let systems = start(
        1,
        &format!("{BY_ATTRIBUTE}archive = {{ storage = \"{tape}\" }}\n"),
    );
    let desk = Desk(&systems);
    desk.set(0, "obsolete", &["true"]);
    systems.must(&["lifecycle"]);
    desk.disposition(0, "Archive");
    assert_eq!(
        steps(&systems.must(&["lifecycle", "--dry-run"])),
        json!({"archived": 1})
    );
    assert_eq!(steps(&systems.must(&["lifecycle"])), json!({"archived": 1}));
    let writes = systems.simulator.iconik().writes();
    let asked: Vec<_> = writes
        .iter()
        .filter(|write| write.path.trim_end_matches('/').ends_with("/archive"))
        .collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].body["destination_storage_id"], *tape);
    desk.quiet(0);
    systems.stop();
}

#[test]
fn bad_input_has_its_message_and_loses_nothing() {
    let systems = start(2, "relation = \"supersedes\"\n");
    let desk = Desk(&systems);
    let message = |lines: &[Value]| {
        of_type(lines, "exit")["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (code, lines) = systems.run(&["lifecycle"]);
    systems.simulator.iconik().add_relation_type("supersedes");
    assert!(
        code != 0 && message(&lines).contains("`lifecycle.relation`"),
        "{lines:?}"
    );
    // A successor that is related to what it supersedes.
    let (old, new) = (desk.asset(0), desk.asset(1));
    systems.simulator.iconik().relate(&new, "supersedes", &old);
    let configure = |more: &str| {
        let class = systems.simulator.content_server().add_records_class(more);
        let more =
            format!("relation = \"supersedes\"\ncross_reference = \"Superseded by\"\n{more}");
        systems.configure(Extra {
            sections: &sections(class, &more),
            ..Extra::default()
        });
    };
    configure("");
    let lines = systems.must(&["lifecycle", "--full"]);
    assert_eq!(
        steps(&lines),
        json!({"marked": 1, "linked": 1}),
        "{lines:#?}"
    );
    assert_eq!(desk.record(0).status.as_deref(), Some("SUPERSEDED"));
    let (from, to) = (desk.node(0), desk.node(1));
    let references = systems.person(|server| async move { server.cross_references(from).await });
    assert_eq!((references.len(), references[0].to), (1, to));
    desk.quiet(0);
    // Both ends list it: nobody can tell which supersedes which.
    systems.simulator.iconik().relate(&old, "supersedes", &new);
    let (code, lines) = systems.run(&["lifecycle", "--full"]);
    assert_eq!(code, 3);
    assert!(why(&lines, "held").contains("does not say which supersedes which"));

    desk.set(1, "expires_on", &["next year"]);
    let (_, lines) = systems.run(&["lifecycle", "--full"]);
    assert!(lines.iter().any(|line| line["step"] == "held"));
    assert_eq!(desk.decide(1, "retain").0, 2);
    let empty = [
        "lifecycle",
        "decide",
        &old,
        "--outcome",
        "retain",
        "--because",
        " ",
    ];
    assert_eq!(systems.run(&empty).0, 2);
    systems.configure(Extra::default());
    let (code, lines) = systems.run(&["lifecycle"]);
    assert!(code == 2 && message(&lines).contains("`lifecycle.status`"));
    systems.stop();
}

#[test]
fn what_cannot_be_told_or_read_waits_with_its_reason() {
    let systems = start(2, BY_ATTRIBUTE);
    let desk = Desk(&systems);
    let server = systems.simulator.content_server();
    server.finalise(desk.node(0).0);
    let gone = desk.node(1);
    for number in 0..2 {
        desk.set(number, "obsolete", &["true"]);
    }
    assert!(server.delete(gone.0));
    let (code, lines) = systems.run(&["lifecycle"]);
    assert_eq!((code, steps(&lines)), (3, json!({"held": 2})), "{lines:#?}");
    let reasons: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["why"].as_str())
        .collect();
    assert!(
        reasons.iter().any(|why| why.contains("finalized")),
        "{reasons:?}"
    );
    assert!(
        reasons.iter().any(|why| why.contains(&gone.to_string())),
        "{reasons:?}"
    );
    desk.quiet(3);
    systems.stop();
}

#[test]
fn killed_at_random_moments_each_asset_is_destroyed_and_certified_once() {
    let systems = start(6, &format!("{BY_ATTRIBUTE}destroy = true\n"));
    let desk = Desk(&systems);
    for number in 0..6 {
        desk.set(number, "obsolete", &["true"]);
    }
    let kill_after = |patience: u64| {
        let mut child = systems
            .place
            .killable()
            .args(["lifecycle", "--yes", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(patience));
        child.kill().unwrap();
        child.wait().unwrap();
    };
    for patience in [50, 110, 170] {
        kill_after(patience);
    }
    systems.must(&["lifecycle"]);
    for number in 0..6 {
        desk.disposition(number, "Destroy");
    }
    for patience in [60, 100, 140, 180, 240, 320, 400] {
        kill_after(patience);
    }
    let (code, lines) = systems.run(&["lifecycle", "--yes"]);
    assert_eq!(code, 0, "{lines:#?}");
    for number in 0..6 {
        assert_eq!(desk.row(number)["status"], "DELETED");
    }
    assert_eq!(desk.events("lifecycle-destroyed").len(), 6);
    assert_eq!(desk.events("lifecycle-certified").len(), 6);
    let versions = systems.versions();
    let certificates = versions
        .iter()
        .filter(|version| version.name.contains("certificate of destruction"));
    assert_eq!(certificates.count(), 12);
    desk.quiet(0);
    assert_eq!(systems.run(&["audit", "verify"]).0, 0);
    systems.stop();
}

#[test]
fn killed_between_the_deletion_and_its_record_it_is_found_in_the_bin_and_not_deleted_again() {
    let systems = start(2, &format!("{BY_ATTRIBUTE}destroy = true\n"));
    let desk = Desk(&systems);
    desk.set(0, "obsolete", &["true"]);
    desk.set(1, "obsolete", &["true"]);
    systems.must(&["lifecycle"]);
    desk.disposition(0, "Destroy");
    let deletion = |action: Action| Rule {
        system: Some(System::Iconik),
        method: Some("DELETE".to_owned()),
        path: Some("*/assets/*".to_owned()),
        ..Rule::new(action)
    };
    let deletions = || {
        let writes = systems.simulator.iconik().writes();
        writes
            .iter()
            .filter(|write| write.method == "DELETE")
            .count()
    };
    // The reply takes its time, and the process does not live to see it.
    let killed_in_the_act = || {
        let slow = Action::Delay {
            ms: 3000,
            applied: true,
        };
        systems.simulator.faults().add(deletion(slow));
        let mut child = systems
            .place
            .killable()
            .args(["lifecycle", "--yes", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while desk.row(0)["status"] != "DELETED" {
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended before the deletion"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    };
    killed_in_the_act();
    assert!(desk.events("lifecycle-destroyed").is_empty());
    let hold = systems
        .simulator
        .content_server()
        .hold(desk.node(0).0, "Late");
    let (code, lines) = systems.run(&["lifecycle"]);
    assert_eq!((code, steps(&lines)), (3, json!({"held": 1})), "{lines:#?}");
    assert!(why(&lines, "held").contains("taken out of the recycle bin again"));
    assert_eq!(
        (desk.row(0)["status"].as_str(), deletions()),
        (Some("ACTIVE"), 1)
    );
    desk.quiet(3);
    release(&systems, desk.node(0).0, hold);
    killed_in_the_act();
    let (code, lines) = systems.run(&["lifecycle"]);
    assert_eq!(
        (code, steps(&lines)),
        (0, json!({"destroyed": 1, "certified": 1})),
        "{lines:#?}"
    );
    assert_eq!(deletions(), 2, "each decision is carried out once");
    // A reply that is lost is looked up.
    desk.disposition(1, "Destroy");
    systems.simulator.faults().add(deletion(Action::DropReply));
    let (code, lines) = desk.decide(1, "destroy");
    assert_eq!(
        (code, steps(&lines)),
        (0, json!({"destroyed": 1, "certified": 1})),
        "{lines:#?}"
    );
    assert_eq!(deletions(), 3);
    desk.quiet(0);
    systems.stop();
}

#[test]
fn a_disposition_search_is_started_once_for_what_was_marked_and_never_over_a_review() {
    let systems = start(3, "");
    let desk = Desk(&systems);
    let server = systems.simulator.content_server();
    let search = server.add_folder(of_target(&systems), "Reviews");
    let class = server.add_records_class("Other");
    let outcome = format!(
        "outcome = {{ from = \"disposition\", search = {search}, start = true, values = {{ \"32\" = \"archive\", reject = \"retain\" }} }}\n"
    );
    systems.configure(Extra {
        sections: &sections(class, &outcome),
        ..Extra::default()
    });
    let searches = || {
        let history = server.history();
        let started = history
            .iter()
            .filter(|effect| effect["kind"] == "disposition search");
        started.count()
    };
    let started = |lines: &[Value]| of_type(lines, "lifecycle_summary")["search"].clone();
    server.add_disposition_search(search, "OBSOLETE", "32");
    desk.set(0, "obsolete", &["true"]);
    let dry = systems.must(&["lifecycle", "--dry-run"]);
    assert_eq!(started(&dry), Value::Null, "nothing was told yet");
    let lines = systems.must(&["lifecycle"]);
    assert_eq!((started(&lines), searches()), (json!(search), 1));
    desk.quiet(0);
    assert_eq!(desk.events("lifecycle-searching").len(), 1);

    // What is marked meanwhile waits until the review is over.
    desk.set(1, "obsolete", &["true"]);
    let lines = systems.must(&["lifecycle"]);
    assert_eq!((started(&lines), searches()), (Value::Null, 1));
    desk.quiet(0);
    let date = server.snapshots(search).remove(0);
    server.review(search, &date, desk.node(0).0, "32", "approve");
    let lines = systems.must(&["lifecycle"]);
    assert_eq!(steps(&lines), json!({"archived": 1}));
    assert_eq!((started(&lines), searches()), (json!(search), 2));
    desk.quiet(0);

    // One that may not be started is said, and the marks are kept.
    let closed = server.add_folder(of_target(&systems), "Closed");
    let outcome = outcome.replace(&search.to_string(), &closed.to_string());
    systems.configure(Extra {
        sections: &sections(class, &outcome),
        ..Extra::default()
    });
    desk.set(2, "obsolete", &["true"]);
    let (code, lines) = systems.run(&["lifecycle"]);
    let said = of_type(&lines, "exit")["message"].to_string();
    assert!(
        code != 0 && said.contains("`lifecycle.outcome.start`"),
        "{code} {said}"
    );
    assert_eq!(searches(), 2);
    systems.stop();
}

#[test]
fn a_user_who_may_not_delete_is_told_which_role_and_nothing_is_lost() {
    let systems = start(1, &format!("{BY_ATTRIBUTE}destroy = true\n"));
    let desk = Desk(&systems);
    desk.set(0, "obsolete", &["true"]);
    systems.must(&["lifecycle"]);
    desk.disposition(0, "Destroy");
    systems.without("can_delete_assets", || {
        let (code, lines) = systems.run(&["lifecycle", "--yes"]);
        let said = serde_json::to_string(&lines).expect("JSON");
        assert!(
            code != 0 && said.contains("can_delete_assets"),
            "{code}: {said}"
        );
        assert_eq!(desk.row(0)["status"], "ACTIVE");
    });
    systems.must(&["lifecycle", "--yes"]);
    assert_eq!(desk.row(0)["status"], "DELETED");
    assert_eq!(desk.events("lifecycle-destroyed").len(), 1);
    systems.stop();
}
