//! Questions about versions: their descriptions, numbers and content.

use bytes::Bytes;
use serde_json::json;

use super::{Asking, SAMPLE, Verdict, body};
use crate::transfer::Destination as _;
use crate::types::{
    Failure, Marker, MarkerFields, NodeId, Role, Sha256Digest, VersionNote, VersionNumber,
};

/// Description lengths that are tried, in characters.
const LENGTHS: [usize; 3] = [255, 256, 1000];

impl Asking<'_> {
    pub(super) async fn ask_versions(&mut self) -> Result<(), Failure> {
        let all = [
            "version-note",
            "version-number",
            "description-length",
            "range",
        ];
        let document = match self.document("version.bin", json!({})).await {
            Ok(document) => document,
            Err(failure) => return self.unanswered(&all, failure),
        };
        let note = self.note();
        let content = body("version.bin", Bytes::from_static(SAMPLE));
        let added = async {
            self.client.add_version(document, &note, content).await?;
            self.client.versions(document).await
        };
        let versions = match added.await {
            Ok(versions) => versions,
            Err(failure) => return self.unanswered(&all, failure),
        };
        let Some(last) = versions.last() else {
            let failure = Failure::transient("no version is listed of a document that was made");
            return self.unanswered(&all, failure);
        };
        self.profile.version_notes = Some(last.description == note);
        if last.description == note {
            self.answer(
                "version-note",
                Verdict::Ok,
                "kept",
                "a new version is longhaul's from its first moment: an unclear answer is settled by a look",
            );
        } else {
            self.answer(
                "version-note",
                Verdict::Warn,
                format!("became {:?}", last.description),
                "versions are described by a second call; after an unclear answer a version without description is read back to tell whether it is longhaul's",
            );
        }
        if versions.len() == 2 && last.number == VersionNumber(2) {
            self.answer(
                "version-number",
                Verdict::Ok,
                "the second version has the number 2",
                "versions count up by one",
            );
        } else {
            self.answer(
                "version-number",
                Verdict::Warn,
                format!("{} versions, the last has the number {}", versions.len(), last.number),
                "something on the server keeps or makes versions of its own: see its version control",
            );
        }
        let number = last.number;
        if let Err(failure) = self.ask_description(document, number, note.len()).await {
            self.unanswered(&["description-length"], failure)?;
        }
        self.ask_range(document, number).await
    }

    /// A note as long as real ones.
    fn note(&self) -> String {
        let marker = Marker::derive(&MarkerFields {
            instance: "probe",
            domain: "",
            asset: &self.scratch.mark,
            version: "",
            format: "",
            file: "",
            role: &Role::Master,
        });
        VersionNote {
            marker,
            sha256: Some(Sha256Digest([0xa5; 32])),
        }
        .to_string()
    }

    async fn ask_description(
        &mut self,
        document: NodeId,
        number: VersionNumber,
        needed: usize,
    ) -> Result<(), Failure> {
        const ASK: &str = "description-length";
        let mut kept = 0;
        let mut then = String::new();
        for length in [needed].into_iter().chain(LENGTHS) {
            let text = "d".repeat(length);
            if let Err(failure) = self.client.try_description(document, number, &text).await {
                // Whether the server is well is seen by asking it something else.
                self.client.marked(document).await?;
                then = format!("; {length} are refused: {}", failure.message);
                break;
            }
            let stored = self.client.version(document, number).await?.description;
            if stored == text {
                kept = length;
            } else {
                then = format!("; {length} become {}", stored.chars().count());
                break;
            }
        }
        let seen = format!("{kept} characters are kept{then}");
        if kept >= needed {
            self.answer(
                ASK,
                Verdict::Ok,
                seen,
                &format!("longhaul's notes need {needed}"),
            );
        } else {
            self.answer(
                ASK,
                Verdict::Fail,
                seen,
                &format!(
                    "longhaul's notes need {needed} characters: without them nothing can be proved; have the administrator look at what limits descriptions"
                ),
            );
        }
        Ok(())
    }

    async fn ask_range(&mut self, document: NodeId, number: VersionNumber) -> Result<(), Failure> {
        const ASK: &str = "range";
        let half = SAMPLE.len() as u64 / 2;
        let rest = SAMPLE.len() as u64 - half;
        match self.client.try_range(document, number, half).await {
            Ok(seen) if seen.start == Some(half) && seen.bytes == rest => {
                self.profile.ranges = Some(true);
                self.answer(
                    ASK,
                    Verdict::Ok,
                    "206, from the byte asked for",
                    "a read-back that was cut goes on where it was",
                );
            }
            Ok(seen) => {
                self.profile.ranges = Some(false);
                let whole = seen.status == 200 && seen.bytes == SAMPLE.len() as u64;
                self.answer(
                    ASK,
                    Verdict::Warn,
                    if whole {
                        "200, the whole content".to_owned()
                    } else {
                        format!("{}, {} bytes", seen.status, seen.bytes)
                    },
                    "a read-back that was cut reads again from the first byte; ranges are not asked for",
                );
            }
            Err(failure) => self.unanswered(&[ASK], failure)?,
        }
        Ok(())
    }
}
