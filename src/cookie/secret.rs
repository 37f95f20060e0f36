//! The secret that seals: 32 random bytes in a file of one line.

use std::fmt;

use zeroize::Zeroizing;

use crate::jose::base64url;

/// Length of a secret in bytes.
pub(crate) const LENGTH: usize = 32;

/// What the line begins with.
const LABEL: &[u8] = b"auth-bound-secret-v1:";

/// A secret of the ring. Zeroed when dropped, never shown by `Debug`.
pub struct Secret(Zeroizing<[u8; LENGTH]>);

/// Why a file is not a secret. Says nothing of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// The line does not begin with `auth-bound-secret-v1:`.
    Label,
    /// What follows is not 32 bytes in base64url without padding on a line of its own.
    Encoding,
    /// All bytes are the same: a placeholder.
    Placeholder,
}

impl Secret {
    /// The secret whose bytes these are. They must come from a cryptographic source of
    /// randomness, such as `auth-bound secret new`.
    #[must_use]
    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads a secret's file: one line, `auth-bound-secret-v1:` and 32 bytes in base64url without
    /// padding, with or without a newline at the end.
    ///
    /// # Errors
    /// [`SecretError`] for any other content.
    pub fn parse(content: &[u8]) -> Result<Self, SecretError> {
        let line = content.strip_suffix(b"\n").unwrap_or(content);
        let text = line.strip_prefix(LABEL).ok_or(SecretError::Label)?;
        let bytes = Zeroizing::new(base64url::decode(text).ok_or(SecretError::Encoding)?);
        let bytes: &[u8; LENGTH] =
            bytes.as_slice().try_into().map_err(|_| SecretError::Encoding)?;
        let [first, rest @ ..] = bytes;
        if rest.iter().all(|byte| byte == first) {
            return Err(SecretError::Placeholder);
        }
        Ok(Self(Zeroizing::new(*bytes)))
    }

    /// The content of the secret's file. Only its owner may read it (mode 0600).
    #[must_use]
    pub fn to_file(&self) -> Zeroizing<Vec<u8>> {
        let text = Zeroizing::new(base64url::encode(self.bytes()));
        Zeroizing::new([LABEL, text.as_bytes(), b"\n"].concat())
    }

    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Label => "no secret: expected one line that begins with auth-bound-secret-v1:",
            Self::Encoding => {
                "no secret: expected 32 bytes in base64url without padding behind the colon"
            }
            Self::Placeholder => "no secret: all of its bytes are the same",
        })
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_holds_a_secret() {
        let mut bytes = [7; LENGTH];
        bytes[0] = 1;
        let file = Secret::from_bytes(bytes).to_file();
        assert!(file.starts_with(b"auth-bound-secret-v1:") && file.ends_with(b"\n"));
        let text = file.strip_suffix(b"\n").unwrap();
        for good in [&file, text] {
            assert_eq!(Secret::parse(good).unwrap().bytes(), &bytes);
        }
        let twice = [&file[..], &file[..]].concat();
        let returned = [text, b"\r\n"].concat();
        let padded = [text, b"="].concat();
        let longer = [text, b"AA"].concat();
        for (bad, error) in [
            (&b""[..], SecretError::Label),
            (&file[1..], SecretError::Label),
            (b"auth-bound-secret-v2:AAAA", SecretError::Label),
            (b"auth-bound-secret-v1:", SecretError::Encoding),
            (&text[..text.len() - 1], SecretError::Encoding),
            (&twice, SecretError::Encoding),
            (&returned, SecretError::Encoding),
            (&padded, SecretError::Encoding),
            (&longer, SecretError::Encoding),
            (&Secret::from_bytes([0; LENGTH]).to_file(), SecretError::Placeholder),
        ] {
            assert_eq!(Secret::parse(bad).unwrap_err(), error);
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::from_bytes([0x41; LENGTH])), "Secret");
    }
}
