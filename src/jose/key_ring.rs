//! One issuer's keys as they are now. Whoever fetches them replaces the set; whoever verifies
//! reads it without waiting.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::KeySet;

/// The place of a [`KeySet`] that is replaced while requests are being verified.
#[derive(Debug, Default)]
pub struct KeyRing {
    current: ArcSwapOption<KeySet>,
}

impl KeyRing {
    /// A ring without keys: none are known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A ring that holds `set`.
    #[must_use]
    pub fn holding(set: KeySet) -> Self {
        let ring = Self::new();
        ring.replace(set);
        ring
    }

    /// The keys known now; `None` before the first are, and after [`clear`](Self::clear).
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// Puts `set` in place. Keys that it no longer has are retired from this moment. One caller
    /// at a time: the thread that refreshes this ring.
    pub fn replace(&self, mut set: KeySet) {
        if let Some(previous) = self.current.load_full() {
            set.succeed(&previous);
        }
        self.current.store(Some(Arc::new(set)));
    }

    /// Forgets all keys, retiring each: they have not been confirmed for too long.
    pub fn clear(&self) {
        if let Some(previous) = self.current.swap(None) {
            previous.retire_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Algorithm, Key, Selection, SigningKey};

    fn key(id: &str) -> SigningKey {
        SigningKey::generate(Algorithm::ES256, id).unwrap()
    }

    fn set(keys: &[&SigningKey]) -> KeySet {
        KeySet::new(keys.iter().map(|key| Key::from_jwk(key.public_jwk().unwrap()).unwrap()))
    }

    fn select(ring: &KeyRing, id: &str) -> Option<Arc<Key>> {
        match ring.current()?.select(Some(id), Algorithm::ES256) {
            Selection::Candidates(keys) => keys.into_iter().next(),
            Selection::OtherAlgorithm | Selection::Unknown => None,
        }
    }

    #[test]
    fn a_kept_key_stays_and_a_removed_one_is_retired() {
        let (a, b, c) = (key("a"), key("b"), key("c"));
        let ring = KeyRing::holding(set(&[&a, &b]));
        let (old_a, old_b) = (select(&ring, "a").unwrap(), select(&ring, "b").unwrap());
        ring.replace(set(&[&b, &c]));
        assert!(old_a.is_retired() && !old_b.is_retired());
        assert!(Arc::ptr_eq(&old_b, &select(&ring, "b").unwrap()));
        assert!(select(&ring, "a").is_none() && select(&ring, "c").is_some());
    }

    #[test]
    fn a_key_changed_under_its_id_is_another_key() {
        let ring = KeyRing::holding(set(&[&key("a")]));
        let old = select(&ring, "a").unwrap();
        ring.replace(set(&[&key("a")]));
        assert!(old.is_retired() && !select(&ring, "a").unwrap().is_retired());
    }

    #[test]
    fn a_cleared_ring_knows_nothing_and_a_returning_key_is_new() {
        let a = key("a");
        let ring = KeyRing::holding(set(&[&a]));
        let old = select(&ring, "a").unwrap();
        ring.clear();
        assert!(old.is_retired() && ring.current().is_none());
        ring.replace(set(&[&a]));
        assert!(!select(&ring, "a").unwrap().is_retired());
    }
}
