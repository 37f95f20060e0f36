//! Verification from the outside: for every reason to refuse a request, one that is refused for
//! it; for every algorithm, a token that passes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may"
)]

mod case;
mod cases;
mod remembered;
mod world;

use std::collections::HashSet;

use auth_bound::Confirmation;
use auth_bound::decide::Memo;
use auth_bound::refusal::Reason;
use auth_bound::token::{TokenCache, TokenRequest, verify};

use case::Case;
use cases::cases;
use world::{AUDIENCE, Client, ISSUER, NOW, WORLD};

/// The reasons that no call of the library gives, and who does.
const GIVEN_ELSEWHERE: &[(Reason, &str)] = &[
    (Reason::KeysUnavailable, "by whoever waited in vain for the keys of a blocked step"),
    (Reason::Overloaded, "by whoever could not even wait for the keys of a blocked step"),
    (Reason::UserMissing, "by the server's own authorization, after our requirements"),
    (Reason::TokenBindingRepeated, "before a token is looked at"),
    (Reason::TokenBindingMalformed, "before a token is looked at"),
    (Reason::TokenBindingCount, "before a token is looked at"),
    (Reason::TokenBindingKey, "before a token is looked at"),
    (Reason::TokenBindingKeyParameters, "before a token is looked at"),
    (Reason::TokenBindingSignature, "before a token is looked at"),
    (Reason::TokenBindingRequired, "before a token is looked at"),
    (Reason::TokenBindingMismatch, "with a possession that these cases do not have"),
    (Reason::CookieRefused, "before a token is looked at"),
    (Reason::CookieRedirected, "before a token is looked at"),
];

#[test]
fn every_case_decides_as_expected() {
    cases().iter().for_each(Case::check);
}

#[test]
fn every_reason_is_reached_or_given_elsewhere() {
    let mut reached: HashSet<Reason> = cases().iter().filter_map(|case| case.expected).collect();
    reached.insert(judged_under_another_policy());
    for reason in Reason::ALL {
        let elsewhere = GIVEN_ELSEWHERE.iter().find(|(other, _)| other == reason);
        match (reached.contains(reason), elsewhere) {
            (false, None) => panic!("no case for AB{} {}", reason.number(), reason.name()),
            (true, Some((_, who))) => panic!("{} is not only given {who}", reason.name()),
            (true, None) | (false, Some(_)) => {}
        }
    }
}

fn judged_under_another_policy() -> Reason {
    let token = Case::passes("").token();
    let verified = verify(&token, &WORLD.policy, NOW).unwrap();
    let stricter = WORLD.policy.clone().audience("https://second.example");
    let judged = verified.judge(&stricter, &Client::Alice.possessions(), NOW);
    judged.unwrap_err().reason()
}

#[test]
fn tokens_of_every_algorithm_pass() {
    for key in &WORLD.keys {
        let confirmation = Confirmation::certificate(WORLD.alice.thumbprint());
        let token = TokenRequest::new(ISSUER, "alice", AUDIENCE, NOW, 300)
            .bound_to(&confirmation)
            .claim("scope", "read")
            .sign(key)
            .unwrap();
        let verified = verify(&token, &WORLD.policy, NOW).unwrap();
        assert_eq!(verified.key().key_id(), Some(key.key_id()));
        assert_eq!(verified.confirmation(), &confirmation);
        assert_eq!(verified.lifetime().expires(), Some(NOW + 300));
        let judge = |client: Client, now| {
            let judged = verified.judge(&WORLD.policy, &client.possessions(), now);
            judged.map_err(|refusal| refusal.reason())
        };
        assert_eq!(judge(Client::Alice, NOW), Ok(()), "{}", key.algorithm());
        assert_eq!(judge(Client::Bob, NOW), Err(Reason::CertificateMismatch));
        assert_eq!(judge(Client::Alice, NOW + 330), Err(Reason::TokenExpired));
    }
}

#[test]
fn no_refusal_repeats_the_token() {
    for case in cases() {
        let token = case.token();
        let (cache, memo) = (TokenCache::new(1 << 20), Memo::default());
        let Err(refusal) = case.outcome(&token, &cache, &memo) else {
            continue;
        };
        let line = refusal.to_string();
        let shown = token.split('.').filter(|part| part.len() > 8);
        assert!(shown.into_iter().all(|part| !line.contains(part)), "{}: {line}", case.name);
        let debug = format!("{refusal:?}");
        assert!(!debug.contains(&token), "{debug}");
    }
}
