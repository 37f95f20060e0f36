//! What to ask of a token for each algorithm.
//!
//! The digest is made here: every token signs digests, not every one makes them, and less has to
//! go through to it.

use std::ffi::c_ulong;

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use openssl::hash::{MessageDigest, hash};

use super::Pkcs11Fault;
use crate::jose::{Algorithm, Family};

/// How the DER of a `DigestInfo` begins for SHA-256, SHA-384, SHA-512 (RFC 8017, section 9.2,
/// note 1).
const DIGEST_INFO_SHA256: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
const DIGEST_INFO_SHA384: &[u8] =
    b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30";
const DIGEST_INFO_SHA512: &[u8] =
    b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

/// The mechanism for `algorithm`, and what it signs in place of `input`.
pub(super) fn prepare(
    algorithm: Algorithm,
    input: &[u8],
) -> Result<(Mechanism<'static>, Vec<u8>), Pkcs11Fault> {
    let digest = |kind: MessageDigest| {
        hash(kind, input).map_err(|error| Pkcs11Fault::Key(error.into())).map(|hash| hash.to_vec())
    };
    let Some(kind) = algorithm.digest() else {
        return Ok((edwards(algorithm), input.to_vec()));
    };
    let digest = digest(kind)?;
    Ok(match algorithm.family() {
        Family::RsaPkcs1 => (Mechanism::RsaPkcs, [digest_info(kind), &digest].concat()),
        Family::RsaPss => (Mechanism::RsaPkcsPss(pss(kind)), digest),
        Family::Ecdsa(_) | Family::Edwards => (Mechanism::Ecdsa, digest),
    })
}

/// The mechanism's name, as tokens list it.
pub(super) const fn kind(algorithm: Algorithm) -> MechanismType {
    match algorithm.family() {
        Family::RsaPkcs1 => MechanismType::RSA_PKCS,
        Family::RsaPss => MechanismType::RSA_PKCS_PSS,
        Family::Ecdsa(_) => MechanismType::ECDSA,
        Family::Edwards => MechanismType::EDDSA,
    }
}

/// PKCS #11 3.0, section 2.3.5: Ed25519 goes without parameters, Ed448 with an empty context.
fn edwards(algorithm: Algorithm) -> Mechanism<'static> {
    let scheme = if algorithm == Algorithm::Ed448 {
        EddsaSignatureScheme::Ed448(&[])
    } else {
        EddsaSignatureScheme::Pure
    };
    Mechanism::Eddsa(EddsaParams::new(scheme))
}

fn digest_info(kind: MessageDigest) -> &'static [u8] {
    match kind.size() {
        32 => DIGEST_INFO_SHA256,
        48 => DIGEST_INFO_SHA384,
        _ => DIGEST_INFO_SHA512,
    }
}

/// RFC 7518, section 3.5: the same digest for MGF1, and a salt of its length.
fn pss(kind: MessageDigest) -> PkcsPssParams {
    let (hash_alg, mgf, length): (_, _, c_ulong) = match kind.size() {
        32 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
        48 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        _ => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
    };
    PkcsPssParams { hash_alg, mgf, s_len: length.into() }
}
