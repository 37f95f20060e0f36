//! JSON Object Signing and Encryption, the strict part of it that tokens and proofs need.
//!
//! Own code over OpenSSL's primitives, since the strictness is what this project exists for:
//! canonical base64url, no duplicate members, `crit` understood or refused, `alg` pinned by the
//! key.

mod algorithm;
pub mod base64url;
pub mod json;
mod jwk_thumbprint;
mod jws;
mod key;
mod key_ring;
mod key_set;
mod memory_key;
mod signing_key;

pub(crate) use algorithm::Family;
pub use algorithm::{Algorithm, AlgorithmSet};
pub use jwk_thumbprint::jwk_thumbprint;
pub use jws::{Header, Jws, JwsError};
pub use key::{Key, KeyFault};
pub use key_ring::KeyRing;
pub use key_set::{KeySet, KeySetError, Selection};
pub use signing_key::{HardwareKey, SigningError, SigningKey};
