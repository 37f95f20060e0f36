//! Reading the keys that issued tokens are signed with.

use std::sync::Arc;

use super::{Pkcs11Key, RefusedPins, key_file};
use crate::directive::value::{SigningKeyEntry, SigningKeyLocation};
use crate::jose::{SigningError, SigningKey};

/// The signing key that a directive names. No PIN among `refused` is tried.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn signing_key(
    entry: &SigningKeyEntry,
    refused: &Arc<RefusedPins>,
) -> Result<SigningKey, String> {
    match &entry.location {
        SigningKeyLocation::File(path) => {
            let pem = key_file(path)?;
            from_pem(&pem, entry).map_err(|fault| format!("{}: {fault}", path.display()))
        }
        SigningKeyLocation::Pkcs11(uri) => {
            Pkcs11Key::open_beside(uri, entry.algorithm, entry.key_id.as_deref(), refused)
                .map_err(|fault| fault.to_string())
        }
    }
}

fn from_pem(pem: &[u8], entry: &SigningKeyEntry) -> Result<SigningKey, SigningError> {
    let key = SigningKey::from_pem(pem, "", entry.algorithm)?;
    let name = match &entry.key_id {
        Some(name) => name.clone(),
        None => key.thumbprint()?.to_string(),
    };
    Ok(key.with_key_id(&name))
}
