//! What to do next about an announced commit: one pure function, without clock, network or ledger.
//!
//! The engine asks [`next`] before every move, and the model search beside it asks the same
//! function in every state that a small world can get into. Two fences keep a repeat from making
//! something twice. A create is fenced by its unique name. An add-version is fenced by time alone:
//! a request can take effect until its life at the destination is over, long after whoever sent it
//! gave up, so a repeat needs the quiet time *and then* a look-up that found nothing. A look-up
//! from before the end of the quiet time proves nothing: the version may have appeared since.

use std::time::Duration;

use super::state::{Intent, Target};

/// What is known beside the intent itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// Since the last send may have begun.
    pub(super) since_sent: Duration,
    /// Since this process began.
    pub(super) since_start: Duration,
    /// Since the last look-up began that was complete and found nothing, if that was after the
    /// last send of this process.
    pub(super) since_look: Option<Duration>,
    /// How long after its beginning a send may take effect, with a margin.
    pub(super) quiet: Duration,
    /// The ledger may be older than the world: sends may be on their way that it knows nothing of.
    pub(super) barrier: bool,
    /// The last answer said that the name is taken.
    pub(super) name_taken: bool,
}

/// The next move. A look-up that finds the version ends the matter and is no move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look for what the commit would have made.
    LookUp,
    /// Come back after this time: an earlier send can still take effect.
    Wait(Duration),
    /// Send the commit.
    Send,
    /// The upload session is gone and nothing was made: send the content anew.
    StartOver,
    /// The name is taken by something that is not ours.
    NameTaken,
}

/// What to do next about `intent`.
pub(super) fn next(intent: &Intent, view: &View) -> Next {
    let again = if intent.session_gone {
        Next::StartOver
    } else {
        Next::Send
    };
    if intent.sends == 0 && !view.barrier {
        return again;
    }
    let Some(since_look) = view.since_look else {
        return Next::LookUp;
    };
    if view.name_taken {
        return Next::NameTaken;
    }
    if matches!(intent.target, Target::Version { .. })
        && let Some(calm) = calm(intent, view)
    {
        if calm < view.quiet {
            return Next::Wait(view.quiet - calm);
        }
        if calm - since_look.min(calm) < view.quiet {
            return Next::LookUp;
        }
    }
    again
}

/// For how long nothing can have been sent that may still take effect; `None` when nothing was
/// sent, or only what was certainly refused. An older ledger does not know of every send, so there
/// the start of this process counts as one.
fn calm(intent: &Intent, view: &View) -> Option<Duration> {
    let sent = (intent.sends > 0 && !intent.refused).then_some(view.since_sent);
    let unknown = view.barrier.then_some(view.since_start);
    match (sent, unknown) {
        (Some(sent), Some(unknown)) => Some(sent.min(unknown)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{NodeId, VersionNumber};

    const QUIET: Duration = Duration::from_secs(60);

    fn version() -> Intent {
        Intent {
            target: Target::Version {
                node: NodeId(1),
                base: VersionNumber(1),
            },
            sent_at: 0,
            sent_up: None,
            sends: 1,
            found: false,
            refused: false,
            session_gone: false,
        }
    }

    fn create() -> Intent {
        Intent {
            target: Target::Create {
                parent: NodeId(1),
                name: "m".into(),
            },
            ..version()
        }
    }

    fn view(since_sent: u64, since_look: Option<u64>) -> View {
        View {
            since_sent: Duration::from_secs(since_sent),
            since_start: Duration::from_secs(1_000),
            since_look: since_look.map(Duration::from_secs),
            quiet: QUIET,
            barrier: false,
            name_taken: false,
        }
    }

    #[track_caller]
    fn check(intent: &Intent, view: View, expected: Next) {
        assert_eq!(next(intent, &view), expected, "{intent:?} {view:?}");
    }

    #[test]
    fn the_first_send_needs_no_look_up_and_every_repeat_does() {
        for intent in [version(), create()] {
            let first = Intent {
                sends: 0,
                ..intent.clone()
            };
            check(&first, view(0, None), Next::Send);
            check(&intent, view(0, None), Next::LookUp);
            check(&intent, view(500, None), Next::LookUp);
        }
        check(&create(), view(1, Some(0)), Next::Send);
    }

    #[test]
    fn an_add_version_waits_out_the_quiet_time_and_is_looked_for_after_it() {
        let left = Duration::from_secs(59);
        check(&version(), view(1, Some(0)), Next::Wait(left));
        // Looked for before the quiet time was over: it may have appeared since.
        check(&version(), view(61, Some(2)), Next::LookUp);
        check(&version(), view(61, Some(1)), Next::Send);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_the_wait_longer_and_never_shorter() {
        check(&version(), view(0, Some(900)), Next::Wait(QUIET));
    }

    #[test]
    fn what_was_certainly_refused_is_looked_for_and_sent_without_a_wait() {
        let refused = Intent {
            refused: true,
            ..version()
        };
        check(&refused, view(1, None), Next::LookUp);
        check(&refused, view(1, Some(0)), Next::Send);
    }

    #[test]
    fn a_ledger_older_than_the_world_waits_from_the_start_whatever_it_knows_of_sends() {
        let young = |since_look| View {
            barrier: true,
            since_start: Duration::from_secs(10),
            ..view(500, since_look)
        };
        let left = Duration::from_secs(50);
        let refused = Intent {
            refused: true,
            ..version()
        };
        let unsent = Intent {
            sends: 0,
            ..version()
        };
        for intent in [version(), refused, unsent] {
            check(&intent, young(None), Next::LookUp);
            check(&intent, young(Some(0)), Next::Wait(left));
            let old = View {
                since_start: Duration::from_secs(70),
                ..young(Some(0))
            };
            check(&intent, old, Next::Send);
        }
        let unsent = Intent {
            sends: 0,
            ..create()
        };
        check(&unsent, young(None), Next::LookUp);
        check(&unsent, young(Some(0)), Next::Send);
    }

    #[test]
    fn a_session_that_is_gone_is_replaced_when_nothing_can_come_of_it_any_more() {
        let gone = |intent: Intent| Intent {
            session_gone: true,
            ..intent
        };
        check(&gone(create()), view(1, None), Next::LookUp);
        check(&gone(create()), view(1, Some(0)), Next::StartOver);
        let left = Duration::from_secs(59);
        check(&gone(version()), view(1, Some(0)), Next::Wait(left));
        check(&gone(version()), view(90, Some(0)), Next::StartOver);
        let unsent = Intent {
            sends: 0,
            ..version()
        };
        check(&gone(unsent), view(0, None), Next::StartOver);
    }

    #[test]
    fn a_taken_name_is_ours_or_a_conflict() {
        let taken = |since_look| View {
            name_taken: true,
            ..view(1, since_look)
        };
        check(&create(), taken(None), Next::LookUp);
        check(&create(), taken(Some(0)), Next::NameTaken);
    }
}
