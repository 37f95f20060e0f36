//! A verified token: evidence that only [`verify`](super::verify()) can make.

use std::sync::Arc;

use super::claims::check_authentication_age;
use super::{Lifetime, Timestamp};
use crate::confirmation::{Confirmation, Method};
use crate::effect::Effect;
use crate::export;
use crate::jose::Key;
use crate::jose::json::Object;
use crate::policy::Policy;
use crate::proof::Possessions;
use crate::refusal::{Reason, Refusal};

/// A token whose signature and claims have been verified under one policy. Whether it may be used
/// now and by this client is for [`judge`](Self::judge).
#[derive(Debug)]
pub struct Verified {
    token: Box<str>,
    policy: u64,
    key: Arc<Key>,
    terms: Terms,
    claims: Object,
    effects: Vec<Effect>,
}

/// What is judged anew at every request.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) lifetime: Lifetime,
    pub(super) confirmation: Confirmation,
    pub(super) authenticated: Option<Timestamp>,
}

impl Verified {
    pub(super) fn new(
        token: &str,
        policy: &Policy,
        key: Arc<Key>,
        terms: Terms,
        claims: Object,
    ) -> Self {
        let mut verified = Self {
            token: token.into(),
            policy: policy.id(),
            key,
            terms,
            claims,
            effects: Vec::new(),
        };
        verified.effects = export::of_token(&verified, policy.settings());
        verified
    }

    /// Judges what changes from one request to the next: the key's standing, the lifetime, the
    /// age of the authentication, and above all who presents the token.
    ///
    /// # Errors
    /// Why this request must not be granted. [`Reason::KeyUnknown`] if the key was withdrawn
    /// since: the token must be verified anew.
    pub fn judge(
        &self,
        policy: &Policy,
        possessions: &Possessions<'_>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let settings = policy.settings();
        if self.policy != policy.id() {
            return Err(Refusal::with_detail(
                Reason::InternalError,
                "verified under another policy",
            ));
        }
        if self.key.is_retired() {
            return Err(Reason::KeyUnknown.into());
        }
        self.terms.lifetime.judge(now, settings.leeway.seconds())?;
        check_authentication_age(self.terms.authenticated, policy, now)?;
        self.terms.confirmation.confirm(possessions)
    }

    /// Whether this is the verification of `token` under `policy`, its key still standing.
    #[must_use]
    pub fn is_of(&self, token: &str, policy: &Policy) -> bool {
        self.policy == policy.id() && *self.token == *token && !self.key.is_retired()
    }

    /// The claims.
    #[must_use]
    pub const fn claims(&self) -> &Object {
        &self.claims
    }

    /// The key that verified the signature.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What `cnf` demanded.
    #[must_use]
    pub const fn confirmation(&self) -> &Confirmation {
        &self.terms.confirmation
    }

    /// The methods of proof that a granted request used.
    pub fn methods(&self) -> impl Iterator<Item = Method> {
        self.terms.confirmation.methods()
    }

    /// `exp`, `nbf` and `iat`.
    #[must_use]
    pub const fn lifetime(&self) -> &Lifetime {
        &self.terms.lifetime
    }

    /// Whether `scope` holds this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        let held = self.claims.get("scope").and_then(serde_json::Value::as_str).unwrap_or_default();
        held.split(' ').any(|one| one == scope)
    }

    /// What a granted request exports.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    pub(super) const fn token(&self) -> &str {
        &self.token
    }

    pub(super) const fn policy(&self) -> u64 {
        self.policy
    }
}
