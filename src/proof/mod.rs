//! Possession: what a request proved to hold. One file for each way to prove it; only that file
//! can make its evidence.

mod certificate;
mod token_binding;

pub use certificate::ClientCertificate;
pub(crate) use certificate::chain_header;
pub use token_binding::{ProvedId, TokenBindings};

/// Everything that one request proved to possess.
#[derive(Clone, Copy, Debug, Default)]
pub struct Possessions<'a> {
    /// The certificate that the client authenticated its TLS connection with.
    pub certificate: Option<&'a ClientCertificate>,
    /// The Token Binding keys that the request's message proved.
    pub token_binding: Option<&'a TokenBindings>,
}
