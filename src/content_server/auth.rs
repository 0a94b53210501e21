//! The session: one ticket per process, renewed by every answer, replaced when it is refused.
//!
//! A ticket slides: most answers carry a fresh one in their `OTCSTicket` header, and the newest is
//! the one to send. When a call is refused with 401 its sender asks for a new sign-in, naming the
//! generation of the ticket it used; whoever comes first signs in, everybody else who used the same
//! generation gets the result. Two refusals of whole generations within a minute mean that
//! somebody else uses the account (or that the server binds tickets to addresses that change):
//! signing in again would only go on with that quarrel, so everything stops. A refused password
//! stops at once and is never sent again, because repeating it locks the account.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{debug, warn};
use url::Url;

use super::Auth;
use super::call::api_url;
use super::errors::{self, Effect, Error, Meaning, quote};
use crate::http::{self, Answer, Credential, Origin, Repeat, Request};
use crate::types::{Failure, FailureClass, Reason};

/// The header that presents a ticket, and that brings the next one.
const TICKET: HeaderName = HeaderName::from_static("otcsticket");
/// Some releases say when the ticket ends; the form varies, so it only ever causes an earlier look.
const TICKET_EXPIRES: HeaderName = HeaderName::from_static("otcsticketexpires");
/// Two refusals closer together than this are not expiry.
const QUARREL: Duration = Duration::from_secs(60);
/// A ticket that worked this recently needs no look before a body that passes only once. The
/// shortest idle limit seen is 30 minutes.
const RECENT: Duration = Duration::from_secs(60);
/// Time left on a ticket or token below which it counts as ending.
const ENDING: Duration = Duration::from_secs(60);
/// Answers of sign-in calls are small.
const ANSWER_LIMIT: usize = 1 << 20;

/// Signs in, once for everybody.
pub(super) struct SignIn {
    http: http::Client,
    url: Url,
    origin: Origin,
    auth: Auth,
    state: Mutex<State>,
    /// Held while signing in.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// Counts sign-ins; a sliding ticket keeps its generation.
    generation: u64,
    /// When a refused generation was last replaced.
    forced: Option<Instant>,
    /// Why nobody may sign in any more.
    stopped: Option<Failure>,
}

struct Held {
    secret: Secret,
    /// When the server last accepted it.
    accepted: Instant,
    /// When the server says a ticket ends.
    hint: Option<Instant>,
}

#[derive(Clone)]
enum Secret {
    Ticket(SecretString),
    Bearer {
        token: SecretString,
        /// When to fetch the next one.
        renew: Option<Instant>,
    },
}

/// What one call presents.
pub(super) struct Pass {
    /// The secret header, bound to the server's origin.
    pub(super) credential: Credential,
    /// Which sign-in it comes from.
    pub(super) generation: u64,
    /// Whether a cheap call should prove it before a body that passes only once.
    pub(super) doubtful: bool,
}

impl SignIn {
    pub(super) fn new(http: http::Client, url: Url, auth: Auth) -> Result<Self, Failure> {
        let origin = Origin::of(&url).map_err(|error| {
            Failure::stop(format!(
                "the address of content server cannot be used: {error}"
            ))
        })?;
        Ok(Self {
            http,
            url,
            origin,
            auth,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// What to present now; signs in when there is nothing yet or a token is about to end.
    pub(super) async fn pass(&self) -> Result<Pass, Failure> {
        if let Some(pass) = self.current()? {
            return Ok(pass);
        }
        let _turn = self.turn.lock().await;
        if let Some(pass) = self.current()? {
            return Ok(pass);
        }
        let held = self.sign_in().await?;
        Ok(self.install(held, None))
    }

    /// Replaces the session of `generation`, which was refused; returns at once when that has
    /// happened already.
    pub(super) async fn renew(&self, generation: u64) -> Result<(), Failure> {
        let _turn = self.turn.lock().await;
        let forced = {
            let state = self.state();
            if let Some(stopped) = &state.stopped {
                return Err(stopped.clone());
            }
            if state.generation != generation {
                return Ok(());
            }
            state.forced
        };
        let now = Instant::now();
        if forced.is_some_and(|last| now.duration_since(last) < QUARREL) {
            return Err(self.stop(format!(
                "content server refused two sessions of {} within a minute: this account is signed in elsewhere, or its tickets are bound to an address that changes; give longhaul an account of its own",
                self.auth.who()
            )));
        }
        warn!(who = %self.auth.who(), "content server refused the session, signing in again");
        let held = self.sign_in().await?;
        self.install(held, Some(now));
        Ok(())
    }

    /// Takes note of an answer: it proves the session and may bring the next ticket.
    pub(super) fn seen(&self, pass: &Pass, status: StatusCode, headers: &HeaderMap) {
        if status == StatusCode::UNAUTHORIZED {
            return;
        }
        let now = Instant::now();
        let mut state = self.state();
        // An answer that was under way while somebody signed in again belongs to the old session.
        if state.generation != pass.generation {
            return;
        }
        let Some(held) = &mut state.held else { return };
        if let Some(ticket) = ticket(headers) {
            held.secret = Secret::Ticket(ticket);
            held.hint = expires_in(headers).map(|left| now + left);
        }
        if status.is_success() {
            held.accepted = now;
        }
    }

    /// What to present, when there is something that is not about to end.
    fn current(&self) -> Result<Option<Pass>, Failure> {
        let state = self.state();
        if let Some(stopped) = &state.stopped {
            return Err(stopped.clone());
        }
        let ending = |held: &Held| match held.secret {
            Secret::Bearer { renew, .. } => renew.is_some_and(|at| at <= Instant::now()),
            Secret::Ticket(_) => false,
        };
        let held = state.held.as_ref().filter(|held| !ending(held));
        Ok(held.map(|held| self.present(held, state.generation)))
    }

    fn present(&self, held: &Held, generation: u64) -> Pass {
        let now = Instant::now();
        let header = match &held.secret {
            Secret::Ticket(ticket) => (TICKET, ticket.clone()),
            Secret::Bearer { token, .. } => (header::AUTHORIZATION, bearer(token)),
        };
        Pass {
            credential: Credential::new(self.origin.clone(), vec![header]),
            generation,
            doubtful: now.duration_since(held.accepted) > RECENT
                || held.hint.is_some_and(|end| end < now + ENDING),
        }
    }

    fn install(&self, held: Held, forced: Option<Instant>) -> Pass {
        let mut state = self.state();
        state.generation += 1;
        state.forced = forced.or(state.forced);
        let pass = self.present(&held, state.generation);
        state.held = Some(held);
        pass
    }

    /// Ends all signing in, for everybody.
    fn stop(&self, message: String) -> Failure {
        let failure = Failure::new(FailureClass::StopEverything, Reason::Refused, message);
        self.state().stopped = Some(failure.clone());
        failure
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sign_in(&self) -> Result<Held, Failure> {
        let secret = match &self.auth {
            Auth::Password {
                user,
                password,
                domain,
            } => {
                self.with_password(user, password, domain.as_deref())
                    .await?
            }
            Auth::Otds {
                client_id,
                client_secret,
                token_url,
            } => {
                let token = self
                    .fetch_token(client_id, client_secret, token_url)
                    .await?;
                self.trade(token).await?
            }
        };
        debug!(who = %self.auth.who(), "signed in to content server");
        Ok(Held {
            secret,
            accepted: Instant::now(),
            hint: None,
        })
    }

    async fn with_password(
        &self,
        user: &str,
        password: &SecretString,
        domain: Option<&str>,
    ) -> Result<Secret, Failure> {
        let mut fields = vec![("username", user), ("password", password.expose_secret())];
        fields.extend(domain.map(|domain| ("domain", domain)));
        let request = Request::new(Method::POST, api_url(&self.url, "v1/auth"))
            .form(&fields)
            .repeat(Repeat::Safe);
        let doing = "signing in to content server";
        let answer = self.send(request, doing).await?;
        match errors::read(answer.status, &answer.body, answer.retry_after()) {
            Ok(answer) => match answer.get("ticket").and_then(Value::as_str) {
                Some(text) if HeaderValue::from_str(text).is_ok() && !text.is_empty() => {
                    Ok(Secret::Ticket(SecretString::from(text)))
                }
                _ => Err(Failure::transient(format!(
                    "{doing}: the answer holds no ticket"
                ))),
            },
            Err(error) => Err(self.refused(error, doing)),
        }
    }

    /// The client-credentials grant.
    async fn fetch_token(
        &self,
        client_id: &str,
        client_secret: &SecretString,
        token_url: &Url,
    ) -> Result<(SecretString, Option<Instant>), Failure> {
        let asked = Instant::now();
        let request = Request::new(Method::POST, token_url.clone())
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose_secret()),
            ])
            .repeat(Repeat::Safe);
        let doing = "fetching a token from the directory service";
        let response = self.send(request, doing).await?;
        let status = response.status;
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let word = |key| answer.get(key).and_then(Value::as_str).map(quote);
        if let (true, Some(token)) = (
            status.is_success(),
            answer.get("access_token").and_then(Value::as_str),
        ) && HeaderValue::from_str(token).is_ok()
            && !token.is_empty()
        {
            let life = answer.get("expires_in").and_then(Value::as_u64);
            // A fifth of its life is left as margin, a minute at most.
            let renew = life.map(|seconds| {
                let life = Duration::from_secs(seconds.min(u64::from(u32::MAX)));
                asked + life - (life / 5).min(ENDING)
            });
            return Ok((SecretString::from(token), renew));
        }
        match (status.as_u16(), word("error")) {
            (400 | 401 | 403, error) => Err(self.stop(format!(
                "the directory service refused {}: {}; check its id and secret",
                self.auth.who(),
                word("error_description")
                    .or(error)
                    .unwrap_or_else(|| status.to_string()),
            ))),
            _ => {
                let mut failure =
                    Failure::transient(format!("{doing}: it answered {}", status.as_u16()));
                failure.retry_after = response.retry_after();
                Err(failure)
            }
        }
    }

    /// Trades a token for a ticket; a server that gives none takes the token on every call.
    async fn trade(
        &self,
        (token, renew): (SecretString, Option<Instant>),
    ) -> Result<Secret, Failure> {
        let doing = "trading the directory service's token for a ticket";
        let credential = Credential::new(
            self.origin.clone(),
            vec![(header::AUTHORIZATION, bearer(&token))],
        );
        let request = Request::new(Method::GET, api_url(&self.url, "v1/auth"))
            .credential(&credential)
            .map_err(http::Error::into_failure)?;
        let answer = self.send(request, doing).await?;
        match errors::read(answer.status, &answer.body, answer.retry_after()) {
            Ok(_) => Ok(match ticket(&answer.headers) {
                Some(ticket) => Secret::Ticket(ticket),
                None => Secret::Bearer { token, renew },
            }),
            Err(error) if error.meaning() == Some(Meaning::NoRoute) => {
                Ok(Secret::Bearer { token, renew })
            }
            Err(error) => Err(self.refused(error, doing)),
        }
    }

    async fn send(&self, request: Request, doing: &str) -> Result<Answer, Failure> {
        self.http
            .call(request, ANSWER_LIMIT)
            .await
            .map_err(|error| {
                errors::settle(error.into_failure(), Effect::Repeatable, true).context(doing)
            })
    }

    /// A refused sign-in: the credentials are wrong and stay wrong, unless the server was not
    /// itself.
    fn refused(&self, error: Error, doing: &str) -> Failure {
        match &error {
            Error::Refused(refusal) if refusal.meaning == Meaning::NoRoute => {
                self.stop(format!(
                    "no content server REST interface answers at {}; the address must end in the CGI path, such as /otcs/cs.exe",
                    self.url
                ))
            }
            // A refusal is a refusal in whatever words: "the account is locked" is no reason to
            // come back and lock it again.
            Error::Refused(refusal)
                if refusal.status == 401
                    || (matches!(refusal.status, 400 | 403)
                        && refusal.meaning != Meaning::Disturbance)
                    || refusal.text.starts_with("Argument ") =>
            {
                self.stop(format!(
                    "content server refused the sign-in of {}: {}; check the name and the secret, and that the account is not locked",
                    self.auth.who(),
                    refusal.text.trim_end_matches('.')
                ))
            }
            _ => {
                let elsewhere = matches!(&error, Error::Refused(refusal)
                    if refusal.status == 404 || (300..400).contains(&refusal.status));
                let mut failure = error.into_failure(Effect::Repeatable).context(doing);
                if elsewhere {
                    failure.message.push_str(
                        "; is the address right? It ends with the program, such as /otcs/cs.exe",
                    );
                }
                if failure.class == FailureClass::ItemIsWrong {
                    // No single item is at fault when nobody can sign in.
                    failure.class = FailureClass::RetryLater;
                    failure.reason = Reason::Other;
                }
                failure
            }
        }
    }
}

fn bearer(token: &SecretString) -> SecretString {
    SecretString::from(format!("Bearer {}", token.expose_secret()))
}

/// The next ticket, when the answer brings a usable one.
fn ticket(headers: &HeaderMap) -> Option<SecretString> {
    let text = headers.get(TICKET)?.to_str().ok()?.trim();
    (!text.is_empty()).then(|| SecretString::from(text))
}

/// How long the ticket lives by the server's own clock, when it says so in a form that can be
/// read: an HTTP date, ISO 8601 with or without zone, or seconds (or milliseconds) since 1970.
fn expires_in(headers: &HeaderMap) -> Option<Duration> {
    let end = instant_of(headers.get(TICKET_EXPIRES)?.to_str().ok()?)?;
    let now = headers
        .get(header::DATE)
        .and_then(|date| instant_of(date.to_str().ok()?))
        .unwrap_or_else(jiff::Timestamp::now);
    // Beyond a day it says nothing about the near end that matters here.
    let left = end.as_second().saturating_sub(now.as_second());
    Some(Duration::from_secs(
        u64::try_from(left).unwrap_or(0).min(86_400),
    ))
}

fn instant_of(text: &str) -> Option<jiff::Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        let seconds = if number > 100_000_000_000 {
            number / 1000
        } else {
            number
        };
        return jiff::Timestamp::from_second(seconds).ok();
    }
    if let Ok(time) = httpdate::parse_http_date(text) {
        return jiff::Timestamp::try_from(time).ok();
    }
    text.parse().ok().or_else(|| {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        Some(local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

#[cfg(test)]
impl SignIn {
    /// Lets time pass for the session, as far as it remembers any.
    pub(super) fn age(&self, by: Duration) {
        let mut state = self.state();
        let older = |at: Instant| at.checked_sub(by).expect("the clock has run that long");
        state.forced = state.forced.map(older);
        if let Some(held) = &mut state.held {
            held.accepted = older(held.accepted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expires: &str, date: Option<&str>, left: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(TICKET_EXPIRES, expires.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        assert_eq!(
            expires_in(&headers),
            left.map(Duration::from_secs),
            "{expires}"
        );
    }

    #[test]
    fn the_end_of_a_ticket_is_read_in_any_likely_form() {
        let date = Some("Mon, 05 Jan 2026 10:00:00 GMT");
        check("Mon, 05 Jan 2026 10:30:00 GMT", date, Some(1800));
        check("2026-01-05T10:30:00Z", date, Some(1800));
        check("2026-01-05T11:30:00+01:00", date, Some(1800));
        check("2026-01-05T10:30:00", date, Some(1800));
        check("1767609000", date, Some(1800));
        check("1767609000000", date, Some(1800));
        check("Mon, 05 Jan 2026 09:00:00 GMT", date, Some(0));
        check("in half an hour", date, None);
        check("Mon, 05 Jan 2009 10:30:00 GMT", None, Some(0));
    }
}
