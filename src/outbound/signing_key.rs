//! Reading the keys that issued tokens are signed with.

use super::key_file;
use crate::directive::value::{SigningKeyEntry, SigningKeyLocation};
use crate::jose::SigningKey;

/// The signing key that a directive names.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn signing_key(entry: &SigningKeyEntry) -> Result<SigningKey, String> {
    let key = match &entry.location {
        SigningKeyLocation::File(path) => {
            let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            SigningKey::from_pem(&key_file(path)?, "", entry.algorithm)
                .map_err(|error| told(&error))?
        }
        SigningKeyLocation::Pkcs11(_) => {
            return Err("keys in hardware are not supported yet".to_owned());
        }
    };
    match &entry.key_id {
        Some(key_id) => Ok(key.with_key_id(key_id)),
        None => {
            let thumbprint = key.thumbprint().map_err(|error| error.to_string())?;
            Ok(key.with_key_id(&thumbprint.to_string()))
        }
    }
}
