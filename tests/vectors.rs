//! Published vectors: those in `tests/vectors` always, the larger collections beside the checkout
//! where they are present. Every valid one is accepted, every invalid one and every altered twin
//! of a valid one refused, and whatever is skipped has its reason here.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may"
)]

mod shared;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use auth_bound::jose::{
    Algorithm, Jws, KeyRing, KeySet, Selection, SigningKey, base64url, json, jwk_thumbprint,
};
use auth_bound::token::{Failure, TokenRequest, verify};
use auth_bound::{ClientCertificate, Confirmation, Policy, Thumbprint, ThumbprintForm};
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use serde_json::{Value, json};
use shared::shared;

/// Valid vectors of Wycheproof that we refuse.
const WYCHEPROOF_SKIPS: &[(&[u64], &str)] = &[
    (
        &[1, 348, 352, 357, 358, 359, 372, 373, 376, 377],
        "the key is symmetric (HS256): whoever can verify could have signed",
    ),
    (&[346, 350], "the JWK's alg pins PS256, the token is signed with PS384"),
    (&[347, 351], "the JWK's alg is ES521, which is no algorithm's name"),
];

/// Skipped for their key alone: the `alg` with which the JWK would fit its token.
const WYCHEPROOF_MENDED: &[(u64, &str)] =
    &[(346, "PS384"), (350, "PS384"), (347, "ES512"), (351, "ES512")];

/// Examples of RFC 7520 that we do not accept.
const RFC7520_SKIPS: &[(&str, &str)] = &[
    ("4_4", "HS256: the key is symmetric"),
    ("4_5", "HS256, and the payload is detached"),
    ("4_6", "HS256, and the serialization is JSON"),
    ("4_7", "HS256, and the serialization is JSON"),
    ("4_8", "several signatures: the serialization is JSON"),
];

#[test]
fn rfc_signatures_verify_and_their_twins_do_not() {
    let vectors = ours("signatures.json");
    for vector in &vectors {
        let source = text(&vector["source"]);
        let (token, key) = (text(&vector["token"]), &vector["jwk"]);
        let algorithm: Algorithm = text(&vector["alg"]).parse().unwrap();
        assert!(accepted(token, key), "{source}");
        for other in vectors.iter().filter(|other| other["jwk"] != *key) {
            assert!(!accepted(token, &other["jwk"]), "{source}: another key");
        }
        for name in Algorithm::ALL {
            let mut pinned = key.clone();
            pinned["alg"] = name.name().into();
            let fits = *name == algorithm;
            assert_eq!(accepted(token, &pinned), fits, "{source}: pinned to {name}");
        }
        let mut twins = flipped(token);
        twins.extend(respelled(token));
        twins.extend(other_headers(token));
        twins.extend(other_signatures(token, algorithm));
        for Twin { what, token: twin } in twins {
            assert_ne!(twin, token, "{source}: {what}");
            assert!(!accepted(&twin, key), "{source}: {what}: {twin}");
        }
    }
}

#[test]
fn jwk_thumbprints() {
    for vector in ours("jwk_thumbprints.json") {
        let jwk = vector["jwk"].as_object().unwrap();
        let thumbprint = jwk_thumbprint(jwk).unwrap().to_string();
        assert_eq!(thumbprint, text(&vector["thumbprint"]), "{}", vector["source"]);
    }
}

#[test]
fn certificate_thumbprints() {
    for vector in ours("certificates.json") {
        let lines: Vec<_> = vector["pem"].as_array().unwrap().iter().map(text).collect();
        let certificate = ClientCertificate::from_pem(lines.join("\n").as_bytes()).unwrap();
        let expected = text(&vector["thumbprint"]);
        assert_eq!(certificate.thumbprint().to_string(), expected, "{}", vector["source"]);
        assert_eq!(Thumbprint::parse(expected), Ok(certificate.thumbprint()));
        let mut der = certificate.der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        assert_ne!(Thumbprint::of(&der), certificate.thumbprint(), "one bit changed");
    }
}

/// RFC 9068, section 3, with the header of section 2.1.
#[test]
fn the_profile_s_example_is_an_access_token() {
    let vector = from("access_tokens.json", "RFC 9068, section 3");
    let claims = vector["claims"].as_object().unwrap();
    let key_id = text(&vector["header"]["kid"]);
    let key = SigningKey::generate(Algorithm::RS256, key_id).unwrap();
    let mut request =
        TokenRequest::new("", "", "", 0, 0).media_type(text(&vector["header"]["typ"]));
    for (name, value) in claims {
        request = request.claim(name, value.clone());
    }
    let token = request.sign(&key).unwrap();
    let header = Jws::parse(&token).unwrap().header;
    assert_eq!(header.media_type.as_deref(), vector["header"]["typ"].as_str());
    assert_eq!(header.key_id.as_deref(), Some(key_id));
    assert_eq!(header.algorithm.unwrap().name(), vector["header"]["alg"]);

    let set = KeySet::parse(json!({ "keys": [key.public_jwk().unwrap()] }).to_string().as_bytes());
    let ring = KeyRing::holding(set.unwrap());
    let policy = Policy::new()
        .unwrap()
        .trust(text(&claims["iss"]), ring.into())
        .audience(text(&claims["aud"]))
        .with(|settings| settings.bearer.0 = true);
    let (issued, expires) = (number(&claims["iat"]), number(&claims["exp"]));
    let verified = verify(&token, &policy, issued).unwrap();
    assert!(verified.has_scope("reademail") && !verified.has_scope("read"));
    assert!(matches!(verify(&token, &policy, expires + 60), Err(Failure::Refused(_))));
}

/// RFC 8705, section 3.1. The example's last character has spare bits set, so it is not the
/// base64url of any hash; we refuse it as it stands and read the nearest value that is.
#[test]
fn the_confirmation_s_example_has_spare_bits() {
    let vector = from("access_tokens.json", "RFC 8705, section 3.1");
    let cnf = vector["claims"]["cnf"].clone();
    for form in [ThumbprintForm::Canonical, ThumbprintForm::AnyBase64] {
        assert!(Confirmation::parse(&cnf, form).is_err());
        let mut mended = cnf.clone();
        let text = text(&cnf["x5t#S256"]);
        mended["x5t#S256"] = format!("{}0", &text[..text.len() - 1]).into();
        assert_eq!(Confirmation::parse(&mended, form).unwrap().to_claim(), mended);
    }
}

#[test]
fn rfc_7520() {
    let Some(directory) = shared("rfc/rfc7520/jws") else {
        return;
    };
    let mut accepted_ones = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let vector = parse(&fs::read(&path).unwrap());
        let keys = public(&vector["input"]["key"]);
        let good = vector["output"]["compact"].as_str().is_some_and(|token| accepted(token, &keys));
        match RFC7520_SKIPS.iter().find(|(start, _)| name.starts_with(start)) {
            Some((_, reason)) => assert!(!good, "{name}: no reason to skip: {reason}"),
            None => assert!(good, "{name}"),
        }
        if good {
            accepted_ones += 1;
            let token = text(&vector["output"]["compact"]);
            for twin in flipped(token).into_iter().chain(respelled(token)) {
                assert!(!accepted(&twin.token, &keys), "{name}: {}", twin.what);
            }
        }
    }
    assert_eq!(accepted_ones, 3);
}

#[test]
fn rfc_8705_appendix_a_as_collected() {
    let Some(path) = shared("rfc/examples.json") else {
        return;
    };
    let vector = &parse(&fs::read(path).unwrap())["rfc8705_appendix_a"];
    let certificate = ClientCertificate::from_pem(text(&vector["pem"]).as_bytes()).unwrap();
    assert_eq!(certificate.thumbprint().to_string(), text(&vector["x5t#S256_in_rfc"]));
}

#[test]
fn wycheproof_json_web_signatures() {
    let Some(path) = shared("wycheproof/json_web_signature_test.json") else {
        return;
    };
    let vectors = parse(&fs::read(path).unwrap());
    let mut seen = HashSet::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or_else(|| &group["private"]);
        for test in group["tests"].as_array().unwrap() {
            wycheproof(test, key);
            assert!(seen.insert(test["tcId"].as_u64().unwrap()));
        }
    }
    assert_eq!(Some(seen.len() as u64), vectors["numberOfTests"].as_u64());
    let skips = WYCHEPROOF_SKIPS.iter().flat_map(|(ids, _)| ids.iter());
    assert!(skips.copied().all(|id| seen.contains(&id)));
}

fn wycheproof(test: &Value, key: &Value) {
    let id = test["tcId"].as_u64().unwrap();
    let token = text(&test["jws"]);
    let good = accepted(token, key);
    let skip = WYCHEPROOF_SKIPS.iter().find(|(ids, _)| ids.contains(&id));
    match (text(&test["result"]), skip) {
        ("valid", Some((_, reason))) => assert!(!good, "{id}: no reason to skip: {reason}"),
        ("valid", None) => assert!(good, "{id}: {}", test["comment"]),
        ("invalid", None) => assert!(!good, "{id}: {}", test["comment"]),
        (result, _) => panic!("{id}: {result}"),
    }
    if let Some((_, alg)) = WYCHEPROOF_MENDED.iter().find(|(mended, _)| *mended == id) {
        let mut mended = key.clone();
        mended["alg"] = (*alg).into();
        assert!(accepted(token, &mended), "{id}: but for the JWK's alg");
    }
}

/// Whether `token` is a JWS that a key of the JWK (or JWKs) has signed.
fn accepted(token: &str, keys: &Value) -> bool {
    let keys = if keys.is_array() { json!({ "keys": keys }) } else { json!({ "keys": [keys] }) };
    let (Ok(set), Ok(jws)) = (KeySet::parse(keys.to_string().as_bytes()), Jws::parse(token)) else {
        return false;
    };
    let Some(algorithm) = jws.header.algorithm else {
        return false;
    };
    match set.select(jws.header.key_id.as_deref(), algorithm) {
        Selection::Candidates(keys) => keys
            .iter()
            .any(|key| key.verify(algorithm, jws.signing_input.as_bytes(), &jws.signature)),
        Selection::OtherAlgorithm | Selection::Unknown => false,
    }
}

/// A token that differs from a valid one, and how.
struct Twin {
    what: String,
    token: String,
}

impl Twin {
    fn new(what: impl Into<String>, token: String) -> Self {
        Self { what: what.into(), token }
    }
}

/// Every twin with one bit changed.
fn flipped(token: &str) -> Vec<Twin> {
    let mut twins = Vec::new();
    for part in 0..3 {
        let bytes = decoded(token)[part].clone();
        for bit in 0..bytes.len() * 8 {
            let mut parts = decoded(token);
            parts[part][bit / 8] ^= 1 << (bit % 8);
            twins.push(Twin::new(format!("part {part}, bit {bit}"), encoded(&parts)));
        }
    }
    twins
}

/// The same bytes spelled in other ways.
fn respelled(token: &str) -> Vec<Twin> {
    let parts: Vec<_> = token.split('.').collect();
    let mut twins = Vec::new();
    for place in 0..parts.len() {
        let mut with = |what: &str, part: String| {
            let mut parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
            parts[place] = part;
            twins.push(Twin::new(format!("part {place}: {what}"), parts.join(".")));
        };
        let part = parts[place];
        let padding = "=".repeat((4 - part.len() % 4) % 4);
        with("padded", format!("{part}{}", if padding.is_empty() { "====" } else { &padding }));
        with("a space behind", format!("{part} "));
        with("a line break within", format!("{}\n{}", &part[..4], &part[4..]));
        if part.contains(['-', '_']) {
            with("standard base64", part.replace('-', "+").replace('_', "/"));
        }
        if !part.len().is_multiple_of(4) {
            with("spare bits set", spare_bits_set(part));
        }
    }
    twins.push(Twin::new("a fourth part", format!("{token}.")));
    twins.push(Twin::new("a part in front", format!(".{token}")));
    twins.push(Twin::new("no signature", format!("{}.{}.", parts[0], parts[1])));
    twins.push(Twin::new("two parts", format!("{}.{}", parts[0], parts[1])));
    twins
}

fn spare_bits_set(part: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = part.split_at(part.len() - 1);
    let value = ALPHABET.find(last).unwrap();
    format!("{rest}{}", &ALPHABET[value + 1..value + 2])
}

/// The same payload and signature under another header.
fn other_headers(token: &str) -> Vec<Twin> {
    let parts: Vec<_> = token.split('.').collect();
    let names = Algorithm::ALL.iter().map(|algorithm| algorithm.name());
    let names = names.chain(["none", "None", "HS256", "HS512", "es256", ""]);
    let mut headers: Vec<_> = names.map(|name| json!({ "alg": name }).to_string()).collect();
    let header = String::from_utf8(base64url::decode(parts[0]).unwrap()).unwrap();
    let inside = header.trim_start_matches('{');
    headers.push(format!("{{\"crit\":[\"exp\"],\"exp\":1,{inside}"));
    headers.push(format!("{{\"crit\":[],{inside}"));
    headers.push(format!("{{\"b64\":true,{inside}"));
    headers.push(format!("{{\"alg\":\"none\",{inside}"));
    headers.push(format!("{header}{header}"));
    headers.push(format!("[{header}]"));
    headers
        .into_iter()
        .filter(|other| *other != header)
        .map(|other| {
            let twin = format!("{}.{}.{}", base64url::encode(&other), parts[1], parts[2]);
            Twin::new(format!("header {other}"), twin)
        })
        .collect()
}

/// The same header and payload with a signature of another form.
fn other_signatures(token: &str, algorithm: Algorithm) -> Vec<Twin> {
    let parts = decoded(token);
    let signature = &parts[2];
    let mut others = vec![
        ("a byte short", signature[..signature.len() - 1].to_vec()),
        ("without its first byte", signature[1..].to_vec()),
        ("a byte long", [&signature[..], &[0]].concat()),
        ("a zero in front", [&[0], &signature[..]].concat()),
        ("zeros", vec![0; signature.len()]),
        ("ones", vec![0xff; signature.len()]),
    ];
    if algorithm.name().starts_with("ES") {
        let (r, s) = signature.split_at(signature.len() / 2);
        others.push(("r and s exchanged", [s, r].concat()));
        let number = |bytes| BigNum::from_slice(bytes).unwrap();
        let der = EcdsaSig::from_private_components(number(r), number(s)).unwrap();
        others.push(("DER", der.to_der().unwrap()));
    }
    others
        .into_iter()
        .map(|(what, other)| {
            let twin = encoded(&[parts[0].clone(), parts[1].clone(), other]);
            Twin::new(what, twin)
        })
        .collect()
}

fn decoded(token: &str) -> Vec<Vec<u8>> {
    token.split('.').map(|part| base64url::decode(part).unwrap()).collect()
}

fn encoded(parts: &[Vec<u8>]) -> String {
    let parts: Vec<_> = parts.iter().map(base64url::encode).collect();
    parts.join(".")
}

/// The public half of a JWK, or of each of several.
fn public(key: &Value) -> Value {
    if let Value::Array(keys) = key {
        return keys.iter().map(public).collect();
    }
    let mut key = key.as_object().unwrap().clone();
    key.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
    key.into()
}

/// A file of `tests/vectors`.
fn ours(name: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let Value::Array(vectors) = parse(&fs::read(path.join(name)).unwrap()) else {
        panic!("{name} is not an array")
    };
    assert!(!vectors.is_empty());
    vectors
}

fn from(name: &str, source: &str) -> Value {
    let mut vectors = ours(name).into_iter();
    vectors.find(|vector| vector["source"] == source).unwrap()
}

/// JSON, read strictly where it is an object, so that the vectors test that too.
fn parse(bytes: &[u8]) -> Value {
    match json::object(bytes) {
        Ok(object) => object.into(),
        Err(_) => serde_json::from_slice(bytes).unwrap(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}
