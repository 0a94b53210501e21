//! Every place at which longhaul can die, times what can go wrong there, times the ways in.
//!
//! A cell is a real process that passes a named place ([`longhaul::telemetry::CRASH_POINTS`]) and
//! is killed there, or loses a reply there, or is killed and then finds an earlier copy of its
//! ledger. Then a second process finishes the work, and the destination's history is judged. The
//! places exist in builds for tests only; so do these tests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::content_server::{Config, Multipart};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::{Options, masters};
use longhaul::types::{ByteCount, KIB, MIB};
use tokio::time::Instant;

use crate::support::audit::{self, Books};
use crate::support::{Extra, Systems, replace};

/// Cells that run at once: most of their time is waiting.
const AT_ONCE: usize = 8;
/// Longer than any cell on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);
/// A reply that is held until its process is dead.
const HELD: u64 = 60_000;
/// A request's life at the destination, and how late in it a late one takes effect: late enough for
/// the next process to have looked for it in vain.
const LIMIT: Duration = Duration::from_millis(2_000);
const LATE: u64 = 1_800;
const NAME: &str = "master.mxf";
const SIZE: ByteCount = 1_400 * KIB;
const PART: ByteCount = 400 * KIB;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    StagedMultipart,
    StagedPost,
    AddVersion,
    AddVersionByPost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Kill,
    LostReply,
    OlderLedger,
}

const WAYS: [Way; 4] = [
    Way::StagedMultipart,
    Way::StagedPost,
    Way::AddVersion,
    Way::AddVersionByPost,
];
impl Way {
    fn posts(self) -> bool {
        matches!(self, Self::StagedPost | Self::AddVersionByPost)
    }

    fn adds(self) -> bool {
        matches!(self, Self::AddVersion | Self::AddVersionByPost)
    }
}

const EVENTS: [Event; 3] = [Event::Kill, Event::LostReply, Event::OlderLedger];

/// A place on the way of one file.
struct Point {
    number: u8,
    what: &'static str,
    /// The hook, and its how-manieth passing.
    place: &'static str,
    occurrence: u8,
    /// How the process ends there.
    end: End,
    /// What loses its reply there, and how.
    lost: Option<fn() -> Rule>,
    /// An earlier place whose ledger comes back; empty where none is earlier.
    earlier: &'static str,
}

#[derive(Clone, Copy)]
enum End {
    /// At the hook itself.
    There,
    /// By somebody else, once the destination shows this effect so often; the rule holds the
    /// reply, the request, or the effect itself (then no effect is named).
    Later(fn() -> Vec<Rule>, Option<(&'static str, usize)>),
    /// What it left is damaged afterwards: how.
    Damaged(Damage),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// The last transactions are lost with the power.
    Cut,
    /// A backup comes back.
    Restored,
    /// Everything is lost.
    Lost,
}

fn at(system: System, method: &str, path: &str, action: Action) -> Rule {
    Rule::new(action).on(system).method(method).path(path)
}

fn part(action: Action) -> Rule {
    at(System::ContentServer, "POST", "*/v2/multipart/*", action).nth(2)
}

/// The commit of either kind.
fn commit(action: Action) -> Rule {
    at(System::ContentServer, "POST", "*/v2/nodes*", action)
}

fn hold() -> Action {
    Action::Delay {
        ms: HELD,
        applied: true,
    }
}

fn describe(action: Action) -> Rule {
    at(
        System::ContentServer,
        "PUT",
        "*/v2/nodes/*/versions/*",
        action,
    )
}

fn publish(action: Action) -> Rule {
    at(System::ContentServer, "PUT", "*/v2/nodes/????", action)
}

fn tell(action: Action) -> Rule {
    at(System::Iconik, "POST", "*/history*", action)
}

const POINTS: [Point; 30] = [
    Point {
        number: 1,
        what: "the plan is recorded",
        place: "planned",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "",
    },
    Point {
        number: 2,
        what: "the item is taken",
        place: "taken",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "planned",
    },
    Point {
        number: 3,
        what: "a session is opened and not recorded",
        place: "session-opened",
        occurrence: 1,
        end: End::There,
        lost: Some(|| {
            at(
                System::ContentServer,
                "POST",
                "*/v2/multipart",
                Action::DropReply,
            )
        }),
        earlier: "taken",
    },
    Point {
        number: 4,
        what: "the session is recorded",
        place: "session-recorded",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "taken",
    },
    Point {
        number: 5,
        what: "a part is hashed and not sent",
        place: "part-hashed",
        occurrence: 2,
        end: End::There,
        lost: None,
        earlier: "session-recorded",
    },
    Point {
        number: 6,
        what: "a part is sent, its reply under way",
        place: "part-sending",
        occurrence: 2,
        end: End::Later(|| vec![part(hold())], Some(("part", 2))),
        lost: Some(|| part(Action::DropReply)),
        earlier: "session-recorded",
    },
    Point {
        number: 7,
        what: "a part is answered and not recorded",
        place: "part-answered",
        occurrence: 2,
        end: End::There,
        lost: None,
        earlier: "session-recorded",
    },
    Point {
        number: 8,
        what: "a part is acknowledged",
        place: "part-acknowledged",
        occurrence: 2,
        end: End::There,
        lost: None,
        earlier: "session-recorded",
    },
    Point {
        number: 9,
        what: "the last part is acknowledged",
        place: "parts-sent",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "part-acknowledged",
    },
    Point {
        number: 10,
        what: "sealed, the intent not recorded",
        place: "sealed",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "taken",
    },
    Point {
        number: 11,
        what: "the intent is recorded, nothing sent",
        place: "commit-sending",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "sealed",
    },
    Point {
        number: 12,
        what: "the commit is partly sent",
        place: "commit-sending",
        occurrence: 1,
        end: End::Later(
            || {
                vec![commit(Action::StallRequest {
                    after: 5,
                    ms: Some(HELD),
                })]
            },
            None,
        ),
        lost: Some(|| {
            commit(Action::CutRequest {
                after: 5,
                reset: false,
            })
        }),
        earlier: "sealed",
    },
    Point {
        number: 13,
        what: "the commit is received and applied late",
        place: "commit-sending",
        occurrence: 1,
        end: End::Later(
            || vec![commit(Action::ApplyLate { ms: LATE }), commit(hold())],
            None,
        ),
        lost: Some(|| commit(Action::ApplyLate { ms: LATE })),
        earlier: "sealed",
    },
    Point {
        number: 14,
        what: "the commit is applied, its reply under way",
        place: "commit-sending",
        occurrence: 1,
        end: End::Later(|| vec![commit(hold())], Some(("content", 1))),
        lost: Some(|| commit(Action::DropReply)),
        earlier: "sealed",
    },
    Point {
        number: 15,
        what: "the commit is answered and not recorded",
        place: "commit-answered",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "commit-sending",
    },
    Point {
        number: 16,
        what: "the version is recorded",
        place: "committed",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "commit-sending",
    },
    Point {
        number: 17,
        what: "the version is being read back",
        place: "reading-back",
        occurrence: 1,
        end: End::There,
        lost: Some(|| {
            at(
                System::ContentServer,
                "GET",
                "*/versions/*/content*",
                Action::CutBody { after: 700_001 },
            )
        }),
        earlier: "commit-sending",
    },
    Point {
        number: 18,
        what: "the version is proved",
        place: "proved",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "commit-sending",
    },
    Point {
        number: 19,
        what: "the description is sent, its reply under way",
        place: "describing",
        occurrence: 1,
        end: End::Later(|| vec![describe(hold())], Some(("describe", 1))),
        lost: Some(|| describe(Action::DropReply)),
        earlier: "commit-sending",
    },
    Point {
        number: 20,
        what: "rights are sent, their reply under way",
        place: "",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "",
    },
    Point {
        number: 21,
        what: "the move is sent, its reply under way",
        place: "publishing",
        occurrence: 1,
        end: End::Later(|| vec![publish(hold())], Some(("move", 1))),
        lost: Some(|| publish(Action::DropReply)),
        earlier: "commit-sending",
    },
    Point {
        number: 22,
        what: "published and not recorded",
        place: "published",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "commit-sending",
    },
    Point {
        number: 23,
        what: "done is recorded, nobody told",
        place: "done",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "commit-sending",
    },
    Point {
        number: 24,
        what: "iconik is told and that is not recorded",
        place: "told",
        occurrence: 1,
        end: End::There,
        lost: Some(|| tell(Action::DropReply)),
        earlier: "taken",
    },
    Point {
        number: 25,
        what: "half a body is sent",
        place: "body-half",
        occurrence: 1,
        end: End::There,
        lost: Some(|| {
            commit(Action::CutRequest {
                after: 700 * KIB,
                reset: true,
            })
        }),
        earlier: "taken",
    },
    Point {
        number: 26,
        what: "a whole body is sent, its reply under way",
        place: "body-sent",
        occurrence: 1,
        end: End::Later(|| vec![commit(hold())], Some(("content", 1))),
        lost: Some(|| commit(Action::DropReply)),
        earlier: "taken",
    },
    Point {
        number: 27,
        what: "a whole body is answered and that is not recorded",
        place: "commit-answered",
        occurrence: 1,
        end: End::There,
        lost: None,
        earlier: "taken",
    },
    Point {
        number: 28,
        what: "the power fails: the last transactions are lost",
        place: "done",
        occurrence: 1,
        end: End::Damaged(Damage::Cut),
        lost: None,
        earlier: "",
    },
    Point {
        number: 29,
        what: "a backup of the ledger comes back",
        place: "told",
        occurrence: 1,
        end: End::Damaged(Damage::Restored),
        lost: None,
        earlier: "planned",
    },
    Point {
        number: 30,
        what: "the ledger is lost",
        place: "told",
        occurrence: 1,
        end: End::Damaged(Damage::Lost),
        lost: None,
        earlier: "",
    },
];

/// Why a cell cannot be reached, if it cannot.
fn not_applicable(point: &Point, way: Way, event: Event) -> Option<&'static str> {
    let posts = way.posts();
    match point.number {
        3..=9 if posts => return Some("a single POST has no session and no parts"),
        12 | 14 | 15 if posts => return Some("for a single POST these are points 25 to 27"),
        25..=27 if !posts => return Some("content goes in as parts"),
        19 if way == Way::AddVersion => {
            return Some("marker and digest are in the commit's own call");
        }
        20 => return Some("no flow sets rights yet, so dressing calls nobody"),
        21 | 22 if way.adds() => {
            return Some("a version is visible with its commit; nothing is moved");
        }
        _ => {}
    }
    match event {
        Event::Kill => None,
        Event::LostReply if matches!(point.end, End::Damaged(_)) => {
            Some("the point is damage to the ledger itself")
        }
        Event::LostReply => point.lost.is_none().then_some("no reply is under way here"),
        Event::OlderLedger if matches!(point.end, End::Damaged(_)) => {
            Some("the point is an older ledger itself")
        }
        Event::OlderLedger => point
            .earlier
            .is_empty()
            .then_some("nothing was recorded before; a lost ledger is point 30"),
    }
}

#[derive(Clone, Copy)]
struct Cell {
    point: &'static Point,
    way: Way,
    event: Event,
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { point, way, event } = self;
        write!(
            f,
            "point {} ({}), {way:?}, {event:?}",
            point.number, point.what
        )
    }
}

impl Cell {
    fn systems(self) -> Systems {
        let file = FileSpec::generated(NAME, 1, SIZE);
        let campaign = Campaign::new().asset(AssetSpec::new("Master", vec![file]));
        let defaults = Options::with(campaign);
        let options = Options {
            content_server: Config {
                request_limit: LIMIT,
                multipart: Multipart {
                    enabled: !self.way.posts(),
                    min_size: MIB,
                    part_size: PART,
                    // A key that serves again is the worst case: time alone is the fence then.
                    single_use: !self.way.adds(),
                    ..Multipart::default()
                },
                ..defaults.content_server
            },
            ..defaults
        };
        let sections = "[transfer]\nsidecar = false";
        Systems::with(
            options,
            Extra {
                sections,
                ..Extra::default()
            },
        )
    }

    fn run(self) {
        let systems = self.systems();
        let mut books = Books::default();
        books.file(NAME, SIZE, &masters::sha256(1, SIZE));
        if self.way.adds() {
            systems.archive(&[]);
            let size = SIZE - 5;
            replace(&systems, NAME, 2, size);
            books.file(NAME, size, &masters::sha256(2, size));
        }
        let before = audit::contents(&systems);
        let collection = systems.simulator.collection();
        let mut arguments = vec!["archive", collection.as_str()];
        let copy = match self.event {
            Event::OlderLedger => Some(self.point.earlier),
            _ if matches!(self.point.end, End::Damaged(Damage::Restored)) => {
                Some(self.point.earlier)
            }
            _ => None,
        };
        if let Some(earlier) = copy {
            let earlier = self.earlier(earlier);
            die_at(&systems, &arguments, earlier, 1);
            keep(&systems);
            arguments = vec!["resume"];
        }
        let (place, occurrence) = (self.point.place, self.point.occurrence);
        match (self.event, self.point.end) {
            (Event::LostReply, _) => {
                let rule = self.point.lost.expect("the cell is reachable")();
                self.lose_a_reply(&systems, &arguments, rule);
            }
            (_, End::There) => die_at(&systems, &arguments, place, occurrence),
            (_, End::Later(rules, effect)) => {
                let rules: Vec<u64> = rules()
                    .into_iter()
                    .map(|rule| systems.simulator.faults().add(rule))
                    .collect();
                // A late body has to be there whole before its sender dies.
                let whole = match (self.point.number, self.way) {
                    (13, way) if way.posts() => SIZE - 5,
                    (13, _) => 1,
                    _ => 0,
                };
                let hook = (place, occurrence);
                die_later(&systems, &arguments, hook, &rules, effect, whole);
            }
            (_, End::Damaged(damage)) => {
                die_at(&systems, &arguments, place, occurrence);
                if damage != Damage::Restored {
                    damage_ledger(&systems, damage);
                }
            }
        }
        systems.simulator.faults().clear();
        if copy.is_some() {
            bring_back(&systems);
        }
        if self.event != Event::LostReply {
            let lost = matches!(self.point.end, End::Damaged(Damage::Lost));
            let again = ["archive", collection.as_str()];
            systems.must(if lost { &again } else { &["resume"] });
        }
        if self.point.number == 13 {
            // What is late has its effect before the judgement, whoever was quicker.
            std::thread::sleep(LIMIT);
        }
        audit::all(&systems, &books);
        // One effect, except where a late one is set aside in staging by the name's fence.
        let made = audit::contents(&systems) - before;
        let most = if self.point.number == 13 && !self.way.adds() {
            2
        } else {
            1
        };
        assert!((1..=most).contains(&made), "{made} versions were made");
        systems.stop();
    }

    /// The earlier place, as this way has it.
    fn earlier(self, place: &'static str) -> &'static str {
        match (self.way, place) {
            (Way::StagedPost | Way::AddVersionByPost, "sealed") => "taken",
            _ => place,
        }
    }

    fn lose_a_reply(self, systems: &Systems, arguments: &[&str], rule: Rule) {
        let place = match self.point.place {
            "session-opened" => "session-opening",
            "told" => "telling",
            place => place,
        };
        let rule = systems.simulator.faults().add(rule);
        let child = start(systems, arguments, place, self.point.occurrence, true);
        let done = child.wait_with_output().expect("it ends");
        assert_eq!(done.status.code(), Some(0), "{:?}", done.status);
        assert_eq!(
            systems.simulator.faults().fired(rule),
            1,
            "a reply was lost"
        );
        passed(systems, place);
    }
}

fn start(
    systems: &Systems,
    arguments: &[&str],
    place: &str,
    occurrence: u8,
    pass: bool,
) -> std::process::Child {
    let log = systems.place.path().join("crash.log");
    let _ = std::fs::remove_file(&log);
    let pass = if pass { ":pass" } else { "" };
    systems
        .place
        .bare()
        .args(arguments)
        .arg("--json")
        .env("LONGHAUL_CRASH", format!("{place}:{occurrence}{pass}"))
        .env("LONGHAUL_CRASH_LOG", log)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("longhaul starts")
}

/// The hook fired.
#[track_caller]
fn passed(systems: &Systems, place: &str) {
    let log = std::fs::read_to_string(systems.place.path().join("crash.log")).unwrap_or_default();
    assert_eq!(log.trim(), place, "the place was passed once");
}

#[track_caller]
fn die_at(systems: &Systems, arguments: &[&str], place: &str, occurrence: u8) {
    let mut child = start(systems, arguments, place, occurrence, false);
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(9), "{status} instead of at {place}");
    passed(systems, place);
}

#[track_caller]
fn die_later(
    systems: &Systems,
    arguments: &[&str],
    (place, occurrence): (&str, u8),
    rules: &[u64],
    effect: Option<(&'static str, usize)>,
    whole: ByteCount,
) {
    let first = systems.simulator.content_server().history().len();
    let mut child = start(systems, arguments, place, occurrence, true);
    let begun = Instant::now();
    loop {
        let fired = rules
            .iter()
            .all(|rule| systems.simulator.faults().fired(*rule) > 0);
        let shown = effect.is_none_or(|(kind, times)| {
            let history = systems.simulator.content_server().history();
            let new = history.iter().skip(first).filter(|event| {
                event["kind"] == kind || (kind == "content" && audit::is_content(event))
            });
            new.count() >= times
        });
        let arrived = whole == 0
            || systems
                .simulator
                .history()
                .of(System::ContentServer)
                .iter()
                .any(|record| {
                    let late = record.faults.iter().any(|fault| fault == "apply_late");
                    late && record.request_bytes >= whole
                });
        if fired && shown && arrived {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it never came to that");
        if let Some(status) = child.try_wait().expect("a child") {
            panic!("{status} before {place} came to that");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    passed(systems, place);
    child.kill().expect("a kill");
    child.wait().expect("an end");
}

const LEDGER: [&str; 2] = ["longhaul.db", "longhaul.db-wal"];

/// Keeps a copy of the ledger as it is now.
fn keep(systems: &Systems) {
    for name in LEDGER {
        let path = systems.place.path().join(name);
        let _ = std::fs::copy(&path, path.with_extension(format!("kept-{name}")));
    }
}

/// The copy comes back. The lock file stays, as it does when a database is restored.
fn bring_back(systems: &Systems) {
    let _ = std::fs::remove_file(systems.place.path().join("longhaul.db-shm"));
    for name in LEDGER {
        let path = systems.place.path().join(name);
        let _ = std::fs::remove_file(&path);
        let kept = path.with_extension(format!("kept-{name}"));
        if kept.exists() {
            std::fs::rename(kept, &path).expect("the copy comes back");
        }
    }
}

fn damage_ledger(systems: &Systems, damage: Damage) {
    let _ = std::fs::remove_file(systems.place.path().join("longhaul.db-shm"));
    match damage {
        Damage::Cut => {
            let log = std::fs::OpenOptions::new()
                .write(true)
                .open(systems.place.path().join("longhaul.db-wal"))
                .expect("a killed process leaves its log");
            let size = log.metadata().expect("its size").len();
            // Some commits of the end, and a torn one.
            log.set_len(size - size / 3 - 1_000).expect("a shorter log");
        }
        Damage::Restored | Damage::Lost => {
            for name in LEDGER {
                let _ = std::fs::remove_file(systems.place.path().join(name));
            }
        }
    }
}

fn cells() -> (Vec<Cell>, BTreeMap<&'static str, usize>) {
    let mut reachable = Vec::new();
    let mut excluded = BTreeMap::new();
    for point in &POINTS {
        for way in WAYS {
            for event in EVENTS {
                match not_applicable(point, way, event) {
                    Some(why) => *excluded.entry(why).or_default() += 1,
                    None => reachable.push(Cell { point, way, event }),
                }
            }
        }
    }
    (reachable, excluded)
}

/// Runs the cells, several at once; those that were covered, and what went wrong in the others.
fn cover(cells: Vec<Cell>) -> (usize, Vec<String>) {
    let queue = Mutex::new(VecDeque::from(cells));
    let wrong = Mutex::new(Vec::new());
    let covered = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(cell) = queue.lock().expect("no cell panics with it").pop_front()
                    else {
                        return;
                    };
                    match std::panic::catch_unwind(|| cell.run()) {
                        Ok(()) => {
                            covered.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                        Err(panic) => {
                            let text = panic
                                .downcast_ref::<String>()
                                .cloned()
                                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                            let mut text = text.unwrap_or_default();
                            if let Some(at) = text.find("\"message\"") {
                                text = text.split_off(at);
                            }
                            let text: String = text.chars().take(400).collect();
                            wrong
                                .lock()
                                .expect("no cell panics with it")
                                .push(format!("{cell:?}: {text}"));
                        }
                    }
                }
            });
        }
    });
    (
        covered.into_inner(),
        wrong.into_inner().expect("no cell panics with it"),
    )
}

#[track_caller]
fn check(cells: Vec<Cell>) {
    let reachable = cells.len();
    let (covered, wrong) = cover(cells);
    eprintln!("crash cells: {reachable} reachable, {covered} covered");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(covered, reachable);
}

#[test]
fn the_thirty_places_name_every_hook_and_every_cell_is_reachable_or_has_its_reason() {
    let (reachable, excluded) = cells();
    let none: usize = excluded.values().sum();
    assert_eq!(
        reachable.len() + none,
        POINTS.len() * WAYS.len() * EVENTS.len()
    );
    assert!((1..).zip(&POINTS).all(|(n, point)| point.number == n));
    let mut used: BTreeSet<&str> = POINTS.iter().map(|point| point.place).collect();
    // Passed where a reply is lost, before the place that comes after the reply.
    used.extend(["session-opening", "telling"]);
    used.remove("");
    let all: BTreeSet<&str> = longhaul::telemetry::CRASH_POINTS.into_iter().collect();
    assert_eq!(used, all);
    for event in EVENTS {
        for way in WAYS {
            let some = |cell: &&Cell| cell.event == event && cell.way == way;
            assert!(reachable.iter().any(|cell| some(&cell)));
        }
    }
}

#[test]
fn every_reachable_crash_cell_is_covered_and_files_once() {
    let (cells, excluded) = cells();
    for (why, number) in &excluded {
        eprintln!("not applicable: {number} cells, {why}");
    }
    let none: usize = excluded.values().sum();
    eprintln!("crash cells: {none} not applicable");
    let begun = Instant::now();
    check(cells);
    eprintln!("in {:.0} s", begun.elapsed().as_secs_f64());
}
