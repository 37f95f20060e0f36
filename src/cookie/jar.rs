//! What a server does with cookies: opens those of a request, seals those of a response.

use std::borrow::Cow;
use std::collections::BTreeSet;

use openssl::error::ErrorStack;

use super::chunk;
use super::cookie_header::{self, Fate, Found};
use super::judge::{Request, Situation, judge};
use super::key_ring::KeyRing;
use super::payload::{CookiePolicy, Payload, SessionCookie};
use super::possession::Possession;
use super::rule::{CookieRule, CookieRules, NamePattern, Protected};
use super::scope::{HostScope, Scope};
use super::seal::{Nonce, open, seal};
use super::seal_error::SealError;
use super::set_cookie::SetCookie;
use crate::token::Timestamp;

/// How many chunked values of one name are tried. Each may be as large as the limit allows while
/// sharing its chunks with the others, so this bounds the work.
const MOST_CHUNKED: usize = 8;

/// The rules and the ring of one place.
#[derive(Clone, Copy, Debug)]
pub struct Jar<'a> {
    /// Which cookies are protected.
    pub rules: &'a CookieRules,
    /// What seals and opens them.
    pub ring: &'a KeyRing,
    /// The largest sealed text in characters, all chunks together.
    pub max_size: usize,
}

impl<'a> Jar<'a> {
    /// 16 KiB.
    pub const DEFAULT_MAX_SIZE: usize = 16_384;

    /// The jar with the default size limit.
    #[must_use]
    pub const fn new(rules: &'a CookieRules, ring: &'a KeyRing) -> Self {
        Self { rules, ring, max_size: Self::DEFAULT_MAX_SIZE }
    }
}

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

/// Chunks that the client has, so that stale ones can be cleared: hand it on from the request to
/// its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presented(BTreeSet<(Vec<u8>, usize)>);

impl Presented {
    /// Notes the chunks of `name`.
    fn add(&mut self, name: &[u8], parts: &[Part<'_>]) {
        let numbers = parts.iter().map(|(number, ..)| *number).filter(|number| *number > 0);
        self.0.extend(numbers.map(|number| (name.to_vec(), number)));
    }

    /// The numbers of the chunks of `name`, from `least` on.
    fn numbers(&self, name: &[u8], least: usize) -> impl Iterator<Item = usize> {
        let all = || (name.to_vec(), 1)..=(name.to_vec(), chunk::MOST);
        let found = (!self.0.is_empty()).then(|| self.0.range(all()));
        let numbers = found.into_iter().flatten().map(|(_, number)| *number);
        numbers.filter(move |number| *number >= least)
    }
}

/// What came of a request's cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenedCookies {
    /// What becomes of each `Cookie` header, in their order. Empty if all of them stay.
    pub headers: Vec<Change>,
    /// One for each protected name that occurs, by name.
    pub cookies: Vec<CookieOutcome>,
    /// For [`seal_response`].
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

/// The protected cookies of a request.
struct Cookies<'a, H> {
    headers: &'a [H],
    found: &'a [Found<'a, 'a>],
    jar: &'a Jar<'a>,
    request: &'a Request<'a>,
}

/// A further chunk: its number, the tag of its value, and its part of the text.
type Part<'a> = (usize, &'a [u8], &'a [u8]);

/// The chunks of one name.
struct Chunks<'a> {
    /// Sorted.
    parts: Vec<Part<'a>>,
    /// How many values may still be joined from them.
    tries: usize,
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

impl<'a> Chunks<'a> {
    /// The further chunks among these cookies, which come with their values.
    fn of<'f>(cookies: impl Iterator<Item = (&'f Found<'a, 'a>, &'a [u8])>) -> Self
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
    fn text<'v>(&mut self, value: &'v [u8], max_size: usize) -> Result<Cow<'v, [u8]>, SealError> {
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

/// What came of one cookie that the application sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealOutcome {
    /// The name.
    pub name: Vec<u8>,
    /// What it is bound to (`None`: nothing), or why it is not issued.
    pub result: Result<Option<Possession>, SealError>,
}

/// What came of a response's cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedCookies<'h> {
    /// The `Set-Cookie` headers that the client is to get, in order. `None`: those that the
    /// application set.
    pub cookies: Option<Vec<Cow<'h, [u8]>>>,
    /// One for each protected cookie that the application set, other than deletions.
    pub outcomes: Vec<SealOutcome>,
}

/// Seals the cookies of a response: `headers` are the values of its `Set-Cookie` headers, all of
/// them; `request` and `presented` are those of its request; `random` fills a buffer with
/// randomness (`openssl::rand::rand_bytes`).
///
/// Guarantees:
/// - A protected value leaves only sealed and, unless the policy is `preferred`, bound. What
///   cannot be sealed is not issued, and its outcome says why.
/// - The application's attributes stay as they are; `Secure` and `HttpOnly` are added where the
///   rule or a name prefix says so.
/// - Deletions and other cookies stay byte for byte, all in their order; but a deletion loses a
///   value that says something.
/// - Chunks that the client presented and that no longer belong to the value are cleared.
#[must_use]
pub fn seal_response<'h, H: AsRef<[u8]>>(
    headers: &'h [H],
    jar: &Jar<'_>,
    request: &Request<'_>,
    presented: &Presented,
    random: impl FnMut(&mut [u8]) -> Result<(), ErrorStack>,
) -> SealedCookies<'h> {
    let ours = |header: &H| protecting(jar.rules, SetCookie::parse(header.as_ref()).name).is_some();
    if jar.rules.is_empty() || !headers.iter().any(ours) {
        return SealedCookies::default();
    }
    let mut response = Response { jar, request, presented, random, sent: Vec::new() };
    let outcomes = headers.iter().filter_map(|header| response.add(header.as_ref())).collect();
    SealedCookies { cookies: Some(response.sent), outcomes }
}

/// Seals one `Set-Cookie` header as [`seal_response`] does all of a response: what the client gets of
/// it, and what came of it if it is protected and no deletion.
pub fn seal_one<'h>(
    header: &'h [u8],
    jar: &Jar<'_>,
    request: &Request<'_>,
    presented: &Presented,
    random: impl FnMut(&mut [u8]) -> Result<(), ErrorStack>,
) -> (Vec<Cow<'h, [u8]>>, Option<SealOutcome>) {
    let mut response = Response { jar, request, presented, random, sent: Vec::new() };
    let outcome = response.add(header);
    (response.sent, outcome)
}

/// Whether these rules are for the cookie of a `Set-Cookie` header.
#[must_use]
pub fn protects(rules: &CookieRules, header: &[u8]) -> bool {
    protecting(rules, SetCookie::parse(header).name).is_some()
}

/// The rule for a cookie that the application sets, and whether its name is one of a chunk.
fn protecting<'r>(rules: &'r CookieRules, name: &[u8]) -> Option<(&'r CookieRule, bool)> {
    let chunk_of = chunk::split_name(name).and_then(|(base, _)| rules.find(base));
    match chunk_of {
        Some(rule) => Some((rule, true)),
        None => Some((rules.find(name)?, false)),
    }
}

/// A response in the making.
struct Response<'a, 'h, R> {
    jar: &'a Jar<'a>,
    request: &'a Request<'a>,
    presented: &'a Presented,
    random: R,
    sent: Vec<Cow<'h, [u8]>>,
}

impl<'h, R: FnMut(&mut [u8]) -> Result<(), ErrorStack>> Response<'_, 'h, R> {
    /// Adds what the client gets of one `Set-Cookie`.
    fn add(&mut self, header: &'h [u8]) -> Option<SealOutcome> {
        let cookie = SetCookie::parse(header);
        let Some((rule, is_chunk)) = protecting(self.jar.rules, cookie.name) else {
            self.sent.push(Cow::Borrowed(header));
            return None;
        };
        if cookie.is_deletion(self.request.now) {
            // Clocks differ: what is gone here may live on in the browser for a while.
            let says_nothing = cookie.value.is_empty() || cookie.value == b"deleted";
            self.sent.push(if says_nothing {
                Cow::Borrowed(header)
            } else {
                Cow::Owned(cookie.emptied())
            });
            self.clear(&cookie, rule, 1);
            return None;
        }
        let result = if is_chunk { Err(SealError::NameReserved) } else { self.seal(&cookie, rule) };
        Some(SealOutcome { name: cookie.name.to_vec(), result })
    }

    fn seal(
        &mut self,
        cookie: &SetCookie<'_>,
        rule: &CookieRule,
    ) -> Result<Option<Possession>, SealError> {
        cookie.check_prefix()?;
        let possession = preferred(rule, self.request.proved);
        if possession.is_none() && rule.policy == CookiePolicy::Required {
            return Err(SealError::PossessionMissing);
        }
        let domain = cookie.domain()?;
        // RFC 6265, section 5.3, step 6. Sealed it would count there, for clients that do not mind.
        if domain
            .as_ref()
            .is_some_and(|domain| !HostScope::Domain(domain).covers(self.request.host))
        {
            return Err(SealError::ForeignDomain);
        }
        let host = match &domain {
            Some(domain) => HostScope::Domain(domain),
            None => HostScope::HostOnly(self.request.host),
        };
        let payload = Payload::SessionCookie(SessionCookie {
            issued: self.request.now,
            policy: rule.policy,
            possession,
            scope: Scope { host, path: cookie.path(self.request.path) },
            name: cookie.name,
            value: cookie.value,
        });
        let mut nonce = Nonce::default();
        (self.random)(&mut nonce).map_err(|_| SealError::Randomness)?;
        let text = seal(&payload, self.jar.ring, &nonce)?;
        if text.len() > self.jar.max_size {
            return Err(SealError::TooLarge);
        }
        let chunks = chunk::split(cookie.name, &text)?;
        for part in &chunks {
            self.sent.push(Cow::Owned(cookie.with_pair(&part.name, &part.value, rule)));
        }
        self.clear(cookie, rule, chunks.len());
        Ok(possession)
    }

    /// Clears the chunks that the client presented, from number `least` on.
    fn clear(&mut self, cookie: &SetCookie<'_>, rule: &CookieRule, least: usize) {
        for number in self.presented.numbers(cookie.name, least) {
            let name = chunk::chunk_name(cookie.name, number);
            self.sent.push(Cow::Owned(cookie.deletion(&name, rule)));
        }
    }
}

/// The first kind of the rule that the client proved.
fn preferred(rule: &CookieRule, proved: &[Possession]) -> Option<Possession> {
    rule.accepted
        .iter()
        .find_map(|kind| proved.iter().find(|possession| possession.kind == *kind))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::super::possession::PossessionKind;
    use super::super::secret::Secret;
    use super::*;
    use crate::thumbprint::Thumbprint;

    const NOW: Timestamp = 1_760_000_000;

    fn key(kind: PossessionKind, name: &str) -> Possession {
        Possession { kind, hash: Thumbprint::of(name.as_bytes()) }
    }

    /// A place with the rules `S`, required, and `app_*`, preferred.
    struct Place {
        rules: CookieRules,
        ring: KeyRing,
        drawn: u8,
    }

    impl Place {
        fn new() -> Self {
            let accepted = vec![PossessionKind::TokenBinding, PossessionKind::Certificate];
            let required = CookieRule { accepted, ..CookieRule::new("S".parse().unwrap()) };
            let preferred = CookieRule {
                name: "app_*".parse().unwrap(),
                policy: CookiePolicy::Preferred,
                ..required.clone()
            };
            let host = CookieRule::new("__Host-*".parse().unwrap());
            let rules = CookieRules::new(vec![required, preferred, host]);
            Self { rules, ring: KeyRing::new(&[Secret::from_bytes([1; 32])]).unwrap(), drawn: 0 }
        }

        fn jar(&self) -> Jar<'_> {
            Jar::new(&self.rules, &self.ring)
        }

        /// What the client gets of these `Set-Cookie`, and what came of each.
        fn seal(
            &mut self,
            set: &[&str],
            proved: &[Possession],
            presented: &Presented,
        ) -> (Vec<String>, Vec<SealOutcome>) {
            let drawn = &mut self.drawn;
            let random = |bytes: &mut [u8]| {
                *drawn = drawn.wrapping_add(1);
                bytes.fill(*drawn);
                Ok(())
            };
            let jar = Jar::new(&self.rules, &self.ring);
            let sealed = seal_response(set, &jar, &request(proved), presented, random);
            let plain = || set.iter().map(|header| Cow::Borrowed(header.as_bytes())).collect();
            let cookies = sealed.cookies.unwrap_or_else(plain);
            let text = |cookie: Cow<'_, [u8]>| String::from_utf8(cookie.into_owned()).unwrap();
            (cookies.into_iter().map(text).collect(), sealed.outcomes)
        }

        /// The pairs of cookies sealed for these possessions.
        fn pairs(&mut self, set: &[&str], proved: &[Possession]) -> Vec<String> {
            let (cookies, _) = self.seal(set, proved, &Presented::default());
            cookies.iter().map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect()
        }

        /// What the application sees of a `Cookie` header, and what came of each name.
        fn open(
            &self,
            header: &str,
            proved: &[Possession],
        ) -> (Option<String>, Vec<(String, Option<SealError>)>) {
            let opened = open_request(&[header], &self.jar(), &request(proved));
            let seen = opened.rewritten(header.as_bytes(), 0);
            let seen = seen.map(|seen| String::from_utf8(seen.to_vec()).unwrap());
            let outcome = |cookie: &CookieOutcome| {
                (String::from_utf8(cookie.name.clone()).unwrap(), cookie.result.err())
            };
            (seen, opened.cookies.iter().map(outcome).collect())
        }

        fn refused(&self, header: &str, proved: &[Possession], error: SealError) {
            let (seen, outcomes) = self.open(header, proved);
            assert_eq!(seen, None, "{header}");
            assert_eq!(
                outcomes.iter().map(|(_, error)| *error).max(),
                Some(Some(error)),
                "{header}"
            );
        }
    }

    fn request(proved: &[Possession]) -> Request<'_> {
        Request { host: "app.example", path: b"/", now: NOW, proved }
    }

    fn alice() -> [Possession; 1] {
        [key(PossessionKind::Certificate, "alice")]
    }

    fn long(length: usize) -> String {
        "0123456789".chars().cycle().take(length).collect()
    }

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
    fn the_first_proved_kind_of_the_rule_is_what_a_cookie_is_bound_to() {
        let mut place = Place::new();
        let both = [alice()[0], key(PossessionKind::TokenBinding, "alice")];
        let (_, outcomes) = place.seal(&["S=1"], &both, &Presented::default());
        assert_eq!(outcomes[0].result, Ok(Some(both[1])));
        let device = [key(PossessionKind::DeviceKey, "alice")];
        let (cookies, outcomes) = place.seal(&["S=1", "app_1=2"], &device, &Presented::default());
        assert_eq!(outcomes[0].result, Err(SealError::PossessionMissing));
        assert_eq!(outcomes[1].result, Ok(None));
        assert_eq!(cookies.len(), 1);
    }

    #[test]
    fn what_cannot_be_sealed_is_not_issued() {
        let mut place = Place::new();
        for (set, error) in [
            ("S=a\u{1}b", SealError::NotStorable),
            ("app_@=1", SealError::NotStorable),
            ("S~1=x", SealError::NameReserved),
            ("app_1~7=x", SealError::NameReserved),
            ("__Host-a=1; Path=/x", SealError::PrefixRules),
            (&format!("S={}", long(13_000)), SealError::TooLarge),
            (&format!("S={}", long(70_000)), SealError::NotStorable),
        ] {
            let (cookies, outcomes) = place.seal(&["a=1", set], &alice(), &Presented::default());
            assert_eq!(cookies, ["a=1"], "{set}");
            assert_eq!(outcomes.len(), 1, "{set}");
            assert_eq!(outcomes[0].result, Err(error), "{set}");
        }
        let set = ["S=1"];
        let nobody = Presented::default();
        let broken = |_: &mut [u8]| Err(ErrorStack::get());
        let sealed = seal_response(&set, &place.jar(), &request(&alice()), &nobody, broken);
        assert_eq!(sealed.outcomes[0].result, Err(SealError::Randomness));
        assert_eq!(sealed.cookies, Some(Vec::new()));
    }

    #[test]
    fn deletions_and_other_cookies_pass_in_their_order() {
        let mut place = Place::new();
        let deletion = "S=deleted; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Path=/";
        let set = ["a=1", deletion, "S=new; Path=/", "b=2", "S="];
        let (cookies, outcomes) = place.seal(&set, &alice(), &Presented::default());
        assert_eq!((&cookies[0][..], &cookies[1][..]), ("a=1", deletion));
        assert!(
            cookies[2].starts_with("S=A") && cookies[2].ends_with("; Path=/; Secure; HttpOnly")
        );
        assert_eq!((&cookies[3][..], &cookies[4][..], cookies.len()), ("b=2", "S=", 5));
        assert_eq!(outcomes.len(), 1);
    }

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
    fn stale_chunks_are_cleared() {
        let mut place = Place::new();
        let pairs = place.pairs(&[&format!("S={}; Path=/", long(10_000))], &alice());
        let opened = open_request(&[pairs.join("; ")], &place.jar(), &request(&alice()));
        let names = |cookies: &[String]| -> Vec<String> {
            let name = |cookie: &String| cookie.split('=').next().unwrap().to_owned();
            cookies.iter().map(name).collect()
        };
        let (cookies, _) =
            place.seal(&["S=small; Path=/; Max-Age=60", "a=1"], &alice(), &opened.presented);
        assert_eq!(names(&cookies), ["S", "S~1", "S~2", "S~3", "a"]);
        assert_eq!(
            cookies[1],
            "S~1=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly"
        );
        let medium = format!("S={}", long(4_000));
        let (cookies, _) = place.seal(&[&medium], &alice(), &opened.presented);
        assert_eq!(names(&cookies), ["S", "S~1", "S~2", "S~3"]);
        assert!(!cookies[1].contains("Max-Age=0") && cookies[2].contains("Max-Age=0"));
        let (cookies, _) = place.seal(&["S=; Max-Age=0"], &alice(), &opened.presented);
        assert_eq!(names(&cookies), ["S", "S~1", "S~2", "S~3"]);
        let (cookies, _) = place.seal(&["app_1=1"], &alice(), &opened.presented);
        assert_eq!(names(&cookies), ["app_1"]);
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
