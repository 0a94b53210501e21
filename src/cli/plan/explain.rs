//! `plan --explain`: why one asset is in or out, with its files and names.

use futures::stream;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::{event, moves};
use crate::cli::Context;
use crate::cli::exit::{Ended, Exit};
use crate::cli::output::{BAD, BOLD, DIM, GOOD, styled};
use crate::cli::select::Selection;
use crate::flows::plan::{Planner, Verdict, Words};
use crate::flows::{self, Systems, Wanted};
use crate::types::{AssetId, display_bytes};

/// A record in lines for people.
fn record_in_words(record: &Value) -> Vec<String> {
    let words = Words::of(record);
    let place = words.place.as_deref().unwrap_or("the target folder");
    let mut lines = vec![format!(
        "as a record in {place}, with {} category values",
        words.values
    )];
    if let Some(class) = words.class {
        lines.push(format!("records classification {class}"));
    }
    if !words.classifications.is_empty() {
        let classes: Vec<String> = words.classifications.iter().map(i64::to_string).collect();
        lines.push(format!("classification {}", classes.join(", ")));
    }
    if !words.marks.is_empty() {
        lines.push(words.marks.join(", "));
    }
    lines.push(words.access.map_or_else(
        || "the folder's permissions".to_owned(),
        |access| format!("permissions of its own: {access}"),
    ));
    if words.papers > 0 {
        lines.push(format!("{} papers prove its rights", words.papers));
    }
    lines
}

/// Everything about one asset.
pub(super) async fn explain(
    context: &Context,
    selection: &Selection,
    systems: &Systems,
    planner: &Planner,
    asset: &str,
) -> anyhow::Result<Exit> {
    let asset = uuid::Uuid::try_parse(asset).map_err(|_| {
        Ended::usage(format!(
            "{asset:?} is no asset id; ids look like 0b1c2d3e-0000-11ee-8000-0242ac120002"
        ))
    })?;
    let asset = AssetId(asset.hyphenated().to_string());
    // The selection itself answers whether it names the asset, however it is written.
    let mut all: BoxStream<'_, Result<Wanted, flows::Error>> = selection.enumerate(systems)()?;
    let mut named = None;
    while let Some(wanted) = all.next().await.transpose()? {
        if wanted.asset == asset {
            named = Some(wanted);
            break;
        }
    }
    drop(all);
    let selected = named.is_some();
    let wanted = named.unwrap_or_else(|| Wanted::from(asset.clone()));
    let decision = planner
        .decisions(stream::iter([Ok(wanted.clone())]).boxed(), false)
        .try_next()
        .await?;
    let mut decision =
        decision.ok_or_else(|| Ended::usage(format!("nothing is known of asset {asset}")))?;
    let mut by_itself = None;
    if !selected {
        by_itself = Some(format!("{} ({})", decision.why, decision.detail));
        decision.verdict = Verdict::Out;
        decision.why = "not-selected".to_owned();
        decision.detail = "the selection does not name it; the search index may lag a little, and what is in the recycle bin is in no selection".to_owned();
    }
    let files = planner.files(&wanted).await?;
    let output = &context.output;
    let mut line = event(&decision);
    line["files"] = json!(files);
    line["selected"] = selected.into();
    line["by_itself"] = json!(by_itself);
    output.event("plan_item", line);
    let word = match decision.verdict {
        Verdict::In => styled(GOOD, "in"),
        Verdict::Out => styled(DIM, "out"),
        Verdict::Blocked => styled(BAD, "blocked"),
    };
    output.say(format!(
        "{} is {word}: {}",
        styled(BOLD, &decision.title),
        decision.why
    ));
    if !decision.detail.is_empty() {
        output.say(format!("  {}", decision.detail));
    }
    if let Some(by_itself) = &by_itself {
        output.say(format!("  by itself it would be: {by_itself}"));
    }
    for version in decision.versions.iter().flatten() {
        let number = match version.number {
            0 => version.key.clone(),
            number => format!("version {number}"),
        };
        let what = if version.action.moves() {
            moves(version)
        } else {
            format!("{}: {}", version.why, version.detail)
        };
        output.say(format!("  {}: {what}", styled(BOLD, number)));
        if let Some(storage) = &version.storage {
            output.say(format!(
                "    from {storage}, into folder {}",
                systems.target
            ));
        }
        for line in version
            .record
            .as_ref()
            .map_or_else(Vec::new, record_in_words)
        {
            output.say(format!("    {line}"));
        }
        if let Some(rights) = &version.rights {
            output.say(format!("    rights: {rights}"));
        }
        for file in files.iter().filter(|file| file.key == version.key) {
            let dir = match file.dir.as_str() {
                "" => String::new(),
                dir => format!("{dir}/"),
            };
            let renamed = if file.name == file.source {
                String::new()
            } else {
                format!(" as {:?}", file.name)
            };
            output.say(format!(
                "    {dir}{}{renamed}, {}",
                file.source,
                display_bytes(file.bytes)
            ));
        }
    }
    Ok(Exit::Done)
}
