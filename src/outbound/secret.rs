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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test may")]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// A directory of this test's own, gone afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("secret-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn secret(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.0.join(name);
            let bytes: [u8; 32] = std::array::from_fn(|place| u8::try_from(place).unwrap());
            fs::write(&path, Secret::from_bytes(bytes).to_file()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn fault(path: &Path) -> String {
        secret_file(path).map(drop).unwrap_err()
    }

    #[test]
    fn a_secret_is_a_file_that_nobody_else_may_use() {
        let folder = Folder::new("modes");
        assert!(secret_file(&folder.secret("good", 0o600)).is_ok());
        assert!(secret_file(&folder.secret("read-only", 0o400)).is_ok());
        for mode in [0o640, 0o604, 0o620, 0o601] {
            let fault = fault(&folder.secret("open", mode));
            assert!(fault.contains(&format!("its mode is {mode:o}")), "{fault}");
        }
        assert!(fault(&folder.0).contains("not a file"));
        assert!(fault(&folder.0.join("none")).contains("No such file"));
    }

    #[test]
    fn a_pipe_does_not_hold_up_the_start() {
        let folder = Folder::new("pipe");
        let pipe = folder.0.join("pipe");
        let made = Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(fault(&pipe).contains("not a file"));
    }

    #[test]
    fn a_secret_belongs_to_root_or_to_who_starts_the_server() {
        let folder = Folder::new("owner");
        let path = folder.secret("another's", 0o600);
        if chown(&path, Some(65_534), None).is_err() {
            eprintln!("skipped: only root can give a file away");
            return;
        }
        assert!(fault(&path).contains("it belongs to user 65534"));
    }
}
