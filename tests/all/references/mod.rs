//! `references`: documents shown at a collection as far as the audience may read them, each once,
//! brought up to date and taken away again.

mod copies;

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use longhaul::content_server::{CategoryValues, Client, NewWorkspace};
use longhaul::simulator::Options;
use longhaul::simulator::campaign::{AssetSpec, Campaign, FileSpec};
use longhaul::simulator::content_server::User;
use longhaul::simulator::faults::{Action, Rule, System};
use longhaul::simulator::iconik::Kind;
use longhaul::simulator::masters::Master;
use longhaul::transfer::{Content, Destination as _, NewContent};
use longhaul::types::{ByteRange, KIB, MIB, NodeId};
use serde_json::{Value, json};

use crate::support::{Extra, Systems, of_type};

struct Desk {
    systems: Systems,
    /// A folder that everybody may read.
    folder: i64,
    /// A user who may read what everybody may.
    audience: i64,
}

impl Desk {
    fn new() -> Self {
        let file = FileSpec::generated("clip.mov", 1, 4 * KIB);
        Self::with(Campaign::new().asset(AssetSpec::new("Clip", vec![file])))
    }

    fn with(campaign: Campaign) -> Self {
        let systems = Systems::start(Options::with(campaign));
        let server = systems.simulator.content_server();
        let target = NodeId(systems.simulator.parts().target);
        let made = |server: Client| async move { server.create_container(target, "Briefs").await };
        let folder = systems.person(made).0;
        server
            .publish(folder, &["see", "see_contents"])
            .expect("rights have these names");
        let audience = server.add_user(User {
            name: "rita".to_owned(),
            password: "unused".to_owned(),
            administrator: false,
        });
        Self {
            systems,
            folder,
            audience,
        }
    }

    /// Documents of the folder, as links, by this rule's further entries.
    fn rule(&self, entries: &str) {
        let collection = self.systems.simulator.collection();
        self.settings(&format!(
            "[references.rules.briefs]\ncollections = [\"{collection}\"]\n{entries}\n"
        ));
    }

    fn settings(&self, rules: &str) {
        let sections = format!("[references]\naudience = {}\n{rules}", self.audience);
        self.systems.configure(Extra {
            sections: &sections,
            ..Extra::default()
        });
    }

    fn in_folder(&self) {
        self.rule(&format!("folder = {}", self.folder));
    }

    /// A person files a document.
    fn file(&self, name: &str) -> NodeId {
        let folder = NodeId(self.folder);
        let (name, content) = (name.to_owned(), content(name));
        self.person(|server| async move {
            let made = server.create_document(folder, &name, content).await?;
            Ok(made.node)
        })
    }

    fn person<T, F>(&self, does: impl FnOnce(Client) -> F) -> T
    where
        F: Future<Output = Result<T, longhaul::types::Failure>>,
    {
        self.systems.person(does)
    }

    /// The links that are not in the recycle bin.
    fn links(&self) -> Vec<Value> {
        let mut rows = self.systems.simulator.iconik().rows(Kind::Asset);
        rows.retain(|row| row["type"] == "LINK" && row["status"] == "ACTIVE");
        rows.sort_by_key(|row| row["title"].to_string());
        rows
    }

    /// The copies that are not in the recycle bin.
    fn copies(&self) -> Vec<Value> {
        let mut rows = self.systems.simulator.iconik().rows(Kind::Asset);
        rows.retain(|row| {
            let external = row["external_id"].as_str().unwrap_or_default();
            let ours = external.starts_with("longhaul:reference:");
            ours && row["type"] == "ASSET" && row["status"] == "ACTIVE"
        });
        rows.sort_by_key(|row| row["title"].to_string());
        rows
    }

    /// The content of an asset's files in the bucket, oldest version first; each is complete.
    fn contents(&self, asset: &Value) -> Vec<Vec<u8>> {
        let iconik = self.systems.simulator.iconik();
        let mut rows = iconik.rows(Kind::File);
        rows.retain(|row| row["asset_id"] == asset["id"]);
        rows.sort_by_key(|row| row["directory_path"].to_string());
        rows.iter()
            .map(|row| {
                assert_eq!(row["status"], "CLOSED", "{row:#}");
                let of = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                let key = format!("cloud/{}/{}", of("directory_path"), of("name"));
                let object = self.systems.simulator.parts().bucket.get(&key);
                let master = object.unwrap_or_else(|| panic!("nothing at {key}")).master;
                master.read(ByteRange::new(0, master.size()))
            })
            .collect()
    }

    fn storage(&self) -> String {
        let rows = self.systems.simulator.iconik().rows(Kind::Storage);
        let row = rows.iter().find(|row| row["method"] == "S3");
        row.expect("a bucket")["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    fn copied(&self) {
        let storage = self.storage();
        let folder = self.folder;
        self.rule(&format!(
            "folder = {folder}\ncopy = {{ storage = \"{storage}\" }}\ntitle = \"{{name}}\""
        ));
    }

    /// Runs the flow until it dies, once at each step of making a copy.
    fn die_at_each_step(&self) {
        for place in [
            "copy-placed:1",
            "copy-part:1",
            "copy-part:1",
            "copy-sent:1",
            "copy-closed:1",
        ] {
            self.die(place);
        }
    }

    /// Runs the flow until it dies at a place.
    #[track_caller]
    fn die(&self, place: &str) {
        self.systems.die(&["references", "--json"], place);
    }

    /// Everything that could show a change.
    fn effects(&self) -> (usize, usize, usize) {
        (
            self.systems.simulator.iconik().writes().len(),
            self.systems.simulator.content_server().history().len(),
            self.systems.must(&["audit"]).len(),
        )
    }

    #[track_caller]
    fn quiet(&self, code: i32) {
        let before = self.effects();
        for flags in [&["references"][..], &["references", "--full"]] {
            let (ended, lines) = self.systems.run(flags);
            assert_eq!(ended, code, "{lines:#?}");
        }
        assert_eq!(self.effects(), before, "nothing new, nothing written");
    }
}

fn content(text: &str) -> NewContent {
    NewContent::Body {
        file_name: "brief.pdf".to_owned(),
        mime: "application/pdf".to_owned(),
        content: Content::Chunks(vec![Bytes::from(text.to_owned())]),
    }
}

fn outcomes(lines: &[Value]) -> Value {
    of_type(lines, "references_summary")["outcomes"].clone()
}

#[test]
fn documents_are_shown_once_brought_up_to_date_and_taken_away() {
    let desk = Desk::new();
    desk.in_folder();
    let brief = desk.file("Brief.pdf");
    let plan = desk.file("Plan.pdf");
    let secret = desk.file("Salaries.pdf");
    let server = desk.systems.simulator.content_server();
    server.publish(secret.0, &[]).expect("no rights");
    let dry = desk.systems.must(&["references", "--dry-run"]);
    assert_eq!(outcomes(&dry), json!({"shown": 2}));
    assert_eq!(desk.links().len(), 0, "nothing was written");
    let ledger = desk.systems.place.path().join("longhaul.db");
    assert!(!ledger.exists(), "no ledger is made");
    let lines = desk.systems.must(&["references"]);
    assert_eq!(outcomes(&lines), json!({"shown": 2}));
    assert_eq!(of_type(&lines, "references_summary")["hidden"], 1);
    let links = desk.links();
    let titles: Vec<&str> = links
        .iter()
        .filter_map(|link| link["title"].as_str())
        .collect();
    assert!(titles[0].starts_with("Brief.pdf (application/pdf, version 1, available, 20"));
    assert!(
        titles[1].starts_with("Plan.pdf ") && titles.len() == 2,
        "{titles:?}"
    );
    let address = links[0]["external_link"].as_str().expect("an address");
    assert!(
        address.ends_with(&format!("/app/nodes/{brief}")),
        "{address}"
    );
    let said = format!("{lines:?}");
    assert!(!said.contains("Salaries"), "not even by its name");
    desk.quiet(0);

    // Renamed, a new version, withdrawn rights, and a document that becomes visible.
    desk.person(|server| async move { server.rename(brief, "Creative brief.pdf").await });
    desk.person(|server| async move { server.add_version(brief, "second", content("2")).await });
    server.publish(plan.0, &[]).expect("no rights");
    let read = ["see", "see_contents"];
    server.publish(secret.0, &read).expect("rights");
    let lines = desk.systems.must(&["references"]);
    assert_eq!(
        outcomes(&lines),
        json!({"shown": 1, "updated": 1, "withdrawn": 1})
    );
    let links = desk.links();
    assert_eq!(links.len(), 2);
    let title = links[0]["title"].as_str().expect("a title");
    assert!(
        title.starts_with("Creative brief.pdf (application/pdf, version 2"),
        "{title}"
    );
    desk.quiet(0);

    // Shown again, then moved away for good.
    server.publish(plan.0, &read).expect("rights");
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"shown": 1})
    );
    assert!(server.delete(plan.0));
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"withdrawn": 1})
    );
    let listed = desk.systems.must(&["references", "list"]);
    let shown = listed
        .iter()
        .filter(|line| line["type"] == "reference_shown");
    assert_eq!(shown.count(), 2);

    // A rule that is not there any more shows nothing.
    desk.settings("");
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"withdrawn": 2})
    );
    assert_eq!(desk.links().len(), 0);
    desk.quiet(0);
    assert_eq!(desk.systems.run(&["audit", "verify"]).0, 0);
    desk.systems.stop();
}

#[test]
fn what_people_change_in_iconik_is_mended_and_what_is_not_ours_is_left() {
    let desk = Desk::new();
    desk.in_folder();
    let brief = desk.file("Brief.pdf");
    desk.systems.must(&["references"]);
    let iconik = desk.systems.simulator.iconik();
    let link = desk.links()[0]["id"].as_str().expect("an id").to_owned();
    assert!(iconik.change(Kind::Asset, &link, json!({"title": "Mine"})));
    assert_eq!(outcomes(&desk.systems.must(&["references"])), json!({}));
    assert_eq!(
        outcomes(&desk.systems.must(&["references", "--full"])),
        json!({"updated": 1})
    );
    assert!(
        desk.links()[0]["title"]
            .as_str()
            .expect("a title")
            .starts_with("Brief.pdf")
    );

    // Somebody made the link his own: it is neither changed nor deleted.
    assert!(iconik.change(Kind::Asset, &link, json!({"external_id": "theirs"})));
    let server = desk.systems.simulator.content_server();
    server.publish(brief.0, &[]).expect("no rights");
    let (code, lines) = desk.systems.run(&["references"]);
    assert_eq!((code, outcomes(&lines)), (3, json!({"held": 1})));
    let held = of_type(&lines, "reference");
    assert!(
        held["why"]
            .as_str()
            .expect("a reason")
            .contains("external id")
    );
    assert_eq!(desk.links().len(), 1);
    assert_eq!(desk.systems.run(&["references", "list"]).0, 3);
    desk.systems.stop();
}

#[test]
fn a_rule_that_cannot_be_followed_waits_and_takes_nothing_away() {
    let desk = Desk::new();
    desk.in_folder();
    desk.file("Brief.pdf");
    desk.systems.must(&["references"]);
    for (entries, words) in [
        ("folder = 99999999", "99999999"),
        (
            "workspace = { type = \"Nonsense\", name = \"x\" }",
            "no workspace type",
        ),
        (
            "workspace = { type = \"Campaign\", name = \"Nobody\" }",
            "no Campaign workspace",
        ),
        ("search = \"OTName:{nothing}\"", "`nothing`"),
        (
            &format!("folder = {}\npath = \"Gone\"", desk.folder),
            "no folder",
        ),
        (
            &format!("folder = {}\ntitle = \"{{author}}\"", desk.folder),
            "`author`",
        ),
    ] {
        desk.rule(entries);
        let (code, lines) = desk.systems.run(&["references"]);
        assert_eq!(
            (code, outcomes(&lines)),
            (3, json!({"held": 1})),
            "{lines:#?}"
        );
        let why = of_type(&lines, "reference")["why"]
            .as_str()
            .expect("a reason");
        assert!(why.contains(words), "{why}");
        assert_eq!(desk.links().len(), 1, "{entries}");
        desk.quiet(3);
    }
    desk.in_folder();
    assert_eq!(outcomes(&desk.systems.must(&["references"])), json!({}));
    assert_eq!(
        desk.systems.run(&["references", "list"]).0,
        0,
        "nothing waits any more"
    );

    // What is wrong before anything is looked at.
    for (rules, words) in [
        ("[references]\n", "nothing is configured"),
        (
            "[references.rules.r]\ncollections = [\"c\"]\nfolder = 1\n",
            "`references.audience` is not set",
        ),
        (
            "[references]\naudience = 999\n[references.rules.r]\ncollections = [\"c\"]\nsearch = \"{x\"\n",
            "`references.rules.r.search`",
        ),
        (
            "[references]\naudience = 999\n[references.rules.r]\ncollections = [\"c\"]\nfolder = 1\n\
             only = { category = \"Media record\", attribute = \"Kind\", values = [\"a\"] }\n",
            "`references.rules.r.only`",
        ),
    ] {
        desk.systems.configure(Extra {
            sections: rules,
            ..Extra::default()
        });
        let (code, lines) = desk.systems.run(&["references"]);
        let said = of_type(&lines, "exit")["message"].to_string();
        assert!(code == 2 && said.contains(words), "{code} {said}");
    }
    let links = desk.links();
    desk.systems.configure(Extra {
        sections: "[references]\naudience = 424242\n",
        ..Extra::default()
    });
    let (code, lines) = desk.systems.run(&["references"]);
    let said = of_type(&lines, "exit")["message"].to_string();
    assert!(
        code == 2 && said.contains("`references.audience`"),
        "{code} {said}"
    );
    assert_eq!(desk.links(), links, "a wrong audience withdraws nothing");
    desk.systems.stop();
}

#[test]
fn addresses_stand_in_a_field_beside_those_of_other_people() {
    let desk = Desk::new();
    let iconik = desk.systems.simulator.iconik();
    let views = iconik.rows(Kind::View);
    let view = views.iter().find(|view| view["name"] == "Campaign");
    let view = view.expect("a view")["id"].as_str().expect("an id");
    let field = format!("field = {{ view = \"{view}\", name = \"keywords\" }}");
    desk.rule(&format!("folder = {}\n{field}", desk.folder));
    let values = || -> Vec<String> {
        let collection = desk.systems.simulator.collection();
        let saved = iconik.values("collections", &collection, view);
        let saved = saved.unwrap_or_default()["keywords"]["field_values"].clone();
        let all = saved.as_array().cloned().unwrap_or_default();
        let texts = all.iter().filter_map(|value| value["value"].as_str());
        texts.map(str::to_owned).collect()
    };
    let brief = desk.file("Brief.pdf");
    desk.file("Plan.pdf");
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"shown": 2})
    );
    assert_eq!(values().len(), 2);
    desk.quiet(0);
    assert!(desk.systems.simulator.content_server().delete(brief.0));
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"withdrawn": 1})
    );
    assert_eq!(values().len(), 1);
    assert_eq!(desk.links().len(), 0);
    // A field that does not exist is said, and the rest is left.
    desk.rule(&format!(
        "folder = {}\nfield = {{ view = \"{view}\", name = \"nowhere\" }}",
        desk.folder
    ));
    let (code, lines) = desk.systems.run(&["references"]);
    assert_eq!(code, 3, "{lines:#?}");
    let held = lines.iter().find(|line| line["outcome"] == "held");
    assert!(held.expect("held")["why"].to_string().contains("`nowhere`"));
    desk.systems.stop();
}

#[test]
fn a_campaigns_workspace_is_looked_into_by_name_folder_and_category() {
    let desk = Desk::new();
    let iconik = desk.systems.simulator.iconik();
    let collection = desk.systems.simulator.collection();
    let title = iconik
        .row(Kind::Collection, &collection)
        .expect("it is there")["title"]
        .clone();
    let title = title.as_str().expect("a title").to_owned();
    let target = NodeId(desk.systems.simulator.parts().target);
    let documents = desk.person(|server| async move {
        let types = server.workspace_types().await?;
        let kind = types
            .iter()
            .find(|kind| kind.name == "Campaign")
            .expect("a type");
        let wanted = NewWorkspace {
            kind: kind.id,
            template: kind.templates[0].id,
            name: title,
            parent: Some(target),
            description: String::new(),
            categories: CategoryValues::default(),
            reference: None,
        };
        let (workspace, _) = server.ensure_workspace(&wanted).await?;
        let names = ["Briefs".to_owned(), "Old".to_owned()];
        let old = server.folder_at(workspace, &names).await?;
        let briefs = server.folder_at(workspace, &names[..1]).await?;
        let category = server.category_facts(&["Media record"], target).await?[0].id;
        let mut made = Vec::new();
        for (folder, name, owner) in [
            (briefs, "Brief.pdf", "Anna"),
            (old, "Old brief.pdf", "Berta"),
            (old, "Invoice.pdf", "Carl"),
            (workspace, "Elsewhere.pdf", "Anna"),
        ] {
            let values = CategoryValues::default().set(format!("{category}_5"), owner);
            let document = server.create_document_with(folder, name, content(name), &values);
            made.push(document.await?.node);
        }
        Ok(made)
    });
    for node in &documents {
        let server = desk.systems.simulator.content_server();
        let rights = ["see", "see_contents"];
        server.publish(node.0, &rights).expect("rights");
    }
    let rule = "workspace = { type = \"Campaign\", name = \"{title}\" }\npath = \"Briefs\"\n";
    let titles = || -> Vec<Value> {
        desk.links()
            .iter()
            .map(|link| link["title"].clone())
            .collect()
    };
    desk.rule(&format!("{rule}title = \"{{name}}\""));
    desk.systems.must(&["references"]);
    assert_eq!(titles(), ["Brief.pdf"]);
    let only = "deep = true\nonly = { category = \"Media record\", attribute = \"Owner\", values = [\"Anna\", \"Berta\"] }\n";
    desk.rule(&format!("{rule}{only}title = \"{{name}}\""));
    desk.systems.must(&["references"]);
    assert_eq!(titles(), ["Brief.pdf", "Old brief.pdf"]);
    desk.quiet(0);
    desk.systems.stop();
}

#[test]
fn a_search_that_lags_behind_takes_nothing_away() {
    let desk = Desk::new();
    let server = desk.systems.simulator.content_server();
    server
        .configure(|config| config.index_lag = Duration::ZERO)
        .expect("a configuration");
    desk.rule("search = \"OTName:Brief and OTSubType:144\"");
    let brief = desk.file("Brief.pdf");
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"shown": 1})
    );
    // The index forgets what was changed lately.
    server
        .configure(|config| config.index_lag = Duration::from_secs(600))
        .expect("a configuration");
    assert_eq!(outcomes(&desk.systems.must(&["references"])), json!({}));
    assert!(server.delete(brief.0));
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"withdrawn": 1})
    );
    desk.systems.stop();
}

#[test]
fn killed_at_random_moments_no_link_is_there_twice() {
    let desk = Desk::new();
    desk.in_folder();
    for number in 0..12 {
        desk.file(&format!("Brief {number}.pdf"));
    }
    // Killed as soon as so many links are there.
    let kill = |links: usize| {
        let mut child = desk
            .systems
            .place
            .killable()
            .args(["references", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("longhaul starts");
        while child.try_wait().expect("a child").is_none() && desk.links().len() != links {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    };
    for links in [1, 3, 4, 7, 10] {
        kill(links);
    }
    desk.systems.must(&["references"]);
    let links = desk.links();
    let ids: std::collections::BTreeSet<String> = links
        .iter()
        .map(|link| link["external_id"].to_string())
        .collect();
    assert_eq!((links.len(), ids.len()), (12, 12));
    desk.quiet(0);
    desk.settings("");
    for links in [11, 8, 5, 4] {
        kill(links);
    }
    desk.systems.must(&["references"]);
    assert_eq!(desk.links().len(), 0, "all are in the recycle bin");
    desk.quiet(0);
    desk.systems.stop();
}

#[test]
fn assets_are_related_to_the_documents_of_their_own_values() {
    let asset = |number: u64, campaign: &str| {
        let file = FileSpec::generated(&format!("clip{number}.mov"), number, 4 * KIB);
        let title = format!("Clip {number}");
        AssetSpec::new(&title, vec![file]).value("campaign", &[campaign])
    };
    let campaign = Campaign::new()
        .asset(asset(1, "Spring"))
        .asset(asset(2, "Autumn"));
    let desk = Desk::with(campaign);
    let iconik = desk.systems.simulator.iconik();
    iconik.add_relation_type("release form");
    let target = NodeId(desk.systems.simulator.parts().target);
    let folder = NodeId(desk.folder);
    let made = desk.person(|server| async move {
        let category = server.category_facts(&["Media record"], target).await?[0].id;
        let mut made = Vec::new();
        for (name, campaign) in [("Spring.pdf", "Spring"), ("Autumn.pdf", "Autumn")] {
            let values = CategoryValues::default().set(format!("{category}_3"), campaign);
            let document = server.create_document_with(folder, name, content(name), &values);
            made.push(document.await?.node);
        }
        Ok(made)
    });
    let collection = desk.systems.simulator.collection();
    let rule = |entries: &str| {
        desk.settings(&format!(
            "[references.rules.releases]\nfolder = {}\ntitle = \"{{name}}\"\n{entries}\n\
             only = {{ category = \"Media record\", attribute = \"Campaign\", values = [\"{{campaign}}\"] }}\n",
            desk.folder
        ));
    };
    let of_collection = format!("assets_of = [\"{collection}\"]\nrelation = \"release form\"");
    rule(&of_collection);
    let lines = desk.systems.must(&["references"]);
    assert_eq!(outcomes(&lines), json!({"shown": 2}));
    let related = |title: &str| -> Vec<String> {
        let id = desk.systems.assets(&[title]).remove(0);
        let all = iconik.relations();
        let own = all
            .iter()
            .filter(|row| row["related_from_asset_id"] == id.as_str());
        let own = own.filter_map(|row| row["related_to_asset_id"].as_str());
        let titles = own.filter_map(|id| iconik.row(Kind::Asset, id));
        titles
            .filter(|row| row["status"] == "ACTIVE")
            .map(|row| row["title"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(related("Clip 1"), ["Spring.pdf"]);
    assert_eq!(related("Clip 2"), ["Autumn.pdf"]);
    desk.quiet(0);

    // The asset's value changes, and so does what it is related to.
    let second = desk.systems.assets(&["Clip 2"]).remove(0);
    assert!(iconik.set_values(&second, "campaign", &["Spring"]));
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"shown": 1, "withdrawn": 1})
    );
    assert_eq!(related("Clip 2"), ["Spring.pdf"]);
    desk.quiet(0);
    // One without a value chooses nothing.
    assert!(iconik.set_values(&second, "campaign", &[]));
    assert_eq!(
        outcomes(&desk.systems.must(&["references"])),
        json!({"withdrawn": 1})
    );

    // A single asset, with a copy; the other one's links go.
    let first = desk.systems.assets(&["Clip 1"]).remove(0);
    let storage = desk.storage();
    rule(&format!(
        "assets = [\"{first}\"]\nrelation = \"release form\"\ncopy = {{ storage = \"{storage}\" }}"
    ));
    let lines = desk.systems.must(&["references"]);
    assert_eq!(outcomes(&lines), json!({"shown": 1, "withdrawn": 1}));
    assert_eq!(desk.contents(&desk.copies()[0]), [b"Spring.pdf".to_vec()]);
    assert_eq!(related("Clip 1"), ["Spring.pdf"]);
    desk.quiet(0);

    // A field of the asset instead; and what is no relation of the account.
    rule(&format!("assets = [\"{first}\"]\nrelation = \"nonsense\""));
    let (code, lines) = desk.systems.run(&["references"]);
    let said = of_type(&lines, "exit")["message"].to_string();
    assert!(code == 2 && said.contains("no kind of relation"), "{said}");
    // A collection that is away takes nothing from the assets that it had.
    rule("assets_of = [\"00000000-0000-0000-0000-000000000000\"]\nrelation = \"release form\"");
    let (code, lines) = desk.systems.run(&["references"]);
    assert_eq!(
        (code, outcomes(&lines)),
        (3, json!({"held": 1})),
        "{lines:#?}"
    );
    assert_eq!(related("Clip 1"), ["Spring.pdf"]);
    let server = desk.systems.simulator.content_server();
    assert!(made.iter().all(|node| server.delete(node.0)));
    rule(&of_collection);
    let lines = desk.systems.must(&["references"]);
    assert_eq!(outcomes(&lines), json!({"withdrawn": 1}));
    assert!(related("Clip 1").is_empty());
    desk.quiet(0);
    desk.systems.stop();
}
