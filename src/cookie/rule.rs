//! Which cookies are protected, and how.

use std::fmt;
use std::str::FromStr;

use memchr::memchr3_iter;

use super::chunk;
use super::payload::{CookiePolicy, is_name};
use super::possession::PossessionKind;
use crate::token::Timestamp;

/// The longest name of a rule in bytes.
const LONGEST_NAME: usize = 256;

/// The names that a rule is for: `name`, `prefix*` or `*`. Compared byte by byte, as browsers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    /// This name.
    Exact(String),
    /// Every name that begins so.
    Prefix(String),
}

/// A text is no [`NamePattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamePatternError;

/// How cookies of some names are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieRule {
    /// The names.
    pub name: NamePattern,
    /// What happens where the client proves no possession.
    pub policy: CookiePolicy,
    /// The kinds of possession that count. A cookie is bound to the first one that the client
    /// proves; one bound to a kind that is not here is not opened.
    pub accepted: Vec<PossessionKind>,
    /// How old a seal may be, in seconds.
    pub max_age: Timestamp,
    /// Whether `Secure` is added where the application left it out.
    pub add_secure: bool,
    /// Whether `HttpOnly` is added where the application left it out.
    pub add_http_only: bool,
}

impl CookieRule {
    /// A day.
    pub const DEFAULT_MAX_AGE: Timestamp = 86_400;

    /// The rule with every default: required, bound to the certificate, a day.
    #[must_use]
    pub fn new(name: NamePattern) -> Self {
        Self {
            name,
            policy: CookiePolicy::Required,
            accepted: vec![PossessionKind::Certificate],
            max_age: Self::DEFAULT_MAX_AGE,
            add_secure: true,
            add_http_only: true,
        }
    }
}

/// The rules of one place, ready to be looked up.
#[derive(Clone, Debug)]
pub struct CookieRules {
    /// Exact names first, then prefixes from the longest to the shortest.
    rules: Vec<CookieRule>,
    /// The bytes that a name of interest can begin with. Most cookies of other applications end
    /// at this table.
    first_bytes: Box<[bool; 256]>,
    /// Those bytes, if there are only so many.
    needles: Option<[u8; 3]>,
}

/// A name that a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protected<'r, 'n> {
    /// A protected cookie.
    Cookie(&'r CookieRule),
    /// A chunk of the protected cookie `base`; the number is 0 if it is not one that we give.
    Chunk(&'r CookieRule, &'n [u8], usize),
    /// No protected name, but some backends read it as one: they decode percent signs, do not
    /// mind letter case, or make `_` of `.`, space and `[` (PHP does).
    LookAlike(&'r CookieRule),
}

impl CookieRules {
    /// Puts the rules in order. Of two for the same names the first counts.
    #[must_use]
    pub fn new(mut rules: Vec<CookieRule>) -> Self {
        rules.sort_by_key(|rule| match &rule.name {
            NamePattern::Exact(_) => 0,
            NamePattern::Prefix(prefix) => {
                LONGEST_NAME.saturating_add(1).saturating_sub(prefix.len())
            }
        });
        let mut first_bytes = Box::new([false; 256]);
        for (byte, interesting) in (0_u8..=255).zip(first_bytes.iter_mut()) {
            *interesting = byte == b'%' || rules.iter().any(|rule| rule.name.can_begin_with(byte));
        }
        let mut needles =
            (0..=255_u8).filter(|byte| first_bytes.get(usize::from(*byte)) == Some(&true));
        let first = needles.next().unwrap_or(b'%');
        let some = [first, needles.next().unwrap_or(first), needles.next().unwrap_or(first)];
        let needles = needles.next().is_none().then_some(some);
        Self { rules, first_bytes, needles }
    }

    /// Whether a `Cookie` header may hold a name of interest: a quick look that ends most requests.
    /// A name begins the header or stands behind something that no name ends with.
    #[must_use]
    pub fn may_occur_in(&self, header: &[u8]) -> bool {
        let Some([one, two, three]) = self.needles else { return !self.rules.is_empty() };
        let begins = |place: usize| {
            let before = place.checked_sub(1).and_then(|before| header.get(before));
            before.is_none_or(|byte| !byte.is_ascii_alphanumeric())
        };
        memchr3_iter(one, two, three, header).any(begins)
    }

    /// Whether there is no rule at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule for the cookie `name`, byte for byte: the exact one before the longest prefix.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&CookieRule> {
        self.rules.iter().find(|rule| rule.name.matches(name))
    }

    /// Whether a name that begins with `byte` needs a closer look.
    pub(crate) fn may_begin_with(&self, byte: u8) -> bool {
        self.first_bytes.get(usize::from(byte)).copied().unwrap_or(true)
    }

    /// What `name`, as it stands in a request, is to these rules.
    pub(crate) fn classify<'n>(&self, name: &'n [u8]) -> Option<Protected<'_, 'n>> {
        if let Some((base, number)) = chunk::split_name(name)
            && let Some(rule) = self.find(base)
        {
            return Some(Protected::Chunk(rule, base, number));
        }
        if is_name(name)
            && let Some(rule) = self.find(name)
        {
            return Some(Protected::Cookie(rule));
        }
        let looks_alike = |rule: &&CookieRule| rule.name.resembles(name);
        self.rules.iter().find(looks_alike).map(Protected::LookAlike)
    }
}

impl NamePattern {
    /// Whether `name` is one of these names.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => name == exact.as_bytes(),
            Self::Prefix(prefix) => name.starts_with(prefix.as_bytes()),
        }
    }

    /// Whether some backend may take `name` for one of these names.
    fn resembles(&self, name: &[u8]) -> bool {
        let ours = self.text().bytes().map(fold_byte);
        match self {
            // PHP reads `name[x]` as an array of that name, in place of a plain value.
            Self::Exact(_) => fold(name).eq(ours.clone()) || fold(before_bracket(name)).eq(ours),
            Self::Prefix(_) => {
                let mut name = fold(name);
                ours.into_iter().all(|byte| name.next() == Some(byte))
            }
        }
    }

    fn can_begin_with(&self, byte: u8) -> bool {
        match self.text().bytes().next() {
            Some(first) => fold_byte(first) == fold_byte(byte),
            None => true,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
        }
    }
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        let (name, pattern): (_, fn(String) -> Self) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, Self::Prefix),
            None => (text, Self::Exact),
        };
        let sound = name.is_empty() && text == "*" || is_name(name.as_bytes());
        if sound && name.len() <= LONGEST_NAME && !name.contains(['*', '~']) {
            Ok(pattern(name.to_owned()))
        } else {
            Err(NamePatternError)
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl fmt::Display for NamePatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a cookie name, or the beginning of one and an asterisk; without ~")
    }
}

impl std::error::Error for NamePatternError {}

/// `name` up to an opening bracket, encoded or not.
fn before_bracket(name: &[u8]) -> &[u8] {
    let is_bracket = |rest: &[u8]| {
        rest.first() == Some(&b'[')
            || rest.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"%5b"))
    };
    let place = (0..name.len()).find(|place| name.get(*place..).is_some_and(is_bracket));
    name.get(..place.unwrap_or(name.len())).unwrap_or(name)
}

/// `name` as the most generous backend reads it.
fn fold(name: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (byte, after) = match rest {
            // As Perl's CGI reads it.
            [b'%', b'u' | b'U', b'0', b'0', high, low, after @ ..]
                if hex(*high).is_some() && hex(*low).is_some() =>
            {
                (hex(*high)? << 4 | hex(*low)?, after)
            }
            [b'%', high, low, after @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest.get(1..)?),
            },
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        rest = after;
        Some(fold_byte(byte))
    })
}

const fn fold_byte(byte: u8) -> u8 {
    match byte {
        b'.' | b' ' | b'[' | b'+' => b'_',
        _ => byte.to_ascii_lowercase(),
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(names: &[&str]) -> CookieRules {
        CookieRules::new(names.iter().map(|name| CookieRule::new(name.parse().unwrap())).collect())
    }

    fn found(rules: &CookieRules, name: &str) -> Option<String> {
        rules.find(name.as_bytes()).map(|rule| rule.name.to_string())
    }

    #[test]
    fn exact_names_come_before_prefixes_and_long_prefixes_before_short_ones() {
        let rules = rules(&["*", "app_*", "app_session*", "app_session"]);
        for (name, rule) in [
            ("app_session", "app_session"),
            ("app_session2", "app_session*"),
            ("app_", "app_*"),
            ("App_session", "*"),
            ("x", "*"),
        ] {
            assert_eq!(found(&rules, name).as_deref(), Some(rule), "{name}");
        }
    }

    #[test]
    fn of_two_equal_rules_the_first_counts() {
        let mut first = CookieRule::new(NamePattern::Exact("a".to_owned()));
        first.max_age = 5;
        let second = CookieRule::new(NamePattern::Exact("a".to_owned()));
        let rules = CookieRules::new(vec![first, second]);
        assert_eq!(rules.find(b"a").unwrap().max_age, 5);
    }

    #[test]
    fn patterns_are_names_with_or_without_an_asterisk() {
        for good in ["JSESSIONID", "__Host-a", "a*", "*", "a.b"] {
            assert_eq!(good.parse::<NamePattern>().unwrap().to_string(), good);
        }
        for bad in ["", "a b", "a=b", "a;", "**", "*a", "a*b", "a~1", "a~*", "ä", &"a".repeat(257)]
        {
            assert_eq!(bad.parse::<NamePattern>(), Err(NamePatternError), "{bad}");
        }
    }

    #[test]
    fn names_in_requests_are_cookies_chunks_or_look_alikes() {
        let rules = rules(&["my_session", "state*"]);
        for (name, expected) in [
            ("my_session", "cookie"),
            ("state1", "cookie"),
            ("my_session~1", "chunk my_session 1"),
            ("my_session~99", "chunk my_session 99"),
            ("my_session~100", "chunk my_session 0"),
            ("my_session~01", "chunk my_session 0"),
            ("my_session~0", "chunk my_session 0"),
            ("statex~2", "chunk statex 2"),
            ("My_Session", "alike"),
            ("my.session", "alike"),
            ("my[session", "alike"),
            ("my session", "alike"),
            ("%6dy%5Fsession", "alike"),
            ("%u006dy%U005Fsession", "alike"),
            ("my_session[x]", "alike"),
            ("My_session%5Bx%5D[y", "alike"),
            ("STATE", "alike"),
            ("state@", "alike"),
            ("my_session2", "other"),
            ("my_session~", "other"),
            ("my_session~x", "other"),
            ("xmy_session", "other"),
            ("my%", "other"),
            ("%", "other"),
            ("", "other"),
        ] {
            let got = match rules.classify(name.as_bytes()) {
                Some(Protected::Cookie(_)) => "cookie".to_owned(),
                Some(Protected::Chunk(_, base, number)) => {
                    format!("chunk {} {number}", String::from_utf8_lossy(base))
                }
                Some(Protected::LookAlike(_)) => "alike".to_owned(),
                None => "other".to_owned(),
            };
            assert_eq!(got, expected, "{name}");
            let may = name.bytes().next().is_some_and(|first| rules.may_begin_with(first));
            assert!(may || expected == "other", "{name}");
            for before in ["", "; ", ";", ",", " ", "\t", "\u{b}", "\u{a0}", "a=\""] {
                let header = format!("{before}{name}=1");
                assert!(rules.may_occur_in(header.as_bytes()) || expected == "other", "{header}");
            }
        }
    }
}
