//! Which copy of a master to read: the order in which file sets are tried.

use super::{Config, FileSet, FileSetStatus, Method, Storage};

/// A copy that might be read, with what is known of its storage.
pub(super) struct Candidate<'a> {
    pub(super) set: &'a FileSet,
    pub(super) storage: Option<&'a Storage>,
}

/// Whether the copy's bytes may have to be restored first.
pub(super) fn is_archived(set: &FileSet) -> bool {
    set.is_archive || set.status == FileSetStatus::Archived
}

/// Sorts the copies, best first: what is archived last; within that, the storages a person
/// prefers, then clouds, mounted shares, anything else, and shares that are not mounted, each
/// storage in good health before those that are not. Ties keep one order for ever.
pub(super) fn sort(candidates: &mut [Candidate<'_>], config: &Config) {
    candidates.sort_by_cached_key(|candidate| {
        let names = |given: &str| {
            let id = candidate.set.storage_id.as_ref();
            id.is_some_and(|id| id.as_str() == given)
                || candidate
                    .storage
                    .is_some_and(|storage| storage.name.as_deref() == Some(given))
        };
        let preference = config
            .prefer_storages
            .iter()
            .position(|given| names(given))
            .unwrap_or(usize::MAX);
        let mounted = config.mounts.keys().any(|given| names(given));
        let way = match candidate.storage.map(|storage| &storage.method) {
            Some(method) if method.is_cloud() => 0,
            Some(Method::File) if mounted => 1,
            Some(Method::File) => 3,
            _ => 2,
        };
        let ailing = candidate
            .storage
            .and_then(|storage| storage.status.as_deref())
            .is_some_and(|status| status != "ACTIVE");
        (
            is_archived(candidate.set),
            preference,
            ailing,
            way,
            candidate.set.id.clone(),
        )
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(config: &Config) -> Vec<String> {
        let storages: Vec<Storage> = [
            ("nas", "FILE", "ACTIVE"),
            ("s3", "S3", "ACTIVE"),
            ("gcs", "GCS", "FAILING"),
            ("old", "S3", "ACTIVE"),
            ("ftp", "FTP", "ACTIVE"),
        ]
        .into_iter()
        .map(|(id, method, status)| {
            let name = format!("{id} storage");
            serde_json::from_value(
                json!({"id": id, "name": name, "method": method, "status": status}),
            )
            .unwrap()
        })
        .collect();
        let sets: Vec<FileSet> = storages
            .iter()
            .map(|storage| {
                let archived = storage.id.as_str() == "old";
                serde_json::from_value(json!({
                    "id": storage.id, "storage_id": storage.id, "is_archive": archived
                }))
                .unwrap()
            })
            .collect();
        let mut candidates: Vec<_> = sets
            .iter()
            .zip(&storages)
            .map(|(set, storage)| Candidate {
                set,
                storage: Some(storage),
            })
            .collect();
        sort(&mut candidates, config);
        candidates.iter().map(|c| c.set.id.to_string()).collect()
    }

    fn config() -> Config {
        Config::new(
            "https://app.iconik.io".parse().unwrap(),
            "app",
            "token".into(),
        )
    }

    #[test]
    fn clouds_come_before_mounts_and_archives_last() {
        assert_eq!(order(&config()), ["s3", "ftp", "nas", "gcs", "old"]);
        let mut mounted = config();
        mounted
            .mounts
            .insert("nas storage".into(), "/mnt/nas".into());
        assert_eq!(order(&mounted), ["s3", "nas", "ftp", "gcs", "old"]);
    }

    #[test]
    fn a_preferred_storage_comes_first_but_never_before_what_is_at_hand() {
        let mut preferring = config();
        preferring.prefer_storages = vec!["old".into(), "nas storage".into()];
        assert_eq!(order(&preferring), ["nas", "s3", "ftp", "gcs", "old"]);
    }
}
