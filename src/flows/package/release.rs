//! Whether a version is final, by the rule of publishing; who approved it, when, and what people
//! said about it in iconik.

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::facts::{Comment, Facts};
use crate::flows::approval::Rejections;
use crate::flows::publish::Approved;
use crate::flows::{Error, Systems};
use crate::iconik::{self, Asset, Review, Segment, SegmentKind, Vote};
use crate::sidecar::campaign::{Approval, Exception, Release};
use crate::types::VersionId;

/// Which masters a package takes. Edits and documents about a campaign are in it either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    /// Every one that is filed.
    #[default]
    All,
    /// Those that are final.
    Final,
}

impl Only {
    /// Both.
    pub const ALL: [Self; 2] = [Self::All, Self::Final];

    /// Its name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Final => "final",
        }
    }
}

/// What is final, and what becomes of the rest.
#[derive(Clone, Debug)]
pub struct Finality {
    /// Which masters a package takes.
    pub only: Only,
    /// The rule of publishing.
    pub approved: Approved,
    /// What approval processes rejected; nothing while there is no ledger.
    pub rejections: Option<Rejections>,
}

impl Default for Finality {
    fn default() -> Self {
        Self {
            only: Only::default(),
            approved: Approved::Review,
            rejections: None,
        }
    }
}

/// How a version stands.
#[derive(Default)]
pub(super) struct Released {
    pub(super) release: Option<Release>,
    /// Who released it.
    pub(super) approvals: Vec<Approval>,
}

impl Released {
    /// What the package says of a version that iconik no longer shows.
    pub(super) fn known(known: &Facts, asset: &str, version: &VersionId) -> Self {
        let mut before = known.payload.iter();
        let before = before
            .find(|one| one.of_version() == (asset, version.as_str()) && one.release.is_some());
        Self {
            release: before.and_then(|one| one.release.clone()),
            approvals: Vec::new(),
        }
    }
}

impl Finality {
    /// Whether a version is final, and who said so. What may not be read becomes a gap in `facts`.
    pub(super) async fn of(
        &self,
        systems: &Systems,
        asset: &Asset,
        version: &VersionId,
        known: &Facts,
        facts: &mut Facts,
    ) -> Result<Released, Error> {
        let mut versions = asset.versions.iter();
        let Some(there) = versions.find(|there| there.id == *version) else {
            return Ok(Released::known(known, asset.id.as_str(), version));
        };
        let is_current = asset
            .current_version()
            .is_some_and(|now| now.id == *version);
        let review = match review(systems, asset, version).await? {
            Ok(review) => Some(review),
            Err(error) => {
                unreadable(asset, "approvals", &error, facts);
                None
            }
        };
        let votes = systems.iconik.votes(&asset.id, Some(version));
        let votes: Vec<Vote> = readable(votes.try_collect().await, asset, "approvals", facts)?;
        let subject = match there.version_number {
            Some(number) if !is_current => format!("{} (version {number})", asset.title),
            _ => asset.title.clone(),
        };
        let mut approvals = Vec::new();
        for vote in votes {
            let outcome = match vote.status.as_deref() {
                Some("APPROVED") => "approved",
                Some("NOT_APPROVED") => "rejected",
                _ => continue,
            };
            let Some(at) = vote.change_date else { continue };
            let by = match &vote.user {
                Some(user) => voter(systems, user, &known.approvals).await?,
                None => vote.email,
            };
            approvals.push(Approval {
                subject: subject.clone(),
                outcome: outcome.to_owned(),
                by: by.unwrap_or_else(|| "unknown".to_owned()),
                by_id: vote.user,
                at,
                document: None,
            });
        }
        let (is_final, says) = self.rule(systems, asset, version, review.as_ref()).await?;
        let for_it = approvals.iter().filter(|vote| vote.outcome == "approved");
        let mut by: Vec<String> = for_it.clone().map(|vote| vote.by.clone()).collect();
        by.sort();
        by.dedup();
        let voted = for_it.map(|vote| vote.at).max();
        let decided = review.filter(|review| review.is_approved());
        Ok(Released {
            release: Some(Release {
                is_final,
                says,
                by,
                at: voted.or(decided.and_then(|review| review.change_date)),
            }),
            approvals,
        })
    }

    /// Whether a version is final, when that can be known, and why.
    pub(super) async fn standing(
        &self,
        systems: &Systems,
        asset: &Asset,
        version: &VersionId,
    ) -> Result<(Option<bool>, String), Error> {
        let review = review(systems, asset, version).await?.ok();
        self.rule(systems, asset, version, review.as_ref()).await
    }

    /// What the rule says of a version, and why.
    async fn rule(
        &self,
        systems: &Systems,
        asset: &Asset,
        version: &VersionId,
        review: Option<&Review>,
    ) -> Result<(Option<bool>, String), Error> {
        if let Some(rejections) = &self.rejections
            && let Some(why) = rejections.of(&asset.id, version)?
        {
            return Ok((Some(false), why));
        }
        let said = match review {
            Some(review) => review.to_string(),
            None => "its approval may not be read".to_owned(),
        };
        Ok(match &self.approved {
            Approved::Review => (review.map(Review::is_approved), said),
            Approved::Any => (
                Some(true),
                format!("every version is (`publish.approved`); {said}"),
            ),
            Approved::Field { field, .. } => {
                let metadata = systems.iconik.metadata_of(asset, Some(version)).await?;
                match self.approved.refusal(systems, asset, &metadata).await? {
                    None => (Some(true), format!("`{field}` says so; {said}")),
                    Some(why) => (Some(false), format!("{why}; {said}")),
                }
            }
        })
    }
}

/// The review of a version, unless it may not be read.
async fn review(
    systems: &Systems,
    asset: &Asset,
    version: &VersionId,
) -> Result<Result<Review, iconik::Error>, Error> {
    match systems.iconik.review_of_version(asset, version).await {
        Err(error) if !error.is_forbidden() => Err(error.into()),
        read => Ok(read),
    }
}

/// Takes note of what people said about an asset's current version.
pub(super) async fn remarks(
    systems: &Systems,
    asset: &Asset,
    facts: &mut Facts,
) -> Result<(), Error> {
    let version = asset.current_version().map(|version| &version.id);
    let said = systems
        .iconik
        .segments(&asset.id, Some(&SegmentKind::Comment), version);
    let said: Vec<Segment> = readable(said.try_collect().await, asset, "comments", facts)?;
    facts.comments.extend(said.into_iter().map(|said| Comment {
        subject: asset.title.clone(),
        by: said.author().to_string(),
        at: said.date_created,
        text: said.text.unwrap_or_default(),
        resolved: said.checked,
    }));
    Ok(())
}

/// The name of who voted. Somebody whose account is gone keeps the name that the package has; one
/// who was never seen is an id.
async fn voter(systems: &Systems, user: &str, known: &[Approval]) -> Result<Option<String>, Error> {
    let named = systems.iconik.user_name(user).await?;
    let before = || {
        let mut own = known.iter();
        let own = own.find(|approval| approval.by_id.as_deref() == Some(user))?;
        Some(own.by.clone())
    };
    Ok(named.or_else(before).or_else(|| Some(user.to_owned())))
}

/// What may not be read is a gap, and no reason to make no package.
fn readable<T>(
    read: Result<Vec<T>, iconik::Error>,
    asset: &Asset,
    what: &str,
    facts: &mut Facts,
) -> Result<Vec<T>, Error> {
    match read {
        Ok(read) => Ok(read),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) if error.is_forbidden() => {
            unreadable(asset, what, &error, facts);
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

fn unreadable(asset: &Asset, what: &str, error: &iconik::Error, facts: &mut Facts) {
    facts.exceptions.push(Exception {
        path: asset.title.clone(),
        reason: format!("its {what} may not be read: {error}"),
    });
}
