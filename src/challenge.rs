//! How a refusal is told to the client: one challenge, a short JSON body, headers.

use crate::directive::value::CookieRefusal;
use crate::effect::{Effect, Target};
use crate::export;
use crate::jose::Algorithm;
use crate::policy::Policy;
use crate::refusal::{Reason, Refusal, Scheme};

/// The proof algorithms named in a DPoP challenge (RFC 9449, section 7.1).
const PROOF_ALGORITHMS: &[Algorithm] = &[
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::PS256,
    Algorithm::RS256,
    Algorithm::EdDSA,
];

/// What the challenge may name besides the refusal itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The protection space (RFC 9110, section 11.5).
    pub realm: Option<&'a str>,
    /// The scopes that were required.
    pub scopes: &'a [String],
    /// How long the client should wait before it comes again, in seconds.
    pub retry_after: Option<u64>,
}

/// The effects of a refusal on the response.
#[must_use]
pub fn effects(refusal: &Refusal, policy: &Policy, context: &Context<'_>) -> Vec<Effect> {
    let reason = refusal.reason();
    let header = |name: &str, value: &str| Effect::new(Target::ResponseHeader, name, value);
    let mut effects = vec![export::of_refusal(reason), header("Cache-Control", "no-store")];
    if let Some(scheme) = reason.scheme() {
        effects.push(header("WWW-Authenticate", &challenge(scheme, reason, policy, context)));
    }
    if reason == Reason::CookieRefused {
        // RFC 9110, section 15.5.2, wants a challenge, and this is what the field calls it.
        effects.push(header("WWW-Authenticate", "Cookie"));
    }
    if let CookieRefusal::Redirect(target) = &policy.settings().cookie_refusal
        && reason == Reason::CookieRedirected
    {
        effects.push(header("Location", target));
    }
    if let Some(seconds) = context.retry_after {
        effects.push(header("Retry-After", &seconds.to_string()));
    }
    effects
}

/// The body: `error` and `error_description` as in RFC 6749, section 5.2.
#[must_use]
pub fn body(reason: Reason) -> String {
    format!(
        "{{\"error\":\"{}\",\"error_description\":\"{}\"}}\n",
        reason.error(),
        reason.sentence()
    )
}

/// The value of `WWW-Authenticate`.
fn challenge(scheme: Scheme, reason: Reason, policy: &Policy, context: &Context<'_>) -> String {
    let mut parameters: Vec<(&str, String)> = Vec::new();
    if let Some(realm) = context.realm.filter(|realm| !realm.is_empty()) {
        parameters.push(("realm", realm.to_owned()));
    }
    // RFC 6750, section 3.1: a request without credentials gets no error code.
    if reason != Reason::TokenMissing {
        parameters.push(("error", reason.error().to_owned()));
        parameters.push(("error_description", reason.sentence().to_owned()));
    }
    let scopes = context.scopes.join(" ");
    if reason == Reason::ScopeInsufficient && !scopes.is_empty() {
        parameters.push(("scope", scopes));
    }
    let settings = policy.settings();
    if reason.error() == "insufficient_user_authentication" {
        if !settings.acr_values.0.is_empty() {
            parameters.push(("acr_values", settings.acr_values.0.join(" ")));
        }
        parameters.extend(settings.max_age.0.map(|seconds| ("max_age", seconds.to_string())));
    }
    let scheme = match scheme {
        Scheme::Bearer => "Bearer",
        Scheme::DPoP => {
            let names: Vec<_> = PROOF_ALGORITHMS.iter().map(|algorithm| algorithm.name()).collect();
            parameters.push(("algs", names.join(" ")));
            "DPoP"
        }
    };
    let quoted: Vec<_> =
        parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if quoted.is_empty() { scheme.to_owned() } else { format!("{scheme} {}", quoted.join(", ")) }
}

/// The inside of a quoted string (RFC 9110, section 5.6.4).
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge_of(reason: Reason, context: &Context<'_>) -> String {
        challenge(reason.scheme().unwrap(), reason, &Policy::new().unwrap(), context)
    }

    #[test]
    fn a_missing_token_is_asked_for_without_an_error() {
        assert_eq!(challenge_of(Reason::TokenMissing, &Context::default()), "Bearer");
        let context = Context { realm: Some("a \"b\""), ..Context::default() };
        assert_eq!(challenge_of(Reason::TokenMissing, &context), r#"Bearer realm="a \"b\"""#);
    }

    #[test]
    fn a_refused_token_is_told_why() {
        assert_eq!(
            challenge_of(Reason::TokenExpired, &Context::default()),
            r#"Bearer error="invalid_token", error_description="the access token has expired""#
        );
        let scopes = ["a".to_owned(), "b".to_owned()];
        let context = Context { scopes: &scopes, ..Context::default() };
        assert!(challenge_of(Reason::ScopeInsufficient, &context).ends_with(r#", scope="a b""#));
        assert!(
            challenge_of(Reason::DPoPProofMissing, &context)
                .starts_with("DPoP error=\"invalid_token\"")
        );
    }

    #[test]
    fn bodies_are_json() {
        for reason in Reason::ALL {
            let body = crate::jose::json::object(body(*reason).trim().as_bytes()).unwrap();
            assert_eq!(body["error"], reason.error());
        }
    }
}
