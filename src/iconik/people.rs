//! Users by id: the names that people know them by.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::call::Call;
use super::tolerant::Person;
use super::{Client, Error};

/// Names kept; all are forgotten when there are more.
const KEPT: usize = 4096;

/// Names that were asked for, and that there is none to be seen.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<String, Option<String>>>);

impl Client {
    /// The name of a user for people; kept, so that it costs a call only once. `None` when the user
    /// is gone or the token's user may not see it.
    ///
    /// # Errors
    ///
    /// Whatever prevents a clear answer.
    pub async fn user_name(&self, id: &str) -> Result<Option<String>, Error> {
        let names = &self.0.names.0;
        let kept = || names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept().get(id) {
            return Ok(known.clone());
        }
        let call = Call::get(
            &["users", "v1", "users", id],
            "can_read_users",
            format!("reading user {id}"),
        );
        let name = match self.json::<Person>(&call).await {
            Ok(person) => Some(person.to_string()).filter(|name| name != "unknown"),
            Err(error) if error.is_not_found() || error.is_forbidden() => {
                tracing::debug!(user = id, %error, "a user is only known by id");
                None
            }
            Err(Error::Id { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(id.to_owned(), name.clone());
        Ok(name)
    }
}
