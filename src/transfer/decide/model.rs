//! Every schedule of a small world, breadth first, with the engine's own decision in the middle.
//!
//! One file on its way, a ledger, a destination, requests on the wire. At any moment the process
//! may die, a request may be lost, refused, carried out late or carried out after its sender gave
//! up, a reply may be lost, a session may expire, and a ledger may come back as an earlier copy of
//! itself. The clock counts ages in ticks. What is judged is what people can see: versions of a
//! document, or published documents.

use std::collections::HashSet;

use super::*;
use crate::types::{NodeId, VersionNumber};

/// A request may take effect up to this age.
const LIFE: u8 = 1;
/// A send leaves at most this long after it was recorded.
const MARGIN: u8 = 1;
/// The quiet time: longer than both together.
const QUIET: u8 = LIFE + MARGIN + 1;
/// Ages above this are as good as this.
const OLD: u8 = QUIET + 1;

type Rule = fn(&Intent, &View) -> Next;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mode {
    Create,
    Version,
}

/// The ledger's row of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Row {
    Planned,
    Intent {
        sends: u8,
        age: u8,
        refused: bool,
        gone: bool,
    },
    Committed(u8),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// About to decide.
    Free,
    /// The send is recorded and has not left.
    Recorded,
    /// Waits for the answer.
    Waiting,
    /// The answer named this node, and it is not recorded.
    Answered(u8),
    /// Published and not recorded.
    Published,
    /// Left for a person.
    Conflict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Process {
    age: u8,
    look: Option<u8>,
    name_taken: bool,
    stage: Stage,
}

/// A request on the wire, or in the destination's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Request {
    age: u8,
    awaited: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    row: Row,
    /// Earlier rows, which a backup may hold.
    older: Vec<Row>,
    behind: bool,
    process: Option<Process>,
    wire: Vec<Request>,
    /// The node in staging under the marker.
    staged: Option<u8>,
    /// Nodes that people see; in the mode `Version`, versions.
    visible: Vec<u8>,
    made: u8,
    crashes: u8,
    rollbacks: u8,
    sends: u8,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    crashes: u8,
    rollbacks: u8,
    sends: u8,
}

struct Search {
    mode: Mode,
    rule: Rule,
    bounds: Bounds,
    /// A look-up that forgets to look where people see it.
    staging_only: bool,
}

impl World {
    fn new() -> Self {
        Self {
            row: Row::Planned,
            older: Vec::new(),
            behind: false,
            process: None,
            wire: Vec::new(),
            staged: None,
            visible: Vec::new(),
            made: 0,
            crashes: 0,
            rollbacks: 0,
            sends: 0,
        }
    }

    fn record(&mut self, row: Row) {
        let before = std::mem::replace(&mut self.row, row);
        self.older.push(before);
        self.older.sort_unstable();
        self.older.dedup();
    }

    /// Forgets what nothing can come of any more, so that equal futures are one state.
    fn trim(&mut self, bounds: Bounds) {
        if self.crashes >= bounds.crashes || self.rollbacks >= bounds.rollbacks {
            self.older.clear();
        }
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("only a live process moves")
    }

    fn tick(&mut self) {
        let older = |age: &mut u8| *age = (*age + 1).min(OLD);
        let row = |row: &mut Row| {
            if let Row::Intent { age, .. } = row {
                older(age);
            }
        };
        row(&mut self.row);
        self.older.iter_mut().for_each(row);
        self.older.sort_unstable();
        self.older.dedup();
        if let Some(process) = &mut self.process {
            older(&mut process.age);
            process.look.iter_mut().for_each(older);
        }
        for request in &mut self.wire {
            request.age += 1;
        }
        if self.wire.iter().any(|r| r.awaited && r.age > LIFE) {
            self.process().stage = Stage::Free;
        }
        self.wire.retain(|request| request.age <= LIFE);
    }

    fn give_up(&mut self) {
        self.wire.iter_mut().for_each(|r| r.awaited = false);
        self.wire.sort_unstable();
        self.process().stage = Stage::Free;
    }

    fn take(&mut self, index: usize) -> Request {
        self.wire.remove(index)
    }
}

impl Search {
    fn target(&self) -> Target {
        match self.mode {
            Mode::Create => Target::Create {
                parent: NodeId(1),
                name: "marker".into(),
            },
            Mode::Version => Target::Version {
                node: NodeId(1),
                base: VersionNumber(1),
            },
        }
    }

    /// A complete look-up: where people see it first, then staging.
    fn find(&self, world: &World) -> Option<u8> {
        let visible = world.visible.first().copied();
        visible.filter(|_| !self.staging_only).or(world.staged)
    }

    fn decide(&self, world: &World, process: &Process) -> Next {
        let Row::Intent {
            sends,
            age,
            refused,
            gone,
        } = world.row
        else {
            unreachable!("only an intent is decided about");
        };
        let ticks = |age: u8| Duration::from_secs(age.into());
        let intent = Intent {
            target: self.target(),
            sent_at: 0,
            sent_up: None,
            sends: sends.into(),
            found: false,
            refused,
            session_gone: gone,
        };
        let view = View {
            since_sent: ticks(age),
            since_start: ticks(process.age),
            since_look: process.look.map(ticks),
            quiet: ticks(QUIET),
            barrier: world.behind,
            name_taken: process.name_taken,
        };
        (self.rule)(&intent, &view)
    }

    /// What the process does by itself, if it can; and whether it only waits for time.
    fn own_step(&self, world: &World) -> Option<(&'static str, World, bool)> {
        let process = world.process?;
        let mut after = world.clone();
        let mut waits = false;
        let name = match (process.stage, world.row) {
            (Stage::Waiting | Stage::Conflict, _) | (Stage::Free, Row::Done) => return None,
            (Stage::Recorded, _) => {
                after.wire.push(Request {
                    age: 0,
                    awaited: true,
                });
                after.wire.sort_unstable();
                after.process().stage = Stage::Waiting;
                "the commit leaves"
            }
            (Stage::Answered(node), _) => {
                after.record(Row::Committed(node));
                after.process().stage = Stage::Free;
                "the answer is recorded"
            }
            (Stage::Published, _) => {
                after.record(Row::Done);
                after.process().stage = Stage::Free;
                "done is recorded"
            }
            (Stage::Free, Row::Planned) => {
                after.record(match self.find(world) {
                    Some(node) => Row::Committed(node),
                    None => Row::Intent {
                        sends: 0,
                        age: 0,
                        refused: false,
                        gone: false,
                    },
                });
                "where it belongs is looked up and recorded"
            }
            (Stage::Free, Row::Committed(node)) => {
                if self.mode == Mode::Create && after.staged == Some(node) {
                    after.staged = None;
                    after.visible.push(node);
                }
                after.process().stage = Stage::Published;
                "published"
            }
            (Stage::Free, Row::Intent { sends, .. }) => match self.decide(world, &process) {
                Next::LookUp => {
                    if let Some(node) = self.find(world) {
                        after.record(Row::Committed(node));
                        "a look-up finds it, which is recorded"
                    } else {
                        after.process().look = Some(0);
                        "a look-up finds nothing"
                    }
                }
                Next::Wait(_) => {
                    waits = true;
                    let process = after.process();
                    process.look = None;
                    process.name_taken = false;
                    "it waits"
                }
                Next::Send => {
                    if world.sends == self.bounds.sends {
                        return None;
                    }
                    after.sends += 1;
                    after.record(Row::Intent {
                        sends: sends + 1,
                        age: 0,
                        refused: false,
                        gone: false,
                    });
                    let process = after.process();
                    process.look = None;
                    process.name_taken = false;
                    process.stage = Stage::Recorded;
                    "a send is recorded"
                }
                Next::StartOver => {
                    after.record(Row::Planned);
                    after.process().look = None;
                    "the file starts over"
                }
                Next::NameTaken => {
                    after.process().stage = Stage::Conflict;
                    "the name is taken by something else"
                }
            },
        };
        Some((name, after, waits))
    }

    /// The destination carries out a request; whether the answer gets back.
    fn apply(&self, world: &World, index: usize, answered: bool) -> (&'static str, World) {
        let mut after = world.clone();
        let request = after.take(index);
        let refused = self.mode == Mode::Create && after.staged.is_some();
        let node = after.made;
        if !refused {
            after.made += 1;
            match self.mode {
                Mode::Create => after.staged = Some(node),
                Mode::Version => after.visible.push(node),
            }
        }
        if request.awaited {
            let process = after.process();
            process.stage = match (answered, refused) {
                (true, false) => Stage::Answered(node),
                _ => Stage::Free,
            };
            process.name_taken = answered && refused;
        }
        let name = match (refused, request.awaited && answered) {
            (true, _) => "the destination refuses the name",
            (false, true) => "the commit takes effect and is answered",
            (false, false) => "a commit takes effect and nobody hears of it",
        };
        (name, after)
    }

    fn steps(&self, world: &World) -> Vec<(&'static str, World)> {
        let mut all = Vec::new();
        if let Some((name, after, _)) = self.own_step(world) {
            all.push((name, after));
        }
        for (index, request) in world.wire.iter().enumerate() {
            all.push(self.apply(world, index, false));
            if request.awaited {
                all.push(self.apply(world, index, true));
                let mut lost = world.clone();
                lost.take(index);
                lost.process().stage = Stage::Free;
                all.push(("the commit is lost on its way", lost.clone()));
                if let Row::Intent {
                    sends, age, gone, ..
                } = world.row
                {
                    let answer = |refused, gone| {
                        let mut after = lost.clone();
                        after.record(Row::Intent {
                            sends,
                            age,
                            refused,
                            gone,
                        });
                        after
                    };
                    all.push(("the commit is refused", answer(true, gone)));
                    all.push(("the session is gone", answer(false, true)));
                }
                let mut after = world.clone();
                after.give_up();
                all.push(("the process gives up waiting", after));
            }
        }
        let sending = world.process.is_some_and(|p| p.stage == Stage::Recorded);
        let late = matches!(world.row, Row::Intent { age, .. } if age >= MARGIN);
        if !(sending && late) {
            let mut after = world.clone();
            after.tick();
            all.push(("time passes", after));
        }
        if world.process.is_some() {
            if world.crashes < self.bounds.crashes {
                let mut dead = world.clone();
                dead.give_up();
                dead.process = None;
                dead.crashes += 1;
                if world.rollbacks < self.bounds.rollbacks {
                    for row in &world.older {
                        let mut after = dead.clone();
                        after.row = *row;
                        after.behind = true;
                        after.rollbacks += 1;
                        all.push(("the process dies, and an older ledger comes back", after));
                    }
                }
                all.push(("the process dies", dead));
            }
        } else {
            let mut after = world.clone();
            after.process = Some(Process {
                age: 0,
                look: None,
                name_taken: false,
                stage: Stage::Free,
            });
            all.push(("a process starts", after));
        }
        all
    }

    /// Whether the file gets to its end once nothing goes wrong any more. `known` are worlds that
    /// do: ways there join soon.
    fn ends(&self, world: &World, known: &mut HashSet<World>) -> bool {
        let mut world = world.clone();
        let mut way = Vec::new();
        for _ in 0..100 {
            let over =
                world.row == Row::Done && world.process.is_none_or(|p| p.stage == Stage::Free);
            if over && world.visible.len() != 1 {
                return false;
            }
            if over || known.contains(&world) {
                known.extend(way);
                return true;
            }
            way.push(world.clone());
            world = match world.process {
                None => self.steps(&world).pop().expect("a process can start").1,
                Some(process) if process.stage == Stage::Waiting => {
                    let awaited = world.wire.iter().position(|r| r.awaited);
                    self.apply(&world, awaited.expect("it waits for it"), true)
                        .1
                }
                Some(_) => match self.own_step(&world) {
                    None => return false,
                    Some((_, mut after, waits)) => {
                        if waits {
                            after.tick();
                        }
                        after
                    }
                },
            };
        }
        false
    }

    /// Visits every state, shortest schedules first: their number, and the first schedule at
    /// whose end something is visible twice.
    fn run(&self, check_ends: bool) -> (usize, Option<Vec<&'static str>>) {
        let patient = Self {
            bounds: Bounds {
                sends: u8::MAX,
                ..self.bounds
            },
            ..*self
        };
        let mut ending = HashSet::new();
        let mut seen = HashSet::from([World::new()]);
        // Of each world in the order of discovery: itself, the one before it, and the step.
        let mut found = vec![(World::new(), 0, "")];
        let mut next = 0;
        while let Some((world, ..)) = found.get(next).cloned() {
            let this = next;
            next += 1;
            if world.visible.len() > 1 {
                let mut trace = Vec::new();
                let mut at = this;
                while at > 0 {
                    trace.push(found[at].2);
                    at = found[at].1;
                }
                trace.reverse();
                return (found.len(), Some(trace));
            }
            assert!(
                world.row != Row::Done || !world.visible.is_empty(),
                "done, and nothing is there: {world:?}"
            );
            if check_ends {
                assert!(
                    patient.ends(&world, &mut ending),
                    "left alone it never ends well: {world:?}"
                );
            }
            for (step, mut after) in self.steps(&world) {
                after.trim(self.bounds);
                if seen.insert(after.clone()) {
                    found.push((after, this, step));
                }
            }
        }
        (found.len(), None)
    }
}

const KILLS: Bounds = Bounds {
    crashes: 3,
    rollbacks: 0,
    sends: 4,
};
const OLDER_LEDGERS: Bounds = Bounds {
    crashes: 2,
    rollbacks: 2,
    sends: 3,
};

#[track_caller]
fn never_twice(mode: Mode, bounds: Bounds, at_least: usize) {
    let search = Search {
        mode,
        rule: next,
        bounds,
        staging_only: false,
    };
    let (states, trace) = search.run(true);
    eprintln!("{mode:?} with {bounds:?}: {states} states");
    assert_eq!(trace, None, "visible twice");
    assert!(states >= at_least, "only {states} states were visited");
}

#[track_caller]
fn twice(rule: Rule, bounds: Bounds) -> Vec<&'static str> {
    found_out(&Search {
        mode: Mode::Version,
        rule,
        bounds,
        staging_only: false,
    })
}

#[track_caller]
fn found_out(search: &Search) -> Vec<&'static str> {
    let (states, trace) = search.run(false);
    let trace = trace.expect("the wrong rule is found out");
    eprintln!("visible twice after {states} states:");
    trace.iter().for_each(|step| eprintln!("  {step}"));
    trace
}

#[test]
fn no_schedule_of_kills_and_lost_or_late_calls_shows_a_version_twice() {
    never_twice(Mode::Version, KILLS, 12_000);
}

#[test]
fn no_schedule_with_older_ledgers_shows_a_version_twice() {
    never_twice(Mode::Version, OLDER_LEDGERS, 80_000);
}

#[test]
fn no_schedule_of_kills_and_lost_or_late_calls_shows_a_document_twice() {
    never_twice(Mode::Create, KILLS, 30_000);
}

#[test]
fn no_schedule_with_older_ledgers_shows_a_document_twice() {
    let bounds = Bounds {
        sends: 2,
        ..OLDER_LEDGERS
    };
    never_twice(Mode::Create, bounds, 80_000);
}

#[test]
fn a_version_sent_again_without_a_look_up_is_found_twice() {
    let trace = twice(
        |intent, view| match next(intent, view) {
            Next::LookUp | Next::Wait(_) => Next::Send,
            other => other,
        },
        KILLS,
    );
    assert!(!trace.contains(&"a look-up finds nothing"));
}

#[test]
fn a_version_looked_for_and_sent_again_at_once_is_found_twice() {
    let trace = twice(
        |intent, view| match next(intent, view) {
            Next::LookUp if view.since_look.is_some() => Next::Send,
            Next::Wait(_) => Next::Send,
            other => other,
        },
        KILLS,
    );
    assert!(trace.contains(&"a look-up finds nothing"));
}

#[test]
fn a_look_up_from_before_the_end_of_the_quiet_time_is_found_out() {
    twice(
        |intent, view| match next(intent, view) {
            Next::LookUp if view.since_look.is_some() => Next::Send,
            other => other,
        },
        KILLS,
    );
}

#[test]
fn without_the_wait_from_the_start_an_older_ledger_is_found_out() {
    // What an older ledger knows of sends is not the last of them.
    let without = |intent: &Intent, view: &View| {
        let barrier = view.barrier && intent.sends == 0;
        next(intent, &View { barrier, ..*view })
    };
    twice(without, OLDER_LEDGERS);
}

#[test]
fn a_look_up_in_staging_alone_publishes_again_after_an_older_ledger() {
    found_out(&Search {
        mode: Mode::Create,
        rule: next,
        bounds: OLDER_LEDGERS,
        staging_only: true,
    });
}
