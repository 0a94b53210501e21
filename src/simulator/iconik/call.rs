//! One API call: its parts, refusals, and the ways in which lists are paged.

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};

use super::table::Row;

/// What a handler gives back: a status and a body; null means none.
pub(super) type Answer = Result<(u16, Value), Refusal>;

/// An error answer: `{"errors": …}`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) errors: Value,
}

/// A refusal with one sentence.
pub(super) fn refuse(status: u16, error: &str) -> Refusal {
    Refusal {
        status,
        errors: json!([error]),
    }
}

/// 400 that names the field.
pub(super) fn invalid(field: &str, error: &str) -> Refusal {
    Refusal {
        status: 400,
        errors: json!({ field: [error] }),
    }
}

/// 404 for an object.
pub(super) fn missing(what: &str) -> Refusal {
    refuse(404, &format!("{what} does not exist"))
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Token {
    /// Value of `Auth-Token`.
    pub token: String,
    /// Value of `App-ID`.
    pub app_id: String,
    /// The user it acts as.
    pub user: String,
    /// Whether that user is an administrator.
    pub admin: bool,
    /// Roles the user lacks; `*` lacks every role.
    pub denied: Vec<String>,
    /// Milliseconds of the simulator's clock after which it is refused.
    pub expires_ms: Option<i64>,
}

/// A request, taken apart.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// With `/API`, as sent.
    pub(super) path: &'a str,
    pub(super) query: HashMap<String, String>,
    /// The JSON body; null when there is none.
    pub(super) body: Value,
    pub(super) token: Token,
}

impl Call<'_> {
    pub(super) fn need(&self, role: &str) -> Result<(), Refusal> {
        if self.token.denied.iter().any(|d| d == role || d == "*") {
            return Err(refuse(
                403,
                &format!("Permission denied: {role} is required"),
            ));
        }
        Ok(())
    }

    /// The body as an object.
    pub(super) fn object(&self) -> Result<&Row, Refusal> {
        self.body
            .as_object()
            .ok_or_else(|| refuse(400, "Invalid input: a JSON object is expected"))
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// A switch in the query.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.param(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(invalid(name, "Not a valid boolean.")),
        }
    }

    pub(super) fn number(&self, name: &str, default: u64) -> Result<u64, Refusal> {
        match self.param(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| invalid(name, "Not a valid integer.")),
        }
    }

    /// `per_page`: 10 unless asked otherwise.
    pub(super) fn per_page(&self, most: u64) -> Result<u64, Refusal> {
        let per_page = self.number("per_page", 10)?;
        if per_page == 0 || per_page > most {
            return Err(invalid(
                "per_page",
                &format!("Must be greater than or equal to 1 and less than or equal to {most}."),
            ));
        }
        Ok(per_page)
    }

    /// This call's address, relative to the host, with some parameters set to other values.
    pub(super) fn url_with(&self, changes: &[(&str, &str)]) -> String {
        let mut kept: Vec<(&str, &str)> = self
            .query
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .filter(|(k, _)| changes.iter().all(|(changed, _)| changed != k))
            .collect();
        kept.extend_from_slice(changes);
        kept.sort_unstable();
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .finish();
        format!("{}?{query}", self.path)
    }

    /// The page envelope: `objects` is asked for one page by offset and length.
    pub(super) fn paged(
        &self,
        most: u64,
        total: u64,
        objects: impl FnOnce(u64, u64) -> Vec<Value>,
    ) -> Answer {
        let per_page = self.per_page(most)?;
        let page = self.number("page", 1)?;
        let pages = total.div_ceil(per_page).max(1);
        if page == 0 || page > pages {
            return Err(refuse(404, "Requested page does not exist"));
        }
        let objects = objects((page - 1) * per_page, per_page);
        let url = |page: u64| self.url_with(&[("page", &page.to_string())]);
        Ok((
            200,
            json!({
                "objects": objects,
                "page": page,
                "pages": pages,
                "per_page": per_page,
                "total": total,
                "first_url": url(1),
                "last_url": url(pages),
                "prev_url": if page > 1 { url(page - 1) } else { String::new() },
                "next_url": if page < pages { url(page + 1) } else { String::new() },
                "scroll_id": "",
            }),
        ))
    }

    /// Pages a list that is at hand.
    pub(super) fn page_list(&self, most: u64, rows: &[Value]) -> Answer {
        self.paged(most, rows.len() as u64, |offset, len| {
            let rows = rows.iter().skip(to_usize(offset)).take(to_usize(len));
            rows.cloned().collect()
        })
    }

    /// Pages by cursor: what follows the row whose id is the query's `cursor`; `render` is asked
    /// for the rows of this page only.
    pub(super) fn after(
        &self,
        most: u64,
        cursor: &str,
        ids: &[String],
        render: impl FnMut(&String) -> Option<Value>,
    ) -> Answer {
        let per_page = self.per_page(most)?;
        let start = match self.param(cursor) {
            None => 0,
            Some(last) => ids
                .iter()
                .position(|id| id == last)
                .map(|at| at + 1)
                .ok_or_else(|| invalid(cursor, "Unknown object."))?,
        };
        let end = ids.len().min(start + to_usize(per_page));
        let page = ids.get(start..end).unwrap_or_default();
        let next = match page.last() {
            Some(last) if end < ids.len() => self.url_with(&[(cursor, last)]),
            _ => String::new(),
        };
        let objects: Vec<Value> = page.iter().filter_map(render).collect();
        let total = ids.len() as u64;
        Ok((
            200,
            json!({
                "objects": objects,
                "page": start as u64 / per_page + 1,
                "pages": total.div_ceil(per_page).max(1),
                "per_page": per_page,
                "total": total,
                "first_url": self.path,
                "last_url": "",
                "prev_url": "",
                "next_url": next,
                "scroll_id": "",
            }),
        ))
    }
}

/// For offsets within a list in memory.
pub(super) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
