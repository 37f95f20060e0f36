//! `auth-bound tb verify`: the rules of RFC 8471, section 4.2, and RFC 8473, section 2, judged here
//! anew. The module's own verifier takes no part in it, so that one can find the other's errors.

use auth_bound::jose::base64url;
use auth_bound::token_binding::{
    BindingType, Context, Ekm, KeyParameters, PublicKey, TokenBinding,
};
use clap::Args;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::{Padding, Rsa};
use openssl::sha::sha256;
use openssl::sign::{RsaPssSaltlen, Verifier};

use super::{channel, encoded};
use crate::fault::Fault;
use crate::output;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound tb verify --key-parameters ecdsap256 \\
      --ekm AYVUayPTP9RmELNpGjFl6Ykm2CUx7pUMxe35yb11dgU - < message
  auth-bound tb verify --context AQACAYVUayPTP9RmELNpGjFl6Ykm2CUx7pUMxe35yb11dgU - < message

A message that holds gets one line with its Token Binding IDs; any other one gets the reason, and
exit status 1. A binding whose key parameters are not known cannot be checked and is said to be so.")]
pub(crate) struct Arguments {
    /// The connection's exported keying material, in base64url
    #[arg(long, value_name = "EKM", required_unless_present = "context", requires = "key_parameters",
        allow_hyphen_values = true, value_parser = channel::ekm_parser)]
    ekm: Option<Ekm>,
    /// What the connection negotiated
    #[arg(long, value_name = "PARAMETERS", value_parser = channel::key_parameters_parser())]
    key_parameters: Option<KeyParameters>,
    /// Both of them, as in Token-Binding-Context
    #[arg(long, conflicts_with_all = ["ekm", "key_parameters"],
        value_parser = channel::context_parser)]
    context: Option<Context>,
    /// The value of Sec-Token-Binding; - or nothing for standard input
    message: Option<String>,
}

pub(crate) fn verify(arguments: &Arguments) -> Result<(), Fault> {
    let given = || Some(channel::context(arguments.key_parameters?, arguments.ekm?));
    let context = arguments.context.or_else(given);
    let context = context.ok_or_else(|| Fault::new("neither --ekm nor --context"))?;
    let message = encoded::read(arguments.message.as_deref())?;
    let bindings = encoded::bindings(&message)?;
    count(&bindings)?;
    let mut words = Vec::new();
    for binding in &bindings {
        words.push(judged(binding, &context)?);
    }
    output::print(&format!("verified: {}", words.join(", ")))
}

/// "Exactly one" provided binding, at most one referred one (RFC 8473, sections 2 and 3).
fn count(bindings: &[TokenBinding<'_>]) -> Result<(), Fault> {
    let of = |wanted| bindings.iter().filter(|binding| binding.binding_type == wanted).count();
    match (of(BindingType::Provided), of(BindingType::Referred)) {
        (1, 0 | 1) => Ok(()),
        (provided, referred) => Err(Fault::new(format_args!(
            "{provided} provided and {referred} referred bindings where 1, and 0 or 1, are due"
        ))),
    }
}

/// One binding in words, if it holds.
fn judged(binding: &TokenBinding<'_>, context: &Context) -> Result<String, Fault> {
    let name = encoded::type_name(binding.binding_type);
    let negotiated = context.parameters.key_parameters;
    if binding.binding_type == BindingType::Provided && binding.id.number() != negotiated.number() {
        return Err(Fault::new(format_args!(
            "the provided binding's key parameters are {}, negotiated were {}",
            binding.id.number(),
            negotiated.number()
        )));
    }
    let id = base64url::encode(binding.id.bytes());
    let Some(parameters) = binding.id.key_parameters() else {
        return Ok(format!("{name} {id} not checked"));
    };
    let key = binding
        .id
        .public_key(parameters)
        .map_err(|error| Fault::new(format_args!("the {name} binding: {}", error.0)))?;
    let input = context.signature_input(binding.binding_type.number(), parameters);
    let holds = match key {
        PublicKey::Point(point) => point_signed(point, binding.signature, &input),
        PublicKey::Rsa { modulus, exponent } => {
            rsa_signed((modulus, exponent), parameters, binding.signature, &input)
        }
    };
    match holds {
        Ok(Some(true)) => Ok(format!("{name} {id}")),
        Ok(Some(false)) => {
            Err(Fault::new(format_args!("the {name} binding's signature does not hold")))
        }
        Ok(None) | Err(_) => {
            let text = format_args!("the {name} binding's key is none for {}", parameters.name());
            Err(Fault::new(text))
        }
    }
}

/// `None` and errors are about the key, not about the signature.
type Holds = Result<Option<bool>, ErrorStack>;

/// ECDSA with P-256 and SHA-256; point and signature are two numbers of 32 bytes each (RFC 8471,
/// sections 3.2 and 3.3).
fn point_signed(point: &[u8], signature: &[u8], input: &[u8]) -> Holds {
    let Some((x, y)) = halves(point) else { return Ok(None) };
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    // OpenSSL refuses what is not on the curve.
    let key = EcKey::from_public_key_affine_coordinates(
        &group,
        &*BigNum::from_slice(x)?,
        &*BigNum::from_slice(y)?,
    )?;
    let Some((r, s)) = halves(signature) else { return Ok(Some(false)) };
    let signature =
        EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
    // An error says that the numbers are out of range: such a signature does not hold.
    Ok(Some(signature.verify(&sha256(input), &key).unwrap_or(false)))
}

fn halves(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    (bytes.len() == 64).then(|| bytes.split_at(32))
}

/// RSASSA-PKCS1-v1_5 or RSASSA-PSS by a key of 2048 bits (RFC 8471, sections 3.2 and 3.3).
fn rsa_signed(
    (modulus, exponent): (&[u8], &[u8]),
    parameters: KeyParameters,
    signature: &[u8],
    input: &[u8],
) -> Holds {
    // Leading zero bytes are not written, so that a key has one ID only.
    let leading_zero = modulus.first() == Some(&0) || exponent.first() == Some(&0);
    let (modulus, exponent) = (BigNum::from_slice(modulus)?, BigNum::from_slice(exponent)?);
    if leading_zero || modulus.num_bits() != 2048 {
        return Ok(None);
    }
    let key = PKey::from_rsa(Rsa::from_public_components(modulus, exponent)?)?;
    let mut verifier = Verifier::new(MessageDigest::sha256(), &key)?;
    if parameters == KeyParameters::Rsa2048Pss {
        verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32))?;
    }
    // An error says that the signature has another length or padding: it does not hold.
    Ok(Some(verifier.verify_oneshot(signature, input).unwrap_or(false)))
}
