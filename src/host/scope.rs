//! The directives of one section of the configuration, and the sections inside of others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;

use super::token_service::TokenService;
use crate::directive::Draft;
use crate::policy::Policy;

/// One section. Written while the configuration is read, only read afterwards.
#[derive(Debug)]
pub struct Scope {
    number: usize,
    draft: Mutex<Draft>,
    policy: OnceLock<Arc<Policy>>,
    /// Or what is missing for one.
    service: OnceLock<Result<Arc<TokenService>, String>>,
    /// What holds where this scope stands inside of another, by the other's number: made once for
    /// each pair, and read by requests without a lock.
    inside: ArcSwap<HashMap<usize, Arc<Self>>>,
}

impl Scope {
    pub(super) fn new(number: usize, draft: Draft) -> Self {
        Self {
            number,
            draft: Mutex::new(draft),
            policy: OnceLock::new(),
            service: OnceLock::new(),
            inside: ArcSwap::default(),
        }
    }

    pub(super) fn draft(&self) -> MutexGuard<'_, Draft> {
        self.draft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn policy_cell(&self) -> &OnceLock<Arc<Policy>> {
        &self.policy
    }

    pub(super) const fn service_cell(&self) -> &OnceLock<Result<Arc<TokenService>, String>> {
        &self.service
    }

    /// The scope that holds where `self` stands inside of `outer`, if it is known.
    pub(super) fn known_inside(&self, outer: &Self) -> Option<Arc<Self>> {
        self.inside.load().get(&outer.number).map(Arc::clone)
    }

    /// Makes it known; the one that is, if another thread was faster.
    pub(super) fn learn_inside(&self, outer: &Self, merged: &Arc<Self>) -> Arc<Self> {
        self.inside.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(outer.number).or_insert_with(|| Arc::clone(merged));
            known
        });
        self.known_inside(outer).unwrap_or_else(|| Arc::clone(merged))
    }
}
