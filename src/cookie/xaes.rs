//! XAES-256-GCM (<https://c2sp.org/XAES-256-GCM>): AES-256-GCM under a key of its own for every
//! message, drawn from a long-lived key and the first half of a random nonce of 24 bytes. The
//! derivation is that of NIST SP 800-108r1, counter mode with CMAC, and takes two blocks of AES.
//!
//! OpenSSL's contexts are kept for reuse: to make and fill one costs more than the cookie.

use std::sync::Mutex;

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use zeroize::{Zeroize, Zeroizing};

/// Length of a key in bytes.
pub(crate) const KEY_LENGTH: usize = 32;
/// Length of a nonce in bytes.
pub(crate) const NONCE_LENGTH: usize = 24;
/// Length of a tag in bytes.
pub(crate) const TAG_LENGTH: usize = 16;
/// Length of a block of AES in bytes.
const BLOCK: usize = 16;
/// Room for two blocks and the one that OpenSSL might add if it padded, which it does not here.
const ROOM: usize = 48;
/// How many contexts of a kind are kept. More threads than this make their own.
const MOST_KEPT: usize = 64;

/// Random bytes for one message. The first half picks its key, the second is GCM's.
pub(crate) type Nonce = [u8; NONCE_LENGTH];
/// What shows that a message is unchanged.
pub(crate) type Tag = [u8; TAG_LENGTH];
/// A key that is wiped after use.
pub(crate) type Key = Zeroizing<[u8; KEY_LENGTH]>;

/// Why a message is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// Key, nonce, associated data or text are not those of the tag.
    Tag,
    /// OpenSSL failed.
    OpenSsl,
}

/// A long-lived key, shared by all threads.
pub(crate) struct Xaes {
    key: Key,
    /// The first subkey of CMAC (NIST SP 800-38B, section 6.1).
    subkey: Zeroizing<[u8; BLOCK]>,
    /// The algorithms, looked up once.
    ecb: Cipher,
    gcm: Cipher,
    /// Contexts of `ecb` with `key`.
    derivers: Spare<CipherCtx>,
    /// Contexts of `gcm`, with whatever key.
    messengers: Spare<CipherCtx>,
}

impl Xaes {
    /// Makes a key ready.
    ///
    /// # Errors
    /// OpenSSL's: it lacks AES.
    pub(crate) fn new(key: Key) -> Result<Self, ErrorStack> {
        let mut xaes = Self {
            key,
            subkey: Zeroizing::default(),
            ecb: Cipher::fetch(None, "AES-256-ECB", None)?,
            gcm: Cipher::fetch(None, "AES-256-GCM", None)?,
            derivers: Spare::default(),
            messengers: Spare::default(),
        };
        let [zero, _] = xaes.encrypt_blocks([[0; BLOCK]; 2])?;
        xaes.subkey = Zeroizing::new(double(zero));
        Ok(xaes)
    }

    /// Encrypts `text` in its place and gives the tag.
    ///
    /// # Errors
    /// OpenSSL's.
    pub(crate) fn seal(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        text: &mut [u8],
    ) -> Result<Tag, ErrorStack> {
        let mut context = self.messengers.take_or(|| prepared(&self.gcm))?;
        let (key, iv) = self.derive(nonce)?;
        context.encrypt_init(None, Some(key.as_slice()), Some(&iv))?;
        let length = text.len();
        context.cipher_update(associated, None)?;
        context.cipher_update_inplace(text, length)?;
        context.cipher_final(&mut [])?;
        let mut tag = Tag::default();
        context.tag(&mut tag)?;
        self.messengers.keep(context);
        Ok(tag)
    }

    /// Decrypts `text` in its place; after an error it is wiped.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        text: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenError> {
        let opened = match self.decrypt(nonce, associated, text, tag) {
            // The last step compares the tags, in constant time.
            Ok(mut context) => match context.cipher_final(&mut []) {
                Ok(_) => {
                    self.messengers.keep(context);
                    return Ok(());
                }
                Err(_) => Err(OpenError::Tag),
            },
            Err(_) => Err(OpenError::OpenSsl),
        };
        text.zeroize();
        opened
    }

    fn decrypt(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        text: &mut [u8],
        tag: &Tag,
    ) -> Result<CipherCtx, ErrorStack> {
        let mut context = self.messengers.take_or(|| prepared(&self.gcm))?;
        let (key, iv) = self.derive(nonce)?;
        context.decrypt_init(None, Some(key.as_slice()), Some(&iv))?;
        context.set_tag(tag)?;
        let length = text.len();
        context.cipher_update(associated, None)?;
        context.cipher_update_inplace(text, length)?;
        Ok(context)
    }

    /// The key of a message and what is left of its nonce.
    fn derive(&self, nonce: &Nonce) -> Result<(Key, [u8; NONCE_LENGTH / 2]), ErrorStack> {
        let mut picks = [0; NONCE_LENGTH / 2];
        let mut iv = picks;
        let (first, second) = nonce.split_at(picks.len());
        picks.copy_from_slice(first);
        iv.copy_from_slice(second);
        // CMAC of one full block: the block with the subkey, encrypted. Bytes 0 and 1 count,
        // byte 2 is the label, byte 3 ends it.
        let block = |count: u8| {
            let input = [0, count, b'X', 0].into_iter().chain(picks);
            let mut block = *self.subkey;
            for (byte, input) in block.iter_mut().zip(input) {
                *byte ^= input;
            }
            block
        };
        let blocks = self.encrypt_blocks([block(1), block(2)])?;
        let mut key = Key::default();
        key.copy_from_slice(blocks.as_flattened());
        Ok((key, iv))
    }

    /// Each block encrypted by itself.
    fn encrypt_blocks(&self, blocks: [[u8; BLOCK]; 2]) -> Result<[[u8; BLOCK]; 2], ErrorStack> {
        let mut context = self.derivers.take_or(|| {
            let mut context = CipherCtx::new()?;
            context.encrypt_init(Some(&self.ecb), Some(self.key.as_slice()), None)?;
            context.set_padding(false);
            Ok(context)
        })?;
        let mut room = Zeroizing::new([0; ROOM]);
        context.cipher_update(blocks.as_flattened(), Some(room.as_mut_slice()))?;
        self.derivers.keep(context);
        let mut encrypted = [[0; BLOCK]; 2];
        for (byte, from) in encrypted.as_flattened_mut().iter_mut().zip(room.iter()) {
            *byte = *from;
        }
        Ok(encrypted)
    }
}

/// A context of `cipher` that lacks nothing but key and nonce.
fn prepared(cipher: &CipherRef) -> Result<CipherCtx, ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(cipher), None, None)?;
    Ok(context)
}

/// Doubles in the field of CMAC (NIST SP 800-38B, section 6.1), in constant time.
fn double(block: [u8; BLOCK]) -> [u8; BLOCK] {
    let number = u128::from_be_bytes(block);
    let carry = 0x87_u128 & 0_u128.wrapping_sub(number >> 127);
    (number << 1 ^ carry).to_be_bytes()
}

/// Things kept for whoever needs one next.
struct Spare<T>(Mutex<Vec<T>>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Spare<T> {
    /// One of the kept things or a new one. Never waits.
    fn take_or(&self, make: impl FnOnce() -> Result<T, ErrorStack>) -> Result<T, ErrorStack> {
        let kept = self.0.try_lock().ok().and_then(|mut kept| kept.pop());
        kept.map_or_else(make, Ok)
    }

    fn keep(&self, thing: T) {
        if let Ok(mut kept) = self.0.try_lock()
            && kept.len() < MOST_KEPT
        {
            kept.push(thing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &Nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";

    fn xaes(byte: u8) -> Xaes {
        Xaes::new(Zeroizing::new([byte; KEY_LENGTH])).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn it_does_what_the_specification_says() {
        // The test vectors of the specification: one key for each value of CMAC's carry.
        for (key, associated, expected) in [
            (1, &b""[..], "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (
                3,
                b"c2sp.org/XAES-256-GCM",
                "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            ),
        ] {
            let xaes = xaes(key);
            // The second time with contexts that were used before.
            for _ in 0..2 {
                let mut text = *b"XAES-256-GCM";
                let tag = xaes.seal(NONCE, associated, &mut text).unwrap();
                assert_eq!(hex(&text) + &hex(&tag), expected);
                assert_eq!(xaes.open(NONCE, associated, &mut text, &tag), Ok(()));
                assert_eq!(&text, b"XAES-256-GCM");
            }
        }
    }

    #[test]
    fn whatever_is_changed_does_not_open_and_shows_nothing() {
        let xaes = xaes(1);
        let mut sealed = *b"secret";
        let tag = xaes.seal(NONCE, b"associated", &mut sealed).unwrap();
        let sealed_tag = tag;
        let refused = |nonce: &Nonce, associated: &[u8], mut text: [u8; 6], tag: &Tag| {
            assert_eq!(xaes.open(nonce, associated, &mut text, tag), Err(OpenError::Tag));
            assert_eq!(text, [0; 6]);
            // The next message opens all the same.
            let mut text = sealed;
            assert_eq!(xaes.open(NONCE, b"associated", &mut text, &sealed_tag), Ok(()));
        };
        for place in 0..NONCE_LENGTH {
            let mut other = *NONCE;
            other[place] ^= 1;
            refused(&other, b"associated", sealed, &tag);
        }
        for place in 0..TAG_LENGTH {
            let mut other = tag;
            other[place] ^= 0x80;
            refused(NONCE, b"associated", sealed, &other);
        }
        let mut other = sealed;
        other[0] ^= 1;
        refused(NONCE, b"associated", other, &tag);
        refused(NONCE, b"", sealed, &tag);
    }

    #[test]
    fn threads_share_a_key() {
        let xaes = xaes(1);
        std::thread::scope(|scope| {
            for byte in 0..8_u8 {
                let xaes = &xaes;
                scope.spawn(move || {
                    for round in 0..200_u8 {
                        let nonce = [byte ^ round; NONCE_LENGTH];
                        let mut text = [byte; 100];
                        let tag = xaes.seal(&nonce, &[round], &mut text).unwrap();
                        assert_eq!(xaes.open(&nonce, &[round], &mut text, &tag), Ok(()));
                        assert_eq!(text, [byte; 100]);
                    }
                });
            }
        });
    }
}
