//! Issuing a token: a JWT access token (RFC 9068) with `cnf`.

use serde_json::Value;

use super::Timestamp;
use crate::confirmation::Confirmation;
use crate::jose::json::{self, Object};
use crate::jose::{SigningError, SigningKey, base64url};

/// The media type of a JWT access token (RFC 9068, section 2.1).
const ACCESS_TOKEN: &str = "at+jwt";

/// A token to be issued.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    media_type: String,
    key_id: Option<String>,
    claims: Object,
}

impl TokenRequest {
    /// A token of `issuer` about `subject` for `audience`, issued at `now` and good for
    /// `lifetime` seconds, bound to what `confirmation` names.
    #[must_use]
    pub fn new(issuer: &str, subject: &str, audience: &str, now: Timestamp, lifetime: i64) -> Self {
        let mut claims = Object::new();
        claims.insert("iss".to_owned(), issuer.into());
        claims.insert("sub".to_owned(), subject.into());
        claims.insert("aud".to_owned(), audience.into());
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), now.saturating_add(lifetime).into());
        Self { media_type: ACCESS_TOKEN.to_owned(), key_id: None, claims }
    }

    /// Binds the token (RFC 7800).
    #[must_use]
    pub fn bound_to(self, confirmation: &Confirmation) -> Self {
        let cnf = confirmation.to_claim();
        self.claim("cnf", cnf)
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Sets `typ`, for tools that make tokens of other kinds.
    #[must_use]
    pub fn media_type(mut self, media_type: &str) -> Self {
        media_type.clone_into(&mut self.media_type);
        self
    }

    /// Sets `kid`, where it is not the one of the key that signs.
    #[must_use]
    pub fn key_id(self, key_id: &str) -> Self {
        Self { key_id: Some(key_id.to_owned()), ..self }
    }

    /// Signs the token.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, SigningError> {
        let mut header = Object::new();
        header.insert("alg".to_owned(), key.algorithm().name().into());
        let key_id = self.key_id.as_deref().unwrap_or_else(|| key.key_id());
        header.insert("kid".to_owned(), key_id.into());
        header.insert("typ".to_owned(), self.media_type.clone().into());
        let encode = |object| base64url::encode(json::text(object));
        let input = format!("{}.{}", encode(&header), encode(&self.claims));
        let signature = key.sign(input.as_bytes())?;
        Ok(format!("{input}.{}", base64url::encode(signature)))
    }
}
