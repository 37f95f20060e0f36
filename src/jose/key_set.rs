//! A JWK Set (RFC 7517, section 5), indexed for verification.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::json;
use super::{Algorithm, Key, KeyFault};

/// Most keys in one set.
const MAX_KEYS: usize = 2_000;
/// Most keys tried for one signature; bounds what a token that names no key can cost.
const MAX_CANDIDATES: usize = 8;

/// The usable keys of a JWK Set.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Arc<Key>>,
    by_id: HashMap<String, Vec<Arc<Key>>>,
    skipped: Vec<(Option<String>, KeyFault)>,
}

/// Which keys a token may have been signed with.
#[derive(Debug)]
pub enum Selection {
    /// These, to be tried in turn; never empty.
    Candidates(Vec<Arc<Key>>),
    /// The key is there, but not for this algorithm.
    OtherAlgorithm,
    /// No such key.
    Unknown,
}

/// Why a text is not a usable JWK Set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// Not a JSON object.
    Json(String),
    /// No array `keys` of objects.
    Shape,
    /// More keys than we keep.
    TooMany,
    /// Not one key to verify with.
    Empty,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(reason) => write!(f, "not a JWK Set: {reason}"),
            Self::Shape => f.write_str("not a JWK Set: no array \"keys\" of objects"),
            Self::TooMany => write!(f, "a JWK Set of more than {MAX_KEYS} keys"),
            Self::Empty => f.write_str("a JWK Set without a key to verify signatures with"),
        }
    }
}

impl std::error::Error for KeySetError {}

impl KeySet {
    /// Parses a JWK Set to verify with.
    ///
    /// # Errors
    /// [`KeySetError`]: no set, or none of its keys can be used.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let set = Self::published(text)?;
        if set.keys.is_empty() { Err(KeySetError::Empty) } else { Ok(set) }
    }

    /// Parses a JWK Set as an issuer publishes it: one without usable keys is what an issuer
    /// publishes that has withdrawn them all. Keys that are not for verifying are skipped, as RFC
    /// 7517, section 5 demands, and listed in [`skipped`](Self::skipped).
    ///
    /// # Errors
    /// [`KeySetError`]: no set.
    pub fn published(text: &[u8]) -> Result<Self, KeySetError> {
        let mut object = json::object(text).map_err(KeySetError::Json)?;
        let Some(Value::Array(members)) = object.remove("keys") else {
            return Err(KeySetError::Shape);
        };
        if members.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut set = Self::default();
        for member in members {
            let Value::Object(jwk) = member else {
                return Err(KeySetError::Shape);
            };
            let key_id = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
            match Key::from_jwk(jwk) {
                Ok(key) => set.keys.push(Arc::new(key)),
                Err(fault) => set.skipped.push((key_id, fault)),
            }
        }
        set.index();
        Ok(set)
    }

    /// A set of keys made elsewhere.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        let mut set = Self { keys: keys.into_iter().map(Arc::new).collect(), ..Self::default() };
        set.index();
        set
    }

    /// The usable keys, in the set's order.
    #[must_use]
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// The `kid` of each key that is not used, and why.
    #[must_use]
    pub fn skipped(&self) -> &[(Option<String>, KeyFault)] {
        &self.skipped
    }

    /// The keys that may have signed a token of this header.
    #[must_use]
    pub fn select(&self, key_id: Option<&str>, algorithm: Algorithm) -> Selection {
        let named: &[Arc<Key>] = match key_id {
            Some(id) => self.by_id.get(id).map_or(&[], Vec::as_slice),
            None => &self.keys,
        };
        let fitting = named.iter().filter(|key| key.algorithms().contains(algorithm));
        let candidates: Vec<_> = fitting.take(MAX_CANDIDATES).cloned().collect();
        if !candidates.is_empty() {
            Selection::Candidates(candidates)
        } else if named.is_empty() {
            Selection::Unknown
        } else {
            Selection::OtherAlgorithm
        }
    }

    /// Takes over from `previous`: a key published unchanged stays the same object, so that what
    /// it verified stays verified; a key no longer published is retired.
    pub(super) fn succeed(&mut self, previous: &Self) {
        for key in &mut self.keys {
            let same = |old: &&Arc<Key>| old.jwk() == key.jwk() && !old.is_retired();
            let candidates = match key.key_id() {
                Some(id) => previous.by_id.get(id).map_or(&[][..], Vec::as_slice),
                None => &previous.keys,
            };
            if let Some(old) = candidates.iter().find(same) {
                *key = Arc::clone(old);
            }
        }
        self.index();
        for old in &previous.keys {
            let kept = match old.key_id() {
                Some(id) => self.by_id.get(id).map_or(&[][..], Vec::as_slice),
                None => &self.keys,
            };
            if !kept.iter().any(|key| Arc::ptr_eq(key, old)) {
                old.retire();
            }
        }
    }

    pub(super) fn retire_all(&self) {
        self.keys.iter().for_each(|key| key.retire());
    }

    fn index(&mut self) {
        self.by_id.clear();
        for key in &self.keys {
            if let Some(id) = key.key_id() {
                self.by_id.entry(id.to_owned()).or_default().push(Arc::clone(key));
            }
        }
    }
}
