//! Reading the files of secrets, keys and credentials.
#![allow(clippy::disallowed_types, reason = "this is where files are read")]

use std::fs::{Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::cookie::Secret;
use crate::exchange::CredentialFile;

/// Longer than any secret's file.
const LONGEST_SECRET: u64 = 256;
/// Longer than any private key's file.
const LONGEST_KEY: u64 = 65_536;
/// Room for a million credentials.
const LONGEST_CREDENTIALS: u64 = 128 * 1024 * 1024;

/// What a file's mode must not allow.
#[derive(Clone, Copy, Debug)]
struct Limits {
    forbidden: u32,
    expected: &'static str,
    length: u64,
}

/// Nobody but the owner.
const SECRET: Limits = Limits { forbidden: 0o077, expected: "600", length: LONGEST_SECRET };
/// Nobody but the owner and a group, as Debian keeps the keys of servers.
const KEY: Limits = Limits { forbidden: 0o027, expected: "600 or 640", length: LONGEST_KEY };
/// Hashes may be read, but not written: who can add a line can be anybody.
const CREDENTIALS: Limits =
    Limits { forbidden: 0o022, expected: "600, 640 or 644", length: LONGEST_CREDENTIALS };

/// Reads a secret from a file that nobody but its owner may read or write.
///
/// # Errors
/// What is wrong with the file: never its content.
pub(crate) fn secret_file(path: &Path) -> Result<Secret, String> {
    Secret::parse(&content(path, SECRET)?).map_err(|error| told(path, &error))
}

/// Reads at most `longest` bytes of a file that nobody but its owner may read or write.
///
/// # Errors
/// What is wrong with the file: never its content.
pub(crate) fn private_file(path: &Path, longest: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    content(path, Limits { length: longest, ..SECRET })
}

/// Reads the PEM of a private key.
///
/// # Errors
/// What is wrong with the file: never its content.
pub(crate) fn key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    content(path, KEY)
}

/// Reads a file of hashed credentials.
///
/// # Errors
/// What is wrong with the file: never its content.
pub(crate) fn credential_file(path: &Path) -> Result<CredentialFile, String> {
    let content = content(path, CREDENTIALS)?;
    let text = std::str::from_utf8(&content).map_err(|_| told(path, &"not UTF-8"))?;
    CredentialFile::parse(text).map_err(|error| told(path, &error))
}

fn told(path: &Path, reason: &dyn std::fmt::Display) -> String {
    format!("{}: {reason}", path.display())
}

fn content(path: &Path, limits: Limits) -> Result<Zeroizing<Vec<u8>>, String> {
    // A pipe must not keep the server from starting.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| told(path, &error))?;
    let metadata = file.metadata().map_err(|error| told(path, &error))?;
    kept_safe(&metadata, limits).map_err(|fault| told(path, &fault))?;
    // All of it at once: a buffer that grows leaves copies behind.
    let length = metadata.len().min(limits.length);
    let capacity = usize::try_from(length).unwrap_or_default().saturating_add(1);
    let mut content = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(limits.length).read_to_end(&mut content).map_err(|error| told(path, &error))?;
    Ok(content)
}

/// Whether the file is root's or this process's user's, and no others may use it more than `limits`
/// say.
fn kept_safe(metadata: &Metadata, limits: Limits) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    let mode = metadata.mode() & 0o777;
    if mode & limits.forbidden != 0 {
        let expected = limits.expected;
        return Err(format!(
            "its mode is {mode:o}, so that others may use it; expected {expected}"
        ));
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
    fn a_group_may_read_a_key_and_all_may_read_hashes() {
        let folder = Folder::new("group");
        for (mode, key, credentials) in
            [(0o600, true, true), (0o640, true, true), (0o644, false, true), (0o660, false, false)]
        {
            let path = folder.secret("file", mode);
            fs::write(&path, "").unwrap();
            assert_eq!(key_file(&path).is_ok(), key, "{mode:o}");
            assert_eq!(credential_file(&path).is_ok(), credentials, "{mode:o}");
        }
        let path = folder.secret("hashes", 0o600);
        fs::write(&path, "# none\nx y\n").unwrap();
        let fault = credential_file(&path).unwrap_err();
        assert!(fault.contains("hashes: line 2: the hash is not SHA-256"), "{fault}");
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
