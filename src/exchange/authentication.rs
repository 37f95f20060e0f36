//! How a client authenticates (RFC 6749, section 2.3; RFC 8705, section 2; RFC 7523,
//! section 2.2).

use std::sync::Arc;

use super::certificate_name::CertificateName;
use super::credential_hash::CredentialHash;
use crate::jose::KeyRing;
use crate::thumbprint::Thumbprint;

/// The one method by which a client authenticates, as registered (RFC 7591, section 2,
/// `token_endpoint_auth_method`).
#[derive(Clone, Debug)]
pub enum Authentication {
    /// `none`: a public client, known by what it says.
    None,
    /// `tls_client_auth`: by a name in a certificate of a trusted authority.
    Certificate(CertificateName),
    /// `self_signed_tls_client_auth`: by one of these certificates, whoever issued it.
    SelfSignedCertificate(Vec<Thumbprint>),
    /// `private_key_jwt`: by an assertion signed with one of these keys.
    PrivateKeyJwt(Arc<KeyRing>),
    /// `client_secret_basic`: by one of the secrets of these hashes, in `Authorization`.
    SecretBasic(Vec<CredentialHash>),
    /// `client_secret_post`: by one of the secrets of these hashes, in the body.
    SecretPost(Vec<CredentialHash>),
}

impl Authentication {
    /// The name in the registry of RFC 8414, section 7.2.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Certificate(_) => "tls_client_auth",
            Self::SelfSignedCertificate(_) => "self_signed_tls_client_auth",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
        }
    }
    /// The hashes of the secrets that it takes.
    pub(super) fn secrets(&self) -> &[CredentialHash] {
        match self {
            Self::SecretBasic(hashes) | Self::SecretPost(hashes) => hashes,
            Self::None
            | Self::Certificate(_)
            | Self::SelfSignedCertificate(_)
            | Self::PrivateKeyJwt(_) => &[],
        }
    }
}
