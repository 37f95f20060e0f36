//! Keys, and messages signed with them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use auth_bound::jose::base64url;
use auth_bound::token_binding::{KeyParameters, TokenBindingId};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use serde_json::{Value, json};

use super::shared::shared;
use super::workshop::Workshop;
use super::{EcdsaP256, Rsa2048Pkcs15, Rsa2048Pss, channel, key_file};

#[test]
fn keys_are_for_their_owner_and_have_an_id_for_each_use() {
    let workshop = Workshop::with_keys("keys");
    for name in ["ec.pem", "rsa.pem"] {
        let path = workshop.0.join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&path).unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        workshop.tb(&format!("key new --out {name}")).refused("exists already");
    }
    let words = |name: &str| -> Vec<Vec<String>> {
        let lines = workshop.tb(&format!("key id {name}")).line();
        lines.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    };
    let (ec, rsa) = (words("ec.pem"), words("rsa.pem"));
    let names: Vec<_> = ec.iter().chain(&rsa).map(|words| words[0].as_str()).collect();
    assert_eq!(names, ["ecdsap256", "rsa2048_pss", "rsa2048_pkcs1.5"]);
    for words in ec.iter().chain(&rsa) {
        let id = base64url::decode(&words[1]).unwrap();
        assert_eq!(words[2], base64url::encode(openssl::sha::sha256(&id)));
        let parsed = TokenBindingId::parse(&id).unwrap();
        assert_eq!(parsed.key_parameters().unwrap().name(), words[0]);
    }
    // Only the number of the parameters tells the two IDs of an RSA key from each other.
    let [pss, pkcs] = [&rsa[0][1], &rsa[1][1]].map(|id| base64url::decode(id).unwrap());
    assert_eq!((pss[0], pkcs[0]), (1, 0));
    assert_eq!(pss[1..], pkcs[1..]);
    workshop.tb("key id --key-parameters ecdsap256 rsa.pem").refused("the key cannot do that");
}

#[test]
fn other_keys_are_refused() {
    let workshop = Workshop::new("other-keys");
    for (name, key) in [
        ("ed25519.pem", PKey::generate_ed25519().unwrap()),
        ("short.pem", PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap()),
    ] {
        fs::write(workshop.0.join(name), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        workshop.tb(&format!("key id {name}")).refused("no key of Token Binding");
    }
    fs::write(workshop.0.join("none.pem"), "nothing").unwrap();
    workshop.tb("key id none.pem").refused("no unencrypted private key");
}

#[test]
fn messages_hold_for_their_connection_only() {
    let workshop = Workshop::with_keys("messages");
    for parameters in [EcdsaP256, Rsa2048Pss, Rsa2048Pkcs15] {
        let (here, key) = (channel(parameters, 1), key_file(parameters));
        let words = format!("message --key {key} --context {}", here.to_header());
        let message = workshop.tb(&words).line();
        let id = workshop.id(key, parameters);
        assert_eq!(workshop.verify(&message, &here).line(), format!("verified: provided {id}"));
        // The same connection in other words.
        let ekm = base64url::encode(here.ekm.0);
        let words = format!("--ekm {ekm} --key-parameters {}", parameters.name());
        let same = workshop.tb(&format!("message --key {key} {words}")).line();
        workshop.feed_tb(&format!("verify {words} -"), same.as_bytes()).line();

        workshop.verify(&message, &channel(parameters, 2)).refused("signature does not hold");
        for other in KeyParameters::ALL.iter().filter(|other| **other != parameters) {
            workshop.verify(&message, &channel(*other, 1)).refused("negotiated");
        }
    }
}

#[test]
fn a_referred_binding_stands_beside_the_provided_one() {
    let workshop = Workshop::with_keys("referred");
    let here = channel(EcdsaP256, 1);
    let words = format!(
        "message --key ec.pem --referred rsa.pem --referred-key-parameters rsa2048_pkcs1.5 \
         --context {}",
        here.to_header()
    );
    let message = workshop.tb(&words).line();
    let (provided, referred) =
        (workshop.id("ec.pem", EcdsaP256), workshop.id("rsa.pem", Rsa2048Pkcs15));
    assert_eq!(
        workshop.verify(&message, &here).line(),
        format!("verified: provided {provided}, referred {referred}")
    );
    let shown: Value =
        serde_json::from_str(&workshop.tb(&format!("inspect {message}")).line()).unwrap();
    let tbh = |id: &str| base64url::encode(openssl::sha::sha256(&base64url::decode(id).unwrap()));
    let expected = json!({ "bindings": [
        { "type": "provided", "key_parameters": "ecdsap256", "id": provided,
          "tbh": tbh(&provided), "signature_length": 64, "extensions": "" },
        { "type": "referred", "key_parameters": "rsa2048_pkcs1.5", "id": referred,
          "tbh": tbh(&referred), "signature_length": 256, "extensions": "" },
    ]});
    assert_eq!(shown, expected);
}

#[test]
fn wrong_words_are_explained() {
    let workshop = Workshop::with_keys("words");
    let ekm = base64url::encode([1; 32]);
    workshop.tb("verify AAAA").misused("--ekm");
    workshop.tb(&format!("verify --ekm {ekm} AAAA")).misused("--key-parameters");
    workshop.tb("verify --ekm AAAA --key-parameters ecdsap256 AAAA").misused("43 characters");
    workshop.tb("verify --context AAAA AAAA").misused("47 characters");
    workshop.tb(&format!("message --ekm {ekm}")).misused("--key");
    workshop
        .tb(&format!("message --key ec.pem --ekm {ekm} --key-parameters rsa2048_pss"))
        .refused("the key cannot do that");
    workshop.tb("inspect").refused("no message");
    workshop.tb("inspect AA==").refused("not canonical base64url");
    workshop.tb("inspect AAAA").refused("not a Token Binding message");
    workshop.tb("get http://127.0.0.1/").refused("only https");
    workshop
        .tb("get --key ec.pem --key-parameters rsa2048_pss https://127.0.0.1/")
        .refused("no key does");
}

#[test]
fn published_messages_are_judged_as_published() {
    let Some(path) = shared("token_binding/vectors.json") else { return };
    let text = fs::read_to_string(path).unwrap();
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let workshop = Workshop::new("vectors");
    let (mut held, mut refused) = (0, 0);
    for vector in vectors["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let message = vector["message_b64url"].as_str().unwrap();
        inspected_as_published(&workshop, name, vector);
        let (Some(ekm), Some(number)) =
            (vector["ekm_b64url"].as_str(), vector["negotiated_key_parameters"].as_u64())
        else {
            continue;
        };
        let negotiated = KeyParameters::from_number(u8::try_from(number).unwrap()).unwrap();
        let words = format!("verify --ekm {ekm} --key-parameters {}", negotiated.name());
        let answer = workshop.feed_tb(&words, message.as_bytes());
        if let Some(error) = vector["expected"].get("error") {
            assert_eq!(answer.status, 1, "{name} ({error}): {answer:?}");
            refused += 1;
        } else {
            let said = answer.line();
            let provided = vector["expected"]["provided"].as_str().unwrap();
            assert!(said.contains(&format!("provided {provided}")), "{name}: {said}");
            held += 1;
        }
    }
    assert!(held > 10 && refused > 1, "{held} held, {refused} refused");
}

/// What `tb inspect` shows of a message whose bindings are published.
fn inspected_as_published(workshop: &Workshop, name: &str, vector: &Value) {
    let message = vector["message_b64url"].as_str().unwrap();
    let answer = workshop.feed_tb("inspect -", message.as_bytes());
    let Some(bindings) = vector.get("bindings").and_then(Value::as_array) else { return };
    if answer.status != 0 {
        // Only what is said to be wrong may be unreadable.
        assert!(vector["expected"].get("error").is_some(), "{name}: {answer:?}");
        return;
    }
    let shown: Value = serde_json::from_str(&answer.line()).unwrap();
    let shown = shown["bindings"].as_array().unwrap();
    assert_eq!(shown.len(), bindings.len(), "{name}");
    for (shown, binding) in shown.iter().zip(bindings) {
        assert_eq!(shown["id"], binding["token_binding_id"], "{name}");
        if binding.get("tbh").is_some() {
            assert_eq!(shown["tbh"], binding["tbh"], "{name}");
        }
    }
}
