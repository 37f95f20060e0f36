//! `auth-bound token verify`.

use std::path::PathBuf;
use std::sync::Arc;

use auth_bound::jose::KeyRing;
use auth_bound::refusal::{Reason, Refusal};
use auth_bound::token::{self, Failure, Timestamp, Verified};
use auth_bound::{Policy, Possessions};
use clap::Args;

use crate::fault::Fault;
use crate::{files, output, time};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound token verify --jwks jwks.json --issuer https://issuer.example \\
      --audience https://api.example --cert alice.pem - < alice.token

An accepted token's claims are printed as JSON. A refused one gets the line that the server would
log, such as AB1212 for another client's certificate, and exit status 1. Prefer standard input:
arguments can be seen by other users of the machine.")]
pub(crate) struct Arguments {
    /// The issuer's JWK Set
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// The issuer that is trusted (iss)
    #[arg(long)]
    issuer: String,
    /// The audience that the token must be for (aud)
    #[arg(long)]
    audience: String,
    /// The certificate that the client presents, in PEM or DER
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Admit tokens that are bound to nothing
    #[arg(long)]
    bearer: bool,
    /// Verify as if it were this time: seconds since 1970, or UTC as in 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<Timestamp>,
    /// The token; - or nothing for standard input
    token: Option<String>,
}

pub(crate) fn verify(arguments: &Arguments) -> Result<(), Fault> {
    let keys = files::key_set(&arguments.jwks)?;
    let certificate = arguments.cert.as_deref().map(files::certificate).transpose()?;
    let possessions = Possessions { certificate: certificate.as_ref(), ..Possessions::default() };
    let unused: Vec<_> = keys.skipped().to_vec();
    let policy = Policy::new()
        .map_err(Fault::new)?
        .trust(&arguments.issuer, Arc::new(KeyRing::holding(keys)))
        .audience(&arguments.audience)
        .with(|settings| settings.bearer.0 = arguments.bearer);
    let token = files::token(arguments.token.as_deref())?;
    match judge(&token, &policy, &possessions, arguments.at.unwrap_or_else(time::now)) {
        Ok(verified) => {
            output::print(&format!("{:#}", serde_json::json!(verified.claims())))?;
            output::note(format_args!("accepted, {}", proof(&verified)));
            Ok(())
        }
        Err(refusal) => {
            if refusal.reason() == Reason::KeyUnknown {
                for (key_id, fault) in unused {
                    let name =
                        key_id.map_or_else(|| "without kid".to_owned(), |id| format!("{id:?}"));
                    let text = format_args!("its key {name} is not used: {fault}");
                    output::note(Fault::of_file(&arguments.jwks, text));
                }
            }
            Err(refusal.into())
        }
    }
}

fn judge(
    token: &str,
    policy: &Policy,
    possessions: &Possessions<'_>,
    now: Timestamp,
) -> Result<Verified, Refusal> {
    let verified = token::verify(token, policy, now).map_err(|failure| match failure {
        Failure::Refused(refusal) => refusal,
        // There are no newer keys than those of the file.
        Failure::NeedsKeys(needed) => {
            needed.otherwise.unwrap_or_else(|| Reason::KeysUnavailable.into())
        }
    })?;
    verified.judge(policy, possessions, now)?;
    Ok(verified)
}

fn proof(verified: &Verified) -> String {
    let names: Vec<_> = verified.methods().map(|method| method.name()).collect();
    if names.is_empty() {
        "bound to nothing".to_owned()
    } else {
        format!("bound to the client's {}", names.join(" and "))
    }
}
