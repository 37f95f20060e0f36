//! `auth-bound tb inspect`.

use auth_bound::jose::base64url;
use auth_bound::token_binding::{BindingType, TokenBinding};
use clap::Args;
use serde_json::{Value, json};

use super::binding_key::tbh;
use super::encoded;
use crate::fault::Fault;
use crate::output;

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  auth-bound tb inspect - < message

Types and key parameters that have no name stand as their numbers. Nothing is verified: use
`auth-bound tb verify`.")]
pub(crate) struct Arguments {
    /// The value of Sec-Token-Binding; - or nothing for standard input
    message: Option<String>,
}

pub(crate) fn inspect(arguments: &Arguments) -> Result<(), Fault> {
    let message = encoded::read(arguments.message.as_deref())?;
    let bindings: Vec<_> = encoded::bindings(&message)?.iter().map(shown).collect();
    output::print(&format!("{:#}", json!({ "bindings": bindings })))
}

fn shown(binding: &TokenBinding<'_>) -> Value {
    let id = binding.id;
    let binding_type = match binding.binding_type {
        BindingType::Other(number) => json!(number),
        named @ (BindingType::Provided | BindingType::Referred) => json!(encoded::type_name(named)),
    };
    json!({
        "type": binding_type,
        "key_parameters": id.key_parameters().map_or_else(|| json!(id.number()), |p| json!(p.name())),
        "id": base64url::encode(id.bytes()),
        "tbh": tbh(id.bytes()),
        "signature_length": binding.signature.len(),
        "extensions": base64url::encode(binding.extensions),
    })
}
