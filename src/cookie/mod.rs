//! Bound cookies: any application's cookie, sealed on its way out and opened on its way in.
//!
//! A sealed cookie says which key it is bound to. Whoever copies it and cannot prove that key has
//! nothing. The format is in `docs/cookie-seal.md`.
//!
//! [`open_request`] and [`seal_response`] are what a server does. [`seal`], [`open`] and
//! [`judge`] are the parts of it, for tools and other programs.
//!
//! ```
//! use auth_bound::ClientCertificate;
//! use auth_bound::cookie::{
//!     CookieRule, CookieRules, Jar, KeyRing, Possession, PossessionKind, Presented, Request, Secret,
//!     open_request, seal_response,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let certificate = ClientCertificate::presented(b"A".to_vec());
//! # let secret = Secret::from_bytes([7; 32]);
//! let ring = KeyRing::new(&[secret])?;
//! let rules = CookieRules::new(vec![CookieRule::new("JSESSIONID".parse()?)]);
//! let jar = Jar::new(&rules, &ring);
//! let alice = [Possession { kind: PossessionKind::Certificate, hash: certificate.thumbprint() }];
//! let request = Request { host: "app.example", path: b"/", now: 1_760_000_000, proved: &alice };
//!
//! // The application logs alice in.
//! let set = [&b"JSESSIONID=8F2A; Path=/"[..]];
//! let sealed = seal_response(&set, &jar, &request, &Presented::default(), openssl::rand::rand_bytes);
//! let set_cookie = &sealed.cookies.unwrap()[0];
//! let cookie = set_cookie.split(|byte| *byte == b';').next().unwrap();
//!
//! // Her browser sends it back, and so does a thief.
//! let opened = open_request(&[cookie], &jar, &request);
//! assert_eq!(opened.rewritten(cookie, 0).unwrap(), b"JSESSIONID=8F2A");
//! let stolen = open_request(&[cookie], &jar, &Request { proved: &[], ..request });
//! assert_eq!(stolen.rewritten(cookie, 0), None);
//! # Ok(())
//! # }
//! ```

mod chunk;
mod chunks;
mod cookie_date;
mod cookie_header;
mod jar;
mod judge;
mod key_ring;
mod memory;
mod opened_cookies;
mod payload;
mod possession;
mod rule;
mod scope;
mod seal;
mod seal_error;
mod sealed_cookies;
mod secret;
mod set_cookie;
#[cfg(test)]
mod testing;
mod xaes;

pub use chunks::{Presented, sealed_text};
pub use jar::Jar;
pub use judge::{CookieCheck, Request, Situation, judge};
pub use key_ring::{KeyRing, KeyRingError};
pub use opened_cookies::{Change, CookieOutcome, Opened, OpenedCookies, open_request};
pub use payload::{CookiePolicy, Payload, SessionCookie};
pub use possession::{Possession, PossessionKind};
pub use rule::{CookieRule, CookieRules, NamePattern, NamePatternError};
pub use scope::{HostScope, Scope, default_path, host_of};
pub use seal::{Nonce, key_id, open, seal};
pub use seal_error::SealError;
pub use sealed_cookies::{SealOutcome, SealedCookies, protects, seal_one, seal_response};
pub use secret::{Secret, SecretError};
