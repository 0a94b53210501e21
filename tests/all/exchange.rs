//! `exchange`: what people say and decide in either system, once each, in a record that both share.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, CommentSpec, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::types::{KIB, NodeId, VersionNumber};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, of_type};

const SETTINGS: &str = r#"
[exchange]
full_every = "1 ms"
comments = { category = "Media record", attribute = "Owner" }
[map.fields.campaign]
category = "Media record"
attribute = "Campaign"
[publish]
approved = "any"
"#;
/// The attribute of the simulated category that comments are written in here.
const ATTRIBUTE: i64 = 5;

fn start(assets: u64) -> Systems {
    let campaign = (0..assets).fold(Campaign::new(), |campaign, number| {
        let file = FileSpec::generated(&format!("clip{number}.mov"), number + 1, 4 * KIB);
        let mut asset =
            AssetSpec::new(&format!("Clip {number}"), vec![file]).value("campaign", &["Spring"]);
        asset.comments = vec![
            comment("Too dark <here>", 1500, false, None),
            comment("Brighter now", 1500, true, Some("guest@agency.test")),
        ];
        campaign.asset(asset)
    });
    let extra = Extra {
        sections: SETTINGS,
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(campaign), extra);
    systems.must(&["publish", &systems.simulator.collection()]);
    systems
}

fn comment(text: &str, from_ms: u64, reply: bool, guest: Option<&str>) -> CommentSpec {
    CommentSpec {
        text: text.to_owned(),
        from_ms,
        reply,
        guest: guest.map(str::to_owned),
    }
}

fn outcomes(lines: &[Value]) -> Value {
    of_type(lines, "exchange_summary")["outcomes"].clone()
}

fn effects(systems: &Systems) -> (usize, usize, usize) {
    (
        systems.simulator.iconik().writes().len(),
        systems.simulator.content_server().history().len(),
        systems.must(&["audit"]).len(),
    )
}

fn in_server(systems: &Systems, number: u64, text: &str) {
    let node = NodeId(systems.named(&format!("clip{number}.mov"))[0].node);
    let all = systems.person(|server| async move { server.categories(node).await });
    let category = all[0].id.0;
    let values = BTreeMap::from([(format!("{category}_{ATTRIBUTE}"), json!(text))]);
    let wanted = BTreeMap::from([(category, values)]);
    systems.person(|server| async move { server.write_values(node, &wanted).await });
}

/// The remarks of an asset that are ours.
fn shown(systems: &Systems, number: u64) -> Vec<Value> {
    let asset = systems.assets(&[&format!("Clip {number}")]).remove(0);
    let mut rows = systems.simulator.iconik().rows(Kind::Segment);
    rows.retain(|row| {
        let external = row["external_id"].as_str().unwrap_or_default();
        row["asset_id"] == asset.as_str() && external.starts_with("longhaul:exchange:")
    });
    rows
}

fn remark(systems: &Systems, text: &str) -> String {
    let rows = systems.simulator.iconik().rows(Kind::Segment);
    let row = rows.iter().find(|row| row["segment_text"] == text);
    row.expect("the remark")["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

#[test]
fn what_is_said_on_either_side_is_recorded_once_and_quiet_runs_write_nothing() {
    let systems = start(2);
    in_server(&systems, 0, "Legal asks for the release form");
    let dry = systems.must(&["exchange", "--dry-run"]);
    let lines = systems.must(&["exchange"]);
    assert_eq!(outcomes(&dry), outcomes(&lines));
    assert_eq!(
        outcomes(&lines),
        json!({"to-content-server": 4, "to-iconik": 1})
    );
    assert_eq!(of_type(&lines, "exchange_summary")["documents"], 4);
    let ours = shown(&systems, 0);
    assert_eq!(ours.len(), 1);
    let text = ours[0]["segment_text"].as_str().unwrap();
    assert_eq!(
        text,
        "[Content Server comment]: Legal asks for the release form"
    );
    let status = systems.must(&["status"]);
    assert!(!status.iter().any(|line| line["outbox"].as_u64() > Some(0)));
    let before = effects(&systems);
    let lines = systems.must(&["exchange"]);
    assert_eq!(outcomes(&lines), json!({}), "no own remark comes back");
    assert_eq!(effects(&systems), before);

    // An edit, a removal, and another comment in place of the first.
    let iconik = systems.simulator.iconik();
    let edited = remark(&systems, "Too dark <here>");
    assert!(iconik.change(Kind::Segment, &edited, json!({"segment_text": "Fine"})));
    let removed = remark(&systems, "Brighter now");
    assert!(iconik.change(Kind::Segment, &removed, json!({"status": "DELETED"})));
    in_server(&systems, 0, "The form is there");
    let lines = systems.must(&["exchange"]);
    assert_eq!(
        outcomes(&lines),
        json!({"to-content-server": 2, "to-iconik": 2})
    );
    assert_eq!(shown(&systems, 0).len(), 3);
    let record = systems.named("clip0.mov.review.json");
    assert_eq!(
        record.len(),
        2,
        "new lines are a version of the same document"
    );
    let node = NodeId(record[0].node);
    let text = content(&systems, node, 2);
    let document: Value = serde_json::from_str(&text).unwrap();
    let told = document["lines"].as_array().unwrap();
    assert_eq!(told.len(), 7);
    assert!(
        told.iter()
            .any(|line| line["said"]["text"] == "Too dark <here>")
    );
    assert!(told.iter().any(|line| line["event"] == "removed"));
    let first = told.iter().find(|line| line["said"]["start_ms"] == 1500);
    let first = &first.expect("a time code")["said"];
    assert!(first["author"].is_string() && first["at"].is_string());
    assert_eq!(first["content"]["sha256"].as_str().map(str::len), Some(64));
    let answer = told
        .iter()
        .find(|line| line["said"]["author"] == "guest@agency.test");
    assert!(answer.expect("a guest")["said"]["answers"].is_string());
    let page = NodeId(systems.named("clip0.mov.review.html")[0].node);
    let page = content(&systems, page, 2);
    assert!(page.contains("Too dark &lt;here&gt;") && page.contains("00:00:01.500"));

    let before = effects(&systems);
    systems.must(&["exchange"]);
    assert_eq!(effects(&systems), before);
    let asset = systems.assets(&["Clip 0"]).remove(0);
    let listed = systems.must(&["exchange", "list", &asset]);
    let count = listed.iter().filter(|line| line["type"] == "exchange_line");
    assert_eq!(count.count(), 7);
    assert_eq!(systems.run(&["audit", "verify"]).0, 0);
    systems.stop();
}

fn content(systems: &Systems, node: NodeId, version: i64) -> String {
    use futures::TryStreamExt as _;
    use longhaul::transfer::Destination as _;
    let bytes = systems.person(|server| async move {
        let stream = server.read(node, VersionNumber(version), 0).await?;
        stream
            .try_fold(Vec::new(), |mut all, bytes| async move {
                all.extend_from_slice(&bytes);
                Ok(all)
            })
            .await
    });
    String::from_utf8(bytes).expect("a text")
}

#[test]
fn killed_at_random_moments_nothing_is_said_twice() {
    let systems = start(6);
    for number in 0..6 {
        in_server(&systems, number, &format!("remark {number}"));
    }
    for point in [
        "review-recorded:1",
        "review-shown:2",
        "commit-sending:1",
        "commit-answered:1",
        "published:2",
    ] {
        let ended = systems
            .place
            .killable()
            .args(["exchange"])
            .env("LONGHAUL_CRASH", point)
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), None, "{point} was not reached");
    }
    for patience in [30, 60, 90, 120] {
        systems.kill_after(Duration::from_millis(patience), &["exchange"]);
    }
    systems.must(&["exchange"]);
    for number in 0..6 {
        assert_eq!(shown(&systems, number).len(), 1);
        for form in ["json", "html"] {
            let name = format!("clip{number}.mov.review.{form}");
            assert_eq!(systems.named(&name).len(), 1, "{name}");
        }
    }
    let before = effects(&systems);
    assert_eq!(outcomes(&systems.must(&["exchange"])), json!({}));
    assert_eq!(effects(&systems), before);
    systems.stop();
}

#[test]
fn bad_input_is_said_and_the_rest_goes_on() {
    let systems = start(2);
    let (code, lines) = systems.run(&["exchange", "--asset", "nobody"]);
    assert_eq!(code, 2);
    assert!(message(&lines).contains("nothing is filed of asset nobody"));
    let gone = systems.named("clip1.mov")[0].node;
    assert!(systems.simulator.content_server().delete(gone));
    let (code, lines) = systems.run(&["exchange"]);
    assert_eq!(code, 3);
    assert_eq!(outcomes(&lines), json!({"to-content-server": 2, "gone": 1}));
    let wrong = SETTINGS.replace("\"Owner\"", "\"Nothing\"");
    systems.configure(Extra {
        sections: &wrong,
        ..Extra::default()
    });
    let (code, lines) = systems.run(&["exchange"]);
    assert_eq!(code, 2);
    assert!(message(&lines).contains("`exchange.comments`"), "{lines:?}");
    let wrong = SETTINGS.replace(
        "[exchange]",
        "[exchange]\nrecord = [\"gossip\"]\nshow_as = \"song\"",
    );
    systems.configure(Extra {
        sections: &wrong,
        ..Extra::default()
    });
    let (code, lines) = systems.run(&["exchange"]);
    assert_eq!(code, 2);
    let said = message(&lines);
    assert!(said.contains("exchange.record") && said.contains("exchange.show_as"));
    systems.stop();
}

fn message(lines: &[Value]) -> String {
    of_type(lines, "exit")["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_trail_says_who_decided_about_which_content_in_four_forms() {
    let systems = start(2);
    in_server(&systems, 0, "=cmd|' /C calc'!A0");
    systems.must(&["exchange"]);
    let asset = systems.assets(&["Clip 0"]).remove(0);
    for form in ["html", "csv", "json", "xml"] {
        let file = format!("trail.{form}");
        let lines = systems.must(&["audit", "report", "--asset", &asset, "--out", &file]);
        let told = of_type(&lines, "audit_report");
        assert_eq!(
            (&told["intact"], &told["assets"]),
            (&json!(true), &json!(1))
        );
    }
    let read = |name: &str| std::fs::read_to_string(systems.place.path().join(name)).unwrap();
    let document: Value = serde_json::from_str(&read("trail.json")).unwrap();
    let events = document["events"].as_array().unwrap();
    assert!(events.iter().all(|event| event["asset"] == asset.as_str()));
    let recorded = events
        .iter()
        .filter(|event| event["event"] == "exchange-recorded");
    assert_eq!(recorded.clone().count(), 3);
    let digest = document["files"][0]["sha256"].as_str().unwrap();
    let about: Vec<&str> = recorded
        .filter_map(|event| event["sha256"].as_str())
        .collect();
    assert!(about.contains(&digest), "{about:?}");
    assert!(read("trail.html").contains("Too dark &lt;here&gt;"));
    assert!(read("trail.csv").lines().count() > 5);
    assert!(read("trail.xml").contains(digest) && read("trail.xml").ends_with("</premis>\n"));

    let collection = systems.simulator.collection();
    let whole = [
        "audit",
        "report",
        "--collection",
        &collection,
        "--out",
        "all.csv",
    ];
    assert_eq!(of_type(&systems.must(&whole), "audit_report")["assets"], 2);
    for (arguments, words) in [
        (vec!["--out", "all.csv"], "--force replaces"),
        (vec!["--out", "trail.doc"], "ends in none of"),
        (vec!["--out", "longhaul.db"], "ends in none of"),
        (
            vec!["--asset", "nobody", "--out", "x.csv"],
            "knows nothing of asset nobody",
        ),
        (vec!["--out", "nowhere/x.csv"], "there is no directory"),
    ] {
        let (code, lines) = systems.run(&[&["audit", "report"][..], &arguments].concat());
        assert_eq!(code, 2, "{arguments:?}");
        assert!(message(&lines).contains(words), "{}", message(&lines));
    }
    systems.stop();
}

#[test]
fn votes_and_what_is_said_in_a_process_are_in_the_record() {
    use longhaul::content_server::NewProcess;
    use longhaul::ledger::{Change, Fact, Ledger};
    let mut asset = AssetSpec::new("Clip 0", vec![FileSpec::generated("clip0.mov", 1, 4 * KIB)])
        .value("campaign", &["Spring"]);
    asset.approval = Some(("APPROVED", vec!["APPROVED"]));
    let extra = Extra {
        sections: SETTINGS,
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(Campaign::new().asset(asset)), extra);
    systems.must(&["publish", &systems.simulator.collection()]);
    let id = systems.assets(&["Clip 0"]).remove(0);
    let node = NodeId(systems.named("clip0.mov")[0].node);
    let map = systems.simulator.content_server().add_workflow("Approval");
    let new = NewProcess {
        map: NodeId(map),
        documents: vec![node],
        marker: "exchange-test".to_owned(),
        title: "Approval".to_owned(),
        values: BTreeMap::new(),
        comment: "Please look at the claims".to_owned(),
    };
    let path = systems.place.path().join("longhaul.db");
    let object = id.clone();
    systems.person(|server| async move {
        let (process, _) = server.ensure_process(&new).await?;
        let ledger = Ledger::open(&path, "a test").unwrap();
        let fact = Fact {
            flow: "approval".to_owned(),
            object,
            field: "version".to_owned(),
            data: json!({"stage": {"running": {"process": process}}}).to_string(),
            open: false,
            at: 1,
        };
        ledger.apply(Change::new().fact(fact)).await.unwrap();
        Ok(())
    });
    let lines = systems.must(&["exchange"]);
    assert_eq!(
        outcomes(&lines),
        json!({"to-content-server": 2, "to-iconik": 1})
    );
    let kinds: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.pointer("/line/kind")?.as_str())
        .collect();
    for kind in ["status", "approval", "comment"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let vote = lines.iter().find(|line| line["line"]["kind"] == "approval");
    let said = &vote.expect("a vote")["line"]["said"];
    assert_eq!(said["text"], "APPROVED");
    assert!(said["author_id"].is_string() && said["at"].is_string());
    let author = said["author"].as_str().expect("a name");
    assert!(
        author.contains(' ') && said["author_id"] != author,
        "{said}"
    );
    assert_eq!(said["content"]["sha256"].as_str().map(str::len), Some(64));
    let text = shown(&systems, 0)[0]["segment_text"].to_string();
    assert!(
        text.contains("Please look at the claims") && text.contains("(20"),
        "{text}"
    );
    systems.must(&["audit", "report", "--out", "trail.xml"]);
    let trail = std::fs::read_to_string(systems.place.path().join("trail.xml")).unwrap();
    assert!(
        trail.contains(">approval</eventType>") && trail.contains("what=approval added in iconik")
    );
    let object = format!(">{node}:version:1</linkingObjectIdentifierValue>");
    assert!(
        trail.contains(&object)
            && trail.contains(&format!(">{node}:version:1</objectIdentifierValue>"))
    );
    let before = effects(&systems);
    assert_eq!(outcomes(&systems.must(&["exchange"])), json!({}));
    assert_eq!(effects(&systems), before);
    systems.stop();
}

#[test]
fn a_token_that_may_not_comment_is_refused_until_it_may_and_nothing_is_lost() {
    let systems = start(1);
    in_server(&systems, 0, "Legal asks");
    let iconik = systems.simulator.iconik();
    iconik.add_token("mute-token", false, &["can_write_segments"]);
    let path = systems.place.path().join("longhaul.toml");
    let good = std::fs::read_to_string(path).expect("the settings");
    let mute = good.replace(iconik.token(), "mute-token");
    systems.place.write("longhaul.toml", &mute);
    let (code, lines) = systems.run(&["exchange"]);
    assert_eq!(code, 3, "{lines:#?}");
    assert_eq!(
        outcomes(&lines),
        json!({"to-content-server": 2, "to-iconik": 1, "refused": 1})
    );
    let refused = lines.iter().find(|line| line["outcome"] == "refused");
    let why = refused.expect("a refusal")["why"].as_str().expect("a text");
    assert!(why.contains("can_write_segments"), "{why}");
    assert_eq!(systems.named("clip0.mov.review.json").len(), 1);
    let before = effects(&systems);
    let (code, lines) = systems.run(&["exchange"]);
    assert_eq!((code, outcomes(&lines)), (3, json!({"refused": 1})));
    let after = effects(&systems);
    assert_eq!((after.1, after.2), (before.1, before.2), "only offered");
    assert!(shown(&systems, 0).is_empty());
    systems.place.write("longhaul.toml", &good);
    systems.must(&["exchange"]);
    assert_eq!(shown(&systems, 0).len(), 1);
    assert_eq!(systems.named("clip0.mov.review.json").len(), 1);
    systems.stop();
}

#[test]
fn a_signed_approval_is_in_the_record_and_the_trail_and_nothing_of_ours_comes_back() {
    use longhaul::simulator::content_server::{WorkflowMap, WorkflowStep};
    let mut asset = AssetSpec::new("Clip 0", vec![FileSpec::generated("clip0.mov", 1, 4 * KIB)])
        .value("campaign", &["Spring"]);
    asset.approval = Some(("APPROVED", vec!["APPROVED"]));
    let steps = vec![
        WorkflowStep::new("Legal", "lena").signed(),
        WorkflowStep::new("Quality", "nobody"),
    ];
    let campaign = Campaign::new()
        .asset(asset)
        .workflow(WorkflowMap::new("Signed", steps));
    let sections = format!(
        "{SETTINGS}[approval]\nvote = true\n[[approval.routes]]\nname = \"signed\"\nmap = \"Signed\"\n"
    );
    let extra = Extra {
        sections: &sections,
        ..Extra::default()
    };
    let systems = Systems::with(Options::with(campaign), extra);
    let server = systems.simulator.content_server();
    let lena = server.ensure_user("lena", "her own");
    assert!(server.call_user(lena, "Lena", "Berg"));
    systems.must(&["publish", &systems.simulator.collection()]);
    systems.must(&["approval"]);
    let processes = server.workflow_processes();
    let process = processes[0]["process"].as_i64().expect("a process");
    let act = |comment: &str| {
        let done = server.act_in_workflow(process, "Approve", comment, serde_json::Map::new());
        done.expect("it may be done");
    };
    act("cleared for EMEA");
    let lines = systems.must(&["exchange"]);
    let kind = |lines: &[Value], kind: &str| -> Vec<Value> {
        let of = lines.iter().filter(|line| line["line"]["kind"] == kind);
        of.cloned().collect()
    };
    let signed = kind(&lines, "signature");
    assert_eq!(signed.len(), 1, "{lines:#?}");
    assert_eq!(signed[0]["outcome"], "to-iconik");
    assert_eq!(signed[0]["line"]["said"]["author"], "Lena Berg");
    assert_eq!(signed[0]["line"]["said"]["author_id"], "lena");
    let decided = kind(&lines, "approval");
    let decided: Vec<&Value> = decided
        .iter()
        .filter(|line| line["outcome"] == "to-iconik")
        .collect();
    assert_eq!(
        decided[0]["line"]["said"]["text"],
        "Approve: cleared for EMEA"
    );
    assert_eq!(decided[0]["line"]["said"]["author"], "Lena Berg");
    assert!(
        kind(&lines, "comment").is_empty(),
        "its comment is part of it: {lines:#?}"
    );
    // Whoever acts last has no account any more, which stops nobody.
    act("");
    let (code, _) = systems.run(&["approval"]);
    assert_eq!(code, 0);
    let more = systems.must(&["exchange"]);
    let votes = kind(&more, "approval");
    assert!(
        votes.iter().all(|vote| vote["outcome"] == "to-iconik"),
        "our vote comes back: {votes:#?}"
    );
    let remarks = shown(&systems, 0);
    assert!(!remarks.is_empty());
    for remark in &remarks {
        let text = remark["segment_text"].to_string();
        assert!(!text.contains("iconik asset"), "our own words: {text}");
    }
    let before = effects(&systems);
    for flow in ["approval", "exchange"] {
        systems.must(&[flow]);
    }
    assert_eq!(effects(&systems), before);

    systems.must(&["audit", "report", "--out", "trail.json"]);
    let trail = std::fs::read_to_string(systems.place.path().join("trail.json")).unwrap();
    let trail: Value = serde_json::from_str(&trail).unwrap();
    let digest = &trail["files"][0]["sha256"];
    let events = trail["events"].as_array().expect("events");
    let event = |wanted: &dyn Fn(&Value) -> bool| {
        let found = events.iter().find(|event| wanted(event));
        found.unwrap_or_else(|| panic!("no such event in {events:#?}"))
    };
    let signature = event(&|event| event["what"].to_string().contains("electronically signed"));
    assert_eq!(
        (&signature["who"], &signature["sha256"]),
        (&json!("Lena Berg"), digest)
    );
    let ended = event(&|event| event["event"] == "approval-ended");
    assert!(ended["what"].to_string().contains("approved"), "{ended:#}");
    assert_eq!(&ended["sha256"], digest);
    assert!(!ended["who"].to_string().is_empty());
    systems.must(&["audit", "report", "--out", "trail.xml"]);
    let premis = std::fs::read_to_string(systems.place.path().join("trail.xml")).unwrap();
    assert!(premis.contains("what=signature added in content-server"));
    systems.stop();
}

#[test]
fn a_quick_look_reads_what_seems_changed_and_a_full_one_the_rest() {
    let systems = start(4);
    let quick = SETTINGS.replace("full_every = \"1 ms\"\n", "");
    systems.configure(Extra {
        sections: &quick,
        ..Extra::default()
    });
    let iconik = systems.simulator.iconik();
    // What happened before the last run and the index's lag is older than what a quick look asks
    // for: here an hour from now, and what comes is stamped later.
    let ledger = systems.place.path().join("longhaul.db");
    let past = || {
        let hour = jiff::SignedDuration::from_mins(70);
        let later = jiff::Timestamp::now() + hour;
        let set = async |path: std::path::PathBuf| {
            let ledger = longhaul::ledger::Ledger::open(&path, "a test").unwrap();
            ledger
                .set_meta("exchange looked at", &later.to_string())
                .await
                .unwrap();
        };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(set(ledger.clone()));
    };
    let looked = |lines: &[Value]| {
        let summary = of_type(lines, "exchange_summary");
        (summary["looked"].clone(), summary["full"].clone())
    };
    let first = systems.must(&["exchange"]);
    assert_eq!(looked(&first), (json!(4), json!(true)));
    past();
    systems.simulator.parts().clock.advance(2 * 3_600_000);
    let before = effects(&systems);
    let calls = systems.simulator.history().count();
    let second = systems.must(&["exchange"]);
    assert_eq!(looked(&second), (json!(0), json!(false)), "{second:#?}");
    let segments = systems.simulator.history().of(System::Iconik);
    let segments = segments.iter().rev().take_while(|seen| seen.number > calls);
    assert!(
        segments
            .into_iter()
            .all(|seen| !seen.path.contains("/segments/")),
        "no asset's remarks are read"
    );
    assert_eq!(effects(&systems), before);

    // A remark, and a comment at Content Server.
    let edited = iconik.rows(Kind::Segment);
    let edited = edited
        .iter()
        .find(|row| row["segment_text"] == "Too dark <here>");
    let id = edited.expect("a remark")["id"].as_str().expect("an id");
    assert!(iconik.change(Kind::Segment, id, json!({"segment_text": "Fine"})));
    in_server(&systems, 3, "Legal asks");
    past();
    let third = systems.must(&["exchange"]);
    assert_eq!(looked(&third), (json!(2), json!(false)));
    assert_eq!(
        outcomes(&third),
        json!({"to-content-server": 1, "to-iconik": 1})
    );

    // What was taken back is in no index.
    let removed = remark(&systems, "Brighter now");
    assert!(iconik.change(Kind::Segment, &removed, json!({"status": "DELETED"})));
    let full = systems.must(&["exchange", "--full"]);
    assert_eq!(looked(&full), (json!(4), json!(true)));
    assert_eq!(outcomes(&full), json!({"to-content-server": 1}));
    systems.stop();
}

#[test]
fn a_trouble_of_many_assets_is_said_once_with_their_number() {
    let systems = start(3);
    in_server(&systems, 0, "one");
    in_server(&systems, 1, "two");
    in_server(&systems, 2, "three");
    let refuse = Action::Status {
        code: 403,
        headers: BTreeMap::new(),
        body: String::new(),
        applied: false,
        read_body: true,
    };
    let faults = systems.simulator.faults();
    let rule = Rule::new(refuse).on(System::Iconik).method("POST");
    faults.add(rule.path("*/segments/*").always());
    let (code, lines) = systems.run(&["exchange"]);
    assert_eq!(code, 3);
    let refused = lines.iter().filter(|line| line["outcome"] == "refused");
    assert_eq!(refused.count(), 3, "each in JSON: {lines:#?}");
    let said = systems
        .place
        .bare()
        .arg("exchange")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.matches("refused Clip").count(), 1, "{said}");
    assert!(said.contains("2 more assets as well"), "{said}");
    systems.stop();
}
