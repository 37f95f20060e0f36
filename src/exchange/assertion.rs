//! Client authentication by a signed assertion: `private_key_jwt` (RFC 7521, section 4.2;
//! RFC 7523, sections 2.2 and 3).

use std::sync::Arc;

use serde_json::Value as Json;

use super::denial::{Denial, DenialReason, Failure};
use super::replay::ReplayId;
use crate::directive::value::{Fault, Toggle, TokenTypes, Value};
use crate::jose::{Jws, KeyRing, json};
use crate::policy::Policy;
use crate::proof::Possessions;
use crate::token::{Timestamp, verify};

/// `client_assertion_type` of a JWT (RFC 7523, section 2.2).
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest life of an assertion, in seconds: its identifier must be kept as long.
const MAX_LIFETIME: i64 = 600;
/// The longest `jti`.
const MAX_ID: usize = 256;

/// The rules for assertions made for one token endpoint.
#[derive(Clone, Debug)]
pub(super) struct AssertionPolicy {
    issuer: String,
    policy: Policy,
}

/// An assertion that holds, if it was not used before.
#[derive(Clone, Copy, Debug)]
pub(super) struct SingleUse {
    /// Its identifier.
    pub(super) id: ReplayId,
    /// How long the identifier must be kept.
    pub(super) until: Timestamp,
}

impl AssertionPolicy {
    /// RFC 7523, section 3: the token endpoint's URL may be the audience; the issuer too.
    pub(super) fn new(issuer: &str, token_endpoint: &str) -> Result<Self, Fault> {
        // The type keeps access tokens and proofs of the same key from being taken for
        // assertions (RFC 8725, section 3.11).
        let types = ["client-authentication+jwt", "JWT", "none"];
        let token_types = TokenTypes::parse(&types)
            .ok_or_else(|| Fault { got: types.join(" "), expected: TokenTypes::syntax() })?;
        let policy = Policy::new()?.audience(issuer).audience(token_endpoint).with(|settings| {
            settings.token_types = token_types;
            settings.bearer = Toggle(true);
        });
        Ok(Self { issuer: issuer.to_owned(), policy })
    }

    /// Accepts one more audience: another name of the token endpoint.
    pub(super) fn also_for(self, audience: &str) -> Self {
        Self { policy: self.policy.audience(audience), ..self }
    }

    /// Verifies the assertion of the client `id`, whose keys are `keys`.
    pub(super) fn verify(
        &self,
        assertion: &str,
        (id, keys): (&str, &Arc<KeyRing>),
        possessions: &Possessions<'_>,
        now: Timestamp,
    ) -> Result<SingleUse, Failure> {
        // RFC 7523, section 3: "the "iss" [...] MUST be the "client_id""; the keys tried are
        // this client's alone.
        let policy = self.policy.clone().trust(id, Arc::clone(keys));
        let verified = verify(assertion, &policy, now)
            .map_err(|failure| Failure::of_token(failure, DenialReason::ClientAssertionRefused))?;
        verified
            .judge(&policy, possessions, now)
            .map_err(|refusal| Denial::caused(DenialReason::ClientAssertionRefused, refusal))?;
        let claims = verified.claims();
        if claims.get("sub").and_then(Json::as_str) != Some(id) {
            return Err(refused("sub is not the client_id").into());
        }
        // Another recipient could use it here before the client does (draft-ietf-oauth-rfc7523bis).
        if claims.get("aud").and_then(Json::as_array).is_some_and(|audiences| audiences.len() > 1) {
            return Err(refused("aud names several").into());
        }
        let identifier = claims.get("jti").and_then(Json::as_str).unwrap_or_default();
        if identifier.is_empty() || identifier.len() > MAX_ID {
            return Err(refused("jti is missing, empty, too long or no string").into());
        }
        let leeway = policy.settings().leeway.seconds();
        let expires = verified.lifetime().expires().unwrap_or(i64::MAX);
        if expires > now.saturating_add(MAX_LIFETIME).saturating_add(leeway) {
            return Err(refused("exp is more than ten minutes ahead").into());
        }
        let id = ReplayId::new(&self.issuer, id, identifier);
        Ok(SingleUse { id, until: expires.saturating_add(leeway) })
    }
}

/// The client that an assertion says it is of. Nothing is verified here.
pub(super) fn claimed_client(assertion: &str) -> Result<String, Denial> {
    let jws = Jws::parse(assertion).map_err(|_| refused("not a JWT"))?;
    let claims = json::object(&jws.payload).map_err(|_| refused("its payload is not JSON"))?;
    let issuer = claims.get("iss").and_then(Json::as_str).filter(|issuer| !issuer.is_empty());
    Ok(issuer.ok_or_else(|| refused("iss is missing or no string"))?.to_owned())
}

fn refused(detail: &str) -> Denial {
    Denial::with_detail(DenialReason::ClientAssertionRefused, detail)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, ring};
    use super::*;
    use crate::jose::{Algorithm, SigningKey};
    use crate::refusal::Reason;
    use crate::token::TokenRequest;

    const ENDPOINT: &str = "https://as.example/token";

    fn assertion(audience: &str, lifetime: i64) -> TokenRequest {
        TokenRequest::new("client", "client", audience, NOW, lifetime)
            .media_type("JWT")
            .claim("jti", "1")
    }

    #[test]
    fn an_assertion_is_the_clients_for_this_endpoint_short_and_named() {
        let key = SigningKey::generate(Algorithm::ES256, "k").unwrap();
        let keys = ring(&[&key]);
        let policy = AssertionPolicy::new("https://as.example", ENDPOINT).unwrap();
        let policy = policy.also_for("https://mtls.as.example/token");
        let verify = |request: &TokenRequest| {
            let text = request.sign(&key).unwrap();
            policy.verify(&text, ("client", &keys), &Possessions::default(), NOW)
        };
        for audience in ["https://as.example", ENDPOINT, "https://mtls.as.example/token"] {
            let single_use = verify(&assertion(audience, 60)).unwrap();
            assert_eq!(single_use.id, ReplayId::new("https://as.example", "client", "1"));
            assert_eq!(single_use.until, NOW + 90);
        }
        let good = || assertion(ENDPOINT, 60);
        for (request, cause) in [
            (assertion("https://other.example", 60), Some(Reason::AudienceMismatch)),
            (assertion(ENDPOINT, -60), Some(Reason::TokenExpired)),
            (good().claim("iss", "other"), Some(Reason::IssuerNotTrusted)),
            (good().media_type("at+jwt"), Some(Reason::TypeNotAccepted)),
            (good().media_type("dpop+jwt"), Some(Reason::TypeNotAccepted)),
            (good().claim("exp", Json::Null), Some(Reason::ClaimMalformed)),
            (
                good().claim("cnf", serde_json::json!({"jkt": "x"})),
                Some(Reason::ConfirmationMalformed),
            ),
            (good().claim("sub", "other"), None),
            (good().claim("sub", 1), None),
            (good().claim("aud", vec![ENDPOINT, "https://other.example"]), None),
            (good().claim("jti", ""), None),
            (good().claim("jti", 7), None),
            (good().claim("jti", "x".repeat(257)), None),
            (assertion(ENDPOINT, 3_631), None),
        ] {
            let Err(Failure::Denied(denial)) = verify(&request) else { panic!("{request:?}") };
            assert_eq!(denial.reason(), DenialReason::ClientAssertionRefused);
            assert_eq!(denial.cause().map(crate::refusal::Refusal::reason), cause, "{request:?}");
        }
        let other = SigningKey::generate(Algorithm::ES256, "k").unwrap();
        let forged = good().sign(&other).unwrap();
        let result = policy.verify(&forged, ("client", &keys), &Possessions::default(), NOW);
        assert!(matches!(result, Err(Failure::Denied(_))));
        let unknown = good().sign(&other.with_key_id("new")).unwrap();
        let result = policy.verify(&unknown, ("client", &keys), &Possessions::default(), NOW);
        let Err(Failure::NeedsKeys(needed)) = result else { panic!() };
        assert!(Arc::ptr_eq(needed.ring(), &keys));
        assert_eq!(needed.give_up().reason(), DenialReason::ClientAssertionRefused);
    }

    #[test]
    fn whose_an_assertion_says_it_is() {
        let key = SigningKey::generate(Algorithm::ES256, "k").unwrap();
        let text = assertion(ENDPOINT, 60).sign(&key).unwrap();
        assert_eq!(claimed_client(&text).as_deref(), Ok("client"));
        for claims in
            [assertion(ENDPOINT, 60).claim("iss", 1), assertion(ENDPOINT, 60).claim("iss", "")]
        {
            assert!(claimed_client(&claims.sign(&key).unwrap()).is_err());
        }
        assert!(claimed_client("x").is_err() && claimed_client("e30.e30").is_err());
        assert!(claimed_client("eyJhbGciOiJFUzI1NiJ9.W10.AA").is_err());
    }
}
