//! What records are kept under: read once when they are filed, remembered, and told by reports that
//! sign in nowhere.

use std::collections::BTreeMap;

use jiff::ToSpan;
use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::types::{KIB, NodeId};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, items, of_type};

const UNMAPPED: &str = "The REST API URL could not be found in the mappings registry";

/// Clips that become records of a class.
fn start(clips: u64) -> (Systems, i64) {
    let campaign = (0..clips).fold(Campaign::new(), |campaign, number| {
        let file = FileSpec::generated(&format!("clip{number}.mov"), number + 1, 4 * KIB);
        campaign.asset(AssetSpec::new(&format!("Clip {number}"), vec![file]))
    });
    let systems = Systems::start(Options::with(campaign));
    let class = systems
        .simulator
        .content_server()
        .add_records_class("Media");
    let sections = format!(
        "[publish]\napproved = \"any\"\nrecords_class = {class}\n[network]\nretry_wait = \"20ms\"\n"
    );
    systems.configure(Extra {
        sections: &sections,
        ..Extra::default()
    });
    (systems, class)
}

fn publish(systems: &Systems) -> Value {
    let lines = systems.must(&["publish", &systems.simulator.collection()]);
    of_type(&lines, "summary").clone()
}

/// How often Content Server was asked at an address.
fn asked(systems: &Systems, what: &str) -> usize {
    let records = systems.simulator.history().of(System::ContentServer);
    let asked = records
        .iter()
        .filter(|record| record.method == "GET" && record.path.contains(what));
    asked.count()
}

fn rows(systems: &Systems) -> Vec<Value> {
    rows_of(systems, "1")
}

fn rows_of(systems: &Systems, run: &str) -> Vec<Value> {
    let mut lines = systems.must(&["report", "--run", run]);
    lines.retain(|line| line["type"] == "report_item");
    lines
}

/// Items by what they are as records.
fn counted(systems: &Systems) -> BTreeMap<String, u64> {
    let lines = systems.must(&["report", "--run", "1"]);
    let records = of_type(&lines, "report")["records"].as_array().cloned();
    let counts = records.unwrap_or_default().into_iter();
    counts
        .map(|count| {
            let name = count["name"].as_str().expect("a name").to_owned();
            (name, count["items"].as_u64().expect("a number"))
        })
        .collect()
}

fn refuse(systems: &Systems, path: &str, code: u16, text: &str) {
    let rule = Rule::new(Action::Status {
        code,
        headers: BTreeMap::new(),
        body: json!({"error": text}).to_string(),
        applied: false,
        read_body: true,
    });
    let rule = rule.on(System::ContentServer).method("GET").path(path);
    systems.simulator.faults().add(rule.always());
}

fn text(systems: &Systems, arguments: &[&str]) -> String {
    let done = systems.place.longhaul().args(arguments).output();
    String::from_utf8(done.expect("longhaul starts").stdout).expect("a text")
}

#[test]
fn it_is_read_when_a_record_is_filed_and_told_as_it_was_read() {
    let (systems, class) = start(3);
    let server = systems.simulator.content_server();
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    let due = format!("{}T00:00:00", today.checked_add(3.months()).unwrap());
    // The stage that is due first need not come first.
    server.set_schedule("M10Y", "2999-01-01T00:00:00", "32");
    server.add_stage("M10Y", "Close", Some(&due), "7");
    server.add_stage("M10Y", "Keep", None, "0");
    server.assign_schedule(class, "M10Y");

    let collection = systems.simulator.collection();
    let lines = systems.must(&["plan", "publish", &collection]);
    let records = &of_type(&lines, "summary")["totals"]["records"];
    assert_eq!(
        records["retention"],
        json!({class.to_string(): {"said_by": "server", "schedules": ["M10Y"], "read": null}})
    );
    let said = format!("3 {class}: retention schedule M10Y");
    let told = text(&systems, &["plan", "publish", &collection]);
    assert!(told.contains(&said), "{told}");
    assert_eq!(asked(&systems, "/rsis"), 2, "once for each plan");

    assert_eq!(items(&publish(&systems), "done"), 3);
    assert_eq!(asked(&systems, "/GetRSIDetails"), 3);
    for row in rows(&systems) {
        assert_eq!(
            (
                &row["retention"],
                &row["retention_schedule"],
                &row["retention_due"]
            ),
            (&json!("scheduled"), &json!("M10Y"), &json!(due)),
            "{row}"
        );
        let read: jiff::Timestamp = row["retention_read"].as_str().unwrap().parse().unwrap();
        assert!(read <= jiff::Timestamp::now());
    }
    let counts = counted(&systems);
    assert_eq!((counts["schedule"], counts["due-in-a-year"]), (3, 3));
    assert!(!counts.contains_key("overdue") && !counts.contains_key("no-schedule"));
    let read = systems.must(&["audit"]);
    let read = read.iter().filter(|line| line["event"] == "retention-read");
    assert_eq!(read.count(), 3);

    systems.must(&["report", "--out", "r.html"]);
    let page = std::fs::read_to_string(systems.place.path().join("r.html")).unwrap();
    assert_eq!(page.matches("data-kind=\"retention\"").count(), 3, "{page}");
    assert!(page.contains("As read on") && page.contains(&due));
    systems.must(&["report", "--out", "r.csv"]);
    let table = std::fs::read_to_string(systems.place.path().join("r.csv")).unwrap();
    assert_eq!(table.matches(&format!(",scheduled,M10Y,{due},")).count(), 3);

    // A run that finds nothing to do asks nothing of it.
    let before = (
        asked(&systems, "/rmclassifications"),
        asked(&systems, "/rsi"),
    );
    publish(&systems);
    let after = (
        asked(&systems, "/rmclassifications"),
        asked(&systems, "/rsi"),
    );
    assert_eq!(after, before);

    // The schedule is another: a report says what was read, a comparison reads it anew.
    server.set_schedule("M10Y", "2020-01-01T00:00:00", "32");
    assert_eq!(counted(&systems)["due-in-a-year"], 3);
    let standing = |systems: &Systems| -> Value {
        let (_, lines) = systems.run(&["status"]);
        let mut flows = lines.iter().filter(|line| line["flow"] == "retention");
        flows.next().expect("how retention stands")["overdue"].clone()
    };
    assert_eq!(standing(&systems), 0);
    let lines = systems.must(&["reconcile"]);
    let found = lines.iter().find(|line| line["type"] == "reconciled_item");
    assert_eq!(
        found.expect("an item")["retention"],
        json!({"class": class, "schedule": "M10Y", "due": "2020-01-01T00:00:00"})
    );
    let counts = counted(&systems);
    assert_eq!((counts["schedule"], counts["overdue"]), (3, 3));
    assert!(!counts.contains_key("due-in-a-year"));
    assert_eq!(standing(&systems), 3);
    systems.must(&["audit", "verify"]);
    systems.stop();
}

#[test]
fn a_server_that_does_not_say_holds_no_item() {
    let (systems, class) = start(2);
    let server = systems.simulator.content_server();
    server.set_schedule("M1", "2999-01-01T00:00:00", "32");
    server.assign_schedule(class, "M1");
    // Nobody may look.
    let not_permitted = "Accessibility error. Not enough permissions.";
    refuse(&systems, "*/GetRSIDetails", 400, not_permitted);
    refuse(&systems, "*/rsis", 400, UNMAPPED);
    let collection = systems.simulator.collection();
    let plan = |systems: &Systems| {
        let lines = systems.must(&["publish", &collection, "--again", "--dry-run"]);
        of_type(&lines, "summary")["totals"]["records"]["retention"][class.to_string()].clone()
    };
    assert_eq!(plan(&systems)["said_by"], "nobody");
    let told = text(&systems, &["plan", "publish", &collection]);
    assert!(told.contains("retention not known until filed"), "{told}");

    assert_eq!(items(&publish(&systems), "done"), 2);
    for row in rows(&systems) {
        assert_eq!(row["retention"], "dates-not-told", "{row}");
        assert_eq!(row["retention_schedule"], "M1");
        assert_eq!(
            (&row["attempts"], &row["retention_due"]),
            (&json!(0), &json!(null))
        );
    }
    // What was seen of filed records answers for a server that does not.
    let known = plan(&systems);
    assert_eq!(
        (&known["said_by"], &known["schedules"]),
        (&json!("ledger"), &json!(["M1"]))
    );

    // Records management goes away: what was read stays as it was read.
    let before = rows(&systems);
    systems.simulator.faults().clear();
    refuse(&systems, "*/rmclassifications", 400, UNMAPPED);
    systems.must(&["reconcile"]);
    assert_eq!(rows(&systems), before);
    // It comes back, and everything can be read.
    systems.simulator.faults().clear();
    systems.must(&["reconcile"]);
    let row = rows(&systems).remove(0);
    assert_eq!(row["retention"], "scheduled");
    assert_eq!(row["retention_due"], "2999-01-01T00:00:00");
    systems.stop();
}

#[test]
fn a_disturbance_is_waited_out_and_one_without_end_fails_nothing() {
    let (systems, class) = start(1);
    let server = systems.simulator.content_server();
    server.set_schedule("M1", "2999-01-01T00:00:00", "32");
    server.assign_schedule(class, "M1");
    let away = || {
        let rule = Rule::new(Action::Status {
            code: 503,
            headers: BTreeMap::new(),
            body: "<html>restarting</html>".to_owned(),
            applied: false,
            read_body: true,
        });
        rule.on(System::ContentServer).path("*/GetRSIDetails")
    };
    systems.simulator.faults().add(away());
    assert_eq!(items(&publish(&systems), "done"), 1);
    let row = rows(&systems).remove(0);
    assert_eq!(row["retention_due"], "2999-01-01T00:00:00", "{row}");
    assert_eq!(row["attempts"], 0, "the call alone was made again");

    systems.simulator.faults().add(away().always());
    let versions = systems.versions().len();
    let lines = systems.must(&["publish", &systems.simulator.collection(), "--again"]);
    assert_eq!(items(of_type(&lines, "summary"), "done"), 1);
    assert_eq!(systems.versions().len(), versions);
    let row = rows_of(&systems, "2").remove(0);
    assert_eq!(
        row["retention_due"], "2999-01-01T00:00:00",
        "as it was read before"
    );
    systems.stop();
}

#[test]
fn a_record_without_a_schedule_and_what_is_no_record_are_told_apart() {
    let (systems, _) = start(2);
    publish(&systems);
    assert_eq!(
        asked(&systems, "/GetRSIDetails"),
        0,
        "there is none to ask for"
    );
    assert_eq!(rows(&systems)[0]["retention"], "no-schedule");
    assert_eq!(counted(&systems)["no-schedule"], 2);

    // One gets a schedule of its own.
    let server = systems.simulator.content_server();
    server.set_schedule("M7", "2999-01-01", "32");
    let node = NodeId(systems.named("clip0.mov")[0].node);
    let fields = longhaul::content_server::RecordFields {
        rsi: Some("M7".to_owned()),
        ..Default::default()
    };
    systems.person(|server| async move { server.edit_record(node, &fields, None).await });
    systems.must(&["reconcile"]);
    let counts = counted(&systems);
    assert_eq!((counts["schedule"], counts["no-schedule"]), (1, 1));
    systems.stop();

    let plain = Systems::start(Options::with(Campaign::new().asset(AssetSpec::new(
        "Clip",
        vec![FileSpec::generated("clip.mov", 1, 4 * KIB)],
    ))));
    plain.must(&["archive", &plain.simulator.collection()]);
    let calls = asked(&plain, "/rmclassifications") + asked(&plain, "/rsi");
    assert_eq!(calls, 0, "a server is not asked about what is no record");
    assert_eq!(rows(&plain)[0]["retention"], Value::Null);
    plain.stop();
}
