//! `auth-bound secret`.

use std::path::PathBuf;

use auth_bound::cookie::Secret;
use clap::{Args, Subcommand};
use openssl::rand::rand_bytes;

use crate::fault::Fault;
use crate::{files, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new secret to seal cookies with
    New(New),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  auth-bound secret new --out cookies-2026.secret

The secret is one line. The file is for its owner's eyes only (mode 0600); one that exists already
is left alone. Servers that share sessions share the file.")]
pub(crate) struct New {
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(command: &Command) -> Result<(), Fault> {
    match command {
        Command::New(arguments) => new(arguments),
    }
}

fn new(arguments: &New) -> Result<(), Fault> {
    let mut bytes = [0; 32];
    rand_bytes(&mut bytes).map_err(Fault::new)?;
    let file = Secret::from_bytes(bytes).to_file();
    match &arguments.out {
        Some(path) => files::create_secret(path, &file),
        None => output::print(String::from_utf8_lossy(&file).trim_end()),
    }
}
