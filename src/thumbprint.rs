//! A SHA-256 hash that names a key: `x5t#S256` (RFC 8705, section 3.1), `jkt` (RFC 9449,
//! section 6.1), `tbh` (draft-ietf-oauth-token-binding-08, section 3).

use std::fmt;

use openssl::memcmp;
use openssl::sha::Sha256;

use crate::jose::base64url;

/// Length of the hash in bytes.
const LENGTH: usize = 32;

/// A SHA-256 thumbprint. Compares in constant time; displays as canonical base64url, 43 characters.
#[derive(Clone, Copy, Eq)]
pub struct Thumbprint([u8; LENGTH]);

/// How a text is not a thumbprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThumbprintError {
    /// 32 bytes, but in padded base64url or standard base64.
    Encoding,
    /// Nothing that decodes to 32 bytes.
    Malformed,
}

impl Thumbprint {
    /// The thumbprint of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        // The one-shot function of OpenSSL 3 looks the algorithm up each time.
        let mut hash = Sha256::new();
        hash.update(bytes);
        Self(hash.finish())
    }

    /// The thumbprint whose bytes these are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Reads the canonical base64url form.
    ///
    /// # Errors
    /// [`ThumbprintError::Encoding`] when only the spelling is wrong, so that an operator can be
    /// told exactly that.
    pub fn parse(text: &str) -> Result<Self, ThumbprintError> {
        match base64url::decode_exact(text.as_bytes()) {
            Some(bytes) => Ok(Self(bytes)),
            None if Self::parse_any_encoding(text).is_ok() => Err(ThumbprintError::Encoding),
            None => Err(ThumbprintError::Malformed),
        }
    }

    /// Reads padded base64url and standard base64 too.
    ///
    /// # Errors
    /// [`ThumbprintError::Malformed`].
    pub fn parse_any_encoding(text: &str) -> Result<Self, ThumbprintError> {
        base64url::decode_any_alphabet(text.as_bytes())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(ThumbprintError::Malformed)
    }
}

impl PartialEq for Thumbprint {
    fn eq(&self, other: &Self) -> bool {
        memcmp::eq(&self.0, &other.0)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_unless_told_otherwise() {
        let thumbprint = Thumbprint([0xff; 32]);
        let text = thumbprint.to_string();
        assert_eq!(text.len(), 43);
        assert_eq!(Thumbprint::parse(&text), Ok(thumbprint));
        let standard = format!("{}=", text.replace('_', "/"));
        for (other, error) in [
            (format!("{text}="), ThumbprintError::Encoding),
            (standard.clone(), ThumbprintError::Encoding),
            (text[1..].to_owned(), ThumbprintError::Malformed),
            (format!("{text}A"), ThumbprintError::Malformed),
            (format!("{}9", &text[..42]), ThumbprintError::Malformed),
            (format!("{text} "), ThumbprintError::Malformed),
            (format!("{text}\0"), ThumbprintError::Malformed),
            ("ff".repeat(32), ThumbprintError::Malformed),
            (String::new(), ThumbprintError::Malformed),
        ] {
            assert_eq!(Thumbprint::parse(&other), Err(error), "{other}");
        }
        assert_eq!(Thumbprint::parse_any_encoding(&standard), Ok(thumbprint));
    }
}
