//! One authenticated call, read and ready to be carried out.

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{self, Answer, Page, Refusal};
use super::arguments::Arguments;
use super::config::Config;
use super::forms::FormFile;
use super::shape::Shape;

/// A call with its caller, arguments and files.
pub(super) struct Call {
    /// Who calls.
    pub(super) user: i64,
    /// The session of the caller's ticket.
    pub(super) session: Option<u64>,
    /// Made to `/api/v1`.
    pub(super) v1: bool,
    /// HTTP method.
    pub(super) method: Method,
    /// Path and query from `/api` on, as the answer's links name it.
    pub(super) href: String,
    /// All arguments, merged.
    pub(super) arguments: Arguments,
    /// Files of the form.
    pub(super) files: Vec<FormFile>,
    /// Which parts of the answer are wanted.
    pub(super) shape: Shape,
    /// The cluster node that took the call, from 0.
    pub(super) node: u32,
    /// Wall-clock time of the call.
    pub(super) now: Timestamp,
    /// The server's own clock, from its start.
    pub(super) clock: Duration,
}

impl Call {
    /// The v2 answer with these `results`.
    pub(super) fn results(&self, results: Value) -> Answer {
        answer::results(self.method.as_str(), &self.href, results)
    }

    /// The answer of a call that has nothing to say. Never empty: clients repeat calls whose
    /// answer is.
    pub(super) fn done(&self) -> Answer {
        self.results(json!({}))
    }

    /// The page asked for.
    ///
    /// # Errors
    ///
    /// A page or size that is no number, or below 1.
    pub(super) fn page(&self, config: &Config) -> Result<Page, Refusal> {
        self.page_of(config.page_size, config.page_limit)
    }

    /// The page asked for, of a list with its own sizes.
    ///
    /// # Errors
    ///
    /// As [`page`](Self::page).
    pub(super) fn page_of(&self, size: u32, most: u32) -> Result<Page, Refusal> {
        let read = |key: &str, default: i64| match self.arguments.number(key)? {
            Some(value) if value < 1 => Err(Refusal::bad(format!(
                "Could not set parameter {key}, the value {value} is less than the minimum value (1)"
            ))),
            Some(value) => Ok(value),
            None => Ok(default),
        };
        let limit = read("limit", size.into())?.min(most.max(1).into());
        Ok(Page {
            number: usize::try_from(read("page", 1)?).unwrap_or(usize::MAX),
            limit: usize::try_from(limit).unwrap_or(1),
        })
    }

    /// Takes the file of a field.
    pub(super) fn take_file(&mut self, field: &str) -> Option<FormFile> {
        let index = self.files.iter().position(|file| file.field == field)?;
        Some(self.files.swap_remove(index))
    }
}
