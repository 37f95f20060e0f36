//! `auth-bound thumbprint`.

use std::path::PathBuf;

use clap::Args;

use crate::fault::Fault;
use crate::{files, output};

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  auth-bound thumbprint alice.pem

It is the SHA-256 of the certificate's DER encoding in base64url without padding.")]
pub(crate) struct Arguments {
    /// The certificate, in PEM or DER; - for standard input
    cert: PathBuf,
}

pub(crate) fn print(arguments: &Arguments) -> Result<(), Fault> {
    let certificate = files::certificate(&arguments.cert)?;
    output::print(&certificate.thumbprint().to_string())
}
