//! What lives in a server: its configuration, its processes, its connections, its requests.
//! Safe code, and the same for both servers; `ffi` makes it callable.

mod answer;
mod binding;
mod client;
mod configuration;
mod cookies;
mod decision;
mod files;
mod process;
mod scope;
mod token_service;

pub use answer::{Answer, Call, Clock, Endpoint};
pub use binding::{Binding, BorrowedEffect};
pub use client::{Client, Proved};
pub use configuration::{Configuration, Merged};
pub use cookies::{CookieRefusals, Cookies, HeaderChange, Line, Sealed, Visit};
pub use decision::{Decision, Facts, State};
pub use process::Process;
pub use scope::Scope;
pub use token_service::TokenService;
