//! Users and groups by name, and searches.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use ::http::Method;
use futures::stream::{self, BoxStream, StreamExt as _};
use serde::Deserialize;

use super::errors::{Effect, Error};
use super::wire::{maybe_flag, maybe_text};
use super::{Client, wire};
use crate::types::{Failure, FailureClass, NodeId};

/// Rows per page of members: the server refuses or cuts more.
const MEMBERS: u32 = 20;
/// Names of members that are kept; all are forgotten when there are more.
const KEPT: usize = 4096;
/// Pages after which a listing counts as endless.
const MOST_PAGES: u32 = 100_000;
/// Pages of a search in a row that may hold nothing but more versions of what was found already.
const MOST_STALE: u32 = 20;

/// Whom a look-up is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// Somebody with an account.
    User,
    /// A group.
    Group,
}

impl MemberKind {
    fn code(self) -> i64 {
        match self {
            Self::User => 0,
            Self::Group => 1,
        }
    }
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// The id, as permissions and workflows name it.
    #[serde(deserialize_with = "wire::whole")]
    pub id: i64,
    /// The login name, or the group's name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// 0 for a user, 1 for a group.
    #[serde(default, rename = "type", deserialize_with = "wire::maybe_whole")]
    pub kind: Option<i64>,
    /// First name.
    #[serde(default, deserialize_with = "maybe_text")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default, deserialize_with = "maybe_text")]
    pub last_name: Option<String>,
    /// Mail address.
    #[serde(default, rename = "business_email", deserialize_with = "maybe_text")]
    pub email: Option<String>,
    /// Whether it is gone: the server keeps the row.
    #[serde(default, deserialize_with = "maybe_flag")]
    pub deleted: Option<bool>,
}

impl Member {
    /// First and last name as far as they are known, else the login or group name.
    pub fn display_name(&self) -> String {
        let names = [self.first_name.as_deref(), self.last_name.as_deref()];
        let names = names.into_iter().flatten().map(str::trim);
        let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        match names.is_empty() {
            true => self.name.trim().to_owned(),
            false => names.join(" "),
        }
    }
}

/// Names that were asked for, and that there is none to be seen.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<i64, Option<String>>>);

/// Something that a search found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SearchHit {
    /// The node. The index lags behind writes: read it before acting on it.
    #[serde(deserialize_with = "wire::whole")]
    id: i64,
    /// Its name.
    #[serde(default, deserialize_with = "wire::text")]
    pub name: String,
    /// Its subtype.
    #[serde(default, rename = "type", deserialize_with = "wire::maybe_whole")]
    pub subtype: Option<i64>,
    #[serde(default, deserialize_with = "wire::maybe_whole")]
    parent_id: Option<i64>,
}

impl SearchHit {
    /// The node that was found.
    pub fn node(&self) -> NodeId {
        NodeId(self.id)
    }

    /// The container it is in, when said.
    pub fn parent(&self) -> Option<NodeId> {
        self.parent_id.map(NodeId)
    }
}

impl Client {
    /// The user or group of exactly that name, in any case; deleted ones are none.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn find_member(
        &self,
        kind: MemberKind,
        name: &str,
    ) -> Result<Option<Member>, Failure> {
        let wanted = name.trim().to_lowercase();
        let find = async {
            let ask = |page: u32| {
                self.call(Method::GET, "v2/members")
                    .query("where_type", &kind.code().to_string())
                    .query("where_name", name.trim())
                    .query("page", &page.to_string())
                    .query("limit", &MEMBERS.to_string())
            };
            let all = self.member_pages(ask).await?;
            Ok(all.into_iter().find(|member| {
                member.name.trim().to_lowercase() == wanted
                    && member.deleted != Some(true)
                    && member.kind.is_none_or(|own| own == kind.code())
            }))
        };
        find.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("looking for {kind:?} {name:?}"))
        })
    }

    /// A user or group by id.
    ///
    /// # Errors
    ///
    /// As any read; the server answers for a missing one as for any odd request.
    pub async fn member(&self, id: i64) -> Result<Member, Failure> {
        let read = async {
            let path = format!("v2/members/{id}");
            let answer = self.json(self.call(Method::GET, &path)).await?;
            wire::parse(wire::section(&answer, "properties")?, "properties")
        };
        read.await.map_err(|error: Error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading member {id}"))
        })
    }

    /// What a user or group is called; kept, so that it costs a call only once. `None` when it was
    /// deleted or is not shown: the id stays all that is known.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn member_name(&self, id: i64) -> Result<Option<String>, Failure> {
        let kept = || {
            self.0
                .names
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = kept().get(&id) {
            return Ok(known.clone());
        }
        let name = match self.member(id).await {
            Ok(member) if member.deleted == Some(true) => None,
            Ok(member) => Some(member.display_name()).filter(|name| !name.is_empty()),
            Err(failure) if failure.class == FailureClass::ItemIsWrong => {
                tracing::debug!(member = id, %failure, "a member is only known by id");
                None
            }
            Err(failure) => return Err(failure),
        };
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(id, name.clone());
        Ok(name)
    }

    /// The groups that a user is directly in. Of others than ourselves only administrators are
    /// told.
    ///
    /// # Errors
    ///
    /// As any read.
    pub async fn groups_of(&self, user: i64) -> Result<Vec<Member>, Failure> {
        let path = format!("v2/members/{user}/memberof");
        let ask = |page: u32| {
            self.call(Method::GET, &path)
                .query("page", &page.to_string())
                .query("limit", &MEMBERS.to_string())
        };
        self.member_pages(ask).await.map_err(|error| {
            error
                .into_failure(Effect::Repeatable)
                .context(format!("reading the groups of member {user}"))
        })
    }

    async fn member_pages(
        &self,
        ask: impl Fn(u32) -> super::call::Call,
    ) -> Result<Vec<Member>, Error> {
        let mut all: Vec<Member> = Vec::new();
        let mut seen = HashSet::new();
        for number in 1..MOST_PAGES {
            let answer = self.json(ask(number)).await?;
            let page = wire::page::<Member>(&answer, "properties", number, MEMBERS)?;
            let before = all.len();
            all.extend(page.rows.into_iter().filter(|row| seen.insert(row.id)));
            if !page.more {
                return Ok(all);
            }
            if all.len() == before {
                break;
            }
        }
        Err(Error::Unreadable(
            "the pages of members repeat themselves".to_owned(),
        ))
    }

    /// What a query in the server's search language finds (`OTName:"a" and OTSubType:144`), below
    /// `within` where it is given, each node once, page by page. The index lags behind writes and
    /// knows only what we may see: never a proof that something is not there.
    pub fn search(
        &self,
        query: &str,
        within: Option<NodeId>,
    ) -> BoxStream<'static, Result<SearchHit, Failure>> {
        let start = Searching {
            client: self.clone(),
            query: query.to_owned(),
            within,
            page: 1,
            seen: HashSet::new(),
            more: true,
            stale: 0,
            rows: Vec::new().into_iter(),
        };
        stream::try_unfold(start, |mut searching| async move {
            let hit = searching.next().await.map_err(|error: Error| {
                error
                    .into_failure(Effect::Repeatable)
                    .context(format!("searching, page {}", searching.page))
            })?;
            Ok(hit.map(|hit| (hit, searching)))
        })
        .boxed()
    }
}

struct Searching {
    client: Client,
    query: String,
    within: Option<NodeId>,
    page: u32,
    seen: HashSet<i64>,
    more: bool,
    /// Pages in a row that had nothing new.
    stale: u32,
    rows: std::vec::IntoIter<SearchHit>,
}

impl Searching {
    async fn next(&mut self) -> Result<Option<SearchHit>, Error> {
        loop {
            if let Some(hit) = self.rows.next() {
                return Ok(Some(hit));
            }
            if !self.more {
                return Ok(None);
            }
            let limit = self.client.0.config.page_size;
            let mut fields = vec![
                ("where", self.query.clone()),
                ("lookfor", "complexquery".to_owned()),
                ("page", self.page.to_string()),
                ("limit", limit.to_string()),
            ];
            if let Some(within) = self.within {
                fields.push(("location_id1", within.to_string()));
            }
            let call = self
                .client
                .call(Method::POST, "v2/search")
                .fields(fields)
                .repeatable();
            let answer = self.client.json(call).await?;
            let page = wire::page::<SearchHit>(&answer, "properties", self.page, limit)?;
            let mut rows = page.rows;
            // A node is found once for each of its versions.
            rows.retain(|hit| self.seen.insert(hit.id));
            self.more = page.more;
            self.page += 1;
            self.stale = if rows.is_empty() { self.stale + 1 } else { 0 };
            if self.more && (self.page >= MOST_PAGES || self.stale >= MOST_STALE) {
                return Err(Error::Unreadable(
                    "the pages of the search do not end".to_owned(),
                ));
            }
            self.rows = rows.into_iter();
        }
    }
}
