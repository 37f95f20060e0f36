//! What the tests of this module share: keys, certificates, proved Token Binding IDs.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Name};

use crate::jose::{Key, KeyRing, KeySet, SigningKey, base64url};
use crate::proof::{ClientCertificate, TokenBindings};
use crate::token::Timestamp;
use crate::token_binding::{Context, Ekm, KeyParameters, Parameters, Version};

/// The time of the tests.
pub(super) const NOW: Timestamp = 1_760_000_000;

pub(super) fn ring(keys: &[&SigningKey]) -> Arc<KeyRing> {
    let keys = keys.iter().map(|key| Key::from_jwk(key.public_jwk().unwrap()).unwrap());
    Arc::new(KeyRing::holding(KeySet::new(keys)))
}

pub(super) fn basic_header(pair: &str) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(pair)).into_bytes()
}

/// A self-signed certificate. Alternative names are written as OpenSSL's configuration has them.
pub(super) fn certificate(subject: &[(&str, &str)], names: &[&str]) -> ClientCertificate {
    let key = PKey::generate_ed25519().unwrap();
    let mut name = X509Name::builder().unwrap();
    for (kind, value) in subject {
        name.append_entry_by_text(kind, value).unwrap();
    }
    let name = name.build();
    let mut x509 = X509::builder().unwrap();
    x509.set_version(2).unwrap();
    x509.set_subject_name(&name).unwrap();
    x509.set_issuer_name(&name).unwrap();
    x509.set_pubkey(&key).unwrap();
    x509.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    x509.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    if !names.is_empty() {
        let mut extension = SubjectAlternativeName::new();
        for name in names {
            let (kind, value) = name.split_once(':').unwrap();
            match kind {
                "DNS" => extension.dns(value),
                "URI" => extension.uri(value),
                "IP" => extension.ip(value),
                "email" => extension.email(value),
                other => panic!("{other}"),
            };
        }
        let extension = extension.build(&x509.x509v3_context(None, None)).unwrap();
        x509.append_extension(extension).unwrap();
    }
    x509.sign(&key, MessageDigest::null()).unwrap();
    ClientCertificate::presented(x509.build().to_der().unwrap())
}

/// A client that proves one provided and, if wanted, one referred key.
pub(super) fn token_bindings(referred: bool) -> TokenBindings {
    let context = Context {
        parameters: Parameters {
            version: Version::LATEST,
            key_parameters: KeyParameters::EcdsaP256,
        },
        ekm: Ekm([7; 32]),
    };
    let mut bindings = binding(0, &context);
    if referred {
        bindings.extend(binding(1, &context));
    }
    let mut message = u16::try_from(bindings.len()).unwrap().to_be_bytes().to_vec();
    message.extend(bindings);
    TokenBindings::verify(base64url::encode(message).as_bytes(), &context).unwrap()
}

/// A `TokenBinding` (RFC 8471, section 3) of a new key.
fn binding(kind: u8, context: &Context) -> Vec<u8> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = EcKey::generate(&group).unwrap();
    let mut numbers = BigNumContext::new().unwrap();
    let form = PointConversionForm::UNCOMPRESSED;
    let point = key.public_key().to_bytes(&group, form, &mut numbers).unwrap();
    let mut bytes = vec![kind, KeyParameters::EcdsaP256.number(), 0, 65, 64];
    bytes.extend(&point[1..]);
    let input = context.signature_input(kind, KeyParameters::EcdsaP256);
    let signature = EcdsaSig::sign(&sha256(&input), &key).unwrap();
    bytes.extend([0, 64]);
    bytes.extend(signature.r().to_vec_padded(32).unwrap());
    bytes.extend(signature.s().to_vec_padded(32).unwrap());
    bytes.extend([0, 0]);
    bytes
}
