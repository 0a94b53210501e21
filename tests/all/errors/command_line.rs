//! Failures before anything is dialled: the command line, the settings, secrets, the ledger.

use std::os::unix::fs::PermissionsExt;

use longhaul::ledger::Ledger;
use longhaul::simulator::Options;

use super::{Golden, UNKNOWN, one, systems};
use crate::support::Place;

const COMPLETE: &str = r#"[iconik]
app_id = "4711"
token = { file = "token" }
[content_server]
url = "https://cs.example.com/otcs/cs.exe"
auth = { user = "svc", password = { file = "token" } }
target = { folder = 1, staging = 2 }
"#;

fn chmod(place: &Place, name: &str, mode: u32) {
    let path = place.path().join(name);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("an own file");
}

#[test]
fn what_the_settings_get_wrong_is_said_with_line_and_remedy() {
    let mut golden = Golden::new("settings.txt");
    let check = ["settings", "check"];
    let place = Place::new();
    place.write("token", "swordfish-c4n4ry\n");
    let mut wrong = |name, from: &str, to: &str| {
        let text = COMPLETE.replacen(from, to, 1);
        assert!(to.is_empty() || text.contains(to), "{name}");
        place.write("longhaul.toml", &text);
        golden.alone(name, &place, &check, 2);
    };
    wrong("unknown setting with a near match", "app_id", "ap_id");
    wrong("unknown setting", "app_id", "colour");
    wrong("not TOML", "app_id =", "app_id");
    wrong("wrong type", "folder = 1", "folder = \"one\"");
    wrong("required settings missing", "app_id = \"4711\"", "");
    wrong("address without TLS", "https://cs", "http://cs");
    wrong("unknown place of a secret", "{ file", "{ fil");
    wrong("secret file missing", "\"token\"", "\"none\"");
    let token = "{ file = \"token\" }";
    wrong("variable not set", token, "{ env = \"ICONIK_TOKEN\" }");
    wrong("secret command fails", token, "{ command = \"false\" }");
    wrong(
        "secret command missing",
        token,
        "{ command = \"/none/pass show x\" }",
    );
    wrong(
        "secret command needs a shell",
        token,
        "{ command = \"pass show x | head\" }",
    );
    wrong(
        "credential outside of a service",
        token,
        "{ credential = \"iconik-token\" }",
    );
    wrong(
        "credential with a folder",
        token,
        "{ credential = \"../token\" }",
    );
    let pace = |line: &str| format!("[pace]\n{line}\n[iconik]");
    wrong("wrong rate", "[iconik]", &pace("bandwidth = \"fast\""));
    let day = "calendar = [{ days = [\"someday\"], from = \"08:00\", to = \"18:00\", zone = \"Europe/Berlin\", bandwidth = \"1 MiB/s\" }]";
    wrong("wrong day in the calendar", "[iconik]", &pace(day));
    let network = |line: &str| format!("[network]\n{line}\n[iconik]");
    wrong(
        "private CA missing",
        "[iconik]",
        &network("ca_file = \"none.pem\""),
    );
    wrong(
        "proxy that is no choice",
        "[iconik]",
        &network("proxy = \"http://proxy:3128\""),
    );
    place.write("longhaul.toml", COMPLETE);
    chmod(&place, "token", 0o644);
    golden.alone("secret file readable by others", &place, &check, 2);
    place.write(
        "longhaul.toml",
        &COMPLETE.replacen(token, "\"swordfish-c4n4ry\"", 1),
    );
    chmod(&place, "longhaul.toml", 0o644);
    chmod(&place, "token", 0o600);
    golden.alone("literal secret in an open file", &place, &check, 2);
    golden.alone(
        "settings file missing",
        &place,
        &["settings", "check", "--config", "none.toml"],
        2,
    );
    let nothing = Place::new();
    golden.alone("no settings at all", &nothing, &["archive", UNKNOWN], 2);
    let mut service = nothing.bare();
    nothing.write(
        "longhaul.toml",
        &COMPLETE.replace(token, "{ credential = \"iconik-token\" }"),
    );
    service
        .args(check)
        .env("CREDENTIALS_DIRECTORY", nothing.path());
    golden.command(
        "credential not given to the service",
        &nothing,
        &check,
        service,
        2,
    );
    assert!(!golden.text.contains("swordfish"), "a secret is shown");
    golden.check(20);
}

#[test]
fn what_the_command_line_gets_wrong_is_said_with_what_would_be_right() {
    let mut golden = Golden::new("command-line.txt");
    let systems = systems(Options::with(one()));
    let collection = systems.simulator.collection();
    let asset = systems.assets(&["Master"]).remove(0);
    systems.place.write("bad", "no id\n");
    systems.place.write("ids", &format!("{UNKNOWN}\n"));
    systems.place.write("library.csv", "asset,title\n1,2\n");
    systems.place.write("plan.jsonl", "rubbish\n");
    for (name, arguments, code) in [
        (
            "misspelt flag",
            vec!["archive", &collection, "--limit-bandwith", "1"],
            2,
        ),
        ("misspelt command", vec!["archiv"], 2),
        ("no collection", vec!["archive"], 2),
        ("bad id", vec!["archive", "no id"], 2),
        ("unknown collection", vec!["archive", UNKNOWN], 2),
        ("an asset is no collection", vec!["archive", &asset], 2),
        (
            "unknown saved search",
            vec!["migrate", "--search", UNKNOWN],
            2,
        ),
        ("list with a bad id", vec!["migrate", "--ids", "bad"], 2),
        ("list missing", vec!["migrate", "--ids", "none"], 2),
        ("unknown column", vec!["migrate", "--csv", "library.csv"], 2),
        ("CSV missing", vec!["migrate", "--csv", "none.csv"], 2),
        (
            "plan that is none",
            vec!["archive", "--plan", "plan.jsonl"],
            2,
        ),
        (
            "wrong rate",
            vec!["archive", &collection, "--limit-bandwidth", "fast"],
            2,
        ),
        (
            "wrong time",
            vec!["archive", &collection, "--until", "25:99"],
            2,
        ),
        (
            "wrong size",
            vec!["archive", &collection, "--max-bytes", "much"],
            2,
        ),
        (
            "wrong proof",
            vec!["archive", &collection, "--verify", "maybe"],
            2,
        ),
        (
            "wrong filter",
            vec!["archive", &collection, "--where", "region"],
            2,
        ),
        ("no ledger", vec!["status", "--ledger", "none.db"], 2),
        (
            "nothing to resume",
            vec!["resume", "--ledger", "none.db"],
            2,
        ),
        ("unknown class", vec!["retry", "--class", "sometimes"], 2),
        (
            "unknown campaign",
            vec!["simulate", "--campaign", "none"],
            2,
        ),
        ("settings file exists", vec!["init"], 2),
        ("unknown shell", vec!["completions", "tcsh"], 2),
        ("pages nowhere", vec!["man", "--out", "/proc/none"], 2),
        (
            "unknown document",
            vec!["export", "--node", "987654", "--to", "out"],
            2,
        ),
    ] {
        golden.against(name, &systems, &arguments, code);
    }
    systems.archive(&[]);
    let node = systems.named("master.mxf")[0].node.to_string();
    for (name, arguments, code) in [
        ("nobody at work to pause", vec!["pause"], 2),
        (
            "nobody at work to limit",
            vec!["limit", "--uploads", "1"],
            2,
        ),
        ("unknown run", vec!["resume", "--run", "99"], 2),
        (
            "unknown item",
            vec!["decide", "none", "--retry", "--because", "x"],
            2,
        ),
        (
            "no reason",
            vec!["decide", "none", "--retry", "--because", " "],
            2,
        ),
        (
            "export over a file",
            vec!["export", "--node", &node, "--to", "ids"],
            2,
        ),
        (
            "export to nowhere",
            vec!["export", "--node", &node, "--to", "none/out"],
            2,
        ),
    ] {
        golden.against(name, &systems, &arguments, code);
    }
    systems.stop();
    golden.check(30);
}

#[test]
fn what_is_wrong_with_the_ledger_is_said_and_it_is_left_as_it_is() {
    let mut golden = Golden::new("ledger.txt");
    let systems = systems(Options::with(one()));
    let collection = systems.simulator.collection();
    let archive = ["archive", collection.as_str()];
    let path = systems.place.path().join("longhaul.db");
    systems.place.write("longhaul.db", &"rubbish ".repeat(1000));
    golden.against("not a ledger", &systems, &archive, 74);
    std::fs::remove_file(&path).expect("the rubbish");
    std::fs::create_dir(&path).expect("a directory");
    golden.against("a directory in its place", &systems, &archive, 74);
    std::fs::remove_dir(&path).expect("the directory");
    let elsewhere = ["archive", &collection, "--ledger", "none/such/l.db"];
    golden.against("missing directory", &systems, &elsewhere, 74);
    systems.archive(&[]);
    let own = std::fs::read(&path).expect("the ledger");
    std::fs::write(&path, &own[..5_000]).expect("an own file");
    golden.against("damaged", &systems, &["resume"], 74);
    // SQLite keeps the schema's number at byte 60, in network order.
    let mut newer = own.clone();
    newer[60..64].copy_from_slice(&999u32.to_be_bytes());
    std::fs::write(&path, &newer).expect("an own file");
    golden.against("newer", &systems, &["status"], 74);
    let mut flipped = own.clone();
    // In a row's text, where only the digest of the whole file shows it.
    let text = systems.simulator.collection();
    let at = flipped
        .windows(text.len())
        .position(|bytes| bytes == text.as_bytes())
        .expect("the run's arguments");
    flipped[at] ^= 1;
    std::fs::write(&path, &flipped).expect("an own file");
    golden.against("a bit flipped", &systems, &["resume"], 74);
    std::fs::write(&path, &own).expect("an own file");
    let held = Ledger::open(&path, "longhaul archive, process 4711").expect("the ledger");
    golden.against("second process", &systems, &archive, 74);
    drop(held);
    systems.stop();
    golden.check(7);
}
