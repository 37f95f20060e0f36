//! The rules of a token endpoint: which clients get which tokens, for whom, for what, bound how.

use super::denial::{Denial, DenialReason};
use super::subject::{Party, ScopeLimit};
use crate::confirmation::Confirmation;
use crate::proof::Possessions;

/// A service that tokens are issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    audience: String,
    resources: Vec<String>,
}

impl Target {
    /// The service whose tokens have `audience` as their `aud`. It is asked for by that, in
    /// `audience` or in `resource`.
    #[must_use]
    pub fn new(audience: &str) -> Self {
        Self { audience: audience.to_owned(), resources: Vec::new() }
    }

    /// Lets the service be asked for by this `resource` too, letter by letter.
    #[must_use]
    pub fn resource(mut self, uri: &str) -> Self {
        self.resources.push(uri.to_owned());
        self
    }
}

/// A key that a token may be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindTo {
    /// The referred Token Binding ID: the key that the client uses with the token's audience
    /// (draft-ietf-oauth-token-binding-08, section 3).
    Referred,
    /// The provided Token Binding ID: the key that the client uses with us, and with an audience
    /// of the same registrable domain.
    Provided,
    /// The client certificate (RFC 8705, section 3).
    Certificate,
}

impl BindTo {
    fn confirmation(self, possessions: &Possessions<'_>) -> Option<Confirmation> {
        let bindings = possessions.token_binding;
        match self {
            Self::Referred => Some(Confirmation::token_binding(bindings?.referred()?.hash())),
            Self::Provided => Some(Confirmation::token_binding(bindings?.provided().hash())),
            Self::Certificate => {
                Some(Confirmation::certificate(possessions.certificate?.thumbprint()))
            }
        }
    }
}

/// What becomes of a requested scope that may not be granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExcessScope {
    /// The request is refused.
    #[default]
    Refuse,
    /// The rest is granted, if any, and the response says what.
    Narrow,
}

/// How refresh tokens are issued.
#[derive(Clone, Debug)]
pub struct RefreshTerms {
    lifetime: i64,
    bindings: Vec<BindTo>,
    outlives_subject: bool,
}

impl RefreshTerms {
    /// Refresh tokens good for `lifetime` seconds, but no longer than the subject token, bound to
    /// the provided Token Binding ID (draft-ietf-oauth-token-binding-08, section 2), else to the
    /// certificate.
    #[must_use]
    pub fn new(lifetime: i64) -> Self {
        let bindings = vec![BindTo::Provided, BindTo::Certificate];
        Self { lifetime, bindings, outlives_subject: false }
    }

    /// Binds to the first of these that the caller proves.
    #[must_use]
    pub fn bind_to(mut self, bindings: &[BindTo]) -> Self {
        self.bindings = bindings.to_vec();
        self
    }

    /// Lets refresh tokens outlive the subject token, for clients that work on when the user is
    /// away (RFC 8693, section 2.2.1).
    #[must_use]
    pub const fn outliving_the_subject(mut self) -> Self {
        self.outlives_subject = true;
        self
    }

    /// The lifetime at a moment when the presented tokens have `left` seconds left.
    pub(super) fn lifetime(&self, left: i64) -> i64 {
        if self.outlives_subject { self.lifetime } else { self.lifetime.min(left) }
    }

    pub(super) fn confirmation(&self, possessions: &Possessions<'_>) -> Option<Confirmation> {
        self.bindings.iter().find_map(|binding| binding.confirmation(possessions))
    }
}

/// Whom a rule is about.
#[derive(Clone, Debug)]
enum Who {
    Anyone,
    OneOf(Vec<String>),
}

impl Who {
    fn one_of(names: &[&str]) -> Self {
        Self::OneOf(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn includes(&self, name: Option<&str>) -> bool {
        match self {
            Self::Anyone => true,
            Self::OneOf(names) => name.is_some_and(|name| names.iter().any(|one| one == name)),
        }
    }
}

/// A rule: who gets which tokens. The first rule that fits a request counts.
#[derive(Clone, Debug)]
pub struct Rule {
    clients: Who,
    subjects: Who,
    issuers: Who,
    actors: Option<Who>,
    targets: Vec<Target>,
    default_target: Option<String>,
    scopes: Vec<String>,
    default_scopes: Option<Vec<String>>,
    pub(super) excess: ExcessScope,
    scopes_for_unscoped: bool,
    pub(super) lifetime: i64,
    bindings: Vec<BindTo>,
    pub(super) unbound: bool,
    pub(super) refresh: Option<RefreshTerms>,
}

impl Rule {
    /// Any client gets tokens for any subject, for these services, good for `lifetime` seconds,
    /// without scopes, without actors; bound to the referred Token Binding ID, else to the
    /// client certificate, and none that is unbound.
    #[must_use]
    pub fn new(targets: &[Target], lifetime: i64) -> Self {
        Self {
            clients: Who::Anyone,
            subjects: Who::Anyone,
            issuers: Who::Anyone,
            actors: None,
            targets: targets.to_vec(),
            default_target: None,
            scopes: Vec::new(),
            default_scopes: None,
            excess: ExcessScope::Refuse,
            scopes_for_unscoped: false,
            lifetime,
            bindings: vec![BindTo::Referred, BindTo::Certificate],
            unbound: false,
            refresh: None,
        }
    }

    /// Only for these clients.
    #[must_use]
    pub fn clients(mut self, ids: &[&str]) -> Self {
        self.clients = Who::one_of(ids);
        self
    }

    /// Only for these subjects.
    #[must_use]
    pub fn subjects(mut self, names: &[&str]) -> Self {
        self.subjects = Who::one_of(names);
        self
    }

    /// Only for subject tokens of these issuers. Without it, and with several issuers, two
    /// subjects of the same name become one in the issued tokens.
    #[must_use]
    pub fn issuers(mut self, names: &[&str]) -> Self {
        self.issuers = Who::one_of(names);
        self
    }

    /// Lets anyone act who has an actor token that is accepted.
    #[must_use]
    pub fn any_actor(mut self) -> Self {
        self.actors = Some(Who::Anyone);
        self
    }

    /// Lets these subjects of actor tokens act, whichever accepted issuer the token is of.
    #[must_use]
    pub fn actors(mut self, names: &[&str]) -> Self {
        self.actors = Some(Who::one_of(names));
        self
    }

    /// The audience of a token for which none is asked.
    #[must_use]
    pub fn default_target(mut self, audience: &str) -> Self {
        self.default_target = Some(audience.to_owned());
        self
    }

    /// The scopes that may be granted, if the subject token has them.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self
    }

    /// The scopes granted where none are asked for. Without it, all that may be.
    #[must_use]
    pub fn default_scopes(mut self, scopes: &[&str]) -> Self {
        self.default_scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        self
    }

    /// Grants scopes for subject tokens that have no `scope` at all, as ID Tokens have none.
    #[must_use]
    pub const fn scopes_for_unscoped(mut self) -> Self {
        self.scopes_for_unscoped = true;
        self
    }

    /// What becomes of a requested scope that may not be granted.
    #[must_use]
    pub const fn excess_scope(mut self, excess: ExcessScope) -> Self {
        self.excess = excess;
        self
    }

    /// Binds to the first of these that the caller proves.
    #[must_use]
    pub fn bind_to(mut self, bindings: &[BindTo]) -> Self {
        self.bindings = bindings.to_vec();
        self
    }

    /// Issues unbound tokens to callers that prove nothing. Whoever steals one can use it.
    #[must_use]
    pub const fn unbound(mut self) -> Self {
        self.unbound = true;
        self
    }

    /// Issues refresh tokens.
    #[must_use]
    pub fn refresh(mut self, terms: RefreshTerms) -> Self {
        self.refresh = Some(terms);
        self
    }

    /// The scopes that this rule knows of.
    pub(super) fn known_scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether a token may be bound to one of these kinds of key.
    pub(super) fn binds_to(&self, kinds: &[BindTo]) -> bool {
        self.bindings.iter().any(|binding| kinds.contains(binding))
    }

    /// Whether a refresh token may be bound to a Token Binding ID.
    pub(super) fn refreshes_token_binding(&self) -> bool {
        let kinds = [BindTo::Provided, BindTo::Referred];
        let terms = self.refresh.as_ref();
        terms.is_some_and(|terms| terms.bindings.iter().any(|binding| kinds.contains(binding)))
    }

    pub(super) fn applies(&self, client_id: &str, party: &Party) -> bool {
        self.clients.includes(Some(client_id))
            && self.subjects.includes(Some(&party.subject))
            && self.issuers.includes(party.origin.issuer.as_deref())
    }

    pub(super) fn allows_actor(&self, actor: Option<&str>) -> bool {
        actor.is_none_or(|actor| self.actors.as_ref().is_some_and(|who| who.includes(Some(actor))))
    }

    /// The audiences of the services asked for; `None` unless this rule has all of them.
    pub(super) fn audiences(
        &self,
        audiences: &[String],
        resources: &[String],
    ) -> Option<Vec<String>> {
        if audiences.is_empty() && resources.is_empty() {
            return self.default_target.clone().map(|audience| vec![audience]);
        }
        let by_name = audiences
            .iter()
            .map(|name| self.targets.iter().find(|target| target.audience == *name));
        let by_uri = resources.iter().map(|uri| {
            self.targets
                .iter()
                .find(|target| target.resources.contains(uri) || target.audience == *uri)
        });
        let mut found = Vec::new();
        for target in by_name.chain(by_uri) {
            let audience = &target?.audience;
            if !found.contains(audience) {
                found.push(audience.clone());
            }
        }
        Some(found)
    }

    /// The scopes granted of those that are `asked` for, never more than `limit` has.
    pub(super) fn granted(
        &self,
        asked: Option<&[String]>,
        limit: &ScopeLimit,
    ) -> Result<Vec<String>, Denial> {
        let may_have = |scope: &&String| {
            self.scopes.contains(scope)
                && match limit {
                    ScopeLimit::None => true,
                    ScopeLimit::Absent => self.scopes_for_unscoped,
                    ScopeLimit::Listed(listed) => listed.contains(scope),
                }
        };
        let Some(asked) = asked else {
            let wanted = self.default_scopes.as_ref().unwrap_or(&self.scopes);
            return Ok(wanted.iter().filter(may_have).cloned().collect());
        };
        let granted: Vec<_> = asked.iter().filter(may_have).cloned().collect();
        match self.excess {
            ExcessScope::Refuse if granted.len() < asked.len() => {
                let refused = asked.iter().find(|scope| !granted.contains(scope));
                Err(Denial::repeating(DenialReason::ScopeExceeded, refused.map(String::as_str)))
            }
            ExcessScope::Narrow if granted.is_empty() => {
                Err(Denial::with_detail(DenialReason::ScopeExceeded, "nothing is left"))
            }
            ExcessScope::Refuse | ExcessScope::Narrow => Ok(granted),
        }
    }

    /// The scopes of `limit` that this rule still has.
    pub(super) fn remaining(&self, limit: &ScopeLimit) -> Vec<String> {
        match limit {
            ScopeLimit::Listed(listed) => {
                listed.iter().filter(|scope| self.scopes.contains(scope)).cloned().collect()
            }
            ScopeLimit::None | ScopeLimit::Absent => Vec::new(),
        }
    }

    pub(super) fn confirmation(&self, possessions: &Possessions<'_>) -> Option<Confirmation> {
        self.bindings.iter().find_map(|binding| binding.confirmation(possessions))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::token_bindings;
    use super::*;
    use crate::proof::ClientCertificate;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn targets_by_name_and_by_uri() {
        let api = Target::new("https://api.example").resource("https://api.example/v1");
        let rule = Rule::new(&[api, Target::new("urn:logs")], 60);
        let audiences = |names: &[&str], uris: &[&str]| rule.audiences(&owned(names), &owned(uris));
        assert_eq!(audiences(&["urn:logs"], &[]), Some(owned(&["urn:logs"])));
        assert_eq!(
            audiences(&[], &["https://api.example/v1"]),
            Some(owned(&["https://api.example"]))
        );
        assert_eq!(
            audiences(&["urn:logs", "https://api.example"], &["https://api.example/v1"]),
            Some(owned(&["urn:logs", "https://api.example"]))
        );
        assert_eq!(audiences(&["https://api.example/v1"], &[]), None);
        assert_eq!(audiences(&["urn:logs", "urn:other"], &[]), None);
        assert_eq!(audiences(&[], &["https://api.example/v2"]), None);
        assert_eq!(audiences(&[], &[]), None);
        let rule = rule.default_target("urn:logs");
        assert_eq!(rule.audiences(&[], &[]), Some(owned(&["urn:logs"])));
    }

    #[test]
    fn scopes_are_never_widened() {
        let rule = Rule::new(&[], 60).scopes(&["r", "w", "x"]);
        let listed = ScopeLimit::Listed(owned(&["r", "w", "admin"]));
        let granted = |rule: &Rule, asked: Option<&[&str]>, limit: &ScopeLimit| {
            let asked = asked.map(owned);
            rule.granted(asked.as_deref(), limit).map_err(|denial| denial.reason())
        };
        assert_eq!(granted(&rule, Some(&["w"]), &listed), Ok(owned(&["w"])));
        assert_eq!(granted(&rule, None, &listed), Ok(owned(&["r", "w"])));
        assert_eq!(granted(&rule, None, &ScopeLimit::None), Ok(owned(&["r", "w", "x"])));
        assert_eq!(granted(&rule, None, &ScopeLimit::Absent), Ok(owned(&[])));
        for asked in ["x", "admin", "other"] {
            let result = granted(&rule, Some(&["r", asked]), &listed);
            assert_eq!(result, Err(DenialReason::ScopeExceeded), "{asked}");
        }
        assert_eq!(
            granted(&rule, Some(&["r"]), &ScopeLimit::Absent),
            Err(DenialReason::ScopeExceeded)
        );
        let unscoped = rule.clone().scopes_for_unscoped();
        assert_eq!(granted(&unscoped, Some(&["r"]), &ScopeLimit::Absent), Ok(owned(&["r"])));
        let narrow = rule.clone().excess_scope(ExcessScope::Narrow);
        assert_eq!(granted(&narrow, Some(&["r", "x"]), &listed), Ok(owned(&["r"])));
        assert_eq!(granted(&narrow, Some(&["x"]), &listed), Err(DenialReason::ScopeExceeded));
        assert_eq!(rule.remaining(&listed), owned(&["r", "w"]));
        assert!(rule.remaining(&ScopeLimit::None).is_empty());
        let default = rule.default_scopes(&["w", "x", "unknown"]);
        assert_eq!(granted(&default, None, &listed), Ok(owned(&["w"])));
    }

    #[test]
    fn bound_to_the_first_key_that_is_proved() {
        let certificate = ClientCertificate::presented(b"hers".to_vec());
        let (both, provided) = (token_bindings(true), token_bindings(false));
        let hash = |confirmation: &Confirmation| confirmation.to_claim().to_string();
        let all = Possessions { certificate: Some(&certificate), token_binding: Some(&both) };
        let some = Possessions { certificate: Some(&certificate), token_binding: Some(&provided) };
        let rule = Rule::new(&[], 60);
        let bound = hash(&rule.confirmation(&all).unwrap());
        assert!(bound.contains("tbh"), "{bound}");
        assert!(bound.contains(&both.referred().unwrap().hash().to_string()));
        // Without a referred ID the certificate counts, not the key for another server.
        assert!(hash(&rule.confirmation(&some).unwrap()).contains("x5t#S256"));
        assert!(rule.confirmation(&Possessions::default()).is_none());
        let rule = rule.bind_to(&[BindTo::Certificate, BindTo::Provided]);
        assert!(hash(&rule.confirmation(&all).unwrap()).contains("x5t#S256"));
        let terms = RefreshTerms::new(60);
        let refresh = hash(&terms.confirmation(&all).unwrap());
        assert!(refresh.contains(&both.provided().hash().to_string()));
        let terms = terms.bind_to(&[BindTo::Certificate]);
        assert!(hash(&terms.confirmation(&all).unwrap()).contains("x5t#S256"));
        assert_eq!((terms.lifetime(30), terms.lifetime(90)), (30, 60));
        assert_eq!(terms.outliving_the_subject().lifetime(30), 60);
    }
}
