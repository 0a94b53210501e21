//! What a run or a plan is about: collections, a library or a saved plan, and filters.
//!
//! One description serves `archive`, `migrate`, their plans and `resume`: it is recorded with a run
//! and in a plan, and read again from there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::connect::Connected;
use super::exit::Ended;
use super::record;
use crate::flows::filter::Filter;
use crate::flows::intake::{Duplicates, Intake, Remembered};
use crate::flows::migrate::Library;
use crate::flows::plan::saved::{Header, Saved};
use crate::flows::{self, Enumerate, Systems, Wanted};
use crate::iconik::Found;
use crate::ledger::Run;
use crate::settings::{Resolved, Versions};
use crate::sidecar::rights::terms::Facet;
use crate::types::{ByteCount, CollectionId, parse_size};

/// Flags that filter a selection.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters (all that are given must let an asset through)")]
pub(crate) struct Filters {
    /// Only titles that fit, such as 'promo*' (`*` any characters, `?` one; repeat for several)
    #[arg(long, value_name = "PATTERN")]
    name: Vec<String>,
    /// No titles that fit
    #[arg(long, value_name = "PATTERN")]
    not_name: Vec<String>,
    /// Only newest masters of at least this size, such as `1 GiB`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    min_size: Option<ByteCount>,
    /// Only newest masters of at most this size
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<ByteCount>,
    /// Only assets made on or after this date (2026-01-31, at 00:00 UTC, or a full timestamp)
    #[arg(long, value_name = "DATE", value_parser = date)]
    created_after: Option<Timestamp>,
    /// Only assets made before this date
    #[arg(long, value_name = "DATE", value_parser = date)]
    created_before: Option<Timestamp>,
    /// Only assets changed on or after this date
    #[arg(long, value_name = "DATE", value_parser = date)]
    modified_after: Option<Timestamp>,
    /// Only assets changed before this date
    #[arg(long, value_name = "DATE", value_parser = date)]
    modified_before: Option<Timestamp>,
    /// Only assets with this metadata value; the value may be a pattern
    #[arg(long = "where", value_name = "FIELD=VALUE", value_parser = field)]
    values: Vec<(String, String)>,
    /// Only masters of this kind: an extension (mxf) or media type ('video/*')
    #[arg(long, value_name = "FORMAT")]
    format: Vec<String>,
    /// Only masters read from this storage, by id or name
    #[arg(long, value_name = "STORAGE")]
    storage: Vec<String>,
    /// Only assets directly in this collection
    #[arg(long = "in-collection", value_name = "ID")]
    collection: Vec<String>,
    /// Only assets whose id is in this file, one on each line
    #[arg(long, value_name = "FILE")]
    only_ids: Option<PathBuf>,
}

/// A library, or a saved plan, as a command line names it. The command groups these flags with its
/// own: one of them must be given.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Named {
    /// Id of a saved search
    #[arg(long, value_name = "ID")]
    search: Option<String>,
    /// Query in iconik's search syntax
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// File with an asset id on each line
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// CSV file with a header line
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Do exactly what this saved plan says, and say what has changed since
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Column of the CSV that holds asset ids
    #[arg(long, value_name = "NAME", default_value = "id", requires = "csv")]
    id_column: String,
}

impl Named {
    /// What is named; nothing when none of these flags is given.
    pub(crate) fn from(self, command: &str) -> anyhow::Result<Option<From>> {
        let library = match (self.search, self.query, self.ids, self.csv, self.plan) {
            (.., Some(path)) => return Selection::plan(command, path).map(Some),
            (Some(id), ..) => Library::SavedSearch(id),
            (_, Some(query), ..) => Library::Query(query),
            (_, _, Some(path), ..) => Library::Ids(absolute(path)),
            (_, _, _, Some(path), _) => Library::Csv(absolute(path), self.id_column),
            _ => return Ok(None),
        };
        // Before anybody is asked: what is wrong here needs no network to be found.
        flows::migrate::check_list(&library)?;
        Ok(Some(From::Library(library)))
    }
}

fn size(text: &str) -> Result<ByteCount, String> {
    parse_size(text).map_err(|error| error.to_string())
}

fn date(text: &str) -> Result<Timestamp, String> {
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && !text.contains(['T', ' '])
    {
        return day
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map(|at| at.timestamp())
            .map_err(|error| error.to_string());
    }
    text.parse::<Timestamp>()
        .map_err(|_| "expected a date such as 2026-01-31 or 2026-01-31T18:00:00Z".to_owned())
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.trim().is_empty() => {
            Ok((field.trim().to_owned(), value.to_owned()))
        }
        _ => Err("expected FIELD=VALUE, such as region=AT".to_owned()),
    }
}

impl Filters {
    fn read(self) -> anyhow::Result<Filter> {
        let mut filter = Filter {
            name: self.name,
            not_name: self.not_name,
            created_after: self.created_after,
            created_before: self.created_before,
            modified_after: self.modified_after,
            modified_before: self.modified_before,
            collection: self.collection,
            values: self.values,
            min_size: self.min_size,
            max_size: self.max_size,
            format: self.format,
            storage: self.storage,
            only_ids: self.only_ids.map(absolute),
            ids: None,
        };
        filter.read_ids()?;
        Ok(filter)
    }
}

/// A resume may be started in another folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Where assets come from.
#[derive(Clone, Debug)]
pub(crate) enum From {
    /// Collections and everything below them.
    Collections(Vec<CollectionId>),
    /// A search or a list.
    Library(Library),
    /// A saved plan.
    Plan(Box<Saved>),
}

/// What a run or a plan is about.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// `archive`, `publish` or `migrate`.
    pub(crate) command: &'static str,
    pub(crate) from: From,
    pub(crate) filter: Filter,
    /// Whether records that are as planned are looked at again, and mended.
    pub(crate) again: bool,
}

impl Selection {
    /// As the command line says it.
    pub(crate) fn new(command: &'static str, from: From, filters: Filters) -> anyhow::Result<Self> {
        let mut filter = filters.read()?;
        let from = match from {
            From::Library(Library::Ids(path)) => From::Library(Library::Ids(absolute(path))),
            From::Library(Library::Csv(path, column)) => {
                From::Library(Library::Csv(absolute(path), column))
            }
            From::Plan(saved) => {
                if !filter.is_empty() {
                    return Err(Ended::usage(
                        "a saved plan is followed as it is: filter when it is made, or leave the filters out",
                    ));
                }
                filter = saved.header.filter.clone();
                // The plan holds what was left of that list.
                filter.only_ids = None;
                From::Plan(saved)
            }
            from => from,
        };
        Ok(Self {
            command,
            from,
            filter,
            again: false,
        })
    }

    /// A saved plan as what a command is about.
    pub(crate) fn plan(command: &str, path: PathBuf) -> anyhow::Result<From> {
        let saved = Saved::open(&absolute(path))?;
        if saved.header.command != command {
            return Err(Ended::usage(format!(
                "{} is a plan of `{other}`; follow it with `longhaul {other} --plan`",
                saved.path.display(),
                other = saved.header.command
            )));
        }
        Ok(From::Plan(Box::new(saved)))
    }

    /// As a run was told.
    pub(crate) fn of_run(run: &Run) -> anyhow::Result<Self> {
        let command = match run.command.as_str() {
            "archive" => "archive",
            "publish" => "publish",
            _ => "migrate",
        };
        let told: Value = serde_json::from_str(&run.arguments).unwrap_or_default();
        let unknown = || {
            Ended::usage(format!(
                "run {} was recorded without saying what it enumerates; start it anew, nothing is filed twice",
                run.id
            ))
        };
        let mut filter: Filter = match told.get("filter") {
            Some(filter) => serde_json::from_value(filter.clone()).map_err(|_| unknown())?,
            None => Filter::default(),
        };
        let from = match told["plan"].as_str() {
            Some(path) => {
                let from = Self::plan(command, PathBuf::from(path))?;
                if let From::Plan(saved) = &from
                    && told["plan_sha256"].as_str() != Some(saved.end.sha256.as_str())
                {
                    return Err(Ended::usage(format!(
                        "{path} is not the plan that run {} began with; put that back, or start a new run",
                        run.id
                    )));
                }
                from
            }
            None if command == "archive" || told.get("collections").is_some() => {
                From::Collections(collections(&told))
            }
            None => From::Library(library(&told).ok_or_else(unknown)?),
        };
        filter.read_ids()?;
        Ok(Self {
            command,
            from,
            filter,
            again: told["again"].as_bool() == Some(true),
        })
    }

    /// What a run records, for a resume to enumerate again.
    pub(crate) fn told(&self) -> Value {
        let mut told = match &self.from {
            From::Plan(saved) => json!({"plan": saved.path, "plan_sha256": saved.end.sha256}),
            _ => self.source(),
        };
        if self.again {
            told["again"] = true.into();
        }
        if !self.filter.is_empty()
            && let (Value::Object(told), Ok(filter)) =
                (&mut told, serde_json::to_value(&self.filter))
        {
            told.insert("filter".to_owned(), filter);
        }
        told
    }

    /// The source alone, as a plan's header says it.
    pub(crate) fn source(&self) -> Value {
        match &self.from {
            From::Collections(ids) => json!({"collections": ids}),
            From::Library(Library::SavedSearch(id)) => json!({"search": id}),
            From::Library(Library::Query(query)) => json!({"query": query}),
            From::Library(Library::Ids(path)) => json!({"ids": path}),
            From::Library(Library::Csv(path, column)) => {
                json!({"csv": path, "id_column": column})
            }
            From::Plan(saved) => saved.header.selection.clone(),
        }
    }

    /// The collections it is about, if it is about any.
    pub(crate) fn collections(&self) -> Vec<CollectionId> {
        collections(&self.source())
    }

    /// How masters become items.
    ///
    /// # Errors
    ///
    /// Settings of `publish` that do not fit what the server defines.
    pub(crate) async fn intake(
        &self,
        settings: &Resolved,
        connected: &Connected,
    ) -> anyhow::Result<Intake> {
        let publish = match self.command {
            "publish" => Some(record::policy(settings, connected, self.again).await?),
            _ => None,
        };
        let all = settings
            .iconik()
            .is_ok_and(|iconik| iconik.versions == Versions::All);
        Ok(Intake {
            all_versions: match &self.from {
                From::Plan(saved) => saved.header.all_versions,
                // What is final is the version that people see now.
                _ => all && publish.is_none(),
            },
            sidecar: settings.transfer.sidecar,
            filter: self.filter.clone(),
            in_collections: matches!(self.from, From::Collections(_))
                || matches!(&self.from, From::Plan(saved) if saved.header.selection.get("collections").is_some()),
            written_back: settings
                .publish
                .write_back
                .iter()
                .flat_map(|told| told.fields.iter())
                .chain(settings.approval.tell.iter().flat_map(|(_, fields)| fields))
                .map(|(_, field)| field.clone())
                .collect(),
            shared: shared(settings),
            remembered: match settings.transfer.sidecar {
                true => Some(Remembered::in_ledger(&settings.ledger.path, &settings.map)?.into()),
                false => None,
            },
            publish,
            duplicates: match settings.migrate.duplicates {
                crate::settings::Duplicates::Hold if self.command == "migrate" => Duplicates::Hold,
                _ => Duplicates::File,
            },
            rights: record::licensing(settings),
        })
    }

    /// Looks whether it can be enumerated, so that a slip shows before anything is begun.
    pub(crate) async fn check(&self, systems: &Systems) -> anyhow::Result<()> {
        match &self.from {
            From::Collections(ids) => flows::archive::check(systems, ids).await?,
            From::Library(library) => drop(flows::migrate::assets(systems, library)?),
            From::Plan(saved) => fits(&saved.path, &saved.header, systems)?,
        }
        Ok(())
    }

    /// The enumeration of its assets.
    pub(crate) fn enumerate(&self, systems: &Systems) -> Enumerate {
        let (systems, from) = (systems.clone(), self.from.clone());
        Box::new(move || {
            let ids = match &from {
                From::Collections(ids) => flows::archive::assets(&systems, ids),
                From::Library(library) => flows::migrate::assets(&systems, library)?,
                From::Plan(saved) => return flows::follow(saved),
            };
            Ok(Box::pin(ids.map_ok(Wanted::from)))
        })
    }

    /// Whether it may name an asset twice.
    pub(crate) fn may_repeat(&self) -> bool {
        match &self.from {
            From::Collections(ids) => ids.len() > 1,
            From::Library(library) => matches!(library, Library::Ids(_) | Library::Csv(..)),
            From::Plan(_) => false,
        }
    }

    /// Its assets as the search index knows them.
    pub(crate) fn found(
        &self,
        systems: &Systems,
    ) -> Result<BoxStream<'static, Result<Found, flows::Error>>, flows::Error> {
        match &self.from {
            From::Collections(ids) => Ok(flows::archive::found(systems, ids)),
            From::Library(library) => flows::migrate::found(systems, library),
            From::Plan(saved) => {
                let ids = flows::follow(saved)?.map_ok(|wanted| wanted.asset);
                Ok(flows::migrate::found_of_ids(systems, Box::pin(ids)))
            }
        }
    }
}

/// Refuses a plan that was made for other systems.
/// iconik's field for each shared one of the sidecar: as it is mapped, else as rights are read.
fn shared(settings: &Resolved) -> BTreeMap<String, String> {
    let rights = [
        ("rights_status", Facet::Status),
        ("owner", Facet::Owner),
        ("region", Facet::Regions),
        ("expiry_date", Facet::Ends),
    ];
    let rights = rights.into_iter().filter_map(|(name, facet)| {
        let field = settings.rights.fields.fields.get(&facet)?;
        Some((name.to_owned(), field.clone()))
    });
    let mapped = settings.map.iter();
    rights
        .chain(mapped.map(|field| (field.name.clone(), field.source.clone())))
        .collect()
}

fn fits(path: &Path, header: &Header, systems: &Systems) -> anyhow::Result<()> {
    let target = systems.target.0.to_string();
    let planned = header.target.to_string();
    for (what, planned, here) in [
        ("iconik domain", &header.domain, &systems.domain),
        ("Content Server", &header.instance, &systems.instance),
        ("target folder", &planned, &target),
    ] {
        if planned != here {
            return Err(Ended::usage(format!(
                "{} was made for {what} {planned:?}, and this is {here:?}: plan again",
                path.display()
            )));
        }
    }
    Ok(())
}

fn collections(told: &Value) -> Vec<CollectionId> {
    let ids = told["collections"].as_array().into_iter().flatten();
    ids.filter_map(|id| id.as_str().map(CollectionId::from))
        .collect()
}

fn library(told: &Value) -> Option<Library> {
    let empty = Map::new();
    let told = told.as_object().unwrap_or(&empty);
    let text = |key: &str| told.get(key)?.as_str().map(str::to_owned);
    text("search")
        .map(Library::SavedSearch)
        .or_else(|| text("query").map(Library::Query))
        .or_else(|| text("ids").map(|path| Library::Ids(PathBuf::from(path))))
        .or_else(|| {
            Some(Library::Csv(
                PathBuf::from(text("csv")?),
                text("id_column")?,
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RunId;

    fn run(command: &str, told: &Value) -> Run {
        Run {
            id: RunId(1),
            command: command.into(),
            arguments: told.to_string(),
            started: 0,
            ended: None,
            scan_done: false,
            scan_cursor: None,
            already_done: 0,
            left_out: 0,
            outcome: "running".into(),
        }
    }

    #[test]
    fn what_a_run_was_told_is_what_a_resume_enumerates() {
        let filters = Filters {
            name: vec!["a*".into()],
            values: vec![field("region=AT").unwrap()],
            created_after: Some(date("2026-01-31").unwrap()),
            ..Filters::default()
        };
        for (command, from) in [
            ("archive", From::Collections(vec!["c1".into(), "c2".into()])),
            ("migrate", From::Library(Library::Query("title:x".into()))),
            ("migrate", From::Library(Library::Ids("/ids.txt".into()))),
            (
                "migrate",
                From::Library(Library::Csv("/l.csv".into(), "asset id".into())),
            ),
        ] {
            let selection = Selection::new(command, from, filters.clone()).unwrap();
            let told = selection.told();
            let again = Selection::of_run(&run(command, &told)).unwrap();
            assert_eq!(again.told(), told);
            assert_eq!(again.filter, selection.filter);
        }
        assert!(Selection::of_run(&run("migrate", &json!({}))).is_err());
        // A run of before there were filters.
        let old = Selection::of_run(&run("archive", &json!({"collections": ["c"]}))).unwrap();
        assert!(old.filter.is_empty());
        let odd = json!({"collections": ["c"], "filter": {"of a later version": 1}});
        assert!(
            Selection::of_run(&run("archive", &odd)).is_err(),
            "no filter is dropped"
        );
    }

    #[test]
    fn dates_are_days_in_utc_or_moments() {
        assert_eq!(
            date("2026-01-31").unwrap().to_string(),
            "2026-01-31T00:00:00Z"
        );
        assert_eq!(
            date("2026-01-31T18:00:00+02:00").unwrap().to_string(),
            "2026-01-31T16:00:00Z"
        );
        assert!(date("31.1.2026").is_err());
        assert!(date("2026-02-30").is_err());
        assert_eq!(field("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(field("region").is_err() && field("=x").is_err());
    }
}
