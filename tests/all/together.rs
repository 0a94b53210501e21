//! All flows together from a timer, how they stand then, and what a flow says of bad input.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, CommentSpec, FileSpec};
use longhaul::simulator::content_server::{WorkflowMap, WorkflowStep};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::transfer::{Content, Destination as _, NewContent};
use longhaul::types::{KIB, NodeId};
use serde_json::{Map, Value, json};

use crate::support::{Extra, Systems, of_type};

/// The attribute of the simulated category that the owner is in.
const OWNER: i64 = 5;

struct Desk {
    systems: Systems,
    /// A folder whose documents are shown in iconik.
    folder: i64,
}

impl Desk {
    fn new() -> Self {
        let campaign = (0..2).fold(Campaign::new(), |campaign, number| {
            let file = FileSpec::generated(&format!("clip{number}.mov"), number + 1, 4 * KIB);
            let mut asset = AssetSpec::new(&format!("Clip {number}"), vec![file])
                .value("campaign", &["Spring"])
                .value("owner", &["Anna"]);
            asset.approval = Some(("APPROVED", vec!["APPROVED"]));
            asset.comments = vec![CommentSpec {
                text: "Too dark".to_owned(),
                from_ms: 1500,
                reply: false,
                guest: None,
            }];
            campaign.asset(asset)
        });
        let step = WorkflowStep::new("Marketing", "mara").due(48);
        let campaign = campaign.workflow(WorkflowMap::new("Marketing", vec![step]));
        let systems = Systems::start(Options::with(campaign));
        let server = systems.simulator.content_server();
        let target = NodeId(systems.simulator.parts().target);
        let folder = systems
            .person(|server| async move { server.create_container(target, "Briefs").await })
            .0;
        server
            .publish(folder, &["see", "see_contents"])
            .expect("rights have these names");
        let audience = server.ensure_user("rita", "her own");
        let class = server.add_records_class("Media");
        let collection = systems.simulator.collection();
        let sections = format!(
            r#"[publish]
approved = "any"
records_class = {class}
[map.fields.campaign]
category = "Media record"
attribute = "Campaign"
[map.fields.owner]
category = "Media record"
attribute = "Owner"
truth = "review"
[references]
audience = {audience}
[references.rules.briefs]
collections = ["{collection}"]
folder = {folder}
[lifecycle]
status = {{ field = "obsolete", values = {{ true = "obsolete" }} }}
record_status = {{ obsolete = "OBSOLETE" }}
[exchange]
[schedule]
flows = ["metadata", "publish {collection}", "approval", "references", "lifecycle", "exchange"]
[[approval.routes]]
name = "marketing"
map = "Marketing"
"#
        );
        systems.configure(Extra {
            sections: &sections,
            ..Extra::default()
        });
        systems.must(&["publish", &collection]);
        Self { systems, folder }
    }

    fn file(&self, name: &str) {
        let (folder, name) = (NodeId(self.folder), name.to_owned());
        let content = NewContent::Body {
            file_name: name.clone(),
            mime: "application/pdf".to_owned(),
            content: Content::Chunks(vec![Bytes::from(name.clone().into_bytes())]),
        };
        self.systems.person(|server| async move {
            let made = server.create_document(folder, &name, content).await?;
            Ok(made.node)
        });
    }

    fn node(&self, number: u64) -> NodeId {
        NodeId(self.systems.named(&format!("clip{number}.mov"))[0].node)
    }

    fn asset(&self, number: u64) -> String {
        self.systems.assets(&[&format!("Clip {number}")]).remove(0)
    }

    fn in_iconik(&self, number: u64, owner: &str) {
        let iconik = self.systems.simulator.iconik();
        assert!(iconik.set_values(&self.asset(number), "owner", &[owner]));
    }

    fn in_server(&self, number: u64, owner: &str) {
        let node = self.node(number);
        let all = self
            .systems
            .person(|server| async move { server.categories(node).await });
        let own = all
            .iter()
            .find(|own| own.name.as_deref() == Some("Media record"));
        let category = own.expect("the category").id.0;
        let values = BTreeMap::from([(format!("{category}_{OWNER}"), json!(owner))]);
        let wanted = BTreeMap::from([(category, values)]);
        self.systems
            .person(|server| async move { server.write_values(node, &wanted).await });
    }

    /// Everything that could show a change. A run of `publish` notes what it leaves out, whatever it
    /// finds.
    fn effects(&self) -> (usize, usize, usize) {
        let writes = self.systems.simulator.iconik().writes();
        let journal = self.systems.must(&["audit"]);
        let journal = journal.iter().filter(|line| line["event"] != "left-out");
        (
            writes.len(),
            self.systems.simulator.content_server().history().len(),
            journal.count(),
        )
    }

    /// How the flows stand, by name; nobody is at work on the ledger.
    fn standing(&self) -> BTreeMap<String, Value> {
        let (_, lines) = self.systems.run(&["status"]);
        let flows = lines
            .into_iter()
            .filter(|line| line["type"] == "flow_standing");
        flows
            .map(|line| (line["flow"].as_str().unwrap_or_default().to_owned(), line))
            .collect()
    }
}

fn said(lines: &[Value], word: &str) -> String {
    let whys = lines.iter().filter(|line| line["outcome"] == word);
    whys.map(|line| line["why"].to_string()).collect()
}

#[test]
fn a_timer_brings_both_systems_in_step_and_then_writes_nothing() {
    let desk = Desk::new();
    let systems = &desk.systems;
    desk.file("Brief.pdf");
    let (code, lines) = systems.run(&["run"]);
    assert_eq!(code, 0, "{lines:#?}");
    let iconik = systems.simulator.iconik();
    let links = || {
        let mut rows = iconik.rows(Kind::Asset);
        rows.retain(|row| row["type"] == "LINK" && row["status"] == "ACTIVE");
        rows.len()
    };
    assert_eq!(links(), 1);
    let server = systems.simulator.content_server();
    let processes = server.workflow_processes();
    let processes = processes.as_array().expect("a list");
    assert_eq!(processes.len(), 2, "one for each version");

    // Something happens on either side of every flow.
    desk.in_iconik(0, "Berta");
    desk.in_server(1, "Carla");
    desk.file("Contract.pdf");
    assert!(iconik.set_values(&desk.asset(1), "obsolete", &["true"]));
    let remark = iconik.rows(Kind::Segment);
    let remark = remark.iter().find(|row| row["segment_text"] == "Too dark");
    let remark = remark.expect("a remark")["id"].as_str().expect("an id");
    assert!(iconik.change(Kind::Segment, remark, json!({"segment_text": "Fine"})));
    let process = processes[0]["process"].as_i64().expect("an id");
    server
        .act_in_workflow(process, "Approve", "on brand", Map::new())
        .expect("it may be done");
    let (code, lines) = systems.run(&["run"]);
    assert_eq!(code, 0, "{lines:#?}");
    assert_eq!(links(), 2);
    let outcomes = |kind: &str| of_type(&lines, kind)["outcomes"].clone();
    assert_eq!(
        outcomes("metadata_summary"),
        json!({"to-content-server": 1, "to-iconik": 1})
    );
    assert_eq!(outcomes("approval_summary"), json!({"approved": 1}));
    assert_eq!(of_type(&lines, "lifecycle_summary")["steps"]["marked"], 1);
    assert!(outcomes("exchange_summary")["to-content-server"].as_u64() >= Some(1));

    let before = desk.effects();
    let (code, lines) = systems.run(&["run"]);
    assert_eq!(code, 0, "{lines:#?}");
    assert_eq!(desk.effects(), before, "nothing new, nothing written");
    assert_eq!(systems.run(&["audit", "verify"]).0, 0);
    desk.systems.stop();
}

#[test]
fn status_says_of_every_flow_how_it_stands() {
    let desk = Desk::new();
    let systems = &desk.systems;
    assert_eq!(systems.run(&["run"]).0, 0);
    let flows = desk.standing();
    for flow in [
        "publish",
        "metadata",
        "approval",
        "references",
        "lifecycle",
        "exchange",
    ] {
        let own = flows
            .get(flow)
            .unwrap_or_else(|| panic!("no {flow} in {flows:#?}"));
        assert!(
            own["last_success"].is_string() && own["ended"].is_string(),
            "{own}"
        );
        let none = ["waiting", "held"].map(|what| own[what].as_u64());
        assert_eq!(none, [Some(0), Some(0)], "{own}");
    }
    assert_eq!(flows["publish"]["conflicts"], 0);
    assert_eq!(flows["metadata"]["conflicts"], 0);
    assert_eq!(flows["approval"]["overdue"], 0);
    assert_eq!(flows["references"]["overdue"], Value::Null);

    // Both sides edit a field, a document goes, a rule cannot be followed, and time passes.
    desk.in_iconik(0, "Berta");
    desk.in_server(0, "Carla");
    let server = systems.simulator.content_server();
    assert!(server.delete(desk.node(1).0));
    assert!(server.delete(desk.folder));
    server.advance(Duration::from_secs(72 * 3600));
    let good = flows["metadata"]["last_success"].clone();
    let (code, _) = systems.run(&["run"]);
    assert_eq!(code, 3);
    let flows = desk.standing();
    let of = |flow: &str, what: &str| flows[flow][what].as_u64();
    assert_eq!(of("metadata", "conflicts"), Some(1), "{flows:#?}");
    assert_eq!(of("metadata", "held"), Some(1), "the document that is gone");
    assert!(of("approval", "overdue") >= Some(1), "{flows:#?}");
    assert!(of("references", "held") >= Some(1), "{flows:#?}");
    assert!(of("exchange", "held") >= Some(1), "{flows:#?}");
    assert_ne!(
        flows["metadata"]["last_success"], good,
        "held is through all the same"
    );
    // A run that breaks off keeps the last success of its flow.
    let down = Action::Status {
        code: 401,
        headers: BTreeMap::new(),
        body: String::new(),
        applied: false,
        read_body: true,
    };
    let rule = Rule::new(down).on(System::Iconik).always();
    let rule = systems.simulator.faults().add(rule);
    let (code, _) = systems.run(&["metadata"]);
    assert!(code != 0 && code != 3, "{code}");
    assert!(systems.simulator.faults().remove(rule));
    let later = desk.standing();
    assert_eq!(
        later["metadata"]["last_success"],
        flows["metadata"]["last_success"]
    );
    // The same for people.
    let text = systems
        .place
        .bare()
        .arg("status")
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for words in ["metadata", "1 wait for a person", "overdue", "held"] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    desk.systems.stop();
}

#[test]
fn a_user_without_a_right_is_told_which_and_nothing_is_lost() {
    let desk = Desk::new();
    let systems = &desk.systems;
    desk.file("Brief.pdf");
    systems.must(&["metadata"]);
    desk.in_server(0, "Carla");
    systems.without("can_write_metadata_values", || {
        let (code, lines) = systems.run(&["metadata"]);
        assert_eq!(code, 3, "{lines:#?}");
        let why = said(&lines, "refused");
        assert!(why.contains("can_write_metadata_values"), "{why}");
    });
    let lines = systems.must(&["metadata", "--full"]);
    assert_eq!(
        of_type(&lines, "metadata_summary")["outcomes"],
        json!({"to-iconik": 1})
    );

    systems.without("can_create_assets", || {
        let (code, lines) = systems.run(&["references"]);
        assert_eq!(code, 3, "{lines:#?}");
        let why = said(&lines, "held");
        assert!(why.contains("role"), "{why}");
    });
    systems.must(&["references"]);
    let rows = systems.simulator.iconik().rows(Kind::Asset);
    assert_eq!(rows.iter().filter(|row| row["type"] == "LINK").count(), 1);
    desk.systems.stop();
}

#[test]
fn a_server_without_the_records_module_stops_what_needs_it_and_nothing_else() {
    let desk = Desk::new();
    let systems = &desk.systems;
    let (code, lines) = systems.run(&["run"]);
    assert_eq!(code, 0, "{lines:#?}");
    assert!(
        systems
            .simulator
            .iconik()
            .set_values(&desk.asset(0), "obsolete", &["true"])
    );
    let missing = Action::Status {
        code: 404,
        headers: BTreeMap::new(),
        body: json!({"error": "The requested REST API route does not exist"}).to_string(),
        applied: false,
        read_body: true,
    };
    let faults = systems.simulator.faults();
    let rule = Rule::new(missing).on(System::ContentServer);
    let rule = faults.add(rule.path("*rmclassifications*").always());
    let (code, lines) = systems.run(&["lifecycle"]);
    assert_eq!(code, 3, "{lines:#?}");
    let held = lines.iter().find(|line| line["step"] == "held");
    let why = held.expect("held")["why"].to_string();
    assert!(why.contains("record"), "{why}");
    for flow in ["metadata", "approval", "references", "exchange"] {
        assert_eq!(systems.run(&[flow]).0, 0, "{flow} needs no records");
    }
    assert!(faults.remove(rule));
    let lines = systems.must(&["lifecycle"]);
    assert_eq!(of_type(&lines, "lifecycle_summary")["steps"]["marked"], 1);
    desk.systems.stop();
}

#[test]
fn a_record_that_is_published_again_keeps_what_was_edited_in_the_record_system() {
    let desk = Desk::new();
    let systems = &desk.systems;
    systems.must(&["metadata"]);
    // Both at once: the campaign here, the owner there, and `publish` comes first.
    let iconik = systems.simulator.iconik();
    assert!(iconik.set_values(&desk.asset(0), "campaign", &["Summer"]));
    desk.in_server(0, "Carla");
    systems.must(&["publish", &systems.simulator.collection()]);
    let node = desk.node(0);
    let all = systems.person(|server| async move { server.categories(node).await });
    let told = format!(
        "{:?}",
        all.iter().map(|own| &own.values).collect::<Vec<_>>()
    );
    assert!(told.contains("Summer") && told.contains("Carla"), "{told}");
    let lines = systems.must(&["metadata"]);
    assert_eq!(
        of_type(&lines, "metadata_summary")["outcomes"],
        json!({"to-iconik": 1}),
        "the edit reaches the other side"
    );
    desk.systems.stop();
}
