//! Which bytes a request asks for.

use crate::types::{ByteCount, ByteRange};

/// What a Range header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Part(ByteRange),
    /// Nothing of it exists: 416.
    Beyond,
}

/// Reads a single byte range; anything else is ignored, as S3 does.
pub(super) fn parse_range(text: &str, size: ByteCount) -> Option<Wanted> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (start.trim(), end.trim()) {
        ("", last) => {
            let last: u64 = last.parse().ok()?;
            ByteRange::new(size.saturating_sub(last), size)
        }
        (start, "") => ByteRange::new(start.parse().ok()?, size),
        (start, end) => {
            let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
            if end < start {
                return None;
            }
            ByteRange::new(start, end.saturating_add(1).min(size))
        }
    };
    Some(if range.is_empty() || range.start >= size {
        Wanted::Beyond
    } else {
        Wanted::Part(range)
    })
}
