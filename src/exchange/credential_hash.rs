//! The hash under which a secret is kept: a client's secret, an opaque subject credential.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::jose::base64url;
use crate::thumbprint::Thumbprint;

/// SHA-256 of a secret. Compares in constant time and is not shown.
///
/// A plain hash is enough for secrets that were made by a machine, with 128 bits of randomness or
/// more. It does not protect a password that a person chose: do not use one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CredentialHash(Thumbprint);

/// A text is not SHA-256 in hexadecimal or base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialHashError;

impl CredentialHash {
    /// The hash of `secret`.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Thumbprint::of(secret))
    }

    /// Reads a hash in hexadecimal, as sha256sum writes it, or in base64url without padding.
    ///
    /// # Errors
    /// [`CredentialHashError`].
    pub fn parse(text: &str) -> Result<Self, CredentialHashError> {
        let bytes = if text.len() == 64 { from_hex(text) } else { base64url::decode(text) };
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(CredentialHashError)?;
        Ok(Self(Thumbprint::from_bytes(bytes)))
    }

    /// What the credential can be named by in the open: 24 bits, too few to try passwords on.
    #[must_use]
    pub(super) fn name(&self) -> String {
        let whole = Thumbprint::of(self.0.as_bytes()).to_string();
        whole.chars().take(4).collect()
    }

    /// Whether `secret` has one of these hashes. Takes the same time whichever it is.
    #[must_use]
    pub fn is_among(secret: &[u8], hashes: &[Self]) -> bool {
        let presented = Self::of(secret);
        hashes.iter().fold(false, |found, hash| found | (*hash == presented))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
    digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high.checked_mul(16)?.checked_add(*low)?).ok(),
            _ => None,
        })
        .collect()
}

/// For tables of random state: the place of a hash in them cannot be foreseen.
impl Hash for CredentialHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash(..)")
    }
}

impl fmt::Display for CredentialHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not SHA-256 in hexadecimal or in base64url without padding")
    }
}

impl std::error::Error for CredentialHashError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_one_hash() {
        // printf iamtheeggman | sha256sum
        let hash = CredentialHash::of(b"iamtheeggman");
        let hex: String = hash.0.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(CredentialHash::parse(&hex), Ok(hash));
        assert_eq!(CredentialHash::parse(&hex.to_uppercase()), Ok(hash));
        assert_eq!(CredentialHash::parse(&hash.0.to_string()), Ok(hash));
        for other in
            ["", "iamtheeggman", &hex[1..], &format!("{hex}0"), &hex.replace(&hex[..1], "g")]
        {
            assert_eq!(CredentialHash::parse(other), Err(CredentialHashError), "{other}");
        }
        assert!(!format!("{hash:?}").contains(&hash.0.to_string()));
    }

    #[test]
    fn any_of_several() {
        let hashes = [CredentialHash::of(b"old"), CredentialHash::of(b"new")];
        assert!(CredentialHash::is_among(b"old", &hashes));
        assert!(CredentialHash::is_among(b"new", &hashes));
        assert!(!CredentialHash::is_among(b"other", &hashes));
        assert!(!CredentialHash::is_among(b"", &[]));
    }
}
