//! What assets of one plan mean for each other: names and contents that two of them have, and what
//! an asset's versions make of it.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_128;

use super::{Action, Decision, Verdict, Version};
use crate::flows::intake;

/// Whether something comes for the first time, where that matters: 16 bytes are kept of each then.
pub(super) fn once<T>(
    unique: bool,
    identity: impl Fn(&T) -> String + Send,
) -> impl FnMut(&T) -> bool + Send {
    let mut seen = HashSet::new();
    move |it| !unique || seen.insert(xxh3_128(identity(it).as_bytes()))
}

/// What a version would have that another asset of the plan may have or want too.
#[derive(Default)]
pub(super) struct Claims {
    /// Its name, and the name it would be filed under if that is taken.
    pub(super) name: Option<(u64, String)>,
    /// Its content, as the source quotes it.
    pub(super) content: Option<u128>,
    /// Whether it is filed even when another asset has its content.
    pub(super) settled: bool,
}

/// What earlier assets of a plan have.
#[derive(Default)]
pub(super) struct Taken {
    names: HashSet<u64>,
    /// The key of the first version with each content.
    contents: HashMap<u128, Box<str>>,
    /// Papers, which are filed once however many assets need them.
    papers: HashSet<u128>,
}

/// Two assets of one plan may want the same name; the later one gets another. Two may have the same
/// content; the policy says what becomes of the later one. A paper that an earlier one needs too is
/// with that one.
pub(super) fn settle(decision: &mut Decision, claims: Vec<Claims>, taken: &mut Taken, hold: bool) {
    let mut held = false;
    let mut is_new =
        |key: &str| !intake::is_paper(key) || taken.papers.insert(xxh3_128(key.as_bytes()));
    let Some(versions) = decision.versions.take() else {
        return;
    };
    let before = versions.len();
    let (mut versions, claims): (Vec<Version>, Vec<Claims>) = versions
        .into_iter()
        .zip(claims)
        .filter(|(version, _)| is_new(&version.key))
        .unzip();
    for (version, claims) in versions.iter_mut().zip(claims) {
        if let Some(content) = claims.content {
            let first = taken
                .contents
                .entry(content)
                .or_insert_with(|| version.key.as_str().into());
            if version.duplicate_of.is_none() && intake::asset_of(first) != decision.asset.0 {
                version.duplicate_of = Some(first.to_string());
            }
        }
        if let Some(twin) = &version.duplicate_of
            && version.action.moves()
        {
            if hold && !claims.settled {
                version.action = Action::Blocked;
                version.why = "duplicate".to_owned();
                version.detail =
                    format!("the same content as {twin}: it would be held for a person");
                held = true;
                continue;
            }
            if version.detail.is_empty() {
                version.detail = format!("the same content as {twin}");
            }
        }
        let Some((name, other)) = claims.name else {
            continue;
        };
        if !taken.names.insert(name) && version.filed_as.is_none() {
            version.detail = "another asset of this plan is filed under its name".to_owned();
            version.filed_as = Some(other);
        }
    }
    // Nothing may move any more but what an earlier asset brings along.
    let left = versions.len() < before
        && decision.verdict == Verdict::In
        && !versions.is_empty()
        && !versions.iter().any(|version| version.action.moves());
    decision.versions = Some(versions);
    if held || left {
        judge(decision);
    }
}

/// What becomes of an asset, by its versions.
pub(super) fn judge(decision: &mut Decision) {
    let versions = decision.versions.as_deref().unwrap_or_default();
    let first = |wanted: &dyn Fn(&Version) -> bool| versions.iter().find(|v| wanted(v));
    let (verdict, version) = if let Some(moving) = first(&|v| v.action.moves()) {
        (Verdict::In, Some(moving))
    } else if let Some(blocked) = first(&|v| v.action == Action::Blocked) {
        (Verdict::Blocked, Some(blocked))
    } else {
        // What is found there is read back, but nothing moves.
        (Verdict::Out, versions.last())
    };
    let (why, detail) = match version {
        Some(version) => (version.why.clone(), version.detail.clone()),
        None => (
            "nothing-planned".to_owned(),
            "no version of the plan is left".to_owned(),
        ),
    };
    (decision.verdict, decision.why, decision.detail) = (verdict, why, detail);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(key: &str, action: Action, why: &str) -> Version {
        serde_json::from_value(serde_json::json!({
            "key": key, "action": action, "why": why, "fingerprint": "f"
        }))
        .unwrap()
    }

    fn settled(asset: &str, versions: Vec<Version>, taken: &mut Taken) -> Decision {
        let claims = versions.iter().map(|_| Claims::default()).collect();
        let mut decision = Decision {
            asset: asset.into(),
            title: String::new(),
            verdict: Verdict::Out,
            why: String::new(),
            detail: String::new(),
            collections: Vec::new(),
            versions: Some(versions),
            views: 0,
        };
        judge(&mut decision);
        settle(&mut decision, claims, taken, false);
        decision
    }

    #[test]
    fn an_asset_with_nothing_but_a_paper_of_an_earlier_one_to_file_is_not_in() {
        let mut taken = Taken::default();
        let paper = || version("paper/x", Action::NewDocument, "new");
        assert!(intake::is_paper(&paper().key));
        let first = settled(
            "a",
            vec![paper(), version("a/v", Action::NewDocument, "new")],
            &mut taken,
        );
        assert_eq!(
            (first.verdict, first.versions.unwrap().len()),
            (Verdict::In, 2)
        );
        let blocked = vec![paper(), version("b/v", Action::Blocked, "oversize")];
        let second = settled("b", blocked, &mut taken);
        assert_eq!(
            (second.verdict, second.why.as_str()),
            (Verdict::Blocked, "oversize")
        );
        assert_eq!(second.versions.unwrap().len(), 1);
        let moving = vec![paper(), version("c/v", Action::NewDocument, "new")];
        assert_eq!(settled("c", moving, &mut taken).verdict, Verdict::In);
    }
}
