//! What a token request is granted, and the tokens that are issued for it.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::denial::{Denial, DenialReason};
use super::refresh::{REFRESH_TOKEN, grant_claim, key_id};
use super::rule::Rule;
use super::subject::{Origin, Party};
use super::token_type::TokenType;
use crate::confirmation::Confirmation;
use crate::jose::{SigningKey, base64url};
use crate::proof::Possessions;
use crate::refusal::Reason;
use crate::token::{Timestamp, TokenRequest};

/// A granted request: what will be in the tokens. Only
/// [`AuthorizationServer::decide`](super::AuthorizationServer::decide) makes one, after every
/// check. Nothing is signed yet, so that whoever must not wait can sign elsewhere.
#[derive(Clone, Debug)]
pub struct Grant {
    signer: Signer,
    client_id: String,
    subject: String,
    origin: Origin,
    audiences: Vec<String>,
    scopes: Vec<String>,
    tells_scopes: bool,
    act: Option<Value>,
    actor: Option<String>,
    issued_at: Timestamp,
    kind: TokenType,
    token: Terms,
    refresh: Option<Terms>,
}

/// How long a token is good, and what it is bound to.
#[derive(Clone, Debug)]
struct Terms {
    lifetime: i64,
    confirmation: Option<Confirmation>,
}

/// In whose name tokens are issued, and the key they are signed with.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) issuer: String,
    pub(super) key: Arc<SigningKey>,
}

/// A request that is to be judged by the rules: everything in it is verified.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    pub(super) client_id: &'a str,
    pub(super) may_refresh: bool,
    pub(super) party: &'a Party,
    pub(super) actor: Option<&'a Party>,
    pub(super) audiences: &'a [String],
    pub(super) resources: &'a [String],
    /// The actor who got the refresh token.
    pub(super) acted: Option<&'a str>,
    /// The audiences that may be asked for at all: those of a refresh token.
    pub(super) within: Option<&'a [String]>,
    pub(super) scope: Option<Vec<String>>,
    pub(super) kind: TokenType,
    pub(super) possessions: &'a Possessions<'a>,
    pub(super) now: Timestamp,
}

impl Asked<'_> {
    /// The first rule that fits, and the audiences of the services asked for.
    fn rule<'r>(&self, rules: &'r [Rule]) -> Result<(&'r Rule, Vec<String>), Denial> {
        let applying = rules.iter().filter(|rule| rule.applies(self.client_id, self.party));
        let applying: Vec<_> = applying.collect();
        if applying.is_empty() {
            let detail = format_args!("client {}, subject {}", self.client_id, self.party.subject);
            return Err(Denial::with_detail(DenialReason::RuleMissing, detail));
        }
        // A refresh token ends with the rules that gave it.
        let lasting = |rule: &&Rule| self.within.is_none() || rule.refresh.is_some();
        let applying: Vec<_> = applying.into_iter().filter(lasting).collect();
        if applying.is_empty() {
            return Err(DenialReason::RefreshNotAllowed.into());
        }
        let allowing = applying.into_iter().filter(|rule| rule.allows_actor(self.acting()));
        let allowing: Vec<_> = allowing.collect();
        if allowing.is_empty() {
            let detail = self.acting().unwrap_or_default();
            return Err(Denial::with_detail(DenialReason::DelegationNotAllowed, detail));
        }
        let found = allowing
            .into_iter()
            .find_map(|rule| Some((rule, rule.audiences(self.audiences, self.resources)?)));
        let within = |audience: &String| self.within.is_none_or(|within| within.contains(audience));
        match found {
            Some((rule, audiences)) if audiences.iter().all(within) => Ok((rule, audiences)),
            None if self.audiences.is_empty() && self.resources.is_empty() => {
                Err(DenialReason::TargetMissing.into())
            }
            Some(_) | None => {
                let names = self.audiences.iter().chain(self.resources);
                Err(Denial::repeating(DenialReason::TargetUnknown, names.map(String::as_str)))
            }
        }
    }

    /// Who acts: by an actor token, or with a refresh token that he got by one.
    fn acting(&self) -> Option<&str> {
        self.actor.map(|actor| actor.subject.as_str()).or(self.acted)
    }

    /// The scopes granted. RFC 6749, section 6: a refresh token's scope "if omitted is treated as
    /// equal to the scope originally granted"; what the rule no longer has is left out.
    fn granted(&self, rule: &Rule) -> Result<Vec<String>, Denial> {
        match (&self.scope, self.within) {
            (None, Some(_)) => Ok(rule.remaining(&self.party.scopes)),
            (asked, _) => rule.granted(asked.as_deref(), &self.party.scopes),
        }
    }

    /// The seconds that the presented tokens have left: no issued token outlives them.
    fn left(&self) -> i64 {
        let ends = self.party.expires.into_iter().chain(self.actor.and_then(|it| it.expires));
        ends.min().map_or(i64::MAX, |end| end.saturating_sub(self.now))
    }

    /// What a token is bound to. An unbound one is issued only where the rule says so, and never
    /// for a bound one.
    fn bound(
        &self,
        rule: &Rule,
        confirmation: Option<Confirmation>,
    ) -> Result<Option<Confirmation>, Denial> {
        let from_bound = self.party.bound || self.actor.is_some_and(|actor| actor.bound);
        if confirmation.is_none() && (!rule.unbound || from_bound) {
            return Err(DenialReason::PossessionMissing.into());
        }
        Ok(confirmation)
    }

    /// A refresh token that was issued unbound is no longer taken where that is no longer allowed:
    /// anybody may have it, and would get a token bound to a key of his own.
    fn check_refresh_token(&self, rule: &Rule) -> Result<(), Denial> {
        if self.within.is_some() && !self.party.bound && !rule.unbound {
            let cause = Reason::ConfirmationMissing.into();
            return Err(Denial::caused(DenialReason::RefreshTokenRefused, cause));
        }
        Ok(())
    }

    fn refresh(&self, rule: &Rule) -> Result<Option<Terms>, Denial> {
        let Some(terms) = rule.refresh.as_ref().filter(|_| self.may_refresh) else {
            return Ok(None);
        };
        let confirmation = self.bound(rule, terms.confirmation(self.possessions))?;
        Ok(Some(Terms { lifetime: terms.lifetime(self.left()), confirmation }))
    }

    /// Judges the request by `rules`.
    pub(super) fn judge(&self, rules: &[Rule], signer: &Signer) -> Result<Grant, Denial> {
        let (rule, audiences) = self.rule(rules)?;
        self.check_refresh_token(rule)?;
        let scopes = self.granted(rule)?;
        let lifetime = rule.lifetime.min(self.left());
        if lifetime <= 0 {
            return Err(DenialReason::LifetimeExhausted.into());
        }
        let refresh = self.refresh(rule)?;
        let (token, refresh) = if self.kind == TokenType::RefreshToken {
            (refresh.ok_or(DenialReason::RefreshNotAllowed)?, None)
        } else {
            let confirmation = self.bound(rule, rule.confirmation(self.possessions))?;
            (Terms { lifetime, confirmation }, refresh)
        };
        Ok(Grant {
            signer: signer.clone(),
            client_id: self.client_id.to_owned(),
            subject: self.party.subject.clone(),
            origin: self.party.origin.clone(),
            audiences,
            // RFC 8693, section 2.2.1: scope is "OPTIONAL, if the scope of the issued security
            // token is identical to the scope requested by the client; otherwise, it is REQUIRED".
            tells_scopes: self.scope.as_deref() != Some(&scopes) && self.tells(&scopes),
            scopes,
            act: self.party.delegated_to(self.actor)?,
            actor: self.acting().map(str::to_owned),
            issued_at: self.now,
            kind: self.kind,
            token,
            refresh,
        })
    }

    /// Nothing asked for and nothing granted is nothing to tell.
    fn tells(&self, scopes: &[String]) -> bool {
        self.scope.is_some() || !scopes.is_empty()
    }
}

impl Grant {
    /// `client_id`: to whom the tokens are issued.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// `sub`: about whom.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `aud`: for which services.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The scopes granted.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// `act`: who acts.
    #[must_use]
    pub const fn act(&self) -> Option<&Value> {
        self.act.as_ref()
    }

    /// What the token will be bound to; `None` for an unbound one.
    #[must_use]
    pub const fn confirmation(&self) -> Option<&Confirmation> {
        self.token.confirmation.as_ref()
    }

    /// How long the token will be good, in seconds.
    #[must_use]
    pub const fn lifetime(&self) -> i64 {
        self.token.lifetime
    }

    /// Whether a refresh token is issued besides the token.
    #[must_use]
    pub const fn refreshes(&self) -> bool {
        self.refresh.is_some()
    }

    /// Signs the tokens. `randomness` must come from a cryptographic source and be new for each
    /// grant: the tokens' identifiers are made of it. With a key in hardware this may take long.
    ///
    /// # Errors
    /// [`DenialReason::SigningFailed`].
    pub fn issue(&self, randomness: &[u8; 32]) -> Result<Issued, Denial> {
        let (for_token, for_refresh) = randomness.split_at(16);
        let token = match self.kind {
            TokenType::RefreshToken => self.refresh_token(&self.token, for_token)?,
            TokenType::AccessToken | TokenType::Jwt | TokenType::IdToken => {
                self.access_token(for_token)?
            }
        };
        let refresh = self.refresh.as_ref();
        let refresh_token =
            refresh.map(|terms| self.refresh_token(terms, for_refresh)).transpose()?;
        Ok(Issued {
            id: base64url::encode(for_token),
            token,
            kind: self.kind,
            expires_in: self.token.lifetime,
            scope: self.tells_scopes.then(|| self.scopes.join(" ")),
            refresh_token,
        })
    }

    /// A JWT access token (RFC 9068, section 2.2).
    fn access_token(&self, jti: &[u8]) -> Result<String, Denial> {
        let mut request = self.request(&self.token, jti);
        request = match self.audiences.as_slice() {
            [one] => request.claim("aud", one.clone()),
            several => request.claim("aud", several.to_vec()),
        };
        if !self.scopes.is_empty() {
            request = request.claim("scope", self.scopes.join(" "));
        }
        self.signed(&request)
    }

    fn refresh_token(&self, terms: &Terms, jti: &[u8]) -> Result<String, Denial> {
        let actor = self.actor.as_deref();
        let grant = grant_claim(&self.audiences, &self.scopes, &self.origin, actor);
        let request = self.request(terms, jti).media_type(REFRESH_TOKEN).claim("grant", grant);
        self.signed(&request.key_id(&key_id(self.signer.key.key_id())))
    }

    /// The same with another key, to see a key fail.
    #[cfg(test)]
    pub(super) fn signed_with(self, key: Arc<SigningKey>) -> Self {
        Self { signer: Signer { key, ..self.signer.clone() }, ..self }
    }

    /// What both kinds of token have in common. The audience is ourselves.
    fn request(&self, terms: &Terms, jti: &[u8]) -> TokenRequest {
        let issuer = &self.signer.issuer;
        let mut request =
            TokenRequest::new(issuer, &self.subject, issuer, self.issued_at, terms.lifetime)
                .claim("client_id", self.client_id.clone())
                .claim("jti", base64url::encode(jti));
        if let Some(act) = &self.act {
            request = request.claim("act", act.clone());
        }
        if let Some(confirmation) = &terms.confirmation {
            request = request.bound_to(confirmation);
        }
        request
    }

    fn signed(&self, request: &TokenRequest) -> Result<String, Denial> {
        request
            .sign(&self.signer.key)
            .map_err(|error| Denial::with_detail(DenialReason::SigningFailed, error))
    }
}

/// Issued tokens, to be told to the client.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    id: String,
    token: String,
    kind: TokenType,
    expires_in: i64,
    scope: Option<String>,
    refresh_token: Option<String>,
}

impl Issued {
    /// `jti` of the token: what logs know it by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The token, of whatever type.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> TokenType {
        self.kind
    }

    /// How long it is good, in seconds.
    #[must_use]
    pub const fn expires_in(&self) -> i64 {
        self.expires_in
    }

    /// The scope, where it is not the one that was asked for.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// The refresh token, if there is one.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_deref()
    }
}

/// Shows no token.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Reads `scope` (RFC 6749, section 3.3); the order and repetitions do not matter.
pub(super) fn scope_words(scope: &str) -> Result<Vec<String>, Denial> {
    let token = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    let mut words: Vec<String> = Vec::new();
    for word in scope.split(' ') {
        if !token(word) {
            return Err(DenialReason::ScopeMalformed.into());
        }
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_words_with_one_space_between() {
        assert_eq!(scope_words("b a b"), Ok(vec!["b".to_owned(), "a".to_owned()]));
        for scope in ["", " a", "a ", "a  b", "a\"b", "a\\b", "\u{fc}", "a\tb"] {
            let denial = scope_words(scope).unwrap_err();
            assert_eq!(denial.reason(), DenialReason::ScopeMalformed, "{scope}");
        }
    }
}
