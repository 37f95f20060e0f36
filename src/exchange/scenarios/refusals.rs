//! Every refusal, and what no refusal may tell.

use std::collections::BTreeSet;

use openssl::pkey::PKey;
use serde_json::json;

use super::super::testing::basic_header;
use super::*;
use crate::confirmation::Confirmation;
use crate::jose::HardwareKey;

#[test]
fn an_assertion_is_used_up_once_and_only_by_a_granted_request() {
    let server = server();
    let store = ProcessReplayStore::new(10);
    let assertion = TokenRequest::new("jwt", "jwt", ENDPOINT, NOW, 60).media_type("JWT");
    let assertion = assertion.claim("jti", "1").sign(&CLIENT_KEY).unwrap();
    let body = |rest: &str| {
        format!(
            "{EXCHANGE}&{TYPE}&subject_token=gnik&client_assertion={assertion}\
            &client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&{rest}"
        )
    };
    let (wrong, right) = (body("audience=x"), body(&format!("audience={API}")));
    let decide = |body: &str| server.decide(&request(body), &store, NOW).map(|_| ());
    let reason = |result: Result<(), Failure>| match result {
        Err(Failure::Denied(denial)) => denial.reason(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(decide(&wrong)), DenialReason::TargetUnknown);
    assert!(decide(&right).is_ok());
    assert_eq!(reason(decide(&right)), DenialReason::ClientAssertionReplayed);
    assert_eq!(
        self::decide(&server, &request(&right)).unwrap_err().reason(),
        DenialReason::ReplayStoreUnavailable
    );
}

/// Requests that are refused before any subject token is looked at.
fn refused_requests() -> Vec<(DenialReason, String)> {
    use DenialReason as R;
    let api = format!("audience={API}");
    let good = form(&format!("subject_token=gnik&{api}"));
    let as_client = |id: &str| good.replace("=public", &format!("={id}"));
    vec![
        (R::FormMalformed, format!("{good}&x=%")),
        (R::ParameterRepeated, format!("{good}&scope=r&scope=w")),
        (R::ParameterMalformed, format!("{good}&scope=%00")),
        (R::ParameterMissing, form(&api)),
        (R::ParameterMissing, good.replace(&format!("{TYPE}&"), "")),
        (R::ParameterMissing, good.replace(EXCHANGE, "grant_type=")),
        (R::ParameterMissing, format!("{good}&actor_token=x")),
        (R::ParameterUnexpected, format!("{good}&{ACTOR_TYPE}")),
        (R::GrantTypeUnsupported, good.replace(EXCHANGE, "grant_type=password")),
        (R::TokenTypeUnsupported, good.replace(":access_token", ":saml2")),
        (R::TokenTypeUnsupported, good.replace(":access_token", ":jwt")),
        (
            R::TokenTypeUnsupported,
            format!("{good}&requested_token_type={}", TokenType::IdToken.urn()),
        ),
        (R::ClientUnknown, as_client("nobody")),
        (R::ClientAuthenticationMissing, as_client("post")),
        (R::ClientAuthenticationMissing, good.replace("client_id=public&", "")),
        (R::ClientAuthenticationRepeated, format!("{good}&client_secret=x&client_assertion=y")),
        (R::ClientAuthenticationMethod, format!("{good}&client_secret=x")),
        (R::ClientSecretWrong, format!("{}&client_secret=x", as_client("post"))),
        (
            R::GrantTypeNotAllowed,
            "grant_type=refresh_token&client_id=once&refresh_token=x".to_owned(),
        ),
    ]
}

/// Requests that are refused for their subject token or for what they ask.
fn refused_exchanges() -> Vec<(DenialReason, String)> {
    use DenialReason as R;
    let api = format!("audience={API}");
    let good = form(&format!("subject_token=gnik&{api}"));
    let ann = signed(&subject("ann"));
    let may_act = signed(&subject("ann").claim("may_act", json!({"sub": "other"})));
    let deep = (1..8).fold(json!({"sub": "a"}), |act, _| json!({"sub": "a", "act": act}));
    let deep = signed(&subject("ann").claim("act", deep));
    let admin = format!("actor_token={}&{ACTOR_TYPE}", signed(&subject("admin")));
    let dying = signed(&subject("ann").claim("exp", NOW));
    let other_key = SigningKey::generate(Algorithm::ES256, "idp").unwrap();
    let forged = subject("ann").sign(&other_key).unwrap();
    let of = |token: &str| form(&format!("subject_token={token}&{api}"));
    let as_client = |id: &str| good.replace("=public", &format!("={id}"));
    vec![
        (R::SubjectTokenRefused, of("unknown")),
        (R::SubjectTokenRefused, of(&forged)),
        (R::SubjectTokenRefused, of(&signed(&subject("ann").claim("exp", NOW - 31)))),
        (R::SubjectMissing, of(&signed(&subject("")))),
        (R::PolicyIncomplete, good.replace(":access_token", ":id_token")),
        (R::KeysUnavailable, of(&signed(&subject("ann").claim("iss", "https://slow")))),
        (R::ActorTokenRefused, format!("{good}&actor_token=x&{ACTOR_TYPE}")),
        (R::ActorNotPermitted, of(&may_act)),
        (R::ActorNotPermitted, format!("{}&{admin}", of(&may_act))),
        (R::DelegationNotAllowed, format!("{good}&actor_token={ann}&{ACTOR_TYPE}")),
        (R::DelegationTooDeep, format!("{}&{admin}", of(&deep))),
        (R::RuleMissing, as_client("ruleless")),
        (R::RuleMissing, of(&signed(&subject("eve")))),
        (R::TargetUnknown, format!("{good}&audience=urn:other")),
        (R::TargetMissing, form("subject_token=gnik")),
        (R::TargetMalformed, format!("{good}&resource=api")),
        (R::TargetMalformed, format!("{good}&resource=https://api.example/v1%23a")),
        (R::ScopeMalformed, format!("{good}&scope=r++w")),
        (R::ScopeExceeded, format!("{good}&scope=admin")),
        (R::ScopeExceeded, format!("{}&scope=r+admin", of(&ann))),
        (R::LifetimeExhausted, of(&dying)),
        (
            R::RefreshNotAllowed,
            format!(
                "{}&requested_token_type={}",
                of(&signed(&subject("dora"))),
                TokenType::RefreshToken.urn()
            ),
        ),
        (
            R::RefreshTokenRefused,
            "grant_type=refresh_token&client_id=public&refresh_token=x".to_owned(),
        ),
        (R::ParameterMissing, "grant_type=refresh_token&client_id=public".to_owned()),
    ]
}

#[test]
fn every_refusal_is_reached() {
    let server = server();
    let mut reached = BTreeSet::new();
    let mut expect = |reason: DenialReason, request: &Request<'_>, server: &AuthorizationServer| {
        let denial = decide(server, request).unwrap_err();
        assert_eq!(denial.reason(), reason, "{denial} {}", String::from_utf8_lossy(request.body));
        reached.insert(reason.number());
    };
    for (reason, body) in refused_requests().into_iter().chain(refused_exchanges()) {
        expect(reason, &request(&body), &server);
    }
    let good = form(&format!("subject_token=gnik&audience={API}"));
    let good = request(&good);
    let none = Possessions::default();
    expect(DenialReason::MethodNotAllowed, &Request { method: "GET", ..good }, &server);
    expect(DenialReason::MediaTypeUnsupported, &Request { content_type: None, ..good }, &server);
    let latin = Some(&b"application/x-www-form-urlencoded; charset=latin1"[..]);
    expect(DenialReason::CharsetUnsupported, &Request { content_type: latin, ..good }, &server);
    let as_json = Some(&b"application/json"[..]);
    expect(DenialReason::JsonMalformed, &Request { content_type: as_json, ..good }, &server);
    expect(DenialReason::BodyTooLarge, &good, &server.clone().max_body(10));
    expect(DenialReason::BodyTooLarge, &Request { truncated: true, ..good }, &server);
    expect(DenialReason::PossessionMissing, &Request { possessions: none, ..good }, &server);
    certificates(&mut expect, &server);
    headers(&mut expect, &server);
    let jwt = form(&format!("subject_token=gnik&audience={API}")).replace("client_id=public&", "");
    let assertion = TokenRequest::new("jwt", "jwt", ENDPOINT, NOW, 60).claim("jti", "1");
    let kind = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let asserted = |request: &TokenRequest| {
        format!("{jwt}&{kind}&client_assertion={}", request.sign(&CLIENT_KEY).unwrap())
    };
    let body = asserted(&assertion);
    expect(DenialReason::ClientAssertionRefused, &request(&body), &server);
    let body = asserted(&assertion.media_type("JWT"));
    expect(DenialReason::ReplayStoreUnavailable, &request(&body), &server);
    let line = SubjectTokens::new().credentials(Arc::default());
    expect(DenialReason::SubjectUnknown, &good, &server.clone().subject_tokens(line));
    let refresh = issue(&server, std::str::from_utf8(good.body).unwrap());
    let body = format!(
        "grant_type=refresh_token&client_id=tls&refresh_token={}",
        refresh.refresh_token().unwrap()
    );
    expect(DenialReason::RefreshTokenMismatch, &request(&body), &server);
    let elsewhere = [
        // For whoever has the connection.
        DenialReason::TlsMissing,
        // For whoever has requests wait.
        DenialReason::Overloaded,
        // documents_may_be_kept_and_are_asked_for_with_get
        DenialReason::DocumentMethodNotAllowed,
        // an_assertion_is_used_up_once_and_only_by_a_granted_request
        DenialReason::ClientAssertionReplayed,
        // a_key_that_cannot_sign_issues_nothing
        DenialReason::SigningFailed,
        // For faults of ours that should not be there: denial.rs
        DenialReason::InternalError,
    ];
    for reason in DenialReason::ALL {
        let here = reached.contains(&reason.number());
        assert!(here != elsewhere.contains(reason), "{reason:?}");
    }
}

type Expect<'e> = &'e mut dyn FnMut(DenialReason, &Request<'_>, &AuthorizationServer);

fn certificates(expect: Expect<'_>, server: &AuthorizationServer) {
    let none = Possessions::default();
    let body = form(&format!("subject_token=gnik&audience={API}")).replace("=public", "=tls");
    let tls = request(&body);
    expect(DenialReason::ClientCertificateMissing, &Request { possessions: none, ..tls }, server);
    let unverified = Request { chain_verified: false, ..tls };
    expect(DenialReason::ClientCertificateUnverified, &unverified, server);
    let bobs = Request { possessions: proved(&BOB), ..tls };
    expect(DenialReason::ClientCertificateMismatch, &bobs, server);
    let body = form(&format!("subject_token=iamtheeggman&audience={API}"));
    let alices = request(&body);
    let missing = Request { possessions: none, ..alices };
    expect(DenialReason::SubjectCertificateMissing, &missing, server);
    let bobs = Request { possessions: proved(&BOB), ..alices };
    expect(DenialReason::SubjectCertificateMismatch, &bobs, server);
}

fn headers(expect: Expect<'_>, server: &AuthorizationServer) {
    let body = form(&format!("subject_token=gnik&audience={API}"));
    let basic = basic_header("basic:secret");
    let basic = [basic.as_slice()];
    let asked = Request { authorization: &basic, ..request(&body) };
    expect(DenialReason::ClientIdMismatch, &asked, server);
    let asked = Request { authorization: &[b"Bearer x"], ..asked };
    expect(DenialReason::AuthorizationMalformed, &asked, server);
}

#[test]
fn a_refusal_of_basic_is_challenged() {
    let server = server();
    let body = form(&format!("subject_token=gnik&audience={API}")).replace("client_id=public&", "");
    let header = basic_header("basic:wrong");
    let values = [header.as_slice()];
    let denial =
        decide(&server, &Request { authorization: &values, ..request(&body) }).unwrap_err();
    let response = Response::of_denial(&denial, &Answer { realm: "as", ..Answer::default() });
    assert_eq!(response.status(), 401);
    let challenge = ("WWW-Authenticate", r#"Basic realm="as", charset="UTF-8""#.to_owned());
    assert!(response.headers().contains(&challenge));
    let header = basic_header("basic:secret");
    let values = [header.as_slice()];
    assert!(decide(&server, &Request { authorization: &values, ..request(&body) }).is_ok());
}

/// A device that is gone.
struct Unplugged;

impl HardwareKey for Unplugged {
    fn sign(&self, _: Algorithm, _: &[u8]) -> Result<Vec<u8>, String> {
        Err("no such token".to_owned())
    }
}

#[test]
fn a_key_that_cannot_sign_issues_nothing() {
    let grant = decide(&server(), &request(&form(&format!("subject_token=gnik&audience={API}"))));
    let private = PKey::private_key_from_pem(&AS_KEY.to_pem().unwrap()).unwrap();
    let public = PKey::public_key_from_der(&private.public_key_to_der().unwrap()).unwrap();
    let key = SigningKey::in_hardware(public, "k", None, Arc::new(Unplugged)).unwrap();
    let denial = grant.unwrap().signed_with(Arc::new(key)).issue(&[0; 32]).unwrap_err();
    assert_eq!((denial.reason(), denial.status()), (DenialReason::SigningFailed, 500));
}

/// Whatever is done to a good request: it is refused, or granted what it may be granted; and no
/// refusal holds a token or shows what is secret.
#[test]
fn nothing_is_issued_on_any_error_and_nothing_secret_is_told() {
    let server = server();
    let token = signed(&subject("ann").bound_to(&Confirmation::certificate(ALICE.thumbprint())));
    let good = format!(
        "{EXCHANGE}&{TYPE}&client_id=post&client_secret=secret&audience={API}&scope=r\
        &subject_token={token}"
    );
    assert!(decide(&server, &request(&good)).is_ok());
    let mut refused = 0_u32;
    let mut granted = 0_u32;
    for index in 0..good.len() {
        for byte in [0, b'&', b'=', b'%', b'+', b'a', 0xff] {
            let mut bytes = good.clone().into_bytes();
            bytes[index] = byte;
            let mutant = Request { body: &bytes, ..request("") };
            match decide(&server, &mutant) {
                Err(denial) => {
                    refused += 1;
                    let answer = Response::of_denial(&denial, &Answer::default());
                    assert!(answer.status() >= 400 && !answer.body().contains("access_token\":"));
                    let told = format!("{denial} {denial:?} {} {mutant:?}", answer.body());
                    assert!(!told.contains(&token[10..40]) && !told.contains("=secret"), "{told}");
                }
                Ok(grant) => {
                    granted += 1;
                    assert_eq!((grant.subject(), grant.client_id()), ("ann", "post"));
                    assert_eq!(grant.audiences(), [API]);
                    assert!(
                        grant.scopes().iter().all(|scope| ["r", "w"].contains(&scope.as_str()))
                    );
                    let confirmation = Confirmation::certificate(ALICE.thumbprint());
                    assert_eq!(grant.confirmation(), Some(&confirmation));
                    assert!(grant.lifetime() <= 120 && grant.act().is_none());
                }
            }
        }
    }
    assert!(refused > 1_000 && granted > 0, "{refused} {granted}");
    for other in [Possessions::default(), proved(&BOB)] {
        let asked = Request { possessions: other, ..request(&good) };
        assert!(decide(&server, &asked).is_err());
    }
    for length in 0..good.len() {
        let asked = Request { body: &good.as_bytes()[..length], ..request("") };
        assert!(decide(&server, &asked).is_err(), "{length}");
    }
    let issued = issue(&server, &good);
    let shown = format!("{issued:?} {:?}", Response::of_issued(&issued));
    assert!(!shown.contains(issued.token()));
}
