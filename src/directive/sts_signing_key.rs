//! The keys that issued tokens are signed with.

use std::path::PathBuf;

use super::list::add_new;
use super::value::{Fault, Value};
use crate::jose::Algorithm;

/// Where a signing key is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SigningKeyLocation {
    /// In a PEM file.
    File(PathBuf),
    /// In a token that a PKCS#11 module reaches, by its URI (RFC 7512).
    Pkcs11(String),
}

/// A signing key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SigningKeyEntry {
    /// Where it is.
    pub location: SigningKeyLocation,
    /// The algorithm it signs with; the first that its type does where none is given.
    pub algorithm: Option<Algorithm>,
    /// `kid`; the key's thumbprint (RFC 7638) where none is given.
    pub key_id: Option<String>,
}

/// The signing keys of a token endpoint: the first signs, all are published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SigningKeys(pub Vec<SigningKeyEntry>);

impl SigningKeyEntry {
    fn read(arguments: &[&str]) -> Result<Self, Fault> {
        let wrong = |got: &str, expected: &str| Fault {
            got: got.to_owned(),
            expected: expected.to_owned(),
        };
        let Some((place, options)) = arguments.split_first() else {
            return Err(wrong("", &SigningKeys::syntax()));
        };
        let mut entry = Self { location: location(place)?, algorithm: None, key_id: None };
        for word in options {
            match word.split_once('=') {
                Some(("alg", name)) if entry.algorithm.is_none() => {
                    let algorithm = name.parse().map_err(|()| wrong(word, &algorithms()))?;
                    entry.algorithm = Some(algorithm);
                }
                Some(("kid", name)) if entry.key_id.is_none() && is_key_id(name) => {
                    entry.key_id = Some(name.to_owned());
                }
                _ => return Err(wrong(word, "alg=ALGORITHM or kid=NAME, each only once")),
            }
        }
        Ok(entry)
    }
}

fn location(text: &str) -> Result<SigningKeyLocation, Fault> {
    let fault = |got: &str, expected: &str| {
        Err(Fault { got: got.to_owned(), expected: expected.to_owned() })
    };
    if text.starts_with('/') {
        return Ok(SigningKeyLocation::File(text.into()));
    }
    let Some(attributes) = text.strip_prefix("pkcs11:") else {
        return fault(text, "an absolute path or a pkcs11: URI");
    };
    // RFC 7512, section 7: a PIN in a URI is a PIN in whatever shows the URI, as this message
    // would.
    if attributes.to_ascii_lowercase().contains("pin-value") {
        return fault("pkcs11:...", "a URI with pin-source=file:PATH instead of pin-value");
    }
    if attributes.is_empty() || !attributes.bytes().all(|byte| byte.is_ascii_graphic()) {
        return fault(text, "a pkcs11: URI, other characters percent-encoded");
    }
    Ok(SigningKeyLocation::Pkcs11(text.to_owned()))
}

fn algorithms() -> String {
    let names: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
    format!("alg= and one of {}", names.join(" "))
}

fn is_key_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Value for SigningKeys {
    fn syntax() -> String {
        "the absolute path of a PEM file or a pkcs11: URI, then optionally alg=ALGORITHM and kid=NAME"
            .to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        SigningKeyEntry::read(arguments).ok().map(|entry| Self(vec![entry]))
    }

    fn fault(arguments: &[&str]) -> Fault {
        SigningKeyEntry::read(arguments).err().unwrap_or_else(|| Fault::of::<Self>(arguments))
    }

    fn add(&mut self, more: Self) -> bool {
        add_new(&mut self.0, more.0, |one, other| {
            one.location == other.location || one.key_id.is_some() && one.key_id == other.key_id
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Result<SigningKeyEntry, String> {
        let arguments: Vec<_> = text.split(' ').collect();
        SigningKeyEntry::read(&arguments).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_file_or_a_uri_with_what_is_optional() {
        let plain = entry("/etc/sts.pem").unwrap();
        assert_eq!(plain.location, SigningKeyLocation::File("/etc/sts.pem".into()));
        assert_eq!((plain.algorithm, plain.key_id), (None, None));
        let uri = "pkcs11:token=sts;object=key?module-path=/lib/x.so&pin-source=file:/etc/pin";
        let full = entry(&format!("{uri} kid=2026=a alg=PS256")).unwrap();
        assert_eq!(full.location, SigningKeyLocation::Pkcs11(uri.to_owned()));
        assert_eq!(full.algorithm, Some(Algorithm::PS256));
        assert_eq!(full.key_id.as_deref(), Some("2026=a"));
    }

    #[test]
    fn the_wrong_word_is_told() {
        for (text, got, expected) in [
            ("sts.pem", "sts.pem", "an absolute path or a pkcs11: URI"),
            ("/k alg=HS256", "alg=HS256", "alg= and one of RS256"),
            ("/k alg=ES256 alg=ES256", "alg=ES256", "only once"),
            ("/k kid=", "kid=", "kid=NAME"),
            ("/k use=sig", "use=sig", "alg=ALGORITHM or kid=NAME"),
            ("/k ES256", "ES256", "alg=ALGORITHM or kid=NAME"),
            ("pkcs11:", "pkcs11:", "percent-encoded"),
            ("", "", "an absolute path"),
        ] {
            let fault = entry(text).unwrap_err();
            assert!(fault.starts_with(&format!("got \"{got}\", ")), "{fault}");
            assert!(fault.contains(expected), "{fault}");
        }
        assert!(SigningKeyEntry::read(&[]).unwrap_err().expected.contains("PEM file"));
    }

    #[test]
    fn a_pin_is_not_repeated() {
        let fault = entry("pkcs11:token=sts?PIN-value=4711").unwrap_err();
        assert!(fault.contains("pin-source") && !fault.contains("4711"), "{fault}");
    }

    #[test]
    fn keys_add_up_but_not_twice() {
        let keys = |text: &str| SigningKeys::parse(&text.split(' ').collect::<Vec<_>>()).unwrap();
        let mut all = keys("/new kid=n");
        assert!(all.add(keys("/old")));
        assert!(all.add(keys("/older")));
        assert!(!all.add(keys("/old kid=o")));
        assert!(!all.add(keys("/other kid=n")));
        assert_eq!(all.0.len(), 3);
    }
}
