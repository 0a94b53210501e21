//! What protects a node beyond its permissions, and where it came from: holds, security
//! clearance, external dates.

use std::collections::BTreeSet;

use ::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::debug;

use super::errors::{Effect, Error, Meaning, Refusal};
use super::wire::{maybe_flag, maybe_text};
use super::{Client, wire};
use crate::types::{Failure, NodeId};

/// A hold on a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeHold {
    /// The hold's id.
    #[serde(rename = "hold_id", deserialize_with = "wire::whole")]
    pub id: i64,
    /// Its name.
    #[serde(default, rename = "hold_name", deserialize_with = "wire::text")]
    pub name: String,
    /// Its type code.
    #[serde(default, rename = "hold_type", deserialize_with = "maybe_text")]
    pub kind: Option<String>,
    /// Why it was made.
    #[serde(default, rename = "hold_comment", deserialize_with = "maybe_text")]
    pub comment: Option<String>,
    /// When it was put on the node.
    #[serde(default, deserialize_with = "maybe_text")]
    pub date_applied: Option<String>,
    /// Whether it protects: a suspended one does not. `None` when the server does not say.
    #[serde(default, deserialize_with = "maybe_flag")]
    pub active: Option<bool>,
}

impl NodeHold {
    /// Whether it must be taken to protect the node.
    pub fn protects(&self) -> bool {
        self.active != Some(false)
    }
}

/// The holds on a node and on everything it lies in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldsOver {
    /// Each hold once, with the node nearest to the one asked for that has it.
    pub holds: Vec<(NodeId, NodeHold)>,
    /// Containers on the way whose holds we may not see.
    pub unseen: Vec<NodeId>,
}

/// A node's security clearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// The clearance level that somebody needs to see it; `None` when there is none.
    pub level: Option<i64>,
    /// The supplemental markings, of which somebody needs all.
    pub markings: BTreeSet<String>,
    /// Whether we may change them, when the server says so.
    pub can_edit: Option<bool>,
}

/// Where a node came from, in the server's own fields. As wishes: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExternalFacts {
    /// When it was made there: `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SS`, without a zone.
    #[serde(rename = "external_create_date", deserialize_with = "maybe_text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When it was changed there, in the same form.
    #[serde(rename = "external_modify_date", deserialize_with = "maybe_text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// The kind of system: one of the server's own words, such as `file_system` or
    /// `cloud_storage`.
    #[serde(rename = "external_source", deserialize_with = "maybe_text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Who made it there.
    #[serde(rename = "external_identity", deserialize_with = "maybe_text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// What kind of name that is: one of the server's own words, such as `email_address`.
    #[serde(rename = "external_identity_type", deserialize_with = "maybe_text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_type: Option<String>,
}

impl ExternalFacts {
    /// Whether `there` fulfils every wish. A day equals its midnight.
    pub fn fulfilled_by(&self, there: &Self) -> bool {
        let day = |text: &String| {
            let text = text.trim_end_matches('Z');
            text.strip_suffix("T00:00:00").unwrap_or(text).to_owned()
        };
        let same = |wanted: &Option<String>, there: &Option<String>| {
            wanted.is_none() || wanted.as_ref().map(day) == there.as_ref().map(day)
        };
        same(&self.created, &there.created)
            && same(&self.modified, &there.modified)
            && same(&self.source, &there.source)
            && same(&self.identity, &there.identity)
            && same(&self.identity_type, &there.identity_type)
    }
}

#[derive(Deserialize)]
struct AncestorRow {
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
}

impl Client {
    /// The holds on a node, suspended ones included; those that reach it from above only where the
    /// server counts them.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node is missing or forbidden, `Unsupported` where there are no
    /// holds; otherwise as any read.
    pub async fn holds_on(&self, node: NodeId) -> Result<Vec<NodeHold>, Failure> {
        self.list_holds(node).await.map_err(|error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading the holds on node {node}"))
        })
    }

    /// The holds on a node and on every container above it.
    ///
    /// # Errors
    ///
    /// As [`holds_on`](Self::holds_on).
    pub async fn holds_over(&self, node: NodeId) -> Result<HoldsOver, Failure> {
        let read = async {
            let mut over = HoldsOver::default();
            let mut known = BTreeSet::new();
            let own = self.list_holds(node).await?;
            for hold in own {
                if known.insert(hold.id) {
                    over.holds.push((node, hold));
                }
            }
            let mut above = self.list_ancestors(node).await?;
            above.reverse();
            for container in above {
                if container == node {
                    continue;
                }
                match self.list_holds(container).await {
                    Ok(holds) => {
                        for hold in holds {
                            if known.insert(hold.id) {
                                over.holds.push((container, hold));
                            }
                        }
                    }
                    Err(error)
                        if matches!(
                            error.meaning(),
                            Some(Meaning::Inaccessible | Meaning::Forbidden)
                        ) =>
                    {
                        debug!(%container, %error, "its holds are not for us");
                        over.unseen.push(container);
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(over)
        };
        read.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading the holds on node {node} and above it"))
        })
    }

    async fn list_holds(&self, node: NodeId) -> Result<Vec<NodeHold>, Error> {
        let path = format!("v1/nodes/{node}/holds");
        let answer = self.json(self.call(Method::GET, &path)).await?;
        match answer.get("data") {
            Some(Value::Array(rows)) => rows.iter().map(|row| wire::parse(row, "data")).collect(),
            Some(Value::Null) => Ok(Vec::new()),
            // An answer, and the same when asked again; never taken for "no holds".
            _ => Err(Error::Refused(Refusal {
                meaning: Meaning::Invalid,
                status: 200,
                text:
                    "its list of holds has no `data`, so whether the node is on hold is not known"
                        .to_owned(),
                retry_after: None,
            })),
        }
    }

    /// What a node lies in, the volume first; on some releases the node itself comes last.
    async fn list_ancestors(&self, node: NodeId) -> Result<Vec<NodeId>, Error> {
        let path = format!("v1/nodes/{node}/ancestors");
        let answer = self.json(self.call(Method::GET, &path)).await?;
        let Some(Value::Array(rows)) = answer.get("ancestors") else {
            return Err(wire::missing("ancestors"));
        };
        rows.iter()
            .map(|row| Ok(NodeId(wire::parse::<AncestorRow>(row, "ancestors")?.id)))
            .collect()
    }

    /// The security clearance and markings of a node.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node is missing or forbidden, `Unsupported` where there are none;
    /// otherwise as any read.
    pub async fn security(&self, node: NodeId) -> Result<Security, Failure> {
        self.get_security(node).await.map_err(|error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading the security clearance of node {node}"))
        })
    }

    async fn get_security(&self, node: NodeId) -> Result<Security, Error> {
        let path = format!("v1/nodes/{node}/securityclearances");
        let answer = self.json(self.call(Method::GET, &path)).await?;
        let data = answer
            .get("data")
            .filter(|data| data.is_object())
            .ok_or_else(|| wire::missing("data"))?;
        let markings = match data.get("supplemental_markings") {
            Some(Value::Array(rows)) => rows
                .iter()
                .map(|row| {
                    let name = row.get("supplemental_marking").unwrap_or(row);
                    let name = name.as_str().filter(|name| !name.is_empty());
                    name.map(str::to_owned).ok_or_else(|| {
                        wire::missing("data.supplemental_markings[].supplemental_marking")
                    })
                })
                .collect::<Result<_, _>>()?,
            None | Some(Value::Null) => BTreeSet::new(),
            Some(_) => {
                return Err(Error::Unreadable(
                    "data.supplemental_markings is no list".to_owned(),
                ));
            }
        };
        Ok(Security {
            level: data
                .get("clearance_level")
                .and_then(wire::signed)
                .filter(|level| *level > 0),
            markings,
            can_edit: data.get("can_user_edit_security").and_then(Value::as_bool),
        })
    }

    /// Sets the clearance level, where one is given, and the markings of a node to exactly these.
    /// Safe to repeat: what is so already is not written.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when we may not, `ItemIsWrong` for levels and markings that the server does
    /// not have or does not keep.
    pub async fn set_security(
        &self,
        node: NodeId,
        level: Option<i64>,
        markings: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let doing = || format!("setting the security clearance of node {node}");
        let done = |there: &Security| {
            there.markings == *markings && (level.is_none() || there.level == level)
        };
        let set = async {
            let before = self.get_security(node).await?;
            if done(&before) {
                return Ok(true);
            }
            let mut change = json!({ "supplemental_markings": markings });
            if let Some(level) = level {
                change["clearance_level"] = level.into();
            }
            let path = format!("v1/nodes/{node}/securityclearances");
            let call = || self.call(Method::PUT, &path).repeatable().mute();
            let answer = self.write(call, &change).await;
            let there = done(&self.get_security(node).await?);
            match answer {
                Err(error) if !there => Err(error),
                _ => Ok(there),
            }
        };
        let there = set
            .await
            .map_err(|error: Error| error.into_failure(Effect::Repeatable).context(doing()))?;
        if there {
            return Ok(());
        }
        Err(Failure::item(
            crate::types::Reason::Other,
            format!("{}: the server took it and still says otherwise", doing()),
        ))
    }

    /// Where a node came from, as the server holds it.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node is missing or forbidden; otherwise as any read.
    pub async fn external_facts(&self, node: NodeId) -> Result<ExternalFacts, Failure> {
        self.get_external(node).await.map_err(|error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading where node {node} came from"))
        })
    }

    async fn get_external(&self, node: NodeId) -> Result<ExternalFacts, Error> {
        let call = self
            .call(Method::GET, &format!("v2/nodes/{node}"))
            .query("fields", "properties");
        let answer = self.json(call).await?;
        wire::parse(wire::section(&answer, "properties")?, "properties")
    }

    /// Says where a node came from; what the server holds afterwards. Only the two dates are known
    /// to be taken after a node was made: compare what comes back
    /// ([`fulfilled_by`](ExternalFacts::fulfilled_by)). Safe to repeat: what is so already is not
    /// written.
    ///
    /// # Errors
    ///
    /// As any call that may be repeated.
    pub async fn set_external_facts(
        &self,
        node: NodeId,
        wanted: &ExternalFacts,
    ) -> Result<ExternalFacts, Failure> {
        let set = async {
            let before = self.get_external(node).await?;
            if wanted.fulfilled_by(&before) {
                return Ok(before);
            }
            let call = self
                .call(Method::PUT, &format!("v2/nodes/{node}"))
                .body(&json!(wanted))
                .repeatable();
            self.json(call).await?;
            self.get_external(node).await
        };
        set.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("saying where node {node} came from"))
        })
    }
}
