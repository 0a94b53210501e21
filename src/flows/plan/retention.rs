//! What records of a class would be kept under, as far as anybody knows before they are filed.

use jiff::Timestamp;
use serde::Serialize;
use tracing::warn;

use super::{Planner, Records};
use crate::flows::Error;
use crate::transfer::kept;
use crate::types::NodeId;

/// The retention of a records classification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassRetention {
    /// Who says so.
    pub said_by: SaidBy,
    /// Codes of retention schedules; none when there is none, or nothing is known.
    pub schedules: Vec<String>,
    /// When that was read, where it is the ledger that says so.
    pub read: Option<Timestamp>,
}

/// Who says what a class means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaidBy {
    /// Content Server says what is assigned to the class.
    Server,
    /// Records of this class were kept under it, by the ledger.
    Ledger,
    /// Nobody, until a record of it is filed.
    Nobody,
}

impl ClassRetention {
    /// In words.
    pub fn in_words(&self) -> String {
        let schedules = if self.schedules.is_empty() {
            "no retention schedule".to_owned()
        } else {
            format!("retention schedule {}", self.schedules.join(", "))
        };
        match (self.said_by, self.read) {
            (SaidBy::Server, _) if self.schedules.is_empty() => {
                "no retention schedule is assigned to it".to_owned()
            }
            (SaidBy::Server, _) => schedules,
            (SaidBy::Ledger, Some(read)) => format!(
                "{schedules}, as records of it were kept when read on {}",
                read.strftime("%Y-%m-%d")
            ),
            (SaidBy::Ledger, None) => format!("{schedules}, as records of it were kept"),
            (SaidBy::Nobody, _) => "retention not known until filed".to_owned(),
        }
    }
}

impl Planner {
    /// Asks what each class of a plan means for retention: a call for each, and a server that does
    /// not tell is no error. Classes beyond those that are counted by name are not asked for.
    ///
    /// # Errors
    ///
    /// The ledger's.
    pub async fn retention(&self, records: &mut Records) -> Result<(), Error> {
        let classes: Vec<String> = records.classes.names.keys().cloned().collect();
        let mut asking = true;
        for name in classes {
            let Ok(class) = name.parse().map(NodeId) else {
                continue;
            };
            let server = &self.0.systems.content_server;
            let told = match asking {
                true => server.schedules_of(class).await,
                false => Ok(None),
            };
            // A plan of hours does not wait at its end, once for each class.
            let told = told.unwrap_or_else(|failure| {
                warn!(%class, error = %failure, "the schedules of classes are not told");
                asking = false;
                None
            });
            let known = self.0.ledger(|ledger| kept::of_class(ledger, class))?;
            let retention = weighed(told, known);
            records.retention.insert(name, retention);
        }
        Ok(())
    }
}

/// A schedule that the server names counts first, then what was seen of filed records: whether a
/// class tells its own schedules is not the same on every server.
fn weighed(told: Option<Vec<String>>, known: Vec<(Option<String>, i64)>) -> ClassRetention {
    if let Some(schedules) = told.as_ref().filter(|told| !told.is_empty()) {
        return ClassRetention {
            said_by: SaidBy::Server,
            schedules: schedules.clone(),
            read: None,
        };
    }
    // What was read last is what counts now.
    let latest = known.into_iter().next();
    match (latest, told) {
        (Some((schedule, at)), _) => ClassRetention {
            said_by: SaidBy::Ledger,
            schedules: schedule.into_iter().collect(),
            read: Timestamp::from_millisecond(at).ok(),
        },
        (None, Some(_)) => ClassRetention {
            said_by: SaidBy::Server,
            schedules: Vec::new(),
            read: None,
        },
        (None, None) => ClassRetention {
            said_by: SaidBy::Nobody,
            schedules: Vec::new(),
            read: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_counts_before_the_ledger_and_nobody_is_said_to_be_nobody() {
        let text = |text: &str| text.to_owned();
        let at = 1_795_000_000_000;
        for (told, known, said) in [
            (
                Some(vec![text("M1"), text("M2")]),
                vec![(Some(text("M9")), at)],
                "retention schedule M1, M2",
            ),
            (
                Some(Vec::new()),
                vec![(Some(text("M9")), at), (Some(text("M8")), at - 1)],
                "retention schedule M9, as records of it were kept when read on 2026-11-18",
            ),
            (
                None,
                vec![(None, at)],
                "no retention schedule, as records of it were kept when read on 2026-11-18",
            ),
            (
                Some(Vec::new()),
                Vec::new(),
                "no retention schedule is assigned to it",
            ),
            (None, Vec::new(), "retention not known until filed"),
        ] {
            assert_eq!(weighed(told, known).in_words(), said);
        }
    }
}
