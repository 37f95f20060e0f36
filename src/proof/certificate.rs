//! Possession of a client certificate's key, proved by TLS client authentication (RFC 8705).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::error::ErrorStack;
use openssl::x509::X509;

use crate::thumbprint::Thumbprint;

/// The certificate of a client that finished the TLS handshake with it, and so holds its key.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    der: Vec<u8>,
    thumbprint: Thumbprint,
}

impl ClientCertificate {
    /// The certificate, in DER, that the TLS layer took from the client. Call it with nothing
    /// else: the handshake is the proof. RFC 8705, section 3: a resource server need not validate
    /// the chain, since the thumbprint says which certificate it must be.
    #[must_use]
    pub fn presented(der: Vec<u8>) -> Self {
        let thumbprint = Thumbprint::of(&der);
        Self { der, thumbprint }
    }

    /// Reads a PEM file's first certificate: for tools that bind a token to it.
    ///
    /// # Errors
    /// OpenSSL's: `pem` holds no certificate.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ErrorStack> {
        Ok(Self::presented(X509::from_pem(pem)?.to_der()?))
    }

    /// SHA-256 over the DER encoding: `x5t#S256`.
    #[must_use]
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// The DER encoding.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The value of `Client-Cert` (RFC 9440, section 2.1).
    #[must_use]
    pub fn to_header(&self) -> String {
        byte_sequence(&self.der)
    }
}

/// A structured-field byte sequence (RFC 9651, section 3.3.5).
fn byte_sequence(bytes: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(bytes))
}

/// The value of `Client-Cert-Chain` (RFC 9440, section 2.3): the certificates behind the leaf.
#[must_use]
pub(crate) fn chain_header(chain: &[Vec<u8>]) -> String {
    chain.iter().map(|der| byte_sequence(der)).collect::<Vec<_>>().join(", ")
}
