//! The public half of a key in a token.

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Rsa;

use super::Pkcs11Fault;
use super::session::KeySession;
use crate::jose::SigningError;

/// The curves that we sign with: the DER of their names, and the length of a point on them.
const CURVES: &[(&[u8], Nid, usize)] = &[
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", Nid::X9_62_PRIME256V1, 65),
    (b"\x06\x05\x2b\x81\x04\x00\x22", Nid::SECP384R1, 97),
    (b"\x06\x05\x2b\x81\x04\x00\x23", Nid::SECP521R1, 133),
];
/// Bytes of a public key of Ed25519 and of Ed448 (RFC 8032).
const ED25519: usize = 32;
const ED448: usize = 57;

/// Reads the public half of the session's private key.
pub(super) fn read(session: &KeySession) -> Result<PKey<Public>, Pkcs11Fault> {
    let private = session.private();
    let mut kind = None;
    let mut same = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
    for attribute in session.attributes(private, &[AttributeType::KeyType, AttributeType::Id])? {
        if let Attribute::KeyType(found) = attribute {
            kind = Some(found);
        }
        same.push(attribute);
    }
    let kind = kind.ok_or(Pkcs11Fault::Key(SigningError::Unsupported))?;
    // Some tokens show the public half with the private key, which settles whose it is.
    match of_object(session, kind, private) {
        Err(Pkcs11Fault::NoPublicHalf) => {
            let object = *session.find(&same)?.first().ok_or(Pkcs11Fault::NoPublicHalf)?;
            of_object(session, kind, object)
        }
        found => found,
    }
}

fn of_object(
    session: &KeySession,
    kind: KeyType,
    object: ObjectHandle,
) -> Result<PKey<Public>, Pkcs11Fault> {
    if kind == KeyType::RSA {
        rsa(session, object)
    } else if kind == KeyType::EC {
        elliptic(session, object)
    } else if kind == KeyType::EC_EDWARDS {
        edwards(session, object)
    } else {
        Err(SigningError::Unsupported.into())
    }
}

fn rsa(session: &KeySession, object: ObjectHandle) -> Result<PKey<Public>, Pkcs11Fault> {
    let (mut modulus, mut exponent) = (None, None);
    let kinds = [AttributeType::Modulus, AttributeType::PublicExponent];
    for attribute in session.attributes(object, &kinds)? {
        if let Attribute::Modulus(bytes) = attribute {
            modulus = Some(bytes);
        } else if let Attribute::PublicExponent(bytes) = attribute {
            exponent = Some(bytes);
        }
    }
    let modulus = modulus.ok_or(Pkcs11Fault::NoPublicHalf)?;
    let exponent = exponent.ok_or(Pkcs11Fault::NoPublicHalf)?;
    usable(|| {
        let (n, e) = (BigNum::from_slice(&modulus)?, BigNum::from_slice(&exponent)?);
        PKey::from_rsa(Rsa::from_public_components(n, e)?)
    })
}

fn elliptic(session: &KeySession, object: ObjectHandle) -> Result<PKey<Public>, Pkcs11Fault> {
    let (parameters, point) = curve_and_point(session, object)?;
    let (_, curve, length) = CURVES
        .iter()
        .find(|(name, ..)| *name == parameters)
        .ok_or(Pkcs11Fault::Key(SigningError::Unsupported))?;
    let point = unwrapped(&point, *length).ok_or(Pkcs11Fault::NoPublicHalf)?;
    usable(|| {
        let group = EcGroup::from_curve_name(*curve)?;
        let mut context = BigNumContext::new()?;
        let point = EcPoint::from_bytes(&group, point, &mut context)?;
        PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)
    })
}

/// No other curve of this type has keys of the same lengths, and tokens disagree about the curves'
/// names.
fn edwards(session: &KeySession, object: ObjectHandle) -> Result<PKey<Public>, Pkcs11Fault> {
    let (_, point) = curve_and_point(session, object)?;
    let key = [(ED25519, Id::ED25519), (ED448, Id::ED448)]
        .into_iter()
        .find_map(|(length, id)| Some((unwrapped(&point, length)?, id)));
    let (point, id) = key.ok_or(Pkcs11Fault::NoPublicHalf)?;
    usable(|| PKey::public_key_from_raw_bytes(point, id))
}

fn curve_and_point(
    session: &KeySession,
    object: ObjectHandle,
) -> Result<(Vec<u8>, Vec<u8>), Pkcs11Fault> {
    let (mut parameters, mut point) = (None, None);
    for attribute in
        session.attributes(object, &[AttributeType::EcParams, AttributeType::EcPoint])?
    {
        if let Attribute::EcParams(bytes) = attribute {
            parameters = Some(bytes);
        } else if let Attribute::EcPoint(bytes) = attribute {
            point = Some(bytes);
        }
    }
    Ok((parameters.ok_or(Pkcs11Fault::NoPublicHalf)?, point.ok_or(Pkcs11Fault::NoPublicHalf)?))
}

/// The point of `length` bytes: bare, or in DER as an octet string (PKCS #11, 2.40) or a bit string
/// (drafts of 3.0). Tokens do all three.
fn unwrapped(point: &[u8], length: usize) -> Option<&[u8]> {
    let start = point.len().checked_sub(length)?;
    let (header, point) = point.split_at_checked(start)?;
    let size = u8::try_from(length).ok()?;
    let octets = [4, size];
    let long_octets = [4, 0x81, size];
    let bits = [3, size.checked_add(1)?, 0];
    let header_fits = header.is_empty()
        || (size < 0x80 && (header == octets || header == bits))
        || header == long_octets;
    header_fits.then_some(point)
}

fn usable(
    make: impl FnOnce() -> Result<PKey<Public>, ErrorStack>,
) -> Result<PKey<Public>, Pkcs11Fault> {
    make().map_err(|errors| Pkcs11Fault::Key(errors.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_found_in_whatever_it_is_wrapped() {
        let key = [7; ED25519];
        let point = [4; 133];
        for header in [&b""[..], b"\x04\x20", b"\x03\x21\x00"] {
            assert_eq!(unwrapped(&[header, &key].concat(), ED25519), Some(&key[..]), "{header:?}");
        }
        assert_eq!(unwrapped(&[b"\x04\x81\x85", &point[..]].concat(), 133), Some(&point[..]));
        assert_eq!(unwrapped(&point, 133), Some(&point[..]));
        for header in [&b"\x04"[..], b"\x04\x21", b"\x03\x20\x00", b"\x04\x20\x00"] {
            assert_eq!(unwrapped(&[header, &key].concat(), ED25519), None, "{header:?}");
        }
        assert_eq!(unwrapped(&key, ED448), None);
        assert_eq!(unwrapped(&[b"\x04\x85", &point[..]].concat(), 133), None);
    }
}
