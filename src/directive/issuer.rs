//! The trusted issuers, and where their keys come from.

use std::path::PathBuf;

use url::{Host, Url};

use super::list::add_new;
use super::value::Value;

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyLocation {
    /// A JWK Set in a file.
    File(PathBuf),
    /// A JWK Set behind a URL.
    Uri(Url),
    /// `jwks_uri` of the metadata of the issuer with this name (RFC 8414; OpenID Connect
    /// Discovery 1.0).
    Discovery(String, Url),
}

/// A trusted issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerEntry {
    /// The exact value of `iss`.
    pub name: String,
    /// Where its keys come from.
    pub keys: KeyLocation,
}

/// The trusted issuers of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuers(pub Vec<IssuerEntry>);

impl Value for Issuers {
    fn syntax() -> String {
        "an issuer's name, then one of: jwks-file PATH (absolute); jwks-uri URL (https, or http on loopback); discover".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let (name, keys) = match arguments {
            [name, "jwks-file", path] if path.starts_with('/') => {
                (name, KeyLocation::File(path.into()))
            }
            [name, "jwks-uri", url] => (name, KeyLocation::Uri(fetchable(url)?)),
            [name, "discover"] => {
                (name, KeyLocation::Discovery((*name).to_owned(), fetchable(name)?))
            }
            _ => return None,
        };
        if name.is_empty() {
            return None;
        }
        Some(Self(vec![IssuerEntry { name: (*name).to_owned(), keys }]))
    }

    fn add(&mut self, more: Self) -> bool {
        add_new(&mut self.0, more.0, |one, other| one.name == other.name)
    }
}

/// A URL that keys may be fetched from: `https`, or `http` to this very machine.
#[must_use]
pub fn fetchable(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let loopback = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (scheme && plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for good in [
            "https://as.example/jwks",
            "http://127.0.0.1:1/j",
            "http://[::1]/j",
            "http://localhost/j",
        ] {
            assert!(fetchable(good).is_some(), "{good}");
        }
        for bad in [
            "http://as.example/jwks",
            "ftp://localhost/",
            "file:///etc/passwd",
            "https://u:p@as.example/",
            "x",
            "http://127.0.0.1.example/",
            "https://as.example/#f",
        ] {
            assert!(fetchable(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn issuers_add_up_but_not_twice() {
        let mut issuers = Issuers::parse(&["https://a", "jwks-file", "/a"]).unwrap();
        assert!(issuers.add(Issuers::parse(&["https://b", "discover"]).unwrap()));
        assert!(!issuers.add(Issuers::parse(&["https://a", "discover"]).unwrap()));
        assert_eq!(issuers.0.len(), 2);
        for bad in [
            &["https://a"][..],
            &["a", "discover"],
            &["a", "jwks-file", "x"],
            &["", "jwks-file", "/x"],
            &["a", "jwks-uri", "http://x.example/"],
        ] {
            assert_eq!(Issuers::parse(bad), None, "{bad:?}");
        }
    }
}
