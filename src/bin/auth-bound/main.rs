//! `auth-bound`: what an operator needs besides the module. Keys, tokens bound to a certificate,
//! and an answer to the question why a token is refused.

mod cookie;
mod fault;
mod files;
mod keys;
mod output;
mod page;
mod printable;
mod private_key;
mod secret;
mod tb;
mod thumbprint;
mod time;
mod token;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use fault::Fault;

/// Works with access tokens that are bound to their client's certificate (RFC 8705).
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples, from a new key to an accepted token:
  auth-bound keys new --alg ES256 --out key.pem
  auth-bound keys jwks key.pem > jwks.json
  auth-bound token issue --key key.pem --issuer https://issuer.example \\
      --audience https://api.example --subject alice --cert alice.pem > alice.token
  auth-bound token verify --jwks jwks.json --issuer https://issuer.example \\
      --audience https://api.example --cert alice.pem - < alice.token

The exit status is 0 for success, 1 for a refused token or an error, 2 for wrong usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a certificate's thumbprint as it stands in a token's cnf (x5t#S256)
    Thumbprint(thumbprint::Arguments),
    /// Make signing keys and publish their public halves
    #[command(subcommand)]
    Keys(keys::Command),
    /// Issue, verify and inspect access tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Make and verify Token Binding messages, and ask servers for something with Token Binding
    #[command(subcommand)]
    Tb(tb::Command),
    /// Make secrets to seal cookies with
    #[command(subcommand)]
    Secret(secret::Command),
    /// Seal, open and inspect bound cookies
    #[command(subcommand)]
    Cookie(cookie::Command),
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            output::note(&fault);
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), Fault> {
    match command {
        Command::Thumbprint(arguments) => thumbprint::print(arguments),
        Command::Keys(command) => keys::run(command),
        Command::Token(command) => token::run(command),
        Command::Tb(command) => tb::run(command),
        Command::Secret(command) => secret::run(command),
        Command::Cookie(command) => cookie::run(command),
    }
}
