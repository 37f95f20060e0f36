//! What lives in a server: its configuration, its processes, its connections, its requests.
//! Safe code, and the same for both servers; `ffi` makes it callable.

mod client;
mod configuration;
mod decision;
pub(crate) mod process;
mod scope;

pub(crate) use client::Client;
pub(crate) use configuration::Configuration;
pub(crate) use process::Process;
pub(crate) use scope::Scope;
pub(crate) use decision::Decision;
