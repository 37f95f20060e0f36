//! Subject and actor tokens (RFC 8693, sections 1.1 and 2.1): whose token is asked for, and who
//! acts.

use std::sync::Arc;

use serde_json::Value;

use super::credential_file::{Credential, CredentialFile};
use super::credential_hash::CredentialHash;
use super::denial::{Denial, DenialReason, Failure};
use super::token_type::TokenType;
use crate::jose::json::Object;
use crate::policy::Policy;
use crate::proof::Possessions;
use crate::refusal::{Reason, Refusal};
use crate::token::{Timestamp, Verified, verify};

/// Deepest nesting of `act` in an issued token.
const MAX_ACTORS: usize = 8;

/// What is accepted as a subject or actor token.
#[derive(Clone, Debug, Default)]
pub struct SubjectTokens {
    policies: Vec<(TokenType, Arc<Policy>)>,
    credentials: Option<Arc<CredentialFile>>,
    missing: Option<&'static str>,
}

impl SubjectTokens {
    /// Nothing is accepted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts JWTs under this policy where `token_type` says that they are of this type. The
    /// policy names the issuers and the audience (usually this server), and whether tokens
    /// without `cnf` are admitted. A second policy for the same type takes the place of the first.
    #[must_use]
    pub fn jwts(mut self, token_type: TokenType, policy: Arc<Policy>) -> Self {
        self.policies.retain(|(kept, _)| *kept != token_type);
        self.policies.push((token_type, policy));
        self
    }

    /// Accepts the credentials of a file where the token is said to be an access token.
    #[must_use]
    pub fn credentials(mut self, file: Arc<CredentialFile>) -> Self {
        self.credentials = Some(file);
        self
    }

    /// Tells whoever looks for the reason why no JWT is accepted.
    #[must_use]
    pub const fn no_jwts(mut self, missing: &'static str) -> Self {
        self.missing = Some(missing);
        self
    }

    /// Whether tokens about the party of a refresh token would still be accepted: from its issuer, or
    /// the very credential, with the certificate that is presented.
    pub(super) fn know(&self, party: &Party, possessions: &Possessions<'_>) -> bool {
        let Origin { issuer, credential } = &party.origin;
        if let Some(issuer) = issuer {
            return self.policies.iter().any(|(_, policy)| policy.issuer(issuer).is_some());
        }
        let name = credential.as_deref().unwrap_or_default();
        let known = self.credentials.as_ref().and_then(|file| file.named(&party.subject, name));
        known.is_some_and(|it| check_certificate(it, Role::Subject, possessions).is_ok())
    }

    /// Whether there is a credential with this hash.
    pub(super) fn have_credential(&self, hash: &CredentialHash) -> bool {
        self.credentials.as_ref().is_some_and(|file| file.has(hash))
    }

    /// Verifies a token, and that the caller may use it: one that is bound must be proved.
    pub(super) fn verify(
        &self,
        token: &str,
        token_type: TokenType,
        role: Role,
        (possessions, now): (&Possessions<'_>, Timestamp),
    ) -> Result<Party, Failure> {
        let file = self.credentials.as_ref().filter(|_| token_type == TokenType::AccessToken);
        if let Some(credential) = file.and_then(|file| file.find(token)) {
            check_certificate(credential, role, possessions)?;
            return Ok(Party::of_credential(credential));
        }
        let policy = self.policies.iter().find(|(accepted, _)| *accepted == token_type);
        let Some((_, policy)) = policy else {
            let why = self.missing.map(|missing| format!("; {missing}, to verify JWTs by"));
            let why = why.unwrap_or_default();
            return Err(match file {
                Some(_) => {
                    let detail = format!("no credential of the file{why}");
                    role.denial(DenialReason::SubjectUnknown, &detail)
                }
                None => {
                    let detail = format_args!("{}{why}", token_type.urn());
                    Denial::with_detail(DenialReason::TokenTypeUnsupported, detail)
                }
            }
            .into());
        };
        let verified = verify(token, policy, now)
            .map_err(|failure| Failure::of_token(failure, role.refused()))?;
        verified
            .judge(policy, possessions, now)
            .map_err(|refusal| Denial::caused(role.refused(), refusal))?;
        Ok(Party::of_token(&verified, role)?)
    }
}

/// What a token is presented as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Subject,
    Actor,
}

impl Role {
    const fn refused(self) -> DenialReason {
        match self {
            Self::Subject => DenialReason::SubjectTokenRefused,
            Self::Actor => DenialReason::ActorTokenRefused,
        }
    }

    /// The reasons of the table are the subject's; an actor has one for all of them.
    fn denial(self, reason: DenialReason, detail: &str) -> Denial {
        match self {
            Self::Subject => Denial::with_detail(reason, detail),
            Self::Actor => Denial::with_detail(DenialReason::ActorTokenRefused, detail),
        }
    }
}

/// The scopes that a presented token lets be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScopeLimit {
    /// An opaque credential says nothing of scopes: the rules alone do.
    None,
    /// A JWT without `scope`.
    Absent,
    /// A JWT with these.
    Listed(Vec<String>),
}

/// Who says who a party is: an issuer, or a credential of the file by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) issuer: Option<String>,
    pub(super) credential: Option<String>,
}

/// Whom a presented token is about: evidence that only its verification can make.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) subject: String,
    pub(super) origin: Origin,
    pub(super) scopes: ScopeLimit,
    pub(super) expires: Option<Timestamp>,
    /// Whether the token is bound to a key.
    pub(super) bound: bool,
    claims: Object,
}

impl Party {
    fn of_credential(credential: &Credential) -> Self {
        let mut claims = Object::new();
        claims.insert("sub".to_owned(), credential.subject.clone().into());
        Self {
            subject: credential.subject.clone(),
            origin: Origin { issuer: None, credential: Some(credential.name.clone()) },
            scopes: ScopeLimit::None,
            expires: None,
            bound: credential.certificate.is_some(),
            claims,
        }
    }

    fn of_token(verified: &Verified, role: Role) -> Result<Self, Denial> {
        let claims = verified.claims();
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let subject = text("sub")
            .filter(|subject| !subject.is_empty())
            .ok_or_else(|| role.denial(DenialReason::SubjectMissing, "sub is missing"))?;
        for name in ["act", "may_act"] {
            if claims.get(name).is_some_and(|value| !value.is_object()) {
                let cause = Refusal::with_detail(Reason::ClaimMalformed, name);
                return Err(Denial::caused(role.refused(), cause));
            }
        }
        let scopes = text("scope").map(|text| {
            text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
        });
        Ok(Self {
            subject: subject.to_owned(),
            origin: Origin { issuer: text("iss").map(str::to_owned), credential: None },
            scopes: scopes.map_or(ScopeLimit::Absent, ScopeLimit::Listed),
            expires: verified.lifetime().expires(),
            bound: verified.methods().next().is_some(),
            claims: claims.clone(),
        })
    }

    /// The party of a refresh token, which stands for the subject token that it was issued for.
    pub(super) fn of_refresh_token(
        verified: &Verified,
        origin: Origin,
        scopes: ScopeLimit,
    ) -> Result<Self, Denial> {
        let party = Self::of_token(verified, Role::Subject)?;
        Ok(Self { origin, scopes, ..party })
    }

    /// `act` of the presented token: who acted before.
    pub(super) fn act(&self) -> Option<&Value> {
        self.claims.get("act")
    }

    /// RFC 8693, section 4.4: `may_act` names who may act for the subject: the actor, or the
    /// client where there is none. Each member of it must be a claim of that party.
    pub(super) fn check_may_act(
        &self,
        actor: Option<&Self>,
        client_id: &str,
    ) -> Result<(), Denial> {
        let Some(Value::Object(permitted)) = self.claims.get("may_act") else {
            return Ok(());
        };
        let holds = |(name, value): (&String, &Value)| match (actor, name.as_str()) {
            (Some(actor), name) => actor.claims.get(name) == Some(value),
            (None, "sub" | "client_id") => value == client_id,
            (None, _) => false,
        };
        // A name is one only together with who gave it: without "iss" the same issuer is meant.
        let same_issuer = |actor: &Self| {
            permitted.contains_key("iss") || actor.origin.issuer == self.origin.issuer
        };
        if !permitted.is_empty() && permitted.iter().all(holds) && actor.is_none_or(same_issuer) {
            return Ok(());
        }
        let who = actor.map_or(client_id, |actor| actor.subject.as_str());
        Err(Denial::with_detail(DenialReason::ActorNotPermitted, format_args!("{who} asks")))
    }

    /// `act` of the token to be issued (RFC 8693, section 4.1): the actor, and inside of it who
    /// acted before. Where nobody acts anew, what was is kept.
    pub(super) fn delegated_to(&self, actor: Option<&Self>) -> Result<Option<Value>, Denial> {
        let Some(actor) = actor else {
            return Ok(self.act().cloned());
        };
        let mut act = Object::new();
        act.insert("sub".to_owned(), actor.subject.clone().into());
        // RFC 8693, section 4.1: "iss" where "sub" alone does not say who it is.
        if actor.origin.issuer != self.origin.issuer
            && let Some(issuer) = &actor.origin.issuer
        {
            act.insert("iss".to_owned(), issuer.clone().into());
        }
        if let Some(before) = self.act() {
            act.insert("act".to_owned(), before.clone());
        }
        let act = Value::Object(act);
        let depth = std::iter::successors(Some(&act), |inner| inner.get("act")).count();
        if depth > MAX_ACTORS {
            let detail = format_args!("{depth} actors, at most {MAX_ACTORS}");
            return Err(Denial::with_detail(DenialReason::DelegationTooDeep, detail));
        }
        Ok(Some(act))
    }
}

fn check_certificate(
    credential: &Credential,
    role: Role,
    possessions: &Possessions<'_>,
) -> Result<(), Denial> {
    let Some(expected) = credential.certificate else {
        return Ok(());
    };
    let Some(certificate) = possessions.certificate else {
        let detail = format!("it is {expected}");
        return Err(role.denial(DenialReason::SubjectCertificateMissing, &detail));
    };
    let presented = certificate.thumbprint();
    if presented != expected {
        let detail = format!("it is {expected}, the client presented {presented}");
        return Err(role.denial(DenialReason::SubjectCertificateMismatch, &detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{NOW, ring, token_bindings};
    use super::*;
    use crate::confirmation::Confirmation;
    use crate::jose::{Algorithm, SigningKey};
    use crate::proof::ClientCertificate;
    use crate::thumbprint::Thumbprint;
    use crate::token::TokenRequest;

    struct World {
        key: SigningKey,
        tokens: SubjectTokens,
        alice: ClientCertificate,
        bob: ClientCertificate,
    }

    fn world() -> World {
        let key = SigningKey::generate(Algorithm::ES256, "k").unwrap();
        let alice = ClientCertificate::presented(b"alice's".to_vec());
        let bob = ClientCertificate::presented(b"bob's".to_vec());
        let policy =
            Policy::new().unwrap().trust("https://idp", ring(&[&key])).audience("https://as");
        let content = format!(
            "{} alice {}\n{} carol\n",
            Thumbprint::of(b"iamtheeggman"),
            alice.thumbprint(),
            Thumbprint::of(b"gnik"),
        );
        let tokens = SubjectTokens::new()
            .jwts(TokenType::Jwt, Arc::new(policy.clone()))
            .jwts(TokenType::AccessToken, Arc::new(policy))
            .credentials(Arc::new(CredentialFile::parse(&content).unwrap()));
        World { key, tokens, alice, bob }
    }

    fn token(subject: &str) -> TokenRequest {
        TokenRequest::new("https://idp", subject, "https://as", NOW, 60)
    }

    impl World {
        fn verify(
            &self,
            token: &str,
            role: Role,
            certificate: Option<&ClientCertificate>,
        ) -> Result<Party, Denial> {
            let possessions = Possessions { certificate, ..Possessions::default() };
            match self.tokens.verify(token, TokenType::AccessToken, role, (&possessions, NOW)) {
                Ok(party) => Ok(party),
                Err(Failure::Denied(denial)) => Err(denial),
                Err(Failure::NeedsKeys(needed)) => Err(needed.give_up()),
            }
        }

        fn party(&self, request: &TokenRequest) -> Party {
            let request =
                request.clone().bound_to(&Confirmation::certificate(self.alice.thumbprint()));
            let token = request.sign(&self.key).unwrap();
            self.verify(&token, Role::Subject, Some(&self.alice)).unwrap()
        }
    }

    #[test]
    fn a_credential_and_the_one_certificate_it_is_good_with() {
        let world = world();
        let reason = |token, role, certificate| {
            world
                .verify(token, role, certificate)
                .map(|party| party.subject)
                .map_err(|it| it.reason())
        };
        assert_eq!(
            reason("iamtheeggman", Role::Subject, Some(&world.alice)),
            Ok("alice".to_owned())
        );
        assert_eq!(reason("gnik", Role::Subject, None), Ok("carol".to_owned()));
        for (token, role, certificate, expected) in [
            (
                "iamtheeggman",
                Role::Subject,
                Some(&world.bob),
                DenialReason::SubjectCertificateMismatch,
            ),
            ("iamtheeggman", Role::Subject, None, DenialReason::SubjectCertificateMissing),
            ("iamtheeggman", Role::Actor, Some(&world.bob), DenialReason::ActorTokenRefused),
            ("unknown", Role::Subject, None, DenialReason::SubjectTokenRefused),
        ] {
            assert_eq!(reason(token, role, certificate), Err(expected), "{token}");
        }
        let party = world.verify("iamtheeggman", Role::Subject, Some(&world.alice)).unwrap();
        assert!(party.bound && party.scopes == ScopeLimit::None && party.expires.is_none());
        assert!(!world.verify("gnik", Role::Subject, None).unwrap().bound);
    }

    #[test]
    fn types_that_are_not_accepted() {
        let world = world();
        let files = world.tokens.credentials.clone().unwrap();
        let none = Possessions::default();
        for (tokens, token_type, expected) in [
            (&world.tokens, TokenType::IdToken, DenialReason::TokenTypeUnsupported),
            (&SubjectTokens::new(), TokenType::AccessToken, DenialReason::TokenTypeUnsupported),
            (
                &SubjectTokens::new().credentials(Arc::clone(&files)),
                TokenType::AccessToken,
                DenialReason::SubjectUnknown,
            ),
            (
                &SubjectTokens::new().credentials(files),
                TokenType::Jwt,
                DenialReason::TokenTypeUnsupported,
            ),
        ] {
            let result = tokens.verify("x", token_type, Role::Subject, (&none, NOW));
            let Err(Failure::Denied(denial)) = result else { panic!() };
            assert_eq!(denial.reason(), expected);
        }
    }

    #[test]
    fn a_jwt_must_be_good_and_proved() {
        let world = world();
        let bound = token("ann").bound_to(&Confirmation::certificate(world.alice.thumbprint()));
        let cause = |request: &TokenRequest, certificate| {
            let denial = world
                .verify(&request.sign(&world.key).unwrap(), Role::Subject, certificate)
                .map(|party| party.subject)
                .unwrap_err();
            assert_eq!(denial.reason(), DenialReason::SubjectTokenRefused, "{denial}");
            denial.cause().unwrap().reason()
        };
        assert_eq!(cause(&bound, None), Reason::CertificateMissing);
        assert_eq!(cause(&bound, Some(&world.bob)), Reason::CertificateMismatch);
        assert_eq!(cause(&token("ann"), Some(&world.alice)), Reason::ConfirmationMissing);
        let alice = Some(&world.alice);
        assert_eq!(cause(&bound.clone().claim("exp", NOW - 31), alice), Reason::TokenExpired);
        assert_eq!(cause(&bound.clone().claim("iss", "x"), alice), Reason::IssuerNotTrusted);
        assert_eq!(cause(&bound.clone().claim("aud", "x"), alice), Reason::AudienceMismatch);
        assert_eq!(cause(&bound.clone().claim("act", "x"), alice), Reason::ClaimMalformed);
        assert_eq!(
            cause(&bound.clone().claim("may_act", json!([])), alice),
            Reason::ClaimMalformed
        );
        assert_eq!(cause(&bound.clone().media_type("rt+jwt"), alice), Reason::TypeNotAccepted);
        for subject in ["", " "] {
            let request =
                bound.clone().claim("sub", if subject.is_empty() { json!("") } else { json!(1) });
            let text = request.sign(&world.key).unwrap();
            let denial = world.verify(&text, Role::Subject, alice).map(|_| ()).unwrap_err();
            assert_eq!(denial.reason(), DenialReason::SubjectMissing);
        }
        let party = world.party(&token("ann").claim("scope", "a  b"));
        assert_eq!(party.scopes, ScopeLimit::Listed(vec!["a".to_owned(), "b".to_owned()]));
        assert!(party.bound && party.expires == Some(NOW + 60));
        assert_eq!(world.party(&token("ann")).scopes, ScopeLimit::Absent);
    }

    #[test]
    fn a_token_bound_to_a_token_binding_id_is_proved_by_the_provided_one() {
        let world = world();
        let (hers, others) = (token_bindings(false), token_bindings(false));
        let confirmation = Confirmation::token_binding(hers.provided().hash());
        let text = token("ann").bound_to(&confirmation).sign(&world.key).unwrap();
        for (bindings, expected) in [(&hers, true), (&others, false)] {
            let possessions =
                Possessions { token_binding: Some(bindings), ..Possessions::default() };
            let facts = (&possessions, NOW);
            let result = world.tokens.verify(&text, TokenType::Jwt, Role::Subject, facts);
            assert_eq!(result.is_ok(), expected);
        }
    }

    #[test]
    fn may_act_is_for_the_actor_or_the_client() {
        let world = world();
        let actor = world.party(&token("admin"));
        let may = |members: Value| world.party(&token("ann").claim("may_act", members));
        let holds =
            |party: &Party, actor: Option<&Party>| party.check_may_act(actor, "client").is_ok();
        assert!(holds(&world.party(&token("ann")), None));
        assert!(holds(&may(json!({"sub": "admin"})), Some(&actor)));
        assert!(holds(&may(json!({"sub": "admin", "iss": "https://idp"})), Some(&actor)));
        assert!(!holds(&may(json!({"sub": "admin", "iss": "https://other"})), Some(&actor)));
        assert!(!holds(&may(json!({"sub": "client"})), Some(&actor)));
        assert!(holds(&may(json!({"sub": "client"})), None));
        assert!(holds(&may(json!({"client_id": "client"})), None));
        assert!(!holds(&may(json!({"sub": "admin"})), None));
        assert!(!holds(&may(json!({"sub": "client", "iss": "https://idp"})), None));
        assert!(!holds(&may(json!({})), None));
    }

    #[test]
    fn actors_are_nested_and_bounded() {
        let world = world();
        // RFC 8693, section 4.1, the example of a chain.
        let before = json!({"sub": "https://service77.example.com"});
        let subject = world.party(&token("user@example.net").claim("act", before.clone()));
        let actor = world.party(&token("https://service16.example.com"));
        assert_eq!(
            subject.delegated_to(Some(&actor)).unwrap(),
            Some(json!({"sub": "https://service16.example.com", "act": before}))
        );
        assert_eq!(subject.delegated_to(None).unwrap(), Some(before));
        let opaque = world.verify("gnik", Role::Actor, None).unwrap();
        assert_eq!(opaque.delegated_to(None).unwrap(), None);
        let foreign = opaque.delegated_to(Some(&actor)).unwrap().unwrap();
        assert_eq!(foreign, json!({"sub": "https://service16.example.com", "iss": "https://idp"}));
        let chain = |length: usize| {
            (1..length).fold(json!({"sub": "a"}), |act, _| json!({"sub": "a", "act": act}))
        };
        let eighth = world.party(&token("ann").claim("act", chain(7)));
        assert!(eighth.delegated_to(Some(&actor)).is_ok());
        let ninth = world.party(&token("ann").claim("act", chain(8)));
        let denial = ninth.delegated_to(Some(&actor)).unwrap_err();
        assert_eq!(denial.reason(), DenialReason::DelegationTooDeep);
    }
}
