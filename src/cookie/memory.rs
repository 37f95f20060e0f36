//! What was opened before, so that a page's many requests decrypt their cookie once.
//!
//! To open is a function of the text and the ring alone, and each ring has a memory of its own:
//! nothing short of the same bytes under the same secrets is found. Whether a cookie counts is
//! judged anew each time. quick_cache for the reasons that the cache of tokens has.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// How many bytes the memory of one ring takes at most.
const CAPACITY: u64 = 4 * 1_024 * 1_024;
/// What an entry takes besides its texts: two allocations and the cache's own links.
const ENTRY_OVERHEAD: usize = 160;
/// How many typical entries that makes, to size the table.
const TYPICAL_COUNT: usize = 5_000;

/// Payloads by the sealed text that they were read from.
pub(crate) struct Memory(Cache<Box<[u8]>, Arc<[u8]>, Weight>);

#[derive(Clone)]
struct Weight;

impl Weighter<Box<[u8]>, Arc<[u8]>> for Weight {
    fn weight(&self, text: &Box<[u8]>, payload: &Arc<[u8]>) -> u64 {
        let bytes = text.len().saturating_add(payload.len()).saturating_add(ENTRY_OVERHEAD);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self(Cache::with_weighter(TYPICAL_COUNT, CAPACITY, Weight))
    }
}

impl Memory {
    /// Puts what `text` holds into `buffer`, if it was opened before.
    pub(crate) fn recall(&self, text: &[u8], buffer: &mut Vec<u8>) -> bool {
        let payload = self.0.get(text);
        if let Some(payload) = &payload {
            buffer.clear();
            buffer.extend_from_slice(payload);
        }
        payload.is_some()
    }

    /// Keeps what `text` holds. Only what was authenticated and understood may come here.
    pub(crate) fn keep(&self, text: &[u8], payload: &[u8]) {
        self.0.insert(text.into(), payload.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_short_of_the_same_text_is_found() {
        let memory = Memory::default();
        memory.keep(b"text", b"payload");
        let mut buffer = b"before".to_vec();
        for other in [&b"tex"[..], b"text ", b"Text", b""] {
            assert!(!memory.recall(other, &mut buffer));
            assert_eq!(buffer, b"before");
        }
        assert!(memory.recall(b"text", &mut buffer));
        assert_eq!(buffer, b"payload");
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let memory = Memory::default();
        for number in 0..20_000_u32 {
            memory.keep(&number.to_be_bytes(), &[0; 1_000]);
        }
        assert!(memory.0.weight() <= CAPACITY);
        assert!(memory.0.len() < 5_000);
    }
}
