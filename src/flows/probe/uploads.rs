//! Questions about large bodies and upload sessions. No body larger than allowed is sent; larger
//! ones are announced and given up before their content.

use bytes::Bytes;
use serde_json::Value;

use super::{Asking, Verdict};
use crate::content_server::Announced;
use crate::transfer::{Content, Destination as _, NewContent, PartReceipt, Session, Window};
use crate::types::{ByteCount, Failure, FailureClass, GIB, MIB, Reason, display_bytes};

/// Bodies that are announced: the stock limit of a common web server and what lies above.
const ANNOUNCED: [ByteCount; 4] = [30_000_001, 100 * MIB, GIB, 4 * GIB];
const MIME: &str = "application/octet-stream";
const PIECE: usize = 256 * 1024;

/// `size` bytes that share one piece of memory.
fn filling(size: ByteCount) -> Content {
    let piece = Bytes::from(vec![0x6c; PIECE]);
    let mut left = size;
    let mut chunks = Vec::new();
    while left > 0 {
        let take = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        chunks.push(piece.slice(..take));
        left -= take as u64;
    }
    Content::Chunks(chunks)
}

impl Asking<'_> {
    pub(super) async fn ask_bodies(&mut self) -> Result<(), Failure> {
        const ASK: &str = "single-post";
        let size = self.ask.send_up_to;
        let sent = self
            .make(
                "body.bin",
                Some(NewContent::Body {
                    file_name: "body.bin".to_owned(),
                    mime: MIME.to_owned(),
                    content: filling(size),
                }),
                Value::Null,
            )
            .await;
        let taken = match sent {
            Ok(_) => format!("{} were taken", display_bytes(size)),
            Err(failure) if failure.reason == Reason::TooLarge => {
                self.answer(
                    ASK,
                    Verdict::Fail,
                    format!("{} are refused: {}", display_bytes(size), failure.message),
                    "raise the limit of the web server or proxy before Content Server: smaller masters go in one body",
                );
                return Ok(());
            }
            Err(failure) => return self.unanswered(&[ASK], failure),
        };
        let mut silent = 0;
        for size in ANNOUNCED {
            match self.client.announce(self.scratch.node, size).await {
                Announced::TooLarge => {
                    self.answer(
                        ASK,
                        Verdict::Warn,
                        format!("{taken}; {} are refused when announced", display_bytes(size)),
                        "keep content_server.single_post_max below that, or raise the limit of the web server or proxy",
                    );
                    return Ok(());
                }
                Announced::NotRefused => silent = size,
                // What speaks for something else than the size ends the questions.
                Announced::Otherwise(_) => break,
            }
        }
        let announced = match silent {
            0 => String::new(),
            size => format!(
                "; up to {} were announced (not sent) and not refused",
                display_bytes(size)
            ),
        };
        self.answer(
            ASK,
            Verdict::Unknown,
            format!("{taken}{announced}"),
            "no limit showed, which does not mean that there is none: some refuse only after the content",
        );
        Ok(())
    }

    pub(super) async fn ask_sessions(&mut self) -> Result<(), Failure> {
        const REST: [&str; 3] = ["upload-hole", "upload-part-twice", "upload-key-twice"];
        let window = match self.client.window().await {
            Ok(window) => window,
            Err(failure) => {
                self.unanswered(&["upload-sessions"], failure.clone())?;
                return self.unanswered(&REST, failure);
            }
        };
        let Some(window) = window else {
            self.answer(
                "upload-sessions",
                Verdict::Warn,
                "not offered",
                "a cut starts a file again from its first byte: enable Large File Upload on the server",
            );
            for question in REST {
                self.answer(
                    question,
                    Verdict::Unknown,
                    "not asked: there are no upload sessions",
                    "enable Large File Upload and ask again",
                );
            }
            return Ok(());
        };
        let smallest = window.min + 1;
        let session = match self.open(smallest).await {
            Ok(session) => session,
            Err(failure) => {
                self.unanswered(&["upload-sessions"], failure.clone())?;
                return self.unanswered(&REST, failure);
            }
        };
        self.answer(
            "upload-sessions",
            Verdict::Ok,
            format!(
                "more than {}, less than {}; parts of {}",
                display_bytes(window.min),
                display_bytes(window.max),
                display_bytes(session.part_size)
            ),
            "a cut costs one part at most; several parts go at once",
        );
        let part_size = session.part_size;
        self.give_up(&session).await;
        self.ask_hole(window, part_size).await?;
        if smallest > self.ask.send_up_to {
            for question in ["upload-part-twice", "upload-key-twice"] {
                self.answer(
                    question,
                    Verdict::Unknown,
                    format!(
                        "not asked: a session needs more than {}, and {} may be sent",
                        display_bytes(window.min),
                        display_bytes(self.ask.send_up_to)
                    ),
                    &format!(
                        "longhaul takes a refused part for one that is there, and looks before it uses a key again; --send-up-to '{} MiB' asks",
                        smallest.div_ceil(MIB)
                    ),
                );
            }
            return Ok(());
        }
        self.ask_twice(smallest).await
    }

    async fn open(&self, size: ByteCount) -> Result<Session, Failure> {
        self.client.open_session("probe.bin", size, MIME).await
    }

    /// A session that is not cancelled expires by itself.
    async fn give_up(&self, session: &Session) {
        if let Err(failure) = self.client.cancel_session(session).await {
            tracing::debug!(error = %failure, "a probe's session expires by itself");
        }
    }

    async fn ask_hole(&mut self, window: Window, part_size: ByteCount) -> Result<(), Failure> {
        const ASK: &str = "upload-hole";
        // The last part has one byte, and is all that is sent.
        let size = part_size
            .saturating_mul(window.min.div_ceil(part_size.max(1)).max(1))
            .saturating_add(1);
        if size >= window.max {
            self.answer(
                ASK,
                Verdict::Unknown,
                "not asked: no session has two parts here",
                "longhaul counts its own parts before it closes a session",
            );
            return Ok(());
        }
        let session = match self.open(size).await {
            Ok(session) => session,
            Err(failure) => return self.unanswered(&[ASK], failure),
        };
        let last = session.part(session.parts, size).len();
        if session.parts < 2 || last > self.ask.send_up_to {
            self.give_up(&session).await;
            self.answer(
                ASK,
                Verdict::Unknown,
                "not asked: the server plans its parts otherwise for this size",
                "longhaul counts its own parts before it closes a session",
            );
            return Ok(());
        }
        let closed = async {
            self.client
                .send_part(&session, session.parts, filling(last))
                .await?;
            Ok::<_, Failure>(self.client.close_session(&session).await)
        };
        let closed = closed.await;
        self.give_up(&session).await;
        match closed {
            Ok(Ok(())) => self.answer(
                ASK,
                Verdict::Warn,
                "closed with a hole",
                "longhaul counts its own parts before it closes a session, and reads back as transfer.verify says: do not turn that off here",
            ),
            Ok(Err(failure)) if failure.class != FailureClass::RetryLater => self.answer(
                ASK,
                Verdict::Ok,
                format!("refused: {}", failure.message),
                "a part that is missing is noticed by the server too",
            ),
            Ok(Err(failure)) | Err(failure) => self.unanswered(&[ASK], failure)?,
        }
        Ok(())
    }

    async fn ask_twice(&mut self, size: ByteCount) -> Result<(), Failure> {
        const BOTH: [&str; 2] = ["upload-part-twice", "upload-key-twice"];
        let session = match self.open(size).await {
            Ok(session) => session,
            Err(failure) => return self.unanswered(&BOTH, failure),
        };
        let part = |number| filling(session.part(number, size).len());
        let sent = async {
            for number in 1..=session.parts {
                self.client
                    .send_part(&session, number, part(number))
                    .await?;
            }
            Ok::<_, Failure>(())
        };
        if let Err(failure) = sent.await {
            self.give_up(&session).await;
            return self.unanswered(&BOTH, failure);
        }
        match self.client.send_part(&session, 1, part(1)).await {
            Ok(PartReceipt::AlreadyThere) => self.answer(
                BOTH[0],
                Verdict::Ok,
                "the second was refused as uploaded already",
                "a part whose answer was lost is sent again without harm",
            ),
            Ok(PartReceipt::Stored) => self.answer(
                BOTH[0],
                Verdict::Warn,
                "the second was taken like the first",
                "what was stored is only sure after a read-back: leave transfer.verify at read-back",
            ),
            Err(failure) => self.unanswered(&BOTH[..1], failure)?,
        }
        let committed = async {
            self.client.close_session(&session).await?;
            let content = NewContent::Session(session.clone());
            self.make("session.bin", Some(content), Value::Null).await
        };
        if let Err(failure) = committed.await {
            self.give_up(&session).await;
            return self.unanswered(&BOTH[1..], failure);
        }
        let content = NewContent::Session(session.clone());
        let again = self.make("session again.bin", Some(content), Value::Null);
        match again.await {
            Ok(_) => self.answer(
                BOTH[1],
                Verdict::Warn,
                "a second document was made with the key",
                "only a look tells whether an unclear commit was done, and longhaul always looks first; waiting as content_server.commit_quiet says matters here",
            ),
            Err(failure) if failure.reason != Reason::Ambiguous => self.answer(
                BOTH[1],
                Verdict::Ok,
                format!("refused: {}", failure.message),
                "one session cannot make two documents",
            ),
            Err(failure) => self.unanswered(&BOTH[1..], failure)?,
        }
        Ok(())
    }
}
