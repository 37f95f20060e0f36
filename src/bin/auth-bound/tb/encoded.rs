//! A Token Binding message as it travels in `Sec-Token-Binding`: base64url without padding
//! (RFC 8473, section 2).

use std::path::Path;

use auth_bound::jose::base64url;
use auth_bound::token_binding::{BindingType, TokenBinding, TokenBindingId, message};

use super::binding_key::Proof;
use crate::fault::Fault;
use crate::files;

/// The bytes of the message in the argument or, where that is `-` or absent, on standard input.
pub(super) fn read(argument: Option<&str>) -> Result<Vec<u8>, Fault> {
    let text = match argument {
        Some(text) if text != "-" => text.as_bytes().to_vec(),
        Some(_) | None => files::read(Path::new("-"))?,
    };
    match text.trim_ascii() {
        [] => Err(Fault::new("no message: give it as the argument or on standard input")),
        text => base64url::decode(text)
            .ok_or_else(|| Fault::new("the message is not canonical base64url without padding")),
    }
}

/// The bindings of a message.
pub(super) fn bindings(message: &[u8]) -> Result<Vec<TokenBinding<'_>>, Fault> {
    TokenBinding::read_all(message).map_err(|error| {
        Fault::new(format_args!("not a Token Binding message: it departs at {}", error.0))
    })
}

/// The message of these proofs.
pub(super) fn write(proofs: &[Proof]) -> Result<String, Fault> {
    let bindings = proofs.iter().map(binding).collect::<Result<Vec<_>, _>>()?;
    Ok(base64url::encode(message(&bindings)))
}

fn binding(proof: &Proof) -> Result<TokenBinding<'_>, Fault> {
    let Proof { binding_type, id, signature } = proof;
    let id = TokenBindingId::parse(id).map_err(|error| Fault::new(error.0))?;
    Ok(TokenBinding { binding_type: *binding_type, id, signature, extensions: &[] })
}

/// A type of bindings in words; one that has no name as it stands in `Sec-Other-Token-Binding-ID`
/// (draft-ietf-tokbind-ttrp-09, section 2.1).
pub(super) fn type_name(binding_type: BindingType) -> String {
    match binding_type {
        BindingType::Provided => "provided".to_owned(),
        BindingType::Referred => "referred".to_owned(),
        BindingType::Other(number) => format!("{number:02x}"),
    }
}
