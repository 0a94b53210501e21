//! The one walk over the ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::due::Dues;
use super::record::{KINDS, Record, Remembers};
use super::{
    ChainState, Count, Deviation, Error, Group, Mark, Open, Repeated, Report, Row, Same, Setting,
    Speed, Standing, moment, shown,
};
use crate::ledger::{Chain, FileTotals, Item, Line, Reader, Run};
use crate::types::{FailureClass, ItemId, RunId, display_bytes};

const PAGE: usize = 1000;
/// Items that need a decision, of which the report names one by one.
pub(super) const LISTED: usize = 500;
/// Examples of a deviation.
const EXAMPLES: usize = 20;
/// Limits, pauses and outages that are kept.
const MARKS: usize = 300;
/// Files whose beginning is kept in mind; more are on their way only after very many kills.
const ON_THEIR_WAY: usize = 100_000;

/// The order of states in tables.
const STATES: [&str; 10] = [
    "done",
    "failed",
    "parked",
    "held",
    "conflict",
    "quarantined",
    "declined",
    "waiting",
    "active",
    "planned",
];
/// Where a person must decide.
const DECIDE: [&str; 4] = ["parked", "held", "conflict", "quarantined"];
/// Proof levels, strongest first.
const LEVELS: [&str; 5] = ["read-back", "stored", "sent", "size", "none"];

/// Events that are worth an auditor's look.
const DEVIATIONS: [(&str, &str); 14] = [
    (
        "differs",
        "a check found another size or digest than recorded",
    ),
    (
        "quarantined",
        "what was stored was not what was sent; nobody could see it",
    ),
    ("name-taken", "the name was taken; published under another"),
    (
        "set-aside",
        "renamed in staging, out of the way of a new attempt",
    ),
    ("decided", "a person decided"),
    (
        "changed-since-plan",
        "not as the plan that was followed says",
    ),
    ("reopened", "filed before and changed at the source since"),
    ("split", "too large for one document, filed in segments"),
    (
        "found",
        "found at the destination already; proved, not sent again",
    ),
    (
        "started-over",
        "a file's transfer began again from its start",
    ),
    ("resumed", "a file's transfer went on where it was cut"),
    (
        "prefix-reread",
        "the source was read again up to the cut, for the digest alone",
    ),
    (
        "ambiguous",
        "the answer to a commit was lost; looked up before anything was repeated",
    ),
    (
        "iconik-not-told",
        "iconik did not take the note about a filed master",
    ),
];

/// Reads a run once and hands every item to `each`; what it all comes to. `settings` are the
/// present ones, without secrets.
///
/// # Errors
///
/// The ledger's, or what `each` fails with.
pub fn collect(
    reader: &Reader,
    run: &Run,
    settings: Vec<Setting>,
    each: &mut dyn FnMut(&Row) -> Result<(), Error>,
) -> Result<Report, Error> {
    // The journal's end is fixed by its chain; both are far shorter than a run.
    let chain = match reader.verify_chain()? {
        Chain::Whole { lines, digest } => ChainState {
            intact: true,
            line: lines,
            digest,
        },
        Chain::Broken { seq, why } => ChainState {
            intact: false,
            line: seq,
            digest: why.to_string(),
        },
    };
    let mut walk = Walk::new(run.started);
    let (now, repeated) = reader.at_one_moment(|reader| -> Result<(Run, Repeated), Error> {
        let now = reader.run(Some(run.id))?.unwrap_or_else(|| run.clone());
        walk.items(reader, run.id, each)?;
        walk.journal(reader, run.id)?;
        Ok((now, repeated(reader, run.id)?))
    })?;
    Ok(Report {
        repeated,
        ..walk.report(&now, chain, settings)
    })
}

/// What was filed for several assets.
fn repeated(reader: &Reader, run: RunId) -> Result<Repeated, Error> {
    let all = reader.repeated(run)?;
    let mut largest = Vec::new();
    for same in reader.largest_repeated(run, EXAMPLES)? {
        let filed = reader.filed_with(&same.sha256, EXAMPLES)?;
        largest.push(Same {
            sha256: hex::encode(&same.sha256),
            bytes: same.size,
            assets: same.assets,
            filed: filed
                .into_iter()
                .map(|twin| (twin.key, shown(&twin.title), twin.node.map(|node| node.0)))
                .collect(),
        });
    }
    Ok(Repeated {
        contents: all.contents,
        copies: all.copies,
        bytes: all.bytes,
        largest,
    })
}

struct Walk {
    states: BTreeMap<String, Count>,
    proofs: BTreeMap<String, Count>,
    records: BTreeMap<String, Count>,
    groups: BTreeMap<(String, String, String), Group>,
    open: Vec<Open>,
    open_items: u64,
    papers_missing: u64,
    made: Timestamp,
    /// The day of the report, in UTC.
    today: Date,
    dues: Dues,
    sent: u64,
    again: u64,
    restarts: u64,
    verified: u64,
    verified_between: Option<(i64, i64)>,
    left_out_why: BTreeSet<String>,
    deviations: BTreeMap<&'static str, Deviation>,
    speed: Speed,
    /// Files on their way: from when, and to when.
    moving: HashMap<i64, (i64, i64)>,
    marks: Vec<Mark>,
    marks_all: u64,
    /// Outages and pauses that have not ended, by system: their place among the marks.
    lasting: HashMap<String, usize>,
}

impl Walk {
    fn new(start: i64) -> Self {
        let made = Timestamp::now();
        Self {
            states: BTreeMap::new(),
            proofs: BTreeMap::new(),
            records: BTreeMap::new(),
            groups: BTreeMap::new(),
            open: Vec::new(),
            open_items: 0,
            papers_missing: 0,
            made,
            today: made.to_zoned(TimeZone::UTC).date(),
            dues: Dues::default(),
            sent: 0,
            again: 0,
            restarts: 0,
            verified: 0,
            verified_between: None,
            left_out_why: BTreeSet::new(),
            deviations: BTreeMap::new(),
            speed: Speed::new(start),
            moving: HashMap::new(),
            marks: Vec::new(),
            marks_all: 0,
            lasting: HashMap::new(),
        }
    }

    fn items(
        &mut self,
        reader: &Reader,
        run: RunId,
        each: &mut dyn FnMut(&Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let remembers = Remembers::of(reader)?;
        let mut after = ItemId(0);
        loop {
            let items = reader.items(run, None, after, PAGE)?;
            let Some(last) = items.last() else {
                return Ok(());
            };
            let mut totals = reader
                .file_totals(run, after, last.id)?
                .into_iter()
                .peekable();
            after = last.id;
            for item in &items {
                let own = totals.next_if(|totals| totals.item == item.id);
                let mut row = row(item, own);
                row.record = Record::of(item, &row.asset, remembers, reader)?;
                self.item(&row);
                each(&row)?;
            }
        }
    }

    fn item(&mut self, row: &Row) {
        add(&mut self.states, &row.state, row.bytes);
        if row.state == "done" {
            add(&mut self.proofs, &row.proof, row.bytes);
            for kind in row.record.kinds(self.today) {
                add(&mut self.records, kind, row.bytes);
            }
            self.dues.add(row);
        }
        self.papers_missing += u64::from(row.record.papers_missing.is_some());
        self.sent += row.bytes_sent;
        self.again += row.bytes_again;
        self.restarts += row.restarts;
        let stopped = row.state == "failed" || DECIDE.contains(&row.state.as_str());
        if stopped || row.state == "waiting" {
            let class = row.class.clone().unwrap_or_default();
            let reason = row.reason.clone().unwrap_or_default();
            let key = (row.state.clone(), class.clone(), reason.clone());
            let group = self.groups.entry(key).or_insert_with(|| Group {
                state: row.state.clone(),
                remedy: FailureClass::from_name(&class)
                    .map(|class| class.remedy_for(&row.state, row.reason.as_deref())),
                class,
                reason,
                items: 0,
                bytes: 0,
                example: row.message.clone().unwrap_or_default(),
            });
            group.items += 1;
            group.bytes += row.bytes;
        }
        if stopped {
            self.open_items += 1;
            if self.open.len() < LISTED {
                self.open.push(Open {
                    key: row.key.clone(),
                    title: row.title.clone(),
                    state: row.state.clone(),
                    bytes: row.bytes,
                    message: row.message.clone().unwrap_or_default(),
                    papers_missing: row.record.papers_missing.clone(),
                    commands: commands(row),
                });
            }
        }
    }

    fn journal(&mut self, reader: &Reader, run: RunId) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let lines = reader.journal(Some(run), None, after, PAGE)?;
            let Some(last) = lines.last() else {
                return Ok(());
            };
            after = last.seq;
            for line in &lines {
                self.line(line);
            }
        }
    }

    fn line(&mut self, line: &Line) {
        let data: Value = serde_json::from_str(&line.data).unwrap_or_default();
        let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
        if let Some((event, means)) = DEVIATIONS.iter().find(|(event, _)| *event == line.event) {
            let deviation = self.deviations.entry(event).or_insert_with(|| Deviation {
                event: (*event).to_owned(),
                means,
                times: 0,
                examples: Vec::new(),
            });
            deviation.times += 1;
            if deviation.examples.len() < EXAMPLES {
                deviation.examples.push((line.at, facts(line, &data)));
            }
        }
        match line.event.as_str() {
            "session-opened" | "intent" => self.begun(line),
            "committed" => {
                if let Some((_, to)) = line.file.and_then(|file| self.moving.get_mut(&file.0)) {
                    *to = line.at;
                }
            }
            // It was there: no byte of it moved now.
            "found" => {
                if let Some(file) = line.file {
                    self.moving.insert(file.0, (i64::MIN, i64::MIN));
                }
            }
            "proved" => self.proved(line, data["size"].as_u64().unwrap_or(0)),
            "verified" => {
                self.verified += 1;
                let (first, last) = self.verified_between.unwrap_or((line.at, line.at));
                self.verified_between = Some((first.min(line.at), last.max(line.at)));
            }
            "left-out" if self.left_out_why.len() < EXAMPLES => {
                self.left_out_why.insert(shown(&text("why")));
            }
            "outage" => {
                let system = match text("system").as_str() {
                    "destination" => "Content Server",
                    _ => "iconik or its storage",
                };
                let what = format!("{system} away: {}", shown(&text("error")));
                self.begins("outage", &text("system"), line.at, what);
            }
            "outage-over" => self.ends(&text("system"), line.at),
            "steered" => self.steered(line.at, &data),
            _ => {}
        }
    }

    fn begun(&mut self, line: &Line) {
        let Some(file) = line.file else { return };
        if self.moving.len() >= ON_THEIR_WAY {
            self.moving.clear();
        }
        self.moving.entry(file.0).or_insert((line.at, line.at));
    }

    fn proved(&mut self, line: &Line, bytes: u64) {
        let Some(file) = line.file else { return };
        match self.moving.remove(&file.0) {
            Some((i64::MIN, _)) => {}
            Some((from, to)) => self.speed.add(from, to, bytes),
            None => self.speed.add(line.at, line.at, bytes),
        }
    }

    fn steered(&mut self, at: i64, data: &Value) {
        let by = match &data["by"] {
            Value::String(by) => by.clone(),
            by => by["user"].as_str().unwrap_or("somebody").to_owned(),
        };
        let by = shown(&by);
        match data["what"].as_str().unwrap_or_default() {
            "pause" => self.begins("pause", "pause", at, format!("paused by {by}")),
            "resume" => self.ends("pause", at),
            "limit" => {
                let what = limit(data);
                self.begins("limit", "limit", at, format!("{what}, by {by}"));
            }
            "unlimit" | "limit-over" => self.ends("limit", at),
            "retry" => self.mark("retry", at, format!("stopped items tried again, by {by}")),
            what @ ("drain" | "checkpoint" | "now") => {
                self.mark("drain", at, format!("{what}: {by}"));
            }
            _ => {}
        }
    }

    fn mark(&mut self, kind: &'static str, at: i64, what: String) {
        self.marks_all += 1;
        if self.marks.len() < MARKS {
            self.marks.push(Mark {
                kind,
                from: at,
                to: None,
                what,
            });
        }
    }

    fn begins(&mut self, kind: &'static str, key: &str, at: i64, what: String) {
        self.ends(key, at);
        self.mark(kind, at, what);
        if self.marks_all == self.marks.len() as u64 {
            self.lasting.insert(key.to_owned(), self.marks.len() - 1);
        }
    }

    fn ends(&mut self, key: &str, at: i64) {
        if let Some(place) = self.lasting.remove(key) {
            self.marks[place].to = Some(at);
        }
    }

    fn report(self, run: &Run, chain: ChainState, settings: Vec<Setting>) -> Report {
        let states = ordered(self.states, &STATES);
        let proofs = ordered(self.proofs, &LEVELS);
        let records = ordered(self.records, &KINDS.map(|(kind, _)| kind));
        let planned = states.iter().fold(
            Count {
                name: "planned".into(),
                ..Count::default()
            },
            |mut sum, count| {
                sum.items += count.items;
                sum.bytes += count.bytes;
                sum
            },
        );
        let deviations = DEVIATIONS.iter();
        let deviations: Vec<Deviation> = deviations
            .filter_map(|(event, _)| self.deviations.get(event).cloned())
            .collect();
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.items));
        let mut report = Report {
            run: run.id.0,
            command: run.command.clone(),
            told: scrubbed(serde_json::from_str(&run.arguments).unwrap_or_default()),
            started: run.started,
            ended: run.ended,
            outcome: run.outcome.clone(),
            scan_done: run.scan_done,
            made: self.made.as_millisecond(),
            longhaul: env!("CARGO_PKG_VERSION"),
            standing: Standing::Good,
            verdict: String::new(),
            planned,
            states,
            proofs,
            records,
            already_done: run.already_done,
            left_out: run.left_out,
            left_out_why: self.left_out_why.into_iter().collect(),
            groups,
            open: self.open,
            open_items: self.open_items,
            papers_missing: self.papers_missing,
            retention_items: self.dues.items,
            retention: self.dues.listed(),
            bytes_sent: self.sent,
            bytes_again: self.again,
            restarts: self.restarts,
            verified: self.verified,
            verified_between: self.verified_between,
            repeated: Repeated::default(),
            migration: None,
            deviations,
            speed: self.speed,
            marks: self.marks,
            marks_all: self.marks_all,
            chain,
            settings,
        };
        (report.standing, report.verdict) = verdict(&report);
        report
    }
}

fn add(counts: &mut BTreeMap<String, Count>, name: &str, bytes: u64) {
    let count = counts.entry(name.to_owned()).or_insert_with(|| Count {
        name: name.to_owned(),
        ..Count::default()
    });
    count.items += 1;
    count.bytes += bytes;
}

/// In that order; what it does not name comes last, and is not lost.
fn ordered(mut counts: BTreeMap<String, Count>, order: &[&str]) -> Vec<Count> {
    let mut known: Vec<Count> = order
        .iter()
        .filter_map(|name| counts.remove(*name))
        .collect();
    known.extend(counts.into_values());
    known
}

/// The verdict in a sentence, and how the run stands.
fn verdict(report: &Report) -> (Standing, String) {
    let all = report.planned.items;
    let done = report.items(&["done"]);
    let read_back = report.proofs.iter().find(|count| count.name == "read-back");
    let read_back = read_back.map_or(0, |count| count.items);
    let (failed, declined) = (report.items(&["failed"]), report.items(&["declined"]));
    let decide = report.items(&DECIDE);
    let unfinished = all - done - failed - declined - decide;
    let are = |n: u64| if n == 1 { "is" } else { "are" };
    let proof = if done == 0 || read_back == done {
        " and read back".to_owned()
    } else {
        format!(" ({read_back} of them read back)")
    };
    let mut text = match (all, done) {
        (0, _) => "This run had nothing to file".to_owned(),
        (1, 1) => format!("The only item is filed{proof}"),
        (all, done) if all == done => format!("All {all} items are filed{proof}"),
        (all, 0) => format!("None of {all} items is filed"),
        (all, done) => format!("{done} of {all} items {} filed{proof}", are(done)),
    };
    for (count, what) in [
        (
            decide,
            format!("{} a decision", if decide == 1 { "needs" } else { "need" }),
        ),
        (failed, "failed".to_owned()),
        (
            declined,
            format!(
                "{} declined by a person",
                if declined == 1 { "was" } else { "were" }
            ),
        ),
        (unfinished, format!("{} not finished", are(unfinished))),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    if report.already_done > 0 {
        text.push_str(&format!("; {} more were filed before", report.already_done));
    }
    text.push('.');
    if !report.scan_done {
        text.push_str(" The enumeration has not reached its end: there may be more.");
    }
    let differ = report
        .deviations
        .iter()
        .find(|found| found.event == "differs");
    if let Some(differ) = differ {
        text.push_str(&format!(
            " {} found something that is not as recorded.",
            if differ.times == 1 {
                "A check".to_owned()
            } else {
                format!("{} checks", differ.times)
            }
        ));
    }
    if !report.chain.intact {
        text.push_str(&format!(
            " The journal was changed at line {}: this report cannot be relied on.",
            report.chain.line
        ));
    }
    let standing = if !report.chain.intact || differ.is_some() || report.items(&["quarantined"]) > 0
    {
        Standing::Bad
    } else if decide + failed + unfinished > 0 || !report.scan_done {
        Standing::Open
    } else {
        Standing::Good
    };
    (standing, text)
}

fn row(item: &Item, totals: Option<FileTotals>) -> Row {
    let source: Value = serde_json::from_str(&item.source).unwrap_or_default();
    let asset = source["asset"].as_str().map(str::to_owned);
    let asset = asset.unwrap_or_else(|| {
        let asset = item.key.split_once('/').map(|(asset, _)| asset);
        asset.unwrap_or_default().to_owned()
    });
    let totals = totals.as_ref();
    Row {
        run: item.run.0,
        item: item.id.0,
        key: item.key.clone(),
        asset,
        title: shown(&item.title),
        kind: item.kind.clone(),
        state: item.state.clone(),
        bytes: item.bytes,
        files: item.files,
        proof: item.proof.clone(),
        sha256: totals.and_then(|totals| totals.sha256.as_ref().map(hex::encode)),
        parent: item.parent.0,
        node: item.node.map(|node| node.0),
        version: item.version.map(|version| version.0),
        name: shown(&item.name),
        attempts: item.attempts,
        bytes_sent: totals.map_or(0, |totals| totals.bytes_sent),
        bytes_again: totals.map_or(0, |totals| totals.bytes_again),
        restarts: totals.map_or(0, |totals| totals.restarts),
        class: item.class.clone(),
        reason: item.reason.clone(),
        message: item.message.as_deref().map(shown),
        record: Record::default(),
    }
}

/// What a person can do about an item, as commands to copy.
fn commands(row: &Row) -> Vec<String> {
    // Keys are ids of iconik; one that a shell would read is quoted.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_/.".contains(c);
    let key = if row.key.chars().all(plain) {
        row.key.clone()
    } else {
        format!("'{}'", row.key.replace('\'', "'\\''"))
    };
    let decline = format!("longhaul decide {key} --decline --because TEXT");
    match row.state.as_str() {
        "failed" => vec![format!("longhaul retry {key}"), decline],
        "quarantined" => vec![
            format!("longhaul decide {key} --retry --because TEXT"),
            format!("longhaul decide {key} --afresh --because TEXT"),
            decline,
        ],
        _ if row.files == 0 => vec![format!("longhaul resume --retry {}", row.state), decline],
        _ => vec![
            format!("longhaul decide {key} --retry --because TEXT"),
            decline,
        ],
    }
}

/// A limit in words.
fn limit(data: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(rate) = data["bandwidth"].as_u64() {
        parts.push(match rate {
            0 => "no bandwidth limit".to_owned(),
            rate => format!("at most {}/s", display_bytes(rate)),
        });
    }
    for knob in ["calls", "uploads", "streams"] {
        if let Some(value) = data[knob].as_u64() {
            parts.push(format!("{value} {knob}"));
        }
    }
    if let Some(until) = data["until"].as_i64() {
        parts.push(format!("until {}", moment(until)));
    }
    parts.join(", ")
}

/// A journal line's facts in a line for people.
fn facts(line: &Line, data: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(item) = line.item {
        parts.push(format!("item {item}"));
    }
    for (key, value) in data.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        parts.push(format!("{key}: {value}"));
    }
    shown(&parts.join(", "))
}

fn scrubbed(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(shown(&text)),
        Value::Array(values) => values.into_iter().map(scrubbed).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, scrubbed(value)))
            .collect(),
        other => other,
    }
}
