//! Every reason for which a request is refused: one table.
//!
//! From it come the status, the OAuth error, the sentence for the client, the log line with its
//! stable number, and `docs/refusals.md`. Numbers are never reused.

use std::fmt;

use crate::refusal_table::refusal_table;

/// Who has to act for the request to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client sent something wrong.
    Client,
    /// The operator's configuration is incomplete.
    Operator,
    /// A server that we depend on failed.
    Upstream,
    /// We failed.
    Ours,
}

/// The scheme whose challenge tells the client what to send instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449, section 7.1.
    DPoP,
}

refusal_table! {
    /// Why a request is refused. The error code "unauthorized" never appears in a challenge.
    Reason
    1001 TokenMissing "token-missing" Client 401 "unauthorized"
        "an access token is required", "the client must send Authorization: Bearer with a token", "RFC 6750, section 3";
    1002 AuthorizationRepeated "authorization-repeated" Client 400 "invalid_request"
        "the request carries credentials more than once", "look for a client or proxy that adds a second Authorization header", "RFC 6750, section 2";
    1003 AuthorizationMalformed "authorization-malformed" Client 400 "invalid_request"
        "the Authorization header is malformed", "the scheme must be followed by one space and one token", "RFC 6750, section 2.1";
    1051 TokenBindingRepeated "token-binding-repeated" Client 400 "invalid_request"
        "the request carries more than one Token Binding message", "look for a client or proxy that adds a second Sec-Token-Binding header", "RFC 8473, section 2";
    1052 TokenBindingMalformed "token-binding-malformed" Client 400 "invalid_request"
        "the Token Binding message is malformed", "Sec-Token-Binding must be one message in base64url without padding, and nothing after it", "RFC 8471, section 3";
    1053 TokenBindingCount "token-binding-count" Client 400 "invalid_request"
        "the Token Binding message does not hold one provided binding and at most one referred", "the client must be mended", "RFC 8473, section 2";
    1054 TokenBindingKey "token-binding-key" Client 400 "invalid_request"
        "a Token Binding key is not one of its key parameters", "only points of P-256 and RSA keys of 2048 bits are keys", "RFC 8471, section 3.2";
    1055 TokenBindingKeyParameters "token-binding-key-parameters" Client 400 "invalid_request"
        "the provided binding is not of the negotiated key parameters", "the client must use a key of the parameters that the server chose", "RFC 8471, section 4.2";
    1056 TokenBindingSignature "token-binding-signature" Client 400 "invalid_request"
        "a Token Binding signature is invalid", "the message was made for another connection, or altered: it may have been captured and replayed", "RFC 8471, section 4.2";
    1057 TokenBindingRequired "token-binding-required" Client 400 "invalid_request"
        "Token Binding is required", "the client must negotiate Token Binding and send Sec-Token-Binding; see token-binding-required", "RFC 8471, section 5";
    1101 TokenTooLarge "token-too-large" Client 401 "invalid_token"
        "the access token is too large", "raise token-max-size if your issuer's tokens are that large", "RFC 8725, section 3.11";
    1102 TokenMalformed "token-malformed" Client 401 "invalid_token"
        "the access token is malformed", "only a JWT in compact serialization with canonical base64url is accepted", "RFC 7515, section 5.2";
    1103 TokenJson "token-json" Client 401 "invalid_token"
        "the access token does not hold proper JSON objects", "header and payload must each be one JSON object without duplicate members", "RFC 7519, section 7.2";
    1104 CritNotUnderstood "crit-not-understood" Client 401 "invalid_token"
        "the access token uses an extension that is not understood", "the issuer must not send crit or b64", "RFC 7515, section 4.1.11";
    1105 TypeNotAccepted "type-not-accepted" Client 401 "invalid_token"
        "the access token is of a type that is not accepted", "compare typ with token-types", "RFC 9068, section 4";
    1106 AlgorithmNotAccepted "algorithm-not-accepted" Client 401 "invalid_token"
        "the access token is signed with an algorithm that is not accepted", "compare alg with algorithms", "RFC 8725, section 3.1";
    1107 IssuerNotTrusted "issuer-not-trusted" Client 401 "invalid_token"
        "the access token is not from a trusted issuer", "compare iss with the issuers configured here, letter by letter", "RFC 9068, section 4";
    1108 KeyUnknown "key-unknown" Client 401 "invalid_token"
        "the access token is signed with an unknown key", "the issuer's key set has no such kid; check that it publishes the key it signs with", "RFC 7515, section 6";
    1109 KeyAlgorithmMismatch "key-algorithm-mismatch" Client 401 "invalid_token"
        "the access token is not signed with its key's algorithm", "the key set pins another alg for this kid", "RFC 8725, section 3.1";
    1110 SignatureInvalid "signature-invalid" Client 401 "invalid_token"
        "the access token's signature is invalid", "the token was altered, or another key was published under its kid", "RFC 7515, section 5.2";
    1111 ExpiryMissing "expiry-missing" Client 401 "invalid_token"
        "the access token does not expire", "the issuer must send exp, or set expiry to optional", "RFC 9068, section 2.2";
    1112 ClaimMalformed "claim-malformed" Client 401 "invalid_token"
        "a claim of the access token is malformed", "exp, nbf, iat and auth_time are numbers, aud a string or an array of strings, scope a string", "RFC 7519, section 4.1";
    1113 TokenExpired "token-expired" Client 401 "invalid_token"
        "the access token has expired", "the client must get a new token; if it just did, compare the clocks", "RFC 7519, section 4.1.4";
    1114 TokenNotYetValid "token-not-yet-valid" Client 401 "invalid_token"
        "the access token is not valid yet", "compare the clocks, or raise leeway", "RFC 7519, section 4.1.5";
    1115 TokenIssuedInFuture "token-issued-in-future" Client 401 "invalid_token"
        "the access token was issued in the future", "compare the clocks, or raise leeway", "RFC 7519, section 4.1.6";
    1116 AudienceMismatch "audience-mismatch" Client 401 "invalid_token"
        "the access token is for another audience", "compare aud with audience", "RFC 9068, section 4";
    1201 ConfirmationMissing "confirmation-missing" Client 401 "invalid_token"
        "the access token is not bound to a key", "the issuer must bind the token (cnf), or this location admit it by bearer", "RFC 7800, section 3";
    1202 ConfirmationMalformed "confirmation-malformed" Client 401 "invalid_token"
        "the access token's confirmation is malformed", "cnf must be an object with members of the form their standard demands", "RFC 7800, section 3.1";
    1203 ConfirmationUnknown "confirmation-unknown" Client 401 "invalid_token"
        "the access token is bound by a method that is not known", "only x5t#S256, jkt and tbh are known", "RFC 7800, section 3.1";
    1204 ConfirmationNotAccepted "confirmation-not-accepted" Client 401 "invalid_token"
        "the access token is bound by a method that is not accepted here", "compare its cnf with confirmation", "RFC 8705, section 3";
    1205 ThumbprintEncoding "thumbprint-encoding" Client 401 "invalid_token"
        "the access token's thumbprint is not in base64url without padding", "the issuer departs from the standard; it should be mended, or compat set to padded-thumbprint", "RFC 8705, section 3.1";
    1211 CertificateMissing "certificate-missing" Client 401 "invalid_token"
        "the access token is bound to a client certificate and none was presented", "the client must use its certificate, and the server ask for one", "RFC 8705, section 3";
    1212 CertificateMismatch "certificate-mismatch" Client 401 "invalid_token"
        "the access token is bound to another client certificate", "the token was stolen, or the client renewed its certificate and must get a new token", "RFC 8705, section 3";
    1221 DPoPProofMissing "dpop-proof-missing" Client 401 "invalid_token"
        "the access token is bound to a DPoP key and no proof was presented", "DPoP proofs are not verified by this version", "RFC 9449, section 7.1";
    1231 TokenBindingMissing "token-binding-missing" Client 401 "invalid_token"
        "the access token is bound to a Token Binding ID and none was proved", "the client must negotiate Token Binding, and token-binding be on for the server it asks", "RFC 8471, section 5";
    1232 TokenBindingMismatch "token-binding-mismatch" Client 401 "invalid_token"
        "the access token is bound to another Token Binding ID", "the token was stolen, or the client made itself a new key and must get a new token", "RFC 8471, section 5";
    1301 AcrInsufficient "acr-insufficient" Client 401 "insufficient_user_authentication"
        "a different authentication level is required", "the token's acr is none of acr-values", "RFC 9470, section 3";
    1302 AuthenticationTooOld "authentication-too-old" Client 401 "insufficient_user_authentication"
        "more recent authentication is required", "the token's auth_time is missing or older than max-age", "RFC 9470, section 3";
    1401 ScopeInsufficient "scope-insufficient" Client 403 "insufficient_scope"
        "the access token lacks a scope that is required here", "compare its scope with Require bound-scope", "RFC 6750, section 3.1";
    1402 ClaimInsufficient "claim-insufficient" Client 403 "insufficient_scope"
        "the access token lacks a claim that is required here", "compare its claims with Require bound-claim", "RFC 6750, section 3.1";
    1403 ProofInsufficient "proof-insufficient" Client 403 "insufficient_scope"
        "the access token is not bound in a way that is required here", "compare its cnf with Require bound-proof", "RFC 6750, section 3.1";
    1404 UserMissing "user-missing" Client 403 "insufficient_scope"
        "the access token does not grant access to this resource", "see the authorization lines above; where a user is required, compare user-claim with the token", "RFC 6750, section 3.1";
    1501 KeysUnavailable "keys-unavailable" Upstream 503 "temporarily_unavailable"
        "the issuer's keys are not available at the moment", "see the AB2002 lines for why fetching them fails", "RFC 9110, section 15.6.4";
    1502 Overloaded "overloaded" Operator 503 "temporarily_unavailable"
        "too many requests wait at the moment", "give the thread pool that thread-pool names more threads or a longer queue; see the AB2002 lines for what is waited for", "RFC 9110, section 15.6.4";
    1601 CookieRefused "cookie-refused" Client 401 "unauthorized"
        "the session is not valid here", "see the AB31 lines above for which cookie, and why", "RFC 9110, section 15.5.2";
    1602 CookieRedirected "cookie-redirected" Client 303 "login_required"
        "a new login is required", "see the AB31 lines above for which cookie, and why", "RFC 9110, section 15.4.4";
    1901 PolicyIncomplete "policy-incomplete" Operator 500 "server_error"
        "the server's configuration is incomplete", "name an issuer and an audience where tokens are checked, a secret where cookies are sealed, an issuer, a signing key, clients and rules where tokens are issued", "RFC 9110, section 15.6.1";
    1902 InternalError "internal-error" Ours 500 "server_error"
        "the server failed to decide", "please report this with the lines before it", "RFC 9110, section 15.6.1";
}

impl Reason {
    /// The scheme that the challenge is for; none where another token would not help.
    #[must_use]
    pub const fn scheme(self) -> Option<Scheme> {
        let of_no_token = matches!(
            self,
            Self::CookieRefused
                | Self::TokenBindingRepeated
                | Self::TokenBindingMalformed
                | Self::TokenBindingCount
                | Self::TokenBindingKey
                | Self::TokenBindingKeyParameters
                | Self::TokenBindingSignature
                | Self::TokenBindingRequired
        );
        match self.status() {
            400..=403 if of_no_token => None,
            400..=403 if matches!(self, Self::DPoPProofMissing) => Some(Scheme::DPoP),
            400..=403 => Some(Scheme::Bearer),
            _ => None,
        }
    }
}

/// A refused request: the reason, and what was seen, for the log alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    detail: Option<Box<str>>,
}

/// Most characters of a peer's text that a log line repeats: enough for two thumbprints.
const MAX_DETAIL: usize = 160;

impl Refusal {
    /// A refusal that needs no detail.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, detail: None }
    }

    /// A refusal with what was seen. `detail` is escaped and cut, so that it may repeat a peer's
    /// text; it must not hold a token, a key or a cookie.
    #[must_use]
    pub fn with_detail(reason: Reason, detail: impl fmt::Display) -> Self {
        Self { reason, detail: Some(repeatable(detail)) }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }
}

/// What a log line may repeat of a peer's text: escaped and cut.
pub(crate) fn repeatable(detail: impl fmt::Display) -> Box<str> {
    let text = detail.to_string();
    let mut characters = text.chars().flat_map(char::escape_default);
    let mut escaped: String = characters.by_ref().take(MAX_DETAIL).collect();
    if characters.next().is_some() {
        escaped.push_str("...");
    }
    escaped.into_boxed_str()
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

/// The log line.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.write_line(f, self.detail.as_deref())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_ascending() {
        for pair in Reason::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{pair:?}");
        }
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
    }

    #[test]
    fn sentences_fit_into_a_challenge() {
        // RFC 6750, section 3: error_description is %x20-21 / %x23-5B / %x5D-7E.
        for reason in Reason::ALL {
            assert!(
                reason
                    .sentence()
                    .bytes()
                    .all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
            );
        }
    }

    #[test]
    fn the_log_repeats_a_peer_escaped_and_cut() {
        let refusal = Refusal::with_detail(
            Reason::IssuerNotTrusted,
            format!("a\n\u{1b}[1m{}", "x".repeat(999)),
        );
        let line = refusal.to_string();
        assert!(line.starts_with("AB1107 issuer-not-trusted: "), "{line}");
        assert!(
            line.contains(r"(a\n\u{1b}[1mxxx") && line.contains("...)") && line.len() < 400,
            "{line}"
        );
    }
}
