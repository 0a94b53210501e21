//! The registry of faults: which exchanges go wrong, and how.
//!
//! A [`Rule`] says which requests it means (system, method, path, the how-manieth) and an
//! [`Action`] says what happens to them. Rules are plain JSON, so a test in another process can
//! set them through the control endpoint and a scenario file can hold them. The server carries
//! out everything that concerns the wire; what only a service can do (a late commit, an expired
//! address, its own [`Action::Named`] switches) is handed to it with the exchange.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The simulated systems, each its own server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// The iconik API.
    Iconik,
    /// The storage bucket behind iconik's signed addresses.
    Bucket,
    /// OpenText Content Server.
    ContentServer,
    /// The simulator's own control endpoint; never the target of a rule without a system.
    Control,
}

/// One fault: which requests, how often, what happens.
///
/// The requests that match are counted 1, 2, 3 …; the rule acts on number `nth` and every
/// `every`th after it, `count` times in all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only this system; absent means any of the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    /// Only this method, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only paths (without query, as sent) that match this glob: `*` is any text, slashes
    /// included; `?` one character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only queries that match this glob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The first matching request that is hit, from 1.
    #[serde(default = "one")]
    pub nth: u64,
    /// Of the matching requests from `nth` on, every how-manieth is hit.
    #[serde(default = "one")]
    pub every: u64,
    /// How often the rule acts; absent means once, `null` means without end.
    #[serde(default = "once")]
    pub count: Option<u64>,
    /// Only once the system has moved this many body bytes, both ways together.
    #[serde(default)]
    pub after_bytes: u64,
    /// What happens.
    pub action: Action,
}

fn one() -> u64 {
    1
}

fn once() -> Option<u64> {
    Some(1)
}

fn ok_status() -> u16 {
    200
}

fn too_many() -> u16 {
    429
}

fn yes() -> bool {
    true
}

fn gzip() -> String {
    "gzip".to_owned()
}

impl Rule {
    /// A rule that hits the next request of any system, once.
    pub fn new(action: Action) -> Self {
        Self {
            system: None,
            method: None,
            path: None,
            query: None,
            nth: 1,
            every: 1,
            count: Some(1),
            after_bytes: 0,
            action,
        }
    }

    /// Only requests to `system`.
    #[must_use]
    pub fn on(mut self, system: System) -> Self {
        self.system = Some(system);
        self
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only paths that match this glob.
    #[must_use]
    pub fn path(mut self, glob: &str) -> Self {
        self.path = Some(glob.to_owned());
        self
    }

    /// Only queries that match this glob.
    #[must_use]
    pub fn query(mut self, glob: &str) -> Self {
        self.query = Some(glob.to_owned());
        self
    }

    /// The first matching request that is hit, from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// Every how-manieth matching request is hit; without end unless [`Rule::times`] follows.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.every = every;
        self.count = None;
        self
    }

    /// How often the rule acts.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Acts on every matching request, without end.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.count = None;
        self
    }

    /// Only once the system has moved this many body bytes.
    #[must_use]
    pub fn after_bytes(mut self, bytes: u64) -> Self {
        self.after_bytes = bytes;
        self
    }
}

/// What happens to an exchange.
///
/// Where an action replaces the reply, `applied` says whether the service does its work first:
/// `false` is a request that never took effect, `true` an ambiguous one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Waits before the service works, or with `applied` between its work and the reply.
    Delay {
        /// Milliseconds.
        ms: u64,
        /// The work is done before the wait.
        #[serde(default)]
        applied: bool,
    },
    /// Answers with this status instead.
    Status {
        /// The status code.
        code: u16,
        /// Headers of the reply; `application/json` unless a content type is given.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body, word for word.
        #[serde(default)]
        body: String,
        /// The work is done first.
        #[serde(default)]
        applied: bool,
        /// The request body is read before the answer; `false` answers early.
        #[serde(default = "yes")]
        read_body: bool,
    },
    /// Answers with a page for people, as portals, proxies and restarting servers do.
    Html {
        /// The status code.
        code: u16,
        /// The page; a short sign-in page when absent.
        #[serde(default)]
        body: Option<String>,
        /// The work is done first.
        #[serde(default)]
        applied: bool,
    },
    /// Answers success with nothing in it.
    Empty2xx {
        /// The status code.
        #[serde(default = "ok_status")]
        code: u16,
        /// The work is done first.
        #[serde(default)]
        applied: bool,
    },
    /// Resets the connection (RST), before the reply or inside its body.
    Reset {
        /// After this many bytes of the reply body; absent means before the reply.
        #[serde(default)]
        after: Option<u64>,
        /// The work is done first; implied by `after`.
        #[serde(default)]
        applied: bool,
    },
    /// The work is done, then the connection closes without a reply.
    DropReply,
    /// Closes the connection inside the reply body, whose announced length stays whole.
    CutBody {
        /// Body bytes that still arrive.
        after: u64,
    },
    /// The reply body falls silent.
    StallBody {
        /// Body bytes before the silence.
        after: u64,
        /// How long, in milliseconds; absent means until the connection ends.
        #[serde(default)]
        ms: Option<u64>,
    },
    /// The reply body trickles.
    Trickle {
        /// The rate.
        bytes_per_second: u64,
        /// Body bytes before it slows down.
        #[serde(default)]
        after: u64,
    },
    /// Stops reading the request body and closes the connection; the service sees a broken body.
    CutRequest {
        /// Body bytes that are still read.
        after: u64,
        /// With a reset instead of a close.
        #[serde(default)]
        reset: bool,
    },
    /// Stops reading the request body for a while.
    StallRequest {
        /// Body bytes read before the silence.
        after: u64,
        /// How long, in milliseconds; absent means until the connection ends.
        #[serde(default)]
        ms: Option<u64>,
    },
    /// Announces another Content-Length than the body has; a longer one ends in a cut.
    WrongLength {
        /// Added to the true length.
        delta: i64,
    },
    /// Sends more bytes than were asked for, with a Content-Length that says so.
    ExtraBody {
        /// How many.
        bytes: u64,
    },
    /// Flips the lowest bit of one byte on its way.
    FlipBit {
        /// Offset in the body.
        at: u64,
        /// In the request body, before the service sees it, instead of the reply.
        #[serde(default)]
        request: bool,
    },
    /// Answers 200 with everything, as if there were no Range header.
    IgnoreRange,
    /// Changes the Content-Range of a 206.
    WrongContentRange {
        /// The new value; absent means one byte further on.
        #[serde(default)]
        value: Option<String>,
    },
    /// Sets a header of the reply, or takes it away.
    Header {
        /// The header's name.
        name: String,
        /// Its value; absent removes it.
        #[serde(default)]
        value: Option<String>,
    },
    /// Changes the entity tag, as if the object had been replaced.
    ChangeEtag {
        /// The new tag with its quotes; absent means another one.
        #[serde(default)]
        value: Option<String>,
    },
    /// Says that the body is compressed.
    EncodedBody {
        /// The Content-Encoding.
        #[serde(default = "gzip")]
        encoding: String,
    },
    /// Asks the client to slow down.
    Throttle429 {
        /// Retry-After as sent: seconds, a date or garbage; absent sends none.
        #[serde(default)]
        retry_after: Option<String>,
        /// 429 unless said otherwise (503).
        #[serde(default = "too_many")]
        code: u16,
    },
    /// The bucket treats the signed address as expired.
    ExpireUrl,
    /// Content Server applies the change only this long after the client was cut off, though
    /// never beyond its own request limit.
    ApplyLate {
        /// Milliseconds.
        ms: u64,
    },
    /// A switch that one service understands by name.
    Named {
        /// The switch.
        name: String,
        /// Whatever it needs.
        #[serde(default)]
        params: Value,
    },
}

impl Action {
    /// The action's name as JSON spells it; a [`Action::Named`] gives its own.
    pub fn name(&self) -> &str {
        match self {
            Self::Delay { .. } => "delay",
            Self::Status { .. } => "status",
            Self::Html { .. } => "html",
            Self::Empty2xx { .. } => "empty2xx",
            Self::Reset { .. } => "reset",
            Self::DropReply => "drop_reply",
            Self::CutBody { .. } => "cut_body",
            Self::StallBody { .. } => "stall_body",
            Self::Trickle { .. } => "trickle",
            Self::CutRequest { .. } => "cut_request",
            Self::StallRequest { .. } => "stall_request",
            Self::WrongLength { .. } => "wrong_length",
            Self::ExtraBody { .. } => "extra_body",
            Self::FlipBit { .. } => "flip_bit",
            Self::IgnoreRange => "ignore_range",
            Self::WrongContentRange { .. } => "wrong_content_range",
            Self::Header { .. } => "header",
            Self::ChangeEtag { .. } => "change_etag",
            Self::EncodedBody { .. } => "encoded_body",
            Self::Throttle429 { .. } => "throttle429",
            Self::ExpireUrl => "expire_url",
            Self::ApplyLate { .. } => "apply_late",
            Self::Named { name, .. } => name,
        }
    }

    /// A [`Action::Named`] without parameters.
    pub fn named(name: &str) -> Self {
        Self::Named {
            name: name.to_owned(),
            params: Value::Null,
        }
    }
}

/// The actions that only the service can carry out, handed to it with the exchange.
#[derive(Clone, Debug, Default)]
pub struct ServiceFaults(Vec<Action>);

impl ServiceFaults {
    /// From the actions that fired.
    pub fn new(actions: Vec<Action>) -> Self {
        Self(actions)
    }

    /// Whether the signed address counts as expired.
    pub fn expire_url(&self) -> bool {
        self.0.iter().any(|a| matches!(a, Action::ExpireUrl))
    }

    /// How late the change is to be applied, the client long gone.
    pub fn apply_late(&self) -> Option<Duration> {
        self.0.iter().find_map(|a| match a {
            Action::ApplyLate { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        })
    }

    /// The parameters of a named switch, when it is set for this exchange.
    pub fn named(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|a| match a {
            Action::Named { name: n, params } if n == name => Some(params),
            _ => None,
        })
    }
}

/// A rule with its number and what it has done so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleState {
    /// Number to remove it by.
    pub id: u64,
    /// Requests that matched.
    pub matched: u64,
    /// Times it acted.
    pub fired: u64,
    /// The rule.
    pub rule: Rule,
}

/// A file of rules with a sentence about them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows.
    #[serde(default)]
    pub about: String,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// The facts of a request that rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Which system it came to.
    pub system: System,
    /// Its method.
    pub method: &'a str,
    /// Its path, as sent.
    pub path: &'a str,
    /// Its query, as sent.
    pub query: &'a str,
    /// Body bytes that the system has moved so far.
    pub moved: u64,
}

/// The rules of one simulator; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Registry>>);

#[derive(Debug, Default)]
struct Registry {
    last: u64,
    rules: Vec<RuleState>,
}

impl Faults {
    /// No rules.
    pub fn new() -> Self {
        Self::default()
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule and gives its number.
    pub fn add(&self, rule: Rule) -> u64 {
        let mut registry = self.registry();
        registry.last += 1;
        let id = registry.last;
        registry.rules.push(RuleState {
            id,
            matched: 0,
            fired: 0,
            rule,
        });
        id
    }

    /// Adds every rule of a scenario and gives their numbers.
    pub fn play(&self, scenario: Scenario) -> Vec<u64> {
        scenario.rules.into_iter().map(|r| self.add(r)).collect()
    }

    /// Removes one rule; whether it was there.
    pub fn remove(&self, id: u64) -> bool {
        let mut registry = self.registry();
        let before = registry.rules.len();
        registry.rules.retain(|r| r.id != id);
        registry.rules.len() < before
    }

    /// Removes every rule.
    pub fn clear(&self) {
        self.registry().rules.clear();
    }

    /// Every rule, used up or not, in the order added.
    pub fn list(&self) -> Vec<RuleState> {
        self.registry().rules.clone()
    }

    /// How often a rule has acted.
    pub fn fired(&self, id: u64) -> u64 {
        let registry = self.registry();
        registry
            .rules
            .iter()
            .find(|r| r.id == id)
            .map_or(0, |r| r.fired)
    }

    /// The actions due for a request, in the order their rules were added; counts them.
    pub fn take(&self, facts: &Facts<'_>) -> Vec<Action> {
        let mut registry = self.registry();
        let mut due = Vec::new();
        for state in &mut registry.rules {
            if state.matches(facts) {
                state.matched += 1;
                if state.hits() {
                    state.fired += 1;
                    due.push(state.rule.action.clone());
                }
            }
        }
        due
    }
}

impl RuleState {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        let rule = &self.rule;
        let system = match rule.system {
            Some(system) => system == facts.system,
            None => facts.system != System::Control,
        };
        let glob = |pattern: &Option<String>, text: &str| {
            pattern.as_deref().is_none_or(|p| glob_matches(p, text))
        };
        system
            && facts.moved >= rule.after_bytes
            && rule
                .method
                .as_deref()
                .is_none_or(|m| m.eq_ignore_ascii_case(facts.method))
            && glob(&rule.path, facts.path)
            && glob(&rule.query, facts.query)
    }

    fn hits(&self) -> bool {
        let rule = &self.rule;
        let nth = rule.nth.max(1);
        self.matched >= nth
            && (self.matched - nth).is_multiple_of(rule.every.max(1))
            && rule.count.is_none_or(|count| self.fired < count)
    }
}

/// Whether `text` matches `pattern`, in which `*` is any text and `?` one character.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                // Lets the last star take one character more.
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(method: &'a str, path: &'a str) -> Facts<'a> {
        Facts {
            system: System::Bucket,
            method,
            path,
            query: "a=1",
            moved: 10,
        }
    }

    #[test]
    fn globs_match_like_a_shell_does_with_slashes_included() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("/a/*/c", "/a/b/b/c", true),
            ("/a/*/c", "/a/b/b/d", false),
            ("*.mxf", "/x/y.mxf", true),
            ("/?/b", "/a/b", true),
            ("/a", "/a/", false),
            ("**a*", "bab", true),
        ] {
            assert_eq!(glob_matches(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn a_rule_hits_the_nth_and_every_so_manieth_after_it_up_to_its_count() {
        let faults = Faults::new();
        let id = faults.add(
            Rule::new(Action::DropReply)
                .path("/x*")
                .nth(2)
                .every(3)
                .times(2),
        );
        let hits: Vec<bool> = (0..12)
            .map(|_| !faults.take(&facts("GET", "/xyz")).is_empty())
            .collect();
        let expected: Vec<bool> = (1..=12).map(|n| n == 2 || n == 5).collect();
        assert_eq!(hits, expected);
        assert_eq!(faults.fired(id), 2);
    }

    #[test]
    fn a_rule_looks_at_system_method_query_and_bytes_moved() {
        let faults = Faults::new();
        faults.add(Rule::new(Action::ExpireUrl).on(System::Iconik).always());
        faults.add(Rule::new(Action::ExpireUrl).method("put").always());
        faults.add(Rule::new(Action::ExpireUrl).query("b=*").always());
        faults.add(Rule::new(Action::ExpireUrl).after_bytes(11).always());
        assert!(faults.take(&facts("GET", "/")).is_empty());
        assert_eq!(faults.take(&facts("PUT", "/")).len(), 1);
    }

    #[test]
    fn the_control_endpoint_is_never_hit_by_a_rule_for_everything() {
        let faults = Faults::new();
        faults.add(Rule::new(Action::DropReply).always());
        let control = Facts {
            system: System::Control,
            ..facts("GET", "/")
        };
        assert!(faults.take(&control).is_empty());
    }

    #[test]
    fn rules_read_from_json_with_their_defaults() {
        let rule: Rule = serde_json::from_str(
            r#"{"system":"content_server","path":"*/versions","action":{"kind":"apply_late","ms":50}}"#,
        )
        .unwrap();
        assert_eq!((rule.nth, rule.every, rule.count), (1, 1, Some(1)));
        assert_eq!(rule.action, Action::ApplyLate { ms: 50 });
        let endless: Rule =
            serde_json::from_str(r#"{"count":null,"action":{"kind":"drop_reply"}}"#).unwrap();
        assert_eq!(endless.count, None);
        assert!(serde_json::from_str::<Rule>(r#"{"actoin":{}}"#).is_err());
        let again: Rule = serde_json::from_str(&serde_json::to_string(&rule).unwrap()).unwrap();
        assert_eq!(again, rule);
    }
}
