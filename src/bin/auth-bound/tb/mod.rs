//! `auth-bound tb`: the client's side of Token Binding (RFC 8471 to 8473), and an opinion of its
//! own about what a client sent.

mod binding_key;
mod channel;
mod encoded;
mod get;
mod inspect;
mod key;
mod message;
mod verify;

use clap::Subcommand;

use crate::fault::Fault;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make Token Binding keys, and show what servers know them by
    #[command(subcommand)]
    Key(key::Command),
    /// Show what a Token Binding message says, without believing it
    Inspect(inspect::Arguments),
    /// Verify a Token Binding message for a connection
    Verify(verify::Arguments),
    /// Make the Token Binding message of a connection
    Message(message::Arguments),
    /// Ask a server for something, with Token Binding
    Get(Box<get::Arguments>),
}

pub(crate) fn run(command: &Command) -> Result<(), Fault> {
    match command {
        Command::Key(command) => key::run(command),
        Command::Inspect(arguments) => inspect::inspect(arguments),
        Command::Verify(arguments) => verify::verify(arguments),
        Command::Message(arguments) => message::print(arguments),
        Command::Get(arguments) => get::get(arguments),
    }
}
