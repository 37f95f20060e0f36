//! The directives of one section of the configuration, and the sections inside of others.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::directive::Draft;
use crate::policy::Policy;

/// One section. Written while the configuration is read, only read afterwards.
#[derive(Debug)]
pub struct Scope {
    number: usize,
    draft: Mutex<Draft>,
    policy: OnceLock<Arc<Policy>>,
    inside: OnceLock<Box<Merged>>,
}

/// What holds where a scope stands inside of another: made once for each pair. A list, since a
/// section stands inside of very few; it only grows at its end, so requests read it without a
/// lock.
#[derive(Debug)]
struct Merged {
    outer: usize,
    scope: Arc<Scope>,
    next: OnceLock<Box<Self>>,
}

impl Scope {
    pub(super) const fn new(number: usize, draft: Draft) -> Self {
        Self { number, draft: Mutex::new(draft), policy: OnceLock::new(), inside: OnceLock::new() }
    }

    pub(super) fn draft(&self) -> MutexGuard<'_, Draft> {
        self.draft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn policy_cell(&self) -> &OnceLock<Arc<Policy>> {
        &self.policy
    }

    /// The scope that holds where `self` stands inside of `outer`; `make` makes it the first time.
    pub(super) fn inside(&self, outer: &Self, make: impl FnOnce(Draft) -> Arc<Self>) -> Arc<Self> {
        let mut make = Some(make);
        let mut place = &self.inside;
        loop {
            let merged = place.get_or_init(|| {
                let draft = outer.draft().merge(&self.draft());
                let scope = make.take().map(|make| make(draft));
                // `make` is there: the loop ends as soon as it has been used.
                let scope =
                    scope.unwrap_or_else(|| Arc::new(Self::new(usize::MAX, Draft::default())));
                Box::new(Merged { outer: outer.number, scope, next: OnceLock::new() })
            });
            if merged.outer == outer.number {
                return Arc::clone(&merged.scope);
            }
            place = &merged.next;
        }
    }
}
