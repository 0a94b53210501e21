//! A row for each item. Cells that a spreadsheet would take for a formula begin with an apostrophe.

use std::io::Write;

use super::{Error, Retention, Row};

/// The columns, by their names in JSON.
const COLUMNS: [&str; 33] = [
    "run",
    "item",
    "key",
    "asset",
    "title",
    "kind",
    "state",
    "bytes",
    "files",
    "proof",
    "sha256",
    "parent",
    "node",
    "version",
    "name",
    "attempts",
    "bytes_sent",
    "bytes_again",
    "restarts",
    "class",
    "reason",
    "message",
    "place",
    "records_class",
    "marks",
    "access",
    "papers",
    "papers_missing",
    "licence_ends",
    "retention",
    "retention_schedule",
    "retention_due",
    "retention_read",
];

/// Writes rows.
pub struct Writer<W: Write>(::csv::Writer<W>);

impl<W: Write> Writer<W> {
    /// Writes the head.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn new(to: W) -> Result<Self, Error> {
        let mut writer = ::csv::Writer::from_writer(to);
        writer.write_record(COLUMNS)?;
        Ok(Self(writer))
    }

    /// Writes a row.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn row(&mut self, row: &Row) -> Result<(), Error> {
        let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
        let optional = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
        self.0.write_record([
            row.run.to_string(),
            row.item.to_string(),
            cell(&row.key),
            cell(&row.asset),
            cell(&row.title),
            cell(&row.kind),
            cell(&row.state),
            row.bytes.to_string(),
            row.files.to_string(),
            cell(&row.proof),
            optional(&row.sha256),
            row.parent.to_string(),
            number(row.node),
            number(row.version),
            cell(&row.name),
            row.attempts.to_string(),
            row.bytes_sent.to_string(),
            row.bytes_again.to_string(),
            row.restarts.to_string(),
            optional(&row.class),
            optional(&row.reason),
            optional(&row.message),
            optional(&row.record.place),
            number(row.record.records_class),
            optional(&row.record.marks),
            optional(&row.record.access),
            row.record.papers.to_string(),
            optional(&row.record.papers_missing),
            optional(&row.record.licence_ends),
            cell(row.record.retention.map_or("", Retention::as_str)),
            optional(&row.record.retention_schedule),
            optional(&row.record.retention_due),
            row.record
                .retention_read
                .map(|read| read.to_string())
                .unwrap_or_default(),
        ])?;
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn finish(mut self) -> Result<(), Error> {
        Ok(self.0.flush()?)
    }
}

/// A text that no spreadsheet computes.
pub(super) fn cell(text: &str) -> String {
    // A tab or line end in front is passed over by some of them.
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_like_a_formula() {
        for text in ["=1+1", "+49", "-2", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        assert_eq!(cell("Spot = 30"), "Spot = 30");
        assert_eq!(cell(""), "");
    }
}
