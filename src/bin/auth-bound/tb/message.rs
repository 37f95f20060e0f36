//! `auth-bound tb message`.

use std::path::PathBuf;

use auth_bound::token_binding::{BindingType, Context, Ekm, KeyParameters};
use clap::Args;

use super::binding_key::BindingKey;
use super::{channel, encoded};
use crate::fault::Fault;
use crate::output;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound tb message --key tb.pem --ekm AYVUayPTP9RmELNpGjFl6Ykm2CUx7pUMxe35yb11dgU
  auth-bound tb message --key tb.pem --referred other.pem \\
      --context AQACAYVUayPTP9RmELNpGjFl6Ykm2CUx7pUMxe35yb11dgU

The message proves for one connection, which its exported keying material stands for, to hold the
keys. `auth-bound tb get` makes its messages itself.")]
pub(crate) struct Arguments {
    /// The private key of the provided binding, in PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The connection's exported keying material, in base64url
    #[arg(long, value_name = "EKM", required_unless_present = "context", allow_hyphen_values = true,
        value_parser = channel::ekm_parser)]
    ekm: Option<Ekm>,
    /// What the connection negotiated [default: the first that the key does]
    #[arg(long, value_name = "PARAMETERS", value_parser = channel::key_parameters_parser())]
    key_parameters: Option<KeyParameters>,
    /// Both of them, as in Token-Binding-Context
    #[arg(long, conflicts_with_all = ["ekm", "key_parameters"],
        value_parser = channel::context_parser)]
    context: Option<Context>,
    /// The private key of a referred binding, in PEM
    #[arg(long, value_name = "FILE")]
    referred: Option<PathBuf>,
    /// The key parameters of the referred binding [default: the first that the key does]
    #[arg(long, value_name = "PARAMETERS", requires = "referred",
        value_parser = channel::key_parameters_parser())]
    referred_key_parameters: Option<KeyParameters>,
}

pub(crate) fn print(arguments: &Arguments) -> Result<(), Fault> {
    let key = BindingKey::read(&arguments.key)?;
    let referred = arguments.referred.as_deref().map(BindingKey::read).transpose()?;
    let parameters = arguments.context.map(|context| context.parameters.key_parameters);
    let parameters = key.choose(parameters.or(arguments.key_parameters))?;
    let context = arguments
        .context
        .or_else(|| arguments.ekm.map(|ekm| channel::context(parameters, ekm)))
        .ok_or_else(|| Fault::new("neither --ekm nor --context"))?;
    let mut proofs = vec![key.prove(BindingType::Provided, parameters, &context)?];
    if let Some(key) = referred {
        let parameters = key.choose(arguments.referred_key_parameters)?;
        proofs.push(key.prove(BindingType::Referred, parameters, &context)?);
    }
    output::print(&encoded::write(&proofs)?)
}
