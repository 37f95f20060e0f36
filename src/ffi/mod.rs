//! The boundary to the servers' shims in C, and the only place with `unsafe`.
//!
//! `c_shim/auth_bound.h` is the contract. Each entry turns pointers into references, calls the
//! safe code in `host`, and lets no panic out: the value it then returns refuses.

mod answer;
mod binding;
mod client;
mod clock;
mod configuration;
mod cookies;
mod decision;
mod effect;
mod guard;
#[cfg(feature = "httpd")]
mod httpd;
mod line;
#[cfg(feature = "nginx")]
mod nginx;
mod pointer;
mod process;
mod requirement;
mod scope;
mod table;
mod text;
