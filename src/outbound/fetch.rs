//! Fetching a document over HTTP: bounded in time and size, no redirects, no proxy.
//!
//! ureq, since it blocks (we fetch in threads of our own) and takes the host's OpenSSL through
//! native-tls: a second TLS library in the server process is what we must not bring.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openssl::error::ErrorStack;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use url::Url;

/// Largest document read, in bytes.
pub(super) const MAX_DOCUMENT: u64 = 1 << 20;

/// Fetches documents.
pub struct Fetcher {
    agent: Agent,
}

/// Why a document could not be fetched.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// The server answered with another status than 200.
    Status(u16),
    /// The document is larger than [`MAX_DOCUMENT`].
    TooLarge,
    /// No answer within the time allowed.
    Timeout,
    /// The server's certificate was not accepted.
    Untrusted(String),
    /// Anything else: no connection, no HTTP.
    Transport(String),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => {
                write!(f, "the server answered {status} where 200 was expected")
            }
            Self::TooLarge => write!(f, "the document is larger than {MAX_DOCUMENT} bytes"),
            Self::Timeout => f.write_str("no answer within the time allowed by jwks-timeout"),
            Self::Untrusted(reason) => {
                write!(f, "{reason}; jwks-ca names the authorities to trust")
            }
            Self::Transport(reason) => f.write_str(reason),
        }
    }
}

impl Fetcher {
    /// A fetcher that gives each document `timeout` and trusts the certificates in `ca`, or those
    /// of the system.
    #[must_use]
    pub fn new(ca: Option<Vec<TrustedCertificate>>, timeout: Duration) -> Self {
        let roots = match ca {
            None => RootCerts::PlatformVerifier,
            Some(certificates) => RootCerts::Specific(Arc::new(certificates)),
        };
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
        let agent = Agent::config_builder()
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("mod_auth_bound/", env!("CARGO_PKG_VERSION")))
            .max_idle_connections(0)
            .tls_config(tls)
            .build()
            .into();
        Self { agent }
    }

    /// Fetches the JSON document behind `url`.
    ///
    /// # Errors
    /// [`FetchError`].
    pub(super) fn document(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let mut response = self
            .agent
            .get(url.as_str())
            .header("Accept", "application/json")
            .call()
            .map_err(transport)?;
        match response.status().as_u16() {
            200 => response
                .body_mut()
                .with_config()
                .limit(MAX_DOCUMENT)
                .read_to_vec()
                .map_err(transport),
            status => Err(FetchError::Status(status)),
        }
    }
}

fn transport(error: ureq::Error) -> FetchError {
    if let ureq::Error::BodyExceedsLimit(_) = error {
        FetchError::TooLarge
    } else if let ureq::Error::Timeout(_) = error {
        FetchError::Timeout
    } else if let ureq::Error::NativeTls(cause) = &error
        && is_verification(cause)
    {
        FetchError::Untrusted(error.to_string())
    } else {
        FetchError::Transport(error.to_string())
    }
}

/// Whether a handshake failed because OpenSSL could not verify the server's certificate.
fn is_verification(cause: &dyn Error) -> bool {
    let stack = cause.source().and_then(|source| source.downcast_ref::<ErrorStack>());
    let failed = Some("certificate verify failed");
    stack.is_some_and(|stack| stack.errors().iter().any(|error| error.reason() == failed))
}

/// A certificate that servers of keys are trusted by.
pub type TrustedCertificate = Certificate<'static>;

/// Reads the certificates of a PEM file.
///
/// # Errors
/// What is wrong with the file.
#[allow(clippy::disallowed_methods, reason = "this module does the I/O")]
pub fn trusted_certificates(path: &Path) -> Result<Vec<TrustedCertificate>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let stack = openssl::x509::X509::stack_from_pem(&pem).unwrap_or_default();
    let certificates = stack.iter().filter_map(|certificate| certificate.to_der().ok());
    let certificates: Vec<_> =
        certificates.map(|der| Certificate::from_der(&der).to_owned()).collect();
    if certificates.is_empty() {
        return Err(format!("{}: no certificate in PEM", path.display()));
    }
    Ok(certificates)
}
