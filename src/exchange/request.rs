//! What a server hands to the token endpoint: facts, as plain data.

use std::fmt;

use crate::proof::Possessions;

/// A token request as it came, with what the connection proved.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The value of `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// The values of all `Authorization` headers.
    pub authorization: &'a [&'a [u8]],
    /// The body.
    pub body: &'a [u8],
    /// Whether there is more of the body, which was not read since it is larger than it may be.
    pub truncated: bool,
    /// The keys that the caller proved to hold.
    pub possessions: Possessions<'a>,
    /// Whether the TLS layer verified the client certificate's chain to an authority that it
    /// trusts for clients. Without it a certificate counts by its thumbprint only.
    pub chain_verified: bool,
}

/// Shows nothing of the body or the credentials.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("truncated", &self.truncated)
            .field("chain_verified", &self.chain_verified)
            .finish_non_exhaustive()
    }
}
