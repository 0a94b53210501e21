//! The campaigns that have names.

use serde_json::json;

use super::{
    AssetSpec, Campaign, Checksum, CommentSpec, Etag, FileSetSpec, FileSpec, FormatSpec,
    LibrarySpec, StorageKind,
};
use crate::simulator::content_server::{WorkflowMap, WorkflowStep};
use crate::types::{ByteCount, KIB, MIB, parse_size};

/// A clip embedded in the program: name and content.
type Clip = (&'static str, &'static [u8]);

/// Real media, shown beside the generated masters.
const CLIPS: &[Clip] = &[
    (
        "bars-1khz.mp4",
        include_bytes!("../../../fixtures/media/bars-1khz.mp4"),
    ),
    (
        "countdown.mxf",
        include_bytes!("../../../fixtures/media/countdown.mxf"),
    ),
    (
        "still.png",
        include_bytes!("../../../fixtures/media/still.png"),
    ),
    (
        "tone-440.wav",
        include_bytes!("../../../fixtures/media/tone-440.wav"),
    ),
];

/// Three frames of a film, as real DPX files.
const FRAMES: &[Clip] = &[
    (
        "frame.0001.dpx",
        include_bytes!("../../../fixtures/media/frame.0001.dpx"),
    ),
    (
        "frame.0002.dpx",
        include_bytes!("../../../fixtures/media/frame.0002.dpx"),
    ),
    (
        "frame.0003.dpx",
        include_bytes!("../../../fixtures/media/frame.0003.dpx"),
    ),
];

/// A campaign by name: `small`, `faulty`, `names`, `edits`, `season`, `one`, `one:10 GiB`, `library:1000000` or
/// `library:1000:64 KiB`. None when there is no such campaign.
pub fn named(name: &str) -> Option<Campaign> {
    let mut parts = name.split(':');
    let kind = parts.next()?;
    let (first, second) = (parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    match (kind, first, second) {
        ("small", None, None) => Some(small()),
        ("faulty", None, None) => Some(faulty()),
        ("names", None, None) => Some(names()),
        ("edits", None, None) => Some(edits()),
        ("season", None, None) => Some(super::season()),
        ("one", size, None) => Some(one(parse_size(size.unwrap_or("1 GiB")).ok()?)),
        ("library", assets, size) => Some(library(
            assets.unwrap_or("10000").parse().ok()?,
            parse_size(size.unwrap_or("64 KiB")).ok()?,
        )),
        _ => None,
    }
}

/// One master of `size` bytes.
pub fn one(size: ByteCount) -> Campaign {
    Campaign::titled("one", "One master").asset(AssetSpec::new(
        "Master",
        vec![FileSpec::generated("master.mxf", 1, size)],
    ))
}

/// `assets` masters of `size` bytes each, none of them kept in memory.
pub fn library(assets: u32, size: ByteCount) -> Campaign {
    Campaign {
        library: Some(LibrarySpec { assets, size }),
        ..Campaign::titled("library", "Library")
    }
}

/// About a dozen assets that show every shape worth showing; all that can be migrated is sound.
pub fn small() -> Campaign {
    let mut campaign = Campaign::titled("small", "Spring campaign")
        .collection("Interviews", &[0])
        .collection("Graphics", &[0])
        // In two collections at once, and its own grandparent's child: a cycle for the unwary.
        .collection("Shared selects", &[1, 2])
        .collection("Elsewhere", &[]);
    campaign.collections[1].parents.push(3);
    let campaign = campaign
        .workflow(
            WorkflowMap::new(
                "Legal review",
                vec![
                    WorkflowStep::new("Legal", "lena.legal").due(48),
                    WorkflowStep::new("Compliance", "cora.compliance").due(72),
                ],
            )
            .field(10, "Campaign")
            .field(11, "Decision"),
        )
        .workflow(WorkflowMap::new(
            "Marketing sign-off",
            vec![
                WorkflowStep::new("Marketing", "mara.marketing")
                    .due(24)
                    .script("Approve", "on brand", 2),
            ],
        ))
        .asset(feature())
        .asset(
            AssetSpec::new(
                "Poster artwork",
                vec![
                    FileSpec::generated("poster.psd", 12, 300 * KIB)
                        .stored_as("0f3c_poster.psd")
                        .checksum(Checksum::Md5),
                ],
            )
            .value("rights_status", &["cleared"])
            .with(|a| a.collections = vec![2, 3]),
        )
        .asset(AssetSpec::new(
            "Legal notes",
            vec![FileSpec::generated("notes.txt", 13, 11)],
        ))
        .asset(sequence())
        .asset(card())
        .asset(two_versions())
        .asset(half_way())
        .asset(AssetSpec::new(
            "Größe: 东京 🎬 «Schnitt»",
            vec![FileSpec::generated("Größe: 东京 🎬.mov", 17, 70_001).within("Ünïcode: Ordner")],
        ))
        .asset(AssetSpec::new(
            &format!(
                "A title far longer than a record system allows {}",
                "and longer ".repeat(22)
            ),
            vec![FileSpec::generated(
                &format!("{}.wav", "long-name-".repeat(26)),
                18,
                4096,
            )],
        ))
        .asset(AssetSpec::new(
            "Empty slate",
            vec![FileSpec::generated("slate.bin", 19, 0)],
        ))
        .asset(two_copies())
        .asset(refused("Proxy only", |a| {
            a.versions[0][0].name = "PPRO_PROXY".to_owned();
        }))
        .asset(refused("Still growing", |a| {
            a.versions[0][0].sets[0].files[0].status = "GROWING";
        }))
        .asset(refused("On the shelf", |a| {
            a.versions[0][0].sets[0].storage = StorageKind::OnPremise;
        }))
        .asset(AssetSpec::bare("Brand portal").with(|a| {
            a.kind = "LINK";
            a.fields = json!({"external_link": "https://brand.example/", "site_name": "Brand"});
        }))
        .asset(AssetSpec::bare("Shoot day 3").with(|a| a.kind = "PLACEHOLDER"))
        .asset(refused("Thrown away", |a| a.deleted = true))
        .asset(AssetSpec::bare("Feature: opening").with(|a| {
            a.kind = "SUBCLIP";
            a.subclip = Some((0, 1_000, 6_000));
        }));
    let real = |(name, content): &Clip| FileSpec::real(name, content).checksum(Checksum::Md5);
    let frames = AssetSpec::new("Countdown frames", FRAMES.iter().map(real).collect());
    CLIPS.iter().fold(campaign.asset(frames), |campaign, clip| {
        let title = clip.0.rsplit_once('.').map_or(clip.0, |(stem, _)| stem);
        campaign.asset(AssetSpec::new(title, vec![real(clip)]))
    })
}

/// The smaller part of a campaign as it ends: masters, an edit list and a timeline that use some of
/// them and some media that nobody has, and an edit that only its own program can read.
pub fn edits() -> Campaign {
    let edit = |title: &str, name: &str, content: &'static [u8]| {
        AssetSpec::new(title, vec![FileSpec::real(name, content)])
    };
    Campaign::titled("edits", "BRANDX-Q1")
        .asset(
            AssetSpec::new(
                "TV spot, 30 seconds",
                vec![FileSpec::generated("TV30.mxf", 71, 5 * MIB + 3)],
            )
            .value("rights_status", &["restricted"])
            .value("owner", &["Talent Agency Nord"])
            .value("licensee", &["Brand X GmbH"])
            .value("expires_on", &["2027-12-31"])
            .value("region", &["emea"])
            .value("media", &["tv", "web"])
            .with(|a| {
                a.approval = Some(("APPROVED", vec!["APPROVED"]));
                a.comments = vec![comment("Colours are final <ok>", 1_000, false, None)];
            }),
        )
        .asset(AssetSpec::new(
            "A002C006_141024_R2EC",
            vec![FileSpec::generated("A002C006_141024_R2EC.mov", 72, MIB + 1)],
        ))
        .asset(AssetSpec::new(
            "Harbour, 100 % \u{201e}blue hour\u{201c}",
            vec![FileSpec::generated("Harbour 100 %.mov", 73, 300 * KIB)],
        ))
        .asset(AssetSpec::new(
            "Jingle",
            vec![FileSpec::real("tone-440.wav", CLIPS[3].1)],
        ))
        .asset(edit(
            "TV30 conform",
            "TV30.edl",
            include_bytes!("../../../fixtures/media/TV30.edl"),
        ))
        .asset(edit(
            "TV30 timeline",
            "TV30.otio",
            include_bytes!("../../../fixtures/media/TV30.otio"),
        ))
        .asset(edit("TV30 project", "TV30.aaf", b"not looked into"))
}

/// Content and statements that do not agree; each asset has to be refused for its own reason.
pub fn faulty() -> Campaign {
    let file = |title: &str, seed, change: fn(&mut FileSpec)| {
        let name = format!("{}.mxf", title.to_lowercase().replace(' ', "-"));
        AssetSpec::new(
            title,
            vec![FileSpec::generated(&name, seed, 3 * MIB + 1).with(change)],
        )
    };
    let mut campaign = Campaign::titled("faulty", "Faulty")
        .asset(file("Sound", 31, |f| f.checksum = Checksum::Md5))
        .asset(file("Wrong checksum", 32, |f| f.checksum = Checksum::Wrong))
        .asset(file("Multipart tag", 33, |f| {
            f.checksum = Checksum::Multipart
        }))
        .asset(file("Wrong size", 34, |f| f.stated_size = Some(3 * MIB)))
        .asset(file("Lost object", 35, |f| f.lost = true))
        .asset(file("Missing", 36, |f| f.status = "MISSING"))
        .asset(file("No ranges", 37, |f| f.no_ranges = true))
        .asset(file("Weak tag", 38, |f| f.etag = Etag::Weak))
        .asset(file("No tag", 39, |f| f.etag = Etag::Absent))
        // The same bytes as the first, in another asset.
        .asset(file("Twin", 31, |_| {}));
    campaign = campaign.asset(
        AssetSpec::new(
            "In Glacier",
            vec![FileSpec::generated("cold.mxf", 40, 2 * MIB)],
        )
        .with(|a| {
            let set = &mut a.versions[0][0].sets[0];
            *set = set.clone().on(StorageKind::Archive);
            a.fields = json!({"archive_status": "ARCHIVED"});
        }),
    );
    campaign.asset(
        AssetSpec::new(
            "Numbered pattern",
            vec![FileSpec::generated("frame.%07d.dpx", 42, MIB)],
        )
        .with(|a| a.versions[0][0].sets[0].many_files = true),
    )
}

/// Titles and file names that collide, climb, hide or run on; every asset is sound otherwise.
pub fn names() -> Campaign {
    let long = "a".repeat(300);
    let tricky = [
        ("Clip", "clip.mov"),
        ("clip", "CLIP.mov"),
        ("Clip", "clip.mov"),
        ("Caf\u{e9}", "caf\u{e9}.mov"),
        ("Cafe\u{301}", "cafe\u{301}.mov"),
        ("Trailing space ", "trailing space .mov "),
        (" Leading", " leading.mov"),
        ("Take 1: wide/close", "take 1: wide.mov"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("..", ".."),
        ("CON", "CON"),
        ("Right to \u{202e}tfel", "invoice\u{202e}vom.exe"),
        ("Tab\tand bell\u{7}", "tab\tbell\u{7}.mov"),
        ("<script>alert(1)</script>", "<b>bold</b>.mov"),
        ("\u{1f3ac}\u{1f469}\u{200d}\u{1f4bb}", "\u{1f3ac}.mov"),
        (long.as_str(), "long-a.mov"),
    ];
    // Two that differ only where a limit of 248 characters has cut them off.
    let twins = [format!("{long}b"), format!("{long}c")];
    let all = tricky
        .into_iter()
        .chain(twins.iter().map(|twin| (twin.as_str(), twin.as_str())));
    let campaign = Campaign::titled("names", "Names");
    (50..)
        .zip(all)
        .fold(campaign, |campaign, (seed, (title, file))| {
            campaign.asset(AssetSpec::new(
                title,
                vec![FileSpec::generated(file, seed, 1_000 + seed)],
            ))
        })
}

/// The largest: above every usual multipart threshold of the simulator, with review and rights.
fn feature() -> AssetSpec {
    AssetSpec::new(
        "Feature",
        vec![FileSpec::generated("A001.mxf", 11, 48 * MIB + 12_345).within("Masters/2026")],
    )
    .value("project_name", &["Spring campaign"])
    .value("rights_status", &["restricted"])
    .value("keywords", &["news", "night"])
    .value("expires_on", &["2027-12-31"])
    .with(|a| {
        a.approval = Some(("APPROVED", vec!["APPROVED", "APPROVED"]));
        a.transcript = Some("welcome to the spring campaign".to_owned());
        a.comments = vec![
            comment("Colour is right", 1_500, false, None),
            comment("Agreed", 1_500, true, None),
            comment(
                "Please shorten",
                42_000,
                false,
                Some("guest@agency.example"),
            ),
        ];
    })
}

fn comment(text: &str, from_ms: u64, reply: bool, guest: Option<&str>) -> CommentSpec {
    CommentSpec {
        text: text.to_owned(),
        from_ms,
        reply,
        guest: guest.map(str::to_owned),
    }
}

/// An image sequence: one file set, many files.
fn sequence() -> AssetSpec {
    let frames = (1..=24).map(|frame| {
        let name = format!("shot_{:07}.dpx", 86_400 + frame);
        FileSpec::generated(&name, 1400 + frame, 40 * KIB + frame).within("Shot 020/2048x1152")
    });
    AssetSpec::new("Shot 020", frames.collect()).with(|a| {
        a.kind = "SEQUENCE";
        a.versions[0][0].sets[0].base_dir = "Shot 020/2048x1152".to_owned();
        a.collections = vec![2];
    })
}

/// A camera card: folders kept, one of them a row of its own, a clip and its sidecars.
fn card() -> AssetSpec {
    let mut files = vec![
        FileSpec::generated("VIDEO", 0, 0)
            .within("CARD01/CONTENTS")
            .with(|f| f.kind = "DIRECTORY"),
    ];
    for (seed, (folder, name, size)) in [
        ("CARD01/CONTENTS/VIDEO", "0001AB.MXF", 2 * MIB),
        ("CARD01/CONTENTS/AUDIO", "0001AB00.MXF", 200 * KIB),
        ("CARD01/CONTENTS/AUDIO", "0001AB01.MXF", 200 * KIB),
        ("CARD01/CONTENTS/CLIP", "0001AB.XML", 4_321),
        ("CARD01", "LASTCLIP.TXT", 17),
    ]
    .into_iter()
    .enumerate()
    {
        files.push(FileSpec::generated(name, 1500 + seed as u64, size).within(folder));
    }
    AssetSpec::new("Card 01", files).with(|a| {
        a.versions[0][0].sets[0].base_dir = "CARD01".to_owned();
        a.collections = vec![1];
    })
}

/// Two versions with different content under one title.
fn two_versions() -> AssetSpec {
    let original = |seed, size| {
        let file = FileSpec::generated("trailer.mov", seed, size)
            .stored_as(&format!("{seed}_trailer.mov"));
        FormatSpec::original(vec![FileSetSpec::new(vec![file])])
    };
    AssetSpec::bare("Trailer").with(|a| {
        a.versions = vec![vec![original(161, MIB)], vec![original(162, MIB + 77)]];
        a.approval = Some(("MIXED", vec!["APPROVED", "NOT_APPROVED"]));
    })
}

/// Its signed addresses serve half of it each.
fn half_way() -> AssetSpec {
    let file =
        FileSpec::generated("half.mxf", 163, 6 * MIB).with(|f| f.link_serves = Some(3 * MIB));
    AssetSpec::new("Half way", vec![file])
}

/// A copy on premises, one in the cloud and a proxy beside them.
fn two_copies() -> AssetSpec {
    AssetSpec::new(
        "Two copies",
        vec![FileSpec::generated("copies.mxf", 20, MIB)],
    )
    .with(|a| {
        let cloud = a.versions[0][0].sets[0].clone();
        let formats = &mut a.versions[0];
        formats[0].sets = vec![
            cloud.clone().on(StorageKind::OnPremise),
            cloud.on(StorageKind::SecondCloud),
        ];
        formats.push(FormatSpec {
            name: "PPRO_PROXY".to_owned(),
            sets: vec![FileSetSpec::new(vec![FileSpec::generated(
                "proxy.mp4",
                21,
                9_000,
            )])],
        });
    })
}

/// An asset that a careful client does not take.
fn refused(title: &str, change: fn(&mut AssetSpec)) -> AssetSpec {
    let name = format!("{}.mov", title.to_lowercase().replace(' ', "-"));
    AssetSpec::new(
        title,
        vec![FileSpec::generated(&name, title.len() as u64, 2048)],
    )
    .with(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn campaigns_are_found_by_name_and_size() {
        let size = |name: &str| {
            let campaign = named(name).unwrap();
            campaign.assets[0].versions[0][0].sets[0].files[0]
                .master
                .size()
        };
        assert_eq!(size("one:10 MiB"), 10 * MIB);
        let library = named("library:5:1 KiB").unwrap().library.unwrap();
        assert_eq!((library.assets, library.size), (5, KIB));
        for name in ["", "big", "one:x", "small:1", "library:1:1:1"] {
            assert!(named(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn the_small_campaign_refers_only_to_what_it_holds() {
        for campaign in [small(), faulty(), names()] {
            for collection in &campaign.collections {
                assert!(
                    collection
                        .parents
                        .iter()
                        .all(|&p| p < campaign.collections.len())
                );
            }
            for asset in &campaign.assets {
                assert!(
                    asset
                        .collections
                        .iter()
                        .all(|&c| c < campaign.collections.len())
                );
                assert!(
                    asset
                        .subclip
                        .is_none_or(|(parent, ..)| parent < campaign.assets.len())
                );
            }
        }
    }
}
