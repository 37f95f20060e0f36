//! TLS connections, the second of which may resume the first.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use auth_bound::token_binding::KeyParameters;
use clap::{Args, ValueEnum};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    ConnectConfiguration, SslConnector, SslConnectorBuilder, SslMethod, SslOptions, SslSession,
    SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509VerifyResult};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::exchange::HttpVersion;
use super::extension::Extension;
use super::target::Target;
use super::wire::Wire;
use crate::fault::Fault;
use crate::files;

/// `SSL_OP_LEGACY_SERVER_CONNECT`, for which the openssl crate has no name.
const LEGACY_SERVER_CONNECT: SslOptions = SslOptions::from_bits_retain(0x4);

/// How to connect.
#[derive(Args, Debug)]
pub(super) struct TlsSettings {
    /// Trust the certificates in this PEM file [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Talk to any server, whatever its certificate
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// Speak this version of TLS only
    #[arg(long, value_name = "VERSION")]
    tls: Option<Version>,
    /// The client's certificate and what it was issued by, in PEM
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The certificate's private key, in PEM [default: in the file of the certificate]
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

/// Makes TLS connections.
pub(super) struct Client {
    connector: SslConnector,
    extension: Extension,
    /// The latest session that a server gave us.
    session: Arc<Mutex<Option<SslSession>>>,
}

impl Client {
    /// A client that offers Token Binding with these key parameters, or no Token Binding if there
    /// are none.
    pub(super) fn new(
        settings: &TlsSettings,
        http: HttpVersion,
        offered: &[KeyParameters],
    ) -> Result<Self, Fault> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(Fault::new)?;
        settings.apply(&mut builder)?;
        let session = Arc::default();
        let extension = prepare(&mut builder, http, offered, &session).map_err(Fault::new)?;
        Ok(Self { connector: builder.build(), extension, session })
    }

    /// The extension that this client offers.
    pub(super) const fn extension(&self) -> Extension {
        self.extension
    }

    /// Makes a connection, which resumes the latest session if there is one and the server agrees.
    pub(super) async fn connect(&self, target: &Target) -> Result<Wire, Fault> {
        let failed =
            |error: &dyn std::fmt::Display| Fault::new(format_args!("{}: {error}", target.address));
        let tcp = TcpStream::connect(&target.address).await.map_err(|error| failed(&error))?;
        // Requests are small, and each is waited for.
        tcp.set_nodelay(true).map_err(|error| failed(&error))?;
        let configuration = self.configure().map_err(|error| failed(&error))?;
        let ssl = configuration.into_ssl(&target.name).map_err(|error| failed(&error))?;
        let mut stream = SslStream::new(ssl, tcp).map_err(|error| failed(&error))?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            return Err(failed(&self.reason(&stream, &error)));
        }
        // Whatever is wrong with the handshake must be known before anything is said.
        self.extension.context(stream.ssl())?;
        Ok(Wire::new(stream))
    }

    fn configure(&self) -> Result<ConnectConfiguration, ErrorStack> {
        let mut configuration = self.connector.configure()?;
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = session.as_ref() {
            // SAFETY: the session comes from the callback that `prepare` gave to the builder of
            // this very context, and of no other.
            unsafe { configuration.set_session(session) }?;
        }
        drop(session);
        Ok(configuration)
    }

    /// Why a handshake failed.
    fn reason(&self, stream: &SslStream<TcpStream>, error: &openssl::ssl::Error) -> String {
        let ssl = stream.ssl();
        if self.extension.is_wrong(ssl) {
            return "the server's answer to the extension token_binding is none to what was \
                    offered (RFC 8472, section 4)"
                .to_owned();
        }
        match ssl.verify_result() {
            X509VerifyResult::OK => format!("TLS: {error}"),
            result => format!("the server's certificate: {result}"),
        }
    }
}

fn prepare(
    builder: &mut SslConnectorBuilder,
    http: HttpVersion,
    offered: &[KeyParameters],
    session: &Arc<Mutex<Option<SslSession>>>,
) -> Result<Extension, ErrorStack> {
    // Without renegotiation indication there is neither Token Binding (RFC 8472, section 4) nor, in
    // OpenSSL 3, a connection, unless the system's configuration says otherwise.
    builder.clear_options(LEGACY_SERVER_CONNECT);
    builder.set_alpn_protos(http.alpn())?;
    builder.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
    let latest = Arc::clone(session);
    builder.set_new_session_callback(move |_, session| {
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    });
    if offered.is_empty() { Ok(Extension::default()) } else { Extension::offer(builder, offered) }
}

impl TlsSettings {
    fn apply(&self, builder: &mut SslConnectorBuilder) -> Result<(), Fault> {
        if self.insecure {
            builder.set_verify(SslVerifyMode::NONE);
        }
        if let Some(path) = &self.ca {
            let pem = files::read(path)?;
            let mut store = X509StoreBuilder::new().map_err(Fault::new)?;
            for certificate in certificates(&pem).map_err(|error| Fault::of_file(path, error))? {
                store.add_cert(certificate).map_err(Fault::new)?;
            }
            builder.set_cert_store(store.build());
        }
        if let Some(version) = self.tls {
            let version = match version {
                Version::Tls12 => SslVersion::TLS1_2,
                Version::Tls13 => SslVersion::TLS1_3,
            };
            builder.set_min_proto_version(Some(version)).map_err(Fault::new)?;
            builder.set_max_proto_version(Some(version)).map_err(Fault::new)?;
        }
        self.identify(builder)
    }

    fn identify(&self, builder: &mut SslConnectorBuilder) -> Result<(), Fault> {
        let Some(path) = &self.cert else { return Ok(()) };
        let pem = files::read(path)?;
        let chain = certificates(&pem).map_err(|error| Fault::of_file(path, error))?;
        for (place, certificate) in chain.into_iter().enumerate() {
            let set = if place == 0 {
                builder.set_certificate(&certificate)
            } else {
                builder.add_extra_chain_cert(certificate)
            };
            set.map_err(|error| Fault::of_file(path, error))?;
        }
        let path = self.cert_key.as_ref().unwrap_or(path);
        let key = PKey::private_key_from_pem_passphrase(&files::read(path)?, b"")
            .map_err(|_| Fault::of_file(path, "no unencrypted private key in PEM"))?;
        builder
            .set_private_key(&key)
            .map_err(|_| Fault::of_file(path, "not the private key of the certificate"))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<X509>, &'static str> {
    match X509::stack_from_pem(pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err("no certificate in PEM"),
    }
}
