//! A private key to sign with: what the command and the token endpoint issue with.

use std::fmt;

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use serde_json::Value;

use super::algorithm::Family;
use super::json::Object;
use super::{Algorithm, base64url, jwk_thumbprint};
use crate::thumbprint::Thumbprint;

/// Bits of a new RSA key.
const RSA_BITS: u32 = 2048;

/// A private key with its `kid` and the one algorithm it signs with.
pub struct SigningKey {
    key_id: String,
    algorithm: Algorithm,
    private: PKey<Private>,
}

/// Why a key cannot be used or a signature not be made.
#[derive(Debug)]
pub enum SigningError {
    /// OpenSSL failed.
    OpenSsl(ErrorStack),
    /// The key's type does not do this algorithm.
    Algorithm(Algorithm),
    /// The key is of a kind or curve that no algorithm here uses.
    Unsupported,
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenSsl(errors) => write!(f, "OpenSSL: {errors}"),
            Self::Algorithm(algorithm) => write!(f, "the key cannot sign with {algorithm}"),
            Self::Unsupported => f.write_str("a key of no kind that we sign with"),
        }
    }
}

impl std::error::Error for SigningError {}

impl From<ErrorStack> for SigningError {
    fn from(errors: ErrorStack) -> Self {
        Self::OpenSsl(errors)
    }
}

impl SigningKey {
    /// Makes a new key for `algorithm`.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn generate(algorithm: Algorithm, key_id: &str) -> Result<Self, SigningError> {
        let private = match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => PKey::from_rsa(Rsa::generate(RSA_BITS)?)?,
            Algorithm::ES256 => elliptic(Nid::X9_62_PRIME256V1)?,
            Algorithm::ES384 => elliptic(Nid::SECP384R1)?,
            Algorithm::ES512 => elliptic(Nid::SECP521R1)?,
            Algorithm::EdDSA | Algorithm::Ed25519 => PKey::generate_ed25519()?,
            Algorithm::Ed448 => PKey::generate_ed448()?,
        };
        Ok(Self { key_id: key_id.to_owned(), algorithm, private })
    }

    /// Reads a PEM private key, which must not be encrypted. Without `algorithm` the type's first
    /// is taken (RS256 for RSA).
    ///
    /// # Errors
    /// The text is no private key, or its type does not do `algorithm`.
    pub fn from_pem(
        pem: &[u8],
        key_id: &str,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, SigningError> {
        // With a passphrase given, if an empty one, OpenSSL does not ask for one on the terminal.
        let private = PKey::private_key_from_pem_passphrase(pem, b"")?;
        let able = abilities(&private);
        let first = able.first().copied().ok_or(SigningError::Unsupported)?;
        let algorithm = algorithm.unwrap_or(first);
        if !able.contains(&algorithm) {
            return Err(SigningError::Algorithm(algorithm));
        }
        Ok(Self { key_id: key_id.to_owned(), algorithm, private })
    }

    /// The private key as PKCS#8 PEM.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn to_pem(&self) -> Result<Vec<u8>, SigningError> {
        Ok(self.private.private_key_to_pem_pkcs8()?)
    }

    /// The same key under another `kid`.
    #[must_use]
    pub fn with_key_id(self, key_id: &str) -> Self {
        Self { key_id: key_id.to_owned(), ..self }
    }

    /// `kid`.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The algorithm that this key signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The thumbprint of the public half (RFC 7638): a `kid` that needs no bookkeeping.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn thumbprint(&self) -> Result<Thumbprint, SigningError> {
        jwk_thumbprint(&self.public_jwk()?).map_err(|_| SigningError::Unsupported)
    }

    /// The public half as a JWK with `kid`, `use` and `alg`.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn public_jwk(&self) -> Result<Object, SigningError> {
        let mut jwk = Object::new();
        for (name, value) in public_members(&self.private)? {
            jwk.insert(name.to_owned(), Value::String(value));
        }
        jwk.insert("kid".to_owned(), self.key_id.clone().into());
        jwk.insert("use".to_owned(), "sig".into());
        jwk.insert("alg".to_owned(), self.algorithm.name().into());
        Ok(jwk)
    }

    /// Signs `input` in the form that a JWS carries.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SigningError> {
        let mut signer = match self.algorithm.digest() {
            Some(digest) => Signer::new(digest, &self.private)?,
            None => Signer::new_without_digest(&self.private)?,
        };
        match self.algorithm.family() {
            Family::RsaPkcs1 | Family::Edwards => Ok(signer.sign_oneshot_to_vec(input)?),
            Family::RsaPss => {
                signer.set_rsa_padding(Padding::PKCS1_PSS)?;
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                Ok(signer.sign_oneshot_to_vec(input)?)
            }
            Family::Ecdsa(length) => {
                let signature = EcdsaSig::from_der(&signer.sign_oneshot_to_vec(input)?)?;
                let mut bytes = padded(signature.r(), length)?;
                bytes.extend(padded(signature.s(), length)?);
                Ok(bytes)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.key_id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn elliptic(curve: Nid) -> Result<PKey<Private>, ErrorStack> {
    PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(curve)?)?)
}

fn abilities(key: &PKey<Private>) -> &'static [Algorithm] {
    use Algorithm::{
        ES256, ES384, ES512, Ed448, Ed25519, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512,
    };
    match key.id() {
        Id::RSA => &[RS256, RS384, RS512, PS256, PS384, PS512],
        Id::EC => match key.ec_key().ok().and_then(|key| key.group().curve_name()) {
            Some(Nid::X9_62_PRIME256V1) => &[ES256],
            Some(Nid::SECP384R1) => &[ES384],
            Some(Nid::SECP521R1) => &[ES512],
            _ => &[],
        },
        Id::ED25519 => &[EdDSA, Ed25519],
        Id::ED448 => &[EdDSA, Ed448],
        _ => &[],
    }
}

fn public_members(key: &PKey<Private>) -> Result<Vec<(&'static str, String)>, SigningError> {
    let text = |value: &str| value.to_owned();
    match key.id() {
        Id::RSA => {
            let rsa = key.rsa()?;
            Ok(vec![
                ("kty", text("RSA")),
                ("n", base64url::encode(rsa.n().to_vec())),
                ("e", base64url::encode(rsa.e().to_vec())),
            ])
        }
        Id::EC => {
            let ec = key.ec_key()?;
            let (name, length) = match ec.group().curve_name() {
                Some(Nid::X9_62_PRIME256V1) => ("P-256", 32),
                Some(Nid::SECP384R1) => ("P-384", 48),
                Some(Nid::SECP521R1) => ("P-521", 66),
                _ => return Err(SigningError::Unsupported),
            };
            let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
            let mut context = BigNumContext::new()?;
            ec.public_key().affine_coordinates(ec.group(), &mut x, &mut y, &mut context)?;
            Ok(vec![
                ("kty", text("EC")),
                ("crv", text(name)),
                ("x", base64url::encode(padded(&x, length)?)),
                ("y", base64url::encode(padded(&y, length)?)),
            ])
        }
        Id::ED25519 | Id::ED448 => Ok(vec![
            ("kty", text("OKP")),
            ("crv", text(if key.id() == Id::ED448 { "Ed448" } else { "Ed25519" })),
            ("x", base64url::encode(key.raw_public_key()?)),
        ]),
        _ => Err(SigningError::Unsupported),
    }
}

fn padded(number: &openssl::bn::BigNumRef, length: usize) -> Result<Vec<u8>, ErrorStack> {
    number.to_vec_padded(i32::try_from(length).unwrap_or(i32::MAX))
}
