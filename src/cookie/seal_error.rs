//! Why a cookie is not opened or not sealed: one table.

use std::fmt;

macro_rules! seal_errors {
    ($($number:literal $variant:ident $name:literal $sentence:literal;)*) => {
        /// Why a cookie is refused. The order is that of the checks: of two cookies with one name
        /// the later reason is the more telling one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SealError { $(#[doc = $sentence] $variant),* }

        impl SealError {
            /// Every reason, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The number in logs, never reused.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number),* }
            }

            /// The name in logs and counters.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// One sentence for the log. It holds no secret and nothing that a client sent.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),* }
            }
        }
    };
}

seal_errors! {
    3101 LookAlike "look-alike"
        "The name is not the protected one, but some backends would take it for it.";
    3102 Malformed "malformed"
        "The value is not a sealed one: planted, cut short, or older than the sealing.";
    3103 UnknownVersion "unknown-version" "The seal has a version that is not known here.";
    3104 UnknownKey "unknown-key" "The seal was made with a secret that is not (or no longer) in the ring.";
    3105 TooMany "too-many" "Too many cookies of one name come in chunks.";
    3106 ChunkMissing "chunk-missing" "A chunk of the value is missing.";
    3107 ChunkMixed "chunk-mixed" "A chunk belongs to another value.";
    3108 TooLarge "too-large" "The value is larger than the limit.";
    3109 Tampered "tampered" "The seal does not hold: the value was changed.";
    3110 UnknownPayload "unknown-payload" "The seal holds, but what is inside is not known here.";
    3111 OtherName "other-name" "The value was sealed for another name.";
    3112 OtherHost "other-host" "The value was sealed for another host.";
    3113 OtherPath "other-path" "The value was sealed for another path.";
    3114 IssuedInFuture "issued-in-future" "The value was sealed in the future: compare the clocks.";
    3115 Expired "expired" "The value is past its maximum age.";
    3116 Unbound "unbound" "The cookie is bound to nothing, and that is not enough here.";
    3117 KindNotAccepted "kind-not-accepted"
        "The cookie is bound to a kind of possession that is not accepted here.";
    3118 PossessionMissing "possession-missing"
        "The client proved no possession of the kind that is asked for.";
    3119 PossessionMismatch "possession-mismatch" "The cookie is bound to another key.";
    3120 NameReserved "name-reserved"
        "The application's cookie is named like a chunk of a protected one.";
    3121 PrefixRules "prefix-rules"
        "The application's cookie breaks the rules of __Host-, so browsers would drop it.";
    3122 NotStorable "not-storable"
        "The name, host, path or value has bytes that a cookie cannot have, or too many of them.";
    3123 Randomness "randomness" "There is no randomness to be had.";
    3124 Crypto "crypto" "OpenSSL failed.";
    3125 ForeignDomain "foreign-domain"
        "The application's cookie is for a domain that this host is not of, so browsers would drop it.";
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for SealError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_names_of_their_own() {
        for (place, error) in SealError::ALL.iter().enumerate() {
            assert_eq!(
                SealError::ALL.iter().filter(|other| other.name() == error.name()).count(),
                1
            );
            assert!(SealError::ALL[..place].iter().all(|earlier| earlier < error));
        }
    }
}
