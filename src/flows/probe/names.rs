//! Questions about names, asked by renaming one document.

use serde_json::json;

use super::{Asking, Verdict};
use crate::content_server::{MAX_NAME, NameRules};
use crate::transfer::Destination as _;
use crate::types::{Failure, FailureClass, NodeId, Reason};

/// Shorter limits than this leave no room for what longhaul adds to a name.
const LEAST: usize = 64;
/// Characters that some servers and what stands before them refuse.
const SUSPECTS: &str = "/\\*?<>|\"'#%&+;~";

/// What came of a name.
enum Named {
    Kept,
    Changed(String),
    Refused(String),
}

impl Asking<'_> {
    pub(super) async fn ask_names(&mut self) -> Result<(), Failure> {
        let document = match self.document("name.bin", json!({})).await {
            Ok(document) => document,
            Err(failure) => {
                let all = ["name-length", "name-characters", "name-emoji", "name-ends"];
                return self.unanswered(&all, failure);
            }
        };
        if let Err(failure) = self.ask_length(document).await {
            self.unanswered(&["name-length"], failure)?;
        }
        if let Err(failure) = self.ask_characters(document).await {
            self.unanswered(&["name-characters"], failure)?;
        }
        match self.name(document, "film \u{1F3AC} take").await {
            Ok(Named::Kept) => self.answer(
                "name-emoji",
                Verdict::Ok,
                "kept",
                "titles keep their characters",
            ),
            Ok(Named::Changed(_) | Named::Refused(_)) => {
                self.profile.names.astral = false;
                self.answer(
                    "name-emoji",
                    Verdict::Warn,
                    "refused or changed",
                    "longhaul writes _ for them, and a suffix that tells such names apart",
                );
            }
            Err(failure) => self.unanswered(&["name-emoji"], failure)?,
        }
        match self.name(document, "name with dot.").await {
            Ok(Named::Kept) => {
                self.answer("name-ends", Verdict::Ok, "kept", "names stay as they are");
            }
            Ok(Named::Changed(name)) => {
                self.profile.names.final_dots = false;
                self.answer(
                    "name-ends",
                    Verdict::Warn,
                    format!("changed to {name:?}"),
                    "longhaul takes them off itself, and adds a suffix that tells such names apart",
                );
            }
            Ok(Named::Refused(said)) => {
                self.profile.names.final_dots = false;
                self.answer(
                    "name-ends",
                    Verdict::Warn,
                    format!("refused: {said}"),
                    "longhaul takes them off, and adds a suffix that tells such names apart",
                );
            }
            Err(failure) => self.unanswered(&["name-ends"], failure)?,
        }
        Ok(())
    }

    async fn name(&self, document: NodeId, name: &str) -> Result<Named, Failure> {
        let mut renamed = self.client.rename(document, name).await;
        if let Err(failure) = &renamed
            && failure.class == FailureClass::RetryNow
        {
            // A hiccup does not happen twice; an opinion does.
            tracing::debug!(error = %failure, "a name is tried again");
            renamed = self.client.rename(document, name).await;
        }
        match renamed {
            Ok(()) => {}
            // An error of the application about one name is its opinion of the name.
            Err(failure)
                if failure.class == FailureClass::ItemIsWrong
                    || (failure.class == FailureClass::RetryNow
                        && failure.reason == Reason::Other) =>
            {
                // Whether the server is well is seen by asking it something else.
                self.client.marked(document).await?;
                return Ok(Named::Refused(failure.message));
            }
            Err(failure) => return Err(failure),
        }
        let now = self.client.marked(document).await?.name;
        Ok(if now == name {
            Named::Kept
        } else {
            Named::Changed(now)
        })
    }

    async fn ask_length(&mut self, document: NodeId) -> Result<(), Failure> {
        const ASK: &str = "name-length";
        let of = |units: usize| "n".repeat(units);
        let said = match self.name(document, &of(MAX_NAME)).await? {
            Named::Kept => {
                self.answer(
                    ASK,
                    Verdict::Ok,
                    format!("{MAX_NAME} characters are kept"),
                    "as documented; longer names are shortened and marked with a suffix",
                );
                return Ok(());
            }
            Named::Changed(name) => format!("cut to {} characters", name.chars().count()),
            Named::Refused(said) => said,
        };
        let (mut fits, mut too_long) = (0, MAX_NAME);
        while too_long - fits > 1 {
            let middle = fits.midpoint(too_long);
            match self.name(document, &of(middle)).await? {
                Named::Kept => fits = middle,
                Named::Changed(_) | Named::Refused(_) => too_long = middle,
            }
        }
        let seen = format!("{fits} characters are kept, not {too_long}: {said}");
        if fits < LEAST {
            self.answer(
                ASK,
                Verdict::Fail,
                seen,
                "longhaul's own names need 64: have the administrator look at what limits names",
            );
            return Ok(());
        }
        self.profile.names.limit = fits;
        self.answer(
            ASK,
            Verdict::Warn,
            seen,
            "longer names are shortened to that and marked with a suffix",
        );
        Ok(())
    }

    async fn ask_characters(&mut self, document: NodeId) -> Result<(), Failure> {
        const ASK: &str = "name-characters";
        let all = format!("name {SUSPECTS} end");
        if let Named::Kept = self.name(document, &all).await? {
            self.answer(
                ASK,
                Verdict::Ok,
                format!("kept: {SUSPECTS}"),
                "names stay as they are but for the colon",
            );
            return Ok(());
        }
        let mut refused = String::new();
        for character in SUSPECTS.chars() {
            match self
                .name(document, &format!("name {character} end"))
                .await?
            {
                Named::Kept => {}
                Named::Changed(_) | Named::Refused(_) => refused.push(character),
            }
        }
        let marks = refused.contains('~');
        let rules = NameRules {
            refused: refused.replace('~', ""),
            ..self.profile.names.clone()
        };
        self.profile.names = rules;
        if marks {
            self.answer(
                ASK,
                Verdict::Fail,
                format!("not kept: {refused}"),
                "longhaul marks names that it had to change with ~: have the administrator look at what refuses it",
            );
        } else if refused.is_empty() {
            self.answer(
                ASK,
                Verdict::Unknown,
                "all of them in one name are not kept, each by itself is",
                "longhaul sends names as they are",
            );
        } else {
            self.answer(
                ASK,
                Verdict::Warn,
                format!("not kept: {refused}"),
                "longhaul writes _ for them, and a suffix that tells such names apart",
            );
        }
        Ok(())
    }
}
