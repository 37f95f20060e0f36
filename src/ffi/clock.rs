//! The boundary reads the clock for the core.
#![allow(clippy::disallowed_methods, reason = "the boundary reads the clock for the core")]

use std::time::{SystemTime, UNIX_EPOCH};

use crate::token::Timestamp;

/// The time of the server.
pub(super) fn now() -> Timestamp {
    // A clock before 1970 makes every token one of the future.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::try_from(since.as_secs()).unwrap_or(Timestamp::MAX)
}
