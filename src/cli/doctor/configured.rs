//! What the flows are configured with: workflow maps, the audience, folders, attributes and
//! schedules that the settings name.

use super::super::exit::Exit;
use super::super::{approval, exchange, explain, lifecycle, references, schedule};
use super::{Findings, cross_reference, folder};
use crate::content_server::Client;
use crate::flows::approval::startable;
use crate::ledger::Reader;
use crate::settings::{Duplicates, ReferenceOrigin, Resolved};
use crate::types::NodeId;

/// Looks at all of it, as far as it is configured.
pub(super) async fn look(
    client: &Client,
    settings: &Resolved,
    target: NodeId,
    findings: &mut Findings<'_>,
) {
    look_at_approval(client, settings, target, findings).await;
    look_at_references(client, settings, target, findings).await;
    look_at_lifecycle(client, settings, target, findings).await;
    if settings.migrate.duplicates == Duplicates::Hold {
        findings.ok(
            "duplicates",
            "held by the size and MD5 that iconik quotes; what has no MD5 there or several files is filed without a look: `longhaul plan migrate` counts it",
        );
    }
    if settings.exchange.comments.is_some() {
        match exchange::attribute(settings, client, target).await {
            Ok(_) => findings.ok("exchange", "the attribute for comments is there"),
            Err(error) => findings.error(
                "exchange",
                &error,
                "name an attribute of a category in `exchange.comments`",
            ),
        }
    }
    let wrong: Vec<String> = settings
        .schedule
        .iter()
        .filter_map(|line| schedule::wrong(line).map(|what| format!("{line:?} {what}")))
        .collect();
    if !wrong.is_empty() {
        findings.fail(
            "schedule",
            wrong.join("; "),
            "mend `schedule.flows`: command lines without `longhaul`",
            Exit::Usage,
        );
    } else if !settings.schedule.is_empty() {
        findings.ok("schedule", settings.schedule.join("; "));
    }
}

async fn look_at_approval(
    client: &Client,
    settings: &Resolved,
    target: NodeId,
    findings: &mut Findings<'_>,
) {
    const REMEDY: &str = "mend `approval` in the settings";
    if settings.approval.routes.is_empty() {
        return;
    }
    let policy = match approval::policy(settings, client, target).await {
        Ok(policy) => policy,
        Err(error) => return findings.error("approval", &error, REMEDY),
    };
    // Content Server says what can be started for a document only: the first that is filed.
    let filed = Reader::open(&settings.ledger.path)
        .and_then(|reader| reader.filed("", 1))
        .ok()
        .and_then(|items| items.first()?.node);
    let Some(document) = filed else {
        let maps: Vec<String> = policy
            .routes
            .iter()
            .map(|route| format!("{:?}", route.map))
            .collect();
        return findings.unknown(
            "approval",
            format!(
                "whether {} can be started is told for filed documents only",
                maps.join(", ")
            ),
            "file one asset, then ask again",
        );
    };
    match startable(client, document, &policy.routes).await {
        Ok(found) => {
            for (route, found) in policy.routes.iter().zip(found) {
                let what = format!("approval `{}`", route.name);
                match found {
                    Ok(map) => findings.ok(
                        &what,
                        format!("{:?} (node {map}) can be started by this user", route.map),
                    ),
                    Err(why) => findings.fail(
                        &what,
                        why,
                        "a map's owner gives longhaul's user the right to initiate it",
                        Exit::Usage,
                    ),
                }
            }
        }
        Err(failure) => findings.error(
            "approval",
            &failure.into(),
            "longhaul's user must be able to list workflows",
        ),
    }
}

async fn look_at_references(
    client: &Client,
    settings: &Resolved,
    target: NodeId,
    findings: &mut Findings<'_>,
) {
    let configured = &settings.references;
    if let Some(audience) = configured.audience {
        match references::confirm(audience, client).await {
            Ok(()) => findings.ok(
                "references' audience",
                format!("member {audience} is there"),
            ),
            // A missing member looks like a server in trouble, which was seen to be well before.
            Err(error) => findings.fail(
                "references' audience",
                explain(&error),
                "name the id of a group in `references.audience`",
                Exit::Usage,
            ),
        }
    }
    for rule in &configured.rules {
        let what = format!("references `{}`", rule.name);
        if let ReferenceOrigin::Folder(id) = &rule.origin {
            folder(client, &what, *id, findings).await;
        }
        if let Err(error) = references::compiled(rule, client, target).await {
            findings.error(&what, &error, "mend the rule in `references.rules`");
        }
    }
}

async fn look_at_lifecycle(
    client: &Client,
    settings: &Resolved,
    target: NodeId,
    findings: &mut Findings<'_>,
) {
    let configured = &settings.lifecycle;
    if configured.attribute.is_some() || configured.outcome.is_some() {
        match lifecycle::policy(settings, client, target).await {
            Ok(_) => findings.ok("lifecycle", "its attributes are there"),
            Err(error) => findings.error("lifecycle", &error, "mend `lifecycle` in the settings"),
        }
    }
    if let Some(wanted) = &configured.cross_reference {
        cross_reference(client, "lifecycle.cross_reference", wanted, findings).await;
    }
    if configured.destroy {
        findings.warn(
            "lifecycle.destroy",
            "media that Content Server disposes of are deleted in iconik",
            "meant so? each still needs a person's decision, and lies in iconik's recycle bin",
        );
    }
}
