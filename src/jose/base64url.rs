//! Base64url without padding (RFC 7515, section 2), canonical both ways.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Refuses padding, whitespace, the standard alphabet and non-zero spare bits: every value has
/// one spelling, so a signed text cannot be respelled.
const CANONICAL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(false),
);

/// Standard alphabet, padding optional: what some issuers send where base64url is due.
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The URL alphabet with optional padding.
const PADDED: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Encodes `bytes`.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    CANONICAL.encode(bytes)
}

/// Decodes the one canonical spelling; `None` for any other text.
#[must_use]
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    CANONICAL.decode(text).ok()
}

/// Decodes into `out`, which must have exactly the decoded length.
#[must_use]
pub(crate) fn decode_exact<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    // `decode_slice` wants room for the estimate, which is rounded up to whole quanta.
    let decoded = decode(text)?;
    decoded.try_into().ok()
}

/// Decodes padded base64url and (padded) standard base64 too.
#[must_use]
pub(crate) fn decode_any_alphabet(text: &[u8]) -> Option<Vec<u8>> {
    PADDED.decode(text).or_else(|_| STANDARD.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_decodes() {
        assert_eq!(decode("AQ"), Some(vec![1]));
        for other in ["AQ==", "AR", "A", "AQ ", "A Q", "+w", "/w", "AQ\n"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
        assert_eq!(decode("-_8"), Some(vec![0xfb, 0xff]));
    }

    #[test]
    fn the_tolerant_decoder_knows_both_alphabets() {
        assert_eq!(decode_any_alphabet(b"+/8="), Some(vec![0xfb, 0xff]));
        assert_eq!(decode_any_alphabet(b"-_8="), Some(vec![0xfb, 0xff]));
        assert_eq!(decode_any_alphabet(b"*"), None);
    }
}
