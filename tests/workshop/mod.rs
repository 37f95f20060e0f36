//! A place to run the command `auth-bound` in, as an operator runs it. Each test file adds what it
//! needs besides.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A directory to work in, gone afterwards.
pub(crate) struct Workshop(pub(crate) PathBuf);

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Standard output, of a command that succeeded.
    pub(crate) fn good(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.stdout
    }

    /// Exit status 1, nothing on standard output, one line on standard error.
    pub(crate) fn refused(&self, line: &str) {
        assert_eq!((self.status, self.stdout.as_str()), (1, ""), "{self:?}");
        assert!(self.stderr.starts_with("auth-bound: "), "{self:?}");
        assert_eq!(self.stderr.matches('\n').count(), 1, "{self:?}");
        assert!(self.stderr.contains(line), "expected {line}: {self:?}");
    }

    /// Exit status 2, and a line that says how it is used.
    pub(crate) fn misused(&self, line: &str) {
        assert_eq!(self.status, 2, "{self:?}");
        assert!(self.stderr.contains(line), "expected {line}: {self:?}");
    }
}

impl Workshop {
    pub(crate) fn new(name: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{}-{name}-{}", module_path!(), std::process::id()).replace("::", "-"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    /// Runs `auth-bound` with these words.
    pub(crate) fn run(&self, words: &str) -> Answer {
        self.feed(words, b"")
    }

    pub(crate) fn feed(&self, words: &str, stdin: impl AsRef<[u8]>) -> Answer {
        let words: Vec<_> = words.split_whitespace().collect();
        self.start(&words, stdin.as_ref())
    }

    pub(crate) fn start(&self, arguments: &[&str], stdin: &[u8]) -> Answer {
        let mut child = Command::new(env!("CARGO_BIN_EXE_auth-bound"))
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        Answer {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
