//! Random histories against a model of a few maps, with stops and crashes in between.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
const STATES: [&str; 6] = ["planned", "waiting", "failed", "parked", "held", "done"];

#[derive(Clone, Debug)]
enum Step {
    Run,
    Add(Vec<(usize, u8)>),
    Take(i64, usize),
    Item(usize, usize, i64),
    File(usize, u64),
    Part(usize, u32, bool),
    ClearParts(usize),
    ReplaceFiles(usize, Vec<u64>),
    /// A change whose last operation fails.
    Bad(usize, usize),
    Journal(usize),
    Post(u8),
    PostDone(usize),
    PostLater(usize, i64),
    Requeue(usize),
    Stop,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS.len();
    let state = 0..STATES.len();
    let step = prop_oneof![
        1 => Just(Step::Run),
        4 => prop::collection::vec((key.clone(), 0u8..2), 1..4).prop_map(Step::Add),
        4 => (0i64..4, 1usize..4).prop_map(|(now, limit)| Step::Take(now, limit)),
        6 => (key.clone(), state.clone(), 0i64..4).prop_map(|(k, s, t)| Step::Item(k, s, t)),
        4 => (key.clone(), 0u64..1000).prop_map(|(k, n)| Step::File(k, n)),
        6 => (key.clone(), 1u32..5, any::<bool>()).prop_map(|(k, n, a)| Step::Part(k, n, a)),
        1 => key.clone().prop_map(Step::ClearParts),
        1 => (key.clone(), prop::collection::vec(0u64..100, 0..4))
            .prop_map(|(k, sizes)| Step::ReplaceFiles(k, sizes)),
        2 => (key.clone(), state.clone()).prop_map(|(k, s)| Step::Bad(k, s)),
        2 => key.prop_map(Step::Journal),
        2 => any::<u8>().prop_map(Step::Post),
        2 => (0usize..4).prop_map(Step::PostDone),
        2 => (0usize..4, 0i64..4).prop_map(|(n, t)| Step::PostLater(n, t)),
        1 => state.prop_map(Step::Requeue),
        1 => Just(Step::Stop),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Clone, Debug, PartialEq)]
struct ModelItem {
    run: i64,
    fingerprint: u8,
    state: String,
    next_at: i64,
    files: Vec<(u64, BTreeMap<u32, bool>)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    runs: i64,
    /// In the order they were added: their ids count from 1.
    items: Vec<(usize, ModelItem)>,
    events: Vec<String>,
    /// Number and, until it is delivered, when it is due.
    posts: Vec<(u8, Option<i64>)>,
}

impl Model {
    fn find(&mut self, key: usize) -> Option<(ItemId, &mut ModelItem)> {
        let at = self.items.iter().position(|(k, _)| *k == key)?;
        Some((id(at), &mut self.items[at].1))
    }

    fn add(&mut self, key: usize, fingerprint: u8) {
        let run = self.runs;
        let new = ModelItem {
            run,
            fingerprint,
            state: "planned".into(),
            next_at: 0,
            files: vec![(u64::from(fingerprint) + 10, BTreeMap::new())],
        };
        let event = match self.find(key) {
            None => {
                self.items.push((key, new));
                Some("planned")
            }
            Some((_, item)) if item.state == "done" && item.fingerprint == fingerprint => None,
            Some((_, item)) if item.state == "done" => {
                *item = new;
                Some("reopened")
            }
            Some((_, item)) if item.state == "active" => {
                item.run = run;
                (item.fingerprint != fingerprint).then_some("change-deferred")
            }
            Some((_, item)) if item.fingerprint != fingerprint => {
                *item = new;
                Some("replanned")
            }
            Some((_, item)) => {
                if item.run != run && ["failed", "parked"].contains(&item.state.as_str()) {
                    item.state = "planned".into();
                    item.next_at = 0;
                }
                item.run = run;
                None
            }
        };
        self.events.extend(event.map(str::to_owned));
    }

    fn take(&mut self, now: i64, limit: usize) -> Vec<ItemId> {
        let run = self.runs;
        let mut due: Vec<(i64, usize)> = Vec::new();
        for state in ["planned", "waiting"] {
            let mut of_state: Vec<(i64, usize)> = (0..)
                .zip(&self.items)
                .filter(|(_, (_, item))| {
                    item.run == run && item.state == state && item.next_at <= now
                })
                .map(|(at, (_, item))| (item.next_at, at))
                .collect();
            of_state.sort_unstable();
            of_state.truncate(limit);
            due.extend(of_state);
        }
        let mut due: Vec<usize> = due.into_iter().map(|(_, at)| at).collect();
        due.sort_unstable();
        due.truncate(limit);
        for &at in &due {
            self.items[at].1.state = "active".into();
        }
        due.into_iter().map(id).collect()
    }

    fn restart(&mut self) {
        for (_, item) in &mut self.items {
            if item.state == "active" {
                item.state = "planned".into();
                item.next_at = 0;
            }
        }
    }
}

fn id(at: usize) -> ItemId {
    ItemId(i64::try_from(at).unwrap() + 1)
}

/// Everything the ledger holds, as the model would have it.
async fn contents(ledger: &Ledger) -> Model {
    let mut model = Model {
        runs: ledger.run(None).await.unwrap().map_or(0, |run| run.id.0),
        ..Model::default()
    };
    for at in 0.. {
        let Some(item) = ledger.item(id(at)).await.unwrap() else {
            break;
        };
        let mut files = Vec::new();
        for file in ledger.files(item.id, 0, 100).await.unwrap() {
            let parts = ledger.parts(file.id).await.unwrap();
            let parts = parts.iter().map(|part| (part.number, part.acked));
            files.push((file.size, parts.collect()));
        }
        assert_eq!(item.files, files.len() as u64);
        assert_eq!(item.bytes, files.iter().map(|file| file.0).sum::<u64>());
        let key = KEYS.iter().position(|key| *key == item.key).unwrap();
        let item = ModelItem {
            run: item.run.0,
            fingerprint: item.fingerprint.parse().unwrap(),
            state: item.state,
            next_at: item.next_at,
            files,
        };
        model.items.push((key, item));
    }
    let lines = ledger.journal(None, None, 0, 10_000).await.unwrap();
    model.events = lines.into_iter().map(|line| line.event).collect();
    model.posts = ledger
        .read(|reader| {
            let mut statement = reader
                .conn
                .prepare("SELECT payload, next_at, delivered FROM outbox ORDER BY id")?;
            let rows = statement.query_map([], |row| {
                let payload: String = row.get(0)?;
                let delivered: Option<i64> = row.get(2)?;
                let due: i64 = row.get(1)?;
                Ok((payload.parse().unwrap(), delivered.is_none().then_some(due)))
            })?;
            Ok(rows.map(Result::unwrap).collect())
        })
        .await
        .unwrap();
    match ledger.verify_chain().await.unwrap() {
        Chain::Whole { lines, .. } => {
            assert_eq!(lines, i64::try_from(model.events.len()).unwrap());
        }
        broken @ Chain::Broken { .. } => panic!("{broken:?}"),
    }
    model
}

async fn first_file(ledger: &Ledger, item: ItemId) -> Option<TransferId> {
    let files = ledger.files(item, 0, 1).await.unwrap();
    files.first().map(|file| file.id)
}

/// Does the step on both. Steps that need an item which is not there yet do nothing.
async fn step(ledger: &Ledger, model: &mut Model, step: Step) {
    let apply = async |change| ledger.apply(change).await.unwrap();
    let run = RunId(model.runs);
    match step {
        Step::Run => {
            self::run(ledger).await;
            model.runs += 1;
        }
        Step::Add(items) if model.runs > 0 => {
            let new = |(key, fingerprint): &(usize, u8)| NewItem {
                fingerprint: fingerprint.to_string(),
                files: vec![new_file(u64::from(*fingerprint) + 10)],
                ..new_item(KEYS[*key])
            };
            let list = items.iter().map(new).collect();
            let added = ledger.add_items(run, list).await.unwrap();
            let all = added.new + added.already_done + added.reopened + added.taken_over;
            assert_eq!(all, items.len() as u64);
            for (key, fingerprint) in items {
                model.add(key, fingerprint);
            }
        }
        Step::Take(now, limit) => {
            let items = ledger.take_items(run, now, limit).await.unwrap();
            let ids: Vec<ItemId> = items.iter().map(|item| item.id).collect();
            assert_eq!(ids, model.take(now, limit));
        }
        Step::Item(key, to, next_at) => {
            if let Some((id, item)) = model.find(key) {
                let patch = ItemPatch {
                    next_at: Some(next_at),
                    proof: Some(if to % 2 == 0 { "none" } else { "sent" }.into()),
                    ..state(STATES[to])
                };
                apply(Change::new().item(id, patch)).await;
                item.state = STATES[to].into();
                item.next_at = next_at;
            }
        }
        Step::File(key, size) => {
            if let Some((id, item)) = model.find(key)
                && let Some(file) = first_file(ledger, id).await
            {
                let patch = FilePatch {
                    size: Some(size),
                    version: Some((size % 2 == 1).then_some(VersionNumber(1))),
                    ..FilePatch::default()
                };
                apply(Change::new().file(file, patch)).await;
                item.files[0].0 = size;
            }
        }
        Step::Part(key, number, acked) => {
            if let Some((id, item)) = model.find(key)
                && let Some(file) = first_file(ledger, id).await
            {
                let part = Part {
                    number,
                    digest: Vec::new(),
                    state: Vec::new(),
                    acked: false,
                };
                let mut change = Change::new().part(file, part);
                if acked {
                    change = change.ack(file, number);
                }
                apply(change).await;
                item.files[0].1.insert(number, acked);
            }
        }
        Step::ClearParts(key) => {
            if let Some((id, item)) = model.find(key)
                && let Some(file) = first_file(ledger, id).await
            {
                apply(Change::new().clear_parts(file)).await;
                item.files[0].1.clear();
            }
        }
        Step::ReplaceFiles(key, sizes) => {
            if let Some((id, item)) = model.find(key) {
                let files = sizes.iter().copied().map(new_file).collect();
                apply(Change::new().replace_files(id, files)).await;
                item.files = sizes
                    .into_iter()
                    .map(|size| (size, BTreeMap::new()))
                    .collect();
            }
        }
        Step::Bad(key, to) => {
            if let Some((id, _)) = model.find(key) {
                let change = Change::new()
                    .item(id, state(STATES[to]))
                    .journal(event(id, "bad"))
                    .replace_files(id, vec![new_file(99)])
                    .ack(TransferId(i64::MAX), 1);
                ledger.apply(change).await.unwrap_err();
            }
        }
        Step::Journal(key) => {
            if let Some((id, _)) = model.find(key) {
                apply(Change::new().journal(event(id, "said"))).await;
                model.events.push("said".into());
            }
        }
        Step::Post(payload) => {
            let post = NewPost {
                item: None,
                kind: "status".into(),
                payload: payload.to_string(),
            };
            apply(Change::new().post(post)).await;
            model.posts.push((payload, Some(0)));
        }
        Step::PostDone(at) => {
            if let Some(post) = model.posts.get_mut(at) {
                ledger.post_done(id(at).0).await.unwrap();
                post.1 = None;
            }
        }
        Step::PostLater(at, next_at) => {
            if let Some(post) = model.posts.get_mut(at)
                && post.1.is_some()
            {
                ledger.post_later(id(at).0, next_at, "").await.unwrap();
                post.1 = Some(next_at);
            }
        }
        Step::Requeue(from)
            if ["failed", "parked", "held"].contains(&STATES[from]) && model.runs > 0 =>
        {
            let count = ledger.requeue(run, &[STATES[from]], None).await.unwrap();
            let mut expected = 0;
            for (_, item) in &mut model.items {
                if item.run == run.0 && item.state == STATES[from] {
                    item.state = "planned".into();
                    item.next_at = 0;
                    expected += 1;
                }
            }
            assert_eq!(count, expected);
            if count > 0 {
                model.events.push("requeued".into());
            }
        }
        _ => {}
    }
}

/// What is kept by state and proof is what a count finds.
fn tallies_agree(conn: &rusqlite::Connection) {
    let read = |sql: &str| -> Vec<(i64, String, String, i64, i64, i64)> {
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        });
        rows.unwrap().map(Result::unwrap).collect()
    };
    let counted = read(
        "SELECT run, state, proof, count(*), sum(bytes), sum((SELECT coalesce(sum(size), 0)
             FROM file WHERE file.item = item.id AND file.version IS NOT NULL))
         FROM item GROUP BY run, state, proof ORDER BY 1, 2, 3",
    );
    let kept = read(
        "SELECT run, state, proof, items, bytes, committed FROM tally
         WHERE items <> 0 OR bytes <> 0 OR committed <> 0 ORDER BY 1, 2, 3",
    );
    assert_eq!(kept, counted);
}

#[tokio::test]
async fn a_ledger_from_before_the_tally_is_counted_once() {
    let place = Place::new();
    let ledger = place.open();
    let run = run(&ledger).await;
    let items = (0..5).map(|n| new_item(&format!("item-{n}"))).collect();
    ledger.add_items(run, items).await.unwrap();
    let patch = FilePatch {
        version: Some(Some(VersionNumber(1))),
        ..FilePatch::default()
    };
    let change = Change::new()
        .file(TransferId(2), patch)
        .item(ItemId(3), state("done"));
    ledger.apply(change).await.unwrap();
    drop(ledger);
    let conn = place.sqlite();
    conn.execute_batch(
        "DROP TRIGGER item_tallied; DROP TRIGGER item_retallied; DROP TRIGGER file_committed;
         DROP TRIGGER file_forgotten; DROP TABLE tally;
         DROP INDEX file_md5; DROP INDEX file_sha256; ALTER TABLE item DROP COLUMN committed;
         PRAGMA user_version = 4;",
    )
    .unwrap();
    drop(conn);
    drop(place.open());
    tallies_agree(&place.sqlite());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_reads_as_the_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut place = Place::new();
            let mut ledger = place.open();
            let mut model = Model::default();
            for next in steps {
                match next {
                    Step::Stop => {
                        drop(ledger);
                        ledger = place.open();
                        model.restart();
                    }
                    Step::Crash => {
                        place = place.crash();
                        ledger = place.open();
                        model.restart();
                        assert!(!ledger.started_after_unclean_boot());
                    }
                    other => step(&ledger, &mut model, other).await,
                }
            }
            assert_eq!(contents(&ledger).await, model);
            drop(ledger);
            model.restart();
            assert_eq!(contents(&place.open()).await, model);
            tallies_agree(&place.sqlite());
        });
    }
}
