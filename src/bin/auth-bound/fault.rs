//! What went wrong, in one line.

use std::fmt;
use std::path::Path;

use auth_bound::refusal::Refusal;

use crate::printable::printable;

/// Why the command fails.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl Fault {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }

    pub(crate) fn of_file(path: &Path, text: impl fmt::Display) -> Self {
        Self(format!("{}: {text}", path.display()))
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0).replace('\n', " "))
    }
}
