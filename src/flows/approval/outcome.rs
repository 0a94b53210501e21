//! What came of a process. The API has no field for it, so the settings say where it is read.

use jiff::Timestamp;

use super::case::{Ending, Verdict};
use crate::content_server::{Process, ProcessActivity, ProcessComment, ProcessInfo};
use crate::sidecar::mapping::BoundField;
use serde_json::Value;

/// Where the outcome is read, and its words. Words are compared without regard to case.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Where.
    pub from: Source,
    /// Words that mean yes.
    pub approved: Vec<String>,
    /// Words that mean no.
    pub rejected: Vec<String>,
}

/// Where an outcome is read.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// What people did at the steps: the action of an activity.
    Activities,
    /// What people wrote: a comment that begins with a word.
    Comments,
    /// What the audit says: a message that has a word in it.
    Audit,
    /// The names of the steps that it went through.
    Steps,
    /// An attribute of the workflow, by name or form key.
    Attribute(String),
    /// An attribute that the map writes on the document.
    Document(Box<BoundField>),
}

/// All that is known of a process that is over.
pub(super) struct Evidence<'a> {
    pub(super) process: &'a Process,
    pub(super) info: &'a ProcessInfo,
    /// With who did it, by name.
    pub(super) activities: &'a [(ProcessActivity, Option<String>)],
    /// The values of the attribute on the document.
    pub(super) document: &'a [String],
}

/// One sign of an outcome.
struct Sign {
    verdict: Option<Verdict>,
    word: String,
    by: Option<String>,
    at: Option<String>,
    comment: Option<String>,
}

impl Rule {
    /// What came of a process.
    ///
    /// # Errors
    ///
    /// Why it cannot be told, for people.
    pub(super) fn judge(&self, evidence: &Evidence<'_>) -> Result<Ending, String> {
        let signs = self.signs(evidence);
        let told: Vec<(&Sign, Verdict)> = signs
            .iter()
            .filter_map(|sign| Some((sign, sign.verdict?)))
            .collect();
        let place = self.from.described();
        let Some((last, verdict)) = latest(&told) else {
            let words: Vec<&str> = signs.iter().map(|sign| sign.word.as_str()).collect();
            let found = match words.as_slice() {
                [] => "there is none".to_owned(),
                words => format!("it has {}", words.join(", ")),
            };
            return Err(format!(
                "is completed, and no {place} is among the words of `approval.outcome`: {found}"
            ));
        };
        if told.iter().any(|(_, other)| *other != verdict) && verdict == Verdict::Approved {
            return Err(format!(
                "is completed, and its {place} say both yes and no: the last is {:?}",
                last.word
            ));
        }
        Ok(Ending {
            verdict,
            by: last.by.clone(),
            at: last.at.clone(),
            comment: last.comment.clone(),
        })
    }

    fn verdict(&self, fits: impl Fn(&str) -> bool) -> Option<Verdict> {
        let any = |words: &[String]| words.iter().any(|word| fits(&word.trim().to_lowercase()));
        match (any(&self.approved), any(&self.rejected)) {
            (true, false) => Some(Verdict::Approved),
            (false, true) => Some(Verdict::Rejected),
            _ => None,
        }
    }

    fn signs(&self, evidence: &Evidence<'_>) -> Vec<Sign> {
        let Evidence {
            process,
            info,
            activities,
            document,
        } = evidence;
        let equal = |text: &str| {
            let text = text.trim().to_lowercase();
            self.verdict(move |word| word == text)
        };
        let last_comment = info.comments.last();
        let plain = |text: &str| Sign {
            verdict: equal(text),
            word: text.to_owned(),
            by: last_comment.and_then(ProcessComment::by),
            at: last_comment.and_then(|said| said.date.clone()),
            comment: last_comment.map(|said| said.text.clone()),
        };
        match &self.from {
            Source::Activities => activities
                .iter()
                .filter_map(|(activity, by)| {
                    let action = activity.action.as_deref()?;
                    Some(Sign {
                        verdict: equal(action),
                        word: action.to_owned(),
                        by: by.clone(),
                        at: activity.date.clone(),
                        comment: activity.comment.clone().filter(|text| !text.is_empty()),
                    })
                })
                .collect(),
            Source::Comments => info
                .comments
                .iter()
                .map(|said| {
                    let text = said.text.trim().to_lowercase();
                    Sign {
                        verdict: self.verdict(|word| begins_with(&text, word)),
                        word: said.text.clone(),
                        by: said.by(),
                        at: said.date.clone(),
                        comment: Some(said.text.clone()),
                    }
                })
                .collect(),
            Source::Audit => info
                .audit
                .iter()
                .map(|event| {
                    let text = event.what.to_lowercase();
                    Sign {
                        verdict: self.verdict(|word| has_word(&text, word)),
                        word: event.what.clone(),
                        by: event.by(),
                        at: event.date.clone(),
                        comment: last_comment.map(|said| said.text.clone()),
                    }
                })
                .collect(),
            Source::Steps => process
                .completed
                .iter()
                .map(|step| Sign {
                    by: step.assignees.first().cloned(),
                    at: step.started.clone(),
                    ..plain(&step.name)
                })
                .collect(),
            Source::Attribute(name) => {
                let mut found = Vec::new();
                values_named(&info.attributes, name, &mut found);
                found.iter().map(|text| plain(text)).collect()
            }
            Source::Document(_) => document.iter().map(|text| plain(text)).collect(),
        }
    }
}

impl Source {
    fn described(&self) -> String {
        match self {
            Self::Activities => "activities".to_owned(),
            Self::Comments => "comments".to_owned(),
            Self::Audit => "audit messages".to_owned(),
            Self::Steps => "steps".to_owned(),
            Self::Attribute(name) => format!("values of the workflow attribute {name:?}"),
            Self::Document(field) => {
                format!("values of the document's {:?}", field.attribute.name)
            }
        }
    }
}

/// The last of the signs: by date where all have one that can be compared, else nothing unless
/// they agree.
fn latest<'a>(signs: &[(&'a Sign, Verdict)]) -> Option<(&'a Sign, Verdict)> {
    let moment = |sign: &Sign| {
        let text = sign.at.as_deref()?;
        text.parse::<Timestamp>().ok().or_else(|| {
            let civil = text.parse::<jiff::civil::DateTime>().ok()?;
            civil
                .to_zoned(jiff::tz::TimeZone::UTC)
                .ok()
                .map(|zoned| zoned.timestamp())
        })
    };
    let agreed = signs.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let dated: Option<Vec<Timestamp>> = signs.iter().map(|(sign, _)| moment(sign)).collect();
    match dated {
        Some(dates) => {
            let newest = dates.iter().max()?;
            // Of two at the same moment neither is known to be the last: the no counts.
            let last = signs.iter().zip(&dates).filter(|(_, at)| *at == newest);
            let mut last: Vec<_> = last.map(|(sign, _)| *sign).collect();
            last.sort_by_key(|(_, verdict)| *verdict == Verdict::Approved);
            last.first().copied()
        }
        None if agreed => signs.last().copied(),
        // Without dates their order is not known: a yes among them is never taken for the last.
        None => signs
            .iter()
            .find(|(_, verdict)| *verdict == Verdict::Approved)
            .copied(),
    }
}

fn begins_with(text: &str, word: &str) -> bool {
    let rest = text.strip_prefix(word);
    !word.is_empty() && rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

fn has_word(text: &str, word: &str) -> bool {
    let starts = text.match_indices(word).map(|(at, _)| at);
    let free = |at: usize| !text[..at].ends_with(char::is_alphanumeric);
    starts
        .into_iter()
        .any(|at| free(at) && begins_with(&text[at..], word))
}

/// Every scalar under a key of that name, or beside a `name` that says it, at any depth: the
/// attributes' shape is the map's own.
fn values_named(value: &Value, name: &str, found: &mut Vec<String>) {
    let scalar = |value: &Value| match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let same = |text: &str| text.trim().eq_ignore_ascii_case(name.trim());
    match value {
        Value::Object(members) => {
            let named = ["name", "Name", "label", "Label", "DisplayName"]
                .iter()
                .any(|key| members.get(*key).and_then(Value::as_str).is_some_and(same));
            for (key, inner) in members {
                let is_value = same(key)
                    || named && matches!(key.as_str(), "value" | "Value" | "values" | "Values");
                match inner {
                    Value::Array(items) if is_value => {
                        found.extend(items.iter().filter_map(scalar));
                    }
                    inner if is_value && scalar(inner).is_some() => found.extend(scalar(inner)),
                    inner => values_named(inner, name, found),
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|inner| values_named(inner, name, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::content_server::{ProcessComment, ProcessEvent, ProcessStatus, ProcessStep};

    fn rule(from: Source) -> Rule {
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect();
        Rule {
            from,
            approved: words(&["Approve", "Approved"]),
            rejected: words(&["Reject", "Rejected"]),
        }
    }

    fn process(steps: &[&str]) -> Process {
        let step = |name: &&str| -> ProcessStep {
            serde_json::from_value(json!({"task_name": name})).unwrap()
        };
        Process {
            id: 7,
            title: String::new(),
            status: ProcessStatus::Completed,
            started: None,
            due: None,
            completed: steps.iter().map(step).collect(),
            current: Vec::new(),
            attachments: None,
        }
    }

    #[track_caller]
    fn judged(
        rule: &Rule,
        info: &ProcessInfo,
        acts: &[(&str, Option<&str>)],
    ) -> Result<Ending, String> {
        let acts: Vec<_> = acts
            .iter()
            .map(|(action, at)| {
                let activity = ProcessActivity {
                    action: Some((*action).to_owned()),
                    comment: Some("so".to_owned()),
                    date: at.map(str::to_owned),
                    user_id: None,
                };
                (activity, Some("anna".to_owned()))
            })
            .collect();
        rule.judge(&Evidence {
            process: &process(&["Legal", "Rejected"]),
            info,
            activities: &acts,
            document: &[],
        })
    }

    #[test]
    fn the_last_action_counts_and_a_yes_after_a_no_is_for_a_person() {
        let rule = rule(Source::Activities);
        let none = ProcessInfo::default();
        let (one, two) = (Some("2026-10-03T10:00:00"), Some("2026-10-03T11:00:00"));
        let yes = judged(&rule, &none, &[("Initiate", one), ("approve", two)]).unwrap();
        assert_eq!(yes.verdict, Verdict::Approved);
        assert_eq!(yes.to_string(), "approved by anna on 2026-10-03: so");
        let no = judged(&rule, &none, &[("Reject", two), ("Approve", one)]).unwrap();
        assert_eq!(no.verdict, Verdict::Rejected);
        for mixed in [
            [("Reject", one), ("Approve", two)],
            [("Approve", None), ("Reject", None)],
        ] {
            let said = judged(&rule, &none, &mixed).unwrap_err();
            assert!(said.contains("both yes and no"), "{said}");
        }
        let said = judged(&rule, &none, &[("SendOn", one)]).unwrap_err();
        assert!(said.contains("it has SendOn"), "{said}");
    }

    #[test]
    fn an_outcome_is_read_where_the_settings_say() {
        let said = ProcessComment {
            user_id: None,
            name: None,
            user: Some("berta".to_owned()),
            step: None,
            date: None,
            text: "Rejected: no licence".to_owned(),
        };
        let info = ProcessInfo {
            comments: vec![said],
            audit: vec![ProcessEvent {
                user_id: None,
                name: None,
                user: None,
                date: None,
                what: "Step approved.".to_owned(),
            }],
            attributes: json!({"form": [{"name": "Decision", "value": "APPROVED"}]}),
        };
        let verdict = |from: Source| judged(&rule(from), &info, &[]).map(|ending| ending.verdict);
        assert_eq!(verdict(Source::Comments), Ok(Verdict::Rejected));
        assert_eq!(verdict(Source::Audit), Ok(Verdict::Approved));
        assert_eq!(verdict(Source::Steps), Ok(Verdict::Rejected));
        assert_eq!(
            verdict(Source::Attribute("decision".to_owned())),
            Ok(Verdict::Approved)
        );
        let none = verdict(Source::Attribute("Other".to_owned())).unwrap_err();
        assert!(none.contains("there is none"), "{none}");
    }

    #[test]
    fn a_word_inside_another_is_not_that_word() {
        assert!(has_word("it was approved.", "approved") && !has_word("disapproved", "approved"));
        assert!(begins_with("reject: no", "reject") && !begins_with("rejection", "reject"));
    }
}
