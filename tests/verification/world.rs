//! Keys, clients and rules that the cases share.

use std::sync::{Arc, LazyLock};

use auth_bound::jose::{Algorithm, Key, KeyRing, KeySet, SigningKey};
use auth_bound::{ClientCertificate, Policy, Possessions};

pub(super) const NOW: i64 = 1_760_000_000;
pub(super) const ISSUER: &str = "https://issuer.example";
pub(super) const OTHER_ISSUER: &str = "https://other.example";
pub(super) const AUDIENCE: &str = "https://api.example";

pub(super) struct World {
    pub(super) keys: Vec<SigningKey>,
    pub(super) other_issuers: SigningKey,
    pub(super) impostor: SigningKey,
    pub(super) alice: ClientCertificate,
    pub(super) bob: ClientCertificate,
    pub(super) policy: Policy,
}

pub(super) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let generate =
        |algorithm: Algorithm, key_id: &str| SigningKey::generate(algorithm, key_id).unwrap();
    let keys: Vec<_> =
        Algorithm::ALL.iter().map(|algorithm| generate(*algorithm, algorithm.name())).collect();
    let other_issuers = generate(Algorithm::ES256, "other");
    let policy = Policy::new()
        .unwrap()
        .trust(ISSUER, ring(&keys))
        .trust(OTHER_ISSUER, ring(std::slice::from_ref(&other_issuers)))
        .audience(AUDIENCE);
    World {
        keys,
        other_issuers,
        impostor: generate(Algorithm::ES256, "ES256"),
        alice: ClientCertificate::presented(b"alice's certificate".to_vec()),
        bob: ClientCertificate::presented(b"bob's certificate".to_vec()),
        policy,
    }
});

pub(super) fn ring(keys: &[SigningKey]) -> Arc<KeyRing> {
    let public = |key: &SigningKey| Key::from_jwk(key.public_jwk().unwrap()).unwrap();
    Arc::new(KeyRing::holding(KeySet::new(keys.iter().map(public))))
}

pub(super) fn key(algorithm: Algorithm) -> &'static SigningKey {
    let mut keys = WORLD.keys.iter();
    keys.find(|key| key.algorithm() == algorithm).unwrap()
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) enum Client {
    Alice,
    Bob,
    Nobody,
}

impl Client {
    pub(super) fn possessions(self) -> Possessions<'static> {
        Possessions {
            certificate: match self {
                Self::Alice => Some(&WORLD.alice),
                Self::Bob => Some(&WORLD.bob),
                Self::Nobody => None,
            },
            ..Possessions::default()
        }
    }
}
