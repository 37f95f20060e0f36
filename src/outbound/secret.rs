//! Reading a secret's file.
#![allow(clippy::disallowed_types, reason = "this is where files are read")]

use std::fs::{Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
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
    // A pipe must not keep the server from starting.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| told(&error))?;
    let metadata = file.metadata().map_err(|error| told(&error))?;
    kept_safe(&metadata).map_err(|fault| told(&fault))?;
    let mut content = Zeroizing::new(Vec::with_capacity(512));
    file.take(LONGEST).read_to_end(&mut content).map_err(|error| told(&error))?;
    Secret::parse(&content).map_err(|error| told(&error))
}

/// Whether only root or this process's user may use the file.
fn kept_safe(metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("its mode is {mode:o}, so that others may use it; expected 600"));
    }
    let owner = metadata.uid();
    let own = std::fs::metadata("/proc/self").map(|process| process.uid());
    if owner == 0 || own.is_ok_and(|own| own == owner) {
        Ok(())
    } else {
        Err(format!("it belongs to user {owner}; expected root, or who starts the server"))
    }
}
