//! Sender-constrained access tokens for Apache httpd and NGINX.
//!
//! A token that is bound to its client's certificate (RFC 8705) is worthless to whoever steals
//! it. This library issues and verifies such tokens; `mod_auth_bound.so` and
//! `ngx_http_auth_bound_module.so` are the same code behind a thin shim for each server.
//!
//! ```
//! use std::sync::Arc;
//! use auth_bound::jose::{Algorithm, Key, KeyRing, KeySet, SigningKey};
//! use auth_bound::token::{TokenRequest, verify};
//! use auth_bound::{ClientCertificate, Confirmation, Policy, Possessions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (alice, mallory) = (ClientCertificate::presented(b"A".to_vec()), ClientCertificate::presented(b"M".to_vec()));
//! # let now = 1_760_000_000;
//! let key = SigningKey::generate(Algorithm::ES256, "2026")?;
//! let token = TokenRequest::new("https://as.example", "alice", "https://api.example", now, 300)
//!     .bound_to(&Confirmation::certificate(alice.thumbprint()))
//!     .sign(&key)?;
//!
//! let ring = KeyRing::holding(KeySet::new([Key::from_jwk(key.public_jwk()?)?]));
//! let policy = Policy::new()?.trust("https://as.example", Arc::new(ring)).audience("https://api.example");
//! let verified = verify(&token, &policy, now).map_err(|failure| format!("{failure:?}"))?;
//!
//! let alice_proved = Possessions { certificate: Some(&alice), ..Possessions::default() };
//! let mallory_proved = Possessions { certificate: Some(&mallory), ..Possessions::default() };
//! assert!(verified.judge(&policy, &alice_proved, now).is_ok());
//! assert!(verified.judge(&policy, &mallory_proved, now).is_err());
//! assert!(verified.judge(&policy, &Possessions::default(), now).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! `examples/in_process.rs` is a program that issues and verifies access tokens and refresh tokens, with
//! a table for those who come from the Go library mtls-token.
//!
//! The core has no clock, no I/O and no host type: time comes in as an argument, keys through a
//! [`KeyRing`](jose::KeyRing) that somebody else keeps current.

#![deny(unsafe_code)]

#[cfg(all(feature = "httpd", feature = "nginx"))]
compile_error!("one artifact serves one server: choose the feature httpd or nginx, not both");

#[forbid(unsafe_code)]
mod body_style;
#[forbid(unsafe_code)]
pub mod challenge;
#[forbid(unsafe_code)]
mod confirmation;
#[forbid(unsafe_code)]
pub mod cookie;
#[forbid(unsafe_code)]
mod credentials;
#[forbid(unsafe_code)]
pub mod decide;
#[forbid(unsafe_code)]
pub mod directive;
#[forbid(unsafe_code)]
pub mod effect;
#[forbid(unsafe_code)]
pub mod exchange;
#[forbid(unsafe_code)]
pub mod export;
#[cfg(any(feature = "httpd", feature = "nginx", test))]
#[cfg_attr(not(any(feature = "httpd", feature = "nginx")), allow(dead_code))]
#[allow(unsafe_code, reason = "the boundary to C")]
mod ffi;
#[forbid(unsafe_code)]
pub mod grpc;
#[forbid(unsafe_code)]
pub mod host;
#[forbid(unsafe_code)]
pub mod jose;
#[forbid(unsafe_code)]
pub mod outbound;
#[forbid(unsafe_code)]
mod policy;
#[forbid(unsafe_code)]
mod proof;
#[forbid(unsafe_code)]
pub mod reference;
#[forbid(unsafe_code)]
pub mod refusal;
#[forbid(unsafe_code)]
mod refusal_table;
#[forbid(unsafe_code)]
pub mod requirement;
#[forbid(unsafe_code)]
mod thumbprint;
#[forbid(unsafe_code)]
pub mod token;
#[forbid(unsafe_code)]
pub mod token_binding;

pub use body_style::BodyStyle;
pub use confirmation::{Confirmation, Method, ThumbprintForm};
pub use credentials::Credentials;
pub use policy::{Issuer, Policy};
pub use proof::{ClientCertificate, Possessions, ProvedId, TokenBindings};
pub use thumbprint::{Thumbprint, ThumbprintError};
