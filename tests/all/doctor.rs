//! Before the first run: `init` writes a file to fill in, `doctor` says whether it will work.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::content_server::{WorkflowMap, WorkflowStep};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::types::KIB;
use serde_json::Value;

use crate::support::{Extra, Place, Systems, json_lines, of_type};

fn one() -> Options {
    let file = FileSpec::generated("master.mxf", 1, KIB);
    Options::with(Campaign::new().asset(AssetSpec::new("Master", vec![file])))
}

/// The line about `what`.
#[track_caller]
fn check<'a>(lines: &'a [Value], what: &str) -> &'a Value {
    lines
        .iter()
        .find(|line| line["type"] == "check" && line["what"] == what)
        .unwrap_or_else(|| panic!("nothing about {what} in {lines:#?}"))
}

#[test]
fn a_sound_set_up_is_ready_and_nothing_is_changed() {
    let systems = Systems::start(one());
    let lines = systems.must(&["doctor"]);
    assert_eq!(of_type(&lines, "doctor")["ready"], true);
    for what in [
        "settings",
        "ledger",
        "iconik",
        "content server",
        "sign-in",
        "target folder",
        "staging folder",
    ] {
        assert_eq!(check(&lines, what)["verdict"], "ok", "{what}");
    }
    assert!(check(&lines, "hash")["found"].to_string().contains("MiB/s"));
    assert_eq!(
        systems.simulator.content_server().history().len(),
        0,
        "no effect"
    );
    assert!(!systems.place.path().join("longhaul.db").exists());
    systems.stop();
}

#[test]
fn what_is_wrong_is_named_with_its_remedy_and_everything_else_is_still_looked_at() {
    let systems = Systems::start(one());
    let settings = systems.simulator.settings_toml();
    let token = systems.simulator.iconik().token().to_owned();
    let target = systems.simulator.parts().target;
    let strange = settings.replace(&token, "no-such-token");
    systems.place.write("longhaul.toml", &strange);
    let (code, lines) = systems.run(&["doctor"]);
    assert_eq!(code, 77, "{lines:#?}");
    let iconik = check(&lines, "iconik");
    assert_eq!(iconik["verdict"], "fail");
    assert!(iconik["remedy"].to_string().contains("iconik.token"));
    assert!(
        !lines
            .iter()
            .any(|line| line.to_string().contains("no-such-token"))
    );
    assert_eq!(check(&lines, "sign-in")["verdict"], "ok");

    let gone = settings.replace(&format!("folder = {target}"), "folder = 99999999");
    systems.place.write("longhaul.toml", &gone);
    let (code, lines) = systems.run(&["doctor"]);
    assert_eq!(code, 2, "{lines:#?}");
    assert_eq!(check(&lines, "target folder")["verdict"], "fail");
    assert_eq!(check(&lines, "staging folder")["verdict"], "ok");

    systems.configure(Extra {
        sections: "[ledger]\npath = \"nowhere/longhaul.db\"",
        ..Extra::default()
    });
    let (code, lines) = systems.run(&["doctor"]);
    assert_eq!(code, 74, "{lines:#?}");
    assert_eq!(check(&lines, "ledger's disk")["verdict"], "fail");
    systems.stop();
}

#[test]
fn a_written_settings_file_is_private_and_checked_once_it_is_filled_in() {
    let place = Place::new();
    let run = |arguments: &[&str]| {
        let done = place.bare().args(arguments).arg("--json").output();
        let done = done.expect("longhaul starts");
        (
            done.status.code().expect("nobody killed it"),
            json_lines(&done.stdout),
        )
    };
    let (code, lines) = run(&["init"]);
    assert_eq!(code, 0, "{lines:#?}");
    let path = place.path().join("longhaul.toml");
    let mode = std::fs::metadata(&path)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, lines) = run(&["init"]);
    assert_eq!(code, 2, "it is not overwritten: {lines:#?}");
    let (code, lines) = run(&["doctor"]);
    assert_eq!(code, 2, "nothing is filled in yet: {lines:#?}");

    let text = std::fs::read_to_string(&path).expect("a text");
    let filled = text
        .replace("app_id = \"\"", "app_id = \"an-app\"")
        .replace("{ file = \"/run/secrets/iconik-token\" }", "\"t\"")
        .replace("auth.user = \"\"", "auth.user = \"svc\"")
        .replace(
            "{ file = \"/run/secrets/content-server-password\" }",
            "\"p\"",
        )
        .replace("target.folder = 0", "target.folder = 5")
        .replace("target.staging = 0", "target.staging = 6");
    std::fs::write(&path, filled).expect("a file");
    let (code, lines) = run(&["settings", "check"]);
    assert_eq!(code, 0, "{lines:#?}");
}

const FLOWS: &str = r#"
[references]
audience = 987654
[references.rules.briefs]
collections = ["COLLECTION"]
folder = 987655
[lifecycle]
expiry = "expires_on"
destroy = true
cross_reference = "None such"
attribute = { category = "Media record", attribute = "No such attribute", values = { obsolete = "x" } }
[exchange]
comments = { category = "Media record", attribute = "No such attribute" }
[schedule]
flows = ["metadata", "dance"]
[[approval.routes]]
name = "legal"
map = "Legal review"
[[approval.routes]]
name = "gone"
map = "No such map"
"#;

#[test]
fn what_the_flows_are_configured_with_is_looked_at() {
    let file = FileSpec::generated("master.mxf", 1, KIB);
    let campaign = Campaign::new()
        .asset(AssetSpec::new("Master", vec![file]))
        .workflow(WorkflowMap::new(
            "Legal review",
            vec![WorkflowStep::new("Legal", "lena")],
        ));
    let systems = Systems::start(Options::with(campaign));
    let collection = systems.simulator.collection();
    let sections = FLOWS.replace("COLLECTION", &collection);
    systems.configure(Extra {
        sections: &sections,
        ..Extra::default()
    });
    let (code, lines) = systems.run(&["doctor"]);
    assert_eq!(code, 2, "{lines:#?}");
    let maps = check(&lines, "approval");
    assert_eq!(maps["verdict"], "unknown", "nothing is filed yet: {maps}");
    for (what, verdict) in [
        ("references' audience", "fail"),
        ("references `briefs`", "fail"),
        ("lifecycle", "fail"),
        ("cross-references", "fail"),
        ("lifecycle.destroy", "warn"),
        ("exchange", "fail"),
        ("schedule", "fail"),
    ] {
        assert_eq!(check(&lines, what)["verdict"], verdict, "{what}");
    }
    assert!(
        check(&lines, "schedule")["found"]
            .to_string()
            .contains("dance")
    );

    systems.archive(&[]);
    let (_, lines) = systems.run(&["doctor"]);
    assert_eq!(check(&lines, "approval `legal`")["verdict"], "ok");
    let gone = check(&lines, "approval `gone`");
    assert_eq!(gone["verdict"], "fail");
    assert!(gone["found"].to_string().contains("Legal review"), "{gone}");
    systems.stop();
}

/// Settings of `publish` and `package` that name what is nowhere.
const NOWHERE: &str = r#"
[map.fields.campaign]
iconik = "no_such_field"
category = "Media record"
attribute = "Campaign"
[publish]
approved = { field = "no_such_status", values = ["final"] }
place = "/{campaign}/{no_such_region}/{title}"
workspace = { type = "No such type", name = "{campaign}" }
permissions = { group = 987654 }
records_class = 987655
write_back = { view = "no-such-view", record = "archive_package" }
"#;

#[test]
fn what_publish_is_configured_with_is_looked_at() {
    let systems = Systems::start(one());
    let collection = systems.simulator.collection();
    systems.configure(Extra {
        sections: NOWHERE,
        ..Extra::default()
    });
    let (code, lines) = systems.run(&["doctor"]);
    assert_eq!(code, 2, "{lines:#?}");
    for (what, names) in [
        (
            "iconik's fields",
            "`map.fields.campaign` names \\\"no_such_field\\\"",
        ),
        (
            "iconik's fields",
            "`publish.approved` names \\\"no_such_status\\\"",
        ),
        (
            "iconik's fields",
            "`publish.place` names \\\"no_such_region\\\"",
        ),
        ("publish.write_back", "no-such-view"),
        ("publish.workspace", "No such type"),
        ("publish.permissions", "987654"),
        ("publish.records_class", "987655"),
    ] {
        let line = check(&lines, what);
        assert_eq!(line["verdict"], "fail", "{line}");
        assert!(line["found"].to_string().contains(names), "{line}");
    }
    assert!(
        !lines
            .iter()
            .any(|line| line["found"].to_string().contains("\\\"title\\\""))
    );

    // Publishing itself begins nothing with a field that is nowhere.
    let (code, lines) = systems.run(&["publish", &collection]);
    assert_eq!(code, 2, "{lines:#?}");
    assert!(
        of_type(&lines, "exit")["message"]
            .to_string()
            .contains("no_such_status")
    );
    assert_eq!(systems.simulator.content_server().history().len(), 0);

    let sound = NOWHERE
        .replace("no_such_field", "campaign")
        .replace("no_such_status", "rights_status")
        .replace("no_such_region", "region");
    let sound: Vec<&str> = sound
        .lines()
        .filter(|line| {
            !["workspace", "permissions", "records_class", "write_back"]
                .iter()
                .any(|name| line.starts_with(name))
        })
        .collect();
    systems.configure(Extra {
        sections: &sound.join("\n"),
        ..Extra::default()
    });
    let lines = systems.must(&["doctor"]);
    assert_eq!(check(&lines, "iconik's fields")["verdict"], "ok");

    // Behind a gateway that gives no field by its name the listing counts, and without one nothing
    // is said to be missing.
    for (path, verdict) in [
        ("*/metadata/v1/fields/?*", "ok"),
        ("*/metadata/v1/fields/*", "unknown"),
    ] {
        let absent = Action::Status {
            code: 404,
            headers: BTreeMap::new(),
            body: r#"{"errors": ["Not found"]}"#.to_owned(),
            applied: false,
            read_body: true,
        };
        let rule = Rule::new(absent).on(System::Iconik).path(path);
        systems.simulator.faults().add(rule.always());
        let lines = systems.must(&["doctor"]);
        assert_eq!(
            check(&lines, "iconik's fields")["verdict"],
            verdict,
            "{path}"
        );
    }
    systems.stop();
}
