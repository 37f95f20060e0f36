//! What the tests of this module share: a place with rules, and clients.

use std::borrow::Cow;

use super::chunks::Presented;
use super::jar::Jar;
use super::judge::Request;
use super::key_ring::KeyRing;
use super::opened_cookies::{CookieOutcome, open_request};
use super::payload::CookiePolicy;
use super::possession::{Possession, PossessionKind};
use super::rule::{CookieRule, CookieRules};
use super::seal_error::SealError;
use super::sealed_cookies::{SealOutcome, seal_response};
use super::secret::Secret;
use crate::thumbprint::Thumbprint;
use crate::token::Timestamp;

pub(super) const NOW: Timestamp = 1_760_000_000;

pub(super) fn key(kind: PossessionKind, name: &str) -> Possession {
    Possession { kind, hash: Thumbprint::of(name.as_bytes()) }
}

/// A place with the rules `S`, required, and `app_*`, preferred.
pub(super) struct Place {
    pub(super) rules: CookieRules,
    pub(super) ring: KeyRing,
    pub(super) drawn: u8,
}

impl Place {
    pub(super) fn new() -> Self {
        let accepted = vec![PossessionKind::TokenBinding, PossessionKind::Certificate];
        let required = CookieRule { accepted, ..CookieRule::new("S".parse().unwrap()) };
        let preferred = CookieRule {
            name: "app_*".parse().unwrap(),
            policy: CookiePolicy::Preferred,
            ..required.clone()
        };
        let host = CookieRule::new("__Host-*".parse().unwrap());
        let rules = CookieRules::new(vec![required, preferred, host]);
        Self { rules, ring: KeyRing::new(&[Secret::from_bytes([1; 32])]).unwrap(), drawn: 0 }
    }

    pub(super) fn jar(&self) -> Jar<'_> {
        Jar::new(&self.rules, &self.ring)
    }

    /// What the client gets of these `Set-Cookie`, and what came of each.
    pub(super) fn seal(
        &mut self,
        set: &[&str],
        proved: &[Possession],
        presented: &Presented,
    ) -> (Vec<String>, Vec<SealOutcome>) {
        let drawn = &mut self.drawn;
        let random = |bytes: &mut [u8]| {
            *drawn = drawn.wrapping_add(1);
            bytes.fill(*drawn);
            Ok(())
        };
        let jar = Jar::new(&self.rules, &self.ring);
        let sealed = seal_response(set, &jar, &request(proved), presented, random);
        let plain = || set.iter().map(|header| Cow::Borrowed(header.as_bytes())).collect();
        let cookies = sealed.cookies.unwrap_or_else(plain);
        let text = |cookie: Cow<'_, [u8]>| String::from_utf8(cookie.into_owned()).unwrap();
        (cookies.into_iter().map(text).collect(), sealed.outcomes)
    }

    /// The pairs of cookies sealed for these possessions.
    pub(super) fn pairs(&mut self, set: &[&str], proved: &[Possession]) -> Vec<String> {
        let (cookies, _) = self.seal(set, proved, &Presented::default());
        cookies.iter().map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect()
    }

    /// What the application sees of a `Cookie` header, and what came of each name.
    pub(super) fn open(
        &self,
        header: &str,
        proved: &[Possession],
    ) -> (Option<String>, Vec<(String, Option<SealError>)>) {
        let opened = open_request(&[header], &self.jar(), &request(proved));
        let seen = opened.rewritten(header.as_bytes(), 0);
        let seen = seen.map(|seen| String::from_utf8(seen.to_vec()).unwrap());
        let outcome = |cookie: &CookieOutcome| {
            (String::from_utf8(cookie.name.clone()).unwrap(), cookie.result.err())
        };
        (seen, opened.cookies.iter().map(outcome).collect())
    }

    pub(super) fn refused(&self, header: &str, proved: &[Possession], error: SealError) {
        let (seen, outcomes) = self.open(header, proved);
        assert_eq!(seen, None, "{header}");
        assert_eq!(outcomes.iter().map(|(_, error)| *error).max(), Some(Some(error)), "{header}");
    }
}

pub(super) fn request(proved: &[Possession]) -> Request<'_> {
    Request { host: "app.example", path: b"/", now: NOW, proved }
}

pub(super) fn alice() -> [Possession; 1] {
    [key(PossessionKind::Certificate, "alice")]
}

pub(super) fn long(length: usize) -> String {
    "0123456789".chars().cycle().take(length).collect()
}
