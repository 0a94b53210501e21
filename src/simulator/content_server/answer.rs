//! What a call answers: the envelopes of v1 and v2, refusals in the server's words, content.

use serde_json::{Map, Value, json};

use super::content::Blob;

/// Text for a node that is missing or may not be seen; the two are not told apart on purpose.
pub(super) const INACCESSIBLE: &str = "Sorry, the item you requested could not be accessed. \
Either it does not exist or you do not have permission to access it. \
If you were sent a link to this item, please contact the sender for assistance.";

/// Text for an address that is no call.
pub(super) const UNMAPPED: &str = "The REST API URL could not be found in the mappings registry";

/// A call that was refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) status: u16,
    body: Value,
    page: bool,
}

impl Refusal {
    /// A refusal with that status and text.
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            body: json!({"error": text.into()}),
            page: false,
        }
    }

    /// A refusal whose answer is that JSON.
    pub(super) fn json(status: u16, body: Value) -> Self {
        let page = false;
        Self { status, body, page }
    }

    /// A refusal of the web server or a gateway: a page for people.
    pub(super) fn page(status: u16, title: &str) -> Self {
        let body = Value::String(format!(
            "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
        ));
        let page = true;
        Self { status, body, page }
    }

    /// 400 with that text.
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }

    /// 500 with that text.
    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self::new(500, text)
    }

    /// 401: no valid credentials.
    pub(super) fn unauthenticated() -> Self {
        Self::new(401, "Authentication Required")
    }

    /// 400: no such call.
    pub(super) fn unmapped() -> Self {
        Self::bad(UNMAPPED)
    }

    /// 400: an argument of the wrong type.
    pub(super) fn datatype(argument: &str) -> Self {
        Self::bad(format!(
            "Invalid datatype specified for argument '{argument}'"
        ))
    }

    /// 400: an argument that has to be there is not.
    pub(super) fn missing(argument: &str) -> Self {
        Self::bad(format!("Missing required parameter '{argument}'"))
    }

    /// The node is missing or may not be seen; the status depends on the call.
    pub(super) fn inaccessible(status: u16) -> Self {
        Self::new(status, INACCESSIBLE)
    }

    /// 400: type, state or permission forbid that operation.
    pub(super) fn action(action: &str) -> Self {
        Self::bad(format!(
            "Could not process object, invalid action '{action}'"
        ))
    }

    /// 400 as the v2 calls of records management say it, beside the text that all others have.
    pub(super) fn records(text: &str) -> Self {
        let results = json!({"ok": false, "errMsg": text, "id": 0});
        Self::json(400, json!({"error": text, "results": results}))
    }

    /// The text, for a refusal that has one.
    pub(super) fn text(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// The body as JSON, or the page.
    pub(super) fn into_parts(self) -> (u16, Value, bool) {
        (self.status, self.body, self.page)
    }
}

/// What a call that succeeded sends back.
pub(super) enum Answer {
    /// JSON, never empty.
    Json(Value),
    /// The bytes of a version.
    Content(Download),
}

/// The result of a call.
pub(super) type Outcome = Result<Answer, Refusal>;

/// Content on its way out.
pub(super) struct Download {
    /// The bytes.
    pub(super) blob: Blob,
    /// Offsets of bytes with a flipped bit.
    pub(super) flips: Vec<u64>,
    /// Content type as stored.
    pub(super) mime: String,
    /// The name to save it under.
    pub(super) file_name: String,
}

/// The object that describes one call in `links`.
pub(super) fn link(method: &str, href: &str) -> Value {
    json!({"body": "", "content_type": "", "href": href, "method": method, "name": ""})
}

fn links(method: &str, href: &str) -> Value {
    json!({"data": {"self": link(method, href)}})
}

/// The v2 answer with these `results`.
pub(super) fn results(method: &str, href: &str, results: Value) -> Answer {
    Answer::Json(json!({"links": links(method, href), "results": results}))
}

/// One page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// 1-based number.
    pub(super) number: usize,
    /// Rows of a full page.
    pub(super) limit: usize,
}

impl Page {
    /// Rows before this page.
    pub(super) fn skip(&self) -> usize {
        (self.number - 1).saturating_mul(self.limit)
    }

    /// The `paging` object of a list with `total` rows whose address is `href`.
    pub(super) fn paging(&self, total: usize, href: &str) -> Value {
        let pages = total.div_ceil(self.limit).max(1);
        let first = if total == 0 { 0 } else { self.skip() + 1 };
        let mut data = Map::new();
        let mut turn = |name: &str, number: usize| {
            let href = self.turned(href, number);
            data.insert(name.to_owned(), link("GET", &href));
        };
        if self.number > 1 {
            turn("previous", self.number - 1);
        }
        if self.number < pages {
            turn("next", self.number + 1);
        }
        let mut paging = json!({
            "limit": self.limit,
            "page": self.number,
            "page_total": pages,
            "range_max": (self.skip() + self.limit).min(total),
            "range_min": first,
            "total_count": total,
        });
        if !data.is_empty() {
            paging["links"] = json!({"data": data});
        }
        paging
    }

    /// `href` with its `page` and `limit` replaced.
    fn turned(&self, href: &str, number: usize) -> String {
        let (path, query) = href.split_once('?').unwrap_or((href, ""));
        let mut pairs: Vec<String> = query
            .split('&')
            .filter(|pair| {
                let key = pair.split('=').next().unwrap_or_default();
                !pair.is_empty() && key != "page" && key != "limit"
            })
            .map(str::to_owned)
            .collect();
        pairs.push(format!("limit={}", self.limit));
        pairs.push(format!("page={number}"));
        format!("{path}?{}", pairs.join("&"))
    }
}

/// The v2 answer with a page of rows; `sort` as `asc_name` when the list has an order to name.
pub(super) fn list(
    href: &str,
    rows: Vec<Value>,
    page: Page,
    total: usize,
    sort: Option<&str>,
) -> Answer {
    let mut collection = json!({"paging": page.paging(total, href)});
    if let Some(sort) = sort {
        collection["sorting"] = json!({"sort": [{"key": "sort", "value": sort}]});
    }
    Answer::Json(json!({
        "collection": collection,
        "links": links("GET", href),
        "results": rows,
    }))
}

/// A page of rows inside `results.data`, under their name, as records management lists them.
pub(super) fn named_list(
    href: &str,
    name: &str,
    rows: Vec<Value>,
    page: Page,
    total: usize,
) -> Answer {
    Answer::Json(json!({
        "collection": {"paging": page.paging(total, href)},
        "links": links("GET", href),
        "results": {"data": {name: rows}, "ok": true, "errMsg": ""},
    }))
}

/// The answer of a call of records management that made or changed the object with that id, or
/// no single one (0).
pub(super) fn records_done(id: i64) -> Answer {
    Answer::Json(json!({"results": {"ok": true, "errMsg": "", "id": id}}))
}

/// The v1 answer: `data` with the definitions that clients expect beside it.
pub(super) fn v1(data: Value) -> Answer {
    Answer::Json(json!({
        "data": data,
        "definitions": {},
        "definitions_map": {},
        "definitions_order": [],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_link_to_their_neighbours_and_keep_the_other_arguments() {
        let page = Page {
            number: 2,
            limit: 10,
        };
        let paging = page.paging(25, "/api/v2/nodes/1/nodes?where_name=a&page=2&limit=10");
        assert_eq!(paging["page_total"], 3);
        assert_eq!(
            (&paging["range_min"], &paging["range_max"]),
            (&json!(11), &json!(20))
        );
        assert_eq!(
            paging["links"]["data"]["next"]["href"],
            "/api/v2/nodes/1/nodes?where_name=a&limit=10&page=3"
        );
        assert_eq!(
            paging["links"]["data"]["previous"]["href"],
            "/api/v2/nodes/1/nodes?where_name=a&limit=10&page=1"
        );
    }

    #[test]
    fn an_empty_list_has_one_empty_page() {
        let page = Page {
            number: 1,
            limit: 25,
        };
        let paging = page.paging(0, "/x");
        assert_eq!(
            (&paging["page_total"], &paging["range_min"]),
            (&json!(1), &json!(0))
        );
        assert!(paging.get("links").is_none());
    }
}
