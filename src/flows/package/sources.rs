//! What the edits of a campaign use: each edit decision record is read for its references, and
//! each reference is looked for by name, in the campaign first and then in all of iconik.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::facts::Payload;
use super::gather::ATTEMPTS;
use super::{Bench, Order};
use crate::flows::{Error, Systems, archive};
use crate::iconik::{self, Found, Rows};
use crate::ledger::{File, Item, Ledger};
use crate::pace::Pace;
use crate::sidecar::campaign::{Exception, Kind, SourceReference};
use crate::sidecar::edit::{self, EditKind};
use crate::transfer::read_back;
use crate::types::{AssetId, CollectionId, NodeId, Role, Sha256Digest, VersionNumber};

/// The largest edit decision record that is read for its references.
pub(super) const EDIT_MAX: u64 = 32 << 20;
pub(super) const TOO_LARGE: &str =
    "it is too large to be an edit decision record; its source references were not read";
/// Names that are looked for outside a campaign, a search each; what is beyond is a gap.
const LOOKUPS: usize = 2000;
/// Assets that have a name in theirs and are looked at for one that has it alone.
const LIKE_IT: usize = 200;
const PAGE: usize = 500;

/// What becomes of assets that an edit uses and that are not in the campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sources {
    /// They are listed as gaps.
    #[default]
    List,
    /// They are filed too, and are part of the package.
    Include,
}

impl Sources {
    /// Both.
    pub const ALL: [Self; 2] = [Self::List, Self::Include];

    /// Its name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Include => "include",
        }
    }

    /// Why an asset outside the campaign is a gap; none when it is packed.
    pub(super) fn gap(self, asset: &AssetId) -> Option<String> {
        (self == Self::List).then(|| {
            format!("it is asset {asset}, outside the campaign (`package.sources` = \"include\" files it too)")
        })
    }
}

/// An edit decision record as it is filed.
pub(super) struct Edit {
    /// Its path in the bag.
    path: String,
    node: NodeId,
    version: VersionNumber,
    size: u64,
    sha256: Sha256Digest,
}

impl Edit {
    /// A file of the package that is one and can be read.
    pub(super) fn of(payload: &Payload) -> Option<Self> {
        (payload.kind == Kind::EditDecisionRecord).then_some(())?;
        Some(Self {
            path: payload.path.clone(),
            node: payload.node,
            version: payload.version?,
            size: payload.size,
            sha256: payload.sha256,
        })
    }

    /// A file of the ledger that is one and is filed.
    fn of_file(file: &File) -> Option<Self> {
        EditKind::of_name(&file.name)?;
        Some(Self {
            path: file.name.clone(),
            node: file.node?,
            version: file.version?,
            size: file.size,
            sha256: Sha256Digest(file.sha256.as_deref()?.try_into().ok()?),
        })
    }
}

/// The assets outside the campaigns that their edits use, each once, in order of id.
///
/// # Errors
///
/// Those of both systems and the ledger.
pub async fn outside(bench: Bench<'_>, order: &Order) -> Result<Vec<AssetId>, Error> {
    let mut all = Vec::new();
    for collection in &order.collections {
        let (names, edits) = known(bench.systems, bench.ledger, collection).await?;
        let mut search = Search::new(bench.systems, &names);
        for reference in references(bench.systems, bench.pace, &edits, &mut Vec::new()).await? {
            if let Match::Outside(asset) = search.find(&reference).await? {
                all.push(asset);
            }
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// The names of a campaign, and its edit decision records as far as they are filed.
async fn known(
    systems: &Systems,
    ledger: &Ledger,
    collection: &CollectionId,
) -> Result<(Names, Vec<Edit>), Error> {
    let (mut names, mut edits) = (Names::default(), Vec::new());
    let mut listed = archive::found(systems, std::slice::from_ref(collection));
    while let Some(found) = listed.try_next().await? {
        names.belongs(&found.id);
        let edits_before = edits.len();
        let prefix = format!("{}/", found.id);
        let mut items = ledger.items_below_after(&prefix, "", PAGE).await?;
        while let Some(last) = items.last().map(|item| item.key.clone()) {
            for item in items.iter().filter(|item| item.state == "done") {
                names.add(&item.name, &found.id);
                files(ledger, item, &found.id, &mut names, &mut edits).await?;
            }
            items = ledger.items_below_after(&prefix, &last, PAGE).await?;
        }
        // The title of an edit is no medium's.
        if let Some(title) = found.title.as_ref().filter(|_| edits.len() == edits_before) {
            names.add(title, &found.id);
        }
    }
    Ok((names, edits))
}

async fn files(
    ledger: &Ledger,
    item: &Item,
    asset: &str,
    names: &mut Names,
    edits: &mut Vec<Edit>,
) -> Result<(), Error> {
    let mut from = 0;
    loop {
        let files = ledger.files(item.id, from, PAGE).await?;
        let Some(last) = files.last() else {
            return Ok(());
        };
        from = last.seq + 1;
        for file in &files {
            if Role::from_name(&file.role) == Some(Role::Master) {
                names.add(&file.name, asset);
                edits.extend(Edit::of_file(file));
            }
        }
    }
}

/// What edit decision records name as their sources; what cannot be read is added to `problems`.
pub(super) async fn references(
    systems: &Systems,
    pace: &Pace,
    edits: &[Edit],
    problems: &mut Vec<Exception>,
) -> Result<Vec<SourceReference>, Error> {
    let mut all = Vec::new();
    for edit in edits {
        if kind(&edit.path).is_none() {
            continue;
        }
        let mut problem = |reason: String| {
            problems.push(Exception {
                path: edit.path.clone(),
                reason,
            });
        };
        if edit.size > EDIT_MAX {
            problem(TOO_LARGE.to_owned());
            continue;
        }
        let mut content = Vec::new();
        let read = read_back(
            &*systems.destination,
            pace,
            edit.node,
            edit.version,
            edit.size,
            ATTEMPTS,
            &mut |bytes| {
                content.extend_from_slice(bytes);
                Ok(())
            },
        )
        .await?;
        if read != edit.sha256 {
            problem("what Content Server holds is not what was filed".to_owned());
            continue;
        }
        match parse(&edit.path, &content) {
            Ok(found) => all.extend(found),
            Err(reason) => problem(reason),
        }
    }
    Ok(all)
}

/// The kind of an edit decision record that can be read.
fn kind(path: &str) -> Option<EditKind> {
    let name = path.rsplit('/').next().unwrap_or_default();
    EditKind::of_name(name).filter(|kind| *kind != EditKind::Opaque)
}

/// What the edit decision record `from` names as its sources; or what is wrong with it.
pub(super) fn parse(from: &str, content: &[u8]) -> Result<Vec<SourceReference>, String> {
    let Some(kind) = kind(from) else {
        return Ok(Vec::new());
    };
    let found = edit::references(kind, content)
        .map_err(|error| format!("its source references cannot be read: {error}"))?;
    let referred = found.into_iter().map(|found| SourceReference {
        from: from.to_owned(),
        clip: found.clip,
        reel: found.reel,
        first: found.first,
        last: found.last,
        iconik_asset: None,
        gap: None,
        left_out: None,
    });
    Ok(referred.collect())
}

/// Titles and file names of the campaign's media, in lower case: as they are, and without their
/// extensions. Documents, and the edits themselves, are nobody's source.
#[derive(Default)]
pub(super) struct Names {
    whole: HashMap<String, Vec<String>>,
    stems: HashMap<String, Vec<String>>,
    /// The campaign's assets, filed or not.
    campaign: HashSet<String>,
}

impl Names {
    /// Takes note that an asset is one of the campaign.
    pub(super) fn belongs(&mut self, asset: &str) {
        self.campaign.insert(asset.to_owned());
    }

    pub(super) fn add(&mut self, name: &str, asset: &str) {
        let name = name.trim().to_lowercase();
        if name.is_empty() || !is_media(&name) {
            return;
        }
        let own = |assets: &mut Vec<String>| {
            if !assets.iter().any(|known| known == asset) {
                assets.push(asset.to_owned());
            }
        };
        if let Some(stem) = stem(&name).filter(|stem| !stem.is_empty()) {
            own(self.stems.entry(stem.to_owned()).or_default());
        }
        own(self.whole.entry(name).or_default());
    }

    /// The assets with the first of these names that any has: whole names come before stems.
    fn find(&self, names: &[String]) -> &[String] {
        let found = [&self.whole, &self.stems].into_iter().find_map(|known| {
            let mut names = names.iter();
            names.find_map(|name| known.get(&name.to_lowercase()))
        });
        found.map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether a name can be that of a medium: it has no extension, or not that of a document or edit.
pub(super) fn is_media(name: &str) -> bool {
    let of_text = |mime: mime_guess::Mime| {
        let documents = ["pdf", "json", "xml", "zip", "msword", "rtf"];
        let office = [
            "officedocument",
            "opendocument",
            "ms-excel",
            "ms-powerpoint",
        ];
        let kind = mime.subtype().as_str();
        mime.type_() == "text"
            || documents.contains(&kind)
            || office.iter().any(|office| kind.contains(office))
    };
    EditKind::of_name(name).is_none() && !mime_guess::from_path(name).first().is_some_and(of_text)
}

fn stem(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(stem, _)| stem)
}

/// What a reference is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// An asset of the campaign.
    Inside(String),
    /// The one asset of iconik with that name, outside the campaign.
    Outside(AssetId),
    /// None, or no single one; why, for people.
    Gap(String),
}

/// Looks for assets by the names that edits use; each name is searched once.
pub(super) struct Search<'a> {
    systems: &'a Systems,
    names: &'a Names,
    asked: HashMap<String, Vec<AssetId>>,
    /// Why iconik is not asked any more.
    over: Option<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(systems: &'a Systems, names: &'a Names) -> Self {
        Self {
            systems,
            names,
            asked: HashMap::new(),
            over: None,
        }
    }

    pub(super) async fn find(&mut self, reference: &SourceReference) -> Result<Match, Error> {
        let names = edit::names(&reference.clip, reference.reel.as_deref());
        match self.names.find(&names) {
            [] => {}
            [asset] => return Ok(Match::Inside(asset.clone())),
            several => return Ok(Match::Gap(ambiguous("in", &reference.clip, several))),
        }
        for name in &names {
            let key = name.to_lowercase();
            if !self.asked.contains_key(&key) && self.over.is_none() {
                let found = self.ask(name).await?;
                self.asked.insert(key.clone(), found);
            }
            match self.asked.get(&key).map(Vec::as_slice) {
                None | Some([]) => {}
                Some([one]) if self.names.campaign.contains(one.as_str()) => {
                    return Ok(Match::Gap(format!(
                        "it is asset {one} of the campaign, of which nothing is filed"
                    )));
                }
                Some([one]) => return Ok(Match::Outside(one.clone())),
                Some(several) => {
                    let several: Vec<String> = several.iter().map(AssetId::to_string).collect();
                    return Ok(Match::Gap(ambiguous("outside", name, &several)));
                }
            }
        }
        Ok(Match::Gap(match &self.over {
            Some(why) => format!("no asset of the campaign has this name; {why}"),
            None => "no asset of iconik has this name".to_owned(),
        }))
    }

    /// The assets of iconik with a name, in order of id.
    async fn ask(&mut self, name: &str) -> Result<Vec<AssetId>, Error> {
        if self.asked.len() >= LOOKUPS {
            self.over = Some(format!(
                "iconik was asked for {LOOKUPS} other names of this campaign's edits and for no more"
            ));
            return Ok(Vec::new());
        }
        let iconik = &self.systems.iconik;
        let found = match like(iconik.titled(name), name).await {
            Ok(found) if found.is_empty() && !name.contains(char::is_whitespace) => {
                like(iconik.titled_with_extension(name), name).await
            }
            other => other,
        };
        match found {
            Err(error) if error.is_forbidden() => {
                self.over = Some(format!("iconik was not searched: {error}"));
                Ok(Vec::new())
            }
            other => Ok(other?),
        }
    }
}

/// Why a name that several assets have is a gap: nobody guesses.
fn ambiguous(place: &str, name: &str, assets: &[String]) -> String {
    let some: Vec<&str> = assets.iter().take(3).map(String::as_str).collect();
    let more = if assets.len() > some.len() {
        ", …"
    } else {
        ""
    };
    format!(
        "{} assets {place} the campaign are called {name:?}: {}{more}",
        assets.len(),
        some.join(", ")
    )
}

/// Those of some assets that have exactly this title, with or without an extension.
async fn like(mut listed: Rows<Found>, name: &str) -> Result<Vec<AssetId>, iconik::Error> {
    let wanted = name.to_lowercase();
    let (mut found, mut seen) = (Vec::new(), 0);
    while seen < LIKE_IT
        && let Some(row) = listed.try_next().await?
    {
        seen += 1;
        let title = row.title.as_deref().unwrap_or_default().trim();
        let title = title.to_lowercase();
        if title == wanted || stem(&title) == Some(wanted.as_str()) {
            found.push(AssetId(row.id));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_found_by_title_file_name_and_name_without_extension() {
        let mut names = Names::default();
        names.add("A002C006_141024_R2EC.mov", "one");
        names.add("Opening title", "two");
        names.add("SELFIE.edl", "edit");
        names.add("release Mueller.pdf", "paper");
        names.add("TV30.mxf", "three");
        names.add("TV30.mov", "four");
        let find = |name: &str| names.find(&[name.to_owned()]).join(" ");
        assert_eq!(find("a002c006_141024_r2ec"), "one");
        assert_eq!(find("A002C006_141024_R2EC.MOV"), "one");
        assert_eq!(find("opening TITLE"), "two");
        // Whole names come first, stems of several are no answer, documents are no source.
        assert_eq!(find("TV30.MOV"), "four");
        assert_eq!(find("TV30"), "three four");
        for name in ["other", "SELFIE", "release Mueller"] {
            assert_eq!(find(name), "");
        }
    }
}
