//! A whole campaign at its end: two regions with a workspace each, masters under three rights
//! regimes, edits whose sources are there or not, release forms, and what is not final yet.

use super::{AssetSpec, Campaign, CommentSpec, FileSetSpec, FileSpec, FormatSpec};
use crate::types::{KIB, MIB};

/// Masters of each region.
const MASTERS: u64 = 24;

/// The records classes that [`SETTINGS`] names.
const CLASSES: [&str; 2] = ["Cleared media", "Media under licence"];

/// What a settings file needs to publish and pack it; `<NAME>` is the id of a records class.
const SETTINGS: &str = r#"[map.fields.project_name]
category = "Media record"
attribute = "Project"
[map.fields.campaign]
category = "Media record"
attribute = "Campaign"
required = true
[map.fields.rights_status]
category = "Media record"
attribute = "Rights status"
values = { cleared = "CLEARED", restricted = "RESTRICTED", pending = "PENDING" }
default = "UNKNOWN"
[map.fields.owner]
category = "Media record"
attribute = "Owner"
[map.fields.region]
category = "Media record"
attribute = "Region"
[map.fields.language]
category = "Media record"
attribute = "Language"
[map.fields.expiry_date]
iconik = "expires_on"
category = "Media record"
attribute = "Expiry date"
type = "date"

[publish]
workspace = { type = "Campaign", name = "{campaign}", fields = ["campaign"] }
place = "/{region}"
permissions = { public = "none" }
records_class = { field = "rights_status", values = { CLEARED = <Cleared media> }, default = <Media under licence> }
official = true

[rights]
fields = { status = "rights_status", owner = "owner", licensee = "licensee", ends = "expires_on", regions = "region", media = "media" }
words = { regions = { emea = ["150", "002", "145"], apac = ["142", "009"] } }
cross_reference = "Supporting document"
[rights.papers.release]
role = "talent-release"
relation = "RELEASE"
files = "*.pdf"
required = { field = "talent", values = ["yes"] }
[rights.papers.music]
role = "music-licence"
format = "PAPERS"

"#;

/// About 60 assets. The last asset of each region shows talent and has no release form.
pub fn season() -> Campaign {
    let mut campaign = Campaign {
        settings: SETTINGS.to_owned(),
        records_classes: CLASSES.map(str::to_owned).to_vec(),
        ..Campaign::titled("season", "Harbour, spring season")
    }
    .collection("North", &[0])
    .collection("South", &[0])
    .collection("Edits", &[0])
    .collection("Papers", &[0])
    // In a region too: an asset is reached on two ways.
    .collection("Selects", &[0, 1]);
    let papers = campaign.assets.len();
    for (title, name, content) in PAPERS {
        let paper = AssetSpec::new(title, vec![FileSpec::real(name, content)]);
        campaign = campaign.asset(paper.with(|a| a.collections = vec![4]));
    }
    for (collection, region) in [(1, &NORTH), (2, &SOUTH)] {
        for number in 1..=MASTERS {
            campaign = campaign.asset(master(region, collection, number, papers));
        }
    }
    for (title, name, content) in EDITS {
        let edit = AssetSpec::new(title, vec![FileSpec::real(name, content)]);
        campaign = campaign.asset(edit.with(|a| a.collections = vec![3]));
    }
    campaign.asset(theme()).asset(frames())
}

/// What the masters of a region have in common.
struct Region {
    name: &'static str,
    campaign: &'static str,
    region: &'static str,
    language: &'static str,
    seed: u64,
}

const NORTH: Region = Region {
    name: "North",
    campaign: "Harbour North",
    region: "emea",
    language: "de-DE",
    seed: 1_000,
};
const SOUTH: Region = Region {
    name: "South",
    campaign: "Harbour South",
    region: "apac",
    language: "en-AU",
    seed: 2_000,
};

fn master(region: &Region, collection: usize, number: u64, papers: usize) -> AssetSpec {
    let file = format!("{}_{number:02}.mxf", region.name.to_uppercase());
    // Two of a region are sent in parts.
    let size = match number % 12 {
        7 => 6 * MIB + number,
        _ => 24 * KIB + 1_000 * number,
    };
    let title = format!("{} {number:02}", region.name);
    let asset = AssetSpec::new(
        &title,
        vec![FileSpec::generated(&file, region.seed + number, size)],
    )
    .value("project_name", &["Harbour"])
    .value("campaign", &[region.campaign])
    .value("region", &[region.region])
    .value("language", &[region.language])
    .value("owner", &["Brand X GmbH"])
    .with(|a| {
        a.collections = match number {
            3 => vec![collection, 5],
            _ => vec![collection],
        };
        // One of twelve nobody has been asked about, one was refused.
        a.approval = match number % 12 {
            5 => None,
            11 => Some(("NOT_APPROVED", vec!["NOT_APPROVED"])),
            _ => Some(("APPROVED", vec!["APPROVED"])),
        };
        if number == 1 {
            a.comments = vec![CommentSpec {
                text: "Grade is final".to_owned(),
                from_ms: 1_500,
                reply: false,
                guest: None,
            }];
        }
    });
    match number % 3 {
        0 => asset
            .value("rights_status", &["restricted"])
            .value("licensee", &["Brand X GmbH"])
            .value("media", &["tv", "web"])
            .value("expires_on", &["2099-12-31"])
            .value("talent", &["yes"])
            .with(|a| {
                if number < MASTERS {
                    let form = papers + usize::from(number.is_multiple_of(2));
                    a.relations = vec![("RELEASE", form)];
                }
            }),
        1 => asset.value("rights_status", &["cleared"]),
        _ => asset.value("rights_status", &["pending"]),
    }
}

/// Music, with its licence in a format of its own.
fn theme() -> AssetSpec {
    let licence = FileSpec::real(
        "music-licence.pdf",
        include_bytes!("../../../fixtures/media/music-licence.pdf"),
    );
    AssetSpec::new(
        "Harbour theme",
        vec![FileSpec::generated("harbour-theme.wav", 3_001, 90 * KIB)],
    )
    .value("project_name", &["Harbour"])
    .value("campaign", &["Harbour North"])
    .value("region", &["emea"])
    .value("rights_status", &["cleared"])
    .with(|a| {
        a.approval = Some(("APPROVED", vec!["APPROVED"]));
        a.versions[0].push(FormatSpec {
            name: "PAPERS".to_owned(),
            sets: vec![FileSetSpec::new(vec![licence])],
        });
    })
}

/// Frames of a film, which are one record.
fn frames() -> AssetSpec {
    let frame = |n: u64| FileSpec::generated(&format!("slate.{n:04}.dpx"), 3_100 + n, 20 * KIB + n);
    AssetSpec::new("Slate", (1..=4).map(frame).collect())
        .value("campaign", &["Harbour South"])
        .value("region", &["apac"])
        .value("rights_status", &["cleared"])
        .with(|a| a.approval = Some(("APPROVED", vec!["APPROVED"])))
}

/// Title, name and content.
type Real = (&'static str, &'static str, &'static [u8]);

const PAPERS: [Real; 3] = [
    (
        "Release: Anna Aster",
        "release-anna.pdf",
        include_bytes!("../../../fixtures/media/release-anna.pdf"),
    ),
    (
        "Release: Ben Birk",
        "release-ben.pdf",
        include_bytes!("../../../fixtures/media/release-ben.pdf"),
    ),
    (
        "Brief",
        "brief.txt",
        b"Spring season: the harbour, north and south.\n",
    ),
];

const EDITS: [Real; 4] = [
    (
        "North cut",
        "north.edl",
        include_bytes!("../../../fixtures/media/north.edl"),
    ),
    (
        "South cut",
        "south.otio",
        include_bytes!("../../../fixtures/media/south.otio"),
    ),
    ("South cut, AAF", "south.aaf", b"not looked into"),
    ("Project", "harbour.prproj", b"not looked into either"),
];
