//! `/search/v1/search/…`: documents of the index, filtered, sorted and paged.
//!
//! Documents are asset rows with what the index adds, in the index's own style: dates without a
//! zone, metadata flat. Explicit rows are looked at one by one; a large library is only touched
//! where a page or a filter needs it.

use std::cmp::Ordering;

use http::Method;
use serde_json::{Value, json};

use super::assets::demand;
use super::call::{Answer, Call, Refusal, invalid, missing, refuse, to_usize};
use super::library::{Library, date};
use super::table::{Kind, Row, id, row, text};
use super::world::World;

/// Largest page of a search.
const MOST: u64 = 150;

/// `page` times `per_page` may not go beyond this; `search_after` may.
const DEEPEST: u64 = 10_000;

/// Fields in which the rows of a library differ from one another.
const VARYING: [&str; 9] = [
    "id",
    "title",
    "external_id",
    "date_created",
    "date_modified",
    "date_imported",
    "versions.id",
    "files.name",
    "files.original_name",
];

impl World {
    pub(super) fn search(&mut self, call: &Call<'_>, path: &[&str]) -> Answer {
        call.need("can_search")?;
        match (&call.method, path) {
            (&Method::POST, ["search"]) => {
                let criteria = match &call.body {
                    Value::Null => json!({}),
                    other => other.clone(),
                };
                self.find(call, &criteria)
            }
            (&Method::GET, ["search", "saved"]) => {
                let table = self.tables.get(&Kind::SavedSearch);
                let rows: Vec<Value> = table
                    .into_iter()
                    .flat_map(|t| t.iter())
                    .map(|r| {
                        // The list keeps the criteria as text.
                        let mut saved = Value::Object(r.clone());
                        saved["criteria"] = r["criteria"].to_string().into();
                        saved
                    })
                    .collect();
                call.page_list(500, &rows)
            }
            (&Method::POST, ["search", "saved"]) => {
                let body = call.object()?;
                demand(body, &["name", "criteria"])?;
                if !body["criteria"].is_object() {
                    return Err(invalid("criteria", "Not a valid mapping."));
                }
                let own = self.next_id(Kind::SavedSearch);
                let saved = row(json!({
                    "id": own, "name": body["name"], "criteria": body["criteria"],
                    "group_id": null, "permissions": ["read", "write", "delete"],
                    "date_created": self.clock.stamp(), "date_modified": self.clock.stamp(),
                }));
                self.table(Kind::SavedSearch).put(&own, saved.clone());
                Ok((201, saved.into()))
            }
            (method, ["search", "saved", saved]) => {
                let found = self
                    .row(Kind::SavedSearch, saved)
                    .ok_or_else(|| missing("Saved search"))?;
                match *method {
                    Method::GET => {
                        let mut reply = if call.flag("include_results", true)? {
                            self.find(call, &found["criteria"])?.1
                        } else {
                            json!({})
                        };
                        reply["id"] = found["id"].clone();
                        reply["name"] = found["name"].clone();
                        reply["search_criteria_document"] = found.into();
                        Ok((200, reply))
                    }
                    Method::PATCH | Method::PUT => {
                        let body = call.object()?.clone();
                        let changed = self.change(Kind::SavedSearch, saved, |row| {
                            row.extend(body.into_iter().filter(|(k, _)| k != "id"));
                        });
                        Ok((200, changed.map_or(Value::Null, Value::Object)))
                    }
                    Method::DELETE => {
                        self.table(Kind::SavedSearch).remove(saved);
                        Ok((204, Value::Null))
                    }
                    _ => Err(refuse(405, "Method not allowed")),
                }
            }
            _ => Err(refuse(404, "Not found")),
        }
    }

    /// The index's document of an asset or collection.
    pub(super) fn document(&self, kind: Kind, wanted: &str) -> Option<Value> {
        let mut document = self.indexed(kind, wanted)?;
        let object_type = if kind == Kind::Asset {
            "assets"
        } else {
            "collections"
        };
        document.insert("object_type".into(), object_type.into());
        document.insert("in_collections".into(), self.collections_of(wanted).into());
        document.insert("ancestor_collections".into(), self.ancestors(wanted).into());
        let mut metadata = Row::new();
        for view in self
            .tables
            .get(&Kind::View)
            .into_iter()
            .flat_map(|t| t.iter())
        {
            let view = text(view, "id").to_owned();
            let key = (
                object_type.to_owned(),
                wanted.to_owned(),
                String::new(),
                view,
            );
            let Some(values) = self.values.get(&key) else {
                continue;
            };
            for (field, value) in values["metadata_values"].as_object().into_iter().flatten() {
                let flat: Vec<Value> = value["field_values"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|v| v["value"].clone())
                    .collect();
                metadata.insert(field.clone(), flat.into());
            }
        }
        document.insert("metadata".into(), metadata.into());
        if kind == Kind::Asset {
            let mut files = Vec::new();
            for format in self.children(Kind::Format, wanted) {
                for set in self.children(Kind::FileSet, &format) {
                    // The index lists some files of a large set, not a hundred thousand.
                    for file in self.children(Kind::File, &set).iter().take(10) {
                        if let Some(file) = self.row(Kind::File, file) {
                            let path = format!(
                                "{}/{}",
                                text(&file, "directory_path"),
                                text(&file, "name")
                            );
                            files.push(json!({
                                "id": file["id"], "name": file["name"], "size": file["size"],
                                "original_name": file["original_name"], "status": file["status"],
                                "storage_id": file["storage_id"], "path": path,
                            }));
                        }
                    }
                }
            }
            let versions = document
                .get("versions")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            let comments = self
                .rows_of(Kind::Segment, wanted)
                .iter()
                .filter(|s| s["segment_type"] == "COMMENT")
                .count();
            document.insert("files".into(), files.into());
            document.insert("proxies".into(), json!([]));
            document.insert("keyframes".into(), json!([]));
            document.insert("relations".into(), json!([]));
            document.insert("media_type".into(), "video".into());
            document.insert("versions_number".into(), versions.into());
            document.insert("comments_count".into(), comments.into());
            document.insert("duration_milliseconds".into(), 60_000.into());
            let zoneless = self.zoneless_dates;
            for version in document
                .get_mut("versions")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                if zoneless {
                    strip_zone(version);
                }
            }
        }
        let mut document = Value::Object(document);
        if self.zoneless_dates {
            strip_zone(&mut document);
        }
        Some(document)
    }

    fn find(&self, call: &Call<'_>, criteria: &Value) -> Answer {
        let criteria = criteria
            .as_object()
            .ok_or_else(|| refuse(400, "Invalid input: a JSON object is expected"))?;
        for known in ["page", "per_page"] {
            if criteria.contains_key(known) {
                return Err(invalid(known, "Unknown field."));
            }
        }
        let test = Test::new(criteria)?;
        let order = Order::new(criteria)?;
        let after = criteria.get("search_after").and_then(Value::as_array);
        if after.is_some_and(|a| a.len() != order.0.len()) {
            return Err(invalid(
                "search_after",
                "Must have one value per sort field.",
            ));
        }
        let types = criteria.get("doc_types").and_then(Value::as_array);
        let wants = |kind: &str| types.is_none_or(|t| t.is_empty() || t.iter().any(|t| t == kind));
        let mut found: Vec<Value> = Vec::new();
        for (kind, object_type) in [(Kind::Asset, "assets"), (Kind::Collection, "collections")] {
            if wants(object_type) {
                let table = self.tables.get(&kind);
                let ids = table
                    .into_iter()
                    .flat_map(|t| t.iter())
                    .map(|r| text(r, "id"));
                found.extend(
                    ids.filter_map(|i| self.document(kind, i))
                        .filter(|d| test.holds(d)),
                );
            }
        }
        // Segments are found by those who ask for them.
        if types.is_some_and(|types| types.iter().any(|kind| kind == "segments")) {
            let rows = self.tables.get(&Kind::Segment);
            let rows = rows.into_iter().flat_map(|table| table.iter());
            let rows = rows.filter(|row| text(row, "status") != "DELETED").cloned();
            found.extend(rows.filter_map(|mut row| {
                row.insert("object_type".into(), "segments".into());
                let row = Value::Object(row);
                test.holds(&row).then_some(row)
            }));
        }
        order.sort(&mut found);
        let per_page = call.per_page(MOST)?;
        let page = call.number("page", 1)?;
        if after.is_none() && page.saturating_mul(per_page) > DEEPEST {
            return Err(invalid(
                "page",
                "Result window is too large; use search_after.",
            ));
        }
        let library = self.library.as_ref().filter(|_| wants("assets"));
        let matching = library.map_or(0, |l| self.count(l, &test));
        let total = found.len() as u64 + matching;
        let facets = facets(criteria, &found);
        let objects = |offset: u64, len: u64| -> Vec<Value> {
            let offset = if after.is_some() { 0 } else { offset };
            let wanted = to_usize(offset.saturating_add(len));
            let mut some: Vec<Value> = found
                .iter()
                .filter(|d| after.is_none_or(|a| order.against(d, a) == Ordering::Greater))
                .take(wanted)
                .cloned()
                .collect();
            if let Some(library) = library {
                some.extend(self.library_page(
                    library,
                    &test,
                    &order,
                    after.map(Vec::as_slice),
                    wanted,
                ));
                order.sort(&mut some);
            }
            some.into_iter()
                .skip(to_usize(offset))
                .take(to_usize(len))
                .map(|d| shown(d, &order, criteria))
                .collect()
        };
        let (status, mut reply) = if after.is_some() {
            // After a cursor there is always a page, if an empty one.
            let (status, mut reply) = Call {
                query: [("per_page".to_owned(), per_page.to_string())].into(),
                method: call.method.clone(),
                path: call.path,
                body: Value::Null,
                token: call.token.clone(),
            }
            .paged(MOST, total, objects)?;
            for link in ["next_url", "last_url", "first_url"] {
                reply[link] = "".into();
            }
            (status, reply)
        } else {
            call.paged(MOST, total, objects)?
        };
        reply["facets"] = facets;
        Ok((status, reply))
    }

    /// How many rows of the library match. Rows that were never changed are alike unless the
    /// filter looks at what varies.
    fn count(&self, library: &Library, test: &Test<'_>) -> u64 {
        let matches = |n: u32| {
            let document = self.document(Kind::Asset, &id(Kind::Asset, n, true));
            document.is_some_and(|d| test.holds(&d))
        };
        if let Some(ids) = test.ids() {
            let numbers = ids.iter().filter_map(|i| library.number(Kind::Asset, i));
            return numbers.filter(|&n| matches(n)).count() as u64;
        }
        if test.varies() {
            return (0..library.len()).filter(|&n| matches(n)).count() as u64;
        }
        let changed = library.changes().filter(|&n| n < library.len());
        let (changed, of_those) = changed.fold((0u64, 0u64), |(all, matching), n| {
            (all + 1, matching + u64::from(matches(n)))
        });
        let untouched = (0..library.len()).find(|&n| !library.changed(n));
        match untouched {
            Some(n) if matches(n) => u64::from(library.len()) - changed + of_those,
            _ => of_those,
        }
    }

    /// The first `wanted` matching rows of the library in this order, behind the cursor.
    fn library_page(
        &self,
        library: &Library,
        test: &Test<'_>,
        order: &Order,
        after: Option<&[Value]>,
        wanted: usize,
    ) -> Vec<Value> {
        let document = |n: u32| self.document(Kind::Asset, &id(Kind::Asset, n, true));
        if let Some(ids) = test.ids() {
            let numbers = ids.iter().filter_map(|i| library.number(Kind::Asset, i));
            let mut some: Vec<Value> = numbers
                .filter_map(document)
                .filter(|d| test.holds(d))
                .collect();
            order.sort(&mut some);
            some.retain(|d| after.is_none_or(|a| order.against(d, a) == Ordering::Greater));
            some.truncate(wanted);
            return some;
        }
        let behind = |d: &Value| after.is_none_or(|a| order.against(d, a) == Ordering::Greater);
        match order.runs_with_numbers() {
            Some(upwards) => {
                // Rows are in order by number, so the cursor's place is found by halving.
                let start = after.map_or(0, |after| {
                    let before = |n: u32| {
                        let sample = json!({
                            "id": id(Kind::Asset, n, true), "title": Library::title(n),
                            "date_created": zoneless(&date(n)),
                        });
                        order.against(&sample, after) != Ordering::Greater
                    };
                    let (mut low, mut high) = (0, library.len());
                    while low < high {
                        let middle = low + (high - low) / 2;
                        let n = if upwards {
                            middle
                        } else {
                            library.len() - 1 - middle
                        };
                        if before(n) {
                            low = middle + 1;
                        } else {
                            high = middle;
                        }
                    }
                    low
                });
                (start..library.len())
                    .map(|at| if upwards { at } else { library.len() - 1 - at })
                    .filter_map(document)
                    .filter(|d| test.holds(d) && behind(d))
                    .take(wanted)
                    .collect()
            }
            None => {
                let all = (0..library.len()).filter_map(document);
                let mut some: Vec<Value> = all.filter(|d| test.holds(d) && behind(d)).collect();
                order.sort(&mut some);
                some.truncate(wanted);
                some
            }
        }
    }
}

fn zoneless(date: &str) -> String {
    date.trim_end_matches("+00:00").to_owned()
}

fn strip_zone(document: &mut Value) {
    for (field, value) in document.as_object_mut().into_iter().flatten() {
        if field.starts_with("date_")
            && let Value::String(text) = value
        {
            *text = zoneless(text);
        }
    }
}

fn shown(mut document: Value, order: &Order, criteria: &Row) -> Value {
    let sort = order.key(&document);
    let names = |field: &str| -> Vec<String> {
        let list = criteria.get(field).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|n| Some(n.as_str()?.to_owned()))
            .collect()
    };
    if let Some(fields) = document.as_object_mut() {
        let (include, exclude) = (names("include_fields"), names("exclude_fields"));
        let top = |path: &String, field: &str| path.split('.').next() == Some(field);
        if !include.is_empty() {
            // What the schema requires stays.
            fields.retain(|f, _| {
                ["id", "object_type", "title"].contains(&f.as_str())
                    || include.iter().any(|i| top(i, f))
            });
        }
        fields.retain(|f, _| !exclude.contains(f));
        fields.insert("_sort".into(), sort.into());
    }
    document
}

fn facets(criteria: &Row, found: &[Value]) -> Value {
    let mut facets = Row::new();
    for name in criteria
        .get("facets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let Some(name) = name.as_str() else { continue };
        let mut counts: std::collections::BTreeMap<String, u64> = Default::default();
        for document in found {
            for value in values_at(document, name) {
                *counts.entry(as_text(value)).or_default() += 1;
            }
        }
        let buckets: Vec<Value> = counts
            .into_iter()
            .map(|(key, count)| json!({"key": key, "doc_count": count}))
            .collect();
        facets.insert(name.to_owned(), json!({"buckets": buckets}));
    }
    facets.into()
}

/// The values of a dotted field, lists laid open; nulls are no values.
fn values_at<'a>(document: &'a Value, name: &str) -> Vec<&'a Value> {
    let mut values = vec![document];
    for part in name.split('.') {
        values = values
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(list) => list.iter().collect(),
                other => vec![other],
            })
            .filter_map(|value| value.get(part))
            .collect();
    }
    values
        .into_iter()
        .flat_map(|value| match value {
            Value::Array(list) => list.iter().collect(),
            other => vec![other],
        })
        .filter(|value| !value.is_null())
        .collect()
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Dates compare as moments, numbers as numbers, other texts as they are.
fn compare(a: &str, b: &str) -> Ordering {
    let moment = |text: &str| -> Option<jiff::civil::DateTime> {
        let date = || Some(text.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0));
        if text.len() <= 10 {
            return date().filter(|_| text.len() == 10);
        }
        plain(text).parse().ok()
    };
    if let (Some(a), Some(b)) = (moment(a), moment(b)) {
        return a.cmp(&b);
    }
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        _ => a.cmp(b),
    }
}

/// A date without its zone, which is always UTC; other texts as they are.
fn plain(text: &str) -> &str {
    text.trim_end_matches("+00:00").trim_end_matches('Z')
}

/// What a document has to satisfy.
struct Test<'a> {
    filter: Option<&'a Value>,
    facets: Vec<&'a Value>,
    words: Vec<Word>,
}

/// One condition of the query text.
struct Word {
    field: Option<String>,
    text: String,
    negated: bool,
}

impl<'a> Test<'a> {
    fn new(criteria: &'a Row) -> Result<Self, Refusal> {
        let filter = criteria.get("filter").filter(|f| !f.is_null());
        if let Some(filter) = filter {
            check_filter(filter)?;
        }
        let query = criteria.get("query").and_then(Value::as_str).unwrap_or("");
        Ok(Self {
            filter,
            facets: criteria
                .get("facets_filters")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .collect(),
            words: words(query),
        })
    }

    fn holds(&self, document: &Value) -> bool {
        self.filter.is_none_or(|f| filter_holds(f, document))
            && self.facets.iter().all(|f| term_holds(f, document))
            && self.words.iter().all(|w| w.holds(document))
    }

    /// The ids asked for, when the filter is a conjunction with a term on `id`.
    fn ids(&self) -> Option<Vec<String>> {
        let filter = self.filter.filter(|f| f["operator"] == "AND")?;
        let term = filter["terms"]
            .as_array()?
            .iter()
            .find(|t| t["name"] == "id")?;
        let one = term["value"].as_str().map(|v| vec![v.to_owned()]);
        let many = || term["value_in"].as_array();
        one.or_else(|| Some(many()?.iter().map(as_text).collect()))
    }

    /// Whether library rows can differ in what is looked at.
    fn varies(&self) -> bool {
        fn names<'v>(filter: &'v Value, found: &mut Vec<&'v str>) {
            for term in filter["terms"].as_array().into_iter().flatten() {
                // Whether a row has an identifier differs only once it was changed.
                let presence = term["missing"] == true || term["exists"] == true;
                if let Some(name) = term["name"].as_str().filter(|_| !presence) {
                    found.push(name);
                }
            }
            for inner in filter["filters"].as_array().into_iter().flatten() {
                names(inner, found);
            }
        }
        let mut found = Vec::new();
        if let Some(filter) = self.filter {
            names(filter, &mut found);
        }
        let words = self.words.iter().any(|w| {
            w.field
                .as_deref()
                .is_none_or(|f| f == "*" || VARYING.contains(&f))
        });
        words || found.iter().any(|name| VARYING.contains(name))
    }
}

fn check_filter(filter: &Value) -> Result<(), Refusal> {
    let operator = filter["operator"].as_str().unwrap_or("");
    if !["AND", "OR", "NOT"].contains(&operator) {
        return Err(invalid(
            "filter",
            "operator: Missing data for required field.",
        ));
    }
    for term in filter["terms"].as_array().into_iter().flatten() {
        if !term["name"].is_string() {
            return Err(invalid(
                "filter",
                "terms: name: Missing data for required field.",
            ));
        }
        if let Some(range) = term.get("range") {
            for bound in ["min", "max"] {
                if range.get(bound).is_some_and(|b| !b.is_string()) {
                    return Err(invalid("filter", "terms: range: Not a valid string."));
                }
            }
        }
    }
    for inner in filter["filters"].as_array().into_iter().flatten() {
        check_filter(inner)?;
    }
    Ok(())
}

fn filter_holds(filter: &Value, document: &Value) -> bool {
    let mut parts = filter["terms"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|t| term_holds(t, document))
        .chain(
            filter["filters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|f| filter_holds(f, document)),
        )
        .peekable();
    match filter["operator"].as_str() {
        Some("OR") => parts.peek().is_none() || parts.any(|p| p),
        Some("NOT") => !parts.any(|p| p),
        _ => parts.all(|p| p),
    }
}

fn term_holds(term: &Value, document: &Value) -> bool {
    let values = values_at(document, term["name"].as_str().unwrap_or(""));
    let is = |wanted: &Value| {
        let wanted = as_text(wanted);
        values.iter().any(|v| plain(&as_text(v)) == plain(&wanted))
    };
    let mut holds = true;
    if let Some(value) = term.get("value").filter(|v| !v.is_null()) {
        holds &= is(value);
    }
    if let Some(list) = term.get("value_in").and_then(Value::as_array) {
        holds &= list.iter().any(is);
    }
    if term["missing"] == true {
        holds &= values.is_empty();
    }
    if term["exists"] == true {
        holds &= !values.is_empty();
    }
    if let Some(range) = term.get("range").filter(|r| r.is_object()) {
        holds &= values.iter().any(|v| {
            let text = as_text(v);
            let against = |name: &str| Some(compare(&text, range[name].as_str()?));
            against("min").is_none_or(|o| o.is_ge()) && against("max").is_none_or(|o| o.is_le())
        });
    }
    holds
}

/// The conditions of a query: words and `field:value`, joined by AND, negated by NOT.
fn words(query: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut negated = false;
    let mut rest = query.trim();
    while !rest.is_empty() {
        // A quoted value keeps its spaces.
        let mut quoted = false;
        let end = rest
            .find(|c: char| {
                quoted ^= c == '"';
                c.is_whitespace() && !quoted
            })
            .unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind.trim_start();
        match word {
            "AND" => continue,
            "NOT" => {
                negated = true;
                continue;
            }
            _ => {}
        }
        let (field, text) = match word.split_once(':') {
            Some((field, text)) if !field.is_empty() && !field.starts_with('"') => {
                (Some(field), text)
            }
            _ => (None, word),
        };
        found.push(Word {
            field: field.map(str::to_owned),
            text: text.trim_matches('"').trim_matches(['(', ')']).to_owned(),
            negated,
        });
        negated = false;
    }
    found.retain(|w| !(w.text.is_empty() || w.text == "*" && w.field.is_none()));
    found
}

impl Word {
    fn holds(&self, document: &Value) -> bool {
        let contains = |value: &Value| {
            let value = as_text(value).to_lowercase();
            let wanted = self.text.to_lowercase();
            crate::simulator::faults::glob_matches(&format!("*{wanted}*"), &value)
        };
        let holds = match self.field.as_deref() {
            Some("_exists_") => !values_at(document, &self.text).is_empty(),
            Some("_missing_") => values_at(document, &self.text).is_empty(),
            Some(field) => values_at(document, field).into_iter().any(contains),
            None => ["title", "files.original_name"]
                .iter()
                .any(|field| values_at(document, field).into_iter().any(contains)),
        };
        holds != self.negated
    }
}

/// The order of the results: fields, and whether each is descending.
struct Order(Vec<(String, bool)>);

impl Order {
    fn new(criteria: &Row) -> Result<Self, Refusal> {
        let mut fields = Vec::new();
        for part in criteria
            .get("sort")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = part["name"]
                .as_str()
                .ok_or_else(|| invalid("sort", "name: Missing data for required field."))?;
            let descending = match part["order"].as_str() {
                None | Some("asc") => false,
                Some("desc") => true,
                Some(_) => return Err(invalid("sort", "order: Must be one of: asc, desc.")),
            };
            fields.push((name.to_owned(), descending));
        }
        if fields.is_empty() {
            fields = vec![("date_created".to_owned(), false), ("id".to_owned(), false)];
        }
        Ok(Self(fields))
    }

    fn key(&self, document: &Value) -> Vec<Value> {
        let first = |name: &str| values_at(document, name).first().copied().cloned();
        self.0
            .iter()
            .map(|(name, _)| first(name).unwrap_or(Value::Null))
            .collect()
    }

    /// A document against a cursor.
    fn against(&self, document: &Value, cursor: &[Value]) -> Ordering {
        let own = self.key(document);
        for (((_, descending), mine), other) in self.0.iter().zip(&own).zip(cursor) {
            let order = match (mine, other) {
                (Value::Number(a), Value::Number(b)) => a
                    .as_f64()
                    .partial_cmp(&b.as_f64())
                    .unwrap_or(Ordering::Equal),
                (a, b) => plain(&as_text(a)).cmp(plain(&as_text(b))),
            };
            let order = if *descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    fn sort(&self, documents: &mut [Value]) {
        documents.sort_by(|a, b| self.against(a, &self.key(b)));
    }

    /// Whether library rows in the order of their numbers are in this order (or, `false`, in
    /// reverse): they are when the first field alone decides.
    fn runs_with_numbers(&self) -> Option<bool> {
        let (name, descending) = self.0.first()?;
        ["id", "title", "date_created"]
            .contains(&name.as_str())
            .then_some(!descending)
    }
}
