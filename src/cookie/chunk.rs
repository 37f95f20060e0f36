//! Values too large for one cookie: `name`, `name~1`, `name~2`, ...
//!
//! The first chunk says how many there are (`3~` and the beginning of the text); each other one
//! says which value it is of (8 characters of its nonce, `~`, and its part of the text). Where
//! one chunk ends and the next begins means nothing.

use super::seal_error::SealError;

/// The largest `name=value` of a cookie in bytes. Browsers store 4,096.
pub(crate) const LARGEST_PAIR: usize = 4_000;
/// Divides what a chunk says about itself from its part of the text. Not in base64url.
const MARK: u8 = b'~';
/// The most chunks of a value.
pub(crate) const MOST: usize = 99;
/// What a chunk has besides name and text: `=`, `~99` behind the name, `tag~` before the text.
const OVERHEAD: usize = 13;
/// Where the tag stands in the sealed text: bytes 6 to 11, which are of the nonce.
const TAG: std::ops::Range<usize> = 8..16;

/// A cookie that carries a part of a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Its name.
    pub(crate) name: Vec<u8>,
    /// What it says about itself, and its part of the text.
    pub(crate) value: Vec<u8>,
}

/// The cookies that carry a sealed text, in order.
///
/// # Errors
/// [`SealError::TooLarge`]: the name leaves no room, or it would take more than 99 chunks.
pub(crate) fn split(name: &[u8], sealed: &str) -> Result<Vec<Chunk>, SealError> {
    let sealed = sealed.as_bytes();
    let whole = name.len().saturating_add(sealed.len()).saturating_add(1);
    if whole <= LARGEST_PAIR {
        return Ok(vec![Chunk { name: name.to_vec(), value: sealed.to_vec() }]);
    }
    let room = LARGEST_PAIR.saturating_sub(name.len()).saturating_sub(OVERHEAD);
    if room == 0 {
        return Err(SealError::TooLarge);
    }
    let tag = sealed.get(TAG).ok_or(SealError::TooLarge)?;
    let parts = sealed.chunks(room);
    let count = parts.len();
    if count > MOST {
        return Err(SealError::TooLarge);
    }
    let chunk = |(number, part): (usize, &[u8])| match number {
        0 => Chunk {
            name: name.to_vec(),
            value: [count.to_string().as_bytes(), &[MARK], part].concat(),
        },
        _ => Chunk { name: chunk_name(name, number), value: [tag, &[MARK], part].concat() },
    };
    Ok(parts.enumerate().map(chunk).collect())
}

/// The name of chunk `number`, from 1.
pub(crate) fn chunk_name(name: &[u8], number: usize) -> Vec<u8> {
    [name, &[MARK], number.to_string().as_bytes()].concat()
}

/// The name without `~` and digits at its end, and the number: 0 for digits that we never write.
/// `None` if the name is not of this form.
pub(crate) fn split_name(name: &[u8]) -> Option<(&[u8], usize)> {
    let place = name.iter().rposition(|byte| !byte.is_ascii_digit())?;
    let (base, rest) = name.split_at_checked(place)?;
    let (mark, digits) = rest.split_first()?;
    (*mark == MARK && !digits.is_empty()).then(|| (base, number(digits).unwrap_or(0)))
}

/// The first cookie of a value: its part of the text and, if there are others, how many cookies
/// there are in all.
pub(crate) fn first(value: &[u8]) -> Result<(Option<usize>, &[u8]), SealError> {
    // The text itself begins with a letter, so the mark can only be near the beginning.
    match value {
        [count, MARK, part @ ..] => Ok((Some(count_of(&[*count])?), part)),
        [tens, ones, MARK, part @ ..] => Ok((Some(count_of(&[*tens, *ones])?), part)),
        _ => Ok((None, value)),
    }
}

fn count_of(digits: &[u8]) -> Result<usize, SealError> {
    number(digits).filter(|count| *count > 1).ok_or(SealError::Malformed)
}

/// The tag by which other chunks of the value with this beginning are known.
pub(crate) fn tag_of(first_part: &[u8]) -> Option<&[u8]> {
    first_part.get(TAG)
}

/// A further chunk: its tag and its part of the text.
pub(crate) fn further(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = value.split_at_checked(TAG.len())?;
    Some((tag, rest.strip_prefix(&[MARK])?))
}

/// 1 to 99 without a leading zero.
fn number(digits: &[u8]) -> Option<usize> {
    let sound = digits.len() <= 2 && digits.first() != Some(&b'0');
    let digit = |byte: &u8| char::from(*byte).to_digit(10).and_then(|digit| digit.try_into().ok());
    let number = digits
        .iter()
        .try_fold(0_usize, |sum, byte| sum.saturating_mul(10).checked_add(digit(byte)?))?;
    (sound && number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> String {
        "AQabcdefghijklmnopqrstuvwxyz".chars().cycle().take(length).collect()
    }

    #[test]
    fn small_values_stay_whole() {
        let largest = text(LARGEST_PAIR - 2);
        let whole = split(b"n", &largest).unwrap();
        assert_eq!(whole.len(), 1);
        assert_eq!((&whole[0].name[..], &whole[0].value[..]), (&b"n"[..], largest.as_bytes()));
        assert_eq!(first(largest.as_bytes()), Ok((None, largest.as_bytes())));
        assert_eq!(split(b"n", &text(LARGEST_PAIR - 1)).unwrap().len(), 2);
    }

    #[test]
    fn chunks_fit_and_join() {
        for length in [4_000, 8_000, 16_384, 200_000] {
            let sealed = text(length);
            let chunks = split(b"__Host-name", &sealed).unwrap();
            for Chunk { name, value } in &chunks {
                assert!(name.len() + 1 + value.len() <= LARGEST_PAIR);
            }
            let (count, part) = first(&chunks[0].value).unwrap();
            assert_eq!(count, Some(chunks.len()));
            let tag = tag_of(part).unwrap();
            let mut joined = part.to_vec();
            for (place, Chunk { name, value }) in chunks.iter().enumerate().skip(1) {
                assert_eq!(split_name(name), Some((&b"__Host-name"[..], place)));
                let (of, part) = further(value).unwrap();
                assert_eq!(of, tag);
                joined.extend_from_slice(part);
            }
            assert_eq!(joined, sealed.as_bytes());
        }
    }

    #[test]
    fn there_is_a_limit() {
        assert_eq!(split(b"n", &text(500_000)), Err(SealError::TooLarge));
        assert_eq!(split(&[b'n'; LARGEST_PAIR], &text(200)), Err(SealError::TooLarge));
    }

    #[test]
    fn counts_have_one_spelling() {
        assert_eq!(first(b"2~AQ"), Ok((Some(2), &b"AQ"[..])));
        assert_eq!(first(b"99~AQ"), Ok((Some(99), &b"AQ"[..])));
        for bad in ["0~AQ", "1~AQ", "01~AQ", "x~AQ", "+2~AQ", "~~AQ", "AQ~"] {
            assert_eq!(first(bad.as_bytes()), Err(SealError::Malformed), "{bad}");
        }
        for other in ["", "~", "100~AQ"] {
            let whole = first(other.as_bytes());
            assert_eq!(whole, Ok((None, other.as_bytes())), "{other}");
        }
    }

    #[test]
    fn further_chunks_have_a_tag() {
        assert_eq!(further(b"12345678~x"), Some((&b"12345678"[..], &b"x"[..])));
        assert_eq!(further(b"12345678"), None);
        assert_eq!(further(b"1234567~x"), None);
        assert_eq!(further(b""), None);
    }
}
