//! Where one issuer's keys come from, and the thread that keeps them current.
//!
//! One fetch at a time, however many requests ask; at most one in `cooldown`, whatever keys they
//! ask for: that is the memory of keys that do not exist. Keys go on working while fetching them
//! fails, up to a limit.
#![allow(
    clippy::disallowed_methods,
    reason = "this module keeps time and threads"
)]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::load::{self, LoadError};
use super::{Fetcher, Level, Log};
use crate::directive::value::KeyLocation;
use crate::jose::{KeyRing, KeySet};

/// How often a file is looked at for changes.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
/// How long stopping waits for a thread that is in the middle of a fetch.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// Doublings of the pause after failures.
const MAX_DOUBLINGS: u32 = 10;

/// The timing of refreshes.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    /// From one success to the next fetch.
    pub interval: Duration,
    /// The least time between fetches, and the first pause after a failure.
    pub cooldown: Duration,
    /// How long keys are used without having been confirmed.
    pub stale: Duration,
}

/// The keys of one issuer: the ring that verification reads, and the state of refreshing it.
pub struct Source {
    location: KeyLocation,
    ring: Arc<KeyRing>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// A thread looks after this source.
    tended: bool,
    stopping: bool,
    asked: bool,
    fetching: bool,
    /// Fetches finished so far.
    round: u64,
    last: Option<Attempt>,
    /// The pause after the last attempt during which no other is made.
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    ended: Instant,
    succeeded: bool,
}

/// What came of asking for newer keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The keys have just been fetched.
    Refreshed,
    /// They were fetched so recently that there is nothing newer.
    Current,
    /// They cannot be had now; worth another try after so many seconds.
    Unavailable(u64),
}

impl Source {
    /// A source whose keys are not known yet.
    #[must_use]
    pub fn new(location: KeyLocation) -> Self {
        Self {
            location,
            ring: Arc::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Where the keys come from.
    #[must_use]
    pub const fn location(&self) -> &KeyLocation {
        &self.location
    }

    /// The keys as they are now.
    #[must_use]
    pub const fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// Reads the keys now if they are in a file, so that a wrong file is found when the server
    /// starts. Keys behind a URL are left to the thread.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn prepare(&self) -> Result<(), LoadError> {
        if let KeyLocation::File(path) = &self.location {
            self.ring.replace(load::from_file(path)?);
        }
        Ok(())
    }

    /// Asks for newer keys and waits for them at most `limit`.
    #[must_use]
    pub fn newer(&self, limit: Duration) -> Answer {
        let mut state = self.lock();
        if !state.tended || state.stopping {
            return Answer::Unavailable(1);
        }
        if let Some(last) = state.last.filter(|_| !state.fetching) {
            let since = last.ended.elapsed();
            if since < state.pause {
                let rest = state
                    .pause
                    .saturating_sub(since)
                    .as_secs()
                    .saturating_add(1);
                return if last.succeeded {
                    Answer::Current
                } else {
                    Answer::Unavailable(rest)
                };
            }
        }
        let round = state.round;
        state.asked = true;
        self.changed.notify_all();
        let waiting = |state: &mut State| state.round == round && !state.stopping;
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        match state.last {
            Some(last) if state.round != round && last.succeeded => Answer::Refreshed,
            Some(_) if state.round != round => Answer::Unavailable(state.pause.as_secs().max(1)),
            _ => Answer::Unavailable(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until `due`, or until somebody asks for keys; false when it is time to stop.
    fn sleep_until(&self, due: Instant) -> bool {
        let state = self.lock();
        let idle = |state: &mut State| !state.asked && !state.stopping;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, due.saturating_duration_since(Instant::now()), idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.asked = false;
        state.fetching = !state.stopping;
        !state.stopping
    }

    fn finish(&self, succeeded: bool, pause: Duration) {
        let mut state = self.lock();
        state.fetching = false;
        state.asked = false;
        state.round = state.round.wrapping_add(1);
        state.pause = pause;
        state.last = Some(Attempt {
            ended: Instant::now(),
            succeeded,
        });
        self.changed.notify_all();
    }
}

/// The threads that tend sources, one for each. To be made in the process that serves requests,
/// after it was forked.
pub struct Refreshers {
    sources: Vec<Arc<Source>>,
    threads: Vec<JoinHandle<()>>,
}

impl Refreshers {
    /// Starts tending `sources`.
    ///
    /// # Errors
    /// The system's, if a thread cannot be started.
    pub fn start(
        sources: &[Arc<Source>],
        refresh: Refresh,
        fetcher: &Arc<Fetcher>,
        log: &Log,
    ) -> std::io::Result<Self> {
        let mut started = Self {
            sources: sources.to_vec(),
            threads: Vec::new(),
        };
        for source in sources {
            source.lock().tended = true;
            let tender = Tender {
                source: Arc::clone(source),
                refresh,
                fetcher: Arc::clone(fetcher),
                log: Arc::clone(log),
                failures: 0,
                confirmed: Instant::now(),
                complaint: String::new(),
            };
            let thread = thread::Builder::new()
                .name("bound-keys".to_owned())
                .spawn(move || tender.run())?;
            started.threads.push(thread);
        }
        Ok(started)
    }
}

impl Drop for Refreshers {
    /// Stops the threads. One that is waiting for a server is given up after a while: the
    /// process ends anyway.
    fn drop(&mut self) {
        for source in &self.sources {
            let mut state = source.lock();
            state.stopping = true;
            state.tended = false;
            source.changed.notify_all();
        }
        let begun = Instant::now();
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && begun.elapsed() < STOP_PATIENCE {
                thread::sleep(Duration::from_millis(5));
            }
            if thread.is_finished() {
                // A panic in it has been reported by the panic hook.
                let _ = thread.join();
            }
        }
    }
}

/// One thread's work.
struct Tender {
    source: Arc<Source>,
    refresh: Refresh,
    fetcher: Arc<Fetcher>,
    log: Log,
    failures: u32,
    /// When the keys in use were last known to be right.
    confirmed: Instant,
    /// The last failure reported; the same is not reported for a file at every look.
    complaint: String,
}

impl Tender {
    fn run(self) {
        match self.source.location.clone() {
            KeyLocation::File(path) => self.watch(&path),
            KeyLocation::Uri(_) | KeyLocation::Discovery(_) => self.poll(),
        }
    }

    /// Fetches on schedule and when asked.
    fn poll(mut self) {
        let mut due = Instant::now();
        while self.source.sleep_until(self.earlier_of_deadline_and(due)) {
            let outcome = load::from_network(&self.source.location, &self.fetcher);
            let pause = self.conclude(outcome.map(Some));
            due = after(if self.failures == 0 {
                jittered(self.refresh.interval)
            } else {
                pause
            });
            self.forget_stale();
        }
    }

    /// Reads the file when it has changed.
    fn watch(mut self, path: &std::path::Path) {
        let mut seen = None;
        while self.source.sleep_until(after(if seen.is_none() {
            Duration::ZERO
        } else {
            FILE_INTERVAL
        })) {
            let stamp = load::stamp(path);
            let unchanged = stamp.is_some() && seen.as_ref() == Some(&stamp) && self.failures == 0;
            let outcome = if unchanged {
                Ok(None)
            } else {
                load::from_file(path).map(Some)
            };
            seen = Some(stamp);
            self.conclude(outcome);
            self.forget_stale();
        }
    }

    /// Puts new keys in place or reports why there are none; returns the pause before the next
    /// fetch that a request may cause.
    fn conclude(&mut self, outcome: Result<Option<KeySet>, LoadError>) -> Duration {
        let file = matches!(self.source.location, KeyLocation::File(_));
        let base = if file {
            FILE_INTERVAL
        } else {
            self.refresh.cooldown
        };
        let pause = match outcome {
            Ok(keys) => {
                self.failures = 0;
                self.confirmed = Instant::now();
                self.complaint.clear();
                if let Some(keys) = keys {
                    self.report(&keys);
                    self.source.ring.replace(keys);
                }
                base
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.complain(&error);
                let doublings = self.failures.saturating_sub(1).min(MAX_DOUBLINGS);
                let ceiling = if file {
                    FILE_INTERVAL
                } else {
                    self.refresh.interval.max(base)
                };
                base.saturating_mul(1_u32.wrapping_shl(doublings))
                    .min(ceiling)
            }
        };
        self.source.finish(self.failures == 0, pause);
        pause
    }

    fn report(&self, keys: &KeySet) {
        let known = self.source.ring.current();
        for (id, fault) in keys.skipped() {
            let already = known
                .as_ref()
                .is_some_and(|known| known.skipped() == keys.skipped());
            if !already {
                let id = id
                    .as_deref()
                    .unwrap_or("without kid")
                    .escape_default()
                    .to_string();
                (self.log)(
                    Level::Warn,
                    &format!(
                        "AB2003 key-skipped: {}: key {id} is not used: {fault}",
                        self.place()
                    ),
                );
            }
        }
        (self.log)(
            Level::Info,
            &format!(
                "AB2001 keys-refreshed: {}: {} keys",
                self.place(),
                keys.keys().len()
            ),
        );
    }

    fn complain(&mut self, error: &LoadError) {
        let complaint = error.to_string();
        let file = matches!(self.source.location, KeyLocation::File(_));
        if !file || complaint != self.complaint {
            let having = if self.source.ring.current().is_some() {
                "the keys known go on being used"
            } else {
                "no keys are known"
            };
            (self.log)(
                Level::Warn,
                &format!("AB2002 refresh-failed: {complaint}; {having}"),
            );
            self.complaint = complaint;
        }
    }

    /// Without keys there is nothing to forget, and so no deadline.
    fn earlier_of_deadline_and(&self, due: Instant) -> Instant {
        if self.source.ring.current().is_some() {
            due.min(self.deadline())
        } else {
            due
        }
    }

    fn deadline(&self) -> Instant {
        self.confirmed
            .checked_add(self.refresh.stale)
            .unwrap_or(self.confirmed)
    }

    /// Keys that nobody has confirmed for too long may have been withdrawn.
    fn forget_stale(&self) {
        if Instant::now() >= self.deadline() && self.source.ring.current().is_some() {
            self.source.ring.clear();
            let line = format!(
                "AB2004 keys-stale: {}: not confirmed for jwks-stale and used no more",
                self.place()
            );
            (self.log)(Level::Error, &line);
        }
    }

    fn place(&self) -> String {
        match &self.source.location {
            KeyLocation::File(path) => path.display().to_string(),
            KeyLocation::Uri(url) | KeyLocation::Discovery(url) => url.to_string(),
        }
    }
}

fn after(pause: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(pause).unwrap_or(now)
}

/// `duration`, give or take a tenth, so that a fleet does not come all at once.
fn jittered(duration: Duration) -> Duration {
    let mut byte = [0_u8; 1];
    // Without randomness there is no jitter, which is no reason to fail.
    let _ = openssl::rand::rand_bytes(&mut byte);
    let [byte] = byte;
    duration.mul_f64(f64::from(byte).mul_add(0.2 / 255.0, 0.9))
}
