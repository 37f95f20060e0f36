//! `auth-bound cookie`.

mod inspect;
mod open;
mod seal;
mod setting;

use clap::Subcommand;

use crate::fault::Fault;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Seal a value as the module would, for tests and migrations
    Seal(seal::Arguments),
    /// Open a sealed cookie as the module would, and print the application's value
    Open(open::Arguments),
    /// Show what a sealed cookie is bound to and where it counts, without its value
    Inspect(inspect::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<(), Fault> {
    match command {
        Command::Seal(arguments) => seal::seal(arguments),
        Command::Open(arguments) => open::open(arguments),
        Command::Inspect(arguments) => inspect::inspect(arguments),
    }
}
