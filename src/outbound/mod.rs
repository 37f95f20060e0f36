//! The only part that talks to other machines, to devices and to the disk while the server runs:
//! fetching issuers' keys, in threads of its own, which requests wait for no longer than they may;
//! and signing with keys in hardware.

mod fetch;
mod load;
mod memory;
mod patience;
mod pkcs11;
mod refresher;
mod replay;
mod secret;
mod signing_key;
mod source;

use std::sync::Arc;

pub use fetch::{Fetcher, TrustedCertificate, trusted_certificates};
pub use memory::KeyMemory;
pub use patience::Patience;
pub use pkcs11::{Pkcs11Fault, Pkcs11Key, RefusedPins};
pub use refresher::{Means, Refresh, Refreshers};
pub use replay::SharedReplayStore;
pub(crate) use secret::{credential_file, key_file, secret_file};
pub(crate) use signing_key::signing_key;
pub use source::{Answer, Source};

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Level {
    /// Something is broken.
    Error = 1,
    /// Something needs attention.
    Warn = 2,
    /// Normal, and worth knowing.
    Info = 3,
}

/// Where background threads write their log lines.
pub type Log = Arc<dyn Fn(Level, &str) + Send + Sync>;
