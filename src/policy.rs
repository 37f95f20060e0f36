//! What one location asks of a token: the settled settings with the issuers' keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cookie::{self, CookieRule, CookieRules, Jar};
use crate::directive::value::{Audience, CookieEntry, Fault, IssuerEntry, Issuers};
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
    cookies: CookieRules,
    secrets: Option<Arc<cookie::KeyRing>>,
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
        Ok(Self::from_settings(unnumbered(), Draft::default().settle()?, |_| Arc::default()))
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
        let issuers = issuers.collect();
        Self { id, issuers, cookies: cookie_rules(&settings), settings, secrets: None }
    }

    /// Seals cookies with these secrets.
    #[must_use]
    pub fn with_secrets(self, secrets: Option<Arc<cookie::KeyRing>>) -> Self {
        Self { secrets, ..self }
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
        self.missing().map_or(Ok(()), |missing| {
            Err(crate::refusal::Refusal::with_detail(Reason::PolicyIncomplete, missing))
        })
    }

    /// What every check needs and is not there.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        if self.issuers.is_empty() {
            Some("no issuer applies here")
        } else if self.settings.audience == Audience::Unset {
            Some("no audience applies here")
        } else {
            None
        }
    }

    /// Whether no cookie is protected.
    #[must_use]
    pub fn leaves_cookies(&self) -> bool {
        self.cookies.is_empty()
    }

    /// What protects cookies here.
    ///
    /// # Errors
    /// [`Reason::PolicyIncomplete`]: there is no secret.
    pub fn jar(&self) -> Result<Jar<'_>, crate::refusal::Refusal> {
        let missing = || {
            crate::refusal::Refusal::with_detail(
                Reason::PolicyIncomplete,
                "no cookie-secret applies here",
            )
        };
        let ring = self.secrets.as_deref().ok_or_else(missing)?;
        let max_size = usize::try_from(self.settings.cookie_max_size.0).unwrap_or(usize::MAX);
        Ok(Jar { rules: &self.cookies, ring, max_size })
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

fn cookie_rules(settings: &Settings) -> CookieRules {
    let rule = |entry: &CookieEntry| CookieRule {
        name: entry.name.clone(),
        policy: entry.policy,
        accepted: entry.accepted.clone(),
        max_age: settings.cookie_max_age.seconds(),
        add_secure: settings.cookie_attributes.secure,
        add_http_only: settings.cookie_attributes.http_only,
    };
    CookieRules::new(settings.cookie.0.iter().map(rule).collect())
}

fn unnumbered() -> u64 {
    UNNUMBERED.fetch_sub(1, Ordering::Relaxed)
}
