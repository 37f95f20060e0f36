//! Messages that are wrong in one way each.

use auth_bound::jose::base64url;
use auth_bound::token_binding::{
    BindingType, Context, KeyParameters, PublicKey, TokenBinding, TokenBindingId, message,
};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};

use super::workshop::Workshop;
use super::{EcdsaP256, Rsa2048Pkcs15, Rsa2048Pss, channel};

/// A key that signs as it is told.
struct Forger {
    private: PKey<Private>,
    /// The key as a Token Binding ID has it.
    id: Vec<u8>,
    parameters: KeyParameters,
}

impl Forger {
    fn elliptic() -> Self {
        use openssl::bn::{BigNum, BigNumContext};
        use openssl::ec::{EcGroup, EcKey};
        let key =
            EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).unwrap();
        let point = [x.to_vec_padded(32).unwrap(), y.to_vec_padded(32).unwrap()].concat();
        let id = TokenBindingId::encode(EcdsaP256, &PublicKey::Point(&point));
        Self { private: PKey::from_ec_key(key).unwrap(), id, parameters: EcdsaP256 }
    }

    fn rsa(bits: u32, parameters: KeyParameters) -> Self {
        let rsa = Rsa::generate(bits).unwrap();
        let (modulus, exponent) = (rsa.n().to_vec(), rsa.e().to_vec());
        let key = PublicKey::Rsa { modulus: &modulus, exponent: &exponent };
        let id = TokenBindingId::encode(parameters, &key);
        Self { private: PKey::from_rsa(rsa).unwrap(), id, parameters }
    }

    /// A signature in DER where it is one by P-256; with a salt of this length where it has one.
    fn sign(&self, binding_type: BindingType, context: &Context, salt: i32) -> Vec<u8> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.private).unwrap();
        if self.parameters == Rsa2048Pss {
            signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt)).unwrap();
        }
        let input = context.signature_input(binding_type.number(), self.parameters);
        signer.sign_oneshot_to_vec(&input).unwrap()
    }

    /// A right one.
    fn signature(&self, binding_type: BindingType, context: &Context) -> Vec<u8> {
        let signature = self.sign(binding_type, context, 32);
        if self.parameters != EcdsaP256 {
            return signature;
        }
        let signature = openssl::ecdsa::EcdsaSig::from_der(&signature).unwrap();
        let (r, s) = (signature.r(), signature.s());
        [r.to_vec_padded(32).unwrap(), s.to_vec_padded(32).unwrap()].concat()
    }
}

/// The message of bindings given by type, ID and signature.
fn forged(bindings: &[(BindingType, &[u8], &[u8])]) -> String {
    let bindings: Vec<_> = bindings
        .iter()
        .map(|(binding_type, id, signature)| TokenBinding {
            binding_type: *binding_type,
            id: TokenBindingId::parse(id).unwrap(),
            signature,
            extensions: &[],
        })
        .collect();
    base64url::encode(message(&bindings))
}

#[test]
fn the_number_of_bindings_is_checked() {
    let workshop = Workshop::new("count");
    let (here, key) = (channel(EcdsaP256, 1), Forger::elliptic());
    let [provided, referred, other] =
        [BindingType::Provided, BindingType::Referred, BindingType::Other(0x4d)]
            .map(|binding_type| (binding_type, key.signature(binding_type, &here)));
    let of = |list: &[&(BindingType, Vec<u8>)]| {
        let list: Vec<_> =
            list.iter().map(|(kind, signature)| (*kind, &key.id[..], &signature[..])).collect();
        workshop.verify(&forged(&list), &here)
    };
    let right = of(&[&other, &referred, &provided, &other]).line();
    assert_eq!(right.matches(", ").count(), 3, "{right}");
    assert!(right.starts_with("verified: 4d "), "{right}");
    for list in
        [&[&referred][..], &[&other], &[&provided, &provided], &[&provided, &referred, &referred]]
    {
        of(list).refused("bindings where");
    }
}

#[test]
fn wrong_signatures_are_refused() {
    let workshop = Workshop::new("signatures");
    let provided = BindingType::Provided;
    let refused = |key: &Forger, signature: &[u8]| {
        let message = forged(&[(provided, &key.id, signature)]);
        workshop.verify(&message, &channel(key.parameters, 1)).refused("signature does not hold");
    };
    let key = Forger::elliptic();
    let here = channel(EcdsaP256, 1);
    let right = key.signature(provided, &here);
    workshop.verify(&forged(&[(provided, &key.id, &right)]), &here).line();
    refused(&key, &key.sign(provided, &here, 0));
    refused(&key, &key.signature(BindingType::Referred, &here));
    refused(&key, &[0; 64]);
    refused(&key, &[&right[..], &[0]].concat());

    for parameters in [Rsa2048Pss, Rsa2048Pkcs15] {
        let key = Forger::rsa(2048, parameters);
        let here = channel(parameters, 1);
        let right = key.signature(provided, &here);
        workshop.verify(&forged(&[(provided, &key.id, &right)]), &here).line();
        if parameters == Rsa2048Pss {
            refused(&key, &key.sign(provided, &here, 20));
            refused(&key, &key.sign(provided, &here, 0));
        }
        refused(&key, &right[..255]);
        refused(&key, &[&[0], &right[..]].concat());
    }
}

#[test]
fn wrong_keys_are_refused() {
    let workshop = Workshop::new("wrong-keys");
    let provided = BindingType::Provided;
    let here = channel(EcdsaP256, 1);
    let key = Forger::elliptic();
    let signature = key.signature(provided, &here);
    let mut off_the_curve = key.id.clone();
    *off_the_curve.last_mut().unwrap() ^= 1;
    let uncompressed = [&[4], &key.id[4..]].concat();
    for id in [
        off_the_curve,
        TokenBindingId::encode(EcdsaP256, &PublicKey::Point(&uncompressed)),
        TokenBindingId::encode(EcdsaP256, &PublicKey::Point(&[])),
    ] {
        // A second binding makes it long enough to be a message, whatever the key.
        let other = (BindingType::Other(9), &key.id[..], &signature[..]);
        let message = forged(&[(provided, &id, &signature), other]);
        workshop.verify(&message, &here).refused("the provided binding's key is none");
    }
    for bits in [1024, 3072] {
        let key = Forger::rsa(bits, Rsa2048Pkcs15);
        let here = channel(Rsa2048Pkcs15, 1);
        let message = forged(&[(provided, &key.id, &key.signature(provided, &here))]);
        workshop.verify(&message, &here).refused("the provided binding's key is none");
    }
}

#[test]
fn unknown_key_parameters_are_not_checked_and_said_to_be_so() {
    let workshop = Workshop::new("unknown");
    let (here, key) = (channel(EcdsaP256, 1), Forger::elliptic());
    let signature = key.signature(BindingType::Provided, &here);
    let mut unknown = key.id.clone();
    unknown[0] = 96;
    let message = forged(&[
        (BindingType::Provided, &key.id, &signature),
        (BindingType::Referred, &unknown, &[1; 64]),
    ]);
    let said = workshop.verify(&message, &here).line();
    assert!(said.ends_with(&format!(", referred {} not checked", base64url::encode(&unknown))));
    let message = forged(&[(BindingType::Provided, &unknown, &[1; 64])]);
    workshop.verify(&message, &here).refused("key parameters are 96");
}
