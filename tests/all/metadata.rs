//! `metadata`: edits on both sides, carried over once, decided by the truth or by a person.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::types::{KIB, NodeId};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, of_type};

/// Fields of every truth; attribute ids of the simulated category in `ATTRIBUTES`.
const SETTINGS: &str = r#"
[map.fields.project_name]
category = "Media record"
attribute = "Project"
truth = "content-server"
[map.fields.campaign]
category = "Media record"
attribute = "Campaign"
[map.fields.owner]
category = "Media record"
attribute = "Owner"
truth = "review"
[map.fields.language]
category = "Media record"
attribute = "Language"
truth = "newest"
[map.fields.region]
category = "Media record"
attribute = "Region"
truth = "newest"
values = { emea = "EMEA", amer = "AMER", apac = "APAC" }
[map.fields.expiry_date]
iconik = "expires_on"
category = "Media record"
attribute = "Expiry date"
type = "date"
truth = "newest"
[publish]
approved = "any"
"#;

const ATTRIBUTES: [(&str, i64); 6] = [
    ("project_name", 2),
    ("campaign", 3),
    ("owner", 5),
    ("region", 6),
    ("language", 7),
    ("expires_on", 8),
];

fn start(assets: u64) -> Systems {
    let campaign = (0..assets).fold(Campaign::new(), |campaign, number| {
        let file = FileSpec::generated(&format!("clip{number}.mov"), number + 1, 4 * KIB);
        campaign.asset(
            AssetSpec::new(&format!("Clip {number}"), vec![file])
                .value("campaign", &["Spring"])
                .value("owner", &["Anna"])
                .value("region", &["emea", "apac"])
                .value("expires_on", &["2027-07-01"]),
        )
    });
    let extra = Extra {
        sections: SETTINGS,
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(campaign), extra);
    systems.must(&["publish", &systems.simulator.collection()]);
    systems
}

struct Desk<'a> {
    systems: &'a Systems,
    category: i64,
}

impl<'a> Desk<'a> {
    fn new(systems: &'a Systems) -> Self {
        let node = NodeId(systems.named("clip0.mov")[0].node);
        let all = systems.person(|server| async move { server.categories(node).await });
        Self {
            systems,
            category: all[0].id.0,
        }
    }

    fn node(&self, number: u64) -> NodeId {
        NodeId(self.systems.named(&format!("clip{number}.mov"))[0].node)
    }

    fn asset(&self, number: u64) -> String {
        self.systems.assets(&[&format!("Clip {number}")]).remove(0)
    }

    /// A person in iconik edits a field.
    fn in_iconik(&self, number: u64, field: &str, values: &[&str]) {
        let asset = self.asset(number);
        let iconik = self.systems.simulator.iconik();
        assert!(iconik.set_values(&asset, field, values), "{field}");
    }

    /// A person in Content Server edits the attribute of a field.
    fn in_server(&self, number: u64, field: &str, value: Value) {
        let (node, key) = (self.node(number), self.key(field));
        let wanted = BTreeMap::from([(self.category, BTreeMap::from([(key, value)]))]);
        self.systems
            .person(|server| async move { server.write_values(node, &wanted).await });
    }

    fn key(&self, field: &str) -> String {
        let id = ATTRIBUTES.iter().find(|(name, _)| *name == field);
        format!("{}_{}", self.category, id.expect("a field").1)
    }

    /// What Content Server has.
    fn there(&self, number: u64, field: &str) -> Value {
        let (node, key) = (self.node(number), self.key(field));
        let all = self
            .systems
            .person(|server| async move { server.categories(node).await });
        all[0].values.0.get(&key).cloned().unwrap_or_default()
    }

    /// What iconik has.
    fn here(&self, number: u64, field: &str) -> Vec<String> {
        let asset = self.asset(number);
        let rows = self.systems.simulator.iconik();
        let views = rows.rows(longhaul::simulator::iconik::Kind::View);
        let values = views.iter().find_map(|view| {
            let saved = rows.values("assets", &asset, view["id"].as_str()?)?;
            saved.get(field).cloned()
        });
        let values = values.unwrap_or_default();
        let all = values["field_values"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        all.iter()
            .map(|value| value["value"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Everything that could show a change.
    fn effects(&self) -> (usize, usize) {
        (
            self.systems.simulator.iconik().writes().len(),
            self.systems.simulator.content_server().history().len(),
        )
    }
}

fn outcomes(lines: &[Value]) -> Value {
    of_type(lines, "metadata_summary")["outcomes"].clone()
}

#[test]
fn an_edit_of_either_side_is_carried_over_once_and_quiet_runs_write_nothing() {
    let systems = start(2);
    let desk = Desk::new(&systems);
    let before = desk.effects();
    let lines = systems.must(&["metadata"]);
    assert_eq!(
        outcomes(&lines),
        json!({}),
        "publishing left both sides equal"
    );
    systems.must(&["metadata"]);
    assert_eq!(desk.effects(), before);

    desk.in_iconik(0, "campaign", &["Autumn"]);
    desk.in_server(0, "language", json!("de-AT"));
    desk.in_server(0, "region", json!(["AMER"]));
    desk.in_server(1, "expires_on", json!("2028-01-31"));
    // Content Server's word counts for one field, iconik's for another.
    desk.in_iconik(1, "project_name", &["Mine"]);
    desk.in_server(1, "project_name", json!("Theirs"));
    desk.in_server(1, "campaign", json!("Winter"));
    let dry = systems.must(&["metadata", "--dry-run"]);
    let lines = systems.must(&["metadata"]);
    assert_eq!(outcomes(&dry), outcomes(&lines));
    assert_eq!(
        outcomes(&lines),
        json!({"to-content-server": 2, "to-iconik": 4})
    );
    assert_eq!(desk.there(0, "campaign"), "Autumn");
    assert_eq!(desk.here(0, "language"), ["de-AT"]);
    assert_eq!(desk.here(0, "region"), ["amer"], "translated back");
    assert_eq!(desk.here(1, "expires_on"), ["2028-01-31"]);
    assert_eq!(desk.here(1, "project_name"), ["Theirs"]);
    assert_eq!(
        desk.there(1, "campaign"),
        "Spring",
        "an edit that iconik overrules"
    );
    let journal = systems.must(&["audit"]);
    let overwritten = journal
        .iter()
        .filter(|line| line["event"] == "metadata-carried-over")
        .any(|line| line["data"]["content_server"]["values"] == json!(["Winter"]));
    assert!(overwritten, "what was overwritten stays in the journal");

    let before = desk.effects();
    let lines = systems.must(&["metadata"]);
    assert_eq!(
        outcomes(&lines),
        json!({}),
        "no write comes back as an edit"
    );
    systems.must(&["metadata", "--full"]);
    assert_eq!(desk.effects(), before);
    assert_eq!(systems.run(&["audit", "verify"]).0, 0);
    systems.stop();
}

#[test]
fn edits_that_overlap_wait_for_a_person_with_both_values() {
    let systems = start(1);
    let desk = Desk::new(&systems);
    systems.must(&["metadata"]);
    desk.in_iconik(0, "owner", &["Berta"]);
    desk.in_server(0, "owner", json!("Carl"));
    let (code, lines) = systems.run(&["metadata"]);
    assert_eq!((code, outcomes(&lines)), (3, json!({"conflict": 1})));
    let before = desk.effects();
    let (code, lines) = systems.run(&["metadata"]);
    assert_eq!((code, outcomes(&lines)), (3, json!({})), "it is no news");
    assert_eq!(of_type(&lines, "metadata_summary")["waiting"], 1);
    assert_eq!(desk.effects(), before);

    let (code, lines) = systems.run(&["metadata", "conflicts"]);
    let conflict = of_type(&lines, "metadata_conflict");
    assert_eq!(code, 3);
    assert_eq!(conflict["iconik"]["values"], json!(["Berta"]));
    assert_eq!(conflict["content_server"]["values"], json!(["Carl"]));
    assert!(conflict["iconik"]["at"].is_string() && conflict["content_server"]["by"].is_string());

    let asset = desk.asset(0);
    let decide = |field: &str, take: &str| {
        systems.run(&[
            "metadata",
            "decide",
            &asset,
            field,
            "--take",
            take,
            "--because",
            "a test",
        ])
    };
    assert_eq!(decide("campaign", "iconik").0, 2, "nothing waits there");
    let (code, lines) = decide("owner", "content-server");
    assert_eq!((code, outcomes(&lines)), (0, json!({"to-iconik": 1})));
    assert_eq!(desk.here(0, "owner"), ["Carl"]);
    assert_eq!(systems.run(&["metadata", "conflicts"]).0, 0);
    let journal = systems.must(&["audit"]);
    assert!(
        journal
            .iter()
            .any(|line| line["event"] == "metadata-decided" && line["data"]["because"] == "a test")
    );
    systems.stop();
}

#[test]
fn what_a_side_cannot_take_is_refused_and_the_rest_goes_on() {
    let systems = start(2);
    let desk = Desk::new(&systems);
    systems.must(&["metadata"]);
    // No word of iconik's list, and a document that a person deleted.
    desk.in_server(0, "region", json!(["Mars"]));
    desk.in_server(0, "language", json!("en"));
    let gone = desk.node(1);
    assert!(systems.simulator.content_server().delete(gone.0));
    let (code, lines) = systems.run(&["metadata"]);
    assert_eq!(code, 3, "{lines:#?}");
    assert_eq!(
        outcomes(&lines),
        json!({"to-iconik": 1, "refused": 1, "gone": 1})
    );
    let refused = lines
        .iter()
        .find(|line| line["outcome"] == "refused")
        .expect("a refusal");
    assert_eq!(refused["field"], "region");
    assert!(
        refused["why"]
            .as_str()
            .unwrap()
            .contains("map.fields.region")
    );
    assert_eq!(desk.here(0, "language"), ["en"]);
    assert_eq!(desk.here(0, "region"), ["emea", "apac"], "left as it is");
    // It is said again each time until somebody mends it, and nothing is written meanwhile.
    let before = desk.effects();
    let journal = systems.must(&["audit"]).len();
    let (code, lines) = systems.run(&["metadata"]);
    assert_eq!(
        (code, outcomes(&lines)),
        (3, json!({"refused": 1, "gone": 1}))
    );
    assert_eq!(desk.effects(), before);
    assert_eq!(systems.must(&["audit"]).len(), journal, "no news to record");
    desk.in_server(0, "region", json!(["APAC"]));
    let (_, lines) = systems.run(&["metadata"]);
    assert_eq!(outcomes(&lines), json!({"to-iconik": 1, "gone": 1}));
    assert_eq!(desk.here(0, "region"), ["apac"]);
    systems.stop();
}

#[test]
fn killed_at_random_moments_both_sides_still_come_to_agree() {
    let systems = start(12);
    let desk = Desk::new(&systems);
    systems.must(&["metadata"]);
    for number in 0..12 {
        desk.in_iconik(number, "campaign", &[&format!("Campaign {number}")]);
        desk.in_server(number, "language", json!(format!("l{number}")));
    }
    for patience in [40, 80, 120, 160, 220] {
        systems.kill_after(Duration::from_millis(patience), &["metadata"]);
    }
    systems.must(&["metadata"]);
    for number in 0..12 {
        assert_eq!(desk.there(number, "campaign"), format!("Campaign {number}"));
        assert_eq!(desk.here(number, "language"), [format!("l{number}")]);
    }
    let before = desk.effects();
    assert_eq!(outcomes(&systems.must(&["metadata", "--full"])), json!({}));
    assert_eq!(desk.effects(), before);
    systems.stop();
}

#[test]
fn the_sidecar_says_whose_values_it_has_whichever_flow_files_it() {
    let systems = start(1);
    let desk = Desk::new(&systems);
    let collection = systems.simulator.collection();
    let sidecar = "clip0.mov.metadata.json";
    let category = desk.category.to_string();
    let categories = |said: &Value| said["source"]["otcs"]["categories"][&category].clone();
    let said = systems.json_of(sidecar);
    assert_eq!(categories(&said)[desk.key("campaign")], "Spring");
    assert_eq!(said["fields"]["campaign"]["from"], "iconik");
    assert_eq!(
        said["source"]["iconik"]["views"]
            .as_object()
            .map(|views| !views.is_empty()),
        Some(true)
    );

    desk.in_server(0, "project_name", json!("Launch"));
    systems.must(&["metadata"]);
    systems.must(&["publish", &collection]);
    let said = systems.json_of(sidecar);
    assert_eq!(
        said["fields"]["project_name"],
        json!({"value": "Launch", "from": "otcs"})
    );
    assert_eq!(said["fields"]["campaign"]["from"], "iconik");

    // Another flow, which makes no records, has nothing else to say.
    let before = systems.simulator.content_server().history().len();
    systems.must(&["archive", &collection]);
    systems.must(&["publish", &collection]);
    assert_eq!(systems.simulator.content_server().history().len(), before);
    systems.stop();
}
