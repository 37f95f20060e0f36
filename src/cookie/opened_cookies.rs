//! The cookies of a request, opened.

use super::chunks::{Chunks, Presented};
use super::cookie_header::{self, Fate, Found};
use super::jar::Jar;
use super::judge::{Request, Situation, judge};
use super::payload::{CookiePolicy, Payload, SessionCookie};
use super::possession::Possession;
use super::rule::{CookieRule, Protected};
use super::seal::open;
use super::seal_error::SealError;
use crate::token::Timestamp;

/// What becomes of a `Cookie` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays byte for byte.
    Keep,
    /// It gets this value.
    Replace(Vec<u8>),
    /// It goes: no cookie is left in it.
    Remove,
}

/// An opened cookie, for logs and exports: everything but its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// When it was sealed.
    pub issued: Timestamp,
    /// The policy it was sealed under.
    pub policy: CookiePolicy,
    /// The key that it is bound to and that the client proved; `None`: it is bound to nothing.
    pub possession: Option<Possession>,
}

/// What came of the cookies of one protected name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieOutcome {
    /// The name as sent. With prefix rules it is partly the client's choice: escape it in logs.
    pub name: Vec<u8>,
    /// The one that the application sees, or why it sees none.
    pub result: Result<Opened, SealError>,
}

/// What came of a request's cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenedCookies {
    /// What becomes of each `Cookie` header, in their order. Empty if all of them stay.
    pub headers: Vec<Change>,
    /// One for each protected name that occurs, by name.
    pub cookies: Vec<CookieOutcome>,
    /// For [`seal_response`](super::seal_response).
    pub presented: Presented,
}

impl OpenedCookies {
    /// What the application is to see of `header`, the one at `place`. `None`: nothing of it.
    #[must_use]
    pub fn rewritten<'h>(&'h self, header: &'h [u8], place: usize) -> Option<&'h [u8]> {
        match self.headers.get(place) {
            None | Some(Change::Keep) => Some(header),
            Some(Change::Replace(value)) => Some(value),
            Some(Change::Remove) => None,
        }
    }

    /// The names that had cookies of which none counts, each with its reason.
    pub fn refused(&self) -> impl Iterator<Item = (&[u8], SealError)> {
        self.cookies
            .iter()
            .filter_map(|cookie| Some((cookie.name.as_slice(), cookie.result.err()?)))
    }
}

/// Opens the cookies of a request: `headers` are the values of its `Cookie` headers.
///
/// Guarantees, whatever the headers hold:
/// - No value stays under a protected name, or one that a backend could take for it, unless it
///   was sealed with a secret of the ring for this name, host and path, is young enough, and is
///   bound to a key in [`Request::proved`] (or was sealed as unbound and that is still enough).
/// - Of several that count, the first bound one stays, else the first.
/// - Everything else stays byte for byte and in order.
/// - Time and memory are in proportion to the size of the headers. Without a protected name
///   nothing is allocated.
#[must_use]
pub fn open_request<H: AsRef<[u8]>>(
    headers: &[H],
    jar: &Jar<'_>,
    request: &Request<'_>,
) -> OpenedCookies {
    let mut found = Vec::new();
    if !jar.rules.is_empty() {
        for (place, header) in headers.iter().enumerate() {
            cookie_header::find(place, header.as_ref(), jar.rules, &mut found);
        }
    }
    if found.is_empty() {
        return OpenedCookies::default();
    }
    let mut opened = OpenedCookies::default();
    let mut fates = vec![Fate::Remove; found.len()];
    let mut order: Vec<usize> = (0..found.len()).collect();
    let name = |place: &usize| found.get(*place).map(|found| found.name);
    order.sort_by_key(name);
    let cookies = Cookies { headers, found: &found, jar, request };
    for places in order.chunk_by(|one, other| name(one) == name(other)) {
        if let Some((place, value)) = cookies.settle(places, &mut opened)
            && let Some(fate) = fates.get_mut(place)
        {
            *fate = Fate::Open(value);
        }
    }
    opened.headers = cookies.changes(&fates);
    opened
}

/// The protected cookies of a request.
struct Cookies<'a, H> {
    headers: &'a [H],
    found: &'a [Found<'a, 'a>],
    jar: &'a Jar<'a>,
    request: &'a Request<'a>,
}

impl<'a, H: AsRef<[u8]>> Cookies<'a, H> {
    /// Finds the cookie that counts among those of one name, and notes what came of it. Gives
    /// its place and its value.
    fn settle(&self, places: &[usize], opened: &mut OpenedCookies) -> Option<(usize, Vec<u8>)> {
        let of_name = || places.iter().filter_map(|place| Some((*place, self.found.get(*place)?)));
        let name = of_name().next().map(|(_, found)| found.name)?;
        let mut chunks = Chunks::of(of_name().map(|(_, found)| (found, self.value(found))));
        opened.presented.add(name, &chunks.parts);
        let mut best: Option<(usize, Opened, Vec<u8>)> = None;
        let mut error = None;
        for (place, found) in of_name() {
            let result = match found.kind {
                Protected::Cookie(rule) => self.open(found, rule, &mut chunks),
                // Those without a first one are what is left of a value that has gone.
                Protected::Chunk(..) => continue,
                Protected::LookAlike(_) => Err(SealError::LookAlike),
            };
            match result {
                Ok((cookie, value)) if cookie.possession.is_some() => {
                    best = Some((place, cookie, value));
                    break;
                }
                Ok((cookie, value)) if best.is_none() => best = Some((place, cookie, value)),
                Ok(_) => {}
                Err(reason) => error = error.max(Some(reason)),
            }
        }
        let (result, winner) = match best {
            Some((place, cookie, value)) => (Ok(cookie), Some((place, value))),
            None => (Err(error?), None),
        };
        opened.cookies.push(CookieOutcome { name: name.to_vec(), result });
        winner
    }

    fn value(&self, found: &Found<'_, '_>) -> &'a [u8] {
        let header = self.headers.get(found.header).map(AsRef::as_ref);
        header.and_then(|header| header.get(found.value.clone())).unwrap_or_default()
    }

    /// Opens one cookie and judges it.
    fn open(
        &self,
        found: &Found<'_, '_>,
        rule: &CookieRule,
        chunks: &mut Chunks<'_>,
    ) -> Result<(Opened, Vec<u8>), SealError> {
        let text = chunks.text(self.value(found), self.jar.max_size)?;
        let mut buffer = Vec::new();
        let Payload::SessionCookie(cookie) = open(&text, self.jar.ring, &mut buffer)?;
        judge(&cookie, &Situation { name: found.name, rule, request: self.request })?;
        let SessionCookie { issued, policy, possession, value, .. } = cookie;
        Ok((Opened { issued, policy, possession }, value.to_vec()))
    }

    fn changes(&self, fates: &[Fate]) -> Vec<Change> {
        let mut rest = self.found.iter().zip(fates).peekable();
        let change = |(place, header): (usize, &H)| {
            if rest.peek().is_none_or(|(found, _)| found.header != place) {
                return Change::Keep;
            }
            let own = std::iter::from_fn(|| rest.next_if(|(found, _)| found.header == place));
            match cookie_header::rewrite(header.as_ref(), own) {
                Some(value) => Change::Replace(value),
                None => Change::Remove,
            }
        };
        self.headers.iter().enumerate().map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::possession::PossessionKind;
    use super::super::rule::CookieRules;
    use super::super::sealed_cookies::seal_response;
    use super::super::testing::{Place, alice, key, long, request};
    use super::*;

    #[test]
    fn the_application_sees_its_own_value_and_nobody_else_uses_it() {
        let mut place = Place::new();
        let pairs = place.pairs(&["S=8F2A; Path=/"], &alice());
        assert!(!pairs[0].contains("8F2A"));
        let header = format!("a=1; {}; b=2", pairs[0]);
        let (seen, outcomes) = place.open(&header, &alice());
        assert_eq!(seen.as_deref(), Some("a=1; S=8F2A; b=2"));
        assert_eq!(outcomes, [("S".to_owned(), None)]);
        let bob = [key(PossessionKind::Certificate, "bob")];
        place.refused(&pairs[0], &bob, SealError::PossessionMismatch);
        place.refused(&pairs[0], &[], SealError::PossessionMissing);
        let renamed = pairs[0].replacen("S=", "app_S=", 1);
        place.refused(&renamed, &alice(), SealError::OtherName);
        place.refused("S=8F2A", &alice(), SealError::Malformed);
        place.refused("s=8F2A", &alice(), SealError::LookAlike);
    }

    #[test]
    fn without_a_protected_name_nothing_is_touched() {
        let mut place = Place::new();
        let opened = open_request(&["a=1; b=2", ""], &place.jar(), &request(&[]));
        assert_eq!(opened, OpenedCookies::default());
        let nobody = Presented::default();
        let response = |set: &[&str]| {
            let random = |_: &mut [u8]| panic!("no need of randomness");
            let jar = Jar::new(&place.rules, &place.ring);
            seal_response(set, &jar, &request(&[]), &nobody, random).cookies.is_none()
        };
        assert!(response(&["a=1; Path=/", "s=1", ""]));
        assert!(response(&[]));
        place.rules = CookieRules::new(Vec::new());
        assert_eq!(place.open("S=1", &[]).0.as_deref(), Some("S=1"));
    }

    #[test]
    fn of_two_cookies_the_one_that_counts_stays() {
        let mut place = Place::new();
        let good = place.pairs(&["S=good; Path=/"], &alice()).remove(0);
        let bob = [key(PossessionKind::Certificate, "bob")];
        let bad = place.pairs(&["S=bad; Path=/"], &bob).remove(0);
        for header in [
            format!("{bad}; {good}; x=1"),
            format!("{good}; {bad}; x=1"),
            format!("S=planted; S=; {good}; s=x; S; x=1"),
        ] {
            let (seen, outcomes) = place.open(&header, &alice());
            assert_eq!(seen.as_deref(), Some("S=good; x=1"), "{header}");
            assert!(outcomes.contains(&("S".to_owned(), None)));
        }
        place.refused(&format!("S=x; {bad}"), &alice(), SealError::PossessionMismatch);
        let unbound = place.pairs(&["app_1=unbound; Path=/"], &[]).remove(0);
        let bound = place.pairs(&["app_1=bound; Path=/"], &alice()).remove(0);
        let (seen, _) = place.open(&format!("{unbound}; {bound}"), &alice());
        assert_eq!(seen.as_deref(), Some("app_1=bound"));
        let (seen, _) = place.open(&format!("{unbound}; {bound}"), &[]);
        assert_eq!(seen.as_deref(), Some("app_1=unbound"));
    }

    #[test]
    fn several_headers_are_handled_each_by_itself() {
        let mut place = Place::new();
        let good = place.pairs(&["S=good; Path=/"], &alice()).remove(0);
        let headers = [&good[..], "S=x", "a=1", "b=2; S=y"];
        let opened = open_request(&headers, &place.jar(), &request(&alice()));
        let expected = [
            Change::Replace(b"S=good".to_vec()),
            Change::Remove,
            Change::Keep,
            Change::Replace(b"b=2".to_vec()),
        ];
        assert_eq!(opened.headers, expected);
    }

    #[test]
    fn a_flood_costs_little_more_than_its_length() {
        let mut place = Place::new();
        let good = place.pairs(&["S=good"], &alice()).remove(0);
        let parts = place.pairs(&[&format!("S={}", long(10_000))], &alice());
        let heads = vec![&parts[0][..40]; 1_000].join("; ");
        let many: Vec<_> = (0..10_000).map(|number| format!("app_{number}=AQ")).collect();
        for flood in [
            "S=x; ".repeat(10_000),
            ";".repeat(65_536),
            ",S=".repeat(20_000) + "; ",
            many.join("; ") + "; ",
            format!("{heads}; {}; ", parts[1..].join("; ")),
            format!("{}; ", vec!["S~1=AAAAAAAA~"; 5_000].join("; ")),
        ] {
            let (seen, outcomes) = place.open(&format!("{flood}{good}; a=1"), &alice());
            assert_eq!(seen.unwrap().replace(';', "").trim(), "S=good a=1");
            assert!(outcomes.contains(&("S".to_owned(), None)));
        }
    }
}
