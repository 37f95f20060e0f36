//! The files that directives name, read while the server has the rights to, and kept.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cookie;
use crate::directive::value::{FilePath, SecretFiles, SigningKeyEntry, SigningKeys};
use crate::exchange::CredentialFile;
use crate::jose::SigningKey;
use crate::outbound::{
    RefusedPins, TrustedCertificate, credential_file, secret_file, signing_key,
    trusted_certificates,
};

/// What one reading of the configuration has read of other files.
#[derive(Default)]
pub(super) struct Files {
    ca: Mutex<Option<Vec<TrustedCertificate>>>,
    secrets: Mutex<HashMap<SecretFiles, Arc<cookie::KeyRing>>>,
    signing_keys: Mutex<HashMap<SigningKeyEntry, Arc<SigningKey>>>,
    refused_pins: Arc<RefusedPins>,
    credentials: Mutex<HashMap<PathBuf, Arc<CredentialFile>>>,
}

impl Files {
    /// Reads the certificates that key servers are trusted by.
    pub(super) fn read_ca(&self, file: &FilePath) -> Result<(), String> {
        let Some(path) = &file.0 else { return Ok(()) };
        let certificates = trusted_certificates(path)?;
        *locked(&self.ca) = Some(certificates);
        Ok(())
    }

    /// These certificates; none stands for the system's.
    pub(super) fn ca(&self) -> Option<Vec<TrustedCertificate>> {
        locked(&self.ca).clone()
    }

    /// The ring of cookies' secrets.
    pub(super) fn secrets(&self, files: &SecretFiles) -> Result<Arc<cookie::KeyRing>, String> {
        let mut rings = locked(&self.secrets);
        if let Some(ring) = rings.get(files) {
            return Ok(Arc::clone(ring));
        }
        let secrets =
            files.0.iter().map(|path| secret_file(path)).collect::<Result<Vec<_>, _>>()?;
        let ring = cookie::KeyRing::new(&secrets).map_err(|error| error.to_string())?;
        let ring = Arc::new(ring);
        rings.insert(files.clone(), Arc::clone(&ring));
        Ok(ring)
    }

    /// The keys that issued tokens are signed with.
    pub(super) fn signing_keys(&self, keys: &SigningKeys) -> Result<Vec<Arc<SigningKey>>, String> {
        let mut known = locked(&self.signing_keys);
        let mut key = |entry: &SigningKeyEntry| {
            if let Some(key) = known.get(entry) {
                return Ok(Arc::clone(key));
            }
            let key = Arc::new(signing_key(entry, &self.refused_pins)?);
            known.insert(entry.clone(), Arc::clone(&key));
            Ok(key)
        };
        keys.0.iter().map(&mut key).collect()
    }

    /// The opaque subject credentials, if there are any.
    pub(super) fn credentials(
        &self,
        file: &FilePath,
    ) -> Result<Option<Arc<CredentialFile>>, String> {
        let Some(path) = &file.0 else { return Ok(None) };
        let mut known = locked(&self.credentials);
        if let Some(file) = known.get(path) {
            return Ok(Some(Arc::clone(file)));
        }
        let file = Arc::new(credential_file(path)?);
        known.insert(path.clone(), Arc::clone(&file));
        Ok(Some(file))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
