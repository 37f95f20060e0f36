//! Which PINs were refused, known to all processes of a server.
//!
//! A token locks itself after a few wrong PINs, and each process logs in for itself. So they log in
//! one after the other, and what one was refused with none tries again. They know it from a file
//! without a name, inherited over a fork: a hash for each refusal.
#![allow(clippy::disallowed_types, reason = "this module does the I/O")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use openssl::sha::Sha256;
use rustix::fs::{FlockOperation, MemfdFlags, fcntl_lock, memfd_create};
use rustix::io::Errno;

use super::Pkcs11Fault;

/// How often a process looks whether it is its turn, with pauses: for ten seconds at least.
const LOOKS: u32 = 1_000;
/// Short beside what a login takes.
const PAUSE: Duration = Duration::from_millis(10);
/// Bytes of a refusal.
const ENTRY: usize = 32;

/// The PINs that tokens have refused since the configuration was read.
#[derive(Debug, Default)]
pub struct RefusedPins {
    /// Made at the first login: that which tries the key, before the server forks.
    file: OnceLock<File>,
    /// The file's lock is the process's: among its threads this one decides.
    turn: Mutex<()>,
}

/// A PIN, and the token that it is for.
pub(super) struct Attempt([u8; ENTRY]);

impl Attempt {
    /// With `pin` at the token that these `names` tell from others.
    pub(super) fn new(names: &[&str], pin: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in names.iter().map(|name| name.as_bytes()).chain([pin]) {
            hash.update(&part.len().to_be_bytes());
            hash.update(part);
        }
        Self(hash.finish())
    }
}

impl RefusedPins {
    /// Does `log_in`, unless that was refused before.
    pub(super) fn unless_refused(
        &self,
        attempt: &Attempt,
        log_in: impl FnOnce() -> Result<(), Pkcs11Fault>,
    ) -> Result<(), Pkcs11Fault> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.file().map_err(unusable)?;
        lock(file)?;
        let outcome = match knows(file, attempt) {
            Ok(false) => log_in(),
            Ok(true) => Err(Pkcs11Fault::PinWrong),
            Err(error) => Err(unusable(error)),
        };
        let kept = match &outcome {
            Err(fault) if fault.is_of_the_pin() => keep(file, attempt),
            _ => Ok(()),
        };
        let unlocked = fcntl_lock(file, FlockOperation::Unlock).map_err(io::Error::from);
        outcome?;
        kept.and(unlocked).map_err(unusable)
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = memfd_create("auth_bound", MemfdFlags::CLOEXEC)?;
        Ok(self.file.get_or_init(|| file.into()))
    }
}

/// Takes the lock. The kernel is not asked to wait for it: it takes threads that wait for locks on
/// two files, as those of the replay store, for a deadlock.
fn lock(file: &File) -> Result<(), Pkcs11Fault> {
    for _ in 0..LOOKS {
        match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN | Errno::ACCESS) => thread::sleep(PAUSE),
            locked => return locked.map_err(|error| unusable(error.into())),
        }
    }
    Err(Pkcs11Fault::Busy)
}

fn knows(file: &File, attempt: &Attempt) -> io::Result<bool> {
    let mut entry = [0; ENTRY];
    for place in (0..file.metadata()?.len()).step_by(ENTRY) {
        file.read_exact_at(&mut entry, place)?;
        if entry == attempt.0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn keep(file: &File, attempt: &Attempt) -> io::Result<()> {
    file.write_all_at(&attempt.0, file.metadata()?.len())
}

fn unusable(error: io::Error) -> Pkcs11Fault {
    Pkcs11Fault::Memory(error)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const REFUSED: Result<(), Pkcs11Fault> = Err(Pkcs11Fault::PinWrong);

    /// Whether it was tried.
    fn tried(
        pins: &RefusedPins,
        attempt: &Attempt,
        outcome: impl FnOnce() -> Result<(), Pkcs11Fault>,
    ) -> bool {
        let tried = Cell::new(false);
        let told = pins.unless_refused(attempt, || {
            tried.set(true);
            outcome()
        });
        assert!(tried.get() || matches!(told, Err(Pkcs11Fault::PinWrong)));
        tried.get()
    }

    #[test]
    fn what_was_refused_is_not_tried_again() {
        let pins = RefusedPins::default();
        let wrong = Attempt::new(&["serial", "label"], b"1234");
        assert!(tried(&pins, &wrong, || REFUSED));
        assert!(!tried(&pins, &wrong, || Ok(())));
        for other in [
            Attempt::new(&["serial", "label"], b"1235"),
            Attempt::new(&["serial", "other"], b"1234"),
            Attempt::new(&["seriall", "abel"], b"1234"),
        ] {
            assert!(tried(&pins, &other, || REFUSED));
            assert!(!tried(&pins, &other, || Ok(())));
        }
        assert!(tried(&RefusedPins::default(), &wrong, || Ok(())), "read anew");
    }

    #[test]
    fn what_failed_or_went_well_may_be_tried_again() {
        let pins = RefusedPins::default();
        let attempt = Attempt::new(&["serial"], b"1234");
        assert!(tried(&pins, &attempt, || Ok(())));
        assert!(tried(&pins, &attempt, || Err(Pkcs11Fault::Call("C_Login".to_owned()))));
        assert!(tried(&pins, &attempt, || Err(Pkcs11Fault::PinLocked)));
        assert!(!tried(&pins, &attempt, || Ok(())));
    }
}
