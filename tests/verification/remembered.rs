//! What is remembered of tokens, and what each request decides anew.

use std::sync::Arc;

use auth_bound::Policy;
use auth_bound::decide::{Memo, Request, Step, Verdict, decide};
use auth_bound::directive::value;
use auth_bound::jose::{Key, KeyRing, KeySet};
use auth_bound::refusal::Reason;
use auth_bound::token::{Outcome, TokenCache, examine, verify};

use super::case::Case;
use super::world::{AUDIENCE, Client, ISSUER, NOW, WORLD, ring};

/// One cache for requests that may each have their own policy, client and time.
struct Server {
    cache: TokenCache,
    token: String,
}

impl Server {
    fn new() -> Self {
        Self { cache: TokenCache::new(1 << 20), token: Case::passes("").token() }
    }

    fn ask(&self, policy: &Policy, client: Client, now: i64) -> Option<Reason> {
        let value = format!("Bearer {}", self.token);
        let request =
            Request { authorization: &[value.as_bytes()], possessions: client.possessions(), now };
        match decide(&request, policy, &self.cache, &Memo::default()) {
            Step::Done(Verdict::Grant(_)) => None,
            Step::Done(Verdict::Refuse(refusal)) => Some(refusal.reason()),
            Step::Blocked(needed) => {
                Some(needed.otherwise.map_or(Reason::KeysUnavailable, |refusal| refusal.reason()))
            }
        }
    }
}

#[test]
fn what_is_remembered_is_judged_anew() {
    let server = Server::new();
    let policy = WORLD.policy.clone();
    assert_eq!(server.ask(&policy, Client::Alice, NOW), None);
    assert!(server.cache.get(&server.token, &policy).is_some());
    assert_eq!(server.ask(&policy, Client::Bob, NOW), Some(Reason::CertificateMismatch));
    assert_eq!(server.ask(&policy, Client::Nobody, NOW), Some(Reason::CertificateMissing));
    assert_eq!(server.ask(&policy, Client::Alice, NOW + 630), Some(Reason::TokenExpired));
    assert_eq!(server.ask(&policy, Client::Alice, NOW), None);
}

#[test]
fn what_is_remembered_counts_under_its_own_policy_alone() {
    let server = Server::new();
    assert_eq!(server.ask(&WORLD.policy, Client::Alice, NOW), None);
    let elsewhere = Policy::new()
        .unwrap()
        .trust(ISSUER, ring(&WORLD.keys))
        .audience("https://elsewhere.example");
    assert_eq!(server.ask(&elsewhere, Client::Alice, NOW), Some(Reason::AudienceMismatch));
    let stranger = Policy::new()
        .unwrap()
        .trust(ISSUER, ring(std::slice::from_ref(&WORLD.other_issuers)))
        .audience(AUDIENCE);
    assert_eq!(server.ask(&stranger, Client::Alice, NOW), Some(Reason::KeyUnknown));
    let narrower = WORLD.policy.clone().with(|settings| {
        settings.algorithms = value::parse(&["RS256"]).unwrap();
    });
    assert_eq!(server.ask(&narrower, Client::Alice, NOW), Some(Reason::AlgorithmNotAccepted));
}

#[test]
fn a_key_that_is_withdrawn_takes_its_tokens_along() {
    let server = Server::new();
    let ring = ring(&WORLD.keys);
    let policy = Policy::new().unwrap().trust(ISSUER, Arc::clone(&ring)).audience(AUDIENCE);
    let verified = verify(&server.token, &policy, NOW).unwrap();
    assert_eq!(server.ask(&policy, Client::Alice, NOW), None);
    let rest = WORLD.keys.iter().filter(|key| key.key_id() != "ES256");
    ring.replace(KeySet::new(rest.map(|key| Key::from_jwk(key.public_jwk().unwrap()).unwrap())));
    assert_eq!(server.ask(&policy, Client::Alice, NOW), Some(Reason::KeyUnknown));
    let judged = verified.judge(&policy, &Client::Alice.possessions(), NOW);
    assert_eq!(judged.unwrap_err().reason(), Reason::KeyUnknown);
    ring.clear();
    assert_eq!(server.ask(&policy, Client::Alice, NOW), Some(Reason::KeysUnavailable));
}

#[test]
fn a_ring_without_keys_blocks() {
    let policy = Policy::new().unwrap().trust(ISSUER, Arc::new(KeyRing::new())).audience(AUDIENCE);
    let token = Case::passes("").token();
    let findings = examine(&token, &policy, &Client::Alice.possessions(), NOW);
    assert!(findings.iter().all(|finding| !matches!(finding.outcome, Outcome::Fails(_))));
    assert!(findings.iter().any(|finding| matches!(finding.outcome, Outcome::NeedsKeys)));
    let server = Server::new();
    assert_eq!(server.ask(&policy, Client::Alice, NOW), Some(Reason::KeysUnavailable));
}
