//! What is issued: never more than was proved, presented and allowed.

use serde_json::json;

use super::super::testing::token_bindings;
use super::*;
use crate::confirmation::Confirmation;
use crate::jose::KeySet;
use crate::token;

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
