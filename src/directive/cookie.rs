//! Which cookies are sealed, with what, and what becomes of a request whose cookie is refused.

use std::path::PathBuf;

use super::list::{add_new, distinct};
use super::value::Value;
use crate::cookie::{CookiePolicy, NamePattern, PossessionKind};

/// The kinds of possession that a cookie can be bound to, in the order of preference.
const KINDS: &[PossessionKind] = &[PossessionKind::Certificate, PossessionKind::TokenBinding];

/// A protected cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieEntry {
    /// Its name or the beginning of it.
    pub name: NamePattern,
    /// What happens where the client proves no possession.
    pub policy: CookiePolicy,
    /// What it is bound to: the first of these that the client proves.
    pub accepted: Vec<PossessionKind>,
}

/// The protected cookies of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies(pub Vec<CookieEntry>);

impl Value for Cookies {
    fn syntax() -> String {
        let kinds: Vec<_> = KINDS.iter().map(|kind| kind.name()).collect();
        format!(
            "none, or a cookie's name or the beginning of it and *, then optionally required or \
             preferred, then optionally what it is bound to, the most preferred first, of {}",
            kinds.join(" ")
        )
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let (name, mut rest) = arguments.split_first()?;
        if *name == "none" && rest.is_empty() {
            return Some(Self(Vec::new()));
        }
        let mut policy = CookiePolicy::Required;
        if let Some((word, after)) = rest.split_first() {
            let stated = match *word {
                "required" => Some(CookiePolicy::Required),
                "preferred" => Some(CookiePolicy::Preferred),
                _ => None,
            };
            if let Some(stated) = stated {
                (policy, rest) = (stated, after);
            }
        }
        let kind = |word: &str| KINDS.iter().copied().find(|kind| kind.name() == word);
        let accepted = if rest.is_empty() { KINDS.to_vec() } else { distinct(rest, kind)? };
        Some(Self(vec![CookieEntry { name: name.parse().ok()?, policy, accepted }]))
    }

    fn add(&mut self, more: Self) -> bool {
        let none = self.0.is_empty() || more.0.is_empty();
        !none && add_new(&mut self.0, more.0, |one, other| one.name == other.name)
    }
}

/// Files with secrets, of which the first seals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SecretFiles(pub Vec<PathBuf>);

impl Value for SecretFiles {
    fn syntax() -> String {
        "one or more absolute paths of files that auth-bound secret new made".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let paths: Vec<_> = arguments.iter().map(PathBuf::from).collect();
        let sound = !paths.is_empty() && paths.iter().all(|path| path.is_absolute());
        sound.then_some(Self(paths))
    }
}

/// Which attributes are added where the application left them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieAttributes {
    /// `Secure`.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
}

impl Value for CookieAttributes {
    fn syntax() -> String {
        "none, or one or more of Secure HttpOnly".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let has = |name: &str| arguments.iter().any(|word| word.eq_ignore_ascii_case(name));
        let known = |word: &&&str| {
            word.eq_ignore_ascii_case("Secure") || word.eq_ignore_ascii_case("HttpOnly")
        };
        let none = arguments == ["none"];
        let sound = none
            || !arguments.is_empty() && arguments.iter().filter(known).count() == arguments.len();
        sound.then(|| Self { secure: has("Secure"), http_only: has("HttpOnly") })
    }
}

/// What becomes of a request with a cookie that is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CookieRefusal {
    /// It goes on without the cookie.
    #[default]
    Anonymous,
    /// It gets 401.
    Unauthorized,
    /// It is sent to this path, unless that is where it goes.
    Redirect(String),
}

impl Value for CookieRefusal {
    fn syntax() -> String {
        "anonymous, unauthorized, or redirect and a path (with a query, if need be) without percent signs and . or .. segments".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        // No `//host`, nothing that browsers write differently: a request for the path has to be
        // known when it comes. RFC 3986, section 3.3.
        let local = |target: &str| {
            let path = target.split('?').next().unwrap_or_default();
            let pchar =
                |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&()*+,;=:@/?".contains(&byte);
            target.starts_with('/')
                && !target.starts_with("//")
                && target.bytes().all(pchar)
                && !path.split('/').any(|segment| matches!(segment, "." | ".."))
        };
        match arguments {
            ["anonymous"] => Some(Self::Anonymous),
            ["unauthorized"] => Some(Self::Unauthorized),
            ["redirect", path] if local(path) => Some(Self::Redirect((*path).to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: Value>(text: &str) -> Option<T> {
        T::parse(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn a_cookie_has_a_policy_and_what_it_is_bound_to() {
        let entry = |text| parse::<Cookies>(text).map(|cookies| cookies.0[0].clone());
        let both = KINDS.to_vec();
        let plain = entry("JSESSIONID").unwrap();
        assert_eq!((plain.policy, plain.accepted), (CookiePolicy::Required, both));
        let stated = entry("app_* preferred token-binding certificate").unwrap();
        assert_eq!(stated.policy, CookiePolicy::Preferred);
        assert_eq!(stated.accepted, [PossessionKind::TokenBinding, PossessionKind::Certificate]);
        for bad in ["", "a b", "a dpop", "a required required", "a certificate certificate", "a;b"]
        {
            assert!(parse::<Cookies>(bad).is_none(), "{bad}");
        }
        let mut list: Cookies = parse("a").unwrap();
        assert!(list.add(parse("b").unwrap()));
        assert!(!list.add(parse("a preferred").unwrap()));
        assert!(!list.add(parse("none").unwrap()));
    }

    #[test]
    fn a_redirect_stays_on_the_site() {
        assert_eq!(
            parse("redirect /login?next=1"),
            Some(CookieRefusal::Redirect("/login?next=1".to_owned()))
        );
        for bad in [
            "redirect",
            "redirect login",
            "redirect //evil.example",
            "redirect /\\evil",
            "redirect /x/../y",
            "redirect /%6c",
            "redirect /<",
        ] {
            assert_eq!(parse::<CookieRefusal>(bad), None, "{bad}");
        }
    }

    #[test]
    fn attributes_are_named() {
        let both = Some(CookieAttributes { secure: true, http_only: true });
        assert_eq!(parse("Secure HttpOnly"), both);
        assert_eq!(parse("none"), Some(CookieAttributes { secure: false, http_only: false }));
        assert_eq!(parse::<CookieAttributes>("none Secure"), None);
        assert_eq!(parse::<CookieAttributes>("SameSite"), None);
    }
}
