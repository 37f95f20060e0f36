//! The boundary to the servers' shims in C, and the only place with `unsafe`.
//!
//! `c_shim/auth_bound.h` is the contract. Each entry turns pointers into references, calls the
//! safe code in `host`, and lets no panic out: the value it then returns refuses.

mod answer;
mod binding;
mod cookies;
mod entries;
mod guard;
#[cfg(feature = "httpd")]
mod httpd;
#[cfg(feature = "nginx")]
mod nginx;
mod text;
