//! The threads that keep issuers' keys current. Keys go on working while fetching them fails, up
//! to a limit.
#![allow(clippy::disallowed_methods, reason = "this module keeps time and threads")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::load::{self, LoadError};
use super::{Fetcher, KeyMemory, Level, Log, Source};
use crate::directive::value::KeyLocation;
use crate::jose::{KeyFault, KeySet};

/// How often a file is looked at for changes.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
/// How long stopping waits for a thread that is in the middle of a fetch. NGINX gives a worker one
/// second altogether.
const STOP_PATIENCE: Duration = Duration::from_millis(400);
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

/// What the threads work with.
#[derive(Clone)]
pub struct Means {
    /// When to fetch.
    pub refresh: Refresh,
    /// How to fetch.
    pub fetcher: Arc<Fetcher>,
    /// What the server's other processes have fetched.
    pub memory: Option<Arc<KeyMemory>>,
    /// Where to report.
    pub log: Log,
}

/// The threads that tend sources, one for each. To be made in the process that serves requests,
/// after it was forked.
pub struct Refreshers {
    sources: Vec<Arc<Source>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Refreshers {
    /// Starts tending `sources`.
    ///
    /// # Errors
    /// The system's, if a thread cannot be started.
    pub fn start(sources: &[Arc<Source>], means: &Means) -> std::io::Result<Self> {
        let mut threads = Vec::new();
        for source in sources {
            source.begin();
            let mut tender = Tender::new(Arc::clone(source), means.clone());
            tender.prepare();
            threads.push(
                thread::Builder::new().name("bound-keys".to_owned()).spawn(move || tender.run())?,
            );
        }
        Ok(Self { sources: sources.to_vec(), threads: Mutex::new(threads) })
    }
}

impl Refreshers {
    /// Stops the threads and waits until they have ended, since what they use ends with the
    /// process. One that waits for a server is given up after a while: it touches nothing.
    pub fn stop(&self) {
        self.sources.iter().for_each(|source| source.stop());
        let Ok(mut threads) = self.threads.try_lock() else { return };
        let begun = Instant::now();
        while threads.iter().any(|thread| !thread.is_finished()) && begun.elapsed() < STOP_PATIENCE
        {
            thread::sleep(Duration::from_millis(5));
        }
        let (ended, running) = threads.drain(..).partition::<Vec<_>, _>(JoinHandle::is_finished);
        *threads = running;
        for thread in ended {
            // A panic in it has been reported by the panic hook.
            let _ = thread.join();
        }
    }

    /// Whether a thread may still be running: what it uses must not be taken down.
    #[must_use]
    pub fn are_running(&self) -> bool {
        let running = |thread: &JoinHandle<()>| !thread.is_finished();
        self.threads.try_lock().map_or(true, |threads| threads.iter().any(running))
    }
}

/// One thread's work.
struct Tender {
    source: Arc<Source>,
    means: Means,
    failures: u32,
    /// When the keys in use were last known to be right.
    confirmed: Instant,
    /// The last failure reported; the same is not reported for a file at every look.
    complaint: String,
    /// The keys reported as not used.
    skipped: Vec<(Option<String>, KeyFault)>,
}

impl Tender {
    fn new(source: Arc<Source>, means: Means) -> Self {
        let confirmed = Instant::now();
        Self {
            source,
            means,
            failures: 0,
            confirmed,
            complaint: String::new(),
            skipped: Vec::new(),
        }
    }

    fn run(self) {
        match self.source.location().clone() {
            KeyLocation::File(path) => self.watch(&path),
            KeyLocation::Uri(_) | KeyLocation::Discovery(_, _) => self.poll(),
        }
    }

    /// Before requests are served: takes over what is known already.
    fn prepare(&mut self) {
        match self.source.location().clone() {
            // The parent process may have read it long ago.
            KeyLocation::File(path) => match load::from_file(&path) {
                Ok(keys) => self.take(keys),
                Err(error) => {
                    self.complain(&error);
                    if error.is_forbidden() {
                        self.source.ring().clear();
                    }
                }
            },
            KeyLocation::Uri(_) | KeyLocation::Discovery(_, _) => self.recall(),
        }
    }

    /// Takes over what another process of this server has fetched, if it is newer. The thread
    /// fetches all the same, since a restart may be how an operator gets rid of a key.
    fn recall(&mut self) {
        let Some(memory) = &self.means.memory else { return };
        let Some(record) = memory.load(&self.record_name()) else { return };
        let age = since_epoch().checked_sub(record.fetched);
        let age = age.filter(|age| *age < self.means.refresh.stale);
        let fetched = age.and_then(|age| Instant::now().checked_sub(age));
        let known = self.source.ring().current().map(|_| self.confirmed);
        let newer = fetched.filter(|fetched| known.is_none_or(|known| *fetched > known));
        if let (Some(fetched), Ok(keys)) = (newer, KeySet::published(&record.document)) {
            self.take(keys);
            self.confirmed = fetched;
        }
    }

    /// Tells the issuers' records apart: the same URL may stand for keys and for metadata.
    fn record_name(&self) -> String {
        format!("{:?}", self.source.location())
    }

    /// Fetches on schedule and when asked.
    fn poll(mut self) {
        let mut due = Instant::now();
        while self.source.sleep_until(self.earlier_of_deadline_and(due)) {
            let outcome =
                caught(|| load::from_network(self.source.location(), &self.means.fetcher));
            let outcome = outcome.map(|(keys, document)| {
                if let Some(memory) = &self.means.memory {
                    memory.store(&self.record_name(), since_epoch(), &document);
                }
                Some(keys)
            });
            if outcome.is_err() {
                self.recall();
            }
            let pause = self.conclude(outcome);
            let interval = self.means.refresh.interval;
            due = after(if self.failures == 0 { jittered(interval) } else { pause });
            self.forget_stale();
        }
    }

    /// Reads the file when it has changed.
    fn watch(mut self, path: &Path) {
        let mut seen = None;
        let mut due = Instant::now();
        while self.source.sleep_until(due) {
            let stamp = load::stamp(path);
            let unchanged = stamp.is_some() && seen.as_ref() == Some(&stamp) && self.failures == 0;
            let outcome =
                if unchanged { Ok(None) } else { caught(|| load::from_file(path)).map(Some) };
            seen = Some(stamp);
            self.conclude(outcome);
            self.forget_stale();
            due = after(FILE_INTERVAL);
        }
    }

    fn take(&mut self, keys: KeySet) {
        self.report(&keys);
        self.source.ring().replace(keys);
    }

    /// Puts new keys in place or reports why there are none; returns the pause before the next
    /// fetch that a request may cause.
    fn conclude(&mut self, outcome: Result<Option<KeySet>, LoadError>) -> Duration {
        let pause = match outcome {
            Ok(keys) => {
                self.failures = 0;
                self.confirmed = Instant::now();
                self.complaint.clear();
                if let Some(keys) = keys {
                    self.take(keys);
                }
                self.shortest_pause()
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.complain(&error);
                self.longer_pause()
            }
        };
        self.source.finish(self.failures == 0, pause);
        pause
    }

    fn is_file(&self) -> bool {
        matches!(self.source.location(), KeyLocation::File(_))
    }

    fn shortest_pause(&self) -> Duration {
        if self.is_file() { FILE_INTERVAL } else { self.means.refresh.cooldown }
    }

    /// Doubled with every failure, up to the interval of refreshes.
    fn longer_pause(&self) -> Duration {
        let shortest = self.shortest_pause();
        let doublings = self.failures.saturating_sub(1).min(MAX_DOUBLINGS);
        let longest =
            if self.is_file() { FILE_INTERVAL } else { self.means.refresh.interval.max(shortest) };
        shortest.saturating_mul(1_u32.wrapping_shl(doublings)).min(longest)
    }

    fn report(&mut self, keys: &KeySet) {
        let place = self.place();
        if self.skipped != keys.skipped() {
            for (id, fault) in keys.skipped() {
                let id = id.as_deref().unwrap_or("without kid").escape_default();
                self.log(
                    Level::Warn,
                    &format!("AB2003 key-skipped: {place}: key {id} is not used: {fault}"),
                );
            }
            self.skipped = keys.skipped().to_vec();
        }
        match keys.keys().len() {
            0 => self.log(
                Level::Error,
                &format!("AB2006 keys-withdrawn: {place}: no usable key is published; none of its tokens is accepted"),
            ),
            count => self.log(Level::Info, &format!("AB2001 keys-refreshed: {place}: {count} keys")),
        }
    }

    fn log(&self, level: Level, line: &str) {
        (self.means.log)(level, line);
    }

    fn complain(&mut self, error: &LoadError) {
        let complaint = error.to_string();
        if !self.is_file() || complaint != self.complaint {
            let having = if self.source.ring().current().is_some() {
                "the keys known go on being used"
            } else {
                "no keys are known"
            };
            self.log(Level::Warn, &format!("AB2002 refresh-failed: {complaint}; {having}"));
            self.complaint = complaint;
        }
    }

    /// Without keys there is nothing to forget, and so no deadline.
    fn earlier_of_deadline_and(&self, due: Instant) -> Instant {
        if self.source.ring().current().is_some() { due.min(self.deadline()) } else { due }
    }

    fn deadline(&self) -> Instant {
        self.confirmed.checked_add(self.means.refresh.stale).unwrap_or(self.confirmed)
    }

    /// Keys that nobody has confirmed for too long may have been withdrawn.
    fn forget_stale(&self) {
        if Instant::now() >= self.deadline() && self.source.ring().current().is_some() {
            self.source.ring().clear();
            let line = format!(
                "AB2004 keys-stale: {}: not confirmed for jwks-stale and used no more",
                self.place()
            );
            self.log(Level::Error, &line);
        }
    }

    fn place(&self) -> String {
        match self.source.location() {
            KeyLocation::File(path) => path.display().to_string(),
            KeyLocation::Uri(url) | KeyLocation::Discovery(_, url) => load::shown(url),
        }
    }
}

/// A panic, in the resolver of host names say, is a failed fetch and not the end of the thread.
fn caught<T>(fetch: impl FnOnce() -> Result<T, LoadError>) -> Result<T, LoadError> {
    catch_unwind(AssertUnwindSafe(fetch)).unwrap_or(Err(LoadError::Panic))
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

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
