//! `approval`: each version into its workflow once, watched to its end, told on both sides.

use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSetSpec, FileSpec, FormatSpec};
use longhaul::simulator::content_server::{Attribute, AttributeKind, WorkflowMap, WorkflowStep};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::types::{KIB, NodeId};
use longhaul::{http, iconik};
use serde_json::{Map, Value, json};

use crate::support::{Extra, Systems, of_type};

const MAPPED: &str = r#"
[publish]
approved = "any"
[map.fields.rights_status]
category = "Media record"
attribute = "Rights status"
[approval]
mark = { category = "Sign-off", attribute = "State", running = "in approval", approved = "approved", rejected = "rejected" }
"#;
const ROUTES: &str = r#"
[[approval.routes]]
name = "legal"
map = "Legal review"
when = { rights_status = "restricted" }
form = { Campaign = "{campaign}", WorkflowForm_12 = "{title}", WorkflowForm_13 = "{owner}" }
[[approval.routes]]
name = "marketing"
map = "Marketing"
"#;

/// Assets whose review is complete: every second one is restricted.
fn start(assets: u64) -> Systems {
    let mut campaign = Campaign::new()
        .workflow(
            WorkflowMap::new(
                "Legal review",
                vec![
                    WorkflowStep::new("Legal", "lena").due(48),
                    WorkflowStep::new("Compliance", "cora"),
                ],
            )
            .field(10, "Campaign")
            .field(11, "Decision"),
        )
        .workflow(WorkflowMap::new(
            "Marketing",
            vec![WorkflowStep::new("Marketing", "mara")],
        ));
    for number in 0..assets {
        let file = FileSpec::generated(&format!("clip{number}.mov"), number + 1, 4 * KIB);
        let rights = ["restricted", "cleared"][usize::from(number % 2 == 1)];
        campaign = campaign.asset(
            AssetSpec::new(&format!("Clip {number}"), vec![file])
                .value("campaign", &["Spring"])
                .value("rights_status", &[rights])
                .with(|asset| asset.approval = Some(("APPROVED", vec!["APPROVED"]))),
        );
    }
    let systems = Systems::start(Options::with(campaign));
    let state = Attribute::new(2, "State", AttributeKind::Text);
    systems
        .simulator
        .content_server()
        .add_category("Sign-off", vec![state]);
    configure(&systems, ROUTES, "");
    systems.must(&["publish", &systems.simulator.collection()]);
    systems
}

fn configure(systems: &Systems, routes: &str, more: &str) {
    let views = systems.simulator.iconik().rows(Kind::View);
    let view = views.iter().find(|view| view["name"] == "Archive");
    let view = view.expect("a view")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let tell = format!(
        "tell = {{ view = \"{view}\", status = \"archive_package\", comment = \"archive_digest\" }}\n"
    );
    let sections = format!("{MAPPED}{tell}{more}\n{routes}");
    let extra = Extra {
        sections: &sections,
        ..Extra::default()
    };
    systems.configure(extra);
}

fn outcomes(lines: &[Value]) -> Value {
    of_type(lines, "approval_summary")["outcomes"].clone()
}

/// Every process, by title.
fn processes(systems: &Systems) -> Vec<Value> {
    let shown = systems.simulator.content_server().workflow_processes();
    let mut shown = shown.as_array().expect("a list").clone();
    shown.sort_by_key(|process| process["title"].as_str().unwrap_or_default().to_owned());
    shown
}

fn id(process: &Value) -> i64 {
    process["process"].as_i64().expect("an id")
}

fn act(systems: &Systems, process: i64, action: &str, comment: &str) {
    let server = systems.simulator.content_server();
    server
        .act_in_workflow(process, action, comment, Map::new())
        .expect("it may be done");
}

/// What iconik has in a field of its archive view.
fn told(systems: &Systems, title: &str, field: &str) -> String {
    let asset = systems.assets(&[title]).remove(0);
    let iconik = systems.simulator.iconik();
    let views = iconik.rows(Kind::View);
    let values = views.iter().find_map(|view| {
        iconik
            .values("assets", &asset, view["id"].as_str()?)?
            .get(field)
            .cloned()
    });
    let values = values.unwrap_or_default();
    let first = &values["field_values"][0]["value"];
    first.as_str().unwrap_or_default().to_owned()
}

/// The word on a document.
fn marked(systems: &Systems, name: &str) -> Value {
    let node = NodeId(systems.named(name)[0].node);
    let all = systems.person(|server| async move { server.categories(node).await });
    let own = all
        .iter()
        .find(|category| category.name.as_deref() == Some("Sign-off"));
    own.map_or(Value::Null, |own| {
        own.values.0.values().next().cloned().unwrap_or_default()
    })
}

/// Everything that could show a change, the ledger's journal included.
fn effects(systems: &Systems) -> (usize, usize, usize) {
    (
        systems.simulator.iconik().writes().len(),
        systems.simulator.content_server().history().len(),
        systems.must(&["audit"]).len(),
    )
}

#[track_caller]
fn quiet(systems: &Systems, code: i32) {
    let before = effects(systems);
    assert_eq!(systems.run(&["approval"]).0, code);
    assert_eq!(effects(systems), before, "nothing new writes nothing");
}

#[track_caller]
fn why(lines: &[Value], outcome: &str) -> String {
    let line = lines.iter().find(|line| line["outcome"] == outcome);
    let line = line.unwrap_or_else(|| panic!("no {outcome}: {lines:#?}"));
    line["why"].as_str().expect("a reason").to_owned()
}

#[test]
fn a_version_goes_through_its_workflow_once_and_both_sides_are_told() {
    let systems = start(2);
    let dry = systems.must(&["approval", "--dry-run"]);
    assert_eq!(outcomes(&dry), json!({"started": 2}));
    assert!(processes(&systems).is_empty(), "a look starts nothing");
    let lines = systems.must(&["approval"]);
    assert_eq!(outcomes(&lines), json!({"started": 2}));
    let all = processes(&systems);
    assert_eq!(all.len(), 2);
    let (legal, marketing) = (id(&all[0]), id(&all[1]));
    assert_eq!(all[0]["step"], "Legal");
    assert_eq!(all[1]["step"], "Marketing");
    assert_eq!(
        all[0]["documents"],
        json!([systems.named("clip0.mov")[0].node])
    );
    let values = &all[0]["values"];
    assert_eq!(values["WorkflowForm_10"], "Spring", "by its label");
    assert_eq!(values["WorkflowForm_12"], "Clip 0", "by its key");
    assert!(
        values.get("WorkflowForm_13").is_none(),
        "what is empty stays out"
    );
    assert_eq!(told(&systems, "Clip 0", "archive_package"), "running");
    assert_eq!(marked(&systems, "clip0.mov"), "in approval");
    quiet(&systems, 0);

    act(&systems, legal, "Approve", "no objection");
    let lines = systems.must(&["approval"]);
    assert_eq!(outcomes(&lines), json!({"moved": 1}));
    assert!(why(&lines, "moved").contains("at Compliance"));
    act(&systems, legal, "Approve", "complies");
    act(&systems, marketing, "Reject", "off brand");
    let lines = systems.must(&["approval"]);
    assert_eq!(outcomes(&lines), json!({"approved": 1, "rejected": 1}));
    assert!(why(&lines, "rejected").contains("by mara"));
    assert_eq!(told(&systems, "Clip 0", "archive_package"), "approved");
    assert_eq!(told(&systems, "Clip 1", "archive_digest"), "off brand");
    assert_eq!(marked(&systems, "clip0.mov"), "approved");
    assert_eq!(marked(&systems, "clip1.mov"), "rejected");
    let history = |words: &str| {
        let writes = systems.simulator.iconik().writes();
        let said = writes
            .iter()
            .filter(|write| json!(write).to_string().contains(words));
        said.count()
    };
    assert_eq!(history("Approval begun"), 2);
    assert_eq!(history("rejected by mara"), 1);
    quiet(&systems, 0);
    systems.must(&["approval", "--full"]);
    assert_eq!(processes(&systems).len(), 2);

    // A rejected version is not published again, the approved one is.
    let lines = systems.must(&["publish", "--again", &systems.simulator.collection()]);
    let left = of_type(&lines, "summary")["left_out"].as_u64();
    assert_eq!(left, Some(1), "{lines:#?}");
    let journal = systems.must(&["audit"]);
    let refused = journal.iter().find(|line| line["event"] == "left-out");
    let detail = refused.expect("a reason")["data"]["detail"].to_string();
    assert!(
        detail.contains("off brand") && detail.contains("a new version is needed"),
        "{detail}"
    );
    let asset = systems.assets(&["Clip 1"]).remove(0);
    let tested = systems.must(&["map", "test", &asset]);
    assert_eq!(of_type(&tested, "mapped_asset")["final"], false);
    assert_eq!(systems.run(&["audit", "verify"]).0, 0);
    systems.stop();
}

#[test]
fn a_start_without_an_answer_is_found_or_waits_for_a_person() {
    let systems = start(1);
    let initiate = |action: Action| {
        let rule = Rule::new(action).on(System::ContentServer).method("PUT");
        systems
            .simulator
            .faults()
            .add(rule.path("*/draftprocesses/*").nth(2));
    };
    // Carried out, and the answer lost: found by its marker in the same run.
    initiate(Action::Html {
        code: 502,
        body: None,
        applied: true,
    });
    let lines = systems.must(&["approval"]);
    assert_eq!(outcomes(&lines), json!({"found": 1}));
    assert_eq!(processes(&systems).len(), 1);
    systems.stop();

    // Not carried out, as far as anybody can see: never a second start.
    let systems = start(1);
    let rule = Rule::new(Action::Html {
        code: 502,
        body: None,
        applied: false,
    });
    let rule = rule.on(System::ContentServer).method("PUT");
    systems
        .simulator
        .faults()
        .add(rule.path("*/draftprocesses/*").nth(2));
    let (code, lines) = systems.run(&["approval"]);
    assert_eq!((code, outcomes(&lines)), (3, json!({"unclear": 1})));
    assert!(why(&lines, "unclear").contains("--started PROCESS"));
    quiet(&systems, 3);
    systems.run(&["approval", "--full"]);
    assert!(processes(&systems).is_empty());
    let (code, lines) = systems.run(&["approval", "list"]);
    let case = of_type(&lines, "approval_case");
    assert_eq!(
        (code, &case["open"], &case["stage"]),
        (3, &json!(true), &json!("unclear"))
    );

    let asset = systems.assets(&["Clip 0"]).remove(0);
    let decide = |more: &[&str]| {
        let words = ["approval", "decide", &asset, "--because", "looked"];
        systems.run(&[&words[..], more].concat())
    };
    assert_eq!(
        decide(&["--outcome", "approved"]).0,
        2,
        "it may not have begun"
    );
    assert_eq!(decide(&["--started", "4711"]).0, 2, "no such process");
    assert_eq!(decide(&[]).0, 2, "says nothing");
    assert_eq!(decide(&["--start-again", "--dry-run"]).0, 0);
    let (code, lines) = decide(&["--start-again"]);
    assert_eq!((code, outcomes(&lines)), (0, json!({"started": 1})));
    assert_eq!(processes(&systems).len(), 1);
    assert_eq!(decide(&["--start-again"]).0, 2, "nothing waits any more");
    quiet(&systems, 0);
    systems.stop();
}

#[test]
fn killed_at_random_moments_no_process_is_started_twice() {
    let systems = start(8);
    for patience in [60, 110, 160, 220, 300] {
        systems.kill_after(Duration::from_millis(patience), &["approval"]);
    }
    // Half way between the start and its answer, for certain.
    let rule = Rule::new(Action::Delay {
        ms: 60_000,
        applied: true,
    });
    let rule = rule.on(System::ContentServer).method("PUT");
    systems
        .simulator
        .faults()
        .add(rule.path("*/draftprocesses/*").nth(2));
    let before = processes(&systems).len();
    let mut child = systems
        .place
        .killable()
        .args(["approval", "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(20));
        if processes(&systems).len() > before || child.try_wait().unwrap().is_some() {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    systems.simulator.faults().clear();
    let (code, lines) = systems.run(&["approval"]);
    // A kill between the record of a start and its request leaves what only a person can tell.
    let unclear: Vec<&str> = lines
        .iter()
        .filter(|line| line["outcome"] == "unclear")
        .map(|line| line["asset"].as_str().unwrap())
        .collect();
    assert_eq!(code, if unclear.is_empty() { 0 } else { 3 }, "{lines:#?}");
    for asset in unclear {
        systems.must(&[
            "approval",
            "decide",
            asset,
            "--start-again",
            "--because",
            "no process has its marker",
        ]);
    }
    systems.must(&["approval"]);
    let all = processes(&systems);
    assert_eq!(all.len(), 8, "{all:#?}");
    for process in &all {
        act(&systems, id(process), "Reject", "no");
    }
    for patience in [60, 120, 200] {
        systems.kill_after(Duration::from_millis(patience), &["approval"]);
    }
    systems.must(&["approval"]);
    let writes = systems.simulator.iconik().writes();
    for words in ["Approval begun", "Approval ended"] {
        let said = writes
            .iter()
            .filter(|write| json!(write).to_string().contains(words));
        assert_eq!(said.count(), 8, "{words}: each once");
    }
    for number in 0..8 {
        assert_eq!(
            told(&systems, &format!("Clip {number}"), "archive_package"),
            "rejected"
        );
        assert_eq!(marked(&systems, &format!("clip{number}.mov")), "rejected");
    }
    quiet(&systems, 0);
    systems.stop();
}

#[test]
fn late_paused_stopped_and_deleted_processes_are_told_apart() {
    let systems = start(3);
    systems.must(&["approval"]);
    let all = processes(&systems);
    let (late, stopped, paused) = (id(&all[0]), id(&all[1]), id(&all[2]));
    act(&systems, paused, "suspend", "");
    act(&systems, stopped, "stop", "");
    let (code, lines) = systems.run(&["approval"]);
    assert_eq!(
        (code, outcomes(&lines)),
        (3, json!({"moved": 1, "puzzling": 1}))
    );
    assert!(why(&lines, "moved").contains("suspended"));
    assert!(why(&lines, "puzzling").contains("was stopped"));
    systems
        .simulator
        .content_server()
        .advance(Duration::from_secs(49 * 3600));
    let (code, lines) = systems.run(&["approval"]);
    assert_eq!(code, 3);
    assert!(of_type(&lines, "approval_summary")["overdue"].as_u64() >= Some(1));
    let (_, lines) = systems.run(&["approval", "list", "--overdue"]);
    assert!(
        lines.iter().any(|line| line["process"] == late),
        "{lines:#?}"
    );
    assert_eq!(
        of_type(&lines, "approval_case")["steps"][0]["by"],
        json!(["lena"])
    );
    act(&systems, late, "delete", "");
    let (_, lines) = systems.run(&["approval"]);
    assert!(
        lines
            .iter()
            .any(|line| line["process"] == late && line["outcome"] == "puzzling")
    );
    quiet(&systems, 3);

    let asset = systems.assets(&["Clip 0"]).remove(0);
    let (code, lines) = systems.run(&[
        "approval",
        "decide",
        &asset,
        "--outcome",
        "rejected",
        "--because",
        "legal said no",
    ]);
    assert_eq!(code, 3, "the stopped one still waits: {lines:#?}");
    assert_eq!(told(&systems, "Clip 0", "archive_digest"), "legal said no");
    assert_eq!(marked(&systems, "clip0.mov"), "rejected");
    let journal = systems.must(&["audit"]);
    let decided = journal
        .iter()
        .find(|line| line["event"] == "approval-decided");
    assert_eq!(decided.expect("a line")["data"]["because"], "legal said no");
    assert_eq!(processes(&systems).len(), 3);
    systems.stop();
}

#[test]
fn what_cannot_be_started_says_why_and_nothing_is_lost() {
    let systems = start(2);
    // No route for one, no such map for the other.
    let routes = "[[approval.routes]]\nname = \"legal\"\nmap = \"Legel review\"\nwhen = { rights_status = \"restricted\" }\n";
    configure(&systems, routes, "");
    let (code, lines) = systems.run(&["approval"]);
    assert_eq!((code, outcomes(&lines)), (3, json!({"refused": 2})));
    let said = lines
        .iter()
        .map(|line| line["why"].to_string())
        .collect::<String>();
    assert!(
        said.contains("\\\"Legal review\\\"") && said.contains("`rights_status` is cleared"),
        "{said}"
    );
    quiet(&systems, 3);
    let form = "[[approval.routes]]\nname = \"all\"\nmap = \"Marketing\"\nform = { Chanel = \"{campaign}\" }\n";
    configure(&systems, form, "");
    let (code, lines) = systems.run(&["approval"]);
    assert_eq!((code, outcomes(&lines)), (3, json!({"refused": 2})));
    assert!(why(&lines, "refused").contains("fills \"Chanel\""));
    quiet(&systems, 3);
    // A document that is gone, and settings that are mended.
    let gone = systems.named("clip1.mov")[0].node;
    assert!(systems.simulator.content_server().delete(gone));
    configure(&systems, ROUTES, "");
    let (code, lines) = systems.run(&["approval"]);
    assert_eq!(
        (code, outcomes(&lines)),
        (3, json!({"started": 1, "gone": 1}))
    );
    quiet(&systems, 3);

    configure(&systems, "", "");
    assert_eq!(systems.run(&["approval"]).0, 2, "no route");
    configure(&systems, ROUTES, "outcome = { from = \"attribute\" }");
    assert_eq!(systems.run(&["approval"]).0, 2, "no attribute");
    let wrong = "outcome = { from = \"document\", category = \"Sign-off\", attribute = \"Stat\" }";
    configure(&systems, ROUTES, wrong);
    let (code, lines) = systems.run(&["approval"]);
    let said = of_type(&lines, "exit")["message"].to_string();
    assert!(code == 2 && said.contains("approval.outcome"), "{said}");
    systems.stop();
}

#[test]
fn an_outcome_outside_the_words_waits_and_an_attribute_can_say_it() {
    let systems = start(3);
    configure(
        &systems,
        ROUTES,
        "outcome = { from = \"attribute\", attribute = \"Decision\", approved = [\"cleared\"], rejected = [\"barred\"] }",
    );
    systems.must(&["approval"]);
    let all = processes(&systems);
    let server = systems.simulator.content_server();
    for (process, word) in [(id(&all[0]), "barred"), (id(&all[2]), "perhaps")] {
        let values = json!({"WorkflowForm_11": word});
        let values = values.as_object().cloned().unwrap();
        server
            .act_in_workflow(process, "SendOn", "", Map::new())
            .unwrap();
        server
            .act_in_workflow(process, "SendOn", "see form", values)
            .unwrap();
    }
    let (code, lines) = systems.run(&["approval"]);
    assert_eq!(
        (code, outcomes(&lines)),
        (3, json!({"rejected": 1, "puzzling": 1}))
    );
    assert!(why(&lines, "puzzling").contains("it has perhaps"));
    quiet(&systems, 3);
    systems.stop();
}

#[test]
fn a_review_is_waited_for_and_gets_a_vote_where_permitted() {
    let file = FileSpec::generated("clip.mov", 1, 4 * KIB);
    let campaign = Campaign::new()
        .workflow(WorkflowMap::new(
            "Marketing",
            vec![WorkflowStep::new("Marketing", "mara").script("Reject", "not ours", 1)],
        ))
        .asset(
            AssetSpec::new("Clip", vec![file])
                .with(|asset| asset.approval = Some(("REQUESTED", vec![]))),
        );
    let systems = Systems::start(Options::with(campaign));
    let server = systems.simulator.content_server();
    let state = Attribute::new(2, "State", AttributeKind::Text);
    server.add_category("Sign-off", vec![state]);
    let routes = "[[approval.routes]]\nname = \"marketing\"\nmap = \"Marketing\"\n";
    configure(&systems, routes, "vote = true");
    systems.must(&["publish", &systems.simulator.collection()]);
    let lines = systems.must(&["approval"]);
    assert_eq!(outcomes(&lines), json!({"not-complete": 1}));
    assert!(why(&lines, "not-complete").contains("asked for and not given"));
    quiet(&systems, 0);

    let asset = systems.assets(&["Clip"]).remove(0);
    let row = systems.simulator.iconik().row(Kind::Asset, &asset).unwrap();
    let version = row["versions"][0]["id"].as_str().unwrap().to_owned();
    let http = http::Client::new(http::Config {
        plain_http: vec!["loopback".into()],
        ..http::Config::default()
    });
    let own = systems.simulator.iconik();
    let config = iconik::Config::new(
        systems.simulator.iconik_url().parse().unwrap(),
        own.app_id(),
        own.token().to_owned().into(),
    );
    let client = iconik::Client::new(http.unwrap(), config).unwrap();
    let (of, at) = (asset.clone().into(), version.into());
    systems.person(|_| async move {
        let voted = client.vote(&of, &at, true).await;
        voted.map_err(iconik::Error::into_failure)
    });
    let lines = systems.must(&["approval"]);
    assert_eq!(outcomes(&lines), json!({"started": 1}));
    let lines = systems.must(&["approval"]);
    assert_eq!(outcomes(&lines), json!({"rejected": 1}));
    let writes = systems.simulator.iconik().writes();
    let votes = writes
        .iter()
        .filter(|write| json!(write).to_string().contains("NOT_APPROVED"));
    assert_eq!(votes.count(), 1);
    quiet(&systems, 0);
    assert_eq!(processes(&systems).len(), 1);
    systems.stop();
}

/// The ledger is gone, and what was filed is found again.
fn lose_ledger(systems: &Systems) {
    for name in ["longhaul.db", "longhaul.db-wal", "longhaul.db-shm"] {
        let path = systems.place.path().join(name);
        assert!(!path.exists() || std::fs::remove_file(&path).is_ok());
    }
    systems.must(&["adopt"]);
    systems.must(&["publish", &systems.simulator.collection()]);
}

#[test]
fn a_lost_ledger_finds_its_processes_again() {
    let systems = start(2);
    systems.must(&["approval"]);
    lose_ledger(&systems);
    let (code, lines) = systems.run(&["approval", "--dry-run"]);
    assert_eq!((code, outcomes(&lines)), (0, json!({"found": 2})));
    let lines = systems.must(&["approval"]);
    assert_eq!(outcomes(&lines), json!({"found": 2}));
    assert_eq!(processes(&systems).len(), 2);
    systems.stop();
}

#[test]
fn after_the_loss_of_the_ledger_no_archived_process_is_started_again() {
    let systems = start(3);
    systems.must(&["approval"]);
    let all = processes(&systems);
    let of = |title: &str| {
        let ours = |process: &&Value| {
            let said = process["title"].as_str().unwrap_or_default();
            said.contains(title)
        };
        id(all.iter().find(ours).expect("its process"))
    };
    let (ended, unseen, forgotten) = (of("Clip 1"), of("Clip 0"), of("Clip 2"));
    // One whose end was told, one that ended unseen, one whose marks alone are left.
    act(&systems, ended, "Approve", "fine (by all means)");
    assert_eq!(
        outcomes(&systems.must(&["approval"])),
        json!({"approved": 1})
    );
    for step in ["Approve", "Reject"] {
        act(&systems, unseen, step, "");
    }
    for process in [ended, unseen] {
        act(&systems, process, "archive", "");
    }
    act(&systems, forgotten, "delete", "");
    let told = || {
        let mut rows = systems.simulator.iconik().rows(Kind::History);
        rows.retain(|row| {
            let text = row["operation_description"].as_str();
            text.is_some_and(|text| text.starts_with("Approval"))
        });
        rows.len()
    };
    let told_before = told();
    lose_ledger(&systems);
    let (code, dry) = systems.run(&["approval", "--dry-run"]);
    let expected = json!({"approved": 1, "found": 1, "puzzling": 1, "unclear": 1});
    let (ended_code, lines) = systems.run(&["approval"]);
    assert_eq!((code, outcomes(&dry)["approved"].clone()), (3, json!(1)));
    assert_eq!((ended_code, outcomes(&lines)), (3, expected));
    assert_eq!(processes(&systems).len(), 3, "nothing is started");
    assert!(why(&lines, "approved").contains("fine (by all means)"));
    assert!(why(&lines, "unclear").contains(&format!("process {forgotten}")));
    assert_eq!(told(), told_before, "what was told is not told again");
    quiet(&systems, 3);

    // A person looks and says so.
    for (title, ruling, left) in [
        ("Clip 0", &["--outcome", "rejected"][..], 3),
        ("Clip 2", &["--start-again"], 0),
    ] {
        let asset = systems.assets(&[title]).remove(0);
        let words = ["approval", "decide", &asset, "--because", "looked"];
        let (code, lines) = systems.run(&[&words[..], ruling].concat());
        assert_eq!(code, left, "{title}: {lines:#?}");
    }
    assert_eq!(processes(&systems).len(), 4);
    quiet(&systems, 0);

    // Lost again: the second attempt is the one that counts.
    lose_ledger(&systems);
    systems.run(&["approval"]);
    let (_, listed) = systems.run(&["approval", "list", "--all"]);
    let second = listed.iter().filter(|line| line["type"] == "approval_case");
    let second: Vec<_> = second.filter(|line| line["title"] == "Clip 2").collect();
    assert_eq!(second[0]["stage"], "running", "{listed:#?}");
    assert_eq!(processes(&systems).len(), 4);
    systems.stop();
}

#[test]
fn what_others_wrote_in_the_history_decides_nothing() {
    let systems = start(1);
    systems.must(&["approval"]);
    let process = id(&processes(&systems)[0]);
    for step in ["Approve", "Approve"] {
        act(&systems, process, step, "");
    }
    systems.must(&["approval"]);
    act(&systems, process, "archive", "");
    let iconik = systems.simulator.iconik();
    for row in iconik.rows(Kind::History) {
        let line = row["id"].as_str().expect("an id");
        assert!(iconik.change(Kind::History, line, json!({"user_id": "somebody"})));
    }
    lose_ledger(&systems);
    let (code, lines) = systems.run(&["approval"]);
    assert_eq!(
        (code, outcomes(&lines)),
        (3, json!({"found": 1, "puzzling": 1}))
    );
    assert_eq!(processes(&systems).len(), 1);
    systems.stop();
}

#[test]
fn a_word_on_the_document_that_nobody_remembers_waits_for_a_person() {
    let systems = start(1);
    systems.must(&["approval"]);
    let process = id(&processes(&systems)[0]);
    act(&systems, process, "delete", "");
    // Its history is not shown to longhaul, so only the word on the document is left.
    let iconik = systems.simulator.iconik();
    assert!(iconik.revoke(iconik.token()));
    iconik.add_token(iconik.token(), true, &["can_read_assets_history"]);
    lose_ledger(&systems);
    let (code, lines) = systems.run(&["approval"]);
    assert_eq!((code, outcomes(&lines)), (3, json!({"unclear": 1})));
    assert!(why(&lines, "unclear").contains("\"in approval\""));
    assert_eq!(processes(&systems).len(), 1);
    quiet(&systems, 3);
    systems.stop();
}

#[test]
fn a_new_version_after_a_rejection_is_published_and_approved_anew() {
    let version = |seed: u64| {
        let file = FileSpec::generated("clip.mov", seed, 4 * KIB);
        vec![FormatSpec::original(vec![FileSetSpec::new(vec![file])])]
    };
    let step = WorkflowStep::new("Marketing", "mara");
    let campaign = Campaign::new()
        .workflow(WorkflowMap::new("Marketing", vec![step]))
        .asset(AssetSpec::bare("Clip").with(|asset| asset.versions = vec![version(1), version(2)]));
    let systems = Systems::start(Options::with(campaign));
    let state = Attribute::new(2, "State", AttributeKind::Text);
    let server = systems.simulator.content_server();
    server.add_category("Sign-off", vec![state]);
    let routes = "[[approval.routes]]\nname = \"marketing\"\nmap = \"Marketing\"\n";
    configure(&systems, routes, "when = \"any\"");
    // At first there is only the older version.
    let asset = systems.assets(&["Clip"]).remove(0);
    let iconik = systems.simulator.iconik();
    let row = iconik.row(Kind::Asset, &asset).expect("the asset");
    let all = row["versions"].as_array().expect("versions").clone();
    let number = |version: &Value| version["version_number"].as_i64();
    let old: Vec<&Value> = all.iter().filter(|own| number(own) == Some(1)).collect();
    assert!(iconik.change(Kind::Asset, &asset, json!({"versions": old})));
    let collection = systems.simulator.collection();
    systems.must(&["publish", &collection]);
    systems.must(&["approval"]);
    act(&systems, id(&processes(&systems)[0]), "Reject", "too loud");
    systems.must(&["approval"]);
    assert_eq!(marked(&systems, "clip.mov"), "rejected");
    let left = |lines: &[Value]| of_type(lines, "summary")["left_out"].as_u64();
    assert_eq!(
        left(&systems.must(&["publish", "--again", &collection])),
        Some(1)
    );

    assert!(iconik.change(Kind::Asset, &asset, json!({"versions": all})));
    assert_eq!(left(&systems.must(&["publish", &collection])), Some(0));
    let lines = systems.must(&["approval"]);
    assert_eq!(outcomes(&lines), json!({"started": 1}));
    assert_eq!(processes(&systems).len(), 2);
    assert_eq!(marked(&systems, "clip.mov"), "in approval");
    quiet(&systems, 0);
    systems.stop();
}

#[test]
fn people_are_called_by_name_and_whoever_is_gone_by_id() {
    let systems = start(2);
    configure(
        &systems,
        ROUTES,
        "[approval.outcome]\nfrom = \"activities\"\n",
    );
    let server = systems.simulator.content_server();
    let user = |name: &str| server.ensure_user(name, "her own");
    let (lena, mara) = (user("lena"), user("mara"));
    assert!(server.call_user(lena, "Lena", "Berg") && server.call_user(mara, "Mara", "Lind"));
    systems.must(&["approval"]);
    let (_, listed) = systems.run(&["approval", "list"]);
    let listed = json!(listed).to_string();
    assert!(
        listed.contains("Lena Berg") && listed.contains("Mara Lind"),
        "{listed}"
    );
    let all = processes(&systems);
    act(&systems, id(&all[1]), "Approve", "on brand");
    let lines = systems.must(&["approval"]);
    assert!(
        why(&lines, "approved").contains("by Mara Lind"),
        "{lines:#?}"
    );
    let written = json!(systems.simulator.iconik().writes()).to_string();
    assert!(written.contains("approved by Mara Lind"), "{written}");
    // Somebody who was deleted meanwhile has decided all the same.
    act(&systems, id(&all[0]), "Reject", "no licence");
    assert!(server.delete_user(lena));
    let lines = systems.must(&["approval"]);
    let text = why(&lines, "rejected");
    assert!(text.contains(&format!("by user {lena}")), "{text}");
    let reads = systems.simulator.history().of(System::ContentServer);
    let asked = |user: i64| {
        let path = format!("members/{user}");
        reads
            .iter()
            .filter(|seen| seen.path.ends_with(&path))
            .count()
    };
    assert!(
        asked(mara) <= 1 && asked(lena) <= 1,
        "each is asked for once in a run"
    );
    quiet(&systems, 0);
    systems.stop();
}

#[test]
fn a_user_who_may_not_write_metadata_is_told_which_role_and_the_outcome_comes_later() {
    let systems = start(2);
    systems.must(&["approval"]);
    let marketing = id(&processes(&systems)[1]);
    act(&systems, marketing, "Approve", "on brand");
    systems.without("can_write_metadata_values", || {
        let (code, lines) = systems.run(&["approval"]);
        let said = serde_json::to_string(&lines).expect("JSON");
        assert!(
            code != 0 && said.contains("can_write_metadata_values"),
            "{code}: {said}"
        );
        assert_eq!(told(&systems, "Clip 1", "archive_package"), "running");
    });
    systems.must(&["approval", "--full"]);
    assert_eq!(told(&systems, "Clip 1", "archive_package"), "approved");
    assert_eq!(processes(&systems).len(), 2);
    systems.stop();
}
