//! A TLS server that answers the extension `token_binding` as it is told.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use auth_bound::jose::base64url;
use auth_bound::token_binding::{EXPORTER_LABEL, EXTENSION, Offer};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    ExtensionContext, Ssl, SslAcceptor, SslMethod, SslOptions, SslRef, SslSessionCacheMode,
    SslStream,
};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder, X509NameBuilder, X509Ref};

use super::workshop::{Answer, Workshop};
use super::{EcdsaP256, Rsa2048Pkcs15, Rsa2048Pss};

/// Whether and with what the server answers the extension; the argument is what the client sent.
pub(super) type Answering = fn(&[u8]) -> Option<Vec<u8>>;

/// How the server is.
pub(super) struct Rules {
    pub(super) answering: Answering,
    pub(super) options: SslOptions,
    pub(super) groups: Option<&'static str>,
    /// Whether it can resume sessions that it would have to remember.
    pub(super) keeps_sessions: bool,
    pub(super) response: &'static str,
}

const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

impl Default for Rules {
    fn default() -> Self {
        Self {
            answering: properly,
            options: SslOptions::empty(),
            groups: None,
            keeps_sessions: true,
            response: RESPONSE,
        }
    }
}

/// What the server saw of a connection.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Why there was no handshake.
    pub(super) failure: Option<String>,
    /// The extension's bodies, one for each ClientHello.
    pub(super) offers: Vec<Vec<u8>>,
    pub(super) ekm: String,
    pub(super) resumed: bool,
    /// The heads of the requests.
    pub(super) heads: Vec<String>,
}

impl Seen {
    /// The values of `Sec-Token-Binding` in a request.
    pub(super) fn messages(&self, request: usize) -> Vec<&str> {
        let lines = self.heads[request].lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(name, _)| *name == "sec-token-binding").map(|(_, value)| value).collect()
    }
}

pub(super) struct Server {
    pub(super) port: u16,
    certificate: X509,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Seen>>,
}

impl Server {
    pub(super) fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let key = PKey::generate_ed25519().unwrap();
        let certificate = certificate(&key);
        let offers = Arc::new(Mutex::new(Vec::new()));
        let acceptor = acceptor(&key, &certificate, &rules, &offers);
        let over = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut seen = Vec::new();
            loop {
                let (tcp, _) = listener.accept().unwrap();
                if watched.load(Ordering::SeqCst) {
                    return seen;
                }
                let mut connection = serve(&acceptor, tcp, rules.response);
                connection.offers = std::mem::take(&mut *offers.lock().unwrap());
                seen.push(connection);
            }
        });
        Self { port, certificate, over, thread }
    }

    /// Runs `tb get` against this server, which it trusts.
    pub(super) fn get(&self, workshop: &Workshop, words: &str) -> Answer {
        let ca = self.certificate.to_pem().unwrap();
        fs::write(workshop.0.join("ca.pem"), ca).unwrap();
        workshop.tb(&format!("get --ca ca.pem {words} https://127.0.0.1:{}/path?query", self.port))
    }

    /// What it saw, when the clients have gone.
    pub(super) fn finish(self) -> Vec<Seen> {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)).unwrap());
        self.thread.join().unwrap()
    }
}

/// As RFC 8472 has it.
fn properly(body: &[u8]) -> Option<Vec<u8>> {
    let preferred = [EcdsaP256, Rsa2048Pss, Rsa2048Pkcs15];
    Offer::parse(body).unwrap().answer(&preferred).map(|parameters| parameters.to_body().to_vec())
}

fn acceptor(
    key: &PKey<Private>,
    certificate: &X509,
    rules: &Rules,
    offers: &Arc<Mutex<Vec<Vec<u8>>>>,
) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_private_key(key).unwrap();
    builder.set_certificate(certificate).unwrap();
    builder.set_session_id_context(b"tb").unwrap();
    builder.set_options(rules.options);
    if !rules.keeps_sessions {
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    }
    if let Some(groups) = rules.groups {
        builder.set_groups_list(groups).unwrap();
    }
    let messages = ExtensionContext::CLIENT_HELLO
        | ExtensionContext::TLS1_2_SERVER_HELLO
        | ExtensionContext::TLS1_3_ENCRYPTED_EXTENSIONS;
    let index = Ssl::new_ex_index::<Vec<u8>>().unwrap();
    let answering = rules.answering;
    let offers = Arc::clone(offers);
    let add = move |ssl: &mut SslRef, _, _: Option<(usize, &X509Ref)>| {
        Ok(ssl.ex_data(index).and_then(|body| answering(body)))
    };
    let parse = move |ssl: &mut SslRef, _, body: &[u8], _: Option<(usize, &X509Ref)>| {
        offers.lock().unwrap().push(body.to_vec());
        ssl.set_ex_data(index, body.to_vec());
        Ok(())
    };
    builder.add_custom_ext(EXTENSION, messages, add, parse).unwrap();
    builder.build()
}

/// Answers the requests of a connection until it ends.
fn serve(acceptor: &SslAcceptor, tcp: TcpStream, response: &str) -> Seen {
    let mut seen = Seen::default();
    let mut stream = match acceptor.accept(tcp) {
        Ok(stream) => stream,
        Err(error) => {
            seen.failure = Some(error.to_string());
            return seen;
        }
    };
    let mut ekm = [0; 32];
    stream.ssl().export_keying_material(&mut ekm, EXPORTER_LABEL, None).unwrap();
    seen.ekm = base64url::encode(ekm);
    seen.resumed = stream.ssl().session_reused();
    while let Some(head) = head(&mut stream) {
        seen.heads.push(head);
        stream.write_all(response.as_bytes()).unwrap();
    }
    let _ = stream.shutdown();
    seen
}

fn head(stream: &mut SslStream<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}

fn certificate(key: &PKey<Private>) -> X509 {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "server").unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    let names = SubjectAlternativeName::new()
        .ip("127.0.0.1")
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(key, MessageDigest::null()).unwrap();
    builder.build()
}
