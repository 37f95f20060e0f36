//! Signing with keys in a token: SoftHSM stands in for the device.
//!
//! SoftHSM finds its tokens by an environment variable, and what a PKCS #11 library remembers
//! belongs to the process. So each test runs once more in a process of its own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may"
)]

mod softhsm;

use std::fs;
use std::process::exit;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use auth_bound::jose::{Algorithm, Key, SigningError, SigningKey};
use auth_bound::outbound::Pkcs11Key;
use auth_bound::token::TokenRequest;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use softhsm::{LIBRARY, PIN, SoftHsm, alone};

fn open(token: &SoftHsm, label: &str) -> SigningKey {
    Pkcs11Key::open(&token.uri(label), None, None).unwrap()
}

fn refused(uri: &str, algorithm: Option<Algorithm>) -> String {
    let fault = Pkcs11Key::open(uri, algorithm, None).unwrap_err().to_string();
    assert!(!fault.contains(PIN), "the PIN is told: {fault}");
    assert!(!fault.contains('\n'), "more than a line: {fault}");
    fault
}

/// Signs, and has the public half verify it.
fn signs(key: &SigningKey) {
    let signature = key.sign(b"header.claims").unwrap();
    let public = Key::from_jwk(key.public_jwk().unwrap()).unwrap();
    assert!(public.verify(key.algorithm(), b"header.claims", &signature), "{key:?}");
    assert!(!public.verify(key.algorithm(), b"header.others", &signature), "{key:?}");
}

#[test]
fn every_algorithm_signs_with_a_key_of_its_type() {
    use Algorithm::*;
    alone("every_algorithm_signs_with_a_key_of_its_type", |token| {
        for (kind, algorithms) in [
            ("rsa:2048", &[RS256, RS384, RS512, PS256, PS384, PS512][..]),
            ("EC:prime256v1", &[ES256]),
            ("EC:secp384r1", &[ES384]),
            ("EC:secp521r1", &[ES512]),
            ("EC:edwards25519", &[EdDSA, Ed25519]),
        ] {
            token.generate(kind, kind);
            assert_eq!(open(token, kind).algorithm(), algorithms[0]);
            for algorithm in algorithms.iter().copied() {
                let key = Pkcs11Key::open(&token.uri(kind), Some(algorithm), None).unwrap();
                assert!(key.is_in_hardware());
                assert_eq!(key.key_id(), key.thumbprint().unwrap().to_string());
                // Often, since a number of ECDSA is short now and then.
                (0..40).for_each(|_| signs(&key));
                assert!(matches!(key.to_pem(), Err(SigningError::InHardware)));
            }
        }
    });
}

#[test]
fn a_curve_that_the_tools_cannot_make_keys_on_is_imported() {
    alone("a_curve_that_the_tools_cannot_make_keys_on_is_imported", |token| {
        let pem = PKey::generate_ed448().unwrap().private_key_to_pem_pkcs8().unwrap();
        token.import("ed448", &pem);
        let key = open(token, "ed448");
        assert_eq!(key.algorithm(), Algorithm::EdDSA);
        signs(&key);
        signs(&Pkcs11Key::open(&token.uri("ed448"), Some(Algorithm::Ed448), None).unwrap());
    });
}

#[test]
fn a_key_is_found_by_label_by_id_and_by_its_token() {
    alone("a_key_is_found_by_label_by_id_and_by_its_token", |token| {
        token.generate("EC:prime256v1", "first");
        token.generate("EC:prime256v1", "second");
        let (first, second) = (open(token, "first"), open(token, "second"));
        assert_ne!(first.thumbprint().unwrap(), second.thumbprint().unwrap());
        let found = |path: &str| {
            let key = Pkcs11Key::open(&token.uri_of(path), None, Some("name")).unwrap();
            assert_eq!(key.key_id(), "name");
            key.thumbprint().unwrap()
        };
        assert_eq!(found("id=%02"), second.thumbprint().unwrap());
        assert_eq!(found("model=SoftHSM%20v2;id=%01;type=private"), first.thumbprint().unwrap());
        assert_eq!(found("manufacturer=SoftHSM%20project;object=second"), found("id=%02"));
        for (path, told) in [
            ("object=third", "no private key that fits"),
            ("object=first;id=%02", "no private key that fits"),
            ("token=other;object=first", "no token fits the URI; there are: signing"),
            ("token=signing;serial=0;object=first", "no token fits"),
            ("slot-id=4711;object=first", "no token fits"),
        ] {
            let fault = refused(&token.uri_of(path), None);
            assert!(fault.contains(told), "{path}: {fault}");
        }
        token.generate_with_id("EC:prime256v1", "second", "09");
        let fault = refused(&token.uri("second"), None);
        assert!(fault.contains("2 private keys fit"), "{fault}");
        assert_eq!(found("object=second;id=%02"), second.thumbprint().unwrap());
        token.initialize("signing");
        let fault = refused(&token.uri("first"), None);
        assert!(fault.contains("2 tokens fit"), "{fault}");
    });
}

#[test]
fn tokens_signed_in_hardware_are_tokens() {
    alone("tokens_signed_in_hardware_are_tokens", |token| {
        token.generate("EC:prime256v1", "sts");
        let key = open(token, "sts");
        let request = TokenRequest::new("https://as.example", "alice", "https://api.example", 9, 9);
        let issued = request.sign(&key).unwrap();
        let (input, signature) = issued.rsplit_once('.').unwrap();
        let signature = auth_bound::jose::base64url::decode(signature).unwrap();
        let public = Key::from_jwk(key.public_jwk().unwrap()).unwrap();
        assert!(public.verify(Algorithm::ES256, input.as_bytes(), &signature));
    });
}

/// A key pair that is for decrypting alone, which the tools cannot make.
fn make_for_opening() {
    use cryptoki::object::Attribute::{Decrypt, Id, Label, ModulusBits, Sign, Token};
    let library = Pkcs11::new(LIBRARY).unwrap();
    library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = library.get_slots_with_initialized_token().unwrap()[0];
    let session = library.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    let public = [Token(true), ModulusBits(2048.into()), Id(vec![7])];
    let private = [Token(true), Sign(false), Decrypt(true), Label(b"opens".to_vec()), Id(vec![7])];
    session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private).unwrap();
    drop(session);
    library.finalize().unwrap();
}

#[test]
fn what_is_no_key_to_sign_with_is_told() {
    alone("what_is_no_key_to_sign_with_is_told", |token| {
        token.generate("rsa:2048", "rsa");
        token.generate("rsa:1024", "short");
        token.generate("EC:secp256k1", "coin");
        token.generate("EC:prime256v1", "alone");
        token.generate("EC:prime256v1", "mixed");
        make_for_opening();
        token.tool(&["--keypairgen", "--key-type", "rsa:2048", "--label", "asks", "--always-auth"]);
        token.tool(&["--delete-object", "--type", "pubkey", "--label", "alone"]);
        token.tool(&["--delete-object", "--type", "pubkey", "--label", "mixed"]);
        let another = EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap());
        let another = PKey::from_ec_key(another.unwrap()).unwrap().public_key_to_der().unwrap();
        let file = token.put("another.der", &another, 0o600);
        let id = token.id_of("mixed");
        token.tool(&["--write-object", &file, "--type", "pubkey", "--label", "mixed", "--id", &id]);
        for (label, algorithm, told) in [
            ("rsa", Some(Algorithm::ES256), "the key cannot sign with ES256"),
            ("short", None, "an RSA key of 1024 bits"),
            ("coin", None, "a key of no kind that we sign with"),
            ("alone", None, "no public key with the id of the private one"),
            ("mixed", None, "the public key is not that of the private key"),
            ("opens", None, "the key may not sign"),
            ("asks", None, "the key asks for the PIN at each signature"),
        ] {
            let fault = refused(&token.uri(label), algorithm);
            assert!(fault.contains(told), "{label}: {fault}");
        }
        // An RSA key knows its public half itself.
        token.tool(&["--delete-object", "--type", "pubkey", "--label", "rsa"]);
        signs(&open(token, "rsa"));
    });
}

#[test]
fn a_library_that_is_none_is_told() {
    alone("a_library_that_is_none_is_told", |token| {
        let missing = refused("pkcs11:object=k?module-path=/nowhere/lib.so", None);
        assert!(missing.contains("cannot be loaded: /nowhere/lib.so"), "{missing}");
        let text = token.put("text.so", b"not a library", 0o600);
        let text = refused(&format!("pkcs11:object=k?module-path={text}"), None);
        assert!(text.contains("cannot be loaded"), "{text}");
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let other = maps.split_whitespace().find(|word| word.contains("/libc.so")).unwrap();
        let other = refused(&format!("pkcs11:object=k?module-path={other}"), None);
        assert!(other.contains("C_GetFunctionList"), "{other}");
    });
}

#[test]
fn the_pin_comes_from_a_file_that_is_kept_safe() {
    alone("the_pin_comes_from_a_file_that_is_kept_safe", |token| {
        token.generate("EC:prime256v1", "k");
        let uri = |pin: &str| format!("pkcs11:object=k?module-path={LIBRARY}{pin}");
        let with = |file: String| uri(&format!("&pin-source={file}"));
        for content in [PIN.to_owned(), format!("{PIN}\n"), format!("{PIN}\r\n")] {
            let file = token.put("good", content.as_bytes(), 0o600);
            signs(&Pkcs11Key::open(&with(file), None, None).unwrap());
        }
        let open = token.put("open", PIN.as_bytes(), 0o644);
        for (uri, told) in [
            (uri(""), "add pin-source=PATH"),
            (uri(&format!("&pin-value={PIN}")), "put the PIN into a file"),
            (with(open), "its mode is 644"),
            (with(token.put("empty", b"\n", 0o600)), "no PIN in it"),
            (with("/nowhere/pin".to_owned()), "/nowhere/pin: No such file"),
            (with(token.put("wrong", b"not the one", 0o600)), "the token refuses the PIN"),
            (with(token.put("short", b"1", 0o600)), "the token refuses the PIN"),
        ] {
            let fault = refused(&uri, None);
            assert!(fault.contains(told), "{fault}");
        }
    });
}

#[test]
fn threads_sign_at_the_same_time() {
    alone("threads_sign_at_the_same_time", |token| {
        token.generate("EC:prime256v1", "k");
        token.generate("rsa:2048", "rsa");
        let keys = [Arc::new(open(token, "k")), Arc::new(open(token, "rsa"))];
        let threads: Vec<_> = (0..12)
            .map(|number| {
                let key = Arc::clone(&keys[number % 2]);
                thread::spawn(move || (0..20).for_each(|_| signs(&key)))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Forks; the child does `work` and ends.
#[allow(unsafe_code, reason = "servers fork")]
fn fork(work: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child runs `work` and ends; this process has one thread that does anything, and
    // the other, which waits for it, holds no lock that `work` wants.
    match unsafe { libc::fork() } {
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            exit(i32::from(done.is_err()));
        }
        child => child,
    }
}

/// Whether the child's work was done.
#[allow(unsafe_code, reason = "servers wait for those they forked")]
fn done(child: libc::pid_t) -> bool {
    let mut status = -1;
    // SAFETY: `status` outlives the call.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    waited == child && status == 0
}

fn in_child(work: impl FnOnce()) -> bool {
    done(fork(work))
}

#[test]
fn a_key_that_was_opened_before_a_fork_signs_after_it() {
    alone("a_key_that_was_opened_before_a_fork_signs_after_it", |token| {
        token.generate("EC:prime256v1", "k");
        token.generate("rsa:2048", "next");
        let (key, next) = (open(token, "k"), open(token, "next"));
        let both = || {
            signs(&key);
            signs(&next);
        };
        for _ in 0..3 {
            assert!(in_child(both), "as a server's processes do");
        }
        both();
        assert!(in_child(both), "and when the parent has signed before");
        assert!(in_child(|| assert!(in_child(both))), "the child of a child");
        both();
        // Read anew, as for a reload.
        let again = open(token, "k");
        signs(&again);
        both();
        drop((key, next));
        signs(&again);
    });
}

#[test]
fn a_pin_that_has_changed_is_tried_once() {
    alone("a_pin_that_has_changed_is_tried_once", |token| {
        for kind in ["EC:prime256v1", "rsa:2048"] {
            token.generate(kind, kind);
        }
        let refused = Arc::default();
        let [ec, rsa] = ["EC:prime256v1", "rsa:2048"]
            .map(|label| Pkcs11Key::open_beside(&token.uri(label), None, None, &refused).unwrap());
        token.tool(&["--change-pin", "--new-pin", "8765"]);
        let fails = |key: &SigningKey| {
            let fault = key.sign(b"x").unwrap_err().to_string();
            assert!(fault.contains("the token refuses the PIN"), "{fault}");
        };
        assert!(in_child(|| fails(&ec)));
        // The old PIN again: it would count, had anybody tried.
        token.change_pin_back("8765");
        fails(&ec);
        assert!(in_child(|| fails(&ec)), "another process");
        assert!(in_child(|| fails(&rsa)), "another key of the token");
        let again = ec.sign(b"x").unwrap_err().to_string();
        assert!(again.contains("not tried again before the next reload"), "{again}");
        drop((ec, rsa));
        signs(&open(token, "rsa:2048"));
    });
}

#[test]
fn a_process_that_is_logged_in_does_not_mind_that_another_was_refused() {
    alone("a_process_that_is_logged_in_does_not_mind_that_another_was_refused", |token| {
        token.generate("EC:prime256v1", "first");
        token.generate("EC:prime256v1", "second");
        let refused = Arc::default();
        let [first, second] = ["first", "second"]
            .map(|label| Pkcs11Key::open_beside(&token.uri(label), None, None, &refused).unwrap());
        signs(&first);
        token.tool(&["--change-pin", "--new-pin", "8765"]);
        assert!(in_child(|| assert!(second.sign(b"x").is_err())));
        signs(&second);
    });
}

/// SoftHSM hides a token from those who look while another process logs in.
#[test]
fn processes_that_begin_together_all_get_at_the_token() {
    alone("processes_that_begin_together_all_get_at_the_token", |token| {
        token.generate("EC:prime256v1", "k");
        let key = open(token, "k");
        let children: Vec<_> = (0..24)
            .map(|number| {
                fork(|| {
                    signs(&key);
                    // As a reload does beside them.
                    if number % 4 == 0 {
                        signs(&open(token, "k"));
                    }
                })
            })
            .collect();
        let done = children.into_iter().filter(|child| done(*child)).count();
        assert_eq!(done, 24);
    });
}

#[test]
fn a_library_finalized_by_another_user_of_it_is_opened_again() {
    alone("a_library_finalized_by_another_user_of_it_is_opened_again", |token| {
        token.generate("EC:prime256v1", "k");
        let key = open(token, "k");
        signs(&key);
        Pkcs11::new(LIBRARY).unwrap().finalize().unwrap();
        signs(&key);
        signs(&key);
    });
}

#[test]
fn a_library_that_somebody_else_initialized_stays_so() {
    alone("a_library_that_somebody_else_initialized_stays_so", |token| {
        token.generate("EC:prime256v1", "k");
        let other = Pkcs11::new(LIBRARY).unwrap();
        other.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        let key = open(token, "k");
        signs(&key);
        drop(key);
        assert!(other.get_slots_with_token().is_ok());
        // And one that nobody else uses is left as it was found.
        other.clone().finalize().unwrap();
        drop(open(token, "k"));
        assert!(other.get_slots_with_token().is_err());
    });
}

#[test]
fn another_key_under_the_same_name_signs_nothing() {
    alone("another_key_under_the_same_name_signs_nothing", |token| {
        token.generate("EC:prime256v1", "k");
        let (fresh, used) = (open(token, "k"), open(token, "k"));
        signs(&used);
        token.delete("k");
        let gone = used.sign(b"x").unwrap_err();
        assert!(gone.to_string().contains("no private key that fits"), "{gone}");
        token.generate("EC:prime256v1", "k");
        for key in [&fresh, &used] {
            let fault = key.sign(b"x").unwrap_err().to_string();
            assert!(fault.contains("another key has taken its place"), "{fault}");
        }
        signs(&open(token, "k"));
    });
}

#[test]
fn openssl_is_as_it_was_after_the_library() {
    alone("openssl_is_as_it_was_after_the_library", |token| {
        token.generate("EC:prime256v1", "k");
        for _ in 0..5 {
            signs(&open(token, "k"));
            for algorithm in Algorithm::ALL.iter().copied() {
                signs(&SigningKey::generate(algorithm, "k").unwrap());
            }
            let mut bytes = [0; 32];
            openssl::rand::rand_bytes(&mut bytes).unwrap();
            assert_ne!(bytes, [0; 32]);
        }
    });
}

#[test]
fn a_token_that_is_not_there_is_told() {
    alone("a_token_that_is_not_there_is_told", |token| {
        token.generate("EC:prime256v1", "k");
        let key = open(token, "k");
        fs::rename(token.path("tokens"), token.path("drawer")).unwrap();
        fs::create_dir(token.path("tokens")).unwrap();
        let begin = Instant::now();
        let gone = key.sign(b"x").unwrap_err().to_string();
        assert!(gone.contains("shows no token to this user"), "{gone}");
        let (first, begin) = (begin.elapsed(), Instant::now());
        assert!(key.sign(b"x").is_err());
        assert!(begin.elapsed() < first / 2, "only the first waits for it to come back");
        fs::remove_dir(token.path("tokens")).unwrap();
        fs::rename(token.path("drawer"), token.path("tokens")).unwrap();
        signs(&key);
    });
}
