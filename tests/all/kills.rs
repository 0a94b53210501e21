//! Real kills at random moments, and a storm of faults beside them, judged by the auditor.
//!
//! One seed makes the schedule: which masters change, when the process dies, which faults strike.
//! It is printed first; `LONGHAUL_SEED` plays it again.

use std::process::Stdio;
use std::time::Duration;

use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::content_server::{Config, Multipart};
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::{Options, masters};
use longhaul::types::{ByteCount, KIB, MIB};
use tokio::time::Instant;

use crate::support::audit::{self, Books};
use crate::support::{Extra, Systems, replace};

/// Sizes of the masters: read whole, posted as one body, and in three, five and nine parts.
const SIZES: [ByteCount; 5] = [
    300 * KIB + 1,
    1_200 * KIB + 7,
    1_500 * KIB,
    2_300 * KIB + 3,
    4_400 * KIB,
];
const PART: ByteCount = 512 * KIB;
/// Files of the sequence, which goes in as a folder.
const FRAMES: u64 = 3;
/// Some 11 MiB take a good second, of which a kill sees any moment.
const RATE: &str = "12 MiB/s";
/// A request's life at the destination.
const LIMIT: Duration = Duration::from_secs(1);
const LATEST_KILL_MS: u64 = 1_300;

/// Small, seeded, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let index = self.below(of.len() as u64);
        of[usize::try_from(index).expect("below a length")]
    }
}

fn seed() -> u64 {
    let given = std::env::var("LONGHAUL_SEED").ok();
    let seed = given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::from(now.expect("after 1970").subsec_nanos())
    });
    eprintln!("seed {seed} (LONGHAUL_SEED={seed} plays it again)");
    seed
}

#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    processes: u64,
    worlds: u64,
    finished: u64,
    effects: usize,
    versions: usize,
    left_in_staging: usize,
    faults: u64,
}

/// When a storm is over.
#[derive(Clone, Copy)]
enum Until {
    Kills(u64),
    Time(Instant),
}

impl Until {
    fn over(self, tally: &Tally) -> bool {
        match self {
            Self::Kills(kills) => tally.kills >= kills,
            Self::Time(end) => Instant::now() >= end,
        }
    }
}

struct Storm {
    random: Random,
    until: Until,
    /// Whether other faults strike beside the kills.
    faults: bool,
    tally: Tally,
}

fn name(number: usize) -> String {
    format!("master-{number}.mxf")
}

impl Storm {
    fn new(seed: u64, until: Until, faults: bool) -> Self {
        Self {
            random: Random(seed),
            until,
            faults,
            tally: Tally::default(),
        }
    }

    fn run(mut self) -> Tally {
        while !self.until.over(&self.tally) {
            self.world();
        }
        self.tally
    }

    /// A world from its beginning: filed, changed, filed again, killed all the way.
    fn world(&mut self) {
        self.tally.worlds += 1;
        let mut books = Books::default();
        let mut campaign = Campaign::new();
        // Every master of every world has content of its own.
        let mut next_seed = self.tally.worlds * 1_000;
        for (number, size) in SIZES.into_iter().enumerate() {
            next_seed += 1;
            let file = FileSpec::generated(&name(number), next_seed, size);
            books.file(&name(number), size, &masters::sha256(next_seed, size));
            campaign = campaign.asset(AssetSpec::new(&format!("Master {number}"), vec![file]));
        }
        let frames = (1..=FRAMES)
            .map(|frame| {
                next_seed += 1;
                let (name, size) = (format!("frame-{frame}.dpx"), 200 * KIB + frame);
                books.file(&name, size, &masters::sha256(next_seed, size));
                FileSpec::generated(&name, next_seed, size)
            })
            .collect();
        campaign = campaign.asset(AssetSpec::new("Sequence", frames));
        let defaults = Options::with(campaign);
        let systems = Systems::with(
            Options {
                content_server: Config {
                    request_limit: LIMIT,
                    multipart: Multipart {
                        min_size: 1_400 * KIB,
                        max_size: 64 * MIB,
                        part_size: PART,
                        ..Multipart::default()
                    },
                    ..defaults.content_server
                },
                ..defaults
            },
            Extra::default(),
        );
        self.file(&systems, &books);
        for generation in 1..=2 {
            if self.until.over(&self.tally) {
                break;
            }
            for _ in 0..2 {
                let number = self.random.below(SIZES.len() as u64);
                let number = usize::try_from(number).expect("below a length");
                next_seed += 1;
                // Now and then of the same size, where only the bytes tell them apart.
                let size = SIZES[number] + self.random.one(&[0, 11 * generation, 64 * KIB]);
                replace(&systems, &name(number), next_seed, size);
                books.file(&name(number), size, &masters::sha256(next_seed, size));
                // One change at a time: each is filed before the next.
                self.file(&systems, &books);
            }
        }
        if self.faults {
            // What is late has its effect before the last judgement.
            std::thread::sleep(LIMIT);
            audit::history(&systems, &books);
        }
        systems.stop();
    }

    /// Files what there is, with kills on the way, and audits after each of them.
    fn file(&mut self, systems: &Systems, books: &Books) {
        let collection = systems.simulator.collection();
        let mut begun = false;
        for _ in 0..3 + self.random.below(6) {
            if self.until.over(&self.tally) {
                break;
            }
            if self.faults {
                self.strike(systems);
            }
            let arguments: Vec<&str> = if begun && self.random.below(4) > 0 {
                vec!["resume"]
            } else {
                vec!["archive", &collection]
            };
            let delay = Duration::from_millis(self.random.below(LATEST_KILL_MS));
            self.tally.processes += 1;
            let mut child = systems
                .place
                .killable()
                .args(&arguments)
                .args(["--json", "--limit-bandwidth", RATE])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("longhaul starts");
            std::thread::sleep(delay);
            let ended = child.try_wait().expect("a child");
            if ended.is_none() {
                child.kill().expect("a kill");
                child.wait().expect("an end");
                self.tally.kills += 1;
            }
            self.tally.faults += struck(systems);
            audit::history(systems, books);
            begun = begun || systems.run(&["status"]).1.len() > 1;
            // What ended in order has nothing left to be killed in.
            if ended.is_some_and(|status| status.success()) {
                break;
            }
        }
        systems.simulator.faults().clear();
        self.finish(systems, books, &collection);
    }

    fn finish(&mut self, systems: &Systems, books: &Books, collection: &str) {
        // What a fault had parked gets another chance; nothing here is wrong for good.
        let (mut code, mut lines) = systems.run(&["archive", collection]);
        for _ in 0..3 {
            if code == 0 {
                break;
            }
            (code, lines) = systems.run(&["resume", "--retry", "failed,parked"]);
        }
        assert_eq!(code, 0, "{lines:#?}");
        let counts = audit::all(systems, books);
        systems.must(&["archive", collection]);
        let again = audit::history(systems, books);
        // What a fault made late may still arrive, in staging.
        if !self.faults {
            let made = audit::contents(systems);
            assert_eq!(
                made,
                counts.visible + counts.in_staging,
                "all is accounted for"
            );
            assert_eq!(
                again.effects, counts.effects,
                "a finished plan writes nothing"
            );
        }
        self.tally.finished += 1;
        self.tally.effects += counts.effects;
        self.tally.versions += counts.visible;
        self.tally.left_in_staging += counts.in_staging;
    }

    /// Sets some faults that real systems and lines have, and that work must survive unaided.
    fn strike(&mut self, systems: &Systems) {
        let faults = systems.simulator.faults();
        faults.clear();
        if self.random.below(8) == 0 {
            systems.simulator.content_server().expire_tickets();
        }
        for _ in 0..1 + self.random.below(3) {
            let late = 100 + self.random.below(800);
            let status = |code, applied| Action::Status {
                code,
                headers: Default::default(),
                body: "{\"error\":\"Service unavailable\"}".into(),
                applied,
                read_body: true,
            };
            let reset = |applied| Action::Reset {
                after: None,
                applied,
            };
            let slow_down = Action::Throttle429 {
                retry_after: Some("1".into()),
                code: 429,
            };
            let page = |applied| Action::Html {
                code: 200,
                body: None,
                applied,
            };
            let commit = ("POST", "*/v2/nodes*");
            let part = ("POST", "*/v2/multipart/*");
            let edit = ("PUT", "*/v2/nodes/*");
            let any = ("*", "*");
            let cases: [(System, (&str, &str), Action); 18] = [
                (System::ContentServer, commit, Action::DropReply),
                (
                    System::ContentServer,
                    commit,
                    Action::ApplyLate { ms: late },
                ),
                (System::ContentServer, commit, reset(false)),
                (System::ContentServer, commit, status(503, true)),
                (System::ContentServer, commit, page(true)),
                (System::ContentServer, commit, Action::named("upload_lost")),
                (System::ContentServer, part, Action::DropReply),
                (System::ContentServer, part, reset(false)),
                (System::ContentServer, part, Action::named("upload_expired")),
                (System::ContentServer, edit, Action::DropReply),
                (System::ContentServer, edit, status(500, true)),
                (System::ContentServer, any, status(503, false)),
                (System::ContentServer, any, Action::CutBody { after: 100 }),
                (System::Bucket, any, Action::CutBody { after: 100_001 }),
                (System::Bucket, any, Action::ExpireUrl),
                (System::Bucket, any, reset(false)),
                (System::Iconik, any, slow_down),
                (System::Iconik, any, Action::DropReply),
            ];
            let chosen = usize::try_from(self.random.below(cases.len() as u64)).expect("small");
            let (system, (method, path), action) = cases[chosen].clone();
            let mut rule = Rule::new(action)
                .on(system)
                .path(path)
                .nth(1 + self.random.below(4))
                .times(1 + self.random.below(2));
            if method != "*" {
                rule = rule.method(method);
            }
            faults.add(rule);
        }
    }
}

fn struck(systems: &Systems) -> u64 {
    let rules = systems.simulator.faults().list();
    rules.iter().map(|rule| rule.fired).sum()
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.kills += other.kills;
        self.processes += other.processes;
        self.worlds += other.worlds;
        self.finished += other.finished;
        self.effects += other.effects;
        self.versions += other.versions;
        self.left_in_staging += other.left_in_staging;
        self.faults += other.faults;
    }
}

/// Several storms side by side, each with its own seed out of the one.
#[track_caller]
fn weather(storms: u64, until: Until, faults: bool) -> Tally {
    let (begun, seed) = (Instant::now(), seed());
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let storms: Vec<_> = (1..=storms)
            .map(|number| {
                let seed = seed
                    .wrapping_add(number)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    | 1;
                scope.spawn(move || Storm::new(seed, until, faults).run())
            })
            .collect();
        for storm in storms {
            match storm.join() {
                Ok(one) => tally += one,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    eprintln!(
        "{} kills of {} processes and {} faults in {} worlds, {:.0} s: {} effects, {} versions visible, {} left in staging; 0 lost, 0 doubled, 0 wrong in {} audits of the whole",
        tally.kills,
        tally.processes,
        tally.faults,
        tally.worlds,
        begun.elapsed().as_secs_f64(),
        tally.effects,
        tally.versions,
        tally.left_in_staging,
        tally.finished,
    );
    tally
}

#[test]
fn ten_kills_at_random_moments_lose_nothing_and_double_nothing() {
    let tally = weather(2, Until::Kills(5), false);
    assert!(tally.kills == 10 && tally.finished > 0);
}

#[test]
#[ignore = "long: run with --ignored, in the release build"]
fn long_two_hundred_kills_at_random_moments_lose_nothing_and_double_nothing() {
    let tally = weather(4, Until::Kills(50), false);
    assert!(tally.kills == 200 && tally.finished >= 20, "{tally:?}");
}

#[test]
#[ignore = "a soak: run by name with --ignored; LONGHAUL_SOAK_SECONDS says how long"]
fn soak_in_a_storm_of_faults_and_kills() {
    let seconds = std::env::var("LONGHAUL_SOAK_SECONDS");
    let seconds = seconds.ok().and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(60));
    let tally = weather(3, Until::Time(end), true);
    assert!(tally.kills > 0 && tally.faults > 0 && tally.finished > 0);
}
