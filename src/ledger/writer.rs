//! The writer thread: group commit.
//!
//! It takes the first message, then whatever is already queued, runs all of it in one
//! transaction, each message in its own savepoint, syncs once, and only then answers. At 64 tasks
//! that is ten times the rate of a transaction each; lingering for more would only add delay.
//!
//! A fault of the store latches: the whole batch fails with it, and so does everything after.
//! Nobody can then do something in the outside world and find that it was not recorded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error};

use super::error::Fault;
use super::journal::Head;
use super::lock::Lock;
use super::rows::Entry;
use super::{Error, meta, now};

/// Most messages in one transaction: bounds the time to the first answer.
const BATCH: usize = 512;

/// Messages that may wait. Each has a task behind it that waits for the answer.
const QUEUE: usize = 1024;

/// The fault that ended the ledger's work, once there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Latch(
    Arc<OnceLock<(Fault, String)>>,
    /// Commits that still succeed, plus one; zero for no limit.
    #[cfg(test)]
    Arc<std::sync::atomic::AtomicU64>,
);

#[cfg(test)]
impl Latch {
    /// Has every commit after the next `commits` fail as if the disk did.
    pub(super) fn fail_after(&self, commits: u64) {
        self.1
            .store(commits + 1, std::sync::atomic::Ordering::SeqCst);
    }

    fn before_commit(&self) -> Result<(), Error> {
        use std::sync::atomic::Ordering::SeqCst;
        let left = self
            .1
            .fetch_update(SeqCst, SeqCst, |left| (left > 1).then(|| left - 1));
        match left {
            Err(1) => Err(Error::Store {
                fault: Fault::Io,
                detail: "a failure made for a test".into(),
            }),
            _ => Ok(()),
        }
    }
}

impl Latch {
    /// Fails if a fault has latched.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.0.get() {
            Some((fault, detail)) => Err(Error::Store {
                fault: *fault,
                detail: detail.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Latches if the error is a fault of the store.
    pub(super) fn note(&self, error: &Error) {
        if let Some(fault) = error.fault()
            && self.0.set(fault).is_ok()
        {
            error!(%error, "the ledger takes no more work");
        }
    }
}

/// What a message sees of the transaction.
pub(super) struct Tx<'a> {
    pub(super) conn: &'a Connection,
    head: &'a mut Head,
    now: i64,
}

impl Tx<'_> {
    /// When the batch began, Unix milliseconds.
    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// Appends a journal line.
    pub(super) fn journal(&mut self, entry: &Entry) -> Result<(), Error> {
        self.head.append(self.conn, self.now, entry)
    }
}

trait Message: Send {
    /// Does the work inside its savepoint and keeps the outcome.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Error>;
    /// Answers with the outcome, the transaction being durable.
    fn answer(self: Box<Self>);
    /// Answers with an error.
    fn refuse(self: Box<Self>, error: Error);
}

struct Work<T, F> {
    work: Option<F>,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Message for Work<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, Error> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Error> {
        if let Some(work) = self.work.take() {
            self.outcome = Some(work(tx)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>) {
        let outcome = self.outcome.ok_or_else(Error::stopped);
        // The asker may have gone; the change stands all the same.
        let _ = self.reply.send(outcome);
    }

    fn refuse(self: Box<Self>, error: Error) {
        let _ = self.reply.send(Err(error));
    }
}

/// The owner's end of the channel. Dropping it lets the thread drain, mark the stop as clean and
/// end, and waits for that.
pub(super) struct Writer {
    sender: Option<mpsc::Sender<Box<dyn Message>>>,
    thread: Option<JoinHandle<()>>,
    latch: Latch,
}

/// What the thread owns.
pub(super) struct State {
    pub(super) path: PathBuf,
    pub(super) conn: Connection,
    pub(super) lock: Lock,
    pub(super) head: Head,
    pub(super) commits: u64,
    pub(super) latch: Latch,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the system has no thread to give.
    pub(super) fn start(state: State) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let latch = state.latch.clone();
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || state.serve(receiver))
            .map_err(|error| Error::Store {
                fault: Fault::Stopped,
                detail: error.to_string(),
            })?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
            latch,
        })
    }

    /// Runs `work` in a transaction and returns once it is durable. Dropped midway, the work is
    /// done whole or not at all, and nobody learns which.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.latch.check()?;
        let (reply, answer) = oneshot::channel();
        let message = Box::new(Work {
            work: Some(work),
            outcome: None,
            reply,
        });
        let sender = self.sender.as_ref().ok_or_else(Error::stopped)?;
        sender.send(message).await.map_err(|_| Error::stopped())?;
        answer.await.map_err(|_| Error::stopped())?
    }

    /// Whether the thread has ended, which it only does by itself after a defect.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.latch.check()?;
        match &self.sender {
            Some(sender) if !sender.is_closed() => Ok(()),
            _ => Err(Error::stopped()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panicked writer has been reported to everyone who asked.
            let _ = thread.join();
        }
    }
}

impl State {
    fn serve(mut self, mut receiver: mpsc::Receiver<Box<dyn Message>>) {
        while let Some(first) = receiver.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(next) = receiver.try_recv()
            {
                batch.push(next);
            }
            self.batch(batch);
        }
        if let Err(error) = self.close() {
            error!(%error, "the ledger was not closed in order");
        }
    }

    fn batch(&mut self, batch: Vec<Box<dyn Message>>) {
        if self.latch.check().is_err() {
            return self.refuse(batch);
        }
        let head = self.head.clone();
        let mut done = Vec::with_capacity(batch.len());
        let mut messages = batch.into_iter();
        let outcome = self.transaction(&mut messages, &mut done);
        match outcome {
            Ok(()) => {
                // Before the answers: what is answered must be in the count.
                self.lock.count(self.commits);
                done.into_iter().for_each(Message::answer);
            }
            Err(error) => {
                self.head = head;
                if !self.conn.is_autocommit()
                    && let Err(error) = self.conn.execute_batch("ROLLBACK")
                {
                    self.latch.note(&error.into());
                }
                self.latch.note(&error);
                if error.fault().is_none() && self.latch.check().is_ok() {
                    debug!(%error, "nothing of this batch was written");
                }
                done.extend(messages);
                if self.latch.check().is_err() {
                    return self.refuse(done);
                }
                for message in done {
                    message.refuse(match &error {
                        Error::Busy => Error::Busy,
                        other => Error::Refused {
                            what: "a transaction",
                            problem: other.to_string(),
                        },
                    });
                }
            }
        }
    }

    /// Runs the messages in one transaction. `done` gets those that stand if the result is `Ok`;
    /// those that fail alone are answered at once.
    fn transaction(
        &mut self,
        messages: &mut impl Iterator<Item = Box<dyn Message>>,
        done: &mut Vec<Box<dyn Message>>,
    ) -> Result<(), Error> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let before = self.head.clone();
        let now = now();
        for mut message in messages {
            let head = self.head.clone();
            self.conn.prepare_cached("SAVEPOINT message")?.execute([])?;
            let mut tx = Tx {
                conn: &self.conn,
                head: &mut self.head,
                now,
            };
            // A defect in one message must not leave the others' askers without an answer.
            let outcome = catch_unwind(AssertUnwindSafe(|| message.run(&mut tx)));
            match outcome.unwrap_or_else(|_| Err(Error::stopped())) {
                Ok(()) => {
                    self.conn.prepare_cached("RELEASE message")?.execute([])?;
                    done.push(message);
                }
                Err(error) => {
                    self.head = head;
                    // Some failures end the whole transaction inside SQLite.
                    if error.fault().is_some() || self.conn.is_autocommit() {
                        done.push(message);
                        return Err(error);
                    }
                    self.conn
                        .prepare_cached("ROLLBACK TO message")?
                        .execute([])?;
                    self.conn.prepare_cached("RELEASE message")?.execute([])?;
                    message.refuse(error);
                }
            }
        }
        if done.is_empty() {
            self.conn.prepare_cached("ROLLBACK")?.execute([])?;
            return Ok(());
        }
        if self.head != before {
            self.head.store(&self.conn)?;
        }
        self.commit()
    }

    fn commit(&mut self) -> Result<(), Error> {
        let commits = self.commits + 1;
        meta::set(&self.conn, meta::COMMITS, &commits.to_string())?;
        #[cfg(test)]
        self.latch.before_commit()?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        self.commits = commits;
        Ok(())
    }

    fn refuse(&self, messages: Vec<Box<dyn Message>>) {
        for message in messages {
            message.refuse(self.latch.check().err().unwrap_or_else(Error::stopped));
        }
    }

    /// Marks the stop as clean and folds the log into the file.
    fn close(mut self) -> Result<(), Error> {
        self.latch.check()?;
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        meta::set(&self.conn, meta::CLEAN, "yes")?;
        self.commit()?;
        self.lock.count(self.commits);
        // A reader at work keeps the log alive; the next owner folds it in then.
        let kept: bool = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        self.conn.close().map_err(|(_, error)| error)?;
        if !kept {
            self.lock.closed(&self.path);
        }
        self.lock.sync();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_stays_and_nothing_else_latches() {
        let latch = Latch::default();
        latch.note(&Error::Busy);
        latch.check().unwrap();
        latch.note(&Error::Store {
            fault: Fault::Full,
            detail: "no space".into(),
        });
        latch.note(&Error::stopped());
        let error = latch.check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the ledger cannot go on, the disk is full: no space"
        );
        assert!(error.is_fatal());
    }
}
