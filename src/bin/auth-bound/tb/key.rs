//! `auth-bound tb key`.

use std::path::PathBuf;

use auth_bound::jose::base64url;
use auth_bound::token_binding::KeyParameters;
use clap::{Args, Subcommand};

use super::binding_key::{BindingKey, tbh};
use super::channel;
use crate::fault::Fault;
use crate::{files, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new key
    New(New),
    /// Print the Token Binding IDs of a key and their hashes
    Id(Id),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  auth-bound tb key new --out tb.pem

The key is PKCS#8 in PEM. An RSA key does both rsa2048_pss and rsa2048_pkcs1.5; which of them is
settled when it is used. The file is for its owner's eyes only (mode 0600); one that exists already
is left alone.")]
pub(crate) struct New {
    /// What the key is to do
    #[arg(long, default_value = "ecdsap256", value_name = "PARAMETERS",
        value_parser = channel::key_parameters_parser())]
    parameters: KeyParameters,
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound tb key id tb.pem
  auth-bound tb key id --key-parameters rsa2048_pkcs1.5 rsa.pem | cut -d ' ' -f 3

Each line has key parameters, Token Binding ID, and the ID's hash as it stands in a token's cnf
(tbh). The parameters are part of the ID: an RSA key has two.")]
pub(crate) struct Id {
    /// Print the ID for these parameters only
    #[arg(long, value_name = "PARAMETERS", value_parser = channel::key_parameters_parser())]
    key_parameters: Option<KeyParameters>,
    /// The private key in PEM; - for standard input
    key: PathBuf,
}

pub(crate) fn run(command: &Command) -> Result<(), Fault> {
    match command {
        Command::New(arguments) => new(arguments),
        Command::Id(arguments) => id(arguments),
    }
}

fn new(arguments: &New) -> Result<(), Fault> {
    let pem = BindingKey::generate(arguments.parameters)?.to_pem()?;
    match &arguments.out {
        Some(path) => files::create_secret(path, &pem),
        None => output::print(String::from_utf8_lossy(&pem).trim_end()),
    }
}

fn id(arguments: &Id) -> Result<(), Fault> {
    let key = BindingKey::read(&arguments.key)?;
    let parameters = match arguments.key_parameters {
        Some(meant) => vec![key.choose(Some(meant))?],
        None => key.abilities().to_vec(),
    };
    let line = |parameters: &KeyParameters| -> Result<String, Fault> {
        let id = key.id(*parameters)?;
        Ok(format!("{} {} {}", parameters.name(), base64url::encode(&id), tbh(&id)))
    };
    let lines = parameters.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    output::print(&lines.join("\n"))
}
