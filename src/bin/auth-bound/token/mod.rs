//! `auth-bound token`.

mod inspect;
mod issue;
mod verify;

use clap::Subcommand;

use crate::fault::Fault;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Issue a token, bound to a certificate
    Issue(issue::Arguments),
    /// Verify a token as the module would, and print its claims
    Verify(verify::Arguments),
    /// Show what a token says, without believing it, and which checks it would fail
    Inspect(inspect::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<(), Fault> {
    match command {
        Command::Issue(arguments) => issue::issue(arguments),
        Command::Verify(arguments) => verify::verify(arguments),
        Command::Inspect(arguments) => inspect::inspect(arguments),
    }
}
