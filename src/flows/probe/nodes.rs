//! Questions about nodes: names that meet, moves, and what a create call takes.

use bytes::Bytes;
use serde_json::json;

use super::{Asking, Verdict, body};
use crate::content_server::{CategoryValues, ScratchNode};
use crate::types::{Failure, NodeId, Reason};

/// What an external identity is asked with.
const IDENTITY: &str = "longhaul-probe";

impl Asking<'_> {
    pub(super) async fn ask_nodes(&mut self) -> Result<(), Failure> {
        let folder = match self.folder("twin").await {
            Ok(folder) => folder,
            Err(failure) => {
                return self.unanswered(&["duplicate-name", "case", "move-and-rename"], failure);
            }
        };
        match self.folder("twin").await {
            Ok(_) => self.answer(
                "duplicate-name",
                Verdict::Fail,
                "a second folder of the same name was made",
                "longhaul finds its work by names: use folders in which names are unique",
            ),
            Err(failure) if failure.reason == Reason::NameTaken => self.answer(
                "duplicate-name",
                Verdict::Ok,
                format!("refused: {}", failure.message),
                "a name that is taken is told from other failures",
            ),
            Err(failure)
                if failure.reason.nothing_done() || failure.reason == Reason::Ambiguous =>
            {
                self.answer(
                    "duplicate-name",
                    Verdict::Warn,
                    format!("refused in words that longhaul does not know: {}", failure.message),
                    "longhaul looks up after such an answer, which takes longer; please report the words",
                );
            }
            Err(failure) => self.unanswered(&["duplicate-name"], failure)?,
        }
        match self.folder("TWIN").await {
            Ok(_) => self.answer(
                "case",
                Verdict::Ok,
                "two names",
                "longhaul keeps names apart that differ by case all the same: workstations do not tell them apart",
            ),
            Err(failure) if failure.reason == Reason::NameTaken => self.answer(
                "case",
                Verdict::Ok,
                "one name",
                "the second of two such masters is filed with a suffix",
            ),
            Err(failure) => self.unanswered(&["case"], failure)?,
        }
        let document = match self.document("here.bin", json!({})).await {
            Ok(document) => document,
            Err(failure) => return self.unanswered(&["move-and-rename"], failure),
        };
        self.ask_move(document, folder).await
    }

    async fn ask_move(&mut self, document: NodeId, folder: NodeId) -> Result<(), Failure> {
        const NAME: &str = "there.bin";
        let tried = self
            .client
            .try_move_and_rename(document, folder, NAME)
            .await;
        let at = match self.client.marked(document).await {
            Ok(at) => at,
            Err(failure) => return self.unanswered(&["move-and-rename"], failure),
        };
        let (moved, renamed) = (at.parent == folder, at.name == NAME);
        let done = match (moved, renamed) {
            (true, true) => {
                self.profile.move_and_rename = Some(true);
                self.answer(
                    "move-and-rename",
                    Verdict::Ok,
                    "moved and renamed at once",
                    "a master appears under its own name in one step",
                );
                return Ok(());
            }
            (true, false) => "moved, but not renamed".to_owned(),
            (false, true) => "renamed, but not moved".to_owned(),
            (false, false) => match tried {
                Err(failure) if failure.class == crate::types::FailureClass::RetryLater => {
                    return self.unanswered(&["move-and-rename"], failure);
                }
                Err(failure) => format!("refused: {}", failure.message),
                Ok(()) => "a success without any effect".to_owned(),
            },
        };
        // Whether one after the other works decides what that means.
        self.client.learn(crate::content_server::Profile {
            move_and_rename: Some(false),
            ..(*self.client.profile()).clone()
        });
        let in_two = async {
            use crate::transfer::Destination as _;
            self.client.publish(document, folder, NAME).await?;
            self.client.marked(document).await
        };
        match in_two.await {
            Ok(at) if at.parent == folder && at.name == NAME => {
                self.profile.move_and_rename = Some(false);
                self.answer(
                    "move-and-rename",
                    Verdict::Warn,
                    done,
                    "masters are renamed in staging and then moved, which takes a call more; two of one name are published one after the other",
                );
            }
            Ok(_) | Err(_) => self.answer(
                "move-and-rename",
                Verdict::Fail,
                format!("{done}; nor one after the other"),
                "nothing can be published: give longhaul's user the rights to modify and to delete in staging, and to add in the target",
            ),
        }
        Ok(())
    }

    pub(super) async fn ask_creation(&mut self) -> Result<(), Failure> {
        let none = self
            .client
            .create_in_scratch(ScratchNode {
                parent: self.scratch.node,
                name: "empty.bin",
                mark: &self.scratch.mark,
                content: Some(body("empty.bin", Bytes::new())),
                with: json!({}),
            })
            .await;
        match none {
            Ok(_) => self.answer(
                "empty-file",
                Verdict::Ok,
                "made",
                "an empty file of an image sequence is filed like any other",
            ),
            Err(failure) if failure.reason.nothing_done() => self.answer(
                "empty-file",
                Verdict::Warn,
                format!("refused: {}", failure.message),
                "items with an empty file are parked",
            ),
            Err(failure) => self.unanswered(&["empty-file"], failure)?,
        }
        let with = json!({
            "external_identity": IDENTITY,
            "external_identity_type": "generic_userid",
            "external_source": "file_system",
        });
        let made = async {
            let node = self.document("external.bin", with).await?;
            self.client.marked(node).await
        };
        match made.await {
            Ok(node) if node.external_identity == IDENTITY => self.answer(
                "external-identity",
                Verdict::Ok,
                "taken and kept",
                "where a record came from can be kept in the server's own fields",
            ),
            Ok(_) => self.answer(
                "external-identity",
                Verdict::Warn,
                "taken and not kept",
                "longhaul keeps its own marks in the version's description; keep the asset's id in a mapped attribute",
            ),
            Err(failure) if failure.reason.nothing_done() => self.answer(
                "external-identity",
                Verdict::Warn,
                format!("refused: {}", failure.message),
                "longhaul keeps its own marks in the version's description; keep the asset's id in a mapped attribute",
            ),
            Err(failure) => self.unanswered(&["external-identity"], failure)?,
        }
        self.ask_category().await
    }

    async fn ask_category(&mut self) -> Result<(), Failure> {
        const ASK: &str = "category-on-create";
        let Some((category, name)) = self.ask.category.clone() else {
            self.answer(
                ASK,
                Verdict::Unknown,
                "not asked: no category is mapped",
                "set `map.fields` and ask again, if records are to have categories",
            );
            return Ok(());
        };
        let values = CategoryValues::default().apply(category);
        let with = json!({"roles": {"categories": values}});
        let made = async {
            let node = self.document("category.bin", with).await?;
            self.client.categories(node).await
        };
        match made.await {
            Ok(categories) if categories.iter().any(|one| one.id == category) => self.answer(
                ASK,
                Verdict::Ok,
                format!("{name:?} was on the new document"),
                "records can be created complete; longhaul still reads back what it set",
            ),
            Ok(_) => self.answer(
                ASK,
                Verdict::Warn,
                format!("{name:?} was not on the new document"),
                "longhaul sets categories after creation in staging, before anybody sees them",
            ),
            Err(failure) if failure.reason.nothing_done() => self.answer(
                ASK,
                Verdict::Warn,
                format!("refused: {}", failure.message),
                "longhaul sets categories after creation in staging; required attributes must have values then",
            ),
            Err(failure) => self.unanswered(&[ASK], failure)?,
        }
        Ok(())
    }
}
