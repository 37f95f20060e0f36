//! The ring of secrets: the first seals, all open.

use std::fmt;

use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;

use super::memory::Memory;
use super::secret::Secret;
use super::xaes::{Key, Xaes};

/// Length of a key id in bytes.
pub(crate) const KEY_ID_LENGTH: usize = 4;

/// What the key that seals is derived for.
const SEAL_INFO: &[u8] = b"auth-bound cookie seal v1";
/// What a secret's id is derived for.
const KEY_ID_INFO: &[u8] = b"auth-bound cookie key id v1";

/// Secrets, ready for use. Made when the configuration is read; shared by all threads.
///
/// To rotate: put the new secret first and keep the old one until the oldest cookie is past its
/// maximum age.
pub struct KeyRing {
    first: RingKey,
    others: Vec<RingKey>,
    memory: Memory,
}

/// Why secrets do not make a ring.
#[derive(Debug)]
pub enum KeyRingError {
    /// There is none.
    Empty,
    /// The secrets at these places, counted from 0, are the same or share a key id.
    Duplicate(usize, usize),
    /// OpenSSL lacks HKDF or AES.
    OpenSsl(ErrorStack),
}

/// A secret of the ring.
pub(crate) struct RingKey {
    id: [u8; KEY_ID_LENGTH],
    xaes: Xaes,
}

impl KeyRing {
    /// The ring of these secrets, of which the first seals.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub fn new(secrets: &[Secret]) -> Result<Self, KeyRingError> {
        let mut keys: Vec<RingKey> = Vec::with_capacity(secrets.len());
        for (place, secret) in secrets.iter().enumerate() {
            let key = RingKey::new(secret).map_err(KeyRingError::OpenSsl)?;
            if let Some(twin) = keys.iter().position(|other| other.id == key.id) {
                return Err(KeyRingError::Duplicate(twin, place));
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(KeyRingError::Empty)?;
        Ok(Self { first, others: keys.collect(), memory: Memory::default() })
    }

    /// The ids of the secrets, in order: for logs and tools. They tell nothing of the secrets.
    pub fn key_ids(&self) -> impl Iterator<Item = [u8; KEY_ID_LENGTH]> {
        self.keys().map(|key| key.id)
    }

    /// The key that seals.
    pub(crate) const fn sealing(&self) -> &RingKey {
        &self.first
    }

    /// The key of this id.
    pub(crate) fn find(&self, id: [u8; KEY_ID_LENGTH]) -> Option<&RingKey> {
        self.keys().find(|key| key.id == id)
    }

    /// What was opened before.
    pub(crate) const fn memory(&self) -> &Memory {
        &self.memory
    }

    fn keys(&self) -> impl Iterator<Item = &RingKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({})", self.keys().count())
    }
}

impl fmt::Display for KeyRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the ring needs at least one secret"),
            Self::Duplicate(one, other) => write!(
                f,
                "the secrets {} and {} of the ring are the same",
                one.saturating_add(1),
                other.saturating_add(1)
            ),
            Self::OpenSsl(error) => write!(f, "OpenSSL lacks HKDF or AES: {error}"),
        }
    }
}

impl std::error::Error for KeyRingError {}

impl RingKey {
    fn new(secret: &Secret) -> Result<Self, ErrorStack> {
        let mut id = [0; KEY_ID_LENGTH];
        derive(secret, KEY_ID_INFO, &mut id)?;
        let mut key = Key::default();
        derive(secret, SEAL_INFO, key.as_mut_slice())?;
        Ok(Self { id, xaes: Xaes::new(key)? })
    }

    /// What the seal says about the secret it was made with.
    pub(crate) const fn id(&self) -> [u8; KEY_ID_LENGTH] {
        self.id
    }

    /// What seals and opens.
    pub(crate) const fn xaes(&self) -> &Xaes {
        &self.xaes
    }
}

/// HKDF-SHA256 (RFC 5869) without salt: the secret is uniformly random already.
fn derive(secret: &Secret, info: &[u8], derived: &mut [u8]) -> Result<(), ErrorStack> {
    let mut context = PkeyCtx::new_id(Id::HKDF)?;
    context.derive_init()?;
    context.set_hkdf_md(Md::sha256())?;
    context.set_hkdf_key(secret.bytes())?;
    context.add_hkdf_info(info)?;
    context.derive(Some(derived)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_has_different_secrets() {
        let secret = |byte| Secret::from_bytes([byte; 32]);
        assert!(matches!(KeyRing::new(&[]), Err(KeyRingError::Empty)));
        let twins = KeyRing::new(&[secret(1), secret(2), secret(1)]).unwrap_err();
        assert!(matches!(twins, KeyRingError::Duplicate(0, 2)));
        assert_eq!(twins.to_string(), "the secrets 1 and 3 of the ring are the same");
        let ring = KeyRing::new(&[secret(1), secret(2)]).unwrap();
        let ids: Vec<_> = ring.key_ids().collect();
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ring.sealing().id(), ids[0]);
        assert_eq!(ring.find(ids[1]).unwrap().id(), ids[1]);
        assert!(ring.find([0; 4]).is_none());
        assert_eq!(format!("{ring:?}"), "KeyRing(2)");
    }
}
