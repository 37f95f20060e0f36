//! Logging in to a token.

use std::path::Path;
use std::sync::Arc;

use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::TokenInfo;
use cryptoki::types::RawAuthPin;
use zeroize::Zeroizing;

use super::Pkcs11Fault;
use super::refused_pins::{Attempt, RefusedPins};
use crate::outbound::secret::private_file;

/// Longer than any PIN.
const LONGEST_PIN: u64 = 256;

/// What a key's user logs in with.
pub(super) struct Login {
    pin: Option<Zeroizing<Vec<u8>>>,
    refused: Arc<RefusedPins>,
}

impl Login {
    /// With the PIN in this file, if there is one, and unless it is among `refused`.
    pub(super) fn read(
        pin_source: Option<&Path>,
        refused: &Arc<RefusedPins>,
    ) -> Result<Self, Pkcs11Fault> {
        let pin = pin_source.map(read_pin).transpose()?;
        Ok(Self { pin, refused: Arc::clone(refused) })
    }

    /// Logs in. That holds for all sessions of the process, so another one may have been first.
    pub(super) fn log_in(&self, session: &Session, token: &TokenInfo) -> Result<(), Pkcs11Fault> {
        if session.get_session_info()?.session_state() == SessionState::RoUser {
            return Ok(());
        }
        let pin = self.pin.as_ref().ok_or(Pkcs11Fault::PinNeeded)?;
        if token.user_pin_locked() {
            return Err(Pkcs11Fault::PinLocked);
        }
        if token.user_pin_final_try() {
            return Err(Pkcs11Fault::LastTry);
        }
        let names = [token.manufacturer_id(), token.model(), token.serial_number(), token.label()];
        self.refused.unless_refused(&Attempt::new(&names, pin), || {
            let pin = RawAuthPin::new(Box::new(pin.to_vec()));
            match session.login_with_raw(UserType::User, &pin) {
                Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
    }
}

/// Reads the PIN: the file without the end of its line.
fn read_pin(path: &Path) -> Result<Zeroizing<Vec<u8>>, Pkcs11Fault> {
    let content = private_file(path, LONGEST_PIN).map_err(Pkcs11Fault::PinFile)?;
    let pin = content.strip_suffix(b"\n").unwrap_or(&content);
    let pin = pin.strip_suffix(b"\r").unwrap_or(pin);
    if pin.is_empty() {
        return Err(Pkcs11Fault::PinFile(format!("{}: no PIN in it", path.display())));
    }
    Ok(Zeroizing::new(pin.to_vec()))
}
