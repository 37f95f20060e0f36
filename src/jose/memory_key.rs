//! A private key in memory, and how it signs.

use std::sync::{Mutex, PoisonError};

use openssl::bn::BigNumRef;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::md::Md;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};

use super::Algorithm;
use super::algorithm::Family;

/// The key, the one algorithm it signs with, and the contexts that no thread signs with just now.
///
/// OpenSSL looks up again what a key can do for each context it makes, which takes as long as a
/// tenth of an ECDSA signature.
pub(super) struct MemoryKey {
    private: PKey<Private>,
    algorithm: Algorithm,
    idle: Mutex<Vec<PkeyCtx<Private>>>,
}

impl MemoryKey {
    /// `private`, which does `algorithm`.
    pub(super) const fn new(private: PKey<Private>, algorithm: Algorithm) -> Self {
        Self { private, algorithm, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn private(&self) -> &PKeyRef<Private> {
        &self.private
    }

    /// Signs `input` in the form that a JWS carries.
    ///
    /// # Errors
    /// OpenSSL's.
    pub(super) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let Some(digest) = self.algorithm.digest() else {
            // The Edwards algorithms hash by themselves; OpenSSL has no such context for them.
            return Signer::new_without_digest(&self.private)?.sign_oneshot_to_vec(input);
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut context = idle.map_or_else(|| self.context(digest), Ok)?;
        let mut signature = Vec::new();
        context.sign_to_vec(&hash(digest, input)?, &mut signature)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(context);
        match self.algorithm.family() {
            Family::Ecdsa(length) => joined(&signature, length),
            Family::RsaPkcs1 | Family::RsaPss | Family::Edwards => Ok(signature),
        }
    }

    fn context(&self, digest: MessageDigest) -> Result<PkeyCtx<Private>, ErrorStack> {
        let mut context = PkeyCtx::new(&self.private)?;
        context.sign_init()?;
        if self.algorithm.family() == Family::RsaPss {
            context.set_rsa_padding(Padding::PKCS1_PSS)?;
            context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        context.set_signature_md(Md::from_nid(digest.type_()).ok_or_else(ErrorStack::get)?)?;
        Ok(context)
    }
}

/// RFC 7518, section 3.4: r and s one behind the other, each `length` bytes.
fn joined(der: &[u8], length: usize) -> Result<Vec<u8>, ErrorStack> {
    let signature = EcdsaSig::from_der(der)?;
    Ok([padded(signature.r(), length)?, padded(signature.s(), length)?].concat())
}

/// Big-endian, in `length` bytes (RFC 7518, sections 3.4 and 6.2.1.2).
pub(super) fn padded(number: &BigNumRef, length: usize) -> Result<Vec<u8>, ErrorStack> {
    number.to_vec_padded(i32::try_from(length).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Key, SigningKey};

    #[test]
    fn a_context_is_used_again_and_by_one_thread_at_a_time() {
        for algorithm in Algorithm::ALL.iter().copied() {
            let key = SigningKey::generate(algorithm, "k").unwrap();
            let published = Key::from_jwk(key.public_jwk().unwrap()).unwrap();
            let private = PKey::private_key_from_pem(&key.to_pem().unwrap()).unwrap();
            let key = MemoryKey::new(private, algorithm);
            let sign = |text: &str| {
                let signature = key.sign(text.as_bytes()).unwrap();
                assert!(published.verify(algorithm, text.as_bytes(), &signature), "{algorithm}");
            };
            sign("first");
            sign("second");
            std::thread::scope(|scope| {
                for text in ["a", "b", "c"] {
                    scope.spawn(move || (0..5).for_each(|_| sign(text)));
                }
            });
            let idle = key.idle.lock().unwrap().len();
            assert_eq!(idle > 0, algorithm.family() != Family::Edwards);
            assert!(idle <= 3, "{idle}");
        }
    }
}
