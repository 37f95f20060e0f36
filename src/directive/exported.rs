//! What is exported: claims and variables, each under a name that is free to be given, and the
//! client's certificate.

use super::choice::Choice;
use super::list::add_new;
use super::value::Value;
use crate::export::EXPORTS;

/// Claims exported to the environment, each under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimExports(pub Vec<(String, String)>);

/// The name that a claim has in the environment unless another is given.
#[must_use]
pub fn claim_variable(claim: &str) -> String {
    let mapped =
        claim.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    format!("BOUND_CLAIM_{}", mapped.collect::<String>())
}

impl Value for ClaimExports {
    fn syntax() -> String {
        "a claim and, if it is not to be BOUND_CLAIM_<CLAIM>, the variable's name in letters, digits and _".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let variable = |name: &str| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
                && !is_reserved(name)
        };
        match arguments {
            [claim] if !claim.is_empty() => {
                Some(Self(vec![((*claim).to_owned(), claim_variable(claim))]))
            }
            [claim, name] if !claim.is_empty() && variable(name) => {
                Some(Self(vec![((*claim).to_owned(), (*name).to_owned())]))
            }
            _ => None,
        }
    }

    fn add(&mut self, more: Self) -> bool {
        add_new(&mut self.0, more.0, is_same_name)
    }
}

/// Names that mean something to the server or its programs and are not a claim's to set.
const RESERVED: &[&str] = &[
    "AUTH_TYPE",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "DOCUMENT_ROOT",
    "GATEWAY_INTERFACE",
    "HTTPS",
    "IFS",
    "PATH",
    "PATH_INFO",
    "PATH_TRANSLATED",
    "QUERY_STRING",
    "REQUEST_METHOD",
    "REQUEST_URI",
];

/// Beginnings of such names.
const RESERVED_PREFIXES: &[&str] =
    &["HTTP_", "LD_", "REDIRECT_", "REMOTE_", "SCRIPT_", "SERVER_", "SSL_"];

pub(super) fn is_reserved(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    RESERVED.contains(&upper.as_str())
        || is_framing(name)
        || RESERVED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        || is_exported(name)
}

/// Whether a backend behind CGI, or NGINX, could take `name` for one of the exported names.
fn is_exported(name: &str) -> bool {
    let fold = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    EXPORTS.iter().any(|export| fold(&export.name.to_string_lossy()) == fold(name))
}

/// Request headers set for the backend, each from a claim or an exported variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderExports(pub Vec<(String, String)>);

/// Headers that frame or route the request, or authenticate it to somebody else.
const FRAMING: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Names are stripped from requests whatever stands for a hyphen in them, so they compare so here.
fn is_framing(name: &str) -> bool {
    let folded = name.to_ascii_lowercase().replace('_', "-");
    FRAMING.contains(&folded.as_str())
}

impl Value for HeaderExports {
    fn syntax() -> String {
        "a claim or an exported variable, then the name of a request header that does not frame or authenticate the request and is not one of the exported names".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let header = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !is_framing(name)
                && !is_exported(name)
        };
        match arguments {
            [source, name] if !source.is_empty() && header(name) => {
                Some(Self(vec![((*source).to_owned(), (*name).to_owned())]))
            }
            _ => None,
        }
    }

    fn add(&mut self, more: Self) -> bool {
        add_new(&mut self.0, more.0, is_same_name)
    }
}

/// Whether two are exported under one name.
pub(super) fn is_same_name<T>((_, one): &(T, String), (_, other): &(T, String)) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Which RFC 9440 headers are sent to the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertHeader {
    /// None.
    #[default]
    Off,
    /// `Client-Cert`.
    Leaf,
    /// `Client-Cert` and `Client-Cert-Chain`.
    Chain,
}

impl Choice for ClientCertHeader {
    const WORDS: &[(&str, Self)] =
        &[("off", Self::Off), ("leaf", Self::Leaf), ("chain", Self::Chain)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_do_not_reach_for_what_is_not_theirs() {
        assert_eq!(ClaimExports::parse(&["e-mail"]).unwrap().0[0].1, "BOUND_CLAIM_E_MAIL");
        assert_eq!(ClaimExports::parse(&["x", "LD_PRELOAD"]), None);
        assert_eq!(ClaimExports::parse(&["x", "A B"]), None);
        assert_eq!(HeaderExports::parse(&["x", "Content-Length"]), None);
        assert_eq!(HeaderExports::parse(&["x", "X\r\n"]), None);
        let mut headers = HeaderExports::parse(&["a", "X-A"]).unwrap();
        assert!(!headers.add(HeaderExports::parse(&["b", "x-a"]).unwrap()));
    }
}
