//! `auth-bound token issue`.

use std::path::PathBuf;

use auth_bound::jose::{Algorithm, base64url};
use auth_bound::token::TokenRequest;
use auth_bound::{Confirmation, Thumbprint};
use clap::Args;
use serde_json::Value;

use crate::fault::Fault;
use crate::{files, output, private_key, time};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound token issue --key key.pem --issuer https://issuer.example \\
      --audience https://api.example --subject alice --cert alice.pem --scope 'read write'
  auth-bound token issue --key key.pem --issuer https://issuer.example \\
      --audience https://api.example --subject job --unbound --lifetime 5m \\
      --claim 'groups=[\"admin\",\"audit\"]' --claim level=3 --claim department=sales

The token is a JWT access token as in RFC 9068.")]
pub(crate) struct Arguments {
    /// The private key to sign with, in PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The key's name in the token [default: as noted in the file, or its thumbprint]
    #[arg(long, value_parser = private_key::key_id_parser)]
    kid: Option<String>,
    /// The algorithm [default: as noted in the file, or the first of the key's type]
    #[arg(long, value_parser = private_key::algorithm_parser())]
    alg: Option<Algorithm>,
    /// Who issues the token (iss)
    #[arg(long)]
    issuer: String,
    /// Whom the token is for (aud)
    #[arg(long)]
    audience: String,
    /// Whom the token is about (sub)
    #[arg(long)]
    subject: String,
    /// The client that the token is issued to (client_id) [default: the subject]
    #[arg(long, value_name = "CLIENT")]
    client_id: Option<String>,
    #[command(flatten)]
    binding: Binding,
    /// How long the token is good for: a number with its unit s, m, h or d
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = time::parse_lifetime)]
    lifetime: i64,
    /// The scopes, divided by spaces
    #[arg(long)]
    scope: Option<String>,
    /// A further claim, or another value for one: JSON, or else text; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    claim: Vec<(String, Value)>,
    /// The token's media type (typ)
    #[arg(long, default_value = "at+jwt")]
    typ: String,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Binding {
    /// The certificate that the token is bound to, in PEM or DER
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The hash of the Token Binding ID that the token is bound to (tbh), as `auth-bound tb key id`
    /// prints it
    #[arg(long, value_name = "HASH", value_parser = token_binding_hash)]
    tbh: Option<Thumbprint>,
    /// Bind the token to nothing, so that anybody may use it who has it
    #[arg(long)]
    unbound: bool,
}

fn token_binding_hash(text: &str) -> Result<Thumbprint, &'static str> {
    Thumbprint::parse(text).map_err(|_| "expected a SHA-256 hash in base64url, 43 characters")
}

pub(crate) fn issue(arguments: &Arguments) -> Result<(), Fault> {
    let key = private_key::read(&arguments.key, arguments.kid.as_deref(), arguments.alg)?;
    let client = arguments.client_id.as_ref().unwrap_or(&arguments.subject);
    let mut token = TokenRequest::new(
        &arguments.issuer,
        &arguments.subject,
        &arguments.audience,
        time::now(),
        arguments.lifetime,
    )
    .media_type(&arguments.typ)
    .claim("client_id", client.as_str())
    .claim("jti", token_id()?);
    if let Some(path) = &arguments.binding.cert {
        let certificate = files::certificate(path)?;
        token = token.bound_to(&Confirmation::certificate(certificate.thumbprint()));
    }
    if let Some(hash) = arguments.binding.tbh {
        token = token.bound_to(&Confirmation::token_binding(hash));
    }
    if let Some(scope) = &arguments.scope {
        token = token.claim("scope", scope.as_str());
    }
    for (name, value) in &arguments.claim {
        token = token.claim(name, value.clone());
    }
    output::print(&token.sign(&key).map_err(Fault::new)?)
}

/// A `jti` that no other token has: 128 random bits.
fn token_id() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    openssl::rand::rand_bytes(&mut bytes)
        .map_err(|_| Fault::new("OpenSSL has no random numbers"))?;
    Ok(base64url::encode(bytes))
}

/// For clap: a claim's name and value.
fn claim(text: &str) -> Result<(String, Value), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok((name.to_owned(), value))
        }
        Some(_) | None => Err("expected a name, = and a value"),
    }
}
