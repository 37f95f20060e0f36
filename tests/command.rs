//! The command `auth-bound`, run as an operator runs it.

#![cfg(feature = "command")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may"
)]

mod workshop;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use auth_bound::jose::{Algorithm, KeySet, base64url, jwk_thumbprint};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use serde_json::Value;
use workshop::{Answer, Workshop};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://api.example";

impl Workshop {
    /// One with a key, its JWK Set and the certificates of alice and bob.
    fn furnished(name: &str) -> Self {
        let workshop = Self::new(name);
        workshop.run("keys new --alg ES256 --out key.pem").good();
        let jwks = workshop.run("keys jwks key.pem").good();
        workshop.put("jwks.json", jwks);
        for client in ["alice", "bob"] {
            workshop.put(&format!("{client}.pem"), certificate(client).to_pem().unwrap());
        }
        workshop
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), content).unwrap();
    }

    fn get(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// Issues a token with further words.
    fn issue(&self, words: &str) -> String {
        let token = self.run(&issuing(words)).good();
        token.trim_end().to_owned()
    }

    /// Verifies a token with further words.
    fn verify(&self, token: &str, words: &str) -> Answer {
        let command = format!(
            "token verify --jwks jwks.json --issuer {ISSUER} --audience {AUDIENCE} {words}"
        );
        self.feed(command.trim_end(), token.as_bytes())
    }
}

fn issuing(words: &str) -> String {
    format!(
        "token issue --key key.pem --issuer {ISSUER} --audience {AUDIENCE} --subject alice {words}"
    )
}

fn certificate(name: &str) -> X509 {
    let key = PKey::generate_ed25519().unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::null()).unwrap();
    builder.build()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn part(token: &str, place: usize) -> Value {
    let part = token.split('.').nth(place).unwrap();
    serde_json::from_slice(&base64url::decode(part).unwrap()).unwrap()
}

#[test]
fn a_thumbprint_is_printed_as_in_cnf() {
    let workshop = Workshop::new("thumbprint");
    let vectors = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/certificates.json"));
    let vector: Value = serde_json::from_slice(&vectors.unwrap()).unwrap();
    let lines: Vec<_> =
        vector[0]["pem"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let pem = lines.join("\n");
    workshop.put("a.pem", &pem);
    workshop.put("a.der", X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap());
    let expected = format!("{}\n", vector[0]["thumbprint"].as_str().unwrap());
    assert_eq!(workshop.run("thumbprint a.pem").good(), expected);
    assert_eq!(workshop.run("thumbprint a.der").good(), expected);
    assert_eq!(workshop.feed("thumbprint -", pem.as_bytes()).good(), expected);
    workshop.put("empty.pem", "");
    workshop.run("thumbprint empty.pem").refused("empty.pem: no certificate in PEM or DER");
    workshop.run("thumbprint nowhere.pem").refused("nowhere.pem: No such file or directory");
    workshop.run("thumbprint").misused("required");
}

#[test]
fn a_new_key_is_its_owner_s_alone_and_never_overwritten() {
    let workshop = Workshop::new("keys-new");
    let answer = workshop.run("keys new --alg ES256 --out key.pem");
    assert_eq!((answer.status, answer.stdout.as_str()), (0, ""), "{answer:?}");
    let mode = fs::metadata(workshop.0.join("key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = workshop.get("key.pem");
    PKey::private_key_from_pem(before.as_bytes()).unwrap();
    workshop
        .run("keys new --alg ES256 --out key.pem")
        .refused("key.pem: exists already, and a key is not overwritten");
    assert_eq!(workshop.get("key.pem"), before);
    workshop.run("keys new --alg ES256 --out no/key.pem").refused("no/key.pem: No such file");
    workshop.run("keys new --alg HS256").misused("RS256");
    workshop.run("keys new").misused("--alg");
    workshop
        .start(&["keys", "new", "--alg", "ES256", "--kid", "a\nalg: RS256"], b"")
        .misused("printable text");
}

#[test]
fn keys_of_every_algorithm_are_published_and_sign() {
    let workshop = Workshop::furnished("algorithms");
    for algorithm in Algorithm::ALL {
        let pem = workshop.run(&format!("keys new --alg {algorithm}")).good();
        workshop.put("key.pem", pem);
        let jwks = workshop.run("keys jwks key.pem").good();
        let set = KeySet::parse(jwks.as_bytes()).unwrap();
        let jwk = json(&jwks)["keys"][0].as_object().unwrap().clone();
        assert!(set.skipped().is_empty() && !jwk.contains_key("d"), "{jwks}");
        assert_eq!(jwk["alg"], algorithm.name());
        assert_eq!(jwk["use"], "sig");
        assert_eq!(jwk["kid"], jwk_thumbprint(&jwk).unwrap().to_string());
        workshop.put("jwks.json", jwks);
        let token = workshop.issue("--cert alice.pem");
        assert_eq!(part(&token, 0)["alg"], algorithm.name());
        assert_eq!(part(&token, 0)["kid"], jwk["kid"]);
        workshop.verify(&token, "--cert alice.pem").good();
    }
}

#[test]
fn a_key_keeps_the_name_that_it_was_given() {
    let workshop = Workshop::furnished("kid");
    workshop.run("keys new --alg PS384 --kid 2026-a --out named.pem").good();
    let published = |words: &str| {
        let jwks = json(&workshop.run(words).good());
        let keys = jwks["keys"].as_array().unwrap().clone();
        let fact = |key: &Value| format!("{} {}", key["kid"], key["alg"]).replace('"', "");
        keys.iter().map(fact).collect::<Vec<_>>()
    };
    assert_eq!(published("keys jwks named.pem"), ["2026-a PS384"]);
    assert_eq!(published("keys jwks named.pem --kid b --alg RS512"), ["b RS512"]);
    assert_eq!(published("keys jwks named.pem key.pem --kid b --kid c"), ["b PS384", "c ES256"]);
    workshop
        .run("keys jwks named.pem key.pem --kid b")
        .refused("--kid: got 1, expected one for each of 2 keys");
    workshop.run("keys jwks key.pem key.pem").refused("key.pem: a second key with the kid");
    workshop
        .run("keys jwks key.pem --alg RS256")
        .refused("key.pem: the key cannot sign with RS256");
    workshop.run("keys jwks alice.pem").refused("alice.pem: no unencrypted private key in PEM");
    workshop.put("key.pem", workshop.get("named.pem"));
    let header = part(&workshop.issue("--unbound"), 0);
    assert_eq!((&header["kid"], &header["alg"]), (&"2026-a".into(), &"PS384".into()));
}

#[test]
fn keys_made_elsewhere_are_read_if_they_are_any_good() {
    let workshop = Workshop::new("foreign");
    let rsa = |bits| Rsa::generate(bits).unwrap();
    workshop.put("rsa.pem", rsa(2048).private_key_to_pem().unwrap());
    workshop.put("weak.pem", rsa(1024).private_key_to_pem().unwrap());
    let encrypted = rsa(2048).private_key_to_pem_passphrase(Cipher::aes_128_cbc(), b"secret");
    workshop.put("encrypted.pem", encrypted.unwrap());
    let jwk = |words: &str| json(&workshop.run(words).good())["keys"][0].clone();
    assert_eq!(jwk("keys jwks rsa.pem")["alg"], "RS256");
    assert_eq!(jwk("keys jwks rsa.pem --alg PS512")["alg"], "PS512");
    workshop.run("keys jwks weak.pem").refused("weak.pem: an RSA key of 1024 bits");
    workshop.run("keys jwks encrypted.pem").refused("encrypted.pem: no unencrypted private key");
}

#[test]
fn a_token_says_what_it_was_asked_to() {
    let workshop = Workshop::furnished("issue");
    let thumbprint = workshop.run("thumbprint alice.pem").good();
    let token = workshop.issue(
        "--cert alice.pem --lifetime 5m --scope read --client-id app --claim level=3 \
         --claim groups=[\"a\",\"b\"] --claim department=sales --claim note=a=b --typ JWT",
    );
    let (header, claims) = (part(&token, 0), part(&token, 1));
    assert_eq!(header["typ"], "JWT");
    for (name, expected) in [
        ("iss", json(&format!("{ISSUER:?}"))),
        ("aud", json(&format!("{AUDIENCE:?}"))),
        ("sub", json("\"alice\"")),
        ("client_id", json("\"app\"")),
        ("scope", json("\"read\"")),
        ("level", json("3")),
        ("groups", json(r#"["a","b"]"#)),
        ("department", json("\"sales\"")),
        ("note", json("\"a=b\"")),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert_eq!(claims["cnf"]["x5t#S256"], thumbprint.trim_end());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    let other = workshop.issue("--unbound");
    assert_ne!(claims["jti"], part(&other, 1)["jti"]);
    assert_eq!(part(&other, 0)["typ"], "at+jwt");
    assert_eq!(part(&other, 1)["client_id"], "alice");
    assert!(part(&other, 1).get("cnf").is_none());
}

#[test]
fn issuing_needs_a_decision_about_binding() {
    let workshop = Workshop::furnished("misuse");
    let issue = |words: &str| workshop.run(issuing(words).trim_end());
    issue("").misused("--cert <FILE>|--tbh <HASH>|--unbound");
    issue("--cert alice.pem --unbound").misused("cannot be used with");
    issue("--tbh AAAA").misused("expected a SHA-256 hash in base64url");
    issue("--unbound --lifetime 0s").misused("expected a duration from 1s");
    issue("--unbound --lifetime 60").misused("written with its unit");
    issue("--unbound --claim level").misused("expected a name, = and a value");
    issue("--unbound --alg RS256").refused("key.pem: the key cannot sign with RS256");
    issue("--cert key.pem").refused("key.pem: no certificate in PEM or DER");
}

#[test]
fn an_accepted_token_s_claims_are_printed() {
    let workshop = Workshop::furnished("accepted");
    let token = workshop.issue("--cert alice.pem --scope read");
    let answer = workshop.verify(&token, "--cert alice.pem");
    assert_eq!(answer.stderr, "auth-bound: accepted, bound to the client's certificate\n");
    assert_eq!(json(&answer.good())["scope"], "read");
    for (words, stdin) in [("-", format!("\n{token}\r\n")), (token.as_str(), String::new())] {
        let answer = workshop.verify(&stdin, &format!("--cert alice.pem {words}"));
        assert_eq!(answer.status, 0, "{answer:?}");
    }
    let bearer = workshop.issue("--unbound");
    let answer = workshop.verify(&bearer, "--bearer");
    assert_eq!(answer.stderr, "auth-bound: accepted, bound to nothing\n");
    workshop.verify(" \n", "").refused("no token: give it as the argument or on standard input");
}

/// How the token is issued, how it is verified, and why it is refused.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("", "--cert bob.pem", "AB1212 certificate-mismatch"),
    ("", "", "AB1211 certificate-missing"),
    ("", "--bearer", "AB1211 certificate-missing"),
    ("", "{alice} --at 2099-12-31T23:59:59Z", "AB1113 token-exp"),
    ("", "{alice} --at 1000", "AB1115 token-issued-in-future"),
    ("--claim nbf=4000000000", "{alice}", "AB1114 token-not-yet"),
    ("--claim exp=null", "{alice}", "AB1112 claim-malformed"),
    ("--claim iss=https://evil", "{alice}", "AB1107 issuer-not-tr"),
    ("--claim aud=x", "{alice}", "AB1116 audience-mismatch"),
    ("--claim cnf={\"kid\":1}", "{alice}", "AB1203 confirmation"),
    ("--typ dpop+jwt", "{alice}", "AB1105 type-not-accepted"),
    ("--kid other", "{alice}", "AB1108 key-unknown"),
];

#[test]
fn a_refused_token_is_refused_by_number() {
    let workshop = Workshop::furnished("refused");
    for (issuing, verifying, line) in REFUSALS {
        let words = format!("--cert alice.pem {issuing}");
        let token = workshop.issue(words.trim_end());
        let answer = workshop.verify(&token, &verifying.replace("{alice}", "--cert alice.pem"));
        answer.refused(line);
        let signature = token.rsplit('.').next().unwrap();
        assert!(!answer.stderr.contains(signature), "{answer:?}");
    }
}

#[test]
fn what_was_not_issued_is_refused() {
    let workshop = Workshop::furnished("altered");
    let unbound = workshop.issue("--unbound");
    let verify = |token: &str| workshop.verify(token, "--cert alice.pem");
    verify(&unbound).refused("AB1201 confirmation-missing");
    verify("opaque").refused("AB1102 token-malformed");
    let (input, signature) = unbound.rsplit_once('.').unwrap();
    let mut signature = base64url::decode(signature).unwrap();
    signature[40] ^= 1;
    let altered = format!("{input}.{}", base64url::encode(signature));
    verify(&altered).refused("AB1110 signature-invalid");
    workshop.put("jwks.json", "{}");
    verify(&unbound).refused("jwks.json: not a JWK Set");
}

#[test]
fn a_key_that_is_published_but_not_used_is_named() {
    let workshop = Workshop::furnished("skipped");
    let token = workshop.issue("--cert alice.pem --kid enc");
    let jwks = workshop.get("jwks.json");
    let mut keys = json(&jwks)["keys"].as_array().unwrap().clone();
    keys.push(keys[0].clone());
    keys[1]["kid"] = "enc".into();
    keys[1]["use"] = "enc".into();
    workshop.put("jwks.json", serde_json::json!({ "keys": keys }).to_string());
    let answer = workshop.verify(&token, "--cert alice.pem");
    assert_eq!(answer.status, 1);
    assert!(answer.stderr.contains("AB1108 key-unknown"), "{answer:?}");
    let note = "jwks.json: its key \"enc\" is not used: its use or key_ops is not for verifying";
    assert!(answer.stderr.contains(note), "{answer:?}");
}

#[test]
fn inspection_shows_what_there_is_and_checks_what_it_can() {
    let workshop = Workshop::furnished("inspect");
    let token = workshop.issue("--cert alice.pem");
    let thumbprint = workshop.run("thumbprint alice.pem").good();
    let inspect = |words: &str| {
        let command = format!("token inspect {words}");
        workshop.feed(command.trim_end(), token.as_bytes()).good()
    };
    let page = inspect("");
    for line in [
        "  \"typ\": \"at+jwt\"",
        "  \"sub\": \"alice\"",
        "  expires 2",
        ", in 1 hour",
        &format!("\n  certificate {thumbprint}"),
        "  holds  lifetime\n",
        "  open   issuer: not checked without --issuer\n",
        "  open   signature: not checked without --jwks\n",
        "  open   audience: not checked without --audience\n",
        "  open   possession: not checked without --cert\n",
    ] {
        let minutes = line.replace("in 1 hour", "in 59 minutes");
        assert!(page.contains(line) || page.contains(&minutes), "{line} in {page}");
    }
    let page = inspect(&format!(
        "--jwks jwks.json --cert alice.pem --issuer {ISSUER} --audience {AUDIENCE}"
    ));
    assert!(!page.contains("fails") && !page.contains("open "), "{page}");
    let page = inspect("--jwks jwks.json --cert bob.pem --audience x --at 2099-01-01T00:00:00Z");
    for line in [
        "  holds  signature\n",
        "  fails  lifetime: AB1113 token-expired",
        "  fails  audience: AB1116 audience-mismatch",
        "  fails  possession: AB1212 certificate-mismatch",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    assert!(inspect("--issuer https://x.example").contains("fails  issuer: AB1107"));
}

#[test]
fn inspection_is_not_put_off_by_broken_tokens() {
    let workshop = Workshop::furnished("broken");
    let header = base64url::encode(r#"{"alg":"none","crit":["x"]}"#);
    let claims = base64url::encode("{\"sub\":\"\u{9b}31m\\u001b[1m\",\"exp\":\"soon\",\"cnf\":1}");
    let page = workshop.feed("token inspect -", format!("{header}.{claims}.").as_bytes()).good();
    assert!(!page.contains(['\u{1b}', '\u{9b}']), "{page:?}");
    for line in [
        "\"alg\": \"none\"",
        r#""sub": "\u009b31m\u001b[1m""#,
        "expires at no time: exp is no number",
        "something that cannot be proved",
        "fails  form: AB1104 crit-not-understood",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    let unbound = workshop.issue("--unbound");
    let page = workshop.feed("token inspect", unbound.as_bytes()).good();
    assert!(page.contains("nothing: whoever has this token may use it"), "{page}");
    assert!(page.contains("fails  confirmation: AB1201 confirmation-missing"), "{page}");
    let page = workshop.run("token inspect opaque").good();
    assert!(page.contains("fails  form: AB1102 token-malformed"), "{page}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let workshop = Workshop::furnished("pipe");
    let token = workshop.issue("--unbound");
    let mut child = Command::new(env!("CARGO_BIN_EXE_auth-bound"))
        .args(["token", "inspect"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn help_explains_by_example() {
    let workshop = Workshop::new("help");
    for words in [
        "--help",
        "thumbprint --help",
        "keys new --help",
        "keys jwks --help",
        "token issue --help",
        "token verify --help",
        "token inspect --help",
    ] {
        let help = workshop.run(words).good();
        assert!(help.contains("Example") && help.contains("  auth-bound "), "{help}");
    }
    let version = workshop.run("--version").good();
    assert_eq!(version.trim_end(), concat!("auth-bound ", env!("CARGO_PKG_VERSION")));
    workshop.run("tokens").misused("unrecognized subcommand");
}
