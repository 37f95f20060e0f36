//! The credentials by which a request says of which client it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::assertion::JWT_BEARER;
use super::denial::{Denial, DenialReason};
use super::parameters::{Parameters, decoded, required};

/// The credentials in a request. A certificate is not among them: it may be there to bind the
/// token alone (RFC 8705, section 4).
pub(super) enum Presented {
    Nothing,
    Basic { id: String, secret: String },
    Post(String),
    Assertion(String),
}

impl Presented {
    pub(super) fn find(authorization: &[&[u8]], parameters: &Parameters) -> Result<Self, Denial> {
        let Parameters { client_secret, client_assertion, client_assertion_type, .. } = parameters;
        // RFC 6749, section 2.3: "The client MUST NOT use more than one authentication method in
        // each request."
        let assertion = client_assertion.is_some() || client_assertion_type.is_some();
        let methods = authorization
            .len()
            .saturating_add(usize::from(client_secret.is_some()))
            .saturating_add(usize::from(assertion));
        if methods > 1 {
            return Err(DenialReason::ClientAuthenticationRepeated.into());
        }
        if let [value] = authorization {
            return basic(value).ok_or_else(|| DenialReason::AuthorizationMalformed.into());
        }
        if let Some(secret) = client_secret {
            return Ok(Self::Post(secret.clone()));
        }
        if !assertion {
            return Ok(Self::Nothing);
        }
        let Some(text) = client_assertion else {
            let detail = "client_assertion_type without client_assertion";
            return Err(Denial::with_detail(DenialReason::ParameterUnexpected, detail));
        };
        let kind = required(client_assertion_type.as_ref(), "client_assertion_type")?;
        if kind != JWT_BEARER {
            let reason = DenialReason::ClientAuthenticationMethod;
            return Err(Denial::repeating(reason, [kind]).of("an assertion of type"));
        }
        Ok(Self::Assertion(text.clone()))
    }
}

/// RFC 6749, section 2.3.1: identifier and secret are form-encoded before they are put into the
/// form of RFC 7617.
fn basic(value: &[u8]) -> Option<Presented> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(encoded.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let (id, secret) = pair.split_at_checked(colon)?;
    let (id, secret) = (decoded(id)?, decoded(secret.get(1..)?)?);
    (!id.is_empty()).then_some(Presented::Basic { id, secret })
}
