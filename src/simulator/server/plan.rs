//! The faults of one exchange, sorted by the moment at which they act.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG, RETRY_AFTER};

use super::reply::{HangUp, Reply};
use crate::simulator::faults::{Action, ServiceFaults};

/// The page that proxies and portals send in place of an answer.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\
<body><h1>Please sign in to use this network</h1></body></html>\n";

/// What happens to the request body on its way in.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestPlan {
    pub(super) cut: Option<u64>,
    pub(super) reset: bool,
    pub(super) stall: Option<(u64, Option<Duration>)>,
    pub(super) flip: Option<u64>,
}

/// What happens to the reply body on its way out.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplyPlan {
    pub(super) cut: Option<(u64, HangUp)>,
    pub(super) stall: Option<(u64, Option<Duration>)>,
    pub(super) trickle: Option<(u64, u64)>,
    pub(super) flip: Option<u64>,
    pub(super) extra: u64,
    pub(super) delta: i64,
}

/// An answer in place of the service's own.
pub(super) struct Instead {
    pub(super) reply: Reply,
    pub(super) read_body: bool,
}

enum HeadChange {
    Set(String, Option<String>),
    ShiftContentRange,
    OtherEtag,
}

/// The whole script of an exchange.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) before: Duration,
    pub(super) after: Duration,
    pub(super) ignore_range: bool,
    /// In place of the service's work.
    pub(super) refuse: Option<Instead>,
    /// In place of the service's answer, its work done.
    pub(super) replace: Option<Instead>,
    pub(super) request: RequestPlan,
    pub(super) body: ReplyPlan,
    pub(super) service: ServiceFaults,
    head: Vec<HeadChange>,
}

impl Plan {
    pub(super) fn new(actions: Vec<Action>) -> Self {
        let mut plan = Self::default();
        let mut service = Vec::new();
        for action in actions {
            match plan.adopt(action) {
                None => {}
                Some(action) => service.push(action),
            }
        }
        plan.service = ServiceFaults::new(service);
        plan
    }

    fn instead(&mut self, applied: bool, reply: Reply, read_body: bool) {
        let place = if applied {
            &mut self.replace
        } else {
            &mut self.refuse
        };
        place.get_or_insert(Instead { reply, read_body });
    }

    /// Takes in one action; gives it back when it is for the service.
    fn adopt(&mut self, action: Action) -> Option<Action> {
        let silence = |ms: Option<u64>| ms.map(Duration::from_millis);
        match action {
            Action::Delay { ms, applied: false } => self.before += Duration::from_millis(ms),
            Action::Delay { ms, applied: true } => self.after += Duration::from_millis(ms),
            Action::Status {
                code,
                headers,
                body,
                applied,
                read_body,
            } => {
                let mut reply = Reply::new(code).content("application/json", body);
                for (name, value) in &headers {
                    reply = reply.header(name, value);
                }
                self.instead(applied, reply, read_body);
            }
            Action::Html {
                code,
                body,
                applied,
            } => {
                let page = body.unwrap_or_else(|| PAGE.to_owned());
                self.instead(applied, Reply::html(code, page), true);
            }
            Action::Empty2xx { code, applied } => self.instead(applied, Reply::new(code), true),
            Action::Throttle429 { retry_after, code } => {
                let mut reply =
                    Reply::json(code, &serde_json::json!({"errors": ["Too many requests"]}));
                if let Some(wait) = retry_after {
                    reply = reply.header(RETRY_AFTER.as_str(), &wait);
                }
                self.instead(false, reply, true);
            }
            Action::Reset {
                after: None,
                applied,
            } => self.instead(applied, Reply::reset(), false),
            Action::DropReply => self.instead(true, Reply::hang_up(), true),
            Action::Reset {
                after: Some(after), ..
            } => self.body.cut = Some((after, HangUp::Reset)),
            Action::CutBody { after } => self.body.cut = Some((after, HangUp::Close)),
            Action::StallBody { after, ms } => self.body.stall = Some((after, silence(ms))),
            Action::Trickle {
                bytes_per_second,
                after,
            } => self.body.trickle = Some((after, bytes_per_second)),
            Action::CutRequest { after, reset } => {
                self.request.cut = Some(after);
                self.request.reset = reset;
            }
            Action::StallRequest { after, ms } => self.request.stall = Some((after, silence(ms))),
            Action::WrongLength { delta } => self.body.delta = delta,
            Action::ExtraBody { bytes } => self.body.extra = bytes,
            Action::FlipBit { at, request: true } => self.request.flip = Some(at),
            Action::FlipBit { at, request: false } => self.body.flip = Some(at),
            Action::IgnoreRange => self.ignore_range = true,
            Action::WrongContentRange { value: None } => {
                self.head.push(HeadChange::ShiftContentRange);
            }
            Action::WrongContentRange { value } => {
                let name = CONTENT_RANGE.as_str().to_owned();
                self.head.push(HeadChange::Set(name, value));
            }
            Action::Header { name, value } => self.head.push(HeadChange::Set(name, value)),
            Action::ChangeEtag { value: None } => self.head.push(HeadChange::OtherEtag),
            Action::ChangeEtag { value } => {
                self.head
                    .push(HeadChange::Set(ETAG.as_str().to_owned(), value));
            }
            Action::EncodedBody { encoding } => {
                let name = CONTENT_ENCODING.as_str().to_owned();
                self.head.push(HeadChange::Set(name, Some(encoding)));
            }
            Action::ExpireUrl | Action::ApplyLate { .. } | Action::Named { .. } => {
                return Some(action);
            }
        }
        None
    }

    /// Changes the head of the reply as planned.
    pub(super) fn change_head(&self, mut reply: Reply) -> Reply {
        for change in &self.head {
            reply = match change {
                HeadChange::Set(name, Some(value)) => reply.header(name, value),
                HeadChange::Set(name, None) => {
                    reply.headers.remove(name.as_str());
                    reply
                }
                HeadChange::ShiftContentRange => {
                    match text(&reply.headers, CONTENT_RANGE.as_str()).and_then(shifted) {
                        Some(value) => reply.header(CONTENT_RANGE.as_str(), &value),
                        None => reply,
                    }
                }
                HeadChange::OtherEtag => {
                    let old = text(&reply.headers, ETAG.as_str()).unwrap_or("\"\"");
                    let other = format!("\"{}-changed\"", old.trim_matches('"'));
                    reply.header(ETAG.as_str(), &other)
                }
            };
        }
        reply
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `bytes 0-9/20` one byte further on: `bytes 1-10/20`.
fn shifted(range: &str) -> Option<String> {
    let (span, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = span.split_once('-')?;
    let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
    Some(format!("bytes {}-{}/{total}", start + 1, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_moves_one_byte_on_and_garbage_stays() {
        assert_eq!(shifted("bytes 0-9/20").as_deref(), Some("bytes 1-10/20"));
        assert_eq!(shifted("bytes */20"), None);
    }
}
