//! `auth-bound keys`.

use std::path::PathBuf;

use auth_bound::jose::{Algorithm, SigningKey};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::{files, output, private_key};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new signing key
    New(New),
    /// Print the public halves of signing keys as a JWK Set, as an issuer publishes it
    Jwks(Jwks),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  auth-bound keys new --alg ES256 --out key.pem

The key is PKCS#8 in PEM, under two lines that note its kid and alg. The file is for its owner's
eyes only (mode 0600); one that exists already is left alone.")]
pub(crate) struct New {
    /// The algorithm that the key is to sign with
    #[arg(long, value_parser = private_key::algorithm_parser())]
    alg: Algorithm,
    /// The key's name in tokens and JWK Sets [default: its thumbprint, RFC 7638]
    #[arg(long, value_parser = private_key::key_id_parser)]
    kid: Option<String>,
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound keys jwks key.pem > jwks.json
  auth-bound keys jwks --alg PS256 old-rsa.pem new-rsa.pem

The key's kid and alg are those that `auth-bound keys new` noted in the file; for other files the
thumbprint and the first algorithm of the key's type, which is RS256 for RSA keys.")]
pub(crate) struct Jwks {
    /// Private keys in PEM; - for standard input
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<PathBuf>,
    /// The name to publish a key under; with several keys, once for each, in their order
    #[arg(long, value_parser = private_key::key_id_parser)]
    kid: Vec<String>,
    /// The algorithm to publish every key for
    #[arg(long, value_parser = private_key::algorithm_parser())]
    alg: Option<Algorithm>,
}

pub(crate) fn run(command: &Command) -> Result<(), Fault> {
    match command {
        Command::New(arguments) => new(arguments),
        Command::Jwks(arguments) => jwks(arguments),
    }
}

fn new(arguments: &New) -> Result<(), Fault> {
    let key = private_key::generate(arguments.alg, arguments.kid.as_deref())?;
    let pem = private_key::to_pem(&key)?;
    match &arguments.out {
        Some(path) => files::create_secret(path, &pem),
        None => output::print(String::from_utf8_lossy(&pem).trim_end()),
    }
}

fn jwks(arguments: &Jwks) -> Result<(), Fault> {
    let names = &arguments.kid;
    if !names.is_empty() && names.len() != arguments.keys.len() {
        return Err(Fault::new(format_args!(
            "--kid: got {}, expected one for each of {} keys, or none",
            names.len(),
            arguments.keys.len()
        )));
    }
    let mut keys: Vec<SigningKey> = Vec::new();
    for (place, path) in arguments.keys.iter().enumerate() {
        let name = names.get(place).map(String::as_str);
        let key = private_key::read(path, name, arguments.alg)?;
        if keys.iter().any(|other| other.key_id() == key.key_id()) {
            let text = format_args!("a second key with the kid {}", key.key_id());
            return Err(Fault::of_file(path, text));
        }
        keys.push(key);
    }
    let jwks = keys
        .iter()
        .map(|key| key.public_jwk().map(Value::Object))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Fault::new)?;
    output::print(&format!("{:#}", json!({ "keys": jwks })))
}
