//! How a refusal is told to the client: one challenge, a short JSON body, headers.

use crate::body_style::BodyStyle;
use crate::directive::value::CookieRefusal;
use crate::effect::{Effect, Target};
use crate::export;
use crate::jose::Algorithm;
use crate::policy::Policy;
use crate::refusal::{Fault, Reason, Refusal, Scheme};

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

/// The status of a refusal whose body is written in this style.
#[must_use]
pub const fn status(reason: Reason, style: BodyStyle) -> u16 {
    if is_plainly_unauthorized(reason, style) { 401 } else { reason.status() }
}

/// The body of a refusal.
#[must_use]
pub fn body(reason: Reason, style: BodyStyle) -> String {
    match (style, reason.fault()) {
        (BodyStyle::CodeAndMessage, Fault::Operator | Fault::Upstream | Fault::Ours) => {
            style.body("server_error", "Problem encountered processing the request")
        }
        (BodyStyle::CodeAndMessage, Fault::Client) if is_plainly_unauthorized(reason, style) => {
            style.body("unauthorized", "Missing, invalid or expired access token")
        }
        (BodyStyle::OAuth | BodyStyle::CodeAndMessage, _) => {
            style.body(reason.error(), reason.sentence())
        }
    }
}

/// Whether the refusal is one of those that Curity's plugins do not tell apart: whatever is wrong
/// with a token or the proof of its key is the same 401.
const fn is_plainly_unauthorized(reason: Reason, style: BodyStyle) -> bool {
    matches!(style, BodyStyle::CodeAndMessage)
        && matches!(reason.status(), 400 | 401)
        && reason.scheme().is_some()
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
            for (style, code) in [(BodyStyle::OAuth, "error"), (BodyStyle::CodeAndMessage, "code")]
            {
                let body = body(*reason, style);
                let body = crate::jose::json::object(body.trim().as_bytes()).unwrap();
                assert_eq!(body.len(), 2);
                assert!(body.contains_key(code), "{reason:?}");
            }
        }
    }

    #[test]
    fn oauth_tells_every_reason_by_its_own_name() {
        for reason in Reason::ALL {
            let body = body(*reason, BodyStyle::OAuth);
            assert!(body.contains(&format!("{{\"error\":\"{}\",", reason.error())), "{body}");
            assert!(body.contains(reason.sentence()), "{body}");
            assert_eq!(status(*reason, BodyStyle::OAuth), reason.status());
        }
    }

    #[test]
    fn code_and_message_tell_no_token_from_another() {
        let unauthorized = "{\"code\":\"unauthorized\", \"message\":\"Missing, invalid or expired access token\"}\n";
        let failed = "{\"code\":\"server_error\", \
                      \"message\":\"Problem encountered processing the request\"}\n";
        let of = |reason| {
            (status(reason, BodyStyle::CodeAndMessage), body(reason, BodyStyle::CodeAndMessage))
        };
        for reason in Reason::ALL {
            let expected = match (reason.status(), reason.scheme()) {
                (500.., _) => (reason.status(), failed.to_owned()),
                (400 | 401, Some(_)) => (401, unauthorized.to_owned()),
                (status, _) => {
                    (status, BodyStyle::CodeAndMessage.body(reason.error(), reason.sentence()))
                }
            };
            assert_eq!(of(*reason), expected, "{reason:?}");
        }
        assert_eq!(of(Reason::AuthorizationRepeated), (401, unauthorized.to_owned()));
        assert_eq!(of(Reason::CertificateMismatch), (401, unauthorized.to_owned()));
        assert_eq!(
            of(Reason::ScopeInsufficient).1,
            "{\"code\":\"insufficient_scope\", \
             \"message\":\"the access token lacks a scope that is required here\"}\n"
        );
        assert_eq!(of(Reason::TokenBindingSignature).0, 400);
    }
}
