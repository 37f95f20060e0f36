//! What a cookie can be bound to: the kind of a possession and the hash of its key.

use std::fmt;
use std::str::FromStr;

use crate::thumbprint::Thumbprint;

/// A way to prove possession of a key. The number is the one on the wire and is never reused;
/// 0 stands for no possession at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PossessionKind {
    /// A client certificate (RFC 8705). The hash is `x5t#S256`.
    Certificate = 1,
    /// A provided Token Binding ID (RFC 8471). The hash is that of the ID, as in `tbh`.
    TokenBinding = 2,
    /// A DPoP key (RFC 9449). The hash is the JWK thumbprint, as in `jkt`.
    DPoPKey = 3,
    /// The key of a device bound session. The hash is the JWK thumbprint.
    DeviceKey = 4,
}

impl PossessionKind {
    /// Every kind.
    pub const ALL: &[Self] =
        &[Self::Certificate, Self::TokenBinding, Self::DPoPKey, Self::DeviceKey];

    /// The name in directives, exports and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::TokenBinding => "token-binding",
            Self::DPoPKey => "dpop",
            Self::DeviceKey => "device",
        }
    }

    /// The byte in the seal.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a byte in the seal.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl FromStr for PossessionKind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or(())
    }
}

impl fmt::Display for PossessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key that a request proved to hold, or that a cookie is bound to. Compares in constant time.
///
/// In [`Request::proved`](super::Request::proved) it is evidence: put there only what the
/// connection or a verified proof has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Possession {
    /// How it is proved.
    pub kind: PossessionKind,
    /// SHA-256 that names the key.
    pub hash: Thumbprint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_one_name_and_one_number() {
        for (place, kind) in PossessionKind::ALL.iter().enumerate() {
            assert_eq!(usize::from(kind.code()), place + 1);
            assert_eq!(PossessionKind::from_code(kind.code()), Some(*kind));
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
        assert_eq!(PossessionKind::from_code(0), None);
        assert_eq!(PossessionKind::from_code(5), None);
        assert_eq!("Certificate".parse::<PossessionKind>(), Err(()));
    }
}
