//! The chunks that a client has: joined to the values that they are of.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::chunk;
use super::cookie_header::{self, Found};
use super::rule::{CookieRule, CookieRules, NamePattern, Protected};
use super::seal_error::SealError;

/// How many chunked values of one name are tried. Each may be as large as the limit allows while
/// sharing its chunks with the others, so this bounds the work.
const MOST_CHUNKED: usize = 8;

/// A further chunk: its number, the tag of its value, and its part of the text.
pub(super) type Part<'a> = (usize, &'a [u8], &'a [u8]);

/// The chunks of one name.
pub(super) struct Chunks<'a> {
    /// Sorted.
    pub(super) parts: Vec<Part<'a>>,
    /// How many values may still be joined from them.
    tries: usize,
}

impl<'a> Chunks<'a> {
    /// The further chunks among these cookies, which come with their values.
    pub(super) fn of<'f>(cookies: impl Iterator<Item = (&'f Found<'a, 'a>, &'a [u8])>) -> Self
    where
        'a: 'f,
    {
        let mut parts: Vec<_> = cookies
            .filter_map(|(found, value)| match found.kind {
                Protected::Chunk(_, _, number) => {
                    let (tag, part) = chunk::further(value).unwrap_or_default();
                    Some((number, tag, part))
                }
                Protected::Cookie(_) | Protected::LookAlike(_) => None,
            })
            .collect();
        parts.sort_unstable();
        Self { parts, tries: MOST_CHUNKED }
    }

    /// The whole text of the cookie with this value.
    pub(super) fn text<'v>(
        &mut self,
        value: &'v [u8],
        max_size: usize,
    ) -> Result<Cow<'v, [u8]>, SealError> {
        let text = match chunk::first(value)? {
            (None, text) => Cow::Borrowed(text),
            (Some(count), part) => Cow::Owned(self.join(part, count, max_size)?),
        };
        if text.len() <= max_size { Ok(text) } else { Err(SealError::TooLarge) }
    }

    /// The text that begins with `first` and is in `count` cookies in all.
    fn join(&mut self, first: &[u8], count: usize, max_size: usize) -> Result<Vec<u8>, SealError> {
        self.tries = self.tries.checked_sub(1).ok_or(SealError::TooMany)?;
        let tag = chunk::tag_of(first).ok_or(SealError::Malformed)?;
        let mut text = first.to_vec();
        for number in 1..count {
            let place = self.parts.partition_point(|(other, of, _)| (*other, *of) < (number, tag));
            match self.parts.get(place) {
                Some((other, of, part)) if (*other, *of) == (number, tag) => {
                    text.extend_from_slice(part);
                }
                _ if self.parts.iter().any(|(other, ..)| *other == number) => {
                    return Err(SealError::ChunkMixed);
                }
                Some(_) | None => return Err(SealError::ChunkMissing),
            }
            if text.len() > max_size {
                return Err(SealError::TooLarge);
            }
        }
        Ok(text)
    }
}

/// Chunks that the client has, so that stale ones can be cleared: hand it on from the request to
/// its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presented(BTreeSet<(Vec<u8>, usize)>);

impl Presented {
    /// Notes the chunks of `name`.
    pub(super) fn add(&mut self, name: &[u8], parts: &[Part<'_>]) {
        let numbers = parts.iter().map(|(number, ..)| *number).filter(|number| *number > 0);
        self.0.extend(numbers.map(|number| (name.to_vec(), number)));
    }

    /// The numbers of the chunks of `name`, from `least` on.
    pub(super) fn numbers(&self, name: &[u8], least: usize) -> impl Iterator<Item = usize> {
        let all = || (name.to_vec(), 1)..=(name.to_vec(), chunk::MOST);
        let found = (!self.0.is_empty()).then(|| self.0.range(all()));
        let numbers = found.into_iter().flatten().map(|(_, number)| *number);
        numbers.filter(move |number| *number >= least)
    }
}

/// The sealed text of the cookie `name` in a `Cookie` header, not opened, chunks joined: for
/// tools.
///
/// # Errors
/// [`SealError::Malformed`]: there is no such cookie; or a chunk is missing or mixed up.
pub fn sealed_text(header: &[u8], name: &str) -> Result<Vec<u8>, SealError> {
    let name = NamePattern::Exact(name.to_owned());
    let rules = CookieRules::new(vec![CookieRule::new(name)]);
    let mut found = Vec::new();
    cookie_header::find(0, header, &rules, &mut found);
    let value = |found: &Found<'_, '_>| header.get(found.value.clone()).unwrap_or_default();
    let mut chunks = Chunks::of(found.iter().map(|found| (found, value(found))));
    let is_first = |found: &&Found<'_, '_>| matches!(found.kind, Protected::Cookie(_));
    let first = found.iter().find(is_first).ok_or(SealError::Malformed)?;
    chunks.text(value(first), usize::MAX).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::super::jar::Jar;
    use super::super::opened_cookies::open_request;
    use super::super::seal::open;
    use super::super::testing::{Place, alice, long, request};
    use super::*;

    #[test]
    fn large_values_come_in_chunks_and_back() {
        let mut place = Place::new();
        let value = long(10_000);
        let pairs = place.pairs(&[&format!("S={value}; Path=/")], &alice());
        assert_eq!(pairs.len(), 4);
        assert!(pairs.iter().all(|pair| pair.len() <= 4_000));
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]] {
            let header: Vec<_> = order.iter().map(|place| pairs[*place].as_str()).collect();
            let (seen, outcomes) = place.open(&format!("a=1; {}", header.join("; ")), &alice());
            assert_eq!(seen, Some(format!("a=1; S={value}")));
            assert_eq!(outcomes, [("S".to_owned(), None)]);
        }
        place.refused(&pairs.join("; "), &[], SealError::PossessionMissing);
        for missing in 1..4 {
            let mut pairs = pairs.clone();
            pairs.remove(missing);
            place.refused(&pairs.join("; "), &alice(), SealError::ChunkMissing);
        }
        // Without the first one there is no cookie, only what is left of one.
        assert_eq!(place.open(&pairs[1..].join("; "), &alice()), (None, Vec::new()));
    }

    #[test]
    fn tools_get_at_the_sealed_text() {
        let mut place = Place::new();
        for length in [10, 10_000] {
            let pairs = place.pairs(&[&format!("S={}", long(length))], &alice());
            let text = sealed_text(format!("a=1; {}", pairs.join("; ")).as_bytes(), "S").unwrap();
            assert!(open(&text, &place.ring, &mut Vec::new()).is_ok());
        }
        assert_eq!(sealed_text(b"a=1; S~1=x", "S"), Err(SealError::Malformed));
    }

    #[test]
    fn chunks_of_two_values_do_not_mix() {
        let mut place = Place::new();
        let one = place.pairs(&[&format!("S={}", long(10_000))], &alice());
        let two = place.pairs(&[&format!("S={}", long(9_999))], &alice());
        let mixed = [&one[0][..], &two[1], &one[2], &one[3]].join("; ");
        place.refused(&mixed, &alice(), SealError::ChunkMixed);
        // With another value's tag it passes for a chunk, and the seal does not hold.
        let forged = two[1].replacen(&two[1][4..12], &one[1][4..12], 1);
        let mixed = [&one[0][..], &forged, &one[2], &one[3]].join("; ");
        place.refused(&mixed, &alice(), SealError::Tampered);
        // Both at once are told apart.
        let both = [&two[0][..], &one[0], &one[1], &two[1], &two[2], &one[2], &one[3], &two[3]];
        let (seen, _) = place.open(&both.join("; "), &alice());
        assert_eq!(seen, Some(format!("S={}", long(9_999))));
        // One of another name, too.
        let other = place.pairs(&[&format!("app_1={}", long(10_000))], &alice());
        let moved = other[1].replacen("app_1~", "S~", 1);
        let mixed = [&one[0][..], &moved, &one[2], &one[3]].join("; ");
        place.refused(&mixed, &alice(), SealError::ChunkMixed);
    }

    #[test]
    fn too_many_chunked_values_are_not_tried() {
        let mut place = Place::new();
        let parts = place.pairs(&[&format!("S={}", long(10_000))], &alice());
        let junk = [&parts[0][..40]; MOST_CHUNKED].join("; ");
        let header = format!("{junk}; {}", parts.join("; "));
        place.refused(&header, &alice(), SealError::TooMany);
        let jar = Jar { max_size: 8_000, ..place.jar() };
        let opened = open_request(&[parts.join("; ")], &jar, &request(&alice()));
        assert_eq!(opened.refused().collect::<Vec<_>>(), [(&b"S"[..], SealError::TooLarge)]);
    }
}
