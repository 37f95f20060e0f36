//! What the command says: results on standard output, everything else on standard error.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use crate::fault::Fault;
use crate::printable::printable;

/// Prints a result. A reader that has seen enough is no error.
pub(crate) fn print(text: &str) -> Result<(), Fault> {
    let mut out = io::stdout();
    let written = writeln!(out, "{}", printable(text)).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Fault::new(format_args!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says something about the result.
pub(crate) fn note(text: impl fmt::Display) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "auth-bound: {text}");
}
