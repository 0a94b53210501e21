//! Assets of a campaign that the ledger has nothing of: what the run said when it left them out.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::Bench;
use super::facts::Facts;
use super::gather::PAGE;
use crate::flows::Error;
use crate::sidecar::campaign::{Exception, LeftOut};
use crate::types::AssetId;

/// Takes note of each: a gap, unless it has no content of its own. At most `most` are listed by
/// themselves; what is beyond is a gap that counts them.
pub(super) async fn explain(
    bench: Bench<'_>,
    lacking: BTreeSet<AssetId>,
    most: usize,
    facts: &mut Facts,
) -> Result<(), Error> {
    if lacking.is_empty() {
        return Ok(());
    }
    let said = said(bench, &lacking).await?;
    let more = lacking.len().saturating_sub(most);
    for asset in lacking.into_iter().take(most) {
        let Some(said) = said.get(asset.as_str()) else {
            facts.exceptions.push(Exception {
                path: format!("asset {asset}"),
                reason: "nothing of it is filed, and this run did not look at it".to_owned(),
            });
            continue;
        };
        let Said { title, why, detail } = said;
        // It has nothing that could be packed: a link, a part of another asset, a deleted one.
        if ["deleted", "no-bytes", "subclip", "reference"].contains(&why.as_str()) {
            facts.left_out.push(LeftOut {
                title: title.clone(),
                asset: asset.0,
                version: None,
                why: why.clone(),
                reason: detail.clone(),
            });
        } else {
            facts.exceptions.push(Exception {
                path: title.clone(),
                reason: format!(
                    "nothing of it is filed, because it was left out ({why}): {detail}"
                ),
            });
        }
    }
    if more > 0 {
        facts.exceptions.push(Exception {
            path: format!("{more} more assets"),
            reason: "nothing of them is filed; the journal says why (`longhaul audit`)".to_owned(),
        });
    }
    Ok(())
}

/// Why an asset was left out.
struct Said {
    title: String,
    why: String,
    detail: String,
}

/// What the run's journal says of these assets, the last word of each.
async fn said(
    bench: Bench<'_>,
    lacking: &BTreeSet<AssetId>,
) -> Result<HashMap<String, Said>, Error> {
    let (mut after, mut said) = (0, HashMap::new());
    loop {
        let lines = bench
            .ledger
            .journal(Some(bench.run), None, after, PAGE)
            .await?;
        let Some(last) = lines.last() else {
            return Ok(said);
        };
        after = last.seq;
        for line in lines.iter().filter(|line| line.event == "left-out") {
            let data: Value = serde_json::from_str(&line.data).unwrap_or_default();
            let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
            let asset = AssetId(text("asset"));
            if lacking.contains(&asset) {
                let own = Said {
                    title: text("title"),
                    why: text("why"),
                    detail: text("detail"),
                };
                said.insert(asset.0, own);
            }
        }
    }
}
