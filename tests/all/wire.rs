//! The clients' calls beyond moving bytes, each against the simulated system over real sockets.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use longhaul::content_server::{
    ExternalFacts, MemberKind, NewProcess, NewWorkspace, ObjectReference, ProcessStatus,
    RecordFields, Relation,
};
use longhaul::iconik::{
    self, Asset, AssetKind, Binned, NewLink, NewSegment, SegmentKind, Selection,
};
use longhaul::simulator::{Options, PASSWORD, Simulator, USER, campaign};
use longhaul::transfer::Destination as _;
use longhaul::types::{CollectionId, NodeId};
use longhaul::{content_server, http};

struct Site {
    simulator: Simulator,
    cs: content_server::Client,
    iconik: iconik::Client,
    target: NodeId,
}

impl Site {
    async fn start() -> Self {
        let simulator = Simulator::start(Options::with(campaign::small()))
            .await
            .expect("free ports");
        let http = http::Client::new(http::Config {
            plain_http: vec!["loopback".into()],
            ..http::Config::default()
        })
        .expect("a client");
        let auth = content_server::Auth::Password {
            user: USER.into(),
            password: PASSWORD.to_owned().into(),
            domain: None,
        };
        let url = simulator.content_server_url().parse().expect("an address");
        let config = content_server::Config::new(url, "sim", auth);
        let cs = content_server::Client::new(http.clone(), config).expect("a client");
        let parts = simulator.parts();
        let config = iconik::Config::new(
            simulator.iconik_url().parse().expect("an address"),
            parts.iconik.app_id(),
            parts.iconik.token().to_owned().into(),
        );
        let iconik = iconik::Client::new(http, config).expect("a client");
        let target = NodeId(parts.target);
        Self {
            simulator,
            cs,
            iconik,
            target,
        }
    }

    async fn titled(&self, title: &str) -> Asset {
        let collection = CollectionId::from(self.simulator.collection());
        let all: Vec<_> = self
            .iconik
            .select(&Selection::Collection(collection))
            .try_collect()
            .await
            .expect("a listing");
        for id in all {
            let asset = self.iconik.asset(&id).await.expect("an asset");
            if asset.title == title {
                return asset;
            }
        }
        panic!("no asset is called {title:?}");
    }
}

fn path(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn content_server_keeps_records_workspaces_and_processes() {
    let site = Site::start().await;
    let cs = &site.cs;

    // Folders and workspaces.
    let names = path(&["2026", "Spring"]);
    assert_eq!(cs.find_path(site.target, &names).await.unwrap(), None);
    let folder = cs.folder_at(site.target, &names).await.unwrap();
    assert_eq!(
        cs.find_path(site.target, &names).await.unwrap(),
        Some(folder)
    );
    let types = cs.workspace_types().await.unwrap();
    let kind = types.iter().find(|kind| kind.name == "Campaign").unwrap();
    let mut new = NewWorkspace {
        kind: kind.id,
        template: kind.templates[0].id,
        name: "Spring campaign".to_owned(),
        parent: Some(site.target),
        description: "made by a test".to_owned(),
        categories: content_server::CategoryValues::default(),
        reference: Some(ObjectReference {
            system: "ICONIK".to_owned(),
            kind: "collection".to_owned(),
            id: "c/1 2".to_owned(),
        }),
    };
    let (workspace, made) = cs.ensure_workspace(&new).await.unwrap();
    assert!(made);
    assert_eq!(
        cs.ensure_workspace(&new).await.unwrap(),
        (workspace, false),
        "by its object"
    );
    let named = cs
        .workspaces_named(kind.id, "Spring campaign")
        .await
        .unwrap();
    assert_eq!((named.len(), named[0].id), (1, workspace));
    new.name = "Autumn campaign".to_owned();
    new.reference = None;
    let (other, _) = cs.ensure_workspace(&new).await.unwrap();
    assert_eq!(cs.ensure_workspace(&new).await.unwrap(), (other, false));
    cs.relate_workspaces(workspace, Relation::Child, other)
        .await
        .unwrap();
    cs.relate_workspaces(workspace, Relation::Child, other)
        .await
        .unwrap();
    let up = cs
        .related_workspaces(other, Relation::Parent)
        .await
        .unwrap();
    assert_eq!(up[0].id, workspace);
    let inside = cs.folder_at(workspace, &path(&["Masters"])).await.unwrap();
    assert_eq!(cs.workspace_around(inside).await.unwrap(), Some(workspace));
    assert_eq!(cs.workspace_around(folder).await.unwrap(), None);

    // People.
    let user = cs
        .find_member(MemberKind::User, USER)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(cs.member(user.id).await.unwrap().name, USER);
    assert!(!cs.groups_of(user.id).await.unwrap().is_empty());
    let roles = cs.workspace_roles(workspace).await.unwrap();
    let team = roles
        .iter()
        .find(|role| role.leader == Some(false))
        .unwrap();
    cs.add_participant(workspace, team.id, user.id)
        .await
        .unwrap();
    let people = cs.participants(workspace, Some(team.id)).await.unwrap();
    assert_eq!(people[0].id, user.id);

    // Records.
    let server = site.simulator.content_server();
    let class = NodeId(server.add_classification("Advertising"));
    let of_records = NodeId(server.add_records_class("Masters"));
    cs.add_classifications(inside, &[class]).await.unwrap();
    assert_eq!(cs.classifications(inside).await.unwrap()[0].id, class);
    let fields = RecordFields {
        status: Some("CLOSED".to_owned()),
        record_date: Some("2026-02-03".to_owned()),
        subject: Some("Spring".to_owned()),
        ..RecordFields::default()
    };
    assert!(cs.record_state(inside).await.unwrap().record.is_none());
    let state = cs
        .declare_record(inside, of_records, &fields)
        .await
        .unwrap();
    let record = state.record.unwrap();
    assert_eq!(
        (
            record.class,
            record.official,
            record.fields.status.as_deref()
        ),
        (Some(of_records), false, Some("CLOSED"))
    );
    let none = RecordFields::default();
    let state = cs.edit_record(inside, &none, Some(true)).await.unwrap();
    assert!(state.record.unwrap().official);
    cs.finalise_record(inside).await.unwrap();
    let state = cs.record_state(inside).await.unwrap();
    assert_eq!(state.can_finalise, Some(false));
    server.hold(workspace.0, "Audit 2026");
    let over = cs.holds_over(inside).await.unwrap();
    assert_eq!(over.holds.len(), 1);
    assert_eq!(over.holds[0].0, workspace);
    assert!(over.holds[0].1.protects());
    assert!(cs.holds_on(inside).await.unwrap().is_empty());

    // Clearance and where it came from.
    let markings = BTreeSet::from(["EMBARGO".to_owned()]);
    cs.set_security(folder, Some(20), &markings).await.unwrap();
    assert_eq!(cs.security(folder).await.unwrap().markings, markings);
    let facts = ExternalFacts {
        created: Some("2026-01-02".to_owned()),
        modified: Some("2026-01-03T04:05:06".to_owned()),
        source: Some("cloud_storage".to_owned()),
        ..ExternalFacts::default()
    };
    let there = cs.set_external_facts(folder, &facts).await.unwrap();
    assert!(facts.fulfilled_by(&there), "{there:?}");

    // Processes.
    let maps = cs.workflow_maps(folder, site.target).await.unwrap();
    let new = NewProcess {
        map: NodeId(maps[0].id),
        documents: vec![folder],
        marker: "lh-42".to_owned(),
        title: "Release".to_owned(),
        values: BTreeMap::new(),
        comment: "please look".to_owned(),
    };
    let (process, started) = cs.ensure_process(&new).await.unwrap();
    assert!(started);
    assert_eq!(cs.ensure_process(&new).await.unwrap(), (process, false));
    let found = cs.process(process).await.unwrap().unwrap();
    assert_eq!(found.title, "Release [lh-42]");
    assert_eq!(found.current[0].assignees, [USER]);
    assert!(server.set_workflow_status(process, "completed"));
    let found = cs.process(process).await.unwrap().unwrap();
    assert_eq!(found.status, ProcessStatus::Completed);
    assert_eq!(cs.ensure_process(&new).await.unwrap(), (process, false));
    let info = cs.process_info(process).await.unwrap();
    assert_eq!(info.comments[0].text, "please look");
    let activities = cs.process_activities(process, process).await.unwrap();
    assert_eq!(activities[0].user_id, Some(user.id));
    assert_eq!(cs.process(1).await.unwrap(), None);

    let hits: Vec<_> = cs
        .search("OTName:\"Autumn campaign\"", Some(site.target))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        hits.iter().map(|hit| hit.node()).collect::<Vec<_>>(),
        [other]
    );
    assert!(
        cs.child(site.target, "Autumn campaign")
            .await
            .unwrap()
            .is_some()
    );
    site.simulator.stop().await;
}

#[tokio::test]
async fn iconik_keeps_remarks_relations_and_links() {
    let site = Site::start().await;
    let iconik = &site.iconik;
    let feature = site.titled("Feature").await;
    let trailer = site.titled("Trailer").await;

    assert!(iconik.review_of(&feature).await.unwrap().is_approved());
    let version = feature.current_version().unwrap().id.clone();
    let votes: Vec<_> = iconik
        .votes(&feature.id, Some(&version))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(votes.len(), 2);

    let comments: Vec<_> = iconik
        .segments(&feature.id, Some(&SegmentKind::Comment), None)
        .try_collect()
        .await
        .unwrap();
    assert!(comments.len() >= 3);
    assert_eq!(comments[0].text.as_deref(), Some("Colour is right"));
    let new = NewSegment {
        kind: SegmentKind::Comment,
        text: "Filed as a record".to_owned(),
        external_id: "lh-1".to_owned(),
        version: Some(version.clone()),
        range_ms: None,
    };
    let made = iconik.ensure_segment(&feature.id, &new).await.unwrap();
    let again = iconik.ensure_segment(&feature.id, &new).await.unwrap();
    assert_eq!(made.id, again.id);
    iconik
        .edit_segment(&feature.id, &made, Some("Filed"), Some(true))
        .await
        .unwrap();
    let found = iconik
        .find_segment(&feature.id, &SegmentKind::Comment, Some(&version), "lh-1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.text.as_deref(), found.checked),
        (Some("Filed"), true)
    );

    for _ in 0..2 {
        iconik
            .relate_assets(&feature.id, "supersedes", &trailer.id, "filed")
            .await
            .unwrap();
    }
    let related: Vec<_> = iconik
        .related_assets(&feature.id, Some("supersedes"))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(related.len(), 1);
    assert_eq!(related[0].id, trailer.id);

    iconik
        .add_history(&feature.id, "filed as node 5")
        .await
        .unwrap();
    let lines: Vec<_> = iconik
        .history(&feature.id, Some("CUSTOM"))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(lines[0].description.as_deref(), Some("filed as node 5"));

    for attached in iconik.attached_files(&feature.id, None).await.unwrap() {
        assert_ne!(attached.format.name.as_deref(), Some("ORIGINAL"));
    }

    let link = NewLink {
        title: "Record of Feature".to_owned(),
        address: "https://cs.example.com/1".to_owned(),
        site: "Content Server".to_owned(),
        external_id: "lh-link-1".to_owned(),
        collection: Some(CollectionId::from(site.simulator.collection())),
        kind: AssetKind::Link,
    };
    let made = iconik.ensure_link(&link).await.unwrap();
    assert_eq!(iconik.ensure_link(&link).await.unwrap().id, made.id);
    let made = iconik.asset(&made.id).await.unwrap();
    assert_eq!(
        made.external_link.as_deref(),
        Some("https://cs.example.com/1")
    );
    assert_eq!(made.in_collections.len(), 1);

    assert_eq!(iconik.bin_asset(&made.id).await.unwrap(), Binned::Now);
    assert_eq!(iconik.bin_asset(&made.id).await.unwrap(), Binned::Before);
    let binned: Vec<_> = iconik.binned_assets().try_collect().await.unwrap();
    assert!(binned.iter().any(|asset| asset.id == made.id));
    assert!(
        iconik
            .find_link("lh-link-1", &AssetKind::Link)
            .await
            .unwrap()
            .is_none()
    );
    iconik.restore_binned(&made.id).await.unwrap();
    assert!(
        iconik
            .find_link("lh-link-1", &AssetKind::Link)
            .await
            .unwrap()
            .is_some()
    );

    let collection = CollectionId::from(site.simulator.collection());
    let collection = iconik.collection(&collection).await.unwrap();
    let metadata = iconik.collection_metadata(&collection).await.unwrap();
    assert!(metadata.hidden.is_empty(), "{:?}", metadata.hidden);
    site.simulator.stop().await;
}
