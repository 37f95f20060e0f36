//! `auth-bound tb`, run as an operator runs it; `tb get` against a TLS server of our own that
//! answers the extension `token_binding` as it is told.

#![cfg(feature = "command")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may"
)]

mod workshop;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use auth_bound::jose::base64url;
use auth_bound::token_binding::{
    BindingType, Context, EXPORTER_LABEL, EXTENSION, Ekm, KeyParameters, Offer, Parameters,
    PublicKey, TokenBinding, TokenBindingId, Version, message,
};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::ssl::{
    ExtensionContext, Ssl, SslAcceptor, SslMethod, SslOptions, SslRef, SslSessionCacheMode,
    SslStream,
};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder, X509NameBuilder, X509Ref};
use serde_json::{Value, json};
use workshop::{Answer, Workshop};

use KeyParameters::{EcdsaP256, Rsa2048Pkcs15, Rsa2048Pss};

impl Answer {
    /// Standard output without its end of line.
    fn line(self) -> String {
        self.good().trim_end().to_owned()
    }

    /// The lines of `--show`.
    fn reports(&self) -> Vec<Value> {
        assert_eq!(self.status, 0, "{self:?}");
        self.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Workshop {
    /// One with a key of each kind: `ec.pem`, `rsa.pem`.
    fn with_keys(name: &str) -> Self {
        let workshop = Self::new(name);
        workshop.tb("key new --out ec.pem").line();
        workshop.tb("key new --parameters rsa2048_pss --out rsa.pem").line();
        workshop
    }

    /// Runs `auth-bound tb` with these words.
    fn tb(&self, words: &str) -> Answer {
        self.run(&format!("tb {words}"))
    }

    fn feed_tb(&self, words: &str, stdin: &[u8]) -> Answer {
        self.feed(&format!("tb {words}"), stdin)
    }

    /// Verifies a message for a connection.
    fn verify(&self, message: &str, context: &Context) -> Answer {
        self.feed_tb(&format!("verify --context {}", context.to_header()), message.as_bytes())
    }

    /// The Token Binding ID of a key.
    fn id(&self, key: &str, parameters: KeyParameters) -> String {
        let line = self.tb(&format!("key id --key-parameters {} {key}", parameters.name())).line();
        line.split(' ').nth(1).unwrap().to_owned()
    }
}

fn channel(key_parameters: KeyParameters, ekm: u8) -> Context {
    let parameters = Parameters { version: Version::LATEST, key_parameters };
    Context { parameters, ekm: Ekm([ekm; 32]) }
}

const fn key_file(parameters: KeyParameters) -> &'static str {
    match parameters {
        EcdsaP256 => "ec.pem",
        Rsa2048Pkcs15 | Rsa2048Pss => "rsa.pem",
    }
}

// --- keys and messages ---

#[test]
fn keys_are_for_their_owner_and_have_an_id_for_each_use() {
    let workshop = Workshop::with_keys("keys");
    for name in ["ec.pem", "rsa.pem"] {
        let path = workshop.0.join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&path).unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        workshop.tb(&format!("key new --out {name}")).refused("exists already");
    }
    let words = |name: &str| -> Vec<Vec<String>> {
        let lines = workshop.tb(&format!("key id {name}")).line();
        lines.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    };
    let (ec, rsa) = (words("ec.pem"), words("rsa.pem"));
    let names: Vec<_> = ec.iter().chain(&rsa).map(|words| words[0].as_str()).collect();
    assert_eq!(names, ["ecdsap256", "rsa2048_pss", "rsa2048_pkcs1.5"]);
    for words in ec.iter().chain(&rsa) {
        let id = base64url::decode(&words[1]).unwrap();
        assert_eq!(words[2], base64url::encode(openssl::sha::sha256(&id)));
        let parsed = TokenBindingId::parse(&id).unwrap();
        assert_eq!(parsed.key_parameters().unwrap().name(), words[0]);
    }
    // Only the number of the parameters tells the two IDs of an RSA key from each other.
    let [pss, pkcs] = [&rsa[0][1], &rsa[1][1]].map(|id| base64url::decode(id).unwrap());
    assert_eq!((pss[0], pkcs[0]), (1, 0));
    assert_eq!(pss[1..], pkcs[1..]);
    workshop.tb("key id --key-parameters ecdsap256 rsa.pem").refused("the key cannot do that");
}

#[test]
fn other_keys_are_refused() {
    let workshop = Workshop::new("other-keys");
    for (name, key) in [
        ("ed25519.pem", PKey::generate_ed25519().unwrap()),
        ("short.pem", PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap()),
    ] {
        fs::write(workshop.0.join(name), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        workshop.tb(&format!("key id {name}")).refused("no key of Token Binding");
    }
    fs::write(workshop.0.join("none.pem"), "nothing").unwrap();
    workshop.tb("key id none.pem").refused("no unencrypted private key");
}

#[test]
fn messages_hold_for_their_connection_only() {
    let workshop = Workshop::with_keys("messages");
    for parameters in [EcdsaP256, Rsa2048Pss, Rsa2048Pkcs15] {
        let (here, key) = (channel(parameters, 1), key_file(parameters));
        let words = format!("message --key {key} --context {}", here.to_header());
        let message = workshop.tb(&words).line();
        let id = workshop.id(key, parameters);
        assert_eq!(workshop.verify(&message, &here).line(), format!("verified: provided {id}"));
        // The same connection in other words.
        let ekm = base64url::encode(here.ekm.0);
        let words = format!("--ekm {ekm} --key-parameters {}", parameters.name());
        let same = workshop.tb(&format!("message --key {key} {words}")).line();
        workshop.feed_tb(&format!("verify {words} -"), same.as_bytes()).line();

        workshop.verify(&message, &channel(parameters, 2)).refused("signature does not hold");
        for other in KeyParameters::ALL.iter().filter(|other| **other != parameters) {
            workshop.verify(&message, &channel(*other, 1)).refused("negotiated");
        }
    }
}

#[test]
fn a_referred_binding_stands_beside_the_provided_one() {
    let workshop = Workshop::with_keys("referred");
    let here = channel(EcdsaP256, 1);
    let words = format!(
        "message --key ec.pem --referred rsa.pem --referred-key-parameters rsa2048_pkcs1.5 \
         --context {}",
        here.to_header()
    );
    let message = workshop.tb(&words).line();
    let (provided, referred) =
        (workshop.id("ec.pem", EcdsaP256), workshop.id("rsa.pem", Rsa2048Pkcs15));
    assert_eq!(
        workshop.verify(&message, &here).line(),
        format!("verified: provided {provided}, referred {referred}")
    );
    let shown: Value =
        serde_json::from_str(&workshop.tb(&format!("inspect {message}")).line()).unwrap();
    let tbh = |id: &str| base64url::encode(openssl::sha::sha256(&base64url::decode(id).unwrap()));
    let expected = json!({ "bindings": [
        { "type": "provided", "key_parameters": "ecdsap256", "id": provided,
          "tbh": tbh(&provided), "signature_length": 64, "extensions": "" },
        { "type": "referred", "key_parameters": "rsa2048_pkcs1.5", "id": referred,
          "tbh": tbh(&referred), "signature_length": 256, "extensions": "" },
    ]});
    assert_eq!(shown, expected);
}

#[test]
fn wrong_words_are_explained() {
    let workshop = Workshop::with_keys("words");
    let ekm = base64url::encode([1; 32]);
    workshop.tb("verify AAAA").misused("--ekm");
    workshop.tb(&format!("verify --ekm {ekm} AAAA")).misused("--key-parameters");
    workshop.tb("verify --ekm AAAA --key-parameters ecdsap256 AAAA").misused("43 characters");
    workshop.tb("verify --context AAAA AAAA").misused("47 characters");
    workshop.tb(&format!("message --ekm {ekm}")).misused("--key");
    workshop
        .tb(&format!("message --key ec.pem --ekm {ekm} --key-parameters rsa2048_pss"))
        .refused("the key cannot do that");
    workshop.tb("inspect").refused("no message");
    workshop.tb("inspect AA==").refused("not canonical base64url");
    workshop.tb("inspect AAAA").refused("not a Token Binding message");
    workshop.tb("get http://127.0.0.1/").refused("only https");
    workshop
        .tb("get --key ec.pem --key-parameters rsa2048_pss https://127.0.0.1/")
        .refused("no key does");
}

// --- wrong messages ---

/// A key that signs as it is told.
struct Forger {
    private: PKey<Private>,
    /// The key as a Token Binding ID has it.
    id: Vec<u8>,
    parameters: KeyParameters,
}

impl Forger {
    fn elliptic() -> Self {
        use openssl::bn::{BigNum, BigNumContext};
        use openssl::ec::{EcGroup, EcKey};
        let key =
            EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).unwrap();
        let point = [x.to_vec_padded(32).unwrap(), y.to_vec_padded(32).unwrap()].concat();
        let id = TokenBindingId::encode(EcdsaP256, &PublicKey::Point(&point));
        Self { private: PKey::from_ec_key(key).unwrap(), id, parameters: EcdsaP256 }
    }

    fn rsa(bits: u32, parameters: KeyParameters) -> Self {
        let rsa = Rsa::generate(bits).unwrap();
        let (modulus, exponent) = (rsa.n().to_vec(), rsa.e().to_vec());
        let key = PublicKey::Rsa { modulus: &modulus, exponent: &exponent };
        let id = TokenBindingId::encode(parameters, &key);
        Self { private: PKey::from_rsa(rsa).unwrap(), id, parameters }
    }

    /// A signature in DER where it is one by P-256; with a salt of this length where it has one.
    fn sign(&self, binding_type: BindingType, context: &Context, salt: i32) -> Vec<u8> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.private).unwrap();
        if self.parameters == Rsa2048Pss {
            signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt)).unwrap();
        }
        let input = context.signature_input(binding_type.number(), self.parameters);
        signer.sign_oneshot_to_vec(&input).unwrap()
    }

    /// A right one.
    fn signature(&self, binding_type: BindingType, context: &Context) -> Vec<u8> {
        let signature = self.sign(binding_type, context, 32);
        if self.parameters != EcdsaP256 {
            return signature;
        }
        let signature = openssl::ecdsa::EcdsaSig::from_der(&signature).unwrap();
        let (r, s) = (signature.r(), signature.s());
        [r.to_vec_padded(32).unwrap(), s.to_vec_padded(32).unwrap()].concat()
    }
}

/// The message of bindings given by type, ID and signature.
fn forged(bindings: &[(BindingType, &[u8], &[u8])]) -> String {
    let bindings: Vec<_> = bindings
        .iter()
        .map(|(binding_type, id, signature)| TokenBinding {
            binding_type: *binding_type,
            id: TokenBindingId::parse(id).unwrap(),
            signature,
            extensions: &[],
        })
        .collect();
    base64url::encode(message(&bindings))
}

#[test]
fn the_number_of_bindings_is_checked() {
    let workshop = Workshop::new("count");
    let (here, key) = (channel(EcdsaP256, 1), Forger::elliptic());
    let [provided, referred, other] =
        [BindingType::Provided, BindingType::Referred, BindingType::Other(0x4d)]
            .map(|binding_type| (binding_type, key.signature(binding_type, &here)));
    let of = |list: &[&(BindingType, Vec<u8>)]| {
        let list: Vec<_> =
            list.iter().map(|(kind, signature)| (*kind, &key.id[..], &signature[..])).collect();
        workshop.verify(&forged(&list), &here)
    };
    let right = of(&[&other, &referred, &provided, &other]).line();
    assert_eq!(right.matches(", ").count(), 3, "{right}");
    assert!(right.starts_with("verified: 4d "), "{right}");
    for list in
        [&[&referred][..], &[&other], &[&provided, &provided], &[&provided, &referred, &referred]]
    {
        of(list).refused("bindings where");
    }
}

#[test]
fn wrong_signatures_are_refused() {
    let workshop = Workshop::new("signatures");
    let provided = BindingType::Provided;
    let refused = |key: &Forger, signature: &[u8]| {
        let message = forged(&[(provided, &key.id, signature)]);
        workshop.verify(&message, &channel(key.parameters, 1)).refused("signature does not hold");
    };
    let key = Forger::elliptic();
    let here = channel(EcdsaP256, 1);
    let right = key.signature(provided, &here);
    workshop.verify(&forged(&[(provided, &key.id, &right)]), &here).line();
    refused(&key, &key.sign(provided, &here, 0));
    refused(&key, &key.signature(BindingType::Referred, &here));
    refused(&key, &[0; 64]);
    refused(&key, &[&right[..], &[0]].concat());

    for parameters in [Rsa2048Pss, Rsa2048Pkcs15] {
        let key = Forger::rsa(2048, parameters);
        let here = channel(parameters, 1);
        let right = key.signature(provided, &here);
        workshop.verify(&forged(&[(provided, &key.id, &right)]), &here).line();
        if parameters == Rsa2048Pss {
            refused(&key, &key.sign(provided, &here, 20));
            refused(&key, &key.sign(provided, &here, 0));
        }
        refused(&key, &right[..255]);
        refused(&key, &[&[0], &right[..]].concat());
    }
}

#[test]
fn wrong_keys_are_refused() {
    let workshop = Workshop::new("wrong-keys");
    let provided = BindingType::Provided;
    let here = channel(EcdsaP256, 1);
    let key = Forger::elliptic();
    let signature = key.signature(provided, &here);
    let mut off_the_curve = key.id.clone();
    *off_the_curve.last_mut().unwrap() ^= 1;
    let uncompressed = [&[4], &key.id[4..]].concat();
    for id in [
        off_the_curve,
        TokenBindingId::encode(EcdsaP256, &PublicKey::Point(&uncompressed)),
        TokenBindingId::encode(EcdsaP256, &PublicKey::Point(&[])),
    ] {
        // A second binding makes it long enough to be a message, whatever the key.
        let other = (BindingType::Other(9), &key.id[..], &signature[..]);
        let message = forged(&[(provided, &id, &signature), other]);
        workshop.verify(&message, &here).refused("the provided binding's key is none");
    }
    for bits in [1024, 3072] {
        let key = Forger::rsa(bits, Rsa2048Pkcs15);
        let here = channel(Rsa2048Pkcs15, 1);
        let message = forged(&[(provided, &key.id, &key.signature(provided, &here))]);
        workshop.verify(&message, &here).refused("the provided binding's key is none");
    }
}

#[test]
fn unknown_key_parameters_are_not_checked_and_said_to_be_so() {
    let workshop = Workshop::new("unknown");
    let (here, key) = (channel(EcdsaP256, 1), Forger::elliptic());
    let signature = key.signature(BindingType::Provided, &here);
    let mut unknown = key.id.clone();
    unknown[0] = 96;
    let message = forged(&[
        (BindingType::Provided, &key.id, &signature),
        (BindingType::Referred, &unknown, &[1; 64]),
    ]);
    let said = workshop.verify(&message, &here).line();
    assert!(said.ends_with(&format!(", referred {} not checked", base64url::encode(&unknown))));
    let message = forged(&[(BindingType::Provided, &unknown, &[1; 64])]);
    workshop.verify(&message, &here).refused("key parameters are 96");
}

// --- vectors ---

#[test]
fn published_messages_are_judged_as_published() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/vectors/token_binding/vectors.json");
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let workshop = Workshop::new("vectors");
    let (mut held, mut refused) = (0, 0);
    for vector in vectors["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let message = vector["message_b64url"].as_str().unwrap();
        inspected_as_published(&workshop, name, vector);
        let (Some(ekm), Some(number)) =
            (vector["ekm_b64url"].as_str(), vector["negotiated_key_parameters"].as_u64())
        else {
            continue;
        };
        let negotiated = KeyParameters::from_number(u8::try_from(number).unwrap()).unwrap();
        let words = format!("verify --ekm {ekm} --key-parameters {}", negotiated.name());
        let answer = workshop.feed_tb(&words, message.as_bytes());
        if let Some(error) = vector["expected"].get("error") {
            assert_eq!(answer.status, 1, "{name} ({error}): {answer:?}");
            refused += 1;
        } else {
            let said = answer.line();
            let provided = vector["expected"]["provided"].as_str().unwrap();
            assert!(said.contains(&format!("provided {provided}")), "{name}: {said}");
            held += 1;
        }
    }
    assert!(held > 10 && refused > 1, "{held} held, {refused} refused");
}

/// What `tb inspect` shows of a message whose bindings are published.
fn inspected_as_published(workshop: &Workshop, name: &str, vector: &Value) {
    let message = vector["message_b64url"].as_str().unwrap();
    let answer = workshop.feed_tb("inspect -", message.as_bytes());
    let Some(bindings) = vector.get("bindings").and_then(Value::as_array) else { return };
    if answer.status != 0 {
        // Only what is said to be wrong may be unreadable.
        assert!(vector["expected"].get("error").is_some(), "{name}: {answer:?}");
        return;
    }
    let shown: Value = serde_json::from_str(&answer.line()).unwrap();
    let shown = shown["bindings"].as_array().unwrap();
    assert_eq!(shown.len(), bindings.len(), "{name}");
    for (shown, binding) in shown.iter().zip(bindings) {
        assert_eq!(shown["id"], binding["token_binding_id"], "{name}");
        if binding.get("tbh").is_some() {
            assert_eq!(shown["tbh"], binding["tbh"], "{name}");
        }
    }
}

// --- a server that answers the extension as it is told ---

/// Whether and with what the server answers the extension; the argument is what the client sent.
type Answering = fn(&[u8]) -> Option<Vec<u8>>;

/// How the server is.
struct Rules {
    answering: Answering,
    options: SslOptions,
    groups: Option<&'static str>,
    /// Whether it can resume sessions that it would have to remember.
    keeps_sessions: bool,
    response: &'static str,
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
struct Seen {
    /// Why there was no handshake.
    failure: Option<String>,
    /// The extension's bodies, one for each ClientHello.
    offers: Vec<Vec<u8>>,
    ekm: String,
    resumed: bool,
    /// The heads of the requests.
    heads: Vec<String>,
}

impl Seen {
    /// The values of `Sec-Token-Binding` in a request.
    fn messages(&self, request: usize) -> Vec<&str> {
        let lines = self.heads[request].lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(name, _)| *name == "sec-token-binding").map(|(_, value)| value).collect()
    }
}

struct Server {
    port: u16,
    certificate: X509,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Seen>>,
}

impl Server {
    fn start(rules: Rules) -> Self {
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
    fn get(&self, workshop: &Workshop, words: &str) -> Answer {
        let ca = self.certificate.to_pem().unwrap();
        fs::write(workshop.0.join("ca.pem"), ca).unwrap();
        workshop.tb(&format!("get --ca ca.pem {words} https://127.0.0.1:{}/path?query", self.port))
    }

    /// What it saw, when the clients have gone.
    fn finish(self) -> Vec<Seen> {
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

// --- get ---

#[test]
fn get_proves_its_key_on_full_and_resumed_connections() {
    let workshop = Workshop::with_keys("get");
    for tls in ["1.2", "1.3"] {
        for parameters in [EcdsaP256, Rsa2048Pss, Rsa2048Pkcs15] {
            let key = key_file(parameters);
            let server = Server::start(Rules::default());
            let words = format!(
                "--key {key} --key-parameters {} --tls {tls} --requests 2 --resume --show",
                parameters.name()
            );
            let answer = server.get(&workshop, &words);
            assert_eq!(answer.stdout, "hello".repeat(4));
            let (reports, seen) = (answer.reports(), server.finish());
            assert_eq!((reports.len(), seen.len()), (4, 2));
            let id = workshop.id(key, parameters);
            for (place, connection) in seen.iter().enumerate() {
                assert_eq!(connection.resumed, place == 1, "{tls}: {connection:?}");
                assert_eq!(connection.offers, [[1, 0, 1, parameters.number()]]);
                let reports = &reports[2 * place..2 * place + 2];
                proved(&workshop, connection, reports, (tls, parameters, &id));
            }
            assert_ne!(seen[0].ekm, seen[1].ekm);
            assert_ne!(seen[0].messages(0), seen[1].messages(0));
        }
    }
}

/// Both ends agree about a connection with two requests, and what was sent holds there.
fn proved(
    workshop: &Workshop,
    seen: &Seen,
    reports: &[Value],
    (tls, parameters, id): (&str, KeyParameters, &str),
) {
    for (request, report) in reports.iter().enumerate() {
        assert_eq!(report["tls"], format!("TLSv{tls}"));
        assert_eq!(report["resumed"], seen.resumed);
        assert_eq!(report["negotiated"]["key_parameters"], parameters.name());
        assert_eq!(report["negotiated"]["version"], "1.0");
        assert_eq!(report["ekm"], seen.ekm);
        assert_eq!(report["provided"]["id"], id);
        assert_eq!(report["status"], 200);
        assert_eq!(json!(seen.messages(request)), report["sent"]);
        let [message] = seen.messages(request)[..] else { panic!("{seen:?}") };
        let words = format!("verify --ekm {} --key-parameters {}", seen.ekm, parameters.name());
        let said = workshop.feed_tb(&words, message.as_bytes()).line();
        assert_eq!(said, format!("verified: provided {id}"));
        let context = report["context"].as_str().unwrap();
        workshop.feed_tb(&format!("verify --context {context}"), message.as_bytes()).line();
    }
    assert_eq!(seen.messages(0), seen.messages(1), "one signature for each connection is enough");
}

#[test]
fn get_keeps_its_offer_through_a_hello_retry_request() {
    let workshop = Workshop::new("retry");
    // A client that guesses another group must begin anew.
    let server = Server::start(Rules { groups: Some("P-384"), ..Rules::default() });
    let answer = server.get(&workshop, "--tls 1.3 --show");
    let (reports, seen) = (answer.reports(), server.finish());
    assert_eq!(seen[0].offers, [[1, 0, 3, 2, 1, 0], [1, 0, 3, 2, 1, 0]]);
    assert_eq!(reports[0]["negotiated"]["key_parameters"], "ecdsap256");
    assert_eq!(reports[0]["ekm"], seen[0].ekm);
}

#[test]
fn get_breaks_off_when_the_answer_is_none_to_its_offer() {
    let workshop = Workshop::new("wrong-answers");
    let answers: [Answering; 7] = [
        // Another key, a second one, none, a higher version, and bytes too few or too many.
        |_| Some(vec![1, 0, 1, 1]),
        |_| Some(vec![1, 0, 2, 2, 1]),
        |_| Some(vec![1, 0, 0]),
        |_| Some(vec![1, 1, 1, 2]),
        |_| Some(vec![2, 0, 1, 2]),
        |_| Some(vec![]),
        |_| Some(vec![1, 0, 1, 2, 0]),
    ];
    for tls in ["1.2", "1.3"] {
        for answering in answers {
            let server = Server::start(Rules { answering, ..Rules::default() });
            let words = format!("--key-parameters ecdsap256 --tls {tls}");
            server.get(&workshop, &words).refused("(RFC 8472, section 4)");
            let seen = server.finish();
            let failure = seen[0].failure.as_deref().unwrap_or_default();
            assert!(failure.contains("unsupported extension"), "{tls}: {seen:?}");
        }
    }
}

#[test]
fn get_breaks_off_without_the_extended_master_secret() {
    let workshop = Workshop::new("master-secret");
    // SSL_OP_NO_EXTENDED_MASTER_SECRET
    let options = SslOptions::from_bits_retain(1);
    let server = Server::start(Rules { options, ..Rules::default() });
    server.get(&workshop, "--tls 1.2").refused("without the extended master secret");
    assert_eq!(server.get(&workshop, "--tls 1.2 --no-token-binding").line(), "hello");
    server.get(&workshop, "--tls 1.3").line();
    let seen = server.finish();
    assert!(seen[0].heads.is_empty(), "{seen:?}");
    assert_eq!(seen[1].offers, [[0; 0]; 0]);
    // TLS 1.3 needs no such extension.
    assert_eq!(seen[2].messages(0).len(), 1);
}

#[test]
fn get_goes_on_without_token_binding_when_the_server_does_not_have_it() {
    let workshop = Workshop::new("without");
    let answers: [Answering; 2] = [|_| None, |_| Some(vec![0, 13, 1, 2])];
    for tls in ["1.2", "1.3"] {
        for answering in answers {
            let server = Server::start(Rules { answering, ..Rules::default() });
            let answer = server.get(&workshop, &format!("--show --tls {tls}"));
            let (report, seen) = (&answer.reports()[0], server.finish());
            assert_eq!(answer.stdout, "hello");
            for name in ["negotiated", "context", "provided"] {
                assert_eq!(report[name], Value::Null, "{report}");
            }
            assert_eq!(seen[0].messages(0), [""; 0]);
        }
    }
}

#[test]
fn get_sends_what_it_is_told() {
    let workshop = Workshop::new("told");
    let server = Server::start(Rules::default());
    let told = [
        ("--no-token-binding", &[][..]),
        ("--no-message", &[]),
        ("--message stolen", &["stolen"]),
        ("--no-token-binding --message stolen --message again", &["stolen", "again"]),
    ];
    for (words, _) in told {
        assert_eq!(server.get(&workshop, words).line(), "hello");
    }
    let seen = server.finish();
    for ((words, messages), connection) in told.iter().zip(&seen) {
        assert_eq!(connection.messages(0), *messages, "{words}");
        assert_eq!(connection.offers.is_empty(), words.contains("--no-token-binding"), "{words}");
    }
}

#[test]
fn get_makes_a_request_as_it_is_described() {
    let workshop = Workshop::new("request");
    let response = "HTTP/1.1 403 Forbidden\r\nX-Word: no\r\nContent-Length: 2\r\n\r\nno";
    let server = Server::start(Rules { response, ..Rules::default() });
    let words = "--include --header X-First:one --header X-First:two --request DELETE";
    let head = "HTTP/1.1 403 Forbidden\nx-word: no\ncontent-length: 2\n\nno";
    assert_eq!(server.get(&workshop, words).line(), head);
    let seen = server.finish();
    let lines: Vec<_> = seen[0].heads[0].lines().collect();
    assert_eq!(lines[0], "DELETE /path?query HTTP/1.1");
    assert!(lines[1].starts_with("host: 127.0.0.1:"), "{lines:?}");
    assert!(lines.contains(&"x-first: one") && lines.contains(&"x-first: two"), "{lines:?}");
}

#[test]
fn get_trusts_only_whom_it_is_told_to_trust() {
    let workshop = Workshop::new("trust");
    let server = Server::start(Rules::default());
    let url = format!("https://127.0.0.1:{}/", server.port);
    workshop.tb(&format!("get {url}")).refused("the server's certificate: self-signed");
    assert_eq!(workshop.tb(&format!("get --insecure {url}")).line(), "hello");
    // Trusted, but under another name.
    let words = format!("get --ca ca.pem --connect 127.0.0.1:{} https://api.example/", server.port);
    server.get(&workshop, "").line();
    workshop.tb(&words).refused("the server's certificate: hostname mismatch");
    drop(server.finish());
}

#[test]
fn get_has_a_new_key_each_time() {
    let workshop = Workshop::new("new-key");
    let server = Server::start(Rules::default());
    let id = || {
        let reports = server.get(&workshop, "--show").reports();
        reports[0]["provided"]["id"].as_str().unwrap().to_owned()
    };
    assert_ne!(id(), id());
    drop(server.finish());
}

#[test]
fn get_refers_and_sees_when_it_is_asked_to() {
    let workshop = Workshop::with_keys("get-referred");
    let redirect = "HTTP/1.1 302 Found\r\nLocation: https://idp.example/\r\n\
                    Include-Referred-Token-Binding-ID: True\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(Rules { response: redirect, ..Rules::default() });
    let asked = |words: &str| server.get(&workshop, &format!("--show {words}")).reports();
    let report = &asked("--referred rsa.pem")[0];
    assert_eq!((&report["status"], &report["include_referred"]), (&json!(302), &json!(true)));
    assert_eq!(report["referred"]["id"], workshop.id("rsa.pem", Rsa2048Pss));
    // It counts only for a request that carried the header.
    assert_eq!(asked("--no-message")[0]["include_referred"], false);
    let seen = server.finish();
    let words = format!("verify --ekm {} --key-parameters ecdsap256", seen[0].ekm);
    let said = workshop.feed_tb(&words, seen[0].messages(0)[0].as_bytes()).line();
    assert!(said.contains(", referred "), "{said}");

    // Nor does it count but in a redirect.
    let plain = "HTTP/1.1 200 OK\r\nInclude-Referred-Token-Binding-ID: true\r\n\
                 Content-Length: 0\r\n\r\n";
    let server = Server::start(Rules { response: plain, ..Rules::default() });
    assert_eq!(server.get(&workshop, "--show").reports()[0]["include_referred"], false);
    drop(server.finish());
}

#[test]
fn get_resumes_sessions_that_the_server_keeps_and_says_when_it_cannot() {
    let workshop = Workshop::new("sessions");
    for tls in ["1.2", "1.3"] {
        for kept in [true, false] {
            // Without tickets that hold the session it is the server that must keep it.
            let options = SslOptions::NO_TICKET;
            let server = Server::start(Rules { options, keeps_sessions: kept, ..Rules::default() });
            let answer = server.get(&workshop, &format!("--resume --tls {tls}"));
            let seen = server.finish();
            assert_eq!(seen[1].resumed, kept, "{tls}: {seen:?}");
            assert_eq!(answer.stderr.contains("could not resume"), !kept, "{tls}: {answer:?}");
            assert_eq!(answer.line(), "hellohello");
            assert!(seen.iter().all(|seen| seen.messages(0).len() == 1));
        }
    }
}

#[test]
fn get_says_when_a_connection_ends_too_early() {
    let workshop = Workshop::new("early");
    let response = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(Rules { response, ..Rules::default() });
    server.get(&workshop, "").line();
    server.get(&workshop, "--requests 2").refused("HTTP: ");
    server.get(&workshop, "--http 2").refused("does not speak HTTP/2");
    drop(server.finish());
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    workshop.tb(&format!("get https://{nobody}/")).refused("refused");
    // Somebody who takes the call and says nothing.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = silent.local_addr().unwrap();
    workshop.tb(&format!("get --timeout 1 https://{address}/")).refused("the time is over");
}
