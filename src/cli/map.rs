//! `map`: the field mapping, tried on one asset.

use serde_json::{Value, json};

use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, DIM, GOOD, WARN, styled};
use super::{Context, connect, record};
use crate::ledger::Reader;
use crate::sidecar::mapping::{Bound, Origin};
use crate::types::{AssetId, NodeId};

/// Try the field mapping.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Test(Test),
}

/// Show for one asset what would be written to which attribute, and why; changes nothing.
///
/// Ends with exit code 3 when something is missing or does not fit.
///
/// Example: longhaul map test 0b1c2d3e-0000-11ee-8000-0242ac120002
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Test {
    /// The asset's id
    #[arg(value_name = "ASSET")]
    asset: String,
}

pub(crate) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    let Command::Test(arguments) = command;
    let settings = context.settings(Vec::new())?;
    if settings.map.is_empty() {
        return Err(Ended::usage(
            "no field is mapped: `map.fields` in the settings says which iconik field fills which category attribute (`longhaul init` writes an example)",
        ));
    }
    let connected = connect::connect(&settings).await?;
    let policy = record::policy(&settings, &connected, false).await?;
    let systems = &connected.systems;
    let id = AssetId(arguments.asset);
    let asset = systems.iconik.asset(&id).await?;
    let metadata = systems.iconik.metadata_of(&asset, None).await?;
    let refusal = policy.refusal(systems, &asset, &metadata).await?;
    let recorded = policy.record(&asset, &metadata, &asset.title, &[])?;
    let node = filed(&settings.ledger.path, &id)?;
    let there = match node {
        Some(node) => connected.systems.content_server.categories(node).await?,
        None => Vec::new(),
    };
    let output = &context.output;
    output.say(styled(BOLD, &asset.title));
    for (field, outcome) in policy.binding.fields.iter().zip(&recorded.bound.fields) {
        let category = there.iter().find(|there| there.id.0 == field.category);
        let mut rows = category
            .into_iter()
            .flat_map(|category| &category.values.0)
            .filter(|(key, _)| field.fills(key))
            .map(|(_, value)| value.clone());
        let now = match (rows.next(), rows.next()) {
            (Some(first), Some(second)) => {
                Some([first, second].into_iter().chain(rows).collect::<Value>())
            }
            (first, _) => first,
        };
        let attribute = match &field.attribute.set {
            Some(set) => format!(
                "{} / {} / {}",
                field.category_name, set.name, field.attribute.name
            ),
            None => format!("{} / {}", field.category_name, field.attribute.name),
        };
        output.event(
            "mapped_field",
            json!({
                "asset": id, "field": outcome.field, "source_field": field.map.source, "category": field.category,
                "category_name": field.category_name, "attribute": field.attribute.name, "source": outcome.source,
                "written": outcome.written, "origin": outcome.origin, "problem": outcome.problem,
                "truth": field.map.truth, "there": now,
            }),
        );
        output.say(format!(
            "  {:<16} {} → {}",
            outcome.field,
            shown(&outcome.source),
            match &outcome.problem {
                Some(_) => styled(BAD, "nothing"),
                None if outcome.written.is_empty() => styled(DIM, "nothing"),
                None => styled(GOOD, shown(&outcome.written)),
            },
        ));
        let why = match outcome.origin {
            Origin::Source => "as it is",
            Origin::Translated => "by the value list",
            Origin::Default => "the mapping's default",
            Origin::Nothing => "no value",
        };
        let now = now.map_or_else(String::new, |now| {
            format!("; there now: {}", shown(std::slice::from_ref(&now)))
        });
        output.note(styled(
            DIM,
            format!(
                "  {:<16} {} → {attribute}, {why}, {} counts{now}",
                "",
                field.map.source,
                field.map.truth.as_str()
            ),
        ));
        if let Some(problem) = &outcome.problem {
            output.say(format!("  {:<16} {}", "", styled(BAD, problem)));
        }
    }
    summary(context, &id, &recorded, refusal.as_deref(), node);
    Ok(if recorded.missing.is_empty() {
        Exit::Done
    } else {
        Exit::Held
    })
}

fn summary(
    context: &Context,
    asset: &AssetId,
    recorded: &crate::flows::publish::Recorded,
    refusal: Option<&str>,
    node: Option<NodeId>,
) {
    let output = &context.output;
    output.event(
        "mapped_asset",
        json!({
            "asset": asset, "final": refusal.is_none(), "why_not": refusal, "place": recorded.place,
            "missing": recorded.missing, "node": node, "values": written(&recorded.bound),
        }),
    );
    if !recorded.place.is_empty() {
        output.say(format!("  place            /{}", recorded.place.join("/")));
    }
    match refusal {
        None => output.say(format!(
            "  {}",
            styled(GOOD, "final: it would be published")
        )),
        Some(why) => output.say(format!("  {} {why}", styled(WARN, "not final, left out:"))),
    }
    for missing in &recorded.missing {
        output.say(format!("  {} {missing}", styled(BAD, "held:")));
    }
    if let Some(node) = node {
        output.note(styled(DIM, format!("  filed as node {node}")));
    }
}

fn written(bound: &Bound) -> Value {
    let values = bound.categories.values().flatten();
    values
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The node that the ledger knows the asset's newest version by, when there is a ledger.
fn filed(path: &std::path::Path, asset: &AssetId) -> anyhow::Result<Option<NodeId>> {
    if !path.exists() {
        return Ok(None);
    }
    let reader = Reader::open(path)?;
    // Versions become items in their own order.
    let mut newest = None;
    reader.each_item_below(&format!("{asset}/"), |item| {
        if let Some(node) = item.node {
            newest = newest.max(Some((item.id, node)));
        }
    })?;
    Ok(newest.map(|(_, node)| node))
}

fn shown(values: &[Value]) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    let texts: Vec<String> = values
        .iter()
        .map(|value| match value {
            Value::String(text) => format!("{text:?}"),
            other => other.to_string(),
        })
        .collect();
    texts.join(", ")
}
