//! `[exchange]`: what is exchanged of reviews, and how it is shown.

use std::time::Duration;

use super::layers::{Reader, Reported};
use super::record::{field, one_of};
use super::sections::{duration, list, yes_or_no};
use crate::flows::exchange::Kind;
use crate::sidecar::mapping::FieldMap;

/// `[exchange]`
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// What of iconik goes into a review record.
    pub record: Vec<Kind>,
    /// The attribute that people at Content Server write comments in.
    pub comments: Option<FieldMap>,
    /// Whether approval processes are listened to.
    pub workflow: bool,
    /// What a remark from Content Server is in iconik.
    pub show_as: ShowAs,
    /// How long after a full look the next one is due.
    pub full_every: Duration,
}

/// What a remark is in iconik.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowAs {
    /// A comment of the review.
    Comment,
    /// Time-based metadata.
    Generic,
}

impl ShowAs {
    fn as_str(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Generic => "generic",
        }
    }
}

pub(super) fn read(reader: &mut Reader) -> Result<ExchangeSettings, Reported> {
    let record = reader.get(
        "exchange.record",
        list(|raw| one_of(raw, &Kind::ALL, Kind::plural)),
    );
    let comments = reader.optional("exchange.comments", |raw| field("exchange.comments", raw));
    let workflow = reader.get("exchange.workflow", yes_or_no);
    let show_as = reader.get("exchange.show_as", |raw| {
        one_of(raw, &[ShowAs::Comment, ShowAs::Generic], ShowAs::as_str)
    });
    let full_every = reader.get("exchange.full_every", duration);
    Ok(ExchangeSettings {
        record: record?,
        comments: comments?,
        workflow: workflow?,
        show_as: show_as?,
        full_every: full_every?,
    })
}
