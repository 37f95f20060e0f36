//! No panic crosses the boundary: unwinding into C is undefined, and aborting would take every
//! connection of the process along.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `body`; `None` if it panicked. What it was working on is not used again: every caller
/// refuses the request or the directive.
pub(super) fn guard<T>(body: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // A payload whose own drop panics must not escape either.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            None
        }
    }
}

/// Lets a test see what becomes of a panic in the running server. Never in a released module.
#[cfg(feature = "fault-injection")]
#[allow(clippy::panic)]
pub(super) fn fault(authorization: &[&[u8]]) {
    if authorization.iter().any(|value| value.ends_with(b"fault-injection-panic")) {
        panic!("injected by a test");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Spiteful;

    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("even when dropped");
        }
    }

    #[test]
    fn a_panic_becomes_none() {
        assert_eq!(guard(|| 1), Some(1));
        assert_eq!(guard(|| -> u8 { panic!("expected by this test") }), None);
        assert_eq!(guard(|| -> u8 { std::panic::panic_any(Spiteful) }), None);
    }
}
