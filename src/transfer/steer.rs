//! What can be changed while a run is at work: whether anything new is begun, and how many uploads
//! and reads go on at once.
//!
//! A pause closes a gate before each beginning: an item, a step of a file, a part. What is in
//! flight is finished, because a body cut half way would only move again; so a pause costs nothing
//! but the time it lasts, and it burns no attempt.

use std::sync::Arc;

use tokio::sync::watch;

use super::tuner::Permits;

/// How many of something go on at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// As many as the tuner allows now.
    pub now: usize,
    /// At most so many, as a person wants it; otherwise the cap.
    pub limit: usize,
    /// Never more, as the settings have it.
    pub cap: usize,
}

/// The handle of a run at work.
#[derive(Debug)]
pub struct Steer {
    closed: watch::Sender<Closed>,
    uploads: Arc<Permits>,
    streams: Arc<Permits>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Closed {
    by_person: bool,
    by_calendar: bool,
}

impl Steer {
    pub(super) fn new(uploads: Arc<Permits>, streams: Arc<Permits>) -> Self {
        Self {
            closed: watch::Sender::default(),
            uploads,
            streams,
        }
    }

    /// A handle of no engine, with these caps.
    #[cfg(test)]
    pub(crate) fn alone(uploads: usize, streams: usize) -> Self {
        let permits = |cap| Arc::new(Permits::new(cap, cap));
        Self::new(permits(uploads), permits(streams))
    }

    /// Uploads at once.
    pub fn uploads(&self) -> Places {
        places(&self.uploads)
    }

    /// Reads at once.
    pub fn streams(&self) -> Places {
        places(&self.streams)
    }

    /// At most so many uploads at once; `None` for as many as the settings allow.
    pub fn limit_uploads(&self, most: Option<usize>) {
        self.uploads.limit(most);
    }

    /// At most so many reads at once; `None` for as many as the settings allow.
    pub fn limit_streams(&self, most: Option<usize>) {
        self.streams.limit(most);
    }

    /// Whether a person has paused the run. Says whether that is a change.
    pub fn pause(&self, paused: bool) -> bool {
        self.change(|closed| closed.by_person = paused)
    }

    /// Whether the calendar lets nothing be begun. Says whether that is a change.
    pub fn close(&self, closed: bool) -> bool {
        self.change(|state| state.by_calendar = closed)
    }

    fn change(&self, set: impl FnOnce(&mut Closed)) -> bool {
        self.closed.send_if_modified(|closed| {
            let before = *closed;
            set(closed);
            *closed != before
        })
    }

    /// Whether a person has paused the run.
    pub fn is_paused(&self) -> bool {
        self.closed.borrow().by_person
    }

    /// Whether anything new may be begun.
    pub fn is_open(&self) -> bool {
        *self.closed.borrow() == Closed::default()
    }

    /// Waits until something new may be begun.
    pub(crate) async fn open(&self) {
        let mut closed = self.closed.subscribe();
        // The sender is this handle's own, so the wait cannot end in an error.
        let _open = closed.wait_for(|closed| *closed == Closed::default()).await;
    }
}

fn places(permits: &Permits) -> Places {
    Places {
        now: permits.target(),
        limit: permits.limited_to(),
        cap: permits.cap(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_limit_is_within_the_cap_and_given_back() {
        let steer = Steer::alone(3, 32);
        steer.limit_uploads(Some(64));
        assert_eq!(steer.uploads().now, 3, "never more than the cap");
        steer.limit_uploads(Some(0));
        let one = Places {
            now: 1,
            limit: 1,
            cap: 3,
        };
        assert_eq!(steer.uploads(), one, "none at all is a pause");
        steer.limit_uploads(None);
        assert_eq!((steer.uploads().now, steer.streams().now), (3, 32));
    }

    #[tokio::test(start_paused = true)]
    async fn the_gate_opens_when_both_the_person_and_the_calendar_allow_it() {
        let steer = Arc::new(Steer::alone(1, 1));
        steer.open().await;
        assert!(steer.pause(true) && !steer.pause(true));
        assert!(steer.close(true));
        let waiting = tokio::spawn({
            let steer = Arc::clone(&steer);
            async move { steer.open().await }
        });
        steer.pause(false);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished() && !steer.is_open() && !steer.is_paused());
        steer.close(false);
        waiting.await.unwrap();
        assert!(steer.is_open());
    }
}
