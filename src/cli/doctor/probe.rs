//! `doctor --probe`: asks Content Server how it behaves, and says what that means.

use serde_json::json;

use super::super::exit::{Ended, Exit};
use super::super::output::{DIM, styled};
use super::super::{Context, connect, record, signals};
use super::{Arguments, Findings, Verdict};
use crate::content_server::{Client, Right};
use crate::flows::probe::{self, Answer, Ask, Event, Left, NOT_ASKED, QUESTIONS, Removed};
use crate::ledger::Reader;
use crate::settings::{ContentServerSettings, Resolved};
use crate::transfer::Destination as _;
use crate::types::{ByteCount, KIB, MIB, NodeId, display_bytes, parse_size};

/// What may be sent at most: enough for the smallest upload session of a usual server.
const SEND_LIMIT: ByteCount = 256 * MIB;
/// A profile older than this is worth asking for again.
const OLD_DAYS: i64 = 180;

pub(super) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let send_up_to = parse_size(&arguments.send_up_to)
        .map_err(|error| Ended::usage(format!("--send-up-to: {error}")))?;
    if !(4 * KIB..=SEND_LIMIT).contains(&send_up_to) {
        return Err(Ended::usage(format!(
            "--send-up-to: write a size from 4 KiB to {}",
            display_bytes(SEND_LIMIT)
        )));
    }
    let settings = context.settings(Vec::new())?;
    let configured = settings.content_server()?;
    if !arguments.yes {
        plan(context, configured.target.staging, send_up_to);
        if arguments.dry_run {
            return Ok(Exit::Done);
        }
        return Err(Ended::usage(format!(
            "--probe writes to Content Server: a folder of its own in the staging folder (node {}), which it removes again; say --yes to agree, or --dry-run to see what it would do",
            configured.target.staging
        )));
    }
    let http = connect::http_client(&settings)?;
    let client = connect::unprobed(&settings, &http).await?;
    let staging = configured.target.staging;
    // Signs in, and refuses a folder that nothing can be made in, before the ledger is made.
    client.node(staging).await?;
    if let Some(user) = client.barred(staging, Right::AddItems).await? {
        return Err(Ended(
            Exit::Refused,
            format!(
                "content_server.target.staging = {staging}: user {user:?} may not add items there; give it that right"
            ),
        )
        .into());
    }
    let ledger = connect::open_ledger(&settings.ledger.path, "doctor --probe")?;
    let ask = Ask {
        server: configured.url.as_str().to_owned(),
        parent: staging,
        send_up_to,
        category: category(&settings, &client).await,
    };
    let stop = signals::listen(std::sync::Arc::clone(&context.output))?;
    let mut worst = Verdict::Ok;
    let mut left_behind = false;
    let mut tell = |event: Event<'_>| match event {
        Event::Answer(answer) => {
            worst = worst.max(verdict(answer.verdict));
            say(context, answer);
        }
        Event::Made { node, name } => {
            made(context, node, name);
        }
        Event::Earlier(left) | Event::Removed(left) => {
            left_behind |= !matches!(left.removed, Removed::Deleted { .. });
            gone(context, left);
        }
    };
    let asked = tokio::select! {
        asked = probe::ask(&client, &ledger, &ask, &mut tell) => Some(asked),
        () = stop.drain.cancelled() => None,
    };
    let Some(asked) = asked else {
        probe::clean(&client, &ledger, &ask.server, &mut tell).await?;
        return Err(Ended(
            Exit::Stopped,
            "stopped; the questions were not all asked and nothing was learnt".to_owned(),
        )
        .into());
    };
    let stored = asked?;
    for (question, why) in NOT_ASKED {
        say(
            context,
            &Answer {
                question: question.to_owned(),
                verdict: probe::Verdict::Unknown,
                seen: "not asked".to_owned(),
                means: why.to_owned(),
            },
        );
    }
    let version = match stored.version.as_str() {
        "" => "an unnamed release",
        version => version,
    };
    context.output.event(
        "profile",
        json!({
            "server": ask.server, "version": stored.version, "asked": stored.asked.to_string(),
            "profile": stored.profile,
        }),
    );
    context.output.say(format!(
        "\nkept in {}: every command goes by it while the server is of {version}",
        settings.ledger.path.display()
    ));
    Ok(match (worst, left_behind) {
        (Verdict::Fail, _) | (_, true) => Exit::SomeFailed,
        _ => Exit::Done,
    })
}

/// A category to try: the first that the mapping names. A mapping that does not fit is `doctor`'s
/// to report.
async fn category(settings: &Resolved, client: &Client) -> Option<(NodeId, String)> {
    let configured = settings.content_server().ok()?;
    let binding = record::binding(&settings.map, client, configured.target.folder).await;
    let field = binding.ok()?.fields.into_iter().next()?;
    Some((NodeId(field.category), field.category_name))
}

fn verdict(verdict: probe::Verdict) -> Verdict {
    match verdict {
        probe::Verdict::Ok => Verdict::Ok,
        probe::Verdict::Unknown => Verdict::Unknown,
        probe::Verdict::Warn => Verdict::Warn,
        probe::Verdict::Fail => Verdict::Fail,
    }
}

fn plan(context: &Context, staging: NodeId, send_up_to: ByteCount) {
    let output = &context.output;
    output.say(format!(
        "would make a folder longhaul-probe-… in the staging folder (node {staging}), do this in it, and delete it \
         (into the recycle bin, where the server has one); no body or session of more than {}",
        display_bytes(send_up_to)
    ));
    for question in QUESTIONS {
        output.say(format!("  {:<20} {}", question.id, question.asks));
        output.say(format!("  {:<20} {}", "", styled(DIM, question.does)));
        output.event(
            "probe_planned",
            json!({"question": question.id, "asks": question.asks, "does": question.does}),
        );
    }
    for (question, why) in NOT_ASKED {
        output.say(format!("  {question:<20} not asked: {why}"));
        output.event(
            "probe_planned",
            json!({"question": question, "asks": why, "does": null}),
        );
    }
}

fn say(context: &Context, answer: &Answer) {
    let (word, style) = verdict(answer.verdict).word();
    let output = &context.output;
    output.say(format!(
        "{} {}: {}",
        styled(style, format!("{word:7}")),
        answer.question,
        answer.seen
    ));
    output.say(format!("        {}", styled(DIM, &answer.means)));
    output.event(
        "probe",
        json!({
            "question": answer.question, "verdict": word, "seen": answer.seen, "means": answer.means,
        }),
    );
}

fn made(context: &Context, node: NodeId, name: &str) {
    let output = &context.output;
    output.say(format!("made    folder {name} (node {node})"));
    output.event(
        "probe_scratch",
        json!({"node": node, "name": name, "state": "made", "in_recycle_bin": null, "message": null}),
    );
}

fn gone(context: &Context, left: &Left) {
    let Left {
        node,
        name,
        removed,
    } = left;
    let (state, bin, message) = match removed {
        Removed::Deleted { in_bin } => (
            "deleted",
            *in_bin,
            match in_bin {
                Some(true) => "it lies in the recycle bin until that is emptied".to_owned(),
                Some(false) => "it is not in the recycle bin".to_owned(),
                None => "the server does not show whether it is in the recycle bin".to_owned(),
            },
        ),
        Removed::Foreign(why) => (
            "left",
            None,
            format!("it was left: {why}; look at it, and delete it by hand"),
        ),
        Removed::Failed(why) => (
            "left",
            None,
            format!(
                "it could not be deleted: {why}; the next probe tries again, or delete it by hand"
            ),
        ),
    };
    let output = &context.output;
    output.say(format!("{state:7} folder {name} (node {node}): {message}"));
    output.event(
        "probe_scratch",
        json!({"node": node, "name": name, "state": state, "in_recycle_bin": bin, "message": message}),
    );
}

fn ago(stored: &probe::Stored) -> String {
    match stored.days() {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days => format!("{days} days ago"),
    }
}

/// What `doctor` says of the profile that is kept of this server.
pub(super) fn stored(
    settings: &Resolved,
    configured: &ContentServerSettings,
    version: Option<&str>,
    findings: &mut Findings<'_>,
) {
    const ASK: &str = "`longhaul doctor --probe --yes` asks it, in a scratch folder";
    let known = Reader::open(&settings.ledger.path)
        .ok()
        .and_then(|reader| probe::profiles(&reader, configured.url.as_str()).ok())
        .unwrap_or_default();
    let version = version.unwrap_or_default();
    match known.iter().find(|stored| stored.version == version) {
        Some(stored) => {
            let text = format!("probed {}, and followed", ago(stored));
            if stored.days() > OLD_DAYS {
                findings.warn("profile", text, ASK);
            } else {
                findings.ok("profile", text);
            }
        }
        None => match known.first() {
            Some(old) => findings.warn(
                "profile",
                format!(
                    "probed {} as {:?}, now it is {version:?}: not followed",
                    ago(old),
                    old.version
                ),
                ASK,
            ),
            None => findings.unknown("profile", "this server was never asked how it behaves", ASK),
        },
    }
}
