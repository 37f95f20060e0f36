//! Token Binding messages and negotiation, against a collection of vectors where it is present.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may"
)]

mod shared;

use auth_bound::refusal::{Reason, Refusal};
use auth_bound::token_binding::{
    Context, Ekm, KeyParameters, Offer, Parameters, TokenBinding, Version,
};
use auth_bound::{TokenBindings, jose::base64url};
use serde_json::Value;

fn vectors() -> Option<Value> {
    let path = shared::shared("token_binding/vectors.json")?;
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn number(value: &Value) -> u8 {
    u8::try_from(value.as_u64().unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<u8> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn context(vector: &Value) -> Option<Context> {
    let ekm = base64url::decode(text(vector, "ekm_b64url")?).unwrap();
    let key_parameters =
        KeyParameters::from_number(number(&vector["negotiated_key_parameters"])).unwrap();
    let parameters = Parameters { version: Version::LATEST, key_parameters };
    Some(Context { parameters, ekm: Ekm(ekm.try_into().unwrap()) })
}

/// What each vector that must be refused is refused for.
const REFUSED: &[(&str, Reason)] = &[
    ("fizz-mismatch-negotiated-pss", Reason::TokenBindingKeyParameters),
    ("fizz-invalid-signature", Reason::TokenBindingSignature),
    ("negotiated-mismatch", Reason::TokenBindingKeyParameters),
    ("providedUnknownKeyParamType", Reason::TokenBindingKeyParameters),
    ("providedECDSAP256AndInvalidReferred", Reason::TokenBindingSignature),
    ("empty_tb_msg", Reason::TokenBindingMalformed),
    ("invalidSigWithAnUnknownTokenBindingType", Reason::TokenBindingSignature),
    ("tooManyReferred", Reason::TokenBindingCount),
    ("onlyReferred", Reason::TokenBindingCount),
    ("tooManyProvided-1", Reason::TokenBindingCount),
    ("unknown-key-params-in-provided-valid-referred", Reason::TokenBindingKeyParameters),
    ("rsa-pss-with-pkcs15-sig", Reason::TokenBindingSignature),
    ("trailing-byte", Reason::TokenBindingMalformed),
    ("der-signature", Reason::TokenBindingSignature),
    ("b64-padding", Reason::TokenBindingMalformed),
    ("two-headers-merged", Reason::TokenBindingRepeated),
];

#[test]
fn every_vector_is_judged_as_it_says() {
    let Some(vectors) = vectors() else { return };
    let list = vectors["vectors"].as_array().unwrap();
    let mut refused = 0;
    for vector in list {
        let (name, message) =
            (text(vector, "name").unwrap(), text(vector, "message_b64url").unwrap());
        let expected = &vector["expected"];
        let Some(context) = context(vector) else {
            let bytes = base64url::decode(message).unwrap();
            assert_eq!(
                TokenBinding::read_all(&bytes).is_ok(),
                expected["parses"] == true,
                "{name}"
            );
            continue;
        };
        let verified = TokenBindings::verify(message.as_bytes(), &context);
        if expected.get("error").is_some() {
            let reason = REFUSED.iter().find(|(known, _)| *known == name).map(|(_, why)| *why);
            assert_eq!(verified.map(drop).map_err(|r: Refusal| r.reason()).err(), reason, "{name}");
            assert!(reason.is_some(), "{name}");
            refused += 1;
            continue;
        }
        let bindings = verified.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let provided = bindings.provided();
        assert_eq!(Some(provided.encoded()), text(expected, "provided"), "{name}");
        if let Some(hash) = text(expected, "provided_tbh") {
            assert_eq!(provided.hash().to_string(), hash, "{name}");
        }
        let referred = bindings.referred();
        // A referred binding that cannot be judged is not one that was proved.
        let judged = text(expected, "referred").filter(|_| !name.starts_with("unknown-key-params"));
        assert_eq!(referred.map(|id| id.encoded()), judged, "{name}");
        if let Some(hash) = text(expected, "referred_tbh").filter(|_| judged.is_some()) {
            assert_eq!(referred.unwrap().hash().to_string(), hash, "{name}");
        }
        let others: Vec<_> = expected["other"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|other| format!("{:x}.{}", number(&other["type"]), text(other, "id").unwrap()))
            .collect();
        assert_eq!(bindings.others(), others.join(","), "{name}");
    }
    assert_eq!(refused, REFUSED.len());
    assert!(list.len() >= 40);
}

/// A captured message is good for its connection alone: each vector's EKM with a bit turned.
#[test]
fn no_message_is_good_on_another_connection() {
    let Some(vectors) = vectors() else { return };
    let mut tried = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let Some(mut context) = context(vector) else { continue };
        let message = text(vector, "message_b64url").unwrap();
        if TokenBindings::verify(message.as_bytes(), &context).is_err() {
            continue;
        }
        context.ekm.0[31] ^= 1;
        let refused = TokenBindings::verify(message.as_bytes(), &context).unwrap_err();
        assert_eq!(refused.reason(), Reason::TokenBindingSignature);
        tried += 1;
    }
    assert!(tried >= 20);
}

#[test]
fn versions_and_parameters_are_chosen_as_the_vectors_say() {
    let Some(vectors) = vectors() else { return };
    for case in vectors["version_negotiation"]["cases"].as_array().unwrap() {
        let client = numbers(&case["client"]);
        let offer =
            Offer { version: Version { major: client[0], minor: client[1] }, key_parameters: &[2] };
        let answer = offer.answer(KeyParameters::ALL).map(|answer| answer.version);
        // That server speaks drafts too; RFC 8472, section 3: a server that supports neither the
        // client's version nor a lower one does not answer. Ours supports 1.0 alone.
        let expected = case["java_server"].as_array().map(|_| numbers(&case["java_server"]));
        let expected = expected.filter(|version| *version == [1, 0]).map(|_| Version::LATEST);
        assert_eq!(answer, expected, "{case}");
    }
    for case in vectors["key_parameter_selection"]["cases"].as_array().unwrap() {
        let preferred: Vec<_> = numbers(&case["server_pref"])
            .into_iter()
            .map(|number| KeyParameters::from_number(number).unwrap())
            .collect();
        let client = numbers(&case["client"]);
        let offer = Offer { version: Version::LATEST, key_parameters: &client };
        let chosen = offer.answer(&preferred).map(|answer| answer.key_parameters.number());
        assert_eq!(chosen.map(u64::from), case["chosen"].as_u64(), "{case}");
    }
    for example in vectors["negotiation_extension_examples"].as_array().unwrap() {
        let bytes = hex(text(example, "extension_hex").unwrap());
        assert_eq!(Offer::parse(&bytes[4..]).unwrap().to_body(), bytes[4..]);
    }
    let example = &vectors["token_binding_context"]["derived_example"];
    let context = Context {
        parameters: Parameters {
            version: Version::LATEST,
            key_parameters: KeyParameters::EcdsaP256,
        },
        ekm: Ekm(hex(text(example, "ekm_hex").unwrap()).try_into().unwrap()),
    };
    assert_eq!(Some(context.to_header().as_str()), text(example, "token_binding_context"));
}
