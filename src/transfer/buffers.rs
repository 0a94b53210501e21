//! Buffers of one chunk, used again.
//!
//! A master passes through memory in chunks of one size. Taking each from the system and giving
//! it back costs a fault for every page of it, which is a tenth of what a transfer costs. Buffers
//! are made only when none is free, and every chunk in use is claimed from the budget: so there
//! are never more than the budget holds.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::fetch::CHUNK;

/// Free buffers. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    /// An empty buffer for up to `bytes`, which is at most one chunk.
    pub(super) fn take(&self, bytes: usize) -> Buffer {
        let whole = bytes as u64 == CHUNK;
        let free = whole.then(|| self.lock().pop()).flatten();
        Buffer {
            bytes: free.unwrap_or_else(|| Vec::with_capacity(bytes)),
            home: whole.then(|| self.clone()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer in use; a whole chunk's is free again once its last reader is gone.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Option<Buffers>,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What was written, to be read and shared.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            home.lock().push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_used_again_once_its_last_reader_is_gone() {
        let buffers = Buffers::default();
        let chunk = usize::try_from(CHUNK).unwrap();
        let mut buffer = buffers.take(chunk);
        buffer.extend(b"first");
        let bytes = buffer.freeze();
        let place = bytes.as_ptr();
        let reader = bytes.slice(1..3);
        drop(bytes);
        assert_eq!(reader, b"ir"[..]);
        assert!(buffers.lock().is_empty(), "somebody still reads it");
        drop(reader);
        let mut again = buffers.take(chunk);
        assert_eq!((again.bytes.as_ptr(), again.len()), (place, 0));
        again.extend(b"second");
        assert_eq!(again.freeze(), b"second"[..]);
    }

    #[test]
    fn smaller_buffers_are_given_back_to_the_system() {
        let buffers = Buffers::default();
        drop(buffers.take(10).freeze());
        assert!(buffers.lock().is_empty());
    }
}
