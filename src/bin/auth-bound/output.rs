//! What the command says: results on standard output, everything else on standard error.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use crate::fault::Fault;

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

/// `text` with control characters written out, so that a token cannot speak to the terminal. In
/// JSON they can only occur within strings, where this is how to write them.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            printable.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            printable.push(c);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_speaks_to_the_terminal() {
        assert_eq!(
            printable("{\n \"a\": \"\u{1b}[1m\u{9b}\u{7f}ü\"\n}"),
            "{\n \"a\": \"\\u001b[1m\\u009b\\u007fü\"\n}"
        );
    }
}
