//! Who may do what with a node.

use std::collections::BTreeSet;

use ::http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tracing::debug;

use super::Client;
use super::errors::{Effect, Error, Meaning};
use super::wire;
use crate::types::{Failure, FailureClass, NodeId};

/// Rows asked for at once; a node rarely has more holders of rights.
const MOST_PAGES: u32 = 1_000;

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// One right on a node.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Right { $($(#[$doc])* $name),+ }

        impl Right {
            /// Every right, as the server orders them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The right's name in the server's answers and requests.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// The right with that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|right| right.as_str() == name)
            }
        }
    };
}

rights! {
    /// See that the node exists.
    See = "see",
    /// Read its content, or list what it contains.
    SeeContents = "see_contents",
    /// Change it and add versions.
    Modify = "modify",
    /// Change its categories.
    EditAttributes = "edit_attributes",
    /// Create nodes in it.
    AddItems = "add_items",
    /// Reserve it.
    Reserve = "reserve",
    /// Add major versions.
    AddMajorVersion = "add_major_version",
    /// Delete versions.
    DeleteVersions = "delete_versions",
    /// Delete it.
    Delete = "delete",
    /// Change these rights.
    EditPermissions = "edit_permissions",
}

/// Whose rights a [`Grant`] states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The owner; setting another id changes the owner.
    Owner(Option<i64>),
    /// The owner group; setting another id changes the group.
    Group(Option<i64>),
    /// Everybody.
    Public,
    /// A user, group or role, by id.
    Custom(i64),
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner(_) => f.write_str("the owner"),
            Self::Group(_) => f.write_str("the owner group"),
            Self::Public => f.write_str("everybody"),
            Self::Custom(id) => write!(f, "user or group {id}"),
        }
    }
}

/// Rights of one holder. No rights is a statement too, and not the same as no grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who holds them.
    pub holder: Holder,
    /// What they may do.
    pub rights: BTreeSet<Right>,
}

/// How far down a change of rights reaches. Only containers take anything but
/// [`ThisItem`](Self::ThisItem).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApplyTo {
    /// The node itself.
    #[default]
    ThisItem,
    /// Everything in it.
    SubItems,
    /// The node and everything in it.
    ThisAndSubItems,
    /// The node and what is directly in it.
    ThisAndImmediateSubItems,
}

impl ApplyTo {
    fn code(self) -> u8 {
        match self {
            Self::ThisItem => 0,
            Self::SubItems => 1,
            Self::ThisAndSubItems => 2,
            Self::ThisAndImmediateSubItems => 3,
        }
    }
}

#[derive(Deserialize)]
struct Row {
    #[serde(default, deserialize_with = "names")]
    permissions: Vec<String>,
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    right_id: Option<i64>,
    #[serde(default, rename = "type", deserialize_with = "wire::text")]
    kind: String,
}

/// The names of rights: a list, `null` for none, or one text with all of them, as the reference
/// draws it.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => Vec::new(),
        Value::String(text) => {
            let names = text.split([',', ' ']).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        }
        list => Vec::deserialize(list).map_err(serde::de::Error::custom)?,
    })
}

impl Row {
    fn into_grant(self, node: NodeId) -> Option<Grant> {
        let holder = match (self.kind.as_str(), self.right_id) {
            ("owner", id) => Holder::Owner(id),
            ("group", id) => Holder::Group(id),
            ("public", _) => Holder::Public,
            ("custom", Some(id)) => Holder::Custom(id),
            (kind, _) => {
                debug!(%node, kind, "a kind of permission that is not known was left out");
                return None;
            }
        };
        let rights = self
            .permissions
            .iter()
            .filter_map(|name| Right::from_name(name))
            .collect();
        Some(Grant { holder, rights })
    }
}

impl Client {
    /// Every grant on a node: owner, owner group, everybody, and the assigned ones. A holder that
    /// is missing has no grant. Rights of newer releases that longhaul has no name for are left
    /// out.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node is missing or forbidden; otherwise as any read.
    pub async fn permissions(&self, node: NodeId) -> Result<Vec<Grant>, Failure> {
        self.list_permissions(node).await.map_err(|error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading the permissions of node {node}"))
        })
    }

    /// The signed-in user's name when it certainly lacks `right` on `node`; `None` when it has it,
    /// or when the server does not say (not every release does, and not to everybody).
    ///
    /// # Errors
    ///
    /// Only a refused sign-in.
    pub async fn barred(&self, node: NodeId, right: Right) -> Result<Option<String>, Failure> {
        let asked = async {
            let user = self.current_user().await?;
            let path = format!("v2/nodes/{node}/permissions/effective/{}", user.id);
            let answer = self
                .json(self.call(Method::GET, &path))
                .await
                .map_err(|error| error.into_failure(Effect::Repeatable))?;
            let named = wire::section(&answer, "permissions")
                .ok()
                .and_then(|held| held.get("permissions")?.as_array())
                .map(|names| names.iter().any(|name| name == right.as_str()));
            Ok::<_, Failure>((named == Some(false)).then_some(user.name))
        };
        match asked.await {
            // A server that is gone, or an account that is, shows at the next call; what is asked
            // here is no reason to stop.
            Err(failure)
                if !matches!(
                    failure.class,
                    FailureClass::StopEverything | FailureClass::SignInAgain
                ) =>
            {
                debug!(%node, error = %failure, "the server does not say what we may do");
                Ok(None)
            }
            other => other,
        }
    }

    /// Gives a holder exactly these rights. Safe to repeat. Reaching down into a big tree takes the
    /// server its time.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the node or the right to change it is missing; otherwise as any call
    /// that may be repeated.
    pub async fn set_permissions(
        &self,
        node: NodeId,
        grant: &Grant,
        reach: ApplyTo,
    ) -> Result<(), Failure> {
        let set = async {
            let rights: Vec<_> = grant.rights.iter().map(|right| right.as_str()).collect();
            let mut change = json!({"permissions": rights, "apply_to": reach.code()});
            let base = format!("v2/nodes/{node}/permissions");
            let (method, path) = match grant.holder {
                Holder::Owner(id) => {
                    if let Some(id) = id {
                        change["right_id"] = id.into();
                    }
                    (Method::PUT, format!("{base}/owner"))
                }
                Holder::Group(id) => {
                    if let Some(id) = id {
                        change["right_id"] = id.into();
                    }
                    (Method::PUT, format!("{base}/group"))
                }
                Holder::Public => (Method::PUT, format!("{base}/public")),
                Holder::Custom(id) => {
                    let assigned = self.list_permissions(node).await?;
                    if assigned.iter().any(|other| other.holder == grant.holder) {
                        (Method::PUT, format!("{base}/custom/{id}"))
                    } else {
                        change["right_id"] = id.into();
                        (Method::POST, format!("{base}/custom"))
                    }
                }
            };
            let call = self
                .call(method, &path)
                .body(&change)
                .limit(self.0.config.request_limit);
            self.json(call).await.map(drop)
        };
        set.await.map_err(|error: Error| {
            error.into_failure(Effect::Repeatable).context(format!(
                "setting the permissions of {} on node {node}",
                grant.holder
            ))
        })
    }

    /// Takes a user's or group's own grant away, as far down as said. Safe to repeat.
    ///
    /// # Errors
    ///
    /// As [`set_permissions`](Self::set_permissions).
    pub async fn remove_permissions(
        &self,
        node: NodeId,
        id: i64,
        reach: ApplyTo,
    ) -> Result<(), Failure> {
        let remove = async {
            let path = format!("v2/nodes/{node}/permissions/custom/{id}");
            let mut call = self
                .call(Method::DELETE, &path)
                .repeatable()
                .limit(self.0.config.request_limit);
            if reach != ApplyTo::ThisItem {
                call = call.query("apply_to", &reach.code().to_string());
            }
            match self.json(call).await {
                // A reply that was lost, and the call that took it away.
                Err(error) if error.meaning() == Some(Meaning::Inaccessible) => {
                    let there = self.list_permissions(node).await?;
                    let gone = there.iter().all(|grant| grant.holder != Holder::Custom(id));
                    if gone { Ok(()) } else { Err(error) }
                }
                other => other.map(drop),
            }
        };
        remove.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("removing the permissions of {id} on node {node}"))
        })
    }

    async fn list_permissions(&self, node: NodeId) -> Result<Vec<Grant>, Error> {
        let limit = self.0.config.page_size;
        let mut grants: Vec<Grant> = Vec::new();
        for number in 1..MOST_PAGES {
            let call = self
                .call(Method::GET, &format!("v2/nodes/{node}/permissions"))
                .query("page", &number.to_string())
                .query("limit", &limit.to_string());
            let answer = self.json(call).await?;
            let page = wire::page::<Row>(&answer, "permissions", number, limit)?;
            let before = grants.len();
            for grant in page.rows.into_iter().filter_map(|row| row.into_grant(node)) {
                if !grants.iter().any(|other| other.holder == grant.holder) {
                    grants.push(grant);
                }
            }
            if !page.more || grants.len() == before {
                return Ok(grants);
            }
        }
        Err(Error::Unreadable(format!(
            "the permissions of node {node} do not end"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_keep_the_names_the_server_uses() {
        for right in Right::ALL {
            assert_eq!(Right::from_name(right.as_str()), Some(*right));
        }
        assert_eq!(Right::ALL.len(), 10);
        assert_eq!(Right::from_name("fly"), None);
    }
}
