//! The example of the library in one program: what it prints, line by line.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
#[path = "../examples/in_process.rs"]
mod example;

use example::{Fault, fault_of};

use auth_bound::refusal::Reason;

#[test]
fn the_example_prints_what_it_should() {
    let mut printed = Vec::new();
    example::run(&mut printed, 1_760_000_000).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    let expected = [
        r#"hers: "3""#,
        "stolen: failed to verify proof of possession; certificate-mismatch",
        "without mutual TLS: connection must be used mutual TLS; certificate-missing",
        "no token: unknown token struct type; token-malformed",
        "expired: this token is expired; token-expired",
        "from the future: this token cannot be used now; token-issued-in-future",
        "signed by a stranger: invalid key pair; signature-invalid",
        "bound to nothing: failed to verify proof of possession; confirmation-missing",
        "for another service: no counterpart; audience-mismatch",
        "not issued without mutual TLS: connection must be used mutual TLS",
        r#"refreshed: "alice", for 3600 seconds"#,
    ];
    let (plain, refused) = lines.split_at(expected.len());
    assert_eq!(plain, expected);
    assert_eq!(refused.len(), 2);
    assert!(refused[0].starts_with("a stolen refresh token: AB4401 refresh-token-refused: "));
    assert!(refused[0].contains("AB1212 certificate-mismatch: "));
    assert!(refused[1].starts_with("a refresh token is no access token: AB1105 "));
}

#[test]
fn every_error_of_mtls_token_has_a_reason() {
    for (reason, fault) in [
        (Reason::CertificateMissing, Fault::MutualTlsConnection),
        (Reason::KeyUnknown, Fault::KeyPair),
        (Reason::TokenJson, Fault::TokenStruct),
        (Reason::TokenIssuedInFuture, Fault::TokenIat),
        (Reason::TokenExpired, Fault::TokenExpire),
        (Reason::CertificateMismatch, Fault::VerifyPop),
        (Reason::AudienceMismatch, Fault::Other),
    ] {
        assert_eq!(fault_of(reason), fault, "{reason:?}");
    }
}
