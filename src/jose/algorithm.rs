//! Signature algorithms (RFC 7518, section 3.1; RFC 8037; RFC 9864).

use std::fmt;
use std::str::FromStr;

use openssl::hash::MessageDigest;

/// How an algorithm signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1,
    /// RSASSA-PSS with the digest's length of salt.
    RsaPss,
    /// ECDSA; the number is the length of r and of s in bytes.
    Ecdsa(usize),
    /// Ed25519 or Ed448, whichever the key is for.
    Edwards,
}

/// The table: variant, JOSE name, family, digest. The order is the preference in listings.
macro_rules! algorithms {
    ($($variant:ident $name:literal $family:expr, $digest:expr;)*) => {
        /// An asymmetric JWS algorithm. `none` and the HMACs are not here: a token that a
        /// verifier could also have made proves nothing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is the name in the standard")]
        pub enum Algorithm { $($variant),* }

        impl Algorithm {
            /// Every algorithm.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in a JWS header.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub(crate) const fn family(self) -> Family {
                match self { $(Self::$variant => $family),* }
            }

            pub(crate) fn digest(self) -> Option<MessageDigest> {
                match self { $(Self::$variant => $digest),* }
            }
        }
    };
}

algorithms! {
    RS256 "RS256" Family::RsaPkcs1, Some(MessageDigest::sha256());
    RS384 "RS384" Family::RsaPkcs1, Some(MessageDigest::sha384());
    RS512 "RS512" Family::RsaPkcs1, Some(MessageDigest::sha512());
    PS256 "PS256" Family::RsaPss, Some(MessageDigest::sha256());
    PS384 "PS384" Family::RsaPss, Some(MessageDigest::sha384());
    PS512 "PS512" Family::RsaPss, Some(MessageDigest::sha512());
    ES256 "ES256" Family::Ecdsa(32), Some(MessageDigest::sha256());
    ES384 "ES384" Family::Ecdsa(48), Some(MessageDigest::sha384());
    ES512 "ES512" Family::Ecdsa(66), Some(MessageDigest::sha512());
    EdDSA "EdDSA" Family::Edwards, None;
    Ed25519 "Ed25519" Family::Edwards, None;
    Ed448 "Ed448" Family::Edwards, None;
}

impl FromStr for Algorithm {
    type Err = ();

    /// Names are case-sensitive (RFC 7515, section 4.1.1).
    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name).ok_or(())
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// Every algorithm.
    #[must_use]
    pub fn all() -> Self {
        Algorithm::ALL.iter().copied().collect()
    }

    /// Whether `algorithm` is in the set.
    #[must_use]
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & Self::bit(algorithm) != 0
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in the table's order.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.iter().copied().filter(move |algorithm| self.contains(*algorithm))
    }

    const fn bit(algorithm: Algorithm) -> u16 {
        1_u16.wrapping_shl(algorithm as u32)
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |bits, algorithm| bits | Self::bit(algorithm)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_mind_their_case() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(*algorithm));
        }
        for name in ["none", "rs256", "RS256 ", "HS256", "ES256K", ""] {
            assert_eq!(name.parse::<Algorithm>(), Err(()), "{name}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: AlgorithmSet = [Algorithm::ES256, Algorithm::Ed448].into_iter().collect();
        assert!(set.contains(Algorithm::ES256) && !set.contains(Algorithm::RS256));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Algorithm::ES256, Algorithm::Ed448]);
        assert!(AlgorithmSet::default().is_empty());
        assert_eq!(AlgorithmSet::all().iter().count(), Algorithm::ALL.len());
    }
}
