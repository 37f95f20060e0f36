//! The request's `Cookie` header: finding protected names in it and putting others in their
//! place. What is not ours stays byte for byte.
//!
//! RFC 6265, section 4.2.1, has pairs divided by semicolons, but backends see more: RFC 2965,
//! section 3.3.4, lets a server take a comma for a semicolon, some take white space for one, and
//! many trim what is no graphic character. Whatever some backend could take for a protected cookie is found here; only what is
//! spelled exactly is a candidate for opening.

use std::ops::Range;

use memchr::{memchr, memchr2, memchr3, memchr3_iter};

use super::rule::{CookieRules, Protected};

/// A protected name in a header.
#[derive(Debug)]
pub(crate) struct Found<'r, 'h> {
    /// Which header.
    pub(crate) header: usize,
    /// The pair and the delimiter in front of it.
    pub(crate) range: Range<usize>,
    /// The value, without spaces around it.
    pub(crate) value: Range<usize>,
    /// The name as sent; of a chunk, the name without the number.
    pub(crate) name: &'h [u8],
    /// What it is.
    pub(crate) kind: Protected<'r, 'h>,
}

/// Adds every protected name in `header`, which is number `index`, to `found`, in their order.
/// Takes time in proportion to the header, whatever is in it.
pub(crate) fn find<'r, 'h>(
    index: usize,
    header: &'h [u8],
    rules: &'r CookieRules,
    found: &mut Vec<Found<'r, 'h>>,
) {
    let mut piece = Piece { header, start: 0, end: 0 };
    // Other white space than the usual space is rare, so that it is looked for only once.
    let odd =
        memchr3(b'\t', 0x0b, 0x0c, header).is_some() || memchr2(b'\r', b'\n', header).is_some();
    let mut divided = odd;
    for place in memchr3_iter(b';', b',', b' ', header) {
        if header.get(place) != Some(&b';') {
            // A space behind the semicolon divides nothing.
            divided |= place != piece.start;
            continue;
        }
        piece.end = place;
        if divided || piece.may_be_protected(rules) {
            piece.look_at(divided, index, rules, found);
            divided = odd;
        }
        piece.start = place.saturating_add(1);
    }
    piece.end = header.len();
    if divided || piece.may_be_protected(rules) {
        piece.look_at(divided, index, rules, found);
    }
}

/// What some backends take for the end of a pair: a comma (RFC 2965, section 3.3.4), and white
/// space (Python's `http.cookies` does).
const fn divides(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'\t' | 0x0b | 0x0c | b'\r' | b'\n')
}

/// A part of a header between two delimiters.
#[derive(Clone, Copy)]
struct Piece<'h> {
    header: &'h [u8],
    start: usize,
    end: usize,
}

impl<'h> Piece<'h> {
    /// Whether it needs a closer look. Most cookies are not ours and end here.
    #[inline]
    fn may_be_protected(&self, rules: &CookieRules) -> bool {
        match self.header.get(self.start..) {
            Some([b' ', first, ..] | [first, ..]) => {
                !first.is_ascii_graphic() || rules.may_begin_with(*first)
            }
            Some([]) | None => false,
        }
    }

    /// The closer look.
    fn look_at<'r>(
        &self,
        divided: bool,
        index: usize,
        rules: &'r CookieRules,
        found: &mut Vec<Found<'r, 'h>>,
    ) {
        if let Some(pair) = self.find(rules) {
            found.push(Found { header: index, ..pair });
        } else if divided {
            self.find_inside(rules, |pair| found.push(Found { header: index, ..pair }));
        }
    }

    fn bytes(&self) -> &'h [u8] {
        self.header.get(self.start..self.end).unwrap_or_default()
    }

    /// The pair in this piece, if it has a protected name.
    fn find<'r>(&self, rules: &'r CookieRules) -> Option<Found<'r, 'h>> {
        let bytes = self.bytes();
        let first = bytes.iter().find(|byte| byte.is_ascii_graphic())?;
        if !rules.may_begin_with(*first) {
            return None;
        }
        let equals = memchr(b'=', bytes);
        let sent = bytes.get(..equals.unwrap_or(bytes.len()))?;
        let name = trim(sent, |byte| !byte.is_ascii_graphic());
        // Only spaces and tabs around a name are syntax; a name with more is not the name.
        let exact = trim(sent, is_space).len() == name.len();
        let (name, kind) = match rules.classify(name)? {
            Protected::Cookie(rule) | Protected::Chunk(rule, ..) if !exact => {
                (name, Protected::LookAlike(rule))
            }
            Protected::Chunk(rule, base, number) => (base, Protected::Chunk(rule, base, number)),
            kind @ (Protected::Cookie(_) | Protected::LookAlike(_)) => (name, kind),
        };
        let value =
            equals.map_or(self.end, |place| self.start.saturating_add(place).saturating_add(1));
        let value = trimmed(self.header, value..self.end);
        Some(Found { header: 0, range: self.with_delimiter(), value, name, kind })
    }

    /// Protected names behind commas and white space within the piece. They are never candidates:
    /// browsers do not divide by them. Behind white space alone, a word without `=` is only a word.
    fn find_inside<'r>(&self, rules: &'r CookieRules, mut found: impl FnMut(Found<'r, 'h>)) {
        let bytes = self.bytes();
        let next = |from: usize, wanted: &dyn Fn(u8) -> bool| {
            let rest = bytes.get(from..).unwrap_or_default();
            let place = rest.iter().position(|byte| wanted(*byte)).unwrap_or(rest.len());
            from.saturating_add(place)
        };
        let mut place = next(0, &divides);
        while place < bytes.len() {
            let start = next(place, &|byte| !divides(byte));
            let name_end = next(start, &|byte| divides(byte) || byte == b'=');
            let equals = next(name_end, &|byte| !divides(byte));
            let has_value = bytes.get(equals) == Some(&b'=');
            let value = next(equals.saturating_add(1), &|byte| !divides(byte) || byte == b',');
            let end = if has_value { next(value, &divides) } else { name_end };
            let behind_comma = bytes.get(place..start).is_some_and(|gap| gap.contains(&b','));
            if start < name_end && (has_value || behind_comma) {
                self.find_part(place, start..end, rules, &mut found);
            }
            // A name that is empty takes no step of its own.
            place = next(end.max(place.saturating_add(1)), &divides);
        }
    }

    /// A protected name in `part` of the piece, behind a divider at `place`.
    fn find_part<'r>(
        &self,
        place: usize,
        part: Range<usize>,
        rules: &'r CookieRules,
        found: &mut impl FnMut(Found<'r, 'h>),
    ) {
        let at = |place: usize| self.start.saturating_add(place);
        let part = Piece { header: self.header, start: at(part.start), end: at(part.end) };
        if let Some(pair) = part.find(rules) {
            let (Protected::Cookie(rule) | Protected::Chunk(rule, ..) | Protected::LookAlike(rule)) =
                pair.kind;
            let range = at(place)..part.end;
            found(Found { range, kind: Protected::LookAlike(rule), ..pair });
        }
    }

    /// The piece and the delimiter in front of it, which goes with it.
    const fn with_delimiter(&self) -> Range<usize> {
        self.start.saturating_sub(1)..self.end
    }
}

/// What becomes of a protected name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes, with the delimiter in front of it.
    Remove,
    /// It gets this value.
    Open(Vec<u8>),
}

/// The header with these changes, which are in the order of [`find`]. `None` if nothing is left.
pub(crate) fn rewrite<'a>(
    header: &[u8],
    changes: impl Iterator<Item = (&'a Found<'a, 'a>, &'a Fate)>,
) -> Option<Vec<u8>> {
    let mut written = Vec::with_capacity(header.len());
    let mut read = 0;
    let mut beheaded = false;
    for (found, fate) in changes {
        let (until, value, from) = match fate {
            Fate::Remove => {
                beheaded |= found.range.start == 0;
                (found.range.start, &[][..], found.range.end)
            }
            Fate::Open(value) => (found.value.start, value.as_slice(), found.value.end),
        };
        written.extend_from_slice(header.get(read..until).unwrap_or_default());
        written.extend_from_slice(value);
        read = from;
    }
    written.extend_from_slice(header.get(read..).unwrap_or_default());
    if beheaded && let [b';', rest @ ..] = written.as_slice() {
        written = trim_start(rest, is_space).to_vec();
    }
    let left = written.iter().any(|byte| *byte != b';' && !is_space(*byte));
    left.then_some(written)
}

/// A space or a tab: what may stand around names and values.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `bytes` without those at both ends that are `extra`.
pub(crate) fn trim(bytes: &[u8], extra: impl Fn(u8) -> bool) -> &[u8] {
    let mut rest = trim_start(bytes, &extra);
    while let [start @ .., last] = rest
        && extra(*last)
    {
        rest = start;
    }
    rest
}

fn trim_start(bytes: &[u8], extra: impl Fn(u8) -> bool) -> &[u8] {
    let mut rest = bytes;
    while let [first, end @ ..] = rest
        && extra(*first)
    {
        rest = end;
    }
    rest
}

/// `range` of `bytes` without spaces around it.
fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let whole = bytes.get(range.clone()).unwrap_or_default();
    let kept = trim_start(whole, is_space);
    let start = range.start.saturating_add(whole.len().saturating_sub(kept.len()));
    start..start.saturating_add(trim(kept, is_space).len())
}

#[cfg(test)]
mod tests {
    use super::super::rule::CookieRule;
    use super::*;

    fn rules() -> CookieRules {
        let rule = |name: &str| CookieRule::new(name.parse().unwrap());
        CookieRules::new(vec![rule("S"), rule("app_*")])
    }

    fn opening(header: &[u8]) -> Option<Vec<u8>> {
        change(header, |found| match found.kind {
            Protected::Cookie(_) => Fate::Open(b"open".to_vec()),
            Protected::Chunk(..) | Protected::LookAlike(_) => Fate::Remove,
        })
    }

    fn change(header: &[u8], fate: impl Fn(&Found<'_, '_>) -> Fate) -> Option<Vec<u8>> {
        let rules = rules();
        let mut found = Vec::new();
        find(0, header, &rules, &mut found);
        let fates: Vec<_> = found.iter().map(fate).collect();
        rewrite(header, found.iter().zip(&fates))
    }

    #[test]
    fn others_stay_byte_for_byte() {
        for header in [
            &b"a=1; b=2"[..],
            b"a=1;b=2 ;\tc = 3;;",
            b"; ;=;===;a",
            b"a=\"S=1\"; b=[1,2,3]; \xff\xfe\x00=\x01",
            b"SS=1; xS=2; aS=3; $S=4; S2=5",
            b"a=S; b=app_",
            b"a=1,b=2",
            b"a=this S is a word; b = 2 ;c= S ; d=x =S= y",
        ] {
            assert_eq!(opening(header).as_deref(), Some(header));
        }
    }

    #[test]
    fn a_protected_value_is_replaced_in_its_place() {
        for (header, expected) in [
            ("S=x", "S=open"),
            ("a=1; S=x; b=2", "a=1; S=open; b=2"),
            ("a=1;S = x ;b=2", "a=1;S = open ;b=2"),
            ("app_1=x; app_2=y", "app_1=open; app_2=open"),
            ("S=", "S=open"),
            ("S=a=b", "S=open"),
            ("S=x,y; b", "S=open; b"),
        ] {
            let got = opening(header.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(got).unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn what_is_removed_takes_its_delimiter_along() {
        for (header, expected) in [
            ("S=x", None),
            ("S", None),
            (" ;S=x; ", None),
            ("S=1; S=2;S=3", None),
            ("S=x; a=1", Some("a=1")),
            ("S=x;a=1", Some("a=1")),
            ("a=1; S=x", Some("a=1")),
            ("a=1; S=x; b=2", Some("a=1; b=2")),
            ("S=1; S=2; a=1; S=3; b=2; S=4", Some("a=1; b=2")),
            ("a=1;; S=x;", Some("a=1;;")),
            ("S~1=x; a=1", Some("a=1")),
            ("s=x; a=1", Some("a=1")),
            ("%53=x; a=1", Some("a=1")),
            ("\u{1}S\u{7f}=x; a=1", Some("a=1")),
            ("\u{a0}S=x; a=1", Some("a=1")),
            ("app.x=y; a=1", Some("a=1")),
            ("a=1,S=x; b=2", Some("a=1; b=2")),
            ("a=1, s=x,c=3; b=2", Some("a=1,c=3; b=2")),
            ("a=1,S~2=x", Some("a=1")),
            ("a=b S=x; c=3", Some("a=b; c=3")),
            ("a=b\tS=x", Some("a=b")),
            ("a=b\u{b}S=x", Some("a=b")),
            ("a=b \r\n S = x", Some("a=b")),
            ("a=\"x\" s=x; b", Some("a=\"x\"; b")),
            ("a=1 , S =\tx y", Some("a=1 y")),
            ("a S=x S=y", Some("a")),
        ] {
            let got = change(header.as_bytes(), |_| Fate::Remove);
            let got = got.map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(got.as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn only_the_exact_spelling_is_a_candidate() {
        let rules = rules();
        for header in ["a,S=1", "\u{1}S=1", "s=1", "S\u{b}=1", "S\"=1,S=1"] {
            let mut found = Vec::new();
            find(0, header.as_bytes(), &rules, &mut found);
            let candidate = |found: &Found<'_, '_>| !matches!(found.kind, Protected::LookAlike(_));
            assert!(!found.iter().any(candidate), "{header}");
        }
    }

    #[test]
    fn any_bytes_are_handled() {
        // Every pair of bytes around a protected name: nothing panics, and no change is no change.
        for one in 0..=255_u8 {
            for two in [0, b' ', b';', b',', b'=', b'"', b'%', b'S', 0x80, 0xff] {
                let header = [one, two, b'S', b'=', two, one];
                let kept =
                    change(&header, |found| Fate::Open(header[found.value.clone()].to_vec()));
                let blank = |byte: &u8| *byte == b';' || is_space(*byte);
                if !header.iter().all(blank) {
                    assert_eq!(kept.as_deref(), Some(&header[..]));
                }
                let _ = change(&header, |_| Fate::Remove);
            }
        }
    }
}
