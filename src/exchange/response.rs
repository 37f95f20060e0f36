//! The answer of a token endpoint (RFC 6749, section 5; RFC 8693, section 2.2).

use std::fmt;

use serde_json::Value;

use super::denial::{Denial, DenialReason};
use super::grant::Issued;
use crate::body_style::BodyStyle;
use crate::jose::json::{self, Object};

/// How long published documents may be kept, in seconds.
const DOCUMENT_MAX_AGE: u32 = 300;

/// What an answer may hold besides the refusal itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// How the body is written.
    pub style: BodyStyle,
    /// The realm of the challenge (RFC 7617, section 2).
    pub realm: &'a str,
    /// How long the client should wait before it comes again, in seconds.
    pub retry_after: Option<u64>,
}

/// An answer, as plain data.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Response {
    /// The answer to a granted request (RFC 8693, section 2.2.1).
    #[must_use]
    pub fn of_issued(issued: &Issued) -> Self {
        let mut members = Object::new();
        let mut member = |name: &str, value: Value| members.insert(name.to_owned(), value);
        member("access_token", issued.token().into());
        member("issued_token_type", issued.kind().urn().into());
        member("token_type", issued.kind().usage().into());
        member("expires_in", issued.expires_in().into());
        if let Some(scope) = issued.scope() {
            member("scope", scope.into());
        }
        if let Some(token) = issued.refresh_token() {
            member("refresh_token", token.into());
        }
        Self { status: 200, headers: common_headers(), body: json::text(&members) + "\n" }
    }

    /// A published document: the metadata (RFC 8414, section 3.2), the JWK Set (RFC 7517, section
    /// 8.5.2). It may be kept for a while, so a new key must be published before it signs.
    #[must_use]
    pub fn of_document(media_type: &str, body: &str) -> Self {
        let headers = vec![
            ("Content-Type", media_type.to_owned()),
            ("Cache-Control", format!("public, max-age={DOCUMENT_MAX_AGE}")),
        ];
        Self { status: 200, headers, body: body.to_owned() }
    }

    /// The answer to a refused request (RFC 6749, section 5.2; RFC 8693, section 2.2.2).
    #[must_use]
    pub fn of_denial(denial: &Denial, answer: &Answer<'_>) -> Self {
        let body = answer.style.body(denial.reason().error(), &denial.description());
        let mut headers = common_headers();
        if denial.is_challenged() {
            headers.push(("WWW-Authenticate", challenge(answer.realm)));
        }
        if denial.status() == 405 {
            let document = denial.reason() == DenialReason::DocumentMethodNotAllowed;
            headers.push(("Allow", if document { "GET, HEAD" } else { "POST" }.to_owned()));
        }
        if let Some(seconds) = answer.retry_after.filter(|_| denial.status() == 503) {
            headers.push(("Retry-After", seconds.to_string()));
        }
        Self { status: denial.status(), headers, body }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The headers, names and values.
    #[must_use]
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// The body: JSON on a line.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// Shows no body: it may hold tokens.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// RFC 6749, section 5.1: no cache may keep any of it.
fn common_headers() -> Vec<(&'static str, String)> {
    [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
}

/// RFC 7617, section 2.
fn challenge(realm: &str) -> String {
    let realm: String = realm
        .chars()
        .filter(|letter| !letter.is_control())
        .flat_map(|letter| matches!(letter, '"' | '\\').then_some('\\').into_iter().chain([letter]))
        .collect();
    format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json;
    use crate::refusal::Reason;

    fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
        let mut found = response.headers().iter().filter(|(one, _)| *one == name);
        found.next().map(|(_, value)| value.as_str())
    }

    #[test]
    fn every_refusal_is_json_in_both_styles_and_never_kept() {
        for reason in DenialReason::ALL {
            let denial = Denial::new(*reason).challenging(true);
            let response = Response::of_denial(&denial, &Answer::default());
            let body = json::object(response.body().trim().as_bytes()).unwrap();
            assert_eq!(body["error"], reason.error());
            assert_eq!(body["error_description"], reason.sentence());
            assert!(!body.contains_key("access_token"));
            assert_eq!(header(&response, "Cache-Control"), Some("no-store"));
            assert_eq!(header(&response, "WWW-Authenticate").is_some(), response.status() == 401);
            assert_eq!(header(&response, "Allow").is_some(), response.status() == 405);
            let answer = Answer { style: BodyStyle::CodeAndMessage, ..Answer::default() };
            let response = Response::of_denial(&denial, &answer);
            let expected = format!(
                "{{\"code\":\"{}\", \"message\":\"{}\"}}\n",
                reason.error(),
                reason.sentence()
            );
            assert_eq!(response.body(), expected);
        }
        for cause in Reason::ALL {
            let denial = Denial::caused(DenialReason::SubjectTokenRefused, (*cause).into());
            let response = Response::of_denial(&denial, &Answer::default());
            assert!(json::object(response.body().trim().as_bytes()).is_ok(), "{cause:?}");
        }
    }

    #[test]
    fn documents_may_be_kept_and_are_asked_for_with_get() {
        let response = Response::of_document("application/json", "{}\n");
        assert_eq!((response.status(), response.body()), (200, "{}\n"));
        assert_eq!(header(&response, "Cache-Control"), Some("public, max-age=300"));
        let denial = Denial::new(DenialReason::DocumentMethodNotAllowed);
        let response = Response::of_denial(&denial, &Answer::default());
        assert_eq!((response.status(), header(&response, "Allow")), (405, Some("GET, HEAD")));
    }

    #[test]
    fn challenges_and_waiting() {
        let answer = Answer { realm: "a \"b\" \\ \n", retry_after: Some(7), ..Answer::default() };
        let denial = Denial::new(DenialReason::ClientSecretWrong).challenging(true);
        let response = Response::of_denial(&denial, &answer);
        assert_eq!(
            header(&response, "WWW-Authenticate"),
            Some(r#"Basic realm="a \"b\" \\ ", charset="UTF-8""#)
        );
        assert_eq!(header(&response, "Retry-After"), None);
        let response = Response::of_denial(&Denial::new(DenialReason::KeysUnavailable), &answer);
        assert_eq!((response.status(), header(&response, "Retry-After")), (503, Some("7")));
    }
}
