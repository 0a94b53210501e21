//! What people decided and said in iconik about the assets of a package.

use futures::TryStreamExt as _;

use super::facts::{Comment, Facts};
use crate::flows::{Error, Systems};
use crate::iconik::{self, Asset, Segment, SegmentKind, Vote};
use crate::sidecar::campaign::{Approval, Exception};

/// What people decided and said about an asset's current version.
pub(super) async fn approvals(
    systems: &Systems,
    asset: &Asset,
    known: &Facts,
    facts: &mut Facts,
) -> Result<(), Error> {
    let version = asset.current_version().map(|version| &version.id);
    let votes = systems.iconik.votes(&asset.id, version);
    let votes: Vec<Vote> = readable(votes.try_collect().await, asset, "approvals", facts)?;
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
        facts.approvals.push(Approval {
            subject: asset.title.clone(),
            outcome: outcome.to_owned(),
            by: by.unwrap_or_else(|| "unknown".to_owned()),
            by_id: vote.user,
            at,
            document: None,
        });
    }
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
            facts.exceptions.push(Exception {
                path: asset.title.clone(),
                reason: format!("its {what} may not be read: {error}"),
            });
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}
