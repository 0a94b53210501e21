//! [`Destination`] for [`Client`]: which call stands behind each of the engine's words, and which
//! of them are commits.

use futures::future::{BoxFuture, FutureExt};
use serde_json::Value;

use super::categories::CategoryValues;
use super::errors::{Effect, Error};
use super::filing;
use super::upload::session_failure;
use super::{Client, Profile};
use crate::transfer::{
    Answer, ByteStream, Committed, Content, Destination, Filed, Kept, Link, NewContent, Node, Part,
    PartReceipt, Session, Version, Window,
};
use crate::types::{ByteCount, Failure, FailureClass, NodeId, Reason, VersionNumber};

/// The failure of a call that may be repeated.
fn plain(doing: String) -> impl FnOnce(Error) -> Failure {
    move |error| error.into_failure(Effect::Repeatable).context(doing)
}

impl Client {
    /// A refusal of a name or a move by a server that nobody asked for its rules: how to ask.
    fn unasked(&self, mut failure: Failure) -> Failure {
        let refused = failure.class == FailureClass::ItemIsWrong && failure.reason == Reason::Other;
        if refused && *self.profile() == Profile::default() {
            failure.message.push_str(
                "; `longhaul doctor --probe --yes` learns which names and moves this server takes, and longhaul then keeps to them",
            );
        }
        failure
    }
}

impl Destination for Client {
    fn map_name(&self, original: &str) -> String {
        self.profile().names.map(original)
    }

    fn holds(&self, name: &str) -> bool {
        self.profile().names.holds(name)
    }

    fn keeps_notes(&self) -> bool {
        self.profile().version_notes != Some(false)
    }

    fn window(&self) -> Answer<'_, Option<Window>> {
        async {
            self.get_window()
                .await
                .map_err(plain("asking for the limits of upload sessions".into()))
        }
        .boxed()
    }

    fn open_session<'a>(
        &'a self,
        file_name: &'a str,
        size: ByteCount,
        mime: &'a str,
    ) -> Answer<'a, Session> {
        async move {
            self.start_session(file_name, size, mime)
                .await
                .map_err(plain(format!(
                    "opening an upload session for {file_name:?} of {size} bytes"
                )))
        }
        .boxed()
    }

    fn send_part<'a>(
        &'a self,
        session: &'a Session,
        number: u32,
        content: Content,
    ) -> Answer<'a, PartReceipt> {
        async move {
            self.post_part(session, number, content)
                .await
                .map_err(|error| {
                    let doing = format!("sending part {number} of {}", session.parts);
                    session_failure(error, &session.key, doing)
                })
        }
        .boxed()
    }

    fn close_session<'a>(&'a self, session: &'a Session) -> Answer<'a, ()> {
        async move {
            self.finish_session(session)
                .await
                .map_err(|error| session_failure(error, &session.key, "closing the upload session"))
        }
        .boxed()
    }

    fn cancel_session<'a>(&'a self, session: &'a Session) -> Answer<'a, ()> {
        async move {
            self.drop_session(session).await.map_err(|error| {
                session_failure(error, &session.key, "cancelling the upload session")
            })
        }
        .boxed()
    }

    fn create_container<'a>(&'a self, parent: NodeId, name: &'a str) -> Answer<'a, NodeId> {
        async move {
            self.create_folder(parent, name, &CategoryValues::default())
                .await
        }
        .boxed()
    }

    fn create_document<'a>(
        &'a self,
        parent: NodeId,
        name: &'a str,
        content: NewContent,
    ) -> Answer<'a, Committed> {
        async move {
            self.create_document_with(parent, name, content, &CategoryValues::default())
                .await
        }
        .boxed()
    }

    fn add_version<'a>(
        &'a self,
        node: NodeId,
        note: &'a str,
        content: NewContent,
    ) -> Answer<'a, Committed> {
        let answer: BoxFuture<'a, _> = self.post_version(node, note, content).boxed();
        async move {
            answer
                .await
                .map_err(|error| error.of_content(format!("adding a version to node {node}")))
        }
        .boxed()
    }

    fn child<'a>(&'a self, parent: NodeId, name: &'a str) -> Answer<'a, Option<Node>> {
        async move {
            self.find_child(parent, name)
                .await
                .map_err(plain(format!("looking for {name:?} in node {parent}")))
        }
        .boxed()
    }

    fn all_free<'a>(&'a self, parent: NodeId, names: &'a [&'a str]) -> Answer<'a, bool> {
        async move {
            self.names_free(parent, names)
                .await
                .map_err(plain(format!("looking for {names:?} in node {parent}")))
        }
        .boxed()
    }

    fn children(&self, parent: NodeId, page: u32) -> Answer<'_, (Vec<Node>, bool)> {
        async move {
            let page = self
                .get_children(parent, None, page.max(1))
                .await
                .map_err(plain(format!(
                    "listing page {page} of the children of node {parent}"
                )))?;
            Ok((page.rows, page.more))
        }
        .boxed()
    }

    fn node(&self, id: NodeId) -> Answer<'_, Node> {
        async move {
            self.get_node(id)
                .await
                .map_err(plain(format!("reading node {id}")))
        }
        .boxed()
    }

    fn versions(&self, id: NodeId) -> Answer<'_, Vec<Version>> {
        async move {
            self.list_versions(id)
                .await
                .map_err(plain(format!("listing the versions of node {id}")))
        }
        .boxed()
    }

    fn describe<'a>(
        &'a self,
        node: NodeId,
        version: VersionNumber,
        text: &'a str,
    ) -> Answer<'a, ()> {
        async move {
            self.put_description(node, version, text)
                .await
                .map_err(plain(format!(
                    "describing version {version} of node {node}"
                )))
        }
        .boxed()
    }

    fn publish<'a>(&'a self, node: NodeId, parent: NodeId, name: &'a str) -> Answer<'a, ()> {
        async move {
            let doing = format!("moving node {node} to node {parent} as {name:?}");
            if self.profile().move_and_rename == Some(false) {
                return self
                    .move_in_two(node, parent, name)
                    .await
                    .map_err(|failure| failure.context(doing));
            }
            self.put_node(node, Some(parent), Some(name))
                .await
                .map_err(plain(doing))
                .map_err(|failure| self.unasked(failure))
        }
        .boxed()
    }

    fn place<'a>(&'a self, filing: &'a Value) -> Answer<'a, NodeId> {
        async move { self.place_of(&filing::read(filing)?).await }.boxed()
    }

    fn prepare<'a>(
        &'a self,
        node: NodeId,
        filed: Filed<'a>,
        filing: &'a Value,
        brings: bool,
    ) -> Answer<'a, ()> {
        async move {
            let filing = filing::read(filing)?;
            match self.check_open(node, &filing).await {
                // What is as it was filed needs no change.
                Err(failure) if failure.reason == Reason::Held && !brings => {
                    let compared = self.compare_filing(node, &[], filed, &filing).await?;
                    match compared.differences.as_slice() {
                        [] => return Ok(()),
                        wrong => {
                            return Err(
                                failure.context(format!("to be mended: {}", wrong.join("; ")))
                            );
                        }
                    }
                }
                other => other?,
            }
            self.set_rights(node, &filing).await
        }
        .boxed()
    }

    fn seal<'a>(&'a self, node: NodeId, filing: &'a Value, first: bool) -> Answer<'a, ()> {
        async move {
            let filing = filing::read(filing)?;
            if let Some(rendition) = &filing.rendition {
                self.keep_rendition(node, rendition).await?;
            }
            self.seal_node(node, &filing.marks, first).await
        }
        .boxed()
    }

    fn kept<'a>(&'a self, node: NodeId, filing: &'a Value) -> Answer<'a, Option<Kept>> {
        async move {
            match filing::read(filing)?.marks.records_class {
                Some(_) => self.kept_under(node).await,
                None => Ok(None),
            }
        }
        .boxed()
    }

    fn link<'a>(
        &'a self,
        node: NodeId,
        companions: &'a [NodeId],
        known_as: &'a str,
        filing: &'a Value,
        staging: NodeId,
    ) -> Answer<'a, Vec<Link>> {
        async move {
            let filing = filing::read(filing)?;
            self.relate_rights(node, companions, &filing.marks).await?;
            self.link_papers(node, companions, known_as, &filing, staging)
                .await
        }
        .boxed()
    }

    fn links<'a>(
        &'a self,
        node: NodeId,
        known_as: &'a str,
        filing: &'a Value,
    ) -> Answer<'a, Vec<NodeId>> {
        async move { self.linked(node, known_as, &filing::read(filing)?).await }.boxed()
    }

    fn dress<'a>(&'a self, node: NodeId, filing: &'a Value, part: Part) -> Answer<'a, ()> {
        async move { self.dress_node(node, &filing::read(filing)?, part).await }.boxed()
    }

    fn rename<'a>(&'a self, node: NodeId, name: &'a str) -> Answer<'a, ()> {
        async move {
            self.put_node(node, None, Some(name))
                .await
                .map_err(plain(format!("renaming node {node} to {name:?}")))
                .map_err(|failure| self.unasked(failure))
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        node: NodeId,
        version: VersionNumber,
        from: ByteCount,
    ) -> Answer<'a, ByteStream> {
        async move {
            self.get_content(node, version, from)
                .await
                .map_err(plain(format!("reading version {version} of node {node}")))
        }
        .boxed()
    }
}
