//! A private key to sign with: what the command and the token endpoint issue with.

use std::fmt;
use std::sync::Arc;

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private, Public};
use openssl::rsa::Rsa;
use serde_json::Value;

use super::json::Object;
use super::memory_key::{MemoryKey, padded};
use super::{Algorithm, base64url, jwk_thumbprint};
use crate::thumbprint::Thumbprint;

/// Bits of a new RSA key.
const RSA_BITS: u32 = 2048;
/// Smallest RSA modulus to sign with, in bits (RFC 7518, sections 3.3 and 3.5).
const RSA_MIN_BITS: u32 = 2048;

/// A private key with its `kid` and the one algorithm it signs with.
pub struct SigningKey {
    key_id: String,
    algorithm: Algorithm,
    private: PrivateKey,
}

/// A private key that stays where it is, in a device, and signs there.
pub trait HardwareKey: Send + Sync {
    /// Signs `input`, in the form that a JWS carries (RFC 7518, section 3; RFC 8037, section 3.1).
    /// It may take as long as the device does.
    ///
    /// # Errors
    /// What failed, in words for the server's log and without a secret.
    fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Result<Vec<u8>, String>;
}

/// Where the private half is.
enum PrivateKey {
    InMemory(MemoryKey),
    InHardware { public: PKey<Public>, signer: Arc<dyn HardwareKey> },
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
    /// An RSA key with fewer than 2048 bits: how many it has.
    TooShort(u32),
    /// The device that holds the key did not sign: its words.
    Hardware(String),
    /// The private key is in hardware and does not leave it.
    InHardware,
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenSsl(errors) => write!(f, "OpenSSL: {errors}"),
            Self::Algorithm(algorithm) => write!(f, "the key cannot sign with {algorithm}"),
            Self::Unsupported => f.write_str("a key of no kind that we sign with"),
            Self::TooShort(bits) => {
                write!(f, "an RSA key of {bits} bits, and it takes {RSA_MIN_BITS} or more")
            }
            Self::Hardware(fault) => f.write_str(fault),
            Self::InHardware => f.write_str("the private key is in hardware and stays there"),
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
        let private = PrivateKey::InMemory(MemoryKey::new(private, algorithm));
        Ok(Self { key_id: key_id.to_owned(), algorithm, private })
    }

    /// Reads a PEM private key, which must not be encrypted. Without `algorithm` the type's first
    /// is taken (RS256 for RSA).
    ///
    /// # Errors
    /// The text is no private key, its type does not do `algorithm`, or it is too short.
    pub fn from_pem(
        pem: &[u8],
        key_id: &str,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, SigningError> {
        // With a passphrase given, if an empty one, OpenSSL does not ask for one on the terminal.
        let private = PKey::private_key_from_pem_passphrase(pem, b"")?;
        let algorithm = chosen(&private, algorithm)?;
        let private = PrivateKey::InMemory(MemoryKey::new(private, algorithm));
        Ok(Self { key_id: key_id.to_owned(), algorithm, private })
    }

    /// The key whose public half is `public` and whose private half is where `signer` signs.
    /// Without `algorithm` the type's first is taken (RS256 for RSA).
    ///
    /// # Errors
    /// The key's type does not do `algorithm`, or it is too short.
    pub fn in_hardware(
        public: PKey<Public>,
        key_id: &str,
        algorithm: Option<Algorithm>,
        signer: Arc<dyn HardwareKey>,
    ) -> Result<Self, SigningError> {
        let algorithm = chosen(&public, algorithm)?;
        let private = PrivateKey::InHardware { public, signer };
        Ok(Self { key_id: key_id.to_owned(), algorithm, private })
    }

    /// Whether signing waits for a device.
    #[must_use]
    pub const fn is_in_hardware(&self) -> bool {
        matches!(self.private, PrivateKey::InHardware { .. })
    }

    /// The private key as PKCS#8 PEM.
    ///
    /// # Errors
    /// The key is in hardware, or OpenSSL's.
    pub fn to_pem(&self) -> Result<Vec<u8>, SigningError> {
        match &self.private {
            PrivateKey::InMemory(key) => Ok(key.private().private_key_to_pem_pkcs8()?),
            PrivateKey::InHardware { .. } => Err(SigningError::InHardware),
        }
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
        let members = match &self.private {
            PrivateKey::InMemory(key) => public_members(key.private())?,
            PrivateKey::InHardware { public, .. } => public_members(public)?,
        };
        for (name, value) in members {
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
    /// OpenSSL's, or the device's.
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.private {
            PrivateKey::InMemory(key) => Ok(key.sign(input)?),
            PrivateKey::InHardware { signer, .. } => {
                signer.sign(self.algorithm, input).map_err(SigningError::Hardware)
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

/// `algorithm`, or the first that the key's type does, if the key is one to sign with.
fn chosen<T: HasPublic>(
    key: &PKeyRef<T>,
    algorithm: Option<Algorithm>,
) -> Result<Algorithm, SigningError> {
    let able = abilities(key);
    let first = able.first().copied().ok_or(SigningError::Unsupported)?;
    let algorithm = algorithm.unwrap_or(first);
    if !able.contains(&algorithm) {
        return Err(SigningError::Algorithm(algorithm));
    }
    if key.id() == Id::RSA && key.bits() < RSA_MIN_BITS {
        return Err(SigningError::TooShort(key.bits()));
    }
    Ok(algorithm)
}

fn abilities<T: HasPublic>(key: &PKeyRef<T>) -> &'static [Algorithm] {
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

fn public_members<T: HasPublic>(
    key: &PKeyRef<T>,
) -> Result<Vec<(&'static str, String)>, SigningError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Key;

    /// A device that is only a key in memory; without a key, one that has been unplugged.
    struct Device(Option<SigningKey>);

    impl HardwareKey for Device {
        fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Result<Vec<u8>, String> {
            let key = self.0.as_ref().ok_or("the token is gone")?;
            assert_eq!(algorithm, key.algorithm());
            key.sign(input).map_err(|error| error.to_string())
        }
    }

    fn public(key: &SigningKey) -> PKey<Public> {
        let private = PKey::private_key_from_pem(&key.to_pem().unwrap()).unwrap();
        PKey::public_key_from_der(&private.public_key_to_der().unwrap()).unwrap()
    }

    #[test]
    fn a_key_in_hardware_is_published_and_verified_like_any_other() {
        for algorithm in Algorithm::ALL.iter().copied() {
            let inside = SigningKey::generate(algorithm, "k").unwrap();
            let jwk = inside.public_jwk().unwrap();
            let (print, public) = (inside.thumbprint().unwrap(), public(&inside));
            let signer = Arc::new(Device(Some(inside)));
            let key = SigningKey::in_hardware(public, "k", Some(algorithm), signer).unwrap();
            assert!(key.is_in_hardware());
            assert_eq!(
                (key.public_jwk().unwrap(), key.thumbprint().unwrap()),
                (jwk.clone(), print)
            );
            let signature = key.sign(b"input").unwrap();
            assert!(Key::from_jwk(jwk).unwrap().verify(algorithm, b"input", &signature));
            assert!(matches!(key.to_pem(), Err(SigningError::InHardware)));
        }
    }

    #[test]
    fn a_device_that_does_not_sign_says_why() {
        let public = public(&SigningKey::generate(Algorithm::ES256, "k").unwrap());
        let key = SigningKey::in_hardware(public, "k", None, Arc::new(Device(None))).unwrap();
        assert_eq!(key.algorithm(), Algorithm::ES256);
        assert_eq!(key.sign(b"input").unwrap_err().to_string(), "the token is gone");
    }

    #[test]
    fn a_key_in_hardware_does_only_what_its_type_does() {
        let public = public(&SigningKey::generate(Algorithm::ES256, "k").unwrap());
        let device = Arc::new(Device(None));
        let wrong = SigningKey::in_hardware(public, "k", Some(Algorithm::ES384), device);
        assert!(matches!(wrong, Err(SigningError::Algorithm(Algorithm::ES384))));
    }

    #[test]
    fn rsa_keys_have_2048_bits_or_more() {
        let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        let pem = short.private_key_to_pem_pkcs8().unwrap();
        for algorithm in [None, Some(Algorithm::RS256), Some(Algorithm::PS512)] {
            let error = SigningKey::from_pem(&pem, "k", algorithm).unwrap_err();
            assert!(matches!(error, SigningError::TooShort(1024)), "{error}");
        }
        let public = PKey::public_key_from_der(&short.public_key_to_der().unwrap()).unwrap();
        let error = SigningKey::in_hardware(public, "k", None, Arc::new(Device(None))).unwrap_err();
        assert!(matches!(error, SigningError::TooShort(1024)), "{error}");
        let enough = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let pem = enough.private_key_to_pem_pkcs8().unwrap();
        assert!(SigningKey::from_pem(&pem, "k", None).is_ok());
    }
}
