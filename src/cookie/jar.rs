//! What cookies are sealed and opened with at one place.

use super::key_ring::KeyRing;
use super::rule::CookieRules;

/// The rules and the ring of one place.
#[derive(Clone, Copy, Debug)]
pub struct Jar<'a> {
    /// Which cookies are protected.
    pub rules: &'a CookieRules,
    /// What seals and opens them.
    pub ring: &'a KeyRing,
    /// The largest sealed text in characters, all chunks together.
    pub max_size: usize,
}

impl<'a> Jar<'a> {
    /// 16 KiB.
    pub const DEFAULT_MAX_SIZE: usize = 16_384;

    /// The jar with the default size limit.
    #[must_use]
    pub const fn new(rules: &'a CookieRules, ring: &'a KeyRing) -> Self {
        Self { rules, ring, max_size: Self::DEFAULT_MAX_SIZE }
    }
}
