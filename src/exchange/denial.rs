//! Every reason for which a token request is refused: one table, as in `src/refusal.rs`.
//!
//! From it come the status, the error code of RFC 6749, section 5.2, the sentence for the client
//! and the log line with its stable number. Numbers are never reused.

use std::fmt;
use std::sync::Arc;

use super::repeated::Repeated;
use crate::jose::KeyRing;
use crate::refusal::{Fault, Refusal, repeatable};
use crate::refusal_table::refusal_table;
use crate::token::NeededKeys;

refusal_table! {
    /// Why a token request is refused. The error code is one of RFC 6749, section 5.2, or of
    /// RFC 8693, section 2.2.2; for the status of `invalid_client` see [`Denial::status`].
    DenialReason
    4001 MethodNotAllowed "method-not-allowed" Client 405 "invalid_request"
        "the token endpoint is asked with POST", "the client must use POST", "RFC 6749, section 3.2";
    4002 MediaTypeUnsupported "media-type-unsupported" Client 400 "invalid_request"
        "the body is neither a form nor JSON", "Content-Type must be application/x-www-form-urlencoded or application/json", "RFC 6749, section 4.1.3";
    4003 CharsetUnsupported "charset-unsupported" Client 400 "invalid_request"
        "the body's charset is not UTF-8", "the client must send UTF-8; a charset parameter is not needed", "RFC 6749, appendix B";
    4004 BodyTooLarge "body-too-large" Client 413 "invalid_request"
        "the body is too large", "raise sts-max-body if your subject tokens are that large", "RFC 9110, section 15.5.14";
    4005 FormMalformed "form-malformed" Client 400 "invalid_request"
        "the form is malformed", "the client must encode its parameters as application/x-www-form-urlencoded", "RFC 6749, appendix B";
    4006 JsonMalformed "json-malformed" Client 400 "invalid_request"
        "the body is not a proper JSON object", "the body must be one JSON object without duplicate members", "RFC 8259, section 4";
    4007 ParameterRepeated "parameter-repeated" Client 400 "invalid_request"
        "a parameter is sent more than once", "only resource and audience may be repeated", "RFC 6749, section 3.2";
    4008 ParameterMalformed "parameter-malformed" Client 400 "invalid_request"
        "a parameter is malformed", "values are text in UTF-8 without control characters", "RFC 6749, section 5.2";
    4009 ParameterMissing "parameter-missing" Client 400 "invalid_request"
        "a required parameter is missing", "an empty value counts as none", "RFC 8693, section 2.1";
    4010 ParameterUnexpected "parameter-unexpected" Client 400 "invalid_request"
        "a parameter is sent without the one it belongs to", "actor_token_type goes with actor_token, client_assertion_type with client_assertion", "RFC 8693, section 2.1";
    4011 GrantTypeUnsupported "grant-type-unsupported" Client 400 "unsupported_grant_type"
        "the grant type is not supported", "token exchange and refresh_token are supported", "RFC 6749, section 5.2";
    4012 TokenTypeUnsupported "token-type-unsupported" Client 400 "invalid_request"
        "a token type is not supported", "compare the type of a subject or actor token with sts-subject-types, and see that issuer and audience apply; access_token, jwt and refresh_token are issued", "RFC 8693, section 2.2.2";
    4013 DocumentMethodNotAllowed "document-method-not-allowed" Client 405 "invalid_request"
        "this document is asked for with GET", "the client must use GET or HEAD", "RFC 8414, section 3.1";
    4014 TlsMissing "tls-missing" Client 400 "invalid_request"
        "the token endpoint is asked over TLS", "the connection to this server has no TLS: credentials came in the clear", "RFC 6749, section 3.2";
    4101 ClientUnknown "client-unknown" Client 401 "invalid_client"
        "client authentication failed", "no sts-client has this client_id", "RFC 6749, section 5.2";
    4102 ClientAuthenticationMissing "client-authentication-missing" Client 401 "invalid_client"
        "client authentication is required", "the client must authenticate by the method of its sts-client, or name itself by client_id", "RFC 6749, section 5.2";
    4103 ClientAuthenticationRepeated "client-authentication-repeated" Client 400 "invalid_request"
        "more than one method of client authentication is used", "the client must use one of Authorization, client_secret and client_assertion", "RFC 6749, section 2.3";
    4104 ClientAuthenticationMethod "client-authentication-method" Client 401 "invalid_client"
        "the client does not authenticate by the method configured for it", "compare what it sends with the method of its sts-client", "RFC 6749, section 5.2";
    4105 AuthorizationMalformed "client-authorization-malformed" Client 401 "invalid_client"
        "the Authorization header is malformed", "Basic takes base64 of the form-encoded client_id, a colon and the form-encoded secret", "RFC 6749, section 2.3.1";
    4106 ClientSecretWrong "client-secret-wrong" Client 401 "invalid_client"
        "client authentication failed", "the secret is none of those configured; one with % or + in it must be form-encoded in Basic", "RFC 6749, section 2.3.1";
    4107 ClientCertificateMissing "client-certificate-missing" Client 401 "invalid_client"
        "client authentication takes a certificate and none was presented", "the client must use its certificate, and the server ask for one", "RFC 8705, section 2";
    4108 ClientCertificateUnverified "client-certificate-unverified" Client 401 "invalid_client"
        "the client certificate is not issued by a trusted authority", "the TLS layer must verify the chain where clients are known by name, and have intermediate authorities in its CA file", "RFC 8705, section 2.1";
    4109 ClientCertificateMismatch "client-certificate-mismatch" Client 401 "invalid_client"
        "the client certificate is not the one of this client", "compare its subject, alternative names or thumbprint with its sts-client", "RFC 8705, section 2";
    4110 ClientAssertionRefused "client-assertion-refused" Client 401 "invalid_client"
        "the client assertion is not accepted", "iss and sub are the client_id, aud the token endpoint or the issuer alone; exp, at most ten minutes ahead, and jti are required", "RFC 7523, section 3";
    4111 ClientAssertionReplayed "client-assertion-replayed" Client 401 "invalid_client"
        "the client assertion was used before", "the client must make a new one for each request; otherwise it was captured", "RFC 7523, section 3";
    4112 ClientIdMismatch "client-id-mismatch" Client 401 "invalid_client"
        "client_id is not the client that authenticates", "look for a client that sends two identities", "RFC 6749, section 2.3";
    4113 GrantTypeNotAllowed "grant-type-not-allowed" Client 400 "unauthorized_client"
        "the client may not use this grant type", "compare with grant= of its sts-client", "RFC 6749, section 5.2";
    4201 SubjectTokenRefused "subject-token-refused" Client 400 "invalid_request"
        "the subject token is not accepted", "see the reason that follows", "RFC 8693, section 2.2.2";
    4202 SubjectUnknown "subject-unknown" Client 400 "invalid_request"
        "the subject token is not known", "it is no credential of sts-credentials; JWTs are accepted of the types of sts-subject-types, where issuer and audience apply", "RFC 8693, section 2.2.2";
    4203 SubjectCertificateMissing "subject-certificate-missing" Client 400 "invalid_request"
        "the subject token is only good together with a client certificate", "the client must use its certificate, and the server ask for one", "RFC 8693, section 2.2.2";
    4204 SubjectCertificateMismatch "subject-certificate-mismatch" Client 400 "invalid_request"
        "the subject token is only good together with another client certificate", "the credential was stolen, or its owner renewed the certificate and the file must name the new one", "RFC 8693, section 2.2.2";
    4205 SubjectMissing "subject-missing" Client 400 "invalid_request"
        "the subject token names no subject", "the issuer must send sub", "RFC 9068, section 2.2";
    4211 ActorTokenRefused "actor-token-refused" Client 400 "invalid_request"
        "the actor token is not accepted", "see the reason that follows", "RFC 8693, section 2.2.2";
    4212 ActorNotPermitted "actor-not-permitted" Client 400 "invalid_request"
        "the subject token does not permit this actor", "compare its may_act with the actor token, or with the client where there is none", "RFC 8693, section 4.4";
    4213 DelegationNotAllowed "delegation-not-allowed" Client 400 "unauthorized_client"
        "the client may not act for others", "no sts-rule for this client and subject has actor=", "RFC 8693, section 2.1";
    4214 DelegationTooDeep "delegation-too-deep" Client 400 "invalid_request"
        "the subject token was delegated too often", "look for services that exchange each other's tokens in a circle", "RFC 8693, section 4.1";
    4301 RuleMissing "rule-missing" Client 400 "unauthorized_client"
        "the client may not exchange tokens of this subject", "no sts-rule applies to this client, subject and issuer", "RFC 6749, section 5.2";
    4302 TargetUnknown "target-unknown" Client 400 "invalid_target"
        "no token is issued for the requested target", "no sts-rule that applies has all the requested audiences and resources", "RFC 8693, section 2.2.2";
    4303 TargetMissing "target-missing" Client 400 "invalid_target"
        "an audience or a resource is required", "the rules that apply have no default-audience=", "RFC 8693, section 2.1";
    4304 TargetMalformed "target-malformed" Client 400 "invalid_target"
        "a resource is not an absolute URI without fragment", "the client must be mended", "RFC 8707, section 2";
    4305 ScopeMalformed "scope-malformed" Client 400 "invalid_scope"
        "the requested scope is malformed", "scopes are words of printable ASCII, one space between two", "RFC 6749, section 3.3";
    4306 ScopeExceeded "scope-exceeded" Client 400 "invalid_scope"
        "the requested scope goes beyond what may be granted", "compare it with the scope of the subject token and with the rule's", "RFC 6749, section 5.2";
    4307 PossessionMissing "possession-missing" Client 400 "invalid_request"
        "a token is only issued to a caller that proves possession of a key", "the client must use a certificate or Token Binding, and the server ask for it", "RFC 8705, section 3";
    4308 LifetimeExhausted "lifetime-exhausted" Client 400 "invalid_request"
        "the presented token is about to expire", "the client must get a new subject token first; compare the clocks", "RFC 8693, section 2.2.1";
    4309 RefreshNotAllowed "refresh-not-allowed" Client 400 "invalid_request"
        "no refresh token is issued here", "the rule that applies has no refresh=, or the client may not use the grant type", "RFC 8693, section 2.2.1";
    4401 RefreshTokenRefused "refresh-token-refused" Client 400 "invalid_grant"
        "the refresh token is not accepted", "see the reason that follows", "RFC 6749, section 5.2";
    4402 RefreshTokenMismatch "refresh-token-mismatch" Client 400 "invalid_grant"
        "the refresh token was issued to another client", "it may have been stolen", "RFC 6749, section 5.2";
    4901 KeysUnavailable "exchange-keys-unavailable" Upstream 503 "temporarily_unavailable"
        "the issuer's keys are not available at the moment", "see the AB2002 lines for why fetching them fails", "RFC 9110, section 15.6.4";
    4902 ReplayStoreUnavailable "replay-store-unavailable" Upstream 503 "temporarily_unavailable"
        "the client assertion cannot be checked at the moment", "the memory of used assertions does not answer, is full, or is not configured", "RFC 9110, section 15.6.4";
    4903 PolicyIncomplete "exchange-policy-incomplete" Operator 500 "server_error"
        "the server's configuration is incomplete", "name an issuer and an audience for subject tokens", "RFC 9110, section 15.6.1";
    4904 SigningFailed "signing-failed" Ours 500 "server_error"
        "the server failed to sign the token", "check the signing key and, if it lives in hardware, the device", "RFC 9110, section 15.6.1";
    4905 InternalError "exchange-internal-error" Ours 500 "server_error"
        "the server failed to decide", "please report this with the lines before it", "RFC 9110, section 15.6.1";
    4906 Overloaded "exchange-overloaded" Operator 503 "temporarily_unavailable"
        "too many requests wait at the moment", "give the thread pool that thread-pool names more threads or a longer queue; see the AB2002 lines for what is waited for", "RFC 9110, section 15.6.4";
}

/// A refused token request: the reason, what was seen, and the refusal of a token behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    reason: DenialReason,
    detail: Option<Box<str>>,
    repeated: Repeated,
    cause: Option<Refusal>,
    challenged: bool,
}

impl Denial {
    /// A denial that needs no detail.
    #[must_use]
    pub fn new(reason: DenialReason) -> Self {
        let repeated = Repeated::default();
        Self { reason, detail: None, repeated, cause: None, challenged: false }
    }

    /// A denial with what was seen, for the log alone. `detail` is escaped and cut, so that it
    /// may repeat a peer's text; it must not hold a token, a secret or a key.
    #[must_use]
    pub fn with_detail(reason: DenialReason, detail: impl fmt::Display) -> Self {
        Self { detail: Some(repeatable(detail)), ..Self::new(reason) }
    }

    /// A denial that repeats texts of the request's parameters: by their lengths, until it is
    /// [`disclosed`](Self::disclosed).
    pub(super) fn repeating<'t>(
        reason: DenialReason,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Self {
        Self { repeated: Repeated::new(texts), ..Self::new(reason) }
    }

    /// Says what the repeated texts are.
    pub(super) fn of(self, what: impl fmt::Display) -> Self {
        Self { detail: Some(repeatable(what)), ..self }
    }

    /// A denial for which a token was refused. A refusal that is no fault of the client's is
    /// told as what it is.
    #[must_use]
    pub fn caused(reason: DenialReason, cause: Refusal) -> Self {
        let reason = match cause.reason().fault() {
            Fault::Client => reason,
            Fault::Operator => DenialReason::PolicyIncomplete,
            Fault::Upstream => DenialReason::KeysUnavailable,
            Fault::Ours => DenialReason::InternalError,
        };
        Self { cause: Some(cause), ..Self::new(reason) }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> DenialReason {
        self.reason
    }

    /// The refusal of the subject, actor or refresh token or of the client assertion.
    #[must_use]
    pub const fn cause(&self) -> Option<&Refusal> {
        self.cause.as_ref()
    }

    /// The HTTP status. RFC 6749, section 5.2, `invalid_client`: 401 and a challenge "if the client
    /// attempted to authenticate via the Authorization request header field", otherwise 400,
    /// since RFC 9110, section 15.5.2 has no 401 without a challenge.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.reason.status() {
            401 if !self.challenged => 400,
            status => status,
        }
    }

    /// Whether the answer has a challenge for Basic.
    #[must_use]
    pub const fn is_challenged(&self) -> bool {
        self.status() == 401
    }

    /// What the client is told: the sentence, and that of the cause where the client is at fault.
    #[must_use]
    pub fn description(&self) -> String {
        match &self.cause {
            Some(cause) if self.reason.fault() == Fault::Client => {
                // Whatever token it is, it is the one that the sentence before names.
                let because = cause.reason().sentence().replacen("the access token", "it", 1);
                format!("{}: {}", self.reason.sentence(), because.replacen("it's", "its", 1))
            }
            Some(_) | None => self.reason.sentence().to_owned(),
        }
    }

    /// The same with the texts that it repeats, but for those that are one of `secrets` or that
    /// `is_secret` knows.
    pub(super) fn disclosed(self, secrets: &[&str], is_secret: impl Fn(&str) -> bool) -> Self {
        let told = self.repeated.told(secrets, is_secret);
        Self { detail: self.seen(&told), repeated: Repeated::default(), ..self }
    }

    /// What was seen, the repeated texts as `told`.
    fn seen(&self, told: &str) -> Option<Box<str>> {
        match &self.detail {
            Some(detail) if self.repeated.is_empty() => Some(detail.clone()),
            None if self.repeated.is_empty() => None,
            Some(what) => Some(repeatable(format_args!("{what} {told}"))),
            None => Some(repeatable(told)),
        }
    }

    /// The denial of a request that carried `Authorization`.
    pub(super) const fn challenging(mut self, authorization: bool) -> Self {
        self.challenged = authorization;
        self
    }
}

impl From<DenialReason> for Denial {
    fn from(reason: DenialReason) -> Self {
        Self::new(reason)
    }
}

/// The log line, with that of the cause behind it.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.write_line(f, self.seen(&self.repeated.lengths()).as_deref())?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Denial {}

/// How a token request is not granted.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It must not be.
    Denied(Denial),
    /// It may be: somebody's keys must be looked up first. Fetch them and decide again, or
    /// [`give_up`](Needed::give_up).
    NeedsKeys(Needed),
}

/// Keys that a decision waits for.
#[derive(Clone, Debug)]
pub struct Needed {
    keys: NeededKeys,
    refused_as: DenialReason,
}

impl Needed {
    /// The ring that lacks the key.
    #[must_use]
    pub const fn ring(&self) -> &Arc<KeyRing> {
        &self.keys.ring
    }

    /// The answer if no newer keys are to be had.
    #[must_use]
    pub fn give_up(self) -> Denial {
        match self.keys.otherwise {
            Some(refusal) => Denial::caused(self.refused_as, refusal),
            None => DenialReason::KeysUnavailable.into(),
        }
    }
}

impl Failure {
    /// What a token's verification failed with, told as `refused_as`.
    pub(super) fn of_token(failure: crate::token::Failure, refused_as: DenialReason) -> Self {
        match failure {
            crate::token::Failure::Refused(refusal) => {
                Self::Denied(Denial::caused(refused_as, refusal))
            }
            crate::token::Failure::NeedsKeys(keys) => Self::NeedsKeys(Needed { keys, refused_as }),
        }
    }

    pub(super) fn challenging(self, authorization: bool) -> Self {
        match self {
            Self::Denied(denial) => Self::Denied(denial.challenging(authorization)),
            Self::NeedsKeys(needed) => Self::NeedsKeys(needed),
        }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<DenialReason> for Failure {
    fn from(reason: DenialReason) -> Self {
        Self::Denied(reason.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => denial.fmt(f),
            Self::NeedsKeys(_) => f.write_str("keys must be looked up first"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    #[test]
    fn numbers_and_names_are_unique_and_ascending() {
        for pair in DenialReason::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{pair:?}");
        }
        let names = DenialReason::ALL.iter().map(|reason| reason.name());
        let mut names: Vec<_> =
            names.chain(Reason::ALL.iter().map(|reason| reason.name())).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DenialReason::ALL.len() + Reason::ALL.len());
    }

    #[test]
    fn codes_are_registered_and_fit_their_status() {
        for reason in DenialReason::ALL {
            // RFC 6749, section 5.2: error_description is %x20-21 / %x23-5B / %x5D-7E.
            let allowed = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(reason.sentence().bytes().all(allowed), "{reason:?}");
            match reason.error() {
                "invalid_client" => assert_eq!(reason.status(), 401),
                "invalid_request" => assert!(matches!(reason.status(), 400 | 405 | 413)),
                "invalid_grant"
                | "unauthorized_client"
                | "unsupported_grant_type"
                | "invalid_scope"
                | "invalid_target" => assert_eq!(reason.status(), 400),
                "temporarily_unavailable" => assert_eq!(reason.status(), 503),
                "server_error" => assert_eq!(reason.status(), 500),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_cause_that_is_not_the_clients_fault_is_told_as_what_it_is() {
        let of = |reason: Reason| Denial::caused(DenialReason::SubjectTokenRefused, reason.into());
        let expired = of(Reason::TokenExpired);
        assert_eq!((expired.reason(), expired.status()), (DenialReason::SubjectTokenRefused, 400));
        assert!(expired.description().ends_with("not accepted: it has expired"));
        assert!(expired.to_string().contains("AB4201") && expired.to_string().contains("AB1113"));
        assert_eq!(of(Reason::PolicyIncomplete).reason(), DenialReason::PolicyIncomplete);
        assert_eq!(of(Reason::KeysUnavailable).status(), 503);
        let ours = of(Reason::InternalError);
        assert_eq!(ours.reason(), DenialReason::InternalError);
        assert_eq!(ours.description(), DenialReason::InternalError.sentence());
    }

    #[test]
    fn a_challenge_comes_only_where_authorization_was_used() {
        let denial = Denial::new(DenialReason::ClientSecretWrong);
        assert_eq!((denial.status(), denial.is_challenged()), (400, false));
        let denial = denial.challenging(true);
        assert_eq!((denial.status(), denial.is_challenged()), (401, true));
        assert_eq!(Denial::new(DenialReason::ScopeExceeded).challenging(true).status(), 400);
    }
}
