//! Signing in: passwords, tickets, OTDS, and what a request presents.
//!
//! A ticket carries its session, issue and expiry under a keyed digest, so any number of fresh
//! ones can be handed out without keeping them. Ending a session makes all its tickets worthless.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use sha2::Sha256;

use super::answer::{Answer, Outcome, Refusal};
use super::arguments::Arguments;
use super::call::Call;
use super::config::{Config, TicketMode};
use super::world::World;

/// Life of an OTDS access token.
const BEARER_LIFE: Duration = Duration::from_secs(1000);

/// One login.
struct Session {
    user: i64,
    alive: bool,
}

/// An OTDS credential: who, and until when.
struct Credential {
    user: i64,
    until: Duration,
    ticket: bool,
}

/// Logins, and what OTDS handed out.
pub(super) struct Sessions {
    key: [u8; 32],
    last: u64,
    nonce: u64,
    sessions: BTreeMap<u64, Session>,
    otds: BTreeMap<String, Credential>,
    /// OAuth clients: secret and the user they act as.
    clients: BTreeMap<String, (String, i64)>,
}

/// Who a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) user: i64,
    pub(super) session: u64,
    /// When the ticket presented ends; a fixed one passes its end on.
    pub(super) expires: Duration,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self {
            key: rand::random(),
            last: 0,
            nonce: 0,
            sessions: BTreeMap::new(),
            otds: BTreeMap::new(),
            clients: BTreeMap::new(),
        }
    }

    /// Lets an OAuth client act as a user.
    pub(super) fn add_client(&mut self, id: &str, secret: &str, user: i64) {
        self.clients
            .insert(id.to_owned(), (secret.to_owned(), user));
    }

    /// Starts a session. With `alone` the user's other sessions end.
    pub(super) fn open(&mut self, user: i64, alone: bool) -> u64 {
        if alone {
            self.end_user(user);
        }
        self.last += 1;
        self.sessions
            .insert(self.last, Session { user, alive: true });
        self.last
    }

    /// Ends every session of a user.
    pub(super) fn end_user(&mut self, user: i64) {
        self.sessions
            .values_mut()
            .filter(|s| s.user == user)
            .for_each(|s| s.alive = false);
    }

    /// Ends every session and forgets every OTDS credential.
    pub(super) fn end_all(&mut self) {
        self.sessions
            .values_mut()
            .for_each(|session| session.alive = false);
        self.otds.clear();
    }

    /// Ends one session; whether it was alive.
    pub(super) fn end(&mut self, session: u64) -> bool {
        let found = self
            .sessions
            .get_mut(&session)
            .filter(|session| session.alive);
        found.is_some_and(|session| std::mem::replace(&mut session.alive, false))
    }

    fn digest(&self, payload: &[u8]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(payload);
        mac.finalize().into_bytes().into()
    }

    /// A fresh ticket, 96 characters long.
    pub(super) fn ticket(&mut self, session: u64, issued: Duration, expires: Duration) -> String {
        self.nonce += 1;
        let ms = |at: Duration| u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let mut raw = Vec::with_capacity(72);
        for word in [session, ms(issued), ms(expires), self.nonce, 0] {
            raw.extend_from_slice(&word.to_be_bytes());
        }
        raw.extend_from_slice(&self.digest(&raw));
        STANDARD.encode(raw)
    }

    /// The caller of a ticket that is genuine, not expired, and whose session is alive.
    pub(super) fn check(&self, ticket: &str, now: Duration) -> Option<Caller> {
        // Cookies and headers may carry the ticket percent-encoded.
        let ticket = percent_encoding::percent_decode_str(ticket)
            .decode_utf8()
            .ok()?;
        let raw = STANDARD.decode(ticket.trim().trim_matches('"')).ok()?;
        let (payload, digest) = raw.split_at_checked(40)?;
        if digest != self.digest(payload) {
            return None;
        }
        let word = |at: usize| {
            Some(u64::from_be_bytes(
                payload.get(at..at + 8)?.try_into().ok()?,
            ))
        };
        let (session, expires) = (word(0)?, Duration::from_millis(word(16)?));
        let found = self.sessions.get(&session)?;
        (found.alive && now < expires).then_some(Caller {
            user: found.user,
            session,
            expires,
        })
    }

    fn grant(&mut self, user: i64, until: Duration, ticket: bool) -> String {
        let noise: [u8; 48] = rand::random();
        let text = URL_SAFE_NO_PAD.encode(noise);
        let text = if ticket {
            format!("*OTDSSSO*{text}*")
        } else {
            text
        };
        self.otds.insert(
            text.clone(),
            Credential {
                user,
                until,
                ticket,
            },
        );
        text
    }

    fn otds_user(&self, text: &str, ticket: bool, now: Duration) -> Option<i64> {
        let found = self.otds.get(text)?;
        (found.ticket == ticket && now < found.until).then_some(found.user)
    }
}

/// What becomes of a request's credentials.
pub(super) fn identify(
    world: &mut World,
    headers: &HeaderMap,
    now: Duration,
) -> Result<Caller, Refusal> {
    let lifetime = world.config.ticket_lifetime;
    if !world.config.authentication {
        return Ok(Caller {
            user: super::members::ADMIN,
            session: 0,
            expires: now + lifetime,
        });
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut tickets: Vec<&str> = ["otcsticket", "llcookie"]
        .into_iter()
        .filter_map(text)
        .collect();
    for cookies in headers.get_all(COOKIE) {
        for pair in cookies.to_str().unwrap_or_default().split(';') {
            if let Some((name, value)) = pair.trim().split_once('=')
                && (name.eq_ignore_ascii_case("otcsticket")
                    || name.eq_ignore_ascii_case("llcookie"))
            {
                tickets.push(value);
            }
        }
    }
    // The first one presented decides: a stale header is not saved by a fresh cookie.
    if let Some(ticket) = tickets.first() {
        return world
            .sessions
            .check(ticket, now)
            .ok_or_else(Refusal::unauthenticated);
    }
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.split_once(' '));
    let user = match (bearer, text("otdsticket")) {
        (Some((scheme, token)), _) if scheme.eq_ignore_ascii_case("bearer") => {
            world.sessions.otds_user(token.trim(), false, now)
        }
        (_, Some(ticket)) => world.sessions.otds_user(ticket, true, now),
        _ => None,
    };
    let user = user.ok_or_else(Refusal::unauthenticated)?;
    let alone = world.config.one_session_per_user;
    Ok(Caller {
        user,
        session: world.sessions.open(user, alone),
        expires: now + lifetime,
    })
}

/// The ticket that goes out with a successful answer, and when it ends.
pub(super) fn renew(
    world: &mut World,
    caller: Caller,
    now: Duration,
) -> Option<(String, Duration)> {
    let expires = match world.config.tickets {
        TicketMode::Sliding => now + world.config.ticket_lifetime,
        TicketMode::Fixed => caller.expires,
        TicketMode::None => return None,
    };
    Some((world.sessions.ticket(caller.session, now, expires), expires))
}

fn password_user(world: &World, name: &str, password: &str) -> Option<i64> {
    let member = world.members.login(name)?;
    let signs = member.password.as_deref() == Some(password);
    let allowed = member.administrator || member.may("privilege_login");
    (signs && allowed).then_some(member.id)
}

/// `POST /v1/auth`.
pub(super) fn login(world: &mut World, arguments: &Arguments, now: Duration) -> Outcome {
    let need = |key: &str| {
        let text = arguments.text(key);
        text.ok_or_else(|| Refusal::failed(format!("Argument {key} is required")))
    };
    let (name, password) = (need("username")?, need("password")?);
    if arguments
        .text("domain")
        .is_some_and(|domain| !domain.is_empty())
    {
        return Err(Refusal::new(
            401,
            "Unable to login. Domain support is disabled",
        ));
    }
    let user = password_user(world, &name, &password)
        .ok_or_else(|| Refusal::new(401, "Invalid username/password specified"))?;
    let session = world.sessions.open(user, world.config.one_session_per_user);
    let ticket = world
        .sessions
        .ticket(session, now, now + world.config.ticket_lifetime);
    Ok(Answer::Json(json!({"ticket": ticket})))
}

/// `DELETE /v1/auth`.
pub(super) fn logout(world: &mut World, call: &Call) -> Outcome {
    match call
        .session
        .is_some_and(|session| world.sessions.end(session))
    {
        true => Ok(Answer::Json(json!({}))),
        false => Err(Refusal::failed("No session data found")),
    }
}

/// `/otdsws/…`: OpenText Directory Services, as far as signing in goes.
pub(super) fn otds(
    world: &mut World,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    arguments: &Arguments,
    now: Duration,
) -> Outcome {
    let credentials = |user: &str| {
        let password = arguments.text("password").unwrap_or_default();
        let user = arguments.text(user).unwrap_or_default();
        // `user@partition` names the same account.
        let bare = user.split('@').next().unwrap_or_default().to_owned();
        password_user(world, &bare, &password).map(|id| (id, user))
    };
    match (method, path) {
        (&Method::POST, "/rest/authentication/credentials") => {
            let found = credentials("userName").or_else(|| credentials("user_name"));
            let (user, name) = found.ok_or_else(otds_refusal)?;
            let until = now + world.config.ticket_lifetime;
            let ticket = world.sessions.grant(user, until, true);
            Ok(Answer::Json(
                json!({"ticket": ticket, "userId": name, "resourceID": null, "failureReason": null}),
            ))
        }
        (&Method::POST, "/v1/authentication/credentials") => {
            let (user, name) = credentials("user_name").ok_or_else(otds_refusal)?;
            let ticket = world
                .sessions
                .grant(user, now + world.config.ticket_lifetime, true);
            let token = world.sessions.grant(user, now + BEARER_LIFE, false);
            Ok(Answer::Json(json!({
                "token": token, "user_id": name, "ticket": ticket, "resourceID": null, "failureReason": null,
                "password_expiration_time": 0, "continuation": false,
            })))
        }
        (&Method::POST, "/oauth2/token") => token(world, headers, arguments, now),
        (&Method::GET, "/rest/systemconfig" | "/rest/systemstatus") => {
            Ok(Answer::Json(json!({"status": "ok"})))
        }
        _ => Err(Refusal::json(
            404,
            json!({"status": 404, "error": "Not Found"}),
        )),
    }
}

fn otds_refusal() -> Refusal {
    let error = "Authentication failed: invalid user name or password";
    Refusal::json(401, json!({"status": 401, "error": error}))
}

/// `POST /otdsws/oauth2/token`.
fn token(world: &mut World, headers: &HeaderMap, arguments: &Arguments, now: Duration) -> Outcome {
    let refuse = |status: u16, error: &str, text: &str| {
        Refusal::json(status, json!({"error": error, "error_description": text}))
    };
    let basic = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|text| String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok());
    let pair = basic.as_deref().and_then(|text| text.split_once(':'));
    let (id, secret) = match pair {
        Some((id, secret)) => (id.to_owned(), secret.to_owned()),
        None => (
            arguments.text("client_id").unwrap_or_default(),
            arguments.text("client_secret").unwrap_or_default(),
        ),
    };
    let client = world.sessions.clients.get(&id);
    let known = client
        .filter(|(expected, _)| *expected == secret)
        .map(|(_, user)| *user);
    let invalid = || refuse(401, "invalid_client", "Client authentication failed");
    let user = match arguments.text("grant_type").as_deref() {
        Some("client_credentials") => known.ok_or_else(invalid)?,
        Some("password") => {
            let name = arguments.text("username").unwrap_or_default();
            let bare = name.split('@').next().unwrap_or_default();
            let password = arguments.text("password").unwrap_or_default();
            password_user(world, bare, &password)
                .ok_or_else(|| refuse(400, "invalid_grant", "Invalid credentials"))?
        }
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
            known.ok_or_else(invalid)?;
            let subject = arguments.text("subject_token").unwrap_or_default();
            let bare = subject.split('@').next().unwrap_or_default();
            let member = world.members.login(bare);
            member
                .map(|member| member.id)
                .ok_or_else(|| refuse(400, "invalid_grant", "Unknown subject"))?
        }
        _ => {
            return Err(refuse(
                400,
                "unsupported_grant_type",
                "The grant type is not supported",
            ));
        }
    };
    let token = world.sessions.grant(user, now + BEARER_LIFE, false);
    let life = BEARER_LIFE.as_secs();
    Ok(Answer::Json(
        json!({"access_token": token, "token_type": "Bearer", "expires_in": life}),
    ))
}

/// `GET /v1/serverinfo`.
pub(super) fn server_info(world: &mut World, call: &Call, url: &str) -> Outcome {
    let Config {
        version,
        tickets,
        ticket_lifetime,
        request_limit,
        ..
    } = &world.config;
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let english = json!([{"default": true, "display_name": "English", "language_code": "en"}]);
    let reaction = Duration::from_secs(180);
    let sessions = json!({
        "enabled": true,
        "expire_after_last_request": *tickets == TicketMode::Sliding,
        "expire_after_last_login": *tickets != TicketMode::Sliding,
        "session_timeout": ms(*ticket_lifetime),
        "session_inactivity": ms(ticket_lifetime.saturating_sub(reaction)),
        "session_reaction_time": ms(reaction),
        "logout_url": "?func=ll.DoLogout&secureRequestToken=",
        // Not in any real answer: lets a client under test wait no longer than it must.
        "request_limit": ms(*request_limit),
    });
    let server = json!({
        "version": version,
        "url": url,
        "advanced_versioning": true,
        "enhanced_advanced_versioning": false,
        "character_encoding": 1,
        "current_date": call.now.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        "current_locale_suffix": "_en_US",
        "domain_access_enabled": false,
        "time_zone_offset_enabled": false,
        "language_code": "USA",
        "languages": english.clone(),
        "metadata_languages": english,
        "available_mime_types": ["application/octet-stream", "application/pdf", "video/mp4", "video/quicktime"],
        "force_download_for_mime_types": [],
    });
    Ok(Answer::Json(json!({
        "mobile": {"cs_viewer_support": false, "offline_use": true, "client_timeout": -1},
        "server": server,
        "sessions": sessions,
        "viewer": {"content_suite": {"enabled": false}},
    })))
}

/// `GET /v1/ping`.
pub(super) fn ping() -> Value {
    json!({"rest_api": [{"build": 2, "href": "api/v1", "version": 1}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn tickets_are_genuine_until_they_expire_or_their_session_ends() {
        let mut sessions = Sessions::new();
        let session = sessions.open(1000, false);
        let ticket = sessions.ticket(session, Duration::ZERO, SECOND);
        assert!((92..=100).contains(&ticket.len()), "{}", ticket.len());
        assert_eq!(sessions.check(&ticket, Duration::ZERO).unwrap().user, 1000);
        assert_eq!(sessions.check(&ticket, SECOND), None);
        let mut forged = ticket.clone().into_bytes();
        forged[10] = if forged[10] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            sessions.check(&String::from_utf8(forged).unwrap(), Duration::ZERO),
            None
        );
        assert_eq!(sessions.check("", Duration::ZERO), None);
        assert!(sessions.end(session) && !sessions.end(session));
        assert_eq!(sessions.check(&ticket, Duration::ZERO), None);
    }

    #[test]
    fn every_ticket_is_another_text() {
        let mut sessions = Sessions::new();
        let session = sessions.open(1000, false);
        let first = sessions.ticket(session, Duration::ZERO, SECOND);
        assert_ne!(first, sessions.ticket(session, Duration::ZERO, SECOND));
    }

    #[test]
    fn a_login_alone_ends_the_same_users_others() {
        let mut sessions = Sessions::new();
        let (mine, other) = (sessions.open(1, false), sessions.open(2, false));
        let mine = sessions.ticket(mine, Duration::ZERO, SECOND);
        let other = sessions.ticket(other, Duration::ZERO, SECOND);
        sessions.open(1, true);
        assert_eq!(sessions.check(&mine, Duration::ZERO), None);
        assert!(sessions.check(&other, Duration::ZERO).is_some());
    }
}
