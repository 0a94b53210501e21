//! `bench` between the configured systems: measured, and nothing left of it at either end.

use longhaul::content_server::{CategoryValues, Client};
use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::transfer::Destination as _;
use longhaul::types::{KIB, NodeId};

use crate::support::{Extra, Systems, of_type};

const QUICK: Extra<'static> = Extra {
    iconik: "calls_per_second = 1000",
    content_server: "",
    sections: "",
};

fn start() -> Systems {
    let file = |name: &str, seed, size| vec![FileSpec::generated(name, seed, size)];
    let campaign = Campaign::new()
        .asset(AssetSpec::new("One", file("one.mxf", 1, 300 * KIB)))
        .asset(AssetSpec::new("Two", file("two.mxf", 2, 70 * KIB)));
    let mut options = Options::with(campaign);
    options.quirks.calls_per_second = None;
    Systems::with(options, QUICK)
}

/// Names in the staging folder.
fn staged(systems: &Systems) -> Vec<String> {
    let staging = NodeId(systems.simulator.parts().staging);
    let listed = systems.person(|server: Client| async move { server.children(staging, 1).await });
    listed.0.into_iter().map(|node| node.name).collect()
}

/// Calls that change something in iconik.
fn iconik_writes(systems: &Systems) -> Vec<String> {
    let records = systems.simulator.history().of(System::Iconik);
    let writes = records.iter().filter(|call| call.method != "GET");
    writes
        .map(|call| format!("{} {}", call.method, call.path))
        .filter(|call| !call.contains("/search"))
        .collect()
}

#[test]
fn the_configured_systems_are_measured_and_left_as_they_were() {
    let systems = start();
    let collection = systems.simulator.collection();
    let bench = ["bench", "--collection", &collection, "--runs", "2", "--yes"];
    let lines = systems.must(&bench);
    let runs = lines.iter().filter(|line| line["type"] == "bench-run");
    assert_eq!(runs.count(), 2);
    let median = &of_type(&lines, "bench")["median"];
    assert!(median["mib_per_second"].as_f64() > Some(0.0), "{median}");
    let gone = of_type(&lines, "bench-scratch");
    assert_eq!((&gone["removed"], &gone["why"]), (&true.into(), &().into()));

    assert_eq!(staged(&systems), [""; 0], "the scratch is gone");
    assert!(systems.versions().is_empty(), "nothing is filed");
    assert_eq!(iconik_writes(&systems), [""; 0], "iconik is only read");
    assert!(!systems.place.path().join("longhaul.db").exists());

    // What is filed afterwards is filed as if nothing had been measured.
    systems.archive(&[]);
    assert_eq!(systems.named("one.mxf").len(), 1);
    let asset = systems.assets(&["Two"]).remove(0);
    systems.must(&["bench", "--asset", &asset, "--runs", "1", "--yes"]);
    assert_eq!(systems.named("two.mxf").len(), 1);
    systems.stop();
}

#[test]
fn what_cannot_be_measured_is_said_and_leaves_nothing_either() {
    let systems = start();
    let collection = systems.simulator.collection();
    let say = |arguments: &[&str], code: i32, words: &str| {
        let (exit, lines) = systems.run(arguments);
        assert_eq!(exit, code, "{lines:#?}");
        let said = of_type(&lines, "exit")["message"].to_string();
        assert!(said.contains(words), "{said}");
        assert_eq!(staged(&systems), [""; 0], "after {arguments:?}");
    };
    say(&["bench", "--collection", &collection], 2, "--yes");
    say(&["bench", "--yes"], 2, "--asset");
    say(&["bench", "--asset", "one", "--yes"], 2, "no asset id");
    let much = [
        "bench",
        "--collection",
        &collection,
        "--most",
        "1KiB",
        "--yes",
    ];
    say(&much, 2, "--most");
    systems.stop();
}

#[test]
fn a_scratch_that_holds_something_else_by_then_stays() {
    let systems = start();
    // Slow enough for a person to put something into it.
    let slow = Action::Delay {
        ms: 400,
        applied: false,
    };
    let slow = Rule::new(slow).on(System::ContentServer).method("POST");
    let slow = slow.always();
    systems.simulator.faults().add(slow);
    let collection = systems.simulator.collection();
    let bench = ["bench", "--collection", &collection, "--runs", "1", "--yes"];
    let lines = std::thread::scope(|scope| {
        let running = scope.spawn(|| systems.run(&bench));
        let put = || {
            let staging = NodeId(systems.simulator.parts().staging);
            systems.person(|server: Client| async move {
                let (folders, _) = server.children(staging, 1).await?;
                let Some(scratch) = folders.first() else {
                    return Ok(false);
                };
                let none = CategoryValues::default();
                server.create_folder(scratch.id, "mine", &none).await?;
                Ok(true)
            })
        };
        while !put() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        running.join().expect("the command").1
    });
    let left = of_type(&lines, "bench-scratch");
    assert_eq!(left["removed"], false, "{left}");
    assert!(left["why"].to_string().contains("mine"), "{left}");
    let name = left["name"].as_str().expect("a name").to_owned();
    assert_eq!(staged(&systems), [name]);
    systems.stop();
}
