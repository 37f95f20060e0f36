//! What a token endpoint is called, where it is, and which tokens it takes.

use url::Url;

use super::list::distinct;
use super::value::{Value, fetchable};
use crate::exchange::TokenType;

/// The name in which tokens are issued: the URL of an authorization server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StsIssuer(pub Option<String>);

impl StsIssuer {
    /// The URL of an endpoint below the issuer, as `/token`; `None` where no issuer is configured.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> Option<String> {
        self.0.as_ref().map(|issuer| format!("{}{path}", issuer.trim_end_matches('/')))
    }
}

impl Value for StsIssuer {
    fn syntax() -> String {
        "a URL without query and fragment: https, or http on loopback".to_owned()
    }

    /// RFC 8414, section 2: "a URL that uses the "https" scheme and has no query or fragment
    /// components".
    fn parse(arguments: &[&str]) -> Option<Self> {
        let [text] = arguments else { return None };
        web_url(text)?.query().is_none().then(|| Self(Some((*text).to_owned())))
    }
}

/// The URL of an endpoint as clients know it, letter by letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointUrl(pub Option<String>);

impl Value for EndpointUrl {
    fn syntax() -> String {
        "a URL without fragment: https, or http on loopback".to_owned()
    }

    /// RFC 6749, section 3.2: "The endpoint URI MUST NOT include a fragment component."
    fn parse(arguments: &[&str]) -> Option<Self> {
        let [text] = arguments else { return None };
        web_url(text).map(|_| Self(Some((*text).to_owned())))
    }
}

/// A URL that is sent as it is written: none of what parsers of URLs take away or change.
fn web_url(text: &str) -> Option<Url> {
    let visible = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
    if visible { fetchable(text) } else { None }
}

/// The client of the requests that name none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultClient(pub Option<String>);

impl Value for DefaultClient {
    fn syntax() -> String {
        "the name of a client that sts-client describes".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            [id] if is_client_id(id) => Some(Self(Some((*id).to_owned()))),
            _ => None,
        }
    }
}

/// RFC 6749, appendix A.1: `client-id = *VSCHAR`. An empty parameter counts as none, so an empty
/// name is nobody's.
pub(super) fn is_client_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// The types of subject and actor tokens that are verified as JWTs (RFC 8693, section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectTypes(pub Vec<TokenType>);

impl SubjectTypes {
    /// The words of the directive: the last part of each identifier.
    const WORDS: &[(&str, TokenType)] = &[
        ("access_token", TokenType::AccessToken),
        ("jwt", TokenType::Jwt),
        ("id_token", TokenType::IdToken),
    ];
}

impl Value for SubjectTypes {
    fn syntax() -> String {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
        format!("one or more of {}", words.join(" "))
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let kind = |argument: &str| {
            Self::WORDS.iter().find(|(word, _)| *word == argument).map(|(_, kind)| *kind)
        };
        distinct(arguments, kind).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_a_url_and_kept_letter_by_letter() {
        for good in ["https://as.example", "https://AS.example:8443/tenant/", "http://127.0.0.1:80"]
        {
            assert_eq!(StsIssuer::parse(&[good]), Some(StsIssuer(Some(good.to_owned()))), "{good}");
        }
        for bad in [
            "",
            "as.example",
            "http://as.example",
            "https://as.example?x",
            "https://as.example/?",
            "https://as.example/#x",
            "https://user@as.example",
            " https://as.example",
            "https://as.example/a b",
            "https://as.example\\a",
            "https://ä.example",
        ] {
            assert_eq!(StsIssuer::parse(&[bad]), None, "{bad}");
        }
        assert_eq!(StsIssuer::parse(&[]), None);
        assert_eq!(StsIssuer::parse(&["https://a.example", "https://b.example"]), None);
    }

    #[test]
    fn endpoints_lie_below_the_issuer() {
        let endpoint = |text: &str| StsIssuer(Some(text.to_owned())).endpoint("/token");
        assert_eq!(endpoint("https://as.example").unwrap(), "https://as.example/token");
        assert_eq!(endpoint("https://as.example/a/").unwrap(), "https://as.example/a/token");
        assert_eq!(StsIssuer::default().endpoint("/token"), None);
    }

    #[test]
    fn an_endpoint_may_have_a_query_but_no_fragment() {
        assert!(EndpointUrl::parse(&["https://as.example/token?tenant=1"]).is_some());
        for bad in ["https://as.example/token#x", "/token", "ftp://as.example/token", ""] {
            assert_eq!(EndpointUrl::parse(&[bad]), None, "{bad}");
        }
    }

    #[test]
    fn a_client_has_a_visible_name() {
        assert_eq!(DefaultClient::parse(&["cli"]), Some(DefaultClient(Some("cli".to_owned()))));
        for bad in [&[][..], &[""], &["a\tb"], &["ü"], &["a", "b"]] {
            assert_eq!(DefaultClient::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn token_types_by_the_end_of_their_identifiers() {
        let types = SubjectTypes::parse(&["id_token", "access_token"]).unwrap();
        assert_eq!(types.0, [TokenType::IdToken, TokenType::AccessToken]);
        for (word, kind) in SubjectTypes::WORDS {
            assert_eq!(kind.urn(), format!("urn:ietf:params:oauth:token-type:{word}"));
        }
        for bad in [&[][..], &["refresh_token"], &["jwt", "jwt"], &["JWT"], &["saml2"]] {
            assert_eq!(SubjectTypes::parse(bad), None, "{bad:?}");
        }
    }
}
