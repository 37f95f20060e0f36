//! A JWS in compact serialization (RFC 7515, section 7.1), taken apart but not yet verified.

use serde_json::Value;

use super::json::{self, Object};
use super::{Algorithm, base64url};

/// A compact JWS. Nothing in it is to be believed before its signature has been checked.
#[derive(Debug)]
pub struct Jws<'a> {
    /// The protected header.
    pub header: Header,
    /// What is signed: header and payload as they were sent.
    pub signing_input: &'a str,
    /// The decoded payload.
    pub payload: Vec<u8>,
    /// The decoded signature.
    pub signature: Vec<u8>,
}

/// The protected header members that a verifier acts upon.
#[derive(Debug)]
pub struct Header {
    /// `alg`: the algorithm, if it is one we know.
    pub algorithm: Option<Algorithm>,
    /// `kid`.
    pub key_id: Option<String>,
    /// `typ`.
    pub media_type: Option<String>,
}

/// Why a text is not a compact JWS that we can verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwsError {
    /// Not three parts divided by dots.
    Parts,
    /// A part is not canonical base64url.
    Base64url,
    /// The header is not one JSON object without duplicate members.
    Json(String),
    /// A header member has the wrong type.
    Member(&'static str),
    /// `crit` is present: we understand no extension (RFC 7515, section 4.1.11).
    Critical,
}

impl<'a> Jws<'a> {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// [`JwsError`], by the first thing found wrong.
    pub fn parse(text: &'a str) -> Result<Self, JwsError> {
        let (signing_input, signature) = text.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Parts)?;
        if payload.contains('.') {
            return Err(JwsError::Parts);
        }
        let header = base64url::decode(header).ok_or(JwsError::Base64url)?;
        Ok(Self {
            header: Header::parse(&header)?,
            signing_input,
            payload: base64url::decode(payload).ok_or(JwsError::Base64url)?,
            signature: base64url::decode(signature).ok_or(JwsError::Base64url)?,
        })
    }
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self, JwsError> {
        let members = json::object(text).map_err(JwsError::Json)?;
        // RFC 7515, section 4.1.11: "If any of the listed extension Header Parameters are not
        // understood and supported by the recipient, then the JWS is invalid." `b64` (RFC 7797)
        // needs `crit`; without it the member has no business here either.
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(JwsError::Critical);
        }
        let algorithm = string(&members, "alg")?.ok_or(JwsError::Member("alg"))?;
        Ok(Self {
            algorithm: algorithm.parse().ok(),
            key_id: string(&members, "kid")?.map(str::to_owned),
            media_type: string(&members, "typ")?.map(str::to_owned),
        })
    }
}

fn string<'m>(members: &'m Object, name: &'static str) -> Result<Option<&'m str>, JwsError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value)),
        Some(_) => Err(JwsError::Member(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &str) -> Result<Algorithm, JwsError> {
        let text = format!("{}.e30.AA", base64url::encode(header));
        Jws::parse(&text).map(|jws| jws.header.algorithm.unwrap())
    }

    #[test]
    fn three_parts() {
        for text in ["", "a", "a.b", "e30.e30.e30.e30", "."] {
            assert!(
                matches!(Jws::parse(text), Err(JwsError::Parts | JwsError::Base64url)),
                "{text}"
            );
        }
    }

    #[test]
    fn critical_extensions_refuse() {
        for header in [
            r#"{"alg":"ES256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"ES256","crit":[]}"#,
            r#"{"alg":"ES256","b64":true}"#,
        ] {
            assert_eq!(parse(header), Err(JwsError::Critical), "{header}");
        }
        assert_eq!(parse(r#"{"alg":"ES256","zip":"x"}"#), Ok(Algorithm::ES256));
    }

    #[test]
    fn members_have_their_types() {
        assert_eq!(parse(r#"{"alg":["ES256"]}"#), Err(JwsError::Member("alg")));
        assert_eq!(parse(r#"{"alg":"ES256","kid":1}"#), Err(JwsError::Member("kid")));
        assert_eq!(parse(r#"{"alg":"ES256","typ":null}"#), Err(JwsError::Member("typ")));
        assert_eq!(parse(r#"{"typ":"JWT"}"#), Err(JwsError::Member("alg")));
    }
}
