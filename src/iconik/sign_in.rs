//! Who the token speaks for, and in which account.

use serde::Deserialize;

use super::call::Call;
use super::tolerant::{flag, text};
use super::{Client, Error};

/// What a check of the token found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The account: iconik calls it the system domain. Part of every marker.
    pub domain: String,
    /// The user the token acts as; `None` when the token may not read users.
    pub user: Option<User>,
}

/// The user a token acts as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    /// Their id.
    #[serde(deserialize_with = "text")]
    pub id: Option<String>,
    /// Mail address.
    #[serde(deserialize_with = "text")]
    pub email: Option<String>,
    /// First name.
    #[serde(deserialize_with = "text")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(deserialize_with = "text")]
    pub last_name: Option<String>,
    /// Kind of account: `POWER`, `STANDARD`, `BROWSE_ONLY`, …
    #[serde(rename = "type", deserialize_with = "text")]
    pub kind: Option<String>,
    /// Whether they administer the account.
    #[serde(deserialize_with = "flag")]
    pub is_admin: bool,
    /// The account they belong to.
    #[serde(deserialize_with = "text")]
    pub system_domain_id: Option<String>,
}

/// The answer to a token check. Its shape is not published: every member may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Check {
    #[serde(deserialize_with = "text")]
    system_domain_id: Option<String>,
}

impl Client {
    /// Checks the token and learns the account. Kept: later calls cost nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] when the token is not accepted; [`Error::Config`] when no answer names
    /// the account, without which nothing could be found again.
    pub async fn validate(&self) -> Result<&SignedIn, Error> {
        self.0
            .signed_in
            .get_or_try_init(|| async {
                let domain = self.check().await?;
                let user = match self.current_user().await {
                    Ok(user) => Some(user),
                    Err(error @ Error::Token { .. }) => return Err(error),
                    // Reading users needs a right of its own; the domain may be known anyway.
                    Err(error) if domain.is_some() => {
                        tracing::warn!(error = %error, "the token's user cannot be read");
                        None
                    }
                    Err(error) => return Err(error),
                };
                let domain = domain
                    .or_else(|| user.as_ref()?.system_domain_id.clone())
                    .filter(|domain| !domain.is_empty())
                    .ok_or_else(|| {
                        Error::Config(
                            "neither the token nor its user names the system domain; \
                             attach a user to the application token"
                                .to_owned(),
                        )
                    })?;
                Ok(SignedIn { domain, user })
            })
            .await
    }

    /// The account's id (system domain), which every marker is derived from.
    ///
    /// # Errors
    ///
    /// Those of [`validate`](Self::validate).
    pub async fn domain(&self) -> Result<String, Error> {
        Ok(self.validate().await?.domain.clone())
    }

    /// The user the token acts as.
    ///
    /// # Errors
    ///
    /// [`Error::Token`], and [`Error::NotFound`] for a token without a user.
    pub async fn current_user(&self) -> Result<User, Error> {
        let call = Call::get(
            &["users", "v1", "users", "current"],
            "can_read_users",
            "reading the token's user",
        );
        self.json(&call).await
    }

    /// Asks whether iconik is there; nothing is remembered.
    pub(super) async fn ping(&self) -> Result<(), Error> {
        self.check().await.map(|_| ())
    }

    async fn check(&self) -> Result<Option<String>, Error> {
        let call = Call::get(
            &["auth", "v1", "auth", "token"],
            "none",
            "checking the token",
        );
        match self.send(&call).await {
            // The specification promises no body, so any body will do.
            Ok(answer) if !answer.looks_like_html() => {
                Ok(answer.json::<Check>().unwrap_or_default().system_domain_id)
            }
            Ok(_) => Err(Error::Status {
                doing: call.doing().to_owned(),
                status: ::http::StatusCode::BAD_GATEWAY,
                said: "a web page came instead of an answer".to_owned(),
                retry_after: None,
            }),
            Err(
                error @ (Error::Token { .. } | Error::Exchange { .. } | Error::Throttled { .. }),
            ) => Err(error),
            // Not every account has the check; the next call tells as much.
            Err(error) => {
                tracing::debug!(error = %error, "the token check is not available");
                Ok(None)
            }
        }
    }
}
