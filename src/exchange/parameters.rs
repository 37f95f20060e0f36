//! The parameters of a token request (RFC 6749, section 3.2; RFC 8693, section 2.1), read from a
//! form or from a JSON object.

use std::fmt;

use serde_json::Value;

use super::denial::{Denial, DenialReason};
use crate::jose::json;

/// Most bytes of a body, unless configured otherwise.
pub const MAX_BODY: usize = 65_536;
/// Most parameters of a body, known and unknown.
const MAX_PARAMETERS: usize = 64;

/// The parameters that may be repeated (RFC 8693, section 2.1).
const REPEATABLE: &[&str] = &["resource", "audience"];

macro_rules! parameters {
    ($($field:ident $sentence:literal;)*) => {
        /// What a token request asks. An empty parameter counts as none (RFC 6749, section 3.2),
        /// an unknown one is ignored.
        #[derive(Clone, Default, PartialEq, Eq)]
        pub struct Parameters {
            $(#[doc = $sentence] pub $field: Option<String>,)*
            /// `resource`: URIs of services where the token is to be used.
            pub resource: Vec<String>,
            /// `audience`: logical names of such services.
            pub audience: Vec<String>,
        }

        impl Parameters {
            /// The name of a known parameter.
            fn known(name: &str) -> Option<&'static str> {
                match name {
                    $(stringify!($field) => Some(stringify!($field)),)*
                    "resource" => Some("resource"),
                    "audience" => Some("audience"),
                    _ => None,
                }
            }

            fn set(&mut self, name: &str, value: String) {
                match name {
                    $(stringify!($field) => self.$field = Some(value),)*
                    "resource" => self.resource.push(value),
                    "audience" => self.audience.push(value),
                    _ => {}
                }
            }

            fn names(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$field.is_some() { names.push(stringify!($field)); })*
                names
            }
        }
    };
}

parameters! {
    grant_type "`grant_type`.";
    scope "`scope`: scopes, divided by spaces.";
    requested_token_type "`requested_token_type`.";
    subject_token "`subject_token`: on whose behalf the request is made.";
    subject_token_type "`subject_token_type`.";
    actor_token "`actor_token`: who acts.";
    actor_token_type "`actor_token_type`.";
    refresh_token "`refresh_token` (RFC 6749, section 6).";
    client_id "`client_id` (RFC 6749, section 2.3.1).";
    client_secret "`client_secret` (RFC 6749, section 2.3.1).";
    client_assertion "`client_assertion` (RFC 7521, section 4.2).";
    client_assertion_type "`client_assertion_type` (RFC 7521, section 4.2).";
}

impl Parameters {
    /// The values that are secrets, or tokens.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let tokens = [&self.subject_token, &self.actor_token, &self.refresh_token];
        let credentials = [&self.client_secret, &self.client_assertion];
        tokens.into_iter().chain(credentials).filter_map(|value| value.as_deref())
    }
}

/// Shows which parameters are there, never their values.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters").field("present", &self.names()).finish_non_exhaustive()
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Form,
    Json,
}

impl Parameters {
    /// Reads a body of at most `max_body` bytes. `content_type` is the value of the header.
    ///
    /// # Errors
    /// [`DenialReason::BodyTooLarge`], [`DenialReason::MediaTypeUnsupported`],
    /// [`DenialReason::CharsetUnsupported`], [`DenialReason::FormMalformed`],
    /// [`DenialReason::JsonMalformed`], [`DenialReason::ParameterRepeated`] or
    /// [`DenialReason::ParameterMalformed`].
    pub fn parse(
        content_type: Option<&[u8]>,
        body: &[u8],
        max_body: usize,
    ) -> Result<Self, Denial> {
        if body.len() > max_body {
            let detail = format_args!("{} bytes, limit {max_body}", body.len());
            return Err(Denial::with_detail(DenialReason::BodyTooLarge, detail));
        }
        let pairs = match encoding(content_type)? {
            Encoding::Form => form(body)?,
            Encoding::Json => members(body)?,
        };
        Self::from_pairs(pairs)
    }

    /// RFC 6749, section 3.2: "Request and response parameters MUST NOT be included more than
    /// once", an empty one neither, and unknown ones neither, whose values are ignored.
    fn from_pairs(pairs: Vec<(String, String)>) -> Result<Self, Denial> {
        if pairs.len() > MAX_PARAMETERS {
            let detail = format_args!("more than {MAX_PARAMETERS} parameters");
            return Err(Denial::with_detail(DenialReason::ParameterMalformed, detail));
        }
        let mut seen: Vec<String> = Vec::new();
        let mut parameters = Self::default();
        for (name, value) in pairs {
            if seen.contains(&name) && !REPEATABLE.contains(&name.as_str()) {
                // An unknown one may be anything.
                let name = Self::known(&name).unwrap_or("an unknown parameter");
                return Err(Denial::with_detail(DenialReason::ParameterRepeated, name));
            }
            if let Some(name) = Self::known(&name)
                && value.chars().any(char::is_control)
            {
                let detail = format_args!("{name} has a control character");
                return Err(Denial::with_detail(DenialReason::ParameterMalformed, detail));
            }
            if !value.is_empty() {
                parameters.set(&name, value);
            }
            seen.push(name);
        }
        Ok(parameters)
    }
}

/// The value of a required parameter.
///
/// # Errors
/// [`DenialReason::ParameterMissing`].
pub(super) fn required<'p>(
    value: Option<&'p String>,
    name: &'static str,
) -> Result<&'p str, Denial> {
    value
        .map(String::as_str)
        .ok_or_else(|| Denial::with_detail(DenialReason::ParameterMissing, name))
}

/// Reads `Content-Type` (RFC 9110, section 8.3). RFC 6749, appendix B, has UTF-8 whatever a
/// charset parameter says; one that says otherwise is a client that sends something else.
fn encoding(content_type: Option<&[u8]>) -> Result<Encoding, Denial> {
    let text = content_type.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    let mut parts = text.split(';');
    let media_type = parts.next().unwrap_or_default().trim();
    let encoding = if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Encoding::Form
    } else if media_type.eq_ignore_ascii_case("application/json") {
        Encoding::Json
    } else {
        return Err(Denial::repeating(DenialReason::MediaTypeUnsupported, [media_type]));
    };
    let charset = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, value)| value.trim().trim_matches('"'));
    match charset {
        Some(charset)
            if !["utf-8", "utf8", "us-ascii"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(charset)) =>
        {
            Err(Denial::repeating(DenialReason::CharsetUnsupported, [charset]))
        }
        Some(_) | None => Ok(encoding),
    }
}

/// Splits a form into its parameters (RFC 6749, appendix B).
fn form(body: &[u8]) -> Result<Vec<(String, String)>, Denial> {
    let malformed = |what| Denial::with_detail(DenialReason::FormMalformed, what);
    let mut pairs = Vec::new();
    for piece in body.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()) {
        let divider = piece.iter().position(|byte| *byte == b'=');
        let (name, value) = match divider.and_then(|at| piece.split_at_checked(at)) {
            Some((name, value)) => (name, value.strip_prefix(b"=").unwrap_or(value)),
            None => (piece, &[][..]),
        };
        let name = decoded(name).ok_or_else(|| malformed("a name is not form-encoded UTF-8"))?;
        let value = decoded(value).ok_or_else(|| malformed("a value is not form-encoded UTF-8"))?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Decodes one form-encoded text strictly: what no encoder writes is refused rather than
/// guessed. A space may stand for itself, as tools that do not encode leave it.
pub(super) fn decoded(text: &[u8]) -> Option<String> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (hex(rest.next())?, hex(rest.next())?);
                u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?
            }
            0x20..=0x7e => *byte,
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Reads a JSON object's members: texts, and arrays of texts where a parameter may be repeated.
/// `null` is how many a serializer writes a member that is not there.
fn members(body: &[u8]) -> Result<Vec<(String, String)>, Denial> {
    let object = json::object(body)
        .map_err(|reason| Denial::with_detail(DenialReason::JsonMalformed, reason))?;
    let mut pairs = Vec::new();
    for (name, value) in object {
        match value {
            Value::String(text) => pairs.push((name, text)),
            Value::Null => {}
            Value::Array(elements) if REPEATABLE.contains(&name.as_str()) => {
                for element in elements {
                    let Value::String(text) = element else {
                        return Err(not_text(&name));
                    };
                    pairs.push((name.clone(), text));
                }
            }
            Value::Array(_) | Value::Object(_) | Value::Bool(_) | Value::Number(_) => {
                if let Some(name) = Parameters::known(&name) {
                    return Err(not_text(name));
                }
            }
        }
    }
    Ok(pairs)
}

fn not_text(name: &str) -> Denial {
    Denial::with_detail(DenialReason::ParameterMalformed, format_args!("{name} is not a text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Option<&[u8]> = Some(b"application/x-www-form-urlencoded");
    const JSON: Option<&[u8]> = Some(b"application/json");

    fn parse(content_type: Option<&[u8]>, body: &str) -> Result<Parameters, DenialReason> {
        Parameters::parse(content_type, body.as_bytes(), 1_000).map_err(|denial| denial.reason())
    }

    #[test]
    fn a_form_and_the_same_in_json() {
        let form = parse(
            FORM,
            "grant_type=a%3Ab&scope=r+w&audience=x&audience=y&resource=&other=%0a\
            &subject_token=%C3%BC=",
        );
        let json = parse(
            JSON,
            r#"{"grant_type":"a:b","scope":"r w","audience":["x","y"],"resource":"","other":{"a":1},
                "subject_token":"ü=","actor_token":null}"#,
        );
        let expected = Parameters {
            grant_type: Some("a:b".to_owned()),
            scope: Some("r w".to_owned()),
            audience: vec!["x".to_owned(), "y".to_owned()],
            subject_token: Some("ü=".to_owned()),
            ..Parameters::default()
        };
        assert_eq!(form, Ok(expected.clone()));
        assert_eq!(json, Ok(expected.clone()));
        let shown = format!("{expected:?}");
        assert!(shown.contains("subject_token") && !shown.contains('ü'), "{shown}");
    }

    #[test]
    fn media_types_and_charsets() {
        for content_type in [
            "application/x-www-form-urlencoded;charset=UTF-8",
            "Application/X-WWW-Form-Urlencoded ; Charset=\"utf-8\"",
            "application/x-www-form-urlencoded; boundary=x; charset=us-ascii",
            "application/x-www-form-urlencoded;",
        ] {
            assert!(parse(Some(content_type.as_bytes()), "a=b").is_ok(), "{content_type}");
        }
        assert!(parse(Some(b"application/json; charset=utf-8"), "{}").is_ok());
        for (content_type, reason) in [
            (None, DenialReason::MediaTypeUnsupported),
            (Some(&b""[..]), DenialReason::MediaTypeUnsupported),
            (Some(b"\xff"), DenialReason::MediaTypeUnsupported),
            (Some(b"text/plain"), DenialReason::MediaTypeUnsupported),
            (Some(b"multipart/form-data; boundary=x"), DenialReason::MediaTypeUnsupported),
            (Some(b"application/jsonx"), DenialReason::MediaTypeUnsupported),
            (Some(b"application/json; charset=utf-16"), DenialReason::CharsetUnsupported),
        ] {
            assert_eq!(parse(content_type, "{}"), Err(reason), "{content_type:?}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (content_type, body, reason) in [
            (FORM, "scope=a&scope=b", DenialReason::ParameterRepeated),
            (FORM, "scope=&scope=b", DenialReason::ParameterRepeated),
            (FORM, "sc%6fpe=a&scope=b", DenialReason::ParameterRepeated),
            (FORM, "other=a&other=b", DenialReason::ParameterRepeated),
            (FORM, "a=%", DenialReason::FormMalformed),
            (FORM, "a=%4", DenialReason::FormMalformed),
            (FORM, "a=%+1", DenialReason::FormMalformed),
            (FORM, "a=%zz", DenialReason::FormMalformed),
            (FORM, "a=%ff", DenialReason::FormMalformed),
            (FORM, "a=\u{fc}", DenialReason::FormMalformed),
            (FORM, "a=b\n", DenialReason::FormMalformed),
            (FORM, "scope=a%00", DenialReason::ParameterMalformed),
            (FORM, "scope=a%C2%85", DenialReason::ParameterMalformed),
            (JSON, "", DenialReason::JsonMalformed),
            (JSON, "[]", DenialReason::JsonMalformed),
            (JSON, r#"{"scope":"a","scope":"b"}"#, DenialReason::JsonMalformed),
            (JSON, r#"{"scope":"a"} x"#, DenialReason::JsonMalformed),
            (JSON, r#"{"scope":["a"]}"#, DenialReason::ParameterMalformed),
            (JSON, r#"{"scope":1}"#, DenialReason::ParameterMalformed),
            (JSON, r#"{"scope":{}}"#, DenialReason::ParameterMalformed),
            (JSON, r#"{"scope":true}"#, DenialReason::ParameterMalformed),
            (JSON, r#"{"audience":["a",1]}"#, DenialReason::ParameterMalformed),
            (JSON, r#"{"scope":"a\u0000"}"#, DenialReason::ParameterMalformed),
        ] {
            assert_eq!(parse(content_type, body), Err(reason), "{body}");
        }
        let many = "audience=a&".repeat(65);
        assert_eq!(parse(FORM, &many), Err(DenialReason::ParameterMalformed));
        let large = format!("a={}", "x".repeat(999));
        assert_eq!(parse(FORM, &large), Err(DenialReason::BodyTooLarge));
    }

    #[test]
    fn small_liberties() {
        let parameters = parse(FORM, "&&scope=r w&client_id&a=b=c&").unwrap();
        assert_eq!(parameters.scope.as_deref(), Some("r w"));
        assert_eq!(parameters.client_id, None);
        assert_eq!(parse(FORM, ""), Ok(Parameters::default()));
    }
}
