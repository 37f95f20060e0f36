//! Sealed cookies against vectors that another implementation made from `docs/cookie-seal.md`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may"
)]

use auth_bound::Thumbprint;
use auth_bound::cookie::{
    CookiePolicy, HostScope, KeyRing, Nonce, Payload, Possession, Scope, Secret, SessionCookie,
    key_id, open, seal,
};
use serde_json::Value;

fn vectors(name: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/cookies.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    vectors[name].as_array().unwrap().clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = text(value);
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn ring(vector: &Value) -> KeyRing {
    KeyRing::new(&[Secret::parse(text(&vector["secret"]).as_bytes()).unwrap()]).unwrap()
}

fn cookie<'v>(vector: &'v Value, value: &'v [u8]) -> SessionCookie<'v> {
    let host = match vector["domain"].as_str() {
        Some(domain) => HostScope::Domain(domain),
        None => HostScope::HostOnly(text(&vector["host"])),
    };
    let bound = vector["bound-to"].as_object();
    SessionCookie {
        issued: vector["issued"].as_i64().unwrap(),
        policy: match text(&vector["policy"]) {
            "required" => CookiePolicy::Required,
            _ => CookiePolicy::Preferred,
        },
        possession: bound.map(|bound| Possession {
            kind: text(&bound["kind"]).parse().unwrap(),
            hash: Thumbprint::parse(text(&bound["hash"])).unwrap(),
        }),
        scope: Scope { host, path: text(&vector["path"]).as_bytes() },
        name: text(&vector["name"]).as_bytes(),
        value,
    }
}

#[test]
fn two_implementations_seal_alike() {
    for vector in vectors("sealed") {
        let what = text(&vector["what"]);
        let value = hex(&vector["cookie"]["value-hex"]);
        let payload = Payload::SessionCookie(cookie(&vector["cookie"], &value));
        let nonce: Nonce = hex(&vector["nonce-hex"]).try_into().unwrap();
        let ring = ring(&vector);
        let sealed = text(&vector["sealed"]);
        assert_eq!(seal(&payload, &ring, &nonce).unwrap(), sealed, "{what}");
        assert_eq!(open(sealed.as_bytes(), &ring, &mut Vec::new()), Ok(payload), "{what}");
        assert_eq!(key_id(sealed.as_bytes()).unwrap().to_vec(), hex(&vector["key-id-hex"]));
    }
}

#[test]
fn what_must_not_open_does_not() {
    for vector in vectors("refused") {
        let mut buffer = Vec::new();
        let opened = open(text(&vector["sealed"]).as_bytes(), &ring(&vector), &mut buffer)
            .map_err(|error| error.name().to_owned());
        assert_eq!(opened, Err(text(&vector["error"]).to_owned()), "{}", vector["what"]);
    }
}
