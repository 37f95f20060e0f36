//! Where one issuer's keys come from, and the thread that keeps them current.
//!
//! One fetch at a time, however many requests ask; at most one in `cooldown`, whatever keys they
//! ask for: that is the memory of keys that do not exist. Keys go on working while fetching them
//! fails, up to a limit.
#![allow(clippy::disallowed_methods, reason = "this module keeps time and threads")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::load::{self, LoadError};
use crate::directive::value::KeyLocation;
use crate::jose::KeyRing;

/// The keys of one issuer: the ring that verification reads, and the state of refreshing it.
pub struct Source {
    location: KeyLocation,
    ring: Arc<KeyRing>,
    state: Mutex<State>,
    changed: Condvar,
    stopping: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// A thread looks after this source.
    tended: bool,
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
            stopping: AtomicBool::new(false),
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
    pub(crate) fn prepare(&self) -> Result<(), LoadError> {
        if let KeyLocation::File(path) = &self.location {
            // An issuer may have withdrawn all of its keys; that is no fault of the configuration,
            // and is reported once the server serves.
            let keys = load::from_file(path)?;
            self.ring.replace(keys);
        }
        Ok(())
    }

    /// Asks for newer keys and waits for them at most `limit`.
    #[must_use]
    pub fn newer(&self, limit: Duration) -> Answer {
        let mut state = self.lock();
        if !state.tended || self.is_stopping() {
            return Answer::Unavailable(1);
        }
        if let Some(last) = state.last.filter(|_| !state.fetching) {
            let since = last.ended.elapsed();
            if since < state.pause {
                let rest = state.pause.saturating_sub(since).as_secs().saturating_add(1);
                return if last.succeeded { Answer::Current } else { Answer::Unavailable(rest) };
            }
        }
        let round = state.round;
        state.asked = true;
        self.changed.notify_all();
        let waiting = |state: &mut State| state.round == round && !self.is_stopping();
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

    /// Says that a thread tends this source from now on.
    pub(super) fn begin(&self) {
        self.lock().tended = true;
    }

    /// Asks the thread to end. Waits for no lock: the holder may be the very thread that a signal
    /// interrupted.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        if let Ok(mut state) = self.state.try_lock() {
            state.tended = false;
        }
        self.changed.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Sleeps until `due`, or until somebody asks for keys; false when it is time to stop.
    pub(super) fn sleep_until(&self, due: Instant) -> bool {
        let state = self.lock();
        let idle = |state: &mut State| !state.asked && !self.is_stopping();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, due.saturating_duration_since(Instant::now()), idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.asked = false;
        let going_on = !self.is_stopping();
        state.fetching = going_on;
        going_on
    }

    pub(super) fn finish(&self, succeeded: bool, pause: Duration) {
        let mut state = self.lock();
        state.fetching = false;
        state.asked = false;
        state.round = state.round.wrapping_add(1);
        state.pause = pause;
        state.last = Some(Attempt { ended: Instant::now(), succeeded });
        self.changed.notify_all();
    }
}
