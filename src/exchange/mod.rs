//! Token exchange (RFC 8693): a token for a token, bound to whatever the caller proved to hold.
//!
//! The core of a token endpoint, without a server: a [`Request`] is plain data,
//! [`AuthorizationServer::decide`] makes every check and gives a [`Grant`], [`Grant::issue`] signs,
//! [`Response`] says how to answer. Time, randomness and the memory of used client assertions come
//! in as arguments; keys through [`KeyRing`](crate::jose::KeyRing)s that somebody else keeps
//! current.
//!
//! A program that issues tokens to its clients and checks them where they come back:
//!
//! ```
//! use std::sync::Arc;
//! use auth_bound::exchange::{
//!     Authentication, AuthorizationServer, Client, CredentialFile, Failure, NoReplayStore,
//!     Request, Response, Rule, SubjectTokens, Target,
//! };
//! use auth_bound::jose::{Algorithm, KeyRing, KeySet, SigningKey};
//! use auth_bound::refusal::Reason;
//! use auth_bound::token::{self, TokenRequest};
//! use auth_bound::{ClientCertificate, Policy, Possessions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let alice = ClientCertificate::presented(b"A".to_vec());
//! # let bob = ClientCertificate::presented(b"B".to_vec());
//! # let now = 1_760_000_000;
//! # let hash = auth_bound::Thumbprint::of(b"iamtheeggman");
//! # let line = format!("{hash} alice {}", alice.thumbprint());
//! let api = "https://api.example";
//! let key = Arc::new(SigningKey::generate(Algorithm::ES256, "2026")?);
//! // A line of the file: SHA-256 of the credential, its subject, the certificate it is good with.
//! let credentials = Arc::new(CredentialFile::parse(&line)?);
//! let endpoint = "https://as.example/token";
//! let server = AuthorizationServer::new("https://as.example", endpoint, key.clone())?
//!     .assume_client(Client::new("anyone", Authentication::None))
//!     .subject_tokens(SubjectTokens::new().credentials(credentials))
//!     .rule(Rule::new(&[Target::new(api)], 300));
//!
//! let hers = Possessions { certificate: Some(&alice), ..Possessions::default() };
//! let his = Possessions { certificate: Some(&bob), ..Possessions::default() };
//! let none = Possessions::default();
//! let request = Request {
//!     method: "POST",
//!     content_type: Some(b"application/x-www-form-urlencoded"),
//!     body: b"grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
//!         &audience=https://api.example&subject_token=iamtheeggman\
//!         &subject_token_type=urn:ietf:params:oauth:token-type:access_token",
//!     possessions: hers,
//!     ..Request::default()
//! };
//! let issued = server.decide(&request, &NoReplayStore, now)?.issue(&[7; 32])?;
//! assert_eq!(Response::of_issued(&issued).status(), 200);
//!
//! // Bob has her credential, but not her key.
//! let stolen = Request { possessions: his, ..request };
//! let refused = server.decide(&stolen, &NoReplayStore, now);
//! assert!(matches!(refused, Err(Failure::Denied(d)) if d.reason().error() == "invalid_request"));
//!
//! // Where the token is presented, each way to fail is told from the others.
//! let ring = Arc::new(KeyRing::holding(KeySet::parse(server.jwk_set().as_bytes())?));
//! let policy = Policy::new()?.trust("https://as.example", ring).audience(api);
//! let check = |token: &str, proved: &Possessions| match token::verify(token, &policy, now) {
//!     Ok(verified) => verified.judge(&policy, proved, now).map_err(|refusal| refusal.reason()),
//!     Err(token::Failure::Refused(refusal)) => Err(refusal.reason()),
//!     Err(token::Failure::NeedsKeys(_)) => Err(Reason::KeysUnavailable),
//! };
//! assert_eq!(check(issued.token(), &hers), Ok(()));
//! assert_eq!(check(issued.token(), &none), Err(Reason::CertificateMissing)); // no mutual TLS
//! assert_eq!(check(issued.token(), &his), Err(Reason::CertificateMismatch)); // mismatch
//! let unbound = TokenRequest::new("https://as.example", "alice", api, now, 300).sign(&key)?;
//! assert_eq!(check(&unbound, &hers), Err(Reason::ConfirmationMissing)); // no cnf
//! # Ok(())
//! # }
//! ```
//!
//! Two promises hold by construction. Nothing is issued on any error: a [`Grant`] has no other
//! origin than a decision that passed every check, and tokens no other origin than a grant. And
//! an exchange never widens: not the scope, not the lifetime, not the binding.

mod assertion;
mod authentication;
mod authorization_server;
mod certificate_name;
mod client;
mod client_credentials;
mod clients;
mod credential_file;
mod credential_hash;
mod denial;
mod grant;
mod grant_type;
mod metadata;
mod parameters;
mod refresh;
mod repeated;
mod replay;
mod request;
mod response;
mod rule;
#[cfg(test)]
mod scenarios;
mod subject;
#[cfg(test)]
mod testing;
mod token_type;

pub use authentication::Authentication;
pub use authorization_server::{AuthorizationServer, SetupError};
pub use certificate_name::{CertificateName, DistinguishedName, DistinguishedNameError};
pub use client::Client;
pub use clients::Clients;
pub use credential_file::{Credential, CredentialFile, CredentialFileError};
pub use credential_hash::{CredentialHash, CredentialHashError};
pub use denial::{Denial, DenialReason, Failure, Needed};
pub use grant::{Grant, Issued};
pub use grant_type::GrantType;
pub use metadata::{Metadata, TokenBindingSupport, jwk_set, well_known_path};
pub use parameters::{MAX_BODY, Parameters};
pub use replay::{
    NoReplayStore, ProcessReplayStore, ReplayId, ReplayStore, ReplayStoreUnavailable, Use,
};
pub use request::Request;
pub use response::{Answer, Response};
pub use rule::{BindTo, ExcessScope, RefreshTerms, Rule, Target};
pub use subject::SubjectTokens;
pub use token_type::TokenType;
