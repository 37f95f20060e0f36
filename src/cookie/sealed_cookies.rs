//! The cookies of a response, sealed.

use std::borrow::Cow;

use openssl::error::ErrorStack;

use super::chunk;
use super::chunks::Presented;
use super::jar::Jar;
use super::judge::Request;
use super::payload::{CookiePolicy, Payload, SessionCookie};
use super::possession::Possession;
use super::rule::{CookieRule, CookieRules};
use super::scope::{HostScope, Scope};
use super::seal::{Nonce, seal};
use super::seal_error::SealError;
use super::set_cookie::SetCookie;

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
    use super::super::opened_cookies::open_request;
    use super::super::possession::PossessionKind;
    use super::super::testing::{Place, alice, key, long, request};
    use super::*;

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
}
