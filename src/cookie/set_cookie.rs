//! The response's `Set-Cookie` header (RFC 6265, section 5.2).

use super::cookie_date;
use super::cookie_header::{is_space, trim};
use super::rule::CookieRule;
use super::scope::default_path;
use super::seal_error::SealError;
use crate::token::Timestamp;

/// Browsers ignore attributes whose value is longer than this (RFC 6265bis, section 5.6).
const LONGEST_ATTRIBUTE: usize = 1_024;

/// A parsed `Set-Cookie`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetCookie<'h> {
    /// The name; empty if there is none.
    pub(crate) name: &'h [u8],
    /// The value with its quotes, without spaces around it.
    pub(crate) value: &'h [u8],
    /// Everything from the first semicolon on.
    attributes: &'h [u8],
}

impl<'h> SetCookie<'h> {
    /// Parses any bytes, as browsers do.
    pub(crate) fn parse(header: &'h [u8]) -> Self {
        let end = memchr::memchr(b';', header).unwrap_or(header.len());
        let (pair, attributes) = header.split_at_checked(end).unwrap_or((header, &[]));
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(place) => pair.split_at_checked(place).unwrap_or_default(),
            None => (&[][..], pair),
        };
        let value = value.strip_prefix(b"=").unwrap_or(value);
        Self { name: trim(name, is_space), value: trim(value, is_space), attributes }
    }

    /// Whether it takes the cookie away: an empty value, `Max-Age` not above 0, or `Expires` not
    /// after `now`. RFC 6265, section 5.3: `Max-Age` has precedence.
    pub(crate) fn is_deletion(&self, now: Timestamp) -> bool {
        let expired = match self.values("max-age").filter_map(max_age).last() {
            Some(seconds) => seconds <= 0,
            None => self
                .values("expires")
                .filter_map(cookie_date::parse)
                .last()
                .is_some_and(|expires| expires <= now),
        };
        expired || self.value.is_empty()
    }

    /// The `Domain` attribute in lower case, if it says something.
    ///
    /// # Errors
    /// [`SealError::NotStorable`]: it is not text.
    pub(crate) fn domain(&self) -> Result<Option<String>, SealError> {
        let domain = self.values("domain").last().unwrap_or_default();
        let domain = domain.strip_prefix(b".").unwrap_or(domain);
        let domain = std::str::from_utf8(domain).map_err(|_| SealError::NotStorable)?;
        Ok(if domain.is_empty() { None } else { Some(domain.to_ascii_lowercase()) })
    }

    /// The path that the cookie is for; it came with the answer to a request for `request`.
    pub(crate) fn path<'p>(&self, request: &'p [u8]) -> &'p [u8]
    where
        'h: 'p,
    {
        let stated = self.values("path").last().filter(|path| path.first() == Some(&b'/'));
        stated.unwrap_or_else(|| default_path(request))
    }

    /// Refuses what browsers would drop for its name's sake. RFC 6265bis, section 4.1.3.2: a
    /// `__Host-` cookie has `Path=/` and no `Domain`. (`Secure` is added here.)
    pub(crate) fn check_prefix(&self) -> Result<(), SealError> {
        let lives_up = !begins(self.name, b"__Host-")
            || self.values("path").last() == Some(b"/")
                && self.values("domain").last().unwrap_or_default().is_empty();
        if lives_up { Ok(()) } else { Err(SealError::PrefixRules) }
    }

    /// The header with another pair, and with the attributes that the rule or the name's prefix
    /// ask for.
    pub(crate) fn with_pair(&self, name: &[u8], value: &[u8], rule: &CookieRule) -> Vec<u8> {
        let mut header = [name, b"=", value, self.attributes].concat();
        self.add_flags(rule, &mut header);
        header
    }

    /// The header without its value.
    pub(crate) fn emptied(&self) -> Vec<u8> {
        [self.name, b"=", self.attributes].concat()
    }

    /// A header that takes the cookie `name` away from where this one goes. Other attributes
    /// stay: without them browsers might ignore it (`Partitioned`, `SameSite=None`).
    pub(crate) fn deletion(&self, name: &[u8], rule: &CookieRule) -> Vec<u8> {
        let mut header = [name, b"="].concat();
        for (attribute, _, bytes) in self.attributes() {
            let lifetime = [&b"max-age"[..], b"expires"];
            if !lifetime.iter().any(|name| attribute.eq_ignore_ascii_case(name)) {
                header.push(b';');
                header.extend_from_slice(bytes);
            }
        }
        header.extend_from_slice(b"; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        self.add_flags(rule, &mut header);
        header
    }

    fn add_flags(&self, rule: &CookieRule, header: &mut Vec<u8>) {
        let secure =
            rule.add_secure || begins(self.name, b"__Host-") || begins(self.name, b"__Secure-");
        if secure && self.values("secure").next().is_none() {
            header.extend_from_slice(b"; Secure");
        }
        let http_only = rule.add_http_only
            || begins(self.name, b"__Http-")
            || begins(self.name, b"__Host-Http-");
        if http_only && self.values("httponly").next().is_none() {
            header.extend_from_slice(b"; HttpOnly");
        }
    }

    /// The values of an attribute, in order: of several the last counts.
    fn values(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.attributes()
            .filter(move |(attribute, ..)| attribute.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value, _)| value)
    }

    /// Names, values, and the bytes between the semicolons.
    fn attributes(&self) -> impl Iterator<Item = (&'h [u8], &'h [u8], &'h [u8])> + use<'h> {
        let attributes = self.attributes.strip_prefix(b";").unwrap_or_default();
        let parsed = |bytes: &'h [u8]| {
            let equals = memchr::memchr(b'=', bytes).unwrap_or(bytes.len());
            let (name, value) = bytes.split_at_checked(equals).unwrap_or_default();
            let value = value.strip_prefix(b"=").unwrap_or(value);
            (trim(name, is_space), trim(value, is_space), bytes)
        };
        attributes
            .split(|byte| *byte == b';')
            .map(parsed)
            .filter(|(name, value, _)| !name.is_empty() && value.len() <= LONGEST_ATTRIBUTE)
    }
}

/// Browsers compare name prefixes without minding letter case.
fn begins(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// RFC 6265, section 5.2.2: digits, perhaps behind a minus.
fn max_age(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    let sound = digits.iter().all(u8::is_ascii_digit) && !text.is_empty();
    // Too many digits are many seconds.
    let seconds = std::str::from_utf8(digits).ok()?.parse().unwrap_or(i64::MAX);
    sound.then(|| seconds.saturating_mul(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = 1_760_000_000;

    fn rule() -> CookieRule {
        CookieRule::new("*".parse().unwrap())
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_pair_is_read_as_browsers_do() {
        for (header, name, value) in [
            ("a=1", "a", "1"),
            (" a = 1 ; Path=/", "a", "1"),
            ("a=\"x y\"; Path=/", "a", "\"x y\""),
            ("a=b=c", "a", "b=c"),
            ("a=", "a", ""),
            ("a", "", "a"),
            ("=a", "", "a"),
            ("; a=1", "", ""),
            ("", "", ""),
        ] {
            let cookie = SetCookie::parse(header.as_bytes());
            assert_eq!(
                (cookie.name, cookie.value),
                (name.as_bytes(), value.as_bytes()),
                "{header}"
            );
        }
    }

    #[test]
    fn deletions_are_recognised() {
        for (header, deletion) in [
            ("a=1", false),
            ("a=", true),
            ("a=; Max-Age=10", true),
            ("a=deleted; Max-Age=0", true),
            ("a=1; max-age=-1", true),
            ("a=1; Max-Age=-", true),
            ("a=1; Max-Age=10", false),
            ("a=1; Max-Age=99999999999999999999", false),
            ("a=1; Max-Age=", false),
            ("a=1; Max-Age=0x", false),
            ("a=1; Max-Age=+0", false),
            ("a=1; Max-Age=0; Max-Age=5", false),
            ("a=1; Expires=Thu, 01-Jan-1970 00:00:01 GMT", true),
            ("a=1; Expires=Thu, 09 Oct 2025 08:53:20 GMT", true),
            ("a=1; Expires=Thu, 09 Oct 2025 08:53:21 GMT", false),
            ("a=1; Expires=yesterday", false),
            ("a=1; Expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=5", false),
            ("a=1; Expires=Thu, 09 Oct 2035 08:53:21 GMT; Max-Age=0", true),
            ("a=Max-Age=0", false),
        ] {
            let cookie = SetCookie::parse(header.as_bytes());
            assert_eq!(cookie.is_deletion(NOW), deletion, "{header}");
        }
    }

    #[test]
    fn the_scope_is_what_browsers_make_of_it() {
        for (header, domain, path) in [
            ("a=1", None, "/dir"),
            ("a=1; Domain=App.Example; Path=/x", Some("app.example"), "/x"),
            ("a=1; domain=.app.example", Some("app.example"), "/dir"),
            ("a=1; Domain=; Path=", None, "/dir"),
            ("a=1; Domain=app.example; Domain=", None, "/dir"),
            ("a=1; Path=x", None, "/dir"),
            ("a=1; Path=/x; Path=/y", None, "/y"),
            ("a=1; Path=/x; Path=y", None, "/dir"),
        ] {
            let cookie = SetCookie::parse(header.as_bytes());
            assert_eq!(cookie.domain().unwrap().as_deref(), domain, "{header}");
            assert_eq!(cookie.path(b"/dir/page"), path.as_bytes(), "{header}");
        }
        let long = format!("a=1; Path=/{}", "x".repeat(LONGEST_ATTRIBUTE));
        assert_eq!(SetCookie::parse(long.as_bytes()).path(b"/"), b"/");
        assert_eq!(SetCookie::parse(b"a=1; Domain=\xff").domain(), Err(SealError::NotStorable));
    }

    #[test]
    fn attributes_stay_and_flags_are_added() {
        let plain = CookieRule { add_secure: false, add_http_only: false, ..rule() };
        for (header, rule, expected) in [
            ("S=1", &rule(), "S=x; Secure; HttpOnly"),
            ("S=1; Path=/;SameSite = Lax", &rule(), "S=x; Path=/;SameSite = Lax; Secure; HttpOnly"),
            ("S=1; secure; HTTPONLY", &rule(), "S=x; secure; HTTPONLY"),
            ("S=1; Path=/", &plain, "S=x; Path=/"),
            ("S=1; Path=Secure", &rule(), "S=x; Path=Secure; Secure; HttpOnly"),
            ("__Host-S=1; Path=/", &plain, "__Host-S=x; Path=/; Secure"),
            ("__secure-S=1", &plain, "__secure-S=x; Secure"),
            ("__Host-Http-S=1; Path=/", &plain, "__Host-Http-S=x; Path=/; Secure; HttpOnly"),
        ] {
            let cookie = SetCookie::parse(header.as_bytes());
            assert_eq!(text(cookie.with_pair(cookie.name, b"x", rule)), expected);
        }
    }

    #[test]
    fn a_host_cookie_is_for_one_host_and_all_of_it() {
        for (header, sound) in [
            ("__Host-a=1; Path=/", true),
            ("__Host-a=1; Path=/; Domain=", true),
            ("__host-a=1; Path=/x", false),
            ("__Host-a=1", false),
            ("__Host-a=1; Path=/; Domain=app.example", false),
            ("__Secure-a=1; Domain=app.example", true),
            ("a=1; Domain=app.example", true),
        ] {
            let checked = SetCookie::parse(header.as_bytes()).check_prefix();
            assert_eq!(checked.is_ok(), sound, "{header}");
        }
    }

    #[test]
    fn a_deletion_goes_where_the_cookie_went() {
        let header = b"S=1; Path=/x; max-age=60; Domain=app.example;Partitioned; SameSite=None";
        let cookie = SetCookie::parse(header);
        assert_eq!(
            text(cookie.deletion(b"S~2", &rule())),
            "S~2=; Path=/x; Domain=app.example;Partitioned; SameSite=None; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly"
        );
    }
}
