//! Reading a secret's file.
#![allow(clippy::disallowed_types, reason = "this is where files are read")]

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::cookie::Secret;

/// Longer than any secret's file.
const LONGEST: u64 = 256;

/// Reads a secret from a file that nobody but its owner may read or write.
///
/// # Errors
/// What is wrong with the file: never its content.
pub(crate) fn secret_file(path: &Path) -> Result<Secret, String> {
    let told = |reason: &dyn std::fmt::Display| format!("{}: {reason}", path.display());
    let file = File::open(path).map_err(|error| told(&error))?;
    let metadata = file.metadata().map_err(|error| told(&error))?;
    if !metadata.is_file() {
        return Err(told(&"not a file"));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        let fault = format!("its mode is {mode:o}, so that others may use it; expected 600");
        return Err(told(&fault));
    }
    let mut content = Zeroizing::new(Vec::with_capacity(512));
    file.take(LONGEST).read_to_end(&mut content).map_err(|error| told(&error))?;
    Secret::parse(&content).map_err(|error| told(&error))
}
