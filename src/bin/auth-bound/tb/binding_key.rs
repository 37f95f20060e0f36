//! A client's Token Binding key: makes Token Binding IDs and signs with it.

use std::path::Path;

use auth_bound::jose::base64url;
use auth_bound::token_binding::{BindingType, Context, KeyParameters, PublicKey, TokenBindingId};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sha::sha256;
use openssl::sign::{RsaPssSaltlen, Signer};

use crate::fault::Fault;
use crate::files;

/// Bits of an RSA key (RFC 8471, section 3.2).
const RSA_BITS: i32 = 2048;
/// Bytes of a coordinate of P-256, and of each half of its signatures.
const COORDINATE: i32 = 32;
/// Bytes of the salt of an RSASSA-PSS signature (RFC 8471, section 3.3).
const SALT: i32 = 32;

/// A private key of a kind that Token Binding has.
#[derive(Debug)]
pub(super) struct BindingKey {
    private: PKey<Private>,
    /// What the key can do, the most preferred first.
    abilities: &'static [KeyParameters],
}

/// A key's proof for one connection: what a `TokenBinding` is made of.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) binding_type: BindingType,
    /// The Token Binding ID.
    pub(super) id: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl BindingKey {
    /// Makes a new key.
    pub(super) fn generate(parameters: KeyParameters) -> Result<Self, Fault> {
        let private = match parameters {
            KeyParameters::EcdsaP256 => EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
                .and_then(|group| PKey::from_ec_key(EcKey::generate(&group)?)),
            KeyParameters::Rsa2048Pkcs15 | KeyParameters::Rsa2048Pss => {
                Rsa::generate(RSA_BITS.unsigned_abs()).and_then(PKey::from_rsa)
            }
        };
        Self::new(private.map_err(Fault::new)?)
            .ok_or_else(|| Fault::new("OpenSSL made a key of another kind"))
    }

    /// Reads a PEM file.
    pub(super) fn read(path: &Path) -> Result<Self, Fault> {
        // With a passphrase given, if an empty one, OpenSSL does not ask for one on the terminal.
        let private = PKey::private_key_from_pem_passphrase(&files::read(path)?, b"")
            .map_err(|_| Fault::of_file(path, "no unencrypted private key in PEM"))?;
        Self::new(private).ok_or_else(|| {
            Fault::of_file(path, "no key of Token Binding: P-256 or RSA of 2048 bits")
        })
    }

    fn new(private: PKey<Private>) -> Option<Self> {
        let abilities = abilities(&private).ok()?;
        (!abilities.is_empty()).then_some(Self { private, abilities })
    }

    /// The private key as PKCS#8 PEM.
    pub(super) fn to_pem(&self) -> Result<Vec<u8>, Fault> {
        self.private.private_key_to_pem_pkcs8().map_err(Fault::new)
    }

    /// What the key can do, the most preferred first.
    pub(super) const fn abilities(&self) -> &'static [KeyParameters] {
        self.abilities
    }

    /// The parameters that are meant, or the first that the key can do.
    pub(super) fn choose(&self, meant: Option<KeyParameters>) -> Result<KeyParameters, Fault> {
        meant
            .or_else(|| self.abilities.first().copied())
            .filter(|parameters| self.abilities.contains(parameters))
            .ok_or_else(|| Fault::new(format_args!("{}: the key cannot do that", named(meant))))
    }

    /// The Token Binding ID: it names the key together with what it does (RFC 8471, section 3.2).
    pub(super) fn id(&self, parameters: KeyParameters) -> Result<Vec<u8>, Fault> {
        let id = match parameters {
            KeyParameters::EcdsaP256 => self
                .point()
                .map(|point| TokenBindingId::encode(parameters, &PublicKey::Point(&point))),
            KeyParameters::Rsa2048Pkcs15 | KeyParameters::Rsa2048Pss => {
                self.private.rsa().map(|rsa| {
                    let (modulus, exponent) = (rsa.n().to_vec(), rsa.e().to_vec());
                    let key = PublicKey::Rsa { modulus: &modulus, exponent: &exponent };
                    TokenBindingId::encode(parameters, &key)
                })
            }
        };
        id.map_err(Fault::new)
    }

    /// X and Y of a public key of P-256.
    fn point(&self) -> Result<Vec<u8>, ErrorStack> {
        let key = self.private.ec_key()?;
        let (mut x, mut y, mut context) = (BigNum::new()?, BigNum::new()?, BigNumContext::new()?);
        key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context)?;
        Ok([x.to_vec_padded(COORDINATE)?, y.to_vec_padded(COORDINATE)?].concat())
    }

    /// Proves for the connection of `context` to hold the key (RFC 8471, section 3.3).
    pub(super) fn prove(
        &self,
        binding_type: BindingType,
        parameters: KeyParameters,
        context: &Context,
    ) -> Result<Proof, Fault> {
        let input = context.signature_input(binding_type.number(), parameters);
        let signature = self.sign(parameters, &input).map_err(Fault::new)?;
        Ok(Proof { binding_type, id: self.id(parameters)?, signature })
    }

    fn sign(&self, parameters: KeyParameters, input: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.private)?;
        match parameters {
            KeyParameters::Rsa2048Pkcs15 => signer.sign_oneshot_to_vec(input),
            KeyParameters::Rsa2048Pss => {
                // The hash of MGF1 is that of the message unless it is set.
                signer.set_rsa_padding(Padding::PKCS1_PSS)?;
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(SALT))?;
                signer.sign_oneshot_to_vec(input)
            }
            KeyParameters::EcdsaP256 => {
                let signature = EcdsaSig::from_der(&signer.sign_oneshot_to_vec(input)?)?;
                let (r, s) = (signature.r(), signature.s());
                Ok([r.to_vec_padded(COORDINATE)?, s.to_vec_padded(COORDINATE)?].concat())
            }
        }
    }
}

/// What tokens that are bound to this ID name it by: `cnf.tbh`, the SHA-256 of the ID in base64url
/// (draft-ietf-oauth-token-binding-08, section 3.1).
pub(super) fn tbh(id: &[u8]) -> String {
    base64url::encode(sha256(id))
}

fn abilities(key: &PKey<Private>) -> Result<&'static [KeyParameters], ErrorStack> {
    Ok(match key.id() {
        Id::EC if key.ec_key()?.group().curve_name() == Some(Nid::X9_62_PRIME256V1) => {
            &[KeyParameters::EcdsaP256]
        }
        Id::RSA if key.rsa()?.n().num_bits() == RSA_BITS => {
            &[KeyParameters::Rsa2048Pss, KeyParameters::Rsa2048Pkcs15]
        }
        _ => &[],
    })
}

fn named(parameters: Option<KeyParameters>) -> &'static str {
    parameters.map_or("no key parameters", KeyParameters::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_what_its_type_does() {
        let key = BindingKey::generate(KeyParameters::EcdsaP256).unwrap();
        assert_eq!(key.choose(None).unwrap(), KeyParameters::EcdsaP256);
        assert!(key.choose(Some(KeyParameters::Rsa2048Pss)).is_err());
        let id = key.id(KeyParameters::EcdsaP256).unwrap();
        assert_eq!(id[..5], [2, 0, 65, 64, id[4]]);
        assert_eq!(id.len(), 68);

        let key = BindingKey::generate(KeyParameters::Rsa2048Pkcs15).unwrap();
        assert_eq!(key.choose(None).unwrap(), KeyParameters::Rsa2048Pss);
        // 65537 has three bytes.
        let id = key.id(KeyParameters::Rsa2048Pkcs15).unwrap();
        assert_eq!((id[0], id.len()), (0, 1 + 2 + 2 + 256 + 1 + 3));
        assert_eq!(id[id.len() - 4..], [3, 1, 0, 1]);
    }

    #[test]
    fn other_keys_are_none_of_token_binding() {
        let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        let group = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
        let other_curve = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        for key in [short, other_curve, PKey::generate_ed25519().unwrap()] {
            assert!(BindingKey::new(key).is_none());
        }
    }
}
