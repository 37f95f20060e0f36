//! The memory of single-use identifiers: what keeps a captured client assertion from being used
//! again (RFC 7523, section 3).

use std::collections::HashMap;
use std::sync::Mutex;

use crate::thumbprint::Thumbprint;
use crate::token::Timestamp;

/// A single-use identifier, hashed with whom it is for and who made it: `jti` is unique for one
/// client of one authorization server only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayId(Thumbprint);

impl ReplayId {
    /// The identifier `id` that `client` gave to the authorization server `issuer`.
    #[must_use]
    pub fn new(issuer: &str, client: &str, id: &str) -> Self {
        // The lengths in front divide the three for certain.
        let text = format!("{}:{}:{issuer}{client}{id}", issuer.len(), client.len());
        Self(Thumbprint::of(text.as_bytes()))
    }

    /// The bytes that a store keeps.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// Whether an identifier had been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Not before; from now on it is.
    First,
    /// It had been.
    Again,
}

/// The store cannot say. The request is refused, since false negatives are not permissible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayStoreUnavailable;

/// A store of used identifiers, to be shared by all processes that answer for one token endpoint.
pub trait ReplayStore {
    /// Looks `id` up and keeps it until `until` in one atomic operation: of two requests that
    /// come at once with the same identifier, one only may see [`Use::First`].
    ///
    /// # Errors
    /// [`ReplayStoreUnavailable`]: it cannot be looked up, or there is no room to keep it.
    fn check_and_insert(
        &self,
        id: &ReplayId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Use, ReplayStoreUnavailable>;
}

/// For servers whose clients make no assertions: never answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReplayStore;

impl ReplayStore for NoReplayStore {
    fn check_and_insert(
        &self,
        _: &ReplayId,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<Use, ReplayStoreUnavailable> {
        Err(ReplayStoreUnavailable)
    }
}

/// A store in this process's memory: for programs of one process. It does not survive the
/// process, and another process does not see it.
#[derive(Debug)]
pub struct ProcessReplayStore {
    used: Mutex<HashMap<[u8; 32], Timestamp>>,
    capacity: usize,
}

impl ProcessReplayStore {
    /// A store of at most `capacity` identifiers. When all of them are still to be kept, it
    /// does not answer.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { used: Mutex::default(), capacity }
    }
}

impl ReplayStore for ProcessReplayStore {
    fn check_and_insert(
        &self,
        id: &ReplayId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Use, ReplayStoreUnavailable> {
        let mut used = self.used.lock().map_err(|_| ReplayStoreUnavailable)?;
        if used.get(id.bytes()).is_some_and(|kept_until| *kept_until >= now) {
            return Ok(Use::Again);
        }
        if used.len() >= self.capacity {
            used.retain(|_, kept_until| *kept_until >= now);
        }
        if used.len() >= self.capacity {
            return Err(ReplayStoreUnavailable);
        }
        used.insert(*id.bytes(), until);
        Ok(Use::First)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_its_owners() {
        let id = ReplayId::new;
        assert_eq!(id("i", "a", "b"), id("i", "a", "b"));
        for other in [id("i", "", "ab"), id("i", "ab", ""), id("ia", "", "b"), id("", "ia", "b")] {
            assert_ne!(other, id("i", "a", "b"));
        }
        assert_ne!(id("1", ":", "x"), id("1", "", ":x"));
    }

    #[test]
    fn used_once_and_bounded() {
        let store = ProcessReplayStore::new(2);
        let (a, b, c) = (
            ReplayId::new("i", "x", "a"),
            ReplayId::new("i", "x", "b"),
            ReplayId::new("i", "x", "c"),
        );
        assert_eq!(store.check_and_insert(&a, 10, 0), Ok(Use::First));
        assert_eq!(store.check_and_insert(&a, 10, 10), Ok(Use::Again));
        assert_eq!(store.check_and_insert(&b, 20, 10), Ok(Use::First));
        assert_eq!(store.check_and_insert(&c, 20, 10), Err(ReplayStoreUnavailable));
        assert_eq!(store.check_and_insert(&c, 20, 11), Ok(Use::First));
        assert_eq!(store.check_and_insert(&b, 20, 11), Ok(Use::Again));
        assert_eq!(NoReplayStore.check_and_insert(&a, 1, 0), Err(ReplayStoreUnavailable));
    }
}
