//! Possession of Token Binding keys, proved by a message in `Sec-Token-Binding` (RFC 8471,
//! section 4; RFC 8473, section 2).

use std::fmt::Write;
use std::sync::LazyLock;

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Verifier};

use crate::jose::base64url;
use crate::refusal::{Reason, Refusal};
use crate::thumbprint::Thumbprint;
use crate::token_binding::{
    BindingType, Context, KeyParameters, PublicKey, TokenBinding, TokenBindingId,
};

/// Most bindings of one message: each costs a signature check.
const MAX_BINDINGS: usize = 16;

/// The keys that a message proved possession of.
#[derive(Clone, Debug)]
pub struct TokenBindings {
    provided: ProvedId,
    referred: Option<ProvedId>,
    others: String,
}

/// The ID of a key whose possession was proved.
#[derive(Clone, Debug)]
pub struct ProvedId {
    encoded: String,
    hash: Thumbprint,
    key_parameters: KeyParameters,
}

impl ProvedId {
    fn new(id: &TokenBindingId<'_>, key_parameters: KeyParameters) -> Self {
        let encoded = base64url::encode(id.bytes());
        Self { encoded, hash: Thumbprint::of(id.bytes()), key_parameters }
    }

    /// `EncodedTokenBindingID` (draft-ietf-tokbind-ttrp-09, section 2.1): the ID in base64url.
    #[must_use]
    pub fn encoded(&self) -> &str {
        &self.encoded
    }

    /// SHA-256 over the ID: `tbh` (draft-ietf-oauth-token-binding-08, section 3.1).
    #[must_use]
    pub const fn hash(&self) -> Thumbprint {
        self.hash
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn key_parameters(&self) -> KeyParameters {
        self.key_parameters
    }
}

impl TokenBindings {
    /// Verifies the value of `Sec-Token-Binding` on the connection of `context`.
    ///
    /// # Errors
    /// [`Reason::TokenBindingRepeated`], [`Reason::TokenBindingMalformed`],
    /// [`Reason::TokenBindingCount`], [`Reason::TokenBindingKey`],
    /// [`Reason::TokenBindingKeyParameters`] or [`Reason::TokenBindingSignature`]. All of the
    /// message is refused if any of it is wrong (RFC 8471, section 4.2), but for bindings that
    /// cannot be judged: those with unknown key parameters, unless they are the provided one. Such
    /// a binding proves nothing and is not exported.
    pub fn verify(header: &[u8], context: &Context) -> Result<Self, Refusal> {
        if header.contains(&b',') {
            return Err(Reason::TokenBindingRepeated.into());
        }
        let malformed = |what| Refusal::with_detail(Reason::TokenBindingMalformed, what);
        let message = base64url::decode(header).ok_or_else(|| malformed("not base64url"))?;
        let bindings = TokenBinding::read_all(&message).map_err(|error| malformed(error.0))?;
        if bindings.len() > MAX_BINDINGS {
            return Err(malformed("more than 16 bindings"));
        }
        let (provided, referred) = counted(&bindings)?;
        let negotiated = context.parameters.key_parameters;
        if provided.id.key_parameters() != Some(negotiated) {
            let detail =
                format_args!("{} in place of {}", provided.id.number(), negotiated.number());
            return Err(Refusal::with_detail(Reason::TokenBindingKeyParameters, detail));
        }
        let mut others = String::new();
        for binding in &bindings {
            let Some(parameters) = binding.id.key_parameters() else { continue };
            check(binding, parameters, context)?;
            if let BindingType::Other(number) = binding.binding_type {
                let divider = if others.is_empty() { "" } else { "," };
                let id = base64url::encode(binding.id.bytes());
                // Writing to a String cannot fail.
                let _ = write!(others, "{divider}{number:x}.{id}");
            }
        }
        let proved = |binding: &TokenBinding<'_>| {
            let parameters = binding.id.key_parameters()?;
            Some(ProvedId::new(&binding.id, parameters))
        };
        Ok(Self {
            provided: ProvedId::new(&provided.id, negotiated),
            referred: referred.and_then(proved),
            others,
        })
    }

    /// The key used with this server.
    #[must_use]
    pub const fn provided(&self) -> &ProvedId {
        &self.provided
    }

    /// The key used with another server, if it was shown.
    #[must_use]
    pub const fn referred(&self) -> Option<&ProvedId> {
        self.referred.as_ref()
    }

    /// The value of `Sec-Other-Token-Binding-ID` (draft-ietf-tokbind-ttrp-09, section 2.3); empty
    /// if there are no others.
    #[must_use]
    pub fn others(&self) -> &str {
        &self.others
    }
}

/// RFC 8473, section 2: exactly one provided binding, at most one referred.
fn counted<'b, 'a>(
    bindings: &'b [TokenBinding<'a>],
) -> Result<(&'b TokenBinding<'a>, Option<&'b TokenBinding<'a>>), Refusal> {
    let of = |kind: BindingType| {
        let mut found = bindings.iter().filter(move |binding| binding.binding_type == kind);
        (found.next(), found.next().is_some())
    };
    match (of(BindingType::Provided), of(BindingType::Referred)) {
        ((Some(provided), false), (referred, false)) => Ok((provided, referred)),
        _ => Err(Reason::TokenBindingCount.into()),
    }
}

fn check(
    binding: &TokenBinding<'_>,
    parameters: KeyParameters,
    context: &Context,
) -> Result<(), Refusal> {
    let key = binding
        .id
        .public_key(parameters)
        .map_err(|error| Refusal::with_detail(Reason::TokenBindingMalformed, error.0))?;
    let input = context.signature_input(binding.binding_type.number(), parameters);
    let verified = match key {
        PublicKey::Point(point) => {
            let key = p256(point)?;
            ecdsa(&key, &input, binding.signature)
        }
        PublicKey::Rsa { modulus, exponent } => {
            let key = rsa_2048(modulus, exponent)?;
            rsa(key, parameters, &input, binding.signature)
        }
    };
    // An error of OpenSSL's says no more than false does.
    if verified.unwrap_or(false) {
        Ok(())
    } else {
        let detail = format_args!("type {}", binding.binding_type.number());
        Err(Refusal::with_detail(Reason::TokenBindingSignature, detail))
    }
}

/// The curve. It takes longer to make than the rest of a check but for the signature.
static P256: LazyLock<Option<EcGroup>> =
    LazyLock::new(|| EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).ok());

/// RFC 8471, section 3.2: the point is X and Y, 32 bytes each, without the byte for the form.
fn p256(point: &[u8]) -> Result<EcKey<openssl::pkey::Public>, Refusal> {
    let wrong = |what| Refusal::with_detail(Reason::TokenBindingKey, what);
    if point.len() != 64 {
        return Err(wrong("the point is not of 64 bytes"));
    }
    let uncompressed = [&[4], point].concat();
    let on_curve = || -> Result<_, ErrorStack> {
        let group = P256.as_ref().ok_or_else(ErrorStack::get)?;
        // OpenSSL refuses bytes that are no point of the curve; P-256 has no small subgroups.
        let mut context = BigNumContext::new()?;
        let point = EcPoint::from_bytes(group, &uncompressed, &mut context)?;
        EcKey::from_public_key(group, &point)
    };
    on_curve().map_err(|_| wrong("the point is not on the curve"))
}

/// RFC 8471, section 3.3: the signature is r and s, 32 bytes each.
fn ecdsa(
    key: &EcKey<openssl::pkey::Public>,
    input: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    let Some((r, s)) = signature.split_at_checked(32).filter(|(_, s)| s.len() == 32) else {
        return Ok(false);
    };
    let signature =
        EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
    let verified = signature.verify(Thumbprint::of(input).as_bytes(), key)?;
    if !verified {
        // What OpenSSL notes of a bad signature, the TLS connection must not take for its own.
        drop(ErrorStack::get());
    }
    Ok(verified)
}

/// RFC 8471, section 3.2: "the modulus and the public exponent [...] big-endian, with leading zero
/// bytes omitted"; a key of other than 2048 bits is none of these parameters.
fn rsa_2048(modulus: &[u8], exponent: &[u8]) -> Result<Rsa<openssl::pkey::Public>, Refusal> {
    let wrong = |what| Refusal::with_detail(Reason::TokenBindingKey, what);
    if modulus.len() != 256 || modulus.first().is_none_or(|first| *first < 0x80) {
        return Err(wrong("the modulus is not of 2048 bits"));
    }
    // With an exponent of 1 a signature is its own padded message; a huge one is only slow.
    let odd = exponent.last().is_some_and(|last| last & 1 == 1);
    if !odd || exponent == [1] || exponent.first() == Some(&0) || exponent.len() > 8 {
        return Err(wrong("the exponent is not an odd number of 3 to 2^64-1"));
    }
    let key =
        || Rsa::from_public_components(BigNum::from_slice(modulus)?, BigNum::from_slice(exponent)?);
    key().map_err(|_| wrong("the key cannot be used"))
}

fn rsa(
    key: Rsa<openssl::pkey::Public>,
    parameters: KeyParameters,
    input: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorStack> {
    // RFC 8017, sections 8.1.2 and 8.2.2: as long as the modulus. OpenSSL takes a shorter PSS
    // signature for one with leading zeros, which would be a second spelling.
    if signature.len() != 256 {
        return Ok(false);
    }
    let key = PKey::from_rsa(key)?;
    let mut verifier = Verifier::new(MessageDigest::sha256(), &key)?;
    if parameters == KeyParameters::Rsa2048Pss {
        verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    verifier.verify_oneshot(signature, input)
}

#[cfg(test)]
mod tests {
    use openssl::pkey::Private;
    use openssl::sign::Signer;

    use super::*;
    use crate::token_binding::{Ekm, Parameters, Version, message};

    fn context(key_parameters: KeyParameters) -> Context {
        let parameters = Parameters { version: Version::LATEST, key_parameters };
        Context { parameters, ekm: Ekm([7; 32]) }
    }

    fn rsa_of(bits: u32) -> PKey<Private> {
        PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
    }

    fn point_key() -> EcKey<Private> {
        EcKey::generate(P256.as_ref().unwrap()).unwrap()
    }

    fn point_of(key: &EcKey<Private>) -> Vec<u8> {
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut numbers = BigNumContext::new().unwrap();
        let group = P256.as_ref().unwrap();
        key.public_key().affine_coordinates_gfp(group, &mut x, &mut y, &mut numbers).unwrap();
        [x.to_vec_padded(32).unwrap(), y.to_vec_padded(32).unwrap()].concat()
    }

    fn rsa_id(parameters: KeyParameters, key: &PKey<Private>) -> Vec<u8> {
        let key = key.rsa().unwrap();
        let (modulus, exponent) = (key.n().to_vec(), key.e().to_vec());
        let key = PublicKey::Rsa { modulus: &modulus, exponent: &exponent };
        TokenBindingId::encode(parameters, &key)
    }

    /// What the parameters' key signs on the connection of [`context`].
    fn input(parameters: KeyParameters) -> [u8; 34] {
        context(parameters).signature_input(BindingType::Provided.number(), parameters)
    }

    fn rsa_signature(
        padding: KeyParameters,
        salt: i32,
        key: &PKey<Private>,
        input: &[u8],
    ) -> Vec<u8> {
        let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
        if padding == KeyParameters::Rsa2048Pss {
            signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt)).unwrap();
        }
        signer.sign_oneshot_to_vec(input).unwrap()
    }

    fn ecdsa_signature(key: &EcKey<Private>, input: &[u8]) -> EcdsaSig {
        EcdsaSig::sign(Thumbprint::of(input).as_bytes(), key).unwrap()
    }

    fn raw(signature: &EcdsaSig) -> Vec<u8> {
        let part = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).unwrap();
        [part(signature.r()), part(signature.s())].concat()
    }

    /// What a message says whose only binding has this ID and this signature.
    fn judged(parameters: KeyParameters, id: &[u8], signature: &[u8]) -> Result<(), Reason> {
        let binding = TokenBinding {
            binding_type: BindingType::Provided,
            id: TokenBindingId::parse(id).unwrap(),
            signature,
            extensions: &[],
        };
        let header = base64url::encode(message(&[binding]));
        match TokenBindings::verify(header.as_bytes(), &context(parameters)) {
            Ok(proved) => {
                assert_eq!(proved.provided().encoded(), base64url::encode(id));
                Ok(())
            }
            Err(refusal) => Err(refusal.reason()),
        }
    }

    const BAD_SIGNATURE: Result<(), Reason> = Err(Reason::TokenBindingSignature);
    const BAD_KEY: Result<(), Reason> = Err(Reason::TokenBindingKey);

    #[test]
    fn a_signature_of_p256_has_one_form() {
        let parameters = KeyParameters::EcdsaP256;
        let key = point_key();
        let id = TokenBindingId::encode(parameters, &PublicKey::Point(&point_of(&key)));
        let signature = ecdsa_signature(&key, &input(parameters));
        let sound = raw(&signature);
        assert_eq!(judged(parameters, &id, &sound), Ok(()));
        let der = signature.to_der().unwrap();
        let swapped = [&sound[32..], &sound[..32]].concat();
        let leading_zero = [&[0], sound.as_slice()].concat();
        let trailing = [sound.as_slice(), &[0]].concat();
        for bad in [der, swapped, leading_zero, trailing, vec![0; 64], vec![0xff; 64]] {
            assert_eq!(judged(parameters, &id, &bad), BAD_SIGNATURE, "{bad:?}");
        }
        let other = raw(&ecdsa_signature(&point_key(), &input(parameters)));
        assert_eq!(judged(parameters, &id, &other), BAD_SIGNATURE);
    }

    #[test]
    fn a_key_of_p256_is_a_point_of_64_bytes() {
        let parameters = KeyParameters::EcdsaP256;
        let key = point_key();
        let sound = point_of(&key);
        let signature = raw(&ecdsa_signature(&key, &input(parameters)));
        let mut off_curve = sound.clone();
        off_curve[63] ^= 1;
        let uncompressed = [&[4], sound.as_slice()].concat();
        let long = [sound.as_slice(), &[0]].concat();
        for bad in [off_curve, uncompressed, long, vec![0; 64]] {
            let id = TokenBindingId::encode(parameters, &PublicKey::Point(&bad));
            assert_eq!(judged(parameters, &id, &signature), BAD_KEY, "{bad:?}");
        }
    }

    #[test]
    fn a_signature_of_rsa_has_one_form() {
        let key = rsa_of(2048);
        let (pkcs, pss) = (KeyParameters::Rsa2048Pkcs15, KeyParameters::Rsa2048Pss);
        for (parameters, other) in [(pkcs, pss), (pss, pkcs)] {
            let id = rsa_id(parameters, &key);
            let input = input(parameters);
            let sound = rsa_signature(parameters, 32, &key, &input);
            assert_eq!(judged(parameters, &id, &sound), Ok(()), "{parameters:?}");
            let long = [sound.as_slice(), &[0]].concat();
            let leading_zero = [&[0], sound.as_slice()].concat();
            let short = sound[..255].to_vec();
            let other_scheme = rsa_signature(other, 32, &key, &input);
            let other_key = rsa_signature(parameters, 32, &rsa_of(2048), &input);
            for bad in [long, leading_zero, short, other_scheme, other_key, vec![0; 256]] {
                assert_eq!(judged(parameters, &id, &bad), BAD_SIGNATURE, "{parameters:?}");
            }
        }
        let id = rsa_id(pss, &key);
        for salt in [0, 20, 31, 33] {
            let signature = rsa_signature(pss, salt, &key, &input(pss));
            assert_eq!(judged(pss, &id, &signature), BAD_SIGNATURE, "{salt}");
        }
    }

    /// RFC 8017, section 8.1.2, step 1.
    #[test]
    fn a_pss_signature_without_its_leading_zero_is_not_a_second_spelling() {
        let parameters = KeyParameters::Rsa2048Pss;
        let key = rsa_of(2048);
        let id = rsa_id(parameters, &key);
        // One in 256 begins with a zero byte: each has a salt of its own.
        let signature =
            std::iter::repeat_with(|| rsa_signature(parameters, 32, &key, &input(parameters)))
                .find(|signature| signature[0] == 0)
                .unwrap();
        assert_eq!(judged(parameters, &id, &signature), Ok(()));
        assert_eq!(judged(parameters, &id, &signature[1..]), BAD_SIGNATURE);
    }

    #[test]
    fn an_rsa_key_has_2048_bits_and_a_sound_exponent() {
        for parameters in [KeyParameters::Rsa2048Pkcs15, KeyParameters::Rsa2048Pss] {
            for bits in [1024, 2047, 3072] {
                let key = rsa_of(bits);
                let signature = rsa_signature(parameters, 32, &key, &input(parameters));
                let id = rsa_id(parameters, &key);
                assert_eq!(judged(parameters, &id, &signature), BAD_KEY, "{bits}");
            }
            let key = rsa_of(2048);
            let signature = rsa_signature(parameters, 32, &key, &input(parameters));
            let modulus = key.rsa().unwrap().n().to_vec();
            for exponent in [&[][..], &[1], &[2], &[0, 1, 0, 1], &[1; 9]] {
                let bad = PublicKey::Rsa { modulus: &modulus, exponent };
                let id = TokenBindingId::encode(parameters, &bad);
                assert_eq!(judged(parameters, &id, &signature), BAD_KEY, "{exponent:?}");
            }
        }
    }

    #[test]
    fn a_message_of_other_key_parameters_than_negotiated() {
        let key = rsa_of(2048);
        let (pkcs, pss) = (KeyParameters::Rsa2048Pkcs15, KeyParameters::Rsa2048Pss);
        let signature = rsa_signature(pkcs, 32, &key, &input(pkcs));
        let judged = judged(pss, &rsa_id(pkcs, &key), &signature);
        assert_eq!(judged, Err(Reason::TokenBindingKeyParameters));
    }
}
