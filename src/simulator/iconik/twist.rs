//! Faults inside well-formed answers, by name.
//!
//! | Name | Parameters | What the answer does |
//! |---|---|---|
//! | `page_loops` | | `next_url` leads back to the page itself |
//! | `page_ends_early` | | `next_url` is empty though there is more |
//! | `row_missing` | | the last object of the page is left out |
//! | `row_repeated` | | the first object of the page comes twice |
//! | `huge_json` | `bytes` (40 MiB) | a field of that many characters |
//! | `deep_json` | `depth` (100) | a field of lists within lists |
//! | `foreign_url` | `url` | signed addresses are replaced by this one |

use serde_json::{Value, json};

use super::call::to_usize;
use crate::simulator::server::Exchange;

/// Deepest nesting made; beyond it dropping the value would be the fault.
const DEEPEST: u64 = 1_000;

/// Most bytes made.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Changes an answer as the faults of its exchange ask for.
pub(super) fn twist(body: &mut Value, exchange: &Exchange) {
    let Some(fields) = body.as_object_mut() else {
        return;
    };
    let set = |name: &str| exchange.faults.named(name);
    if set("page_loops").is_some() {
        let own = exchange.uri.path_and_query().map_or("", |p| p.as_str());
        fields.insert("next_url".into(), own.into());
    }
    if set("page_ends_early").is_some() {
        fields.insert("next_url".into(), "".into());
    }
    if let Some(objects) = fields.get_mut("objects").and_then(Value::as_array_mut) {
        if set("row_missing").is_some() {
            objects.pop();
        }
        if set("row_repeated").is_some()
            && let Some(first) = objects.first().cloned()
        {
            objects.push(first);
        }
        if let Some(url) = set("foreign_url").and_then(|p| p.get("url")) {
            let signed = objects.iter_mut().filter_map(|o| o.get_mut("url"));
            signed.for_each(|own| *own = url.clone());
        }
    }
    if let Some(url) = set("foreign_url").and_then(|p| p.get("url"))
        && let Some(own) = fields.get_mut("url")
    {
        *own = url.clone();
    }
    if let Some(parameters) = set("huge_json") {
        let bytes = parameters["bytes"].as_u64().unwrap_or(40 * 1024 * 1024);
        let filler = " ".repeat(to_usize(bytes.min(LARGEST)));
        fields.insert("filler".into(), filler.into());
    }
    if let Some(parameters) = set("deep_json") {
        let depth = parameters["depth"].as_u64().unwrap_or(100).min(DEEPEST);
        let nested = (0..depth).fold(json!(0), |inner, _| json!([inner]));
        fields.insert("nested".into(), nested);
    }
}
