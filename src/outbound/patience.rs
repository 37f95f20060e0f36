//! How long one request may still wait.
#![allow(clippy::disallowed_methods, reason = "this module keeps time")]

use std::time::{Duration, Instant};

/// The time that one request may wait, whatever it waits for and however often. It does not move
/// with the system's clock.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    began: Instant,
    limit: Duration,
}

impl Patience {
    /// `limit` from now on.
    #[must_use]
    pub fn of(limit: Duration) -> Self {
        Self { began: Instant::now(), limit }
    }

    /// What is left of it; nothing once it is over.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn all_waits_share_it() {
        let patience = Patience::of(Duration::from_secs(60));
        let before = patience.left();
        thread::sleep(Duration::from_millis(5));
        assert!(patience.left() <= before.saturating_sub(Duration::from_millis(5)));
    }

    #[test]
    fn it_ends() {
        let patience = Patience::of(Duration::from_millis(1));
        thread::sleep(Duration::from_millis(2));
        assert_eq!(patience.left(), Duration::ZERO);
    }
}
