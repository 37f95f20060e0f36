//! Verified tokens, kept so that a signature is checked once.
//!
//! quick_cache: bounded by weight, sharded, and its policy (S3-FIFO) keeps a flood of tokens seen
//! once from driving out the ones in use. The key is the token itself and the policy: nothing
//! short of the same bytes under the same rules is a hit.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::Verified;
use crate::policy::Policy;

/// What an entry takes besides the token's text, its parsed claims and its exports: keys,
/// counters, the cache's own links.
const ENTRY_OVERHEAD: u64 = 1_024;
/// Claims and exports, in multiples of the token's length.
const COPIES: u64 = 4;
/// A typical entry's weight, to size the table.
const TYPICAL_WEIGHT: u64 = 4_096;

/// A bounded, concurrent cache of verified tokens.
#[derive(Debug)]
pub struct TokenCache {
    entries: Cache<Entry, Arc<Verified>, Weight>,
}

/// The key: a token under a policy, held by the value that it leads to.
#[derive(Clone, Debug)]
struct Entry(Arc<Verified>);

impl Entry {
    fn parts(&self) -> (u64, &str) {
        (self.0.policy(), self.0.token())
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

#[derive(Hash)]
struct Lookup<'a>(u64, &'a str);

impl Equivalent<Entry> for Lookup<'_> {
    fn equivalent(&self, entry: &Entry) -> bool {
        entry.parts() == (self.0, self.1)
    }
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Entry, Arc<Verified>> for Weight {
    fn weight(&self, key: &Entry, _value: &Arc<Verified>) -> u64 {
        let length = u64::try_from(key.0.token().len()).unwrap_or(u64::MAX);
        length.saturating_mul(COPIES).saturating_add(ENTRY_OVERHEAD)
    }
}

impl TokenCache {
    /// A cache of about `bytes` bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes.checked_div(TYPICAL_WEIGHT).unwrap_or_default())
            .unwrap_or(usize::MAX);
        Self { entries: Cache::with_weighter(items, bytes, Weight) }
    }

    /// The verification of `token` under `policy`, if it is remembered and its key still stands.
    #[must_use]
    pub fn get(&self, token: &str, policy: &Policy) -> Option<Arc<Verified>> {
        self.entries
            .get(&Lookup(policy.id(), token))
            .filter(|verified| !verified.key().is_retired())
    }

    /// Remembers a verification.
    pub fn insert(&self, verified: Arc<Verified>) {
        self.entries.insert(Entry(Arc::clone(&verified)), verified);
    }
}
