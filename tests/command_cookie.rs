//! `auth-bound secret` and `auth-bound cookie`, run as an operator runs them.

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
use std::os::unix::fs::PermissionsExt as _;

use auth_bound::cookie::Secret;
use auth_bound::{ClientCertificate, Thumbprint};
use serde_json::Value;
use workshop::{Answer, Workshop};

const NOW: &str = "2026-01-31T12:00:00Z";

impl Answer {
    /// Standard output, without its end of line, of a command that had nothing to say besides.
    fn line(self) -> String {
        assert_eq!(self.stderr, "", "{self:?}");
        self.good().trim_end().to_owned()
    }
}

impl Workshop {
    /// One with two secrets and a certificate.
    fn furnished(name: &str) -> Self {
        let workshop = Self::new(name);
        for secret in ["old", "new"] {
            workshop.run(&format!("secret new --out {secret}.secret")).line();
        }
        fs::write(workshop.0.join("alice.pem"), certificate()).unwrap();
        workshop
    }

    fn seal(&self, words: &str) -> Answer {
        self.run(&format!("cookie seal --at {NOW} --name SID --host app.example {words}"))
    }

    fn open(&self, words: &str, cookie: &str) -> Answer {
        let words = format!("cookie open --at {NOW} --name SID --host app.example {words}");
        self.feed(&words, cookie.as_bytes())
    }
}

/// The certificate of the vectors, in PEM.
fn certificate() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/certificates.json");
    let vectors: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let lines = vectors[0]["pem"].as_array().unwrap();
    lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn thumbprint() -> Thumbprint {
    ClientCertificate::from_pem(certificate().as_bytes()).unwrap().thumbprint()
}

#[test]
fn a_new_secret_is_its_owner_s_alone_and_never_overwritten() {
    let workshop = Workshop::furnished("secret");
    let path = workshop.0.join("old.secret");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    Secret::parse(&before).unwrap();
    workshop.run("secret new --out old.secret").refused("old.secret: exists already");
    assert_eq!(fs::read(&path).unwrap(), before);
    let printed = workshop.run("secret new").line();
    Secret::parse(printed.as_bytes()).unwrap();
    assert_ne!(printed.as_bytes(), before.trim_ascii_end());
}

#[test]
fn what_is_sealed_opens_for_its_owner_alone() {
    let workshop = Workshop::furnished("seal");
    let cookie = workshop.seal("--secret old.secret --cert alice.pem 8F2A").line();
    assert!(cookie.starts_with("SID=A") && !cookie.contains("8F2A"), "{cookie}");
    let with = |words: &str| workshop.open(&format!("--secret old.secret {words}"), &cookie);
    assert_eq!(with("--cert alice.pem").line(), "8F2A");
    with("").refused("possession-missing: ");
    with(&format!("--tbh {}", thumbprint())).refused("possession-missing: ");
    with("--cert alice.pem --host other.example").misused("cannot be used multiple times");
    with("--cert alice.pem --max-age 1s --path /x").line();
    let later = format!(
        "cookie open --secret old.secret --name SID --host app.example --cert alice.pem --at {}",
        "2026-02-01T12:00:01Z"
    );
    workshop.feed(&later, &cookie).refused("expired: ");
    workshop.feed(&format!("{later} --max-age 2d"), &cookie).line();
    workshop.open("--secret new.secret --cert alice.pem", &cookie).refused("unknown-key: ");
    let header = format!("a=1; {cookie}; b=2");
    assert_eq!(workshop.open("--secret old.secret --cert alice.pem", &header).line(), "8F2A");
    let value = cookie.strip_prefix("SID=").unwrap();
    assert_eq!(workshop.open("--secret old.secret --cert alice.pem", value).line(), "8F2A");
    workshop.open("--secret old.secret", "a=1").refused("no cookie named SID");
    workshop.open("--secret old.secret", "SID=8F2A").refused("malformed: ");
}

#[test]
fn a_ring_is_rotated() {
    let workshop = Workshop::furnished("ring");
    let before = workshop.seal("--secret old.secret --cert alice.pem 1").line();
    let after = workshop.seal("--secret new.secret --secret old.secret --cert alice.pem 2").line();
    let both = "--secret new.secret --secret old.secret --cert alice.pem";
    assert_eq!(workshop.open(both, &before).line(), "1");
    assert_eq!(workshop.open(both, &after).line(), "2");
    workshop.open("--secret new.secret --cert alice.pem", &before).refused("unknown-key: ");
    workshop.open("--secret new.secret --cert alice.pem", &after).line();
    workshop.seal("--secret old.secret --secret old.secret 1").refused("1 and 2 of the ring");
    workshop.seal("--secret alice.pem 1").refused("alice.pem: no secret: expected one line");
    workshop.seal("--secret nowhere 1").refused("nowhere: No such file or directory");
}

#[test]
fn without_a_possession_the_policy_decides() {
    let workshop = Workshop::furnished("policy");
    workshop.seal("--secret old.secret 1").refused("nothing to bind to");
    let cookie = workshop.seal("--secret old.secret --policy preferred 1").line();
    workshop.open("--secret old.secret", &cookie).refused("unbound: ");
    assert_eq!(workshop.open("--secret old.secret --policy preferred", &cookie).line(), "1");
    let bound = format!("--secret old.secret --tbh {}", thumbprint());
    let cookie = workshop.seal(&format!("{bound} 1")).line();
    assert_eq!(workshop.open(&bound, &cookie).line(), "1");
    workshop.seal("--secret old.secret --tbh short 1").misused("32 bytes in base64url");
    workshop.seal("--secret old.secret --policy preferred a;b").refused("not-storable: ");
    workshop.seal("--secret old.secret --policy perhaps 1").misused("possible values");
    workshop.seal("--secret old.secret --path x 1").misused("expected a path");
}

#[test]
fn large_values_are_sealed_in_chunks() {
    let workshop = Workshop::furnished("large");
    let value = "0123456789".repeat(1_000);
    let seal = format!("cookie seal --at {NOW} --name SID --host app.example --cert alice.pem");
    let cookie = workshop.feed(&format!("{seal} --secret old.secret -"), &value).line();
    assert!(cookie.starts_with("SID=4~A") && cookie.contains("; SID~3="));
    assert_eq!(workshop.open("--secret old.secret --cert alice.pem", &cookie).line(), value);
    let (cut, _) = cookie.rsplit_once("; ").unwrap();
    workshop.open("--secret old.secret --cert alice.pem", cut).refused("chunk-missing: ");
    let inspect = format!("cookie inspect --at {NOW} --secret old.secret");
    let page = workshop.feed(&inspect, &cookie).line();
    assert!(page.contains("\n  value of 10000 bytes\n"), "{page}");
}

#[test]
fn inspect_says_what_a_cookie_is_good_for() {
    let workshop = Workshop::furnished("inspect");
    let sealing = "--secret old.secret --domain --path /shop --cert alice.pem 8F2A";
    let cookie = workshop.seal(sealing).line();
    let ring = "--secret new.secret --secret old.secret";
    let page = |words: &str| {
        let words = format!("cookie inspect {ring} --at 2026-01-31T13:00:00Z{words}");
        workshop.feed(&words, &cookie).line()
    };
    let plain = page("");
    for expected in [
        "sealed\n  2026-01-31T12:00:00Z, 1 hour ago\n  with secret 2 of the ring, id ",
        "\n  policy required\n",
        "cookie\n  name SID\n  host app.example and all below it\n  path /shop\n  value of 4 bytes\n",
        &format!("bound to\n  certificate {}\n", thumbprint()),
        "  holds  name\n  open   host: not checked without --host\n",
        "  holds  age\n  open   possession: not checked without --cert or --tbh",
    ] {
        assert!(plain.contains(expected), "expected {expected}: {plain}");
    }
    assert!(!plain.contains("8F2A"));
    let asked = page(" --host www.app.example --path / --max-age 60s --cert alice.pem --name SID");
    for expected in [
        "holds  name",
        "holds  host",
        "fails  path: AB3113 cookie-other-path: ",
        "fails  age: AB3115 cookie-expired: ",
        "holds  possession",
    ] {
        assert!(asked.contains(expected), "expected {expected}: {asked}");
    }
    let value = cookie.strip_prefix("SID=").unwrap();
    let bare = workshop.feed(&format!("cookie inspect {ring}"), value).line();
    assert!(bare.contains("open   name: not checked without --name"), "{bare}");
    workshop.feed("cookie inspect --secret new.secret", &cookie).refused("unknown-key: ");
    workshop.feed(&format!("cookie inspect {ring}"), "SID=8F2A").refused("malformed: ");
    workshop.feed(&format!("cookie inspect {ring}"), "").refused("no cookie: give it");
}
