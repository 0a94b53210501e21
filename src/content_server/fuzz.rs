//! Content Server's answers and its names, fed with any bytes.

use ::http::StatusCode;
use serde_json::Value;

use super::errors;
use super::names::{MAX_NAME, fold, map_name};
use super::wire::{self, Properties, VersionRow};
use crate::transfer::Version;

/// A body under status 200, as every kind of answer that is read.
pub(crate) fn json(bytes: &[u8]) {
    let Ok(answer) = errors::read(StatusCode::OK, bytes, None) else {
        return;
    };
    let number = answer["collection"]["paging"]["page"].as_u64();
    let number = number
        .and_then(|page| u32::try_from(page).ok())
        .unwrap_or(1);
    if let Ok(page) = wire::page::<VersionRow>(&answer, "versions", number, 100) {
        assert!(
            !page.more || !page.rows.is_empty(),
            "an empty page is the last"
        );
        for row in page.rows {
            let version = Version::from(row);
            let _ = crate::types::VersionNote::parse(&version.description);
        }
    }
    if let Ok(page) = wire::page::<Properties>(&answer, "properties", number, 100) {
        assert!(
            !page.more || !page.rows.is_empty(),
            "an empty page is the last"
        );
        for row in page.rows {
            if let Ok(node) = row.into_node() {
                assert!(node.id.0 > 0 && !node.name.is_empty());
            }
        }
    }
    for name in ["properties", "versions"] {
        if let Ok(section) = wire::section(&answer, name) {
            assert!(section.is_object());
            let _ = wire::parse::<Properties>(section, name);
            let _ = wire::parse::<VersionRow>(section, name);
        }
    }
}

/// The first two bytes are a status, the rest its body.
pub(crate) fn error_page(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_at_checked(2) else {
        return;
    };
    let status = 100 + u16::from_be_bytes([status[0], status[1]]) % 500;
    let status = StatusCode::from_u16(status).expect("between 100 and 599");
    match errors::read(status, body, None) {
        Ok(answer) => {
            assert!(status.is_success(), "{status} is no success");
            assert!(matches!(answer, Value::Object(_) | Value::Array(_)));
            assert!(answer["error"].as_str().is_none_or(str::is_empty));
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains('\n') && !text.contains('\u{1b}'), "{text:?}");
            assert!(text.len() < 4_000, "{} bytes", text.len());
        }
    }
}

/// Two texts, cut apart at the first line feed, as names.
pub(crate) fn name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (a, b) = text.split_once('\n').unwrap_or((&text, ""));
    let (mapped, other) = (map_name(a), map_name(b));
    assert_eq!(a == b, mapped == other, "{a:?} and {b:?}");
    for name in [&mapped, &other] {
        assert!(!name.is_empty() && name.encode_utf16().count() <= MAX_NAME);
        assert!(name.trim() == name && !name.contains(':'));
        assert!(!name.chars().any(char::is_control));
        let published = crate::transfer::suffixed(name, "abcdefghij", map_name);
        assert!(published.encode_utf16().count() <= MAX_NAME);
        assert_ne!(fold(&published), fold(name), "a suffix makes another name");
    }
}
