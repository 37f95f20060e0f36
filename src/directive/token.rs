//! What an access token must be like.

use super::choice::Choice;
use super::value::Value;
use super::word::words;
use crate::confirmation::Method;
use crate::jose::{Algorithm, AlgorithmSet};

/// Which audiences a token may be for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Nothing was configured.
    #[default]
    Unset,
    /// Any token of a trusted issuer.
    Any,
    /// One of these.
    OneOf(Vec<String>),
}

impl Value for Audience {
    fn syntax() -> String {
        "one or more audiences, or the single word any".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            [] => None,
            ["any"] => Some(Self::Any),
            names if names.iter().any(|name| name.is_empty() || *name == "any") => None,
            names => Some(Self::OneOf(words(names))),
        }
    }
}

impl Value for AlgorithmSet {
    fn syntax() -> String {
        let names: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
        format!("one or more of {}", names.join(" "))
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        if arguments.is_empty() {
            return None;
        }
        arguments.iter().map(|name| name.parse().ok()).collect::<Option<Self>>()
    }
}

/// The accepted values of `typ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTypes {
    /// Whether the member may be absent.
    absent: bool,
    /// Media types in lower case without `application/`.
    names: Vec<String>,
}

impl TokenTypes {
    /// Whether a token with this `typ` is accepted. RFC 7515, section 4.1.9: media types compare
    /// without regard to case, and `application/` may be left out.
    #[must_use]
    pub fn accept(&self, media_type: Option<&str>) -> bool {
        match media_type {
            None => self.absent,
            Some(text) => {
                let name = short(text);
                self.names.iter().any(|accepted| accepted.eq_ignore_ascii_case(name))
            }
        }
    }
}

fn short(media_type: &str) -> &str {
    match media_type.split_at_checked("application/".len()) {
        Some((prefix, name))
            if prefix.eq_ignore_ascii_case("application/") && !name.contains('/') =>
        {
            name
        }
        _ => media_type,
    }
}

impl Value for TokenTypes {
    fn syntax() -> String {
        "one or more media types such as at+jwt or JWT; none stands for a token without typ"
            .to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let token = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-./".contains(&b))
        };
        if arguments.is_empty() || !arguments.iter().all(|name| token(name)) {
            return None;
        }
        Some(Self {
            absent: arguments.contains(&"none"),
            names: arguments
                .iter()
                .filter(|name| **name != "none")
                .map(|name| short(name).to_ascii_lowercase())
                .collect(),
        })
    }
}

/// Whether tokens without `exp` are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// They are refused.
    Required,
    /// They are accepted.
    Optional,
}

impl Choice for Expiry {
    const WORDS: &[(&str, Self)] = &[("required", Self::Required), ("optional", Self::Optional)];
}

/// Which methods of confirmation are acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedMethods {
    /// Whichever the token names.
    Any,
    /// At least one of these.
    OneOf(Vec<Method>),
}

impl Value for AcceptedMethods {
    fn syntax() -> String {
        let names: Vec<_> = Method::ALL.iter().map(|method| method.name()).collect();
        format!("any, or one or more of {}", names.join(" "))
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        if arguments == ["any"] {
            return Some(Self::Any);
        }
        let method =
            |name: &&str| Method::ALL.iter().copied().find(|method| method.name() == *name);
        let methods = arguments.iter().map(method).collect::<Option<Vec<_>>>()?;
        (!methods.is_empty()).then_some(Self::OneOf(methods))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_compare_as_media_types() {
        let types = TokenTypes::parse(&["at+jwt", "application/JWT"]).unwrap();
        for good in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/at+jwt", "jwt"] {
            assert!(types.accept(Some(good)), "{good}");
        }
        for bad in [
            None,
            Some("dpop+jwt"),
            Some(""),
            Some("none"),
            Some("application/x/at+jwt"),
            Some("application/"),
        ] {
            assert!(!types.accept(bad), "{bad:?}");
        }
    }
}
