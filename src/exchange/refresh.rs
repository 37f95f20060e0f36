//! Refresh tokens (RFC 6749, section 6): signed by us for us, bound like what they are exchanged
//! for (RFC 8705, section 4; draft-ietf-oauth-token-binding-08, section 2).
//!
//! Each says what it was granted for, so that nothing has to be kept. What may be granted is
//! inside of `grant`, where no resource server looks for it. `typ` and `aud` keep a refresh token
//! from being taken for an access token, and `kid` where a resource server minds neither.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::denial::{Denial, DenialReason, Failure};
use super::subject::{Origin, Party, ScopeLimit};
use crate::directive::value::{Fault, Toggle, TokenTypes, Value};
use crate::jose::json::Object;
use crate::jose::{Key, KeyFault, KeyRing, KeySet};
use crate::policy::Policy;
use crate::proof::Possessions;
use crate::refusal::{Reason, Refusal};
use crate::token::{Timestamp, verify};

/// `typ` of a refresh token.
pub(super) const REFRESH_TOKEN: &str = "rt+jwt";

/// The rules for our own refresh tokens.
#[derive(Clone, Debug)]
pub(super) struct RefreshPolicy(Policy);

/// What a refresh token was issued for.
#[derive(Clone, Debug)]
pub(super) struct Redeemed {
    /// The subject, with the scopes and the time that are left.
    pub(super) party: Party,
    /// The audiences that access tokens may have.
    pub(super) audiences: Vec<String>,
    /// The actor who got it, if one did: what he may get is for the rules about actors to say.
    pub(super) actor: Option<String>,
}

/// The claim `grant` of a refresh token.
pub(super) fn grant_claim(
    audiences: &[String],
    scopes: &[String],
    origin: &Origin,
    actor: Option<&str>,
) -> Json {
    let Origin { issuer, credential } = origin;
    let scope = scopes.join(" ");
    json!({ "aud": audiences, "scope": scope, "iss": issuer, "credential": credential, "actor": actor })
}

/// What a refresh token calls the key whose name is `published`: no JWK Set has a key of that name.
pub(super) fn key_id(published: &str) -> String {
    format!("refresh:{published}")
}

/// The published keys, under the names that refresh tokens call them by.
///
/// # Errors
/// [`KeyFault`]: one is not a key to verify with.
pub(super) fn ring(published: &[Object]) -> Result<Arc<KeyRing>, KeyFault> {
    let key = |jwk: &Object| {
        let mut jwk = jwk.clone();
        if let Some(Json::String(name)) = jwk.get_mut("kid") {
            *name = key_id(name);
        }
        Key::from_jwk(jwk)
    };
    let keys = published.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(KeyRing::holding(KeySet::new(keys))))
}

impl RefreshPolicy {
    pub(super) fn new(issuer: &str, ring: Arc<KeyRing>) -> Result<Self, Fault> {
        let token_types = TokenTypes::parse(&[REFRESH_TOKEN]).ok_or_else(|| Fault {
            got: REFRESH_TOKEN.to_owned(),
            expected: TokenTypes::syntax(),
        })?;
        let policy = Policy::new()?.trust(issuer, ring).audience(issuer).with(|settings| {
            settings.token_types = token_types;
            // Whether an unbound one is taken is for the rule to say.
            settings.bearer = Toggle(true);
        });
        Ok(Self(policy))
    }

    /// Verifies a refresh token that `client_id` presents.
    pub(super) fn redeem(
        &self,
        token: &str,
        client_id: &str,
        possessions: &Possessions<'_>,
        now: Timestamp,
    ) -> Result<Redeemed, Denial> {
        let refused = DenialReason::RefreshTokenRefused;
        let verified = match verify(token, &self.0, now) {
            Ok(verified) => verified,
            Err(failure) => {
                return Err(match Failure::of_token(failure, refused) {
                    Failure::Denied(denial) => denial,
                    // Our own keys: there are no newer ones to be had.
                    Failure::NeedsKeys(needed) => needed.give_up(),
                });
            }
        };
        verified
            .judge(&self.0, possessions, now)
            .map_err(|refusal| Denial::caused(refused, refusal))?;
        // RFC 6749, section 6: the refresh token "is bound to the client to which it was issued".
        if verified.claims().get("client_id").and_then(Json::as_str) != Some(client_id) {
            let detail = format_args!("{client_id} presents it");
            return Err(Denial::with_detail(DenialReason::RefreshTokenMismatch, detail));
        }
        let malformed = || {
            let cause = Refusal::with_detail(Reason::ClaimMalformed, "grant");
            Denial::caused(refused, cause)
        };
        let grant = verified.claims().get("grant").ok_or_else(malformed)?;
        let audiences = grant.get("aud").and_then(Json::as_array).ok_or_else(malformed)?;
        let scope = grant.get("scope").and_then(Json::as_str).ok_or_else(malformed)?;
        let text = |name: &str| grant.get(name).and_then(Json::as_str).map(str::to_owned);
        let origin = Origin { issuer: text("iss"), credential: text("credential") };
        let scopes = scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned);
        Ok(Redeemed {
            party: Party::of_refresh_token(
                &verified,
                origin,
                ScopeLimit::Listed(scopes.collect()),
            )?,
            audiences: audiences.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            actor: text("actor"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, ring};
    use super::*;
    use crate::confirmation::Confirmation;
    use crate::jose::{Algorithm, SigningKey};
    use crate::proof::ClientCertificate;
    use crate::token::TokenRequest;

    #[test]
    fn a_refresh_token_is_ours_unexpired_proved_and_the_clients() {
        let key = SigningKey::generate(Algorithm::Ed25519, "k").unwrap();
        let policy = RefreshPolicy::new("https://as", ring(&[&key])).unwrap();
        let alice = ClientCertificate::presented(b"alice's".to_vec());
        let bob = ClientCertificate::presented(b"bob's".to_vec());
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let origin = Origin { issuer: Some("https://idp".to_owned()), ..Origin::default() };
        let good = TokenRequest::new("https://as", "ann", "https://as", NOW, 600)
            .media_type(REFRESH_TOKEN)
            .claim("client_id", "client")
            .claim("grant", grant_claim(&words("a b"), &words("r w"), &origin, None))
            .bound_to(&Confirmation::certificate(alice.thumbprint()));
        let redeem = |request: &TokenRequest, certificate: Option<&ClientCertificate>| {
            let possessions = Possessions { certificate, ..Possessions::default() };
            policy.redeem(&request.sign(&key).unwrap(), "client", &possessions, NOW)
        };
        let redeemed = redeem(&good, Some(&alice)).unwrap();
        assert_eq!(redeemed.audiences, words("a b"));
        assert_eq!(redeemed.party.scopes, ScopeLimit::Listed(words("r w")));
        assert_eq!(redeemed.party.origin, origin);
        assert!(redeemed.party.bound);
        for (request, certificate, cause) in [
            (good.clone(), None, Reason::CertificateMissing),
            (good.clone(), Some(&bob), Reason::CertificateMismatch),
            (good.clone().media_type("at+jwt"), Some(&alice), Reason::TypeNotAccepted),
            (good.clone().claim("aud", "https://api"), Some(&alice), Reason::AudienceMismatch),
            (good.clone().claim("iss", "https://other"), Some(&alice), Reason::IssuerNotTrusted),
            (good.clone().claim("exp", NOW - 31), Some(&alice), Reason::TokenExpired),
            (good.clone().claim("grant", 1), Some(&alice), Reason::ClaimMalformed),
        ] {
            let denial = redeem(&request, certificate).unwrap_err();
            assert_eq!(denial.reason(), DenialReason::RefreshTokenRefused);
            assert_eq!(denial.cause().unwrap().reason(), cause);
        }
        let denial = redeem(&good.clone().claim("client_id", "other"), Some(&alice)).unwrap_err();
        assert_eq!(denial.reason(), DenialReason::RefreshTokenMismatch);
        let other = SigningKey::generate(Algorithm::Ed25519, "other").unwrap();
        let forged = good.sign(&other).unwrap();
        let denial = policy.redeem(&forged, "client", &Possessions::default(), NOW).unwrap_err();
        assert_eq!(denial.cause().unwrap().reason(), Reason::KeyUnknown);
    }
}
