//! What one serving process has: its cache of tokens, and the threads that keep keys current.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Configuration;
use super::Scope;
use crate::jose::KeyRing;
use crate::outbound::{Answer, Log, Means, Refresh, Refreshers, SharedReplayStore, Source};
use crate::token::TokenCache;

/// A serving process. Made after the fork, since neither threads nor caches survive one.
pub struct Process {
    cache: TokenCache,
    sources: Vec<Arc<Source>>,
    replays: Option<Arc<SharedReplayStore>>,
    panics: AtomicU64,
    refreshers: Refreshers,
}

impl Process {
    /// Starts with the process-wide settings of `global`.
    ///
    /// # Errors
    /// Why the process cannot serve.
    pub fn start(configuration: &Configuration, global: &Scope, log: &Log) -> Result<Self, String> {
        let policy = configuration.policy(global).ok_or("the configuration cannot be settled")?;
        let settings = policy.settings();
        let refresh = Refresh {
            interval: settings.jwks_refresh.duration(),
            cooldown: settings.jwks_cooldown.duration(),
            stale: settings.jwks_stale.duration(),
        };
        let fetcher = Arc::new(configuration.fetcher(settings));
        let memory = configuration.memory();
        let sources = configuration.sources();
        let means = Means { refresh, fetcher, memory, log: Arc::clone(log) };
        let refreshers = Refreshers::start(&sources, &means)
            .map_err(|error| format!("no thread for fetching keys: {error}"))?;
        Ok(Self {
            cache: TokenCache::new(settings.token_cache_size.0),
            sources,
            replays: configuration.replays(),
            panics: AtomicU64::new(0),
            refreshers,
        })
    }

    /// The tokens verified.
    #[must_use]
    pub const fn cache(&self) -> &TokenCache {
        &self.cache
    }

    /// The memory of used assertions, if the server has one.
    #[must_use]
    pub const fn replays(&self) -> Option<&Arc<SharedReplayStore>> {
        self.replays.as_ref()
    }

    /// Asks for newer keys of `ring` and waits for them at most `limit`.
    #[must_use]
    pub fn newer_keys(&self, ring: &Arc<KeyRing>, limit: Duration) -> Answer {
        match self.sources.iter().find(|source| Arc::ptr_eq(source.ring(), ring)) {
            Some(source) => source.newer(limit),
            None => Answer::Unavailable(1),
        }
    }

    /// Tells the threads to stop and gives them a moment. Nothing is freed and no lock is waited
    /// for: prefork runs this in a signal handler, and the process ends anyway.
    pub fn stop(&self) {
        self.refreshers.stop();
    }

    /// Whether a thread may still be running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.refreshers.are_running()
    }

    /// Counts a panic that the boundary caught; the number so far.
    pub fn count_panic(&self) -> u64 {
        self.panics.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}
