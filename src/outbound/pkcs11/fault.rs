//! Why a key in hardware cannot be used.

use std::{fmt, io};

use cryptoki::error::{Error, RvError};

use crate::jose::{Algorithm, SigningError};

/// Why a key in hardware cannot be used: one sentence for the operator, never with the PIN.
#[derive(Debug)]
pub enum Pkcs11Fault {
    /// What is wrong with the URI.
    Uri(String),
    /// What is wrong with the file of the PIN.
    PinFile(String),
    /// The library cannot be loaded: why.
    Library(String),
    /// No token fits the URI: the labels of those that are there.
    NoToken(Vec<String>),
    /// Several tokens fit: how many.
    SeveralTokens(usize),
    /// The token wants a PIN and the URI names none.
    PinNeeded,
    /// The token refused the PIN.
    PinWrong,
    /// The token takes no PIN any more.
    PinLocked,
    /// One wrong PIN more locks the token.
    LastTry,
    /// Other processes did not get done with logging in.
    Busy,
    /// What processes know of refused PINs cannot be read or written.
    Memory(io::Error),
    /// The token has no such private key.
    NoKey,
    /// Several private keys fit: how many.
    SeveralKeys(usize),
    /// The key's own attributes forbid signing.
    MayNotSign,
    /// The key asks for the PIN at each signature.
    PinEachTime,
    /// The token has no public key that belongs to the private one.
    NoPublicHalf,
    /// The token does not sign with this algorithm.
    Mechanism(Algorithm),
    /// The key is not one to sign with.
    Key(SigningError),
    /// Public and private key do not belong together, or the key has changed since it was opened.
    OtherKey,
    /// A call of the library failed: which, and its code.
    Call(String),
    /// The library is not initialized.
    NotInitialized,
}

impl fmt::Display for Pkcs11Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(why) | Self::PinFile(why) => f.write_str(why),
            Self::Library(why) => write!(f, "the PKCS#11 library cannot be loaded: {why}"),
            Self::NoToken(labels) if labels.is_empty() => {
                f.write_str("the PKCS#11 library shows no token to this user")
            }
            Self::NoToken(labels) => {
                write!(f, "no token fits the URI; there are: {}", labels.join(", "))
            }
            Self::SeveralTokens(count) => {
                write!(f, "{count} tokens fit the URI: add serial= or slot-id=")
            }
            Self::PinNeeded => f.write_str("the token asks for a PIN: add pin-source=PATH"),
            Self::PinWrong => f.write_str("the token refuses the PIN of pin-source"),
            Self::PinLocked => f.write_str("the token's PIN is locked"),
            Self::LastTry => f.write_str(
                "one wrong PIN more locks the token: log in once with another program first",
            ),
            Self::Busy => f.write_str("other processes take too long to log in to the token"),
            Self::Memory(error) => write!(f, "the memory of refused PINs cannot be used: {error}"),
            Self::NoKey => f.write_str("the token has no private key that fits the URI"),
            Self::SeveralKeys(count) => {
                write!(f, "{count} private keys fit the URI: say object= and id=")
            }
            Self::MayNotSign => f.write_str("the key may not sign (CKA_SIGN)"),
            Self::PinEachTime => f.write_str(
                "the key asks for the PIN at each signature (CKA_ALWAYS_AUTHENTICATE), which no \
                 server can do",
            ),
            Self::NoPublicHalf => f.write_str(
                "the token has no public key with the id of the private one, so nobody could \
                 verify its signatures",
            ),
            Self::Mechanism(algorithm) => write!(f, "the token cannot sign with {algorithm}"),
            Self::Key(error) => error.fmt(f),
            Self::OtherKey => f.write_str(
                "the public key is not that of the private key, or another key has taken its place",
            ),
            Self::Call(what) => write!(f, "the PKCS#11 library failed: {what}"),
            Self::NotInitialized => f.write_str("the PKCS#11 library is not initialized"),
        }
    }
}

impl std::error::Error for Pkcs11Fault {}

impl Pkcs11Fault {
    /// Whether trying again with the same PIN could lock the token.
    pub(super) const fn is_of_the_pin(&self) -> bool {
        matches!(self, Self::PinWrong | Self::PinLocked | Self::LastTry)
    }

    /// Whether it may be another a moment later.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::NoToken(_) | Self::Call(_))
    }
}

impl From<Error> for Pkcs11Fault {
    fn from(error: Error) -> Self {
        let Error::Pkcs11(code, function) = error else {
            return Self::Call(error.to_string());
        };
        if matches!(code, RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange) {
            Self::PinWrong
        } else if code == RvError::PinLocked {
            Self::PinLocked
        } else if code == RvError::CryptokiNotInitialized {
            Self::NotInitialized
        } else {
            Self::Call(format!("C_{function:?}: {code:?}"))
        }
    }
}

impl From<SigningError> for Pkcs11Fault {
    fn from(error: SigningError) -> Self {
        Self::Key(error)
    }
}
