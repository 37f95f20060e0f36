//! What one location asks of a token: the settled settings with the issuers' keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::directive::value::{Audience, Fault, IssuerEntry, Issuers};
use crate::directive::{Draft, Settings};
use crate::jose::KeyRing;
use crate::refusal::Reason;

/// A trusted issuer with its keys.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The value of `iss`.
    pub name: String,
    /// Its keys, replaced as they rotate.
    pub keys: Arc<KeyRing>,
}

/// The rules for the tokens of one location.
#[derive(Clone, Debug)]
pub struct Policy {
    id: u64,
    issuers: Vec<Issuer>,
    settings: Settings,
}

/// The next number for a policy that was given none: downwards, so as not to meet the numbers of
/// [`Policy::from_settings`].
static UNNUMBERED: AtomicU64 = AtomicU64::new(u64::MAX);

impl Policy {
    /// The default rules: no issuer, no audience. Add at least one of each.
    ///
    /// # Errors
    /// [`Fault`], never in practice: a default that does not parse.
    pub fn new() -> Result<Self, Fault> {
        Ok(Self { id: unnumbered(), issuers: Vec::new(), settings: Draft::default().settle()? })
    }

    /// The rules that `settings` describe. `id` tells them from every other policy that shares a
    /// cache with this one; `keys` gives the ring of each issuer.
    #[must_use]
    pub fn from_settings(
        id: u64,
        settings: Settings,
        keys: impl Fn(&IssuerEntry) -> Arc<KeyRing>,
    ) -> Self {
        let Issuers(entries) = &settings.issuer;
        let issuers =
            entries.iter().map(|entry| Issuer { name: entry.name.clone(), keys: keys(entry) });
        Self { id, issuers: issuers.collect(), settings }
    }

    /// Trusts an issuer.
    #[must_use]
    pub fn trust(mut self, issuer: &str, keys: Arc<KeyRing>) -> Self {
        self.id = unnumbered();
        self.issuers.push(Issuer { name: issuer.to_owned(), keys });
        self
    }

    /// Accepts tokens for this audience.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        self.id = unnumbered();
        let mut accepted = match self.settings.audience {
            Audience::OneOf(accepted) => accepted,
            Audience::Unset | Audience::Any => Vec::new(),
        };
        accepted.push(audience.to_owned());
        self.settings.audience = Audience::OneOf(accepted);
        self
    }

    /// Changes any other setting.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        self.id = unnumbered();
        change(&mut self.settings);
        self
    }

    /// Whether there is what every check needs.
    ///
    /// # Errors
    /// [`Reason::PolicyIncomplete`] with what is missing.
    pub fn complete(&self) -> Result<(), crate::refusal::Refusal> {
        let missing = if self.issuers.is_empty() {
            "no issuer applies here"
        } else if self.settings.audience == Audience::Unset {
            "no audience applies here"
        } else {
            return Ok(());
        };
        Err(crate::refusal::Refusal::with_detail(Reason::PolicyIncomplete, missing))
    }

    /// Tells this policy from others in a cache. Whatever changes the rules changes this too.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The issuer whose `iss` is exactly `name`.
    #[must_use]
    pub fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.name == name)
    }
}

fn unnumbered() -> u64 {
    UNNUMBERED.fetch_sub(1, Ordering::Relaxed)
}
