//! The decision about one request: facts in, verdict out.

use std::sync::{Arc, Mutex, PoisonError};

use crate::credentials::Credentials;
use crate::policy::Policy;
use crate::proof::Possessions;
use crate::refusal::{Reason, Refusal, Scheme};
use crate::token::{Failure, NeededKeys, Timestamp, TokenCache, Verified, verify};

/// What one request says, borrowed from the server.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The values of all `Authorization` headers.
    pub authorization: &'a [&'a [u8]],
    /// What its connection and its headers proved.
    pub possessions: Possessions<'a>,
    /// The time.
    pub now: Timestamp,
}

/// What becomes of a request. There is no third.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is refused.
    Refuse(Refusal),
    /// Its token is good and in the hands of its owner.
    Grant(Arc<Verified>),
}

/// The outcome of a step.
#[derive(Debug)]
pub enum Step {
    /// Decided.
    Done(Verdict),
    /// The keys must be looked up, and the request decided again with what comes of it.
    Blocked(NeededKeys),
}

/// The last token verified on a connection: a client mostly sends the same one again.
#[derive(Debug, Default)]
pub struct Memo(Mutex<Option<Arc<Verified>>>);

impl Memo {
    fn get(&self, token: &str, policy: &Policy) -> Option<Arc<Verified>> {
        let memo = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memo.as_ref().filter(|verified| verified.is_of(token, policy)).map(Arc::clone)
    }

    fn set(&self, verified: &Arc<Verified>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(verified));
    }
}

/// Decides about `request`.
#[must_use]
pub fn decide(request: &Request<'_>, policy: &Policy, cache: &TokenCache, memo: &Memo) -> Step {
    match attempt(request, policy, cache, memo) {
        Ok(verified) => Step::Done(Verdict::Grant(verified)),
        Err(Failure::Refused(refusal)) => Step::Done(Verdict::Refuse(refusal)),
        Err(Failure::NeedsKeys(needed)) => Step::Blocked(needed),
    }
}

fn attempt(
    request: &Request<'_>,
    policy: &Policy,
    cache: &TokenCache,
    memo: &Memo,
) -> Result<Arc<Verified>, Failure> {
    policy.complete()?;
    let credentials = Credentials::find(request.authorization)?;
    let verified = match remembered(&credentials, policy, cache, memo) {
        Some(verified) => verified,
        None => fresh(&credentials, policy, cache, memo, request.now)?,
    };
    verified.judge(policy, &request.possessions, request.now)?;
    if credentials.scheme == Scheme::DPoP {
        // RFC 9449, section 7.1: the scheme announces a proof, which is not verified yet.
        return Err(Reason::DPoPProofMissing.into());
    }
    Ok(verified)
}

fn remembered(
    credentials: &Credentials<'_>,
    policy: &Policy,
    cache: &TokenCache,
    memo: &Memo,
) -> Option<Arc<Verified>> {
    if let Some(verified) = memo.get(credentials.token, policy) {
        return Some(verified);
    }
    let verified = cache.get(credentials.token, policy)?;
    memo.set(&verified);
    Some(verified)
}

fn fresh(
    credentials: &Credentials<'_>,
    policy: &Policy,
    cache: &TokenCache,
    memo: &Memo,
    now: Timestamp,
) -> Result<Arc<Verified>, Failure> {
    let verified = verify(credentials.token, policy, now).map_err(|failure| match failure {
        Failure::Refused(refusal) if refusal.reason() == Reason::TokenMalformed => {
            credentials.explain(refusal).into()
        }
        other @ (Failure::Refused(_) | Failure::NeedsKeys(_)) => other,
    })?;
    let verified = Arc::new(verified);
    cache.insert(Arc::clone(&verified));
    memo.set(&verified);
    Ok(verified)
}
