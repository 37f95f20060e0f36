//! Whole requests against a whole authorization server: every refusal, and what must hold for any
//! request. The RFC's own examples are in `tests/token_exchange.rs`.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use openssl::pkey::PKey;
use serde_json::{Value, json};

use super::testing::{NOW, basic_header, certificate, ring, token_bindings};
use super::*;
use crate::confirmation::Confirmation;
use crate::directive::value::Toggle;
use crate::jose::json::{self as strict_json, Object};
use crate::jose::{Algorithm, HardwareKey, KeyRing, KeySet, SigningKey, base64url};
use crate::policy::Policy;
use crate::proof::{ClientCertificate, Possessions};
use crate::refusal::Reason;
use crate::thumbprint::Thumbprint;
use crate::token::{self, TokenRequest};

const FORM: Option<&[u8]> = Some(b"application/x-www-form-urlencoded");
const ISSUER: &str = "https://as.example";
const ENDPOINT: &str = "https://as.example/token";
const API: &str = "https://api.example";
const EXCHANGE: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
const TYPE: &str = "subject_token_type=urn:ietf:params:oauth:token-type:access_token";
const ACTOR_TYPE: &str = "actor_token_type=urn:ietf:params:oauth:token-type:access_token";

static AS_KEY: LazyLock<Arc<SigningKey>> =
    LazyLock::new(|| Arc::new(SigningKey::generate(Algorithm::ES256, "as").unwrap()));
static IDP_KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::ES256, "idp").unwrap());
static CLIENT_KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::ES256, "client").unwrap());
static ALICE: LazyLock<ClientCertificate> =
    LazyLock::new(|| certificate(&[("CN", "alice")], &["DNS:alice.example"]));
static BOB: LazyLock<ClientCertificate> = LazyLock::new(|| certificate(&[("CN", "bob")], &[]));

/// An issuer whose keys are known and one whose are not, a policy that is incomplete, a file.
fn subjects() -> SubjectTokens {
    let policy = Policy::new()
        .unwrap()
        .trust("https://idp", ring(&[&IDP_KEY]))
        .trust("https://slow", Arc::new(KeyRing::new()))
        .audience(ISSUER)
        .with(|settings| settings.bearer = Toggle(true));
    let lines = format!(
        "{} alice {}\n{} carol\n",
        Thumbprint::of(b"iamtheeggman"),
        ALICE.thumbprint(),
        Thumbprint::of(b"gnik"),
    );
    SubjectTokens::new()
        .jwts(TokenType::AccessToken, Arc::new(policy))
        .jwts(TokenType::IdToken, Arc::new(Policy::new().unwrap()))
        .credentials(Arc::new(CredentialFile::parse(&lines).unwrap()))
}

/// The configuration that most scenarios run against.
fn server() -> AuthorizationServer {
    let api = Target::new(API).resource("https://api.example/v1");
    let name = CertificateName::Dns("alice.example".to_owned());
    let secret = || vec![CredentialHash::of(b"secret")];
    AuthorizationServer::new(ISSUER, ENDPOINT, Arc::clone(&AS_KEY))
        .unwrap()
        .client(Client::new("public", Authentication::None))
        .client(Client::new("tls", Authentication::Certificate(name)))
        .client(Client::new("basic", Authentication::SecretBasic(secret())))
        .client(Client::new("post", Authentication::SecretPost(secret())))
        .client(Client::new("jwt", Authentication::PrivateKeyJwt(ring(&[&CLIENT_KEY]))))
        .client(Client::new("once", Authentication::None).grant_types(&[GrantType::TokenExchange]))
        .client(Client::new("ruleless", Authentication::None))
        .client(Client::new("open", Authentication::None))
        .subject_tokens(subjects())
        .rule(Rule::new(&[Target::new(API)], 60).clients(&["open"]).unbound())
        .rule(
            Rule::new(std::slice::from_ref(&api), 300)
                .clients(&["public", "tls", "basic", "post", "jwt", "once"])
                .subjects(&["alice", "carol", "ann"])
                .actors(&["admin"])
                .scopes(&["r", "w"])
                .refresh(RefreshTerms::new(3_600)),
        )
        .rule(Rule::new(&[api], 60).clients(&["public"]).subjects(&["dora"]).default_target(API))
}

fn proved(certificate: &ClientCertificate) -> Possessions<'_> {
    Possessions { certificate: Some(certificate), ..Possessions::default() }
}

/// A request of the good client with alice's certificate.
fn request(body: &str) -> Request<'_> {
    Request {
        method: "POST",
        content_type: FORM,
        body: body.as_bytes(),
        possessions: proved(&ALICE),
        chain_verified: true,
        ..Request::default()
    }
}

fn form(rest: &str) -> String {
    format!("{EXCHANGE}&{TYPE}&client_id=public&{rest}")
}

fn subject(subject: &str) -> TokenRequest {
    TokenRequest::new("https://idp", subject, ISSUER, NOW, 120).claim("scope", "r w admin")
}

fn signed(request: &TokenRequest) -> String {
    request.sign(&IDP_KEY).unwrap()
}

fn decide(server: &AuthorizationServer, request: &Request<'_>) -> Result<Grant, Denial> {
    match server.decide(request, &NoReplayStore, NOW) {
        Ok(grant) => Ok(grant),
        Err(Failure::Denied(denial)) => Err(denial),
        Err(Failure::NeedsKeys(needed)) => Err(needed.give_up()),
    }
}

fn issue(server: &AuthorizationServer, body: &str) -> Issued {
    decide(server, &request(body)).unwrap().issue(&[9; 32]).unwrap()
}

fn part(token: &str, index: usize) -> Object {
    let part = token.split('.').nth(index).unwrap();
    strict_json::object(&base64url::decode(part).unwrap()).unwrap()
}

fn claims(token: &str) -> Value {
    Value::Object(part(token, 1))
}

fn body(issued: &Issued) -> Value {
    let response = Response::of_issued(issued);
    Value::Object(strict_json::object(response.body().trim().as_bytes()).unwrap())
}

#[test]
fn an_exchange_end_to_end() {
    let server = server();
    let asked = form("subject_token=iamtheeggman&resource=https://api.example/v1&scope=r");
    let issued = issue(&server, &asked);
    let thumbprint = ALICE.thumbprint().to_string();
    assert_eq!(
        claims(issued.token()),
        json!({
            "iss": ISSUER, "sub": "alice", "aud": API, "client_id": "public", "scope": "r",
            "iat": NOW, "exp": NOW + 300, "jti": base64url::encode([9; 16]),
            "cnf": {"x5t#S256": thumbprint},
        })
    );
    let header = part(issued.token(), 0);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert_eq!(
        body(&issued),
        json!({
            "access_token": issued.token(), "token_type": "Bearer", "expires_in": 300,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "refresh_token": issued.refresh_token().unwrap(),
        })
    );
    // JSON, as cert_bound_sts_server's clients send it, gets the same.
    let asked = json!({
        "grant_type": GrantType::TokenExchange.name(), "client_id": "public", "scope": "r",
        "resource": "https://api.example/v1", "subject_token": "iamtheeggman",
        "subject_token_type": TokenType::AccessToken.urn(), "audience": "",
    })
    .to_string();
    let content_type = Some(&b"application/json; charset=utf-8"[..]);
    let in_json = Request { content_type, ..request(&asked) };
    let again = decide(&server, &in_json).unwrap().issue(&[9; 32]).unwrap();
    assert_eq!(claims(again.token()), claims(issued.token()));
}

#[test]
fn every_algorithm_is_verified_by_the_published_set() {
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA] {
        let key = Arc::new(SigningKey::generate(algorithm, "k").unwrap());
        let server = AuthorizationServer::new(ISSUER, ENDPOINT, key)
            .unwrap()
            .client(Client::new("public", Authentication::None))
            .subject_tokens(subjects())
            .rule(Rule::new(&[Target::new(API)], 60));
        let body = form(&format!("subject_token=gnik&audience={API}"));
        let issued = issue(&server, &body);
        let ring = KeyRing::holding(KeySet::parse(server.jwk_set().as_bytes()).unwrap());
        let policy = Policy::new().unwrap().trust(ISSUER, Arc::new(ring)).audience(API);
        let verified = token::verify(issued.token(), &policy, NOW).unwrap();
        assert!(verified.judge(&policy, &proved(&ALICE), NOW).is_ok());
        assert!(verified.judge(&policy, &proved(&BOB), NOW).is_err());
    }
}

#[test]
fn nothing_is_widened() {
    let server = server();
    let token = signed(&subject("ann"));
    let asked = form(&format!("subject_token={token}&audience={API}"));
    let issued = issue(&server, &asked);
    // The lifetime is the subject token's, the scope what both have, and the client is told so.
    assert_eq!((issued.expires_in(), issued.scope()), (120, Some("r w")));
    assert_eq!(claims(issued.refresh_token().unwrap())["exp"], NOW + 120);
    assert!(part(issued.refresh_token().unwrap(), 1).get("scope").is_none());
    // An actor's token that ends earlier ends it earlier.
    let admin = signed(&TokenRequest::new("https://idp", "admin", ISSUER, NOW, 30));
    let delegated = issue(&server, &format!("{asked}&actor_token={admin}&{ACTOR_TYPE}&scope=w"));
    assert_eq!((delegated.expires_in(), delegated.scope()), (30, None));
    assert_eq!(claims(delegated.token())["act"], json!({"sub": "admin"}));
    // A token that is bound is never exchanged for one that is not.
    let both = token_bindings(true);
    let confirmation = Confirmation::token_binding(both.provided().hash());
    let bound = signed(&subject("ann").bound_to(&confirmation));
    let body = format!("{EXCHANGE}&{TYPE}&client_id=open&audience={API}&subject_token={bound}");
    let only_provided = token_bindings(false);
    let possessions =
        |bindings| Possessions { token_binding: Some(bindings), ..Possessions::default() };
    let asked = Request { possessions: possessions(&both), ..request(&body) };
    let grant = decide(&server, &asked).unwrap();
    let referred = both.referred().unwrap().hash();
    assert_eq!(grant.confirmation(), Some(&Confirmation::token_binding(referred)));
    let confirmation = Confirmation::token_binding(only_provided.provided().hash());
    let bound = signed(&subject("ann").bound_to(&confirmation));
    let body = format!("{EXCHANGE}&{TYPE}&client_id=open&audience={API}&subject_token={bound}");
    let asked = Request { possessions: possessions(&only_provided), ..request(&body) };
    assert_eq!(decide(&server, &asked).unwrap_err().reason(), DenialReason::PossessionMissing);
    // Where the rule says so, an unbound one is exchanged for an unbound one.
    let body = format!("{EXCHANGE}&{TYPE}&client_id=open&audience={API}&subject_token=gnik");
    let asked = Request { possessions: Possessions::default(), ..request(&body) };
    assert!(decide(&server, &asked).unwrap().confirmation().is_none());
}

#[test]
fn token_binding_binds_the_access_token_to_the_referred_and_the_refresh_token_to_the_provided() {
    let server = server();
    let bindings = token_bindings(true);
    let body = form(&format!("subject_token=gnik&audience={API}"));
    let possessions = Possessions { token_binding: Some(&bindings), ..Possessions::default() };
    let asked = Request { possessions, ..request(&body) };
    let issued = decide(&server, &asked).unwrap().issue(&[9; 32]).unwrap();
    let referred = bindings.referred().unwrap().hash().to_string();
    let provided = bindings.provided().hash().to_string();
    assert_eq!(claims(issued.token())["cnf"], json!({"tbh": referred}));
    assert_eq!(claims(issued.refresh_token().unwrap())["cnf"], json!({"tbh": provided}));
}

#[test]
fn refresh_tokens_stay_narrow_bound_and_their_clients() {
    let server = server();
    let admin = signed(&TokenRequest::new("https://idp", "admin", ISSUER, NOW, 60));
    let asked = form(&format!(
        "subject_token=gnik&audience={API}&scope=r&actor_token={admin}&{ACTOR_TYPE}"
    ));
    let refresh = issue(&server, &asked).refresh_token().unwrap().to_owned();
    let body = |rest: &str| {
        format!("grant_type=refresh_token&client_id=public&refresh_token={refresh}{rest}")
    };
    let issued = issue(&server, &body(""));
    assert_eq!((issued.scope(), issued.refresh_token()), (Some("r"), None));
    assert_eq!(claims(issued.token())["aud"], API);
    // The subject is ours, the actor another issuer's: "iss" says so.
    assert_eq!(claims(issued.token())["act"], json!({"sub": "admin", "iss": "https://idp"}));
    assert_eq!(issued.expires_in(), 60);
    assert!(issue(&server, &body("&scope=r&resource=https://api.example/v1")).scope().is_none());
    for (rest, certificate, reason) in [
        ("&scope=w", &ALICE, DenialReason::ScopeExceeded),
        ("&audience=https://other.example", &ALICE, DenialReason::TargetUnknown),
        ("", &BOB, DenialReason::RefreshTokenRefused),
    ] {
        let body = body(rest);
        let asked = Request { possessions: proved(certificate), ..request(&body) };
        assert_eq!(decide(&server, &asked).unwrap_err().reason(), reason, "{rest}");
    }
    // An access token is no refresh token, and a refresh token no subject token.
    let access = issued.token();
    let body = format!("grant_type=refresh_token&client_id=public&refresh_token={access}");
    let denial = decide(&server, &request(&body)).unwrap_err();
    assert_eq!(denial.cause().unwrap().reason(), Reason::TypeNotAccepted);
    // The former key's refresh tokens are good as long as it is published.
    let next = Arc::new(SigningKey::generate(Algorithm::ES256, "next").unwrap());
    let rule = Rule::new(&[Target::new(API)], 60).scopes(&["r"]).any_actor();
    let rule = rule.refresh(RefreshTerms::new(600));
    let rotated = |server: AuthorizationServer, subjects: SubjectTokens| {
        server
            .client(Client::new("public", Authentication::None))
            .subject_tokens(subjects)
            .rule(rule.clone())
    };
    let fresh = AuthorizationServer::new(ISSUER, ENDPOINT, next).unwrap();
    let publishing = || fresh.clone().publish(AS_KEY.public_jwk().unwrap()).unwrap();
    let body = format!("grant_type=refresh_token&client_id=public&refresh_token={refresh}");
    assert!(decide(&rotated(publishing(), subjects()), &request(&body)).is_ok());
    // Without the key, and without what the subject was known by.
    let others = SubjectTokens::new().credentials(Arc::default());
    for server in [rotated(fresh.clone(), subjects()), rotated(publishing(), others)] {
        let denial = decide(&server, &request(&body)).unwrap_err();
        assert_eq!(denial.reason(), DenialReason::RefreshTokenRefused);
    }
}

#[test]
fn a_refresh_token_won_by_delegation_stays_under_the_rules_about_actors() {
    let api = [Target::new(API)];
    let with = |rules: Vec<Rule>| {
        let server = AuthorizationServer::new(ISSUER, ENDPOINT, Arc::clone(&AS_KEY))
            .unwrap()
            .client(Client::new("public", Authentication::None))
            .subject_tokens(subjects());
        rules.into_iter().fold(server, AuthorizationServer::rule)
    };
    let direct = || Rule::new(&api, 50);
    let delegated = || Rule::new(&api, 10).actors(&["admin"]).refresh(RefreshTerms::new(600));
    let server = with(vec![direct(), delegated()]);
    let admin = signed(&TokenRequest::new("https://idp", "admin", ISSUER, NOW, 60));
    let asked =
        form(&format!("subject_token=gnik&audience={API}&actor_token={admin}&{ACTOR_TYPE}"));
    let refresh = issue(&server, &asked).refresh_token().unwrap().to_owned();
    let body = format!("grant_type=refresh_token&client_id=public&refresh_token={refresh}");
    let issued = issue(&server, &body);
    assert_eq!((issued.expires_in(), &claims(issued.token())["act"]["sub"]), (10, &json!("admin")));
    for (rule, reason) in [
        (direct().refresh(RefreshTerms::new(600)), DenialReason::DelegationNotAllowed),
        (direct().any_actor(), DenialReason::RefreshNotAllowed),
    ] {
        let denial = decide(&with(vec![rule]), &request(&body)).unwrap_err();
        assert_eq!(denial.reason(), reason);
    }
}

#[test]
fn may_act_without_an_issuer_means_the_subjects() {
    let of_idp = |subject: &str| TokenRequest::new("https://idp", subject, ISSUER, NOW, 60);
    let subject = signed(&of_idp("ann").claim("may_act", json!({"sub": "carol"})));
    let asked = |actor: &str| {
        form(&format!("subject_token={subject}&audience={API}&actor_token={actor}&{ACTOR_TYPE}"))
    };
    let refused = |actor: &str| decide(&server(), &request(&asked(actor))).unwrap_err().reason();
    // The credential is another carol's.
    assert_eq!(refused("gnik"), DenialReason::ActorNotPermitted);
    assert_eq!(refused(&signed(&of_idp("carol"))), DenialReason::DelegationNotAllowed);
}

#[test]
fn an_unbound_refresh_token_ends_with_the_rule_that_allowed_it() {
    let with = |rule: Rule| {
        AuthorizationServer::new(ISSUER, ENDPOINT, Arc::clone(&AS_KEY))
            .unwrap()
            .client(Client::new("public", Authentication::None))
            .subject_tokens(subjects())
            .rule(rule)
    };
    let rule = || Rule::new(&[Target::new(API)], 60).refresh(RefreshTerms::new(600));
    let (lax, strict) = (with(rule().unbound()), with(rule()));
    let body = form(&format!("subject_token=gnik&audience={API}"));
    let asked = Request { possessions: Possessions::default(), ..request(&body) };
    let issued = decide(&lax, &asked).unwrap().issue(&[9; 32]).unwrap();
    let refresh = issued.refresh_token().unwrap();
    assert!(part(refresh, 1).get("cnf").is_none());
    let body = format!("grant_type=refresh_token&client_id=public&refresh_token={refresh}");
    assert!(decide(&lax, &request(&body)).is_ok());
    let denial = decide(&strict, &request(&body)).unwrap_err();
    assert_eq!(denial.reason(), DenialReason::RefreshTokenRefused);
    assert_eq!(denial.cause().unwrap().reason(), Reason::ConfirmationMissing);
}

#[test]
fn other_types_are_issued_where_they_may_be() {
    let server = server();
    let asked =
        |urn: &str| form(&format!("subject_token=gnik&audience={API}&requested_token_type={urn}"));
    let jwt = issue(&server, &asked(TokenType::Jwt.urn()));
    assert_eq!(body(&jwt)["token_type"], "N_A");
    assert_eq!(body(&jwt)["issued_token_type"], TokenType::Jwt.urn());
    let refresh = issue(&server, &asked(TokenType::RefreshToken.urn()));
    assert_eq!(body(&refresh)["token_type"], "N_A");
    assert_eq!(part(refresh.token(), 0)["typ"], "rt+jwt");
    assert!(refresh.refresh_token().is_none() && refresh.expires_in() == 3_600);
    // A client that may not use refresh tokens gets none, and no error unless it asks for one.
    let body = form(&format!("subject_token=gnik&audience={API}")).replace("=public", "=once");
    assert!(issue(&server, &body).refresh_token().is_none());
}

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

#[test]
fn what_is_published_are_keys_to_verify_with() {
    let server = AuthorizationServer::new(ISSUER, ENDPOINT, Arc::clone(&AS_KEY)).unwrap();
    let mut jwk = AS_KEY.public_jwk().unwrap();
    jwk.insert("use".to_owned(), "enc".into());
    assert!(matches!(server.publish(jwk), Err(SetupError::Key(_))));
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

#[test]
fn metadata_follows_from_the_configuration() {
    let server = server().mtls_token_endpoint("https://mtls.as.example/token");
    let metadata = server.metadata(Some("https://as.example/jwks"));
    assert_eq!(metadata.grant_types, [GrantType::TokenExchange.name(), "refresh_token"]);
    assert_eq!(metadata.scopes, ["r", "w"]);
    assert_eq!(
        metadata.authentication_methods,
        ["client_secret_basic", "client_secret_post", "none", "private_key_jwt", "tls_client_auth"]
    );
    assert_eq!(metadata.assertion_algorithms.len(), Algorithm::ALL.len());
    assert!(metadata.certificate_bound_access_tokens);
    assert!(metadata.token_binding.access_tokens && metadata.token_binding.refresh_tokens);
    assert_eq!(metadata.mtls_token_endpoint.as_deref(), Some("https://mtls.as.example/token"));
    let bare = AuthorizationServer::new(ISSUER, ENDPOINT, Arc::clone(&AS_KEY)).unwrap();
    let metadata = bare.metadata(None);
    assert_eq!(metadata.grant_types, [GrantType::TokenExchange.name()]);
    assert!(metadata.assertion_algorithms.is_empty() && !metadata.certificate_bound_access_tokens);
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
