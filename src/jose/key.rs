//! A public key to verify with (RFC 7517), parsed once and kept.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Verifier};
use serde_json::Value;

use super::algorithm::Family;
use super::json::Object;
use super::{Algorithm, AlgorithmSet, base64url};

/// Smallest RSA modulus, in bits (RFC 7518, section 3.3).
const RSA_MIN_BITS: i32 = 2048;
/// Largest RSA modulus: verifying with a larger one is a denial of service.
const RSA_MAX_BITS: i32 = 8192;
/// Largest RSA public exponent, in bits, for the same reason.
const RSA_MAX_EXPONENT: i32 = 64;
/// Members that only a private or symmetric key has (RFC 7518, sections 6.2.2, 6.3.2, 6.4.1).
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A verification key of a set.
pub struct Key {
    key_id: Option<String>,
    algorithms: AlgorithmSet,
    public: PKey<Public>,
    source: Object,
    retired: AtomicBool,
}

/// Why a JWK is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// `kty` or `crv` of a kind that no accepted algorithm uses.
    Unsupported(&'static str),
    /// `use` or `key_ops` says that the key is for something else.
    Purpose,
    /// The key carries private or symmetric members: it is no longer a secret, or never a public key.
    Private,
    /// A member is missing or not of the form that its standard demands.
    Member(&'static str),
    /// `alg` is not one that this key can do.
    Algorithm,
    /// The key is too small, too large, or not on its curve.
    Strength(&'static str),
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(member) => {
                write!(f, "its {member} is of no kind that we verify with")
            }
            Self::Purpose => f.write_str("its use or key_ops is not for verifying signatures"),
            Self::Private => f.write_str("it carries private members and must be replaced"),
            Self::Member(name) => write!(f, "its member {name} is missing or malformed"),
            Self::Algorithm => f.write_str("its alg does not fit its kty"),
            Self::Strength(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for KeyFault {}

impl Key {
    /// Parses a JWK.
    ///
    /// # Errors
    /// [`KeyFault`]: the key is not one to verify with.
    pub fn from_jwk(jwk: Object) -> Result<Self, KeyFault> {
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return Err(KeyFault::Private);
        }
        for_verifying(&jwk)?;
        let (public, able) = match text(&jwk, "kty")? {
            "RSA" => rsa(&jwk)?,
            "EC" => elliptic(&jwk)?,
            "OKP" => edwards(&jwk)?,
            _ => return Err(KeyFault::Unsupported("kty")),
        };
        let algorithms = pinned(&jwk, able)?;
        let key_id = jwk.contains_key("kid").then(|| text(&jwk, "kid")).transpose()?;
        Ok(Self {
            key_id: key_id.map(str::to_owned),
            algorithms,
            public,
            source: jwk,
            retired: AtomicBool::new(false),
        })
    }

    /// `kid`, if the key has one.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The algorithms that this key may be used with: one if its JWK says `alg`.
    #[must_use]
    pub const fn algorithms(&self) -> AlgorithmSet {
        self.algorithms
    }

    /// The JWK as it was published.
    #[must_use]
    pub const fn jwk(&self) -> &Object {
        &self.source
    }

    /// Whether the key has left its set: whatever it verified before counts no more.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether `signature` is this key's over `input`. An error inside OpenSSL counts as no.
    #[must_use]
    pub fn verify(&self, algorithm: Algorithm, input: &[u8], signature: &[u8]) -> bool {
        self.algorithms.contains(algorithm)
            && self.check(algorithm, input, signature).is_ok_and(|good| good)
    }

    fn check(
        &self,
        algorithm: Algorithm,
        input: &[u8],
        signature: &[u8],
    ) -> Result<bool, ErrorStack> {
        let mut verifier = match algorithm.digest() {
            Some(digest) => Verifier::new(digest, &self.public)?,
            None => Verifier::new_without_digest(&self.public)?,
        };
        match algorithm.family() {
            // RFC 8017, sections 8.1.2 and 8.2.2, step 1: the signature is as long as the modulus.
            // OpenSSL takes a PSS signature that lacks its leading zeros.
            Family::RsaPkcs1 | Family::RsaPss if signature.len() != self.public.size() => Ok(false),
            Family::RsaPkcs1 | Family::Edwards => verifier.verify_oneshot(signature, input),
            Family::RsaPss => {
                verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                verifier.verify_oneshot(signature, input)
            }
            Family::Ecdsa(length) => match concatenated(signature, length) {
                Some((r, s)) => {
                    let signature = EcdsaSig::from_private_components(
                        BigNum::from_slice(r)?,
                        BigNum::from_slice(s)?,
                    )?;
                    verifier.verify_oneshot(&signature.to_der()?, input)
                }
                None => Ok(false),
            },
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.key_id)
            .field("algorithms", &self.algorithms)
            .finish()
    }
}

/// RFC 7518, section 3.4: the signature is r and s, each of the curve's length, one after the other.
fn concatenated(signature: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (r, s) = signature.split_at_checked(length)?;
    (s.len() == length).then_some((r, s))
}

/// RFC 7517, sections 4.2 and 4.3.
fn for_verifying(jwk: &Object) -> Result<(), KeyFault> {
    match jwk.get("use") {
        None => {}
        Some(Value::String(purpose)) if purpose == "sig" => {}
        Some(_) => return Err(KeyFault::Purpose),
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations))
            if operations.iter().any(|operation| operation == "verify") =>
        {
            Ok(())
        }
        Some(_) => Err(KeyFault::Purpose),
    }
}

/// `alg` pins the one algorithm; without it the key does whatever its type is able to.
fn pinned(jwk: &Object, able: AlgorithmSet) -> Result<AlgorithmSet, KeyFault> {
    if !jwk.contains_key("alg") {
        return Ok(able);
    }
    let algorithm: Algorithm = text(jwk, "alg")?.parse().map_err(|()| KeyFault::Algorithm)?;
    if able.contains(algorithm) {
        Ok([algorithm].into_iter().collect())
    } else {
        Err(KeyFault::Algorithm)
    }
}

fn rsa(jwk: &Object) -> Result<(PKey<Public>, AlgorithmSet), KeyFault> {
    let modulus = number(jwk, "n")?;
    let exponent = number(jwk, "e")?;
    if modulus.num_bits() < RSA_MIN_BITS || modulus.num_bits() > RSA_MAX_BITS {
        return Err(KeyFault::Strength("its modulus is not of 2048 to 8192 bits"));
    }
    // With an exponent of 1, however it is spelled, a signature is its own padded message.
    if !exponent.is_bit_set(0) || !(2..=RSA_MAX_EXPONENT).contains(&exponent.num_bits()) {
        return Err(KeyFault::Strength("its exponent is not an odd number of 3 to 2^64-1"));
    }
    let key = Rsa::from_public_components(modulus, exponent)
        .and_then(PKey::from_rsa)
        .map_err(|_| KeyFault::Member("n"))?;
    let able = Algorithm::ALL
        .iter()
        .copied()
        .filter(|algorithm| matches!(algorithm.family(), Family::RsaPkcs1 | Family::RsaPss));
    Ok((key, able.collect()))
}

fn elliptic(jwk: &Object) -> Result<(PKey<Public>, AlgorithmSet), KeyFault> {
    let (curve, algorithm) = match text(jwk, "crv")? {
        "P-256" => (Nid::X9_62_PRIME256V1, Algorithm::ES256),
        "P-384" => (Nid::SECP384R1, Algorithm::ES384),
        "P-521" => (Nid::SECP521R1, Algorithm::ES512),
        _ => return Err(KeyFault::Unsupported("crv")),
    };
    let length = match algorithm.family() {
        Family::Ecdsa(length) => length,
        Family::RsaPkcs1 | Family::RsaPss | Family::Edwards => {
            return Err(KeyFault::Unsupported("crv"));
        }
    };
    // RFC 7518, section 6.2.1.2: the octet string "MUST be the full size of a coordinate".
    for coordinate in ["x", "y"] {
        if bytes(jwk, coordinate)?.len() != length {
            return Err(KeyFault::Member(if coordinate == "x" { "x" } else { "y" }));
        }
    }
    let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
    let on_curve = || -> Result<PKey<Public>, ErrorStack> {
        let group = EcGroup::from_curve_name(curve)?;
        let key = EcKey::from_public_key_affine_coordinates(&group, &x, &y)?;
        key.check_key()?;
        let mut context = BigNumContext::new()?;
        debug_assert!(key.public_key().is_on_curve(&group, &mut context)?);
        PKey::from_ec_key(key)
    };
    let key = on_curve().map_err(|_| KeyFault::Strength("its point is not on its curve"))?;
    Ok((key, [algorithm].into_iter().collect()))
}

fn edwards(jwk: &Object) -> Result<(PKey<Public>, AlgorithmSet), KeyFault> {
    let (id, algorithm) = match text(jwk, "crv")? {
        "Ed25519" => (Id::ED25519, Algorithm::Ed25519),
        "Ed448" => (Id::ED448, Algorithm::Ed448),
        _ => return Err(KeyFault::Unsupported("crv")),
    };
    let key = PKey::public_key_from_raw_bytes(&bytes(jwk, "x")?, id)
        .map_err(|_| KeyFault::Member("x"))?;
    Ok((key, [algorithm, Algorithm::EdDSA].into_iter().collect()))
}

fn text<'j>(jwk: &'j Object, name: &'static str) -> Result<&'j str, KeyFault> {
    jwk.get(name).and_then(Value::as_str).ok_or(KeyFault::Member(name))
}

fn bytes(jwk: &Object, name: &'static str) -> Result<Vec<u8>, KeyFault> {
    base64url::decode(text(jwk, name)?)
        .filter(|bytes| !bytes.is_empty())
        .ok_or(KeyFault::Member(name))
}

fn number(jwk: &Object, name: &'static str) -> Result<BigNum, KeyFault> {
    BigNum::from_slice(&bytes(jwk, name)?).map_err(|_| KeyFault::Member(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{SigningKey, json};

    fn jwk(algorithm: Algorithm) -> Object {
        SigningKey::generate(algorithm, "k").unwrap().public_jwk().unwrap()
    }

    #[test]
    fn every_algorithm_verifies_what_it_signed_and_nothing_else() {
        for algorithm in Algorithm::ALL.iter().copied() {
            let signer = SigningKey::generate(algorithm, "k").unwrap();
            let key = Key::from_jwk(signer.public_jwk().unwrap()).unwrap();
            let signature = signer.sign(b"input").unwrap();
            assert!(key.verify(algorithm, b"input", &signature), "{algorithm}");
            assert!(!key.verify(algorithm, b"Input", &signature), "{algorithm}");
            assert!(!key.verify(algorithm, b"input", &[]), "{algorithm}");
            let mut longer = signature.clone();
            longer.push(0);
            assert!(!key.verify(algorithm, b"input", &longer), "{algorithm}");
            for other in Algorithm::ALL.iter().filter(|other| !key.algorithms().contains(**other)) {
                assert!(!key.verify(*other, b"input", &signature), "{algorithm} as {other}");
            }
        }
    }

    #[test]
    fn a_signature_without_its_leading_zero_is_not_a_second_spelling() {
        let signer = SigningKey::generate(Algorithm::PS256, "k").unwrap();
        let key = Key::from_jwk(signer.public_jwk().unwrap()).unwrap();
        // One in 256 begins with a zero byte.
        let (input, signature) = (0..u64::MAX)
            .map(|count| {
                let input = count.to_be_bytes();
                (input, signer.sign(&input).unwrap())
            })
            .find(|(_, signature)| signature[0] == 0)
            .unwrap();
        assert!(key.verify(Algorithm::PS256, &input, &signature));
        assert!(!key.verify(Algorithm::PS256, &input, &signature[1..]));
    }

    #[test]
    fn an_unpinned_key_does_what_its_type_can() {
        let mut rsa = jwk(Algorithm::RS256);
        rsa.remove("alg");
        assert_eq!(Key::from_jwk(rsa).unwrap().algorithms().iter().count(), 6);
        let mut ed = jwk(Algorithm::EdDSA);
        ed.remove("alg");
        assert_eq!(Key::from_jwk(ed).unwrap().algorithms().iter().count(), 2);
    }

    #[test]
    fn an_exponent_is_odd_and_neither_trivial_nor_huge() {
        for exponent in ["AQ", "AAE", "Ag", "AQAAAAAAAAAB"] {
            let mut jwk = jwk(Algorithm::RS256);
            jwk.insert("e".to_owned(), exponent.into());
            assert_eq!(
                Key::from_jwk(jwk).unwrap_err(),
                KeyFault::Strength("its exponent is not an odd number of 3 to 2^64-1"),
                "{exponent}"
            );
        }
    }

    #[test]
    fn keys_that_are_not_for_us_are_told_apart() {
        let with = |algorithm, name: &str, value: Value| {
            let mut jwk = jwk(algorithm);
            jwk.insert(name.to_owned(), value);
            Key::from_jwk(jwk).unwrap_err()
        };
        assert_eq!(with(Algorithm::ES256, "use", "enc".into()), KeyFault::Purpose);
        assert_eq!(
            with(Algorithm::ES256, "key_ops", Value::Array(vec!["sign".into()])),
            KeyFault::Purpose
        );
        assert_eq!(with(Algorithm::ES256, "alg", "RS256".into()), KeyFault::Algorithm);
        assert_eq!(with(Algorithm::ES256, "alg", "HS256".into()), KeyFault::Algorithm);
        assert_eq!(with(Algorithm::ES256, "d", "AA".into()), KeyFault::Private);
        assert_eq!(with(Algorithm::ES256, "kty", "oct".into()), KeyFault::Unsupported("kty"));
        assert_eq!(with(Algorithm::ES256, "x", "AA".into()), KeyFault::Member("x"));
        assert_eq!(
            with(Algorithm::ES256, "y", base64url::encode([1; 32]).into()),
            KeyFault::Strength("its point is not on its curve")
        );
        assert_eq!(
            with(Algorithm::RS256, "n", base64url::encode([0xff; 128]).into()),
            KeyFault::Strength("its modulus is not of 2048 to 8192 bits")
        );
        assert_eq!(
            with(Algorithm::RS256, "n", base64url::encode([0xff; 2048]).into()),
            KeyFault::Strength("its modulus is not of 2048 to 8192 bits")
        );
        assert_eq!(
            Key::from_jwk(json::object(b"{}").unwrap()).unwrap_err(),
            KeyFault::Member("kty")
        );
    }
}
