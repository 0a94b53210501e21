//! `rights`: what may be done with an asset, and which licences are about to end.

use jiff::civil::Date;
use jiff::{ToSpan as _, Zoned};
use serde_json::json;

use super::exit::{Ended, Exit};
use super::output::{BAD, BOLD, DIM, GOOD, WARN, styled};
use super::{Context, connect, record};
use crate::flows::publish::{values_of, word_of};
use crate::flows::rights::papers::At;
use crate::flows::rights::{self, Licensing, ending};
use crate::iconik::Asset;
use crate::settings::Resolved;
use crate::sidecar::rights::{Policy, Use, Verdict};
use crate::types::{AssetId, Role};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Test(Test),
    Show(Show),
    Expiring(Expiring),
}

/// Answer whether a use of an asset is allowed, and which rule says so.
///
/// A use is a list of a date, a region, a medium and an action, in any order; today is meant when no
/// date is given. Ends with exit code 0 when it is allowed and 3 when it is not, or cannot be told.
///
/// Examples:
///   longhaul rights test ASSET --use 'web, AT, 2027-07-01'
///   longhaul rights test ASSET --use 'tv, DE, count=3' --filed
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Test {
    /// The asset's id
    #[arg(value_name = "ASSET")]
    asset: String,
    /// The use, such as 'web, AT, 2027-07-01'
    #[arg(long = "use", value_name = "USE")]
    wanted: String,
    /// Ask what was filed last instead of what iconik says now
    #[arg(long)]
    filed: bool,
}

/// Show an asset's licence as it would be filed, and the papers that prove it.
///
/// Ends with exit code 3 when a required paper is missing or a value is not understood.
///
/// Example: longhaul rights show 0b1c2d3e-0000-11ee-8000-0242ac120002
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Show {
    /// The asset's id
    #[arg(value_name = "ASSET")]
    asset: String,
}

/// List licences of filed assets that are about to end.
///
/// Example: longhaul rights expiring --within 30d
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Expiring {
    /// How far ahead to look, such as 30d or 12w
    #[arg(long, value_name = "TIME", default_value = "30d")]
    within: String,
}

pub(crate) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    match command {
        Command::Test(arguments) => test(context, &settings, arguments).await,
        Command::Show(arguments) => show(context, &settings, arguments).await,
        Command::Expiring(arguments) => expiring(context, &settings, &arguments),
    }
}

async fn test(context: &Context, settings: &Resolved, arguments: Test) -> anyhow::Result<Exit> {
    let licensing = licensing(settings)?;
    let wanted = Use::parse(&arguments.wanted, &licensing.fields, today())
        .map_err(|what| Ended::usage(format!("--use: {what}")))?;
    let id = AssetId(arguments.asset);
    let (policy, problems) = if arguments.filed {
        (filed(settings, &id)?, Vec::new())
    } else {
        let connected = connect::connect(settings).await?;
        let systems = &connected.systems;
        let asset = systems.iconik.asset(&id).await?;
        let metadata = systems.iconik.metadata_of(&asset, None).await?;
        let (licences, problems) = licensing.read(systems, &id, &metadata).await?;
        let version = asset.current_version().map(|version| version.id.clone());
        let version = version.ok_or_else(|| Ended::usage("the asset has no version"))?;
        let (domain, instance) = (&systems.domain, &systems.instance);
        let policy = rights::policy(domain, instance, &id, &version, &licences, &[]);
        (policy, problems)
    };
    let mut answer = policy.allows(&wanted);
    if !problems.is_empty() && answer.verdict == Verdict::Allowed {
        answer.verdict = Verdict::Unknown;
        answer.because = format!("the licence is not understood: {}", problems.join("; "));
    }
    let output = &context.output;
    let mut line = serde_json::to_value(&answer).unwrap_or_default();
    line["asset"] = json!(id);
    line["use"] = json!(arguments.wanted);
    line["date"] = json!(wanted.day);
    line["filed"] = json!(arguments.filed);
    output.event("rights_answer", line);
    let style = match answer.verdict {
        Verdict::Allowed => GOOD,
        Verdict::NotAllowed => BAD,
        Verdict::Unknown => WARN,
    };
    output.say(format!(
        "{}: {}",
        styled(style, answer.verdict.as_str()),
        answer.because
    ));
    if let Some(rule) = &answer.rule {
        output.say(format!("  {rule}"));
    }
    if !answer.duties.is_empty() {
        output.say(format!("  asks for: {}", answer.duties.join(", ")));
    }
    for problem in &problems {
        output.say(format!("  {} {problem}", styled(BAD, "not understood:")));
    }
    Ok(match answer.verdict {
        Verdict::Allowed => Exit::Done,
        Verdict::NotAllowed | Verdict::Unknown => Exit::Held,
    })
}

async fn show(context: &Context, settings: &Resolved, arguments: Show) -> anyhow::Result<Exit> {
    let licensing = licensing(settings)?;
    let connected = connect::connect(settings).await?;
    let systems = &connected.systems;
    let asset: Asset = systems.iconik.asset(&AssetId(arguments.asset)).await?;
    let metadata = systems.iconik.metadata_of(&asset, None).await?;
    let source = values_of(&metadata);
    let (licences, mut problems) = licensing.read(systems, &asset.id, &metadata).await?;
    let value = |field: &str| word_of(&asset, source.get(field), field);
    let found = Box::pin(licensing.find(systems, &asset, &source, value)).await?;
    problems.extend(found.problems);
    let version = asset.current_version().map(|version| version.id.clone());
    let version = version.ok_or_else(|| Ended::usage("the asset has no version"))?;
    let (domain, instance) = (&systems.domain, &systems.instance);
    let policy = rights::policy(domain, instance, &asset.id, &version, &licences, &[]);
    let output = &context.output;
    let papers: Vec<_> = found
        .papers
        .iter()
        .map(|paper| match &paper.at {
            At::Node(node) => json!({"role": paper.role, "node": node}),
            At::Source(master) => json!({
                "role": paper.role, "asset": master.asset,
                "file": master.files.first().map(|file| &file.name),
            }),
        })
        .collect();
    output.event(
        "rights",
        json!({
            "asset": asset.id, "title": asset.title, "ends": policy.ends(),
            "licences": policy.licences().into_iter().map(|(name, ends)| json!({"name": name, "ends": ends})).collect::<Vec<_>>(),
            "status": policy.status.map(crate::sidecar::rights::Status::as_str),
            "permissions": words(&policy.permissions), "prohibitions": words(&policy.prohibitions),
            "papers": papers, "problems": problems,
        }),
    );
    output.say(styled(BOLD, &asset.title));
    for rule in &policy.permissions {
        let licence = rule.licence.as_ref();
        let licence = licence.map_or_else(String::new, |name| format!("{name}: "));
        output.say(format!(
            "  {} {licence}{}",
            styled(GOOD, "may be used:"),
            rule.words()
        ));
        if !rule.duties.is_empty() {
            output.say(format!("    asks for: {}", rule.duties.join(", ")));
        }
    }
    for rule in &policy.prohibitions {
        output.say(format!("  {} {}", styled(BAD, "may not:"), rule.words()));
    }
    for paper in &found.papers {
        let at = match &paper.at {
            At::Node(node) => format!("node {node}"),
            At::Source(master) => {
                let name = master.files.first().map_or("", |file| file.name.as_str());
                format!("{name} of asset {}", master.asset)
            }
        };
        output.say(format!(
            "  {} {at}",
            styled(DIM, format!("{}:", paper.role))
        ));
    }
    for problem in &problems {
        output.say(format!("  {} {problem}", styled(BAD, "held:")));
    }
    Ok(if problems.is_empty() {
        Exit::Done
    } else {
        Exit::Held
    })
}

fn words(rules: &[crate::sidecar::rights::odrl::Rule]) -> Vec<String> {
    rules
        .iter()
        .map(crate::sidecar::rights::odrl::Rule::words)
        .collect()
}

fn expiring(context: &Context, settings: &Resolved, arguments: &Expiring) -> anyhow::Result<Exit> {
    let days = days(&arguments.within)?;
    let reader = connect::existing_ledger(settings)?;
    let from = today();
    let until = from
        .checked_add(days.days())
        .map_err(|_| Ended::usage("--within: that is too far ahead"))?;
    let output = &context.output;
    let count = ending::ending(&reader, from, until, |one| {
        output.event(
            "rights_ending",
            serde_json::to_value(&one).unwrap_or_default(),
        );
        let licence = one.licence.as_ref();
        let licence = licence.map_or_else(String::new, |name| format!("  licence {name}"));
        output.say(format!(
            "{}  {}{licence}  {}",
            styled(WARN, one.ends),
            styled(BOLD, &one.title),
            styled(DIM, &one.asset)
        ));
    })?;
    output.event(
        "rights_ending_summary",
        json!({"from": from, "until": until, "licences": count}),
    );
    output.say(match count {
        1 => format!("1 licence ends from {from} to {until}"),
        _ => format!("{count} licences end from {from} to {until}"),
    });
    Ok(Exit::Done)
}

/// How many licences of filed assets end within `days` from today.
pub(super) fn soon(reader: &crate::ledger::Reader, days: i64) -> anyhow::Result<u64> {
    let from = today();
    Ok(ending::ending(
        reader,
        from,
        from.saturating_add(days.days()),
        |_| {},
    )?)
}

/// Days of `30d`, `12w`, `1y` or a plain number.
fn days(text: &str) -> anyhow::Result<i64> {
    let text = text.trim();
    let units = [('d', 1), ('w', 7), ('y', 365)];
    let unit = units
        .iter()
        .find_map(|(unit, days)| Some((text.strip_suffix(*unit)?, *days)));
    let (number, factor) = unit.unwrap_or((text, 1));
    let days = number.trim().parse::<u32>().ok();
    days.map(|days| i64::from(days) * factor).ok_or_else(|| {
        Ended::usage(format!(
            "--within: {text:?} is no number of days; write 30d, 12w or 1y"
        ))
    })
}

fn today() -> Date {
    Zoned::now().date()
}

fn licensing(settings: &Resolved) -> anyhow::Result<std::sync::Arc<Licensing>> {
    record::licensing(settings).filter(|own| own.has_sidecar()).ok_or_else(|| {
        Ended::usage(
            "no licence is configured: `rights.fields` in the settings says which iconik fields hold it",
        )
    })
}

/// The rights sidecar that was filed last for an asset.
fn filed(settings: &Resolved, asset: &AssetId) -> anyhow::Result<Policy> {
    const FILES: usize = 10_000;
    let reader = connect::existing_ledger(settings)?;
    // Versions become items in their own order: the newest has the highest number.
    let mut items = Vec::new();
    reader.each_item_below(&format!("{asset}/"), |item| {
        items.push((item.id, item.files));
    })?;
    items.sort_unstable();
    for (item, files) in items.into_iter().rev() {
        // Sidecars come behind the files of a master, however many these are.
        let from = files.saturating_sub(FILES as u64);
        for file in reader.files(item, from, FILES)? {
            if Role::from_name(&file.role) == Some(Role::Rights)
                && let (Some(content), Some(_)) = (&file.content, file.node)
            {
                return Policy::parse(content)
                    .map_err(|what| Ended::usage(format!("the rights of {asset}: {what}")));
            }
        }
    }
    Err(Ended::usage(format!(
        "no rights of asset {asset} are filed; without --filed iconik is asked"
    )))
}
