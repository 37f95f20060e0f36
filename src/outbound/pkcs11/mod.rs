//! Keys in hardware (PKCS #11, version 2.40 or later): found by a URI (RFC 7512), they sign where
//! they are.
//!
//! A server forks after it has read its configuration, and no PKCS #11 library survives a fork. So
//! there are two phases: [`Pkcs11Key::open`] tries the key once and leaves the library as it found
//! it; whatever process signs first opens it again, and keeps its sessions.

mod fault;
mod key;
mod library;
mod login;
mod mechanism;
mod public_half;
mod refused_pins;
mod session;
mod uri;

pub use fault::Pkcs11Fault;
pub use key::Pkcs11Key;
pub use refused_pins::RefusedPins;
