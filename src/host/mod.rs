//! What lives in a server: its configuration, its processes, its connections, its requests.
//! Safe code, and the same for both servers; `ffi` makes it callable.

mod client;
mod configuration;
mod decision;
mod process;
mod scope;

pub use client::{Client, Proved};
pub use configuration::{Configuration, Merged};
pub use decision::{Decision, State};
pub use process::Process;
pub use scope::Scope;
