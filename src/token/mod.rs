//! Access tokens: JWTs (RFC 7519, RFC 9068) bound to a key (RFC 7800).

mod cache;
mod claims;
mod examine;
mod issue;
mod verified;
mod verify;

pub use cache::TokenCache;
pub use claims::Lifetime;
pub use examine::{Check, Finding, Outcome, examine};
pub use issue::TokenRequest;
pub use verified::Verified;
pub use verify::{Failure, NeededKeys, verify};

/// Seconds since the epoch, as in NumericDate (RFC 7519, section 2).
pub type Timestamp = i64;
