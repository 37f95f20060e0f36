//! Refresh tokens: they stay narrow, bound, and their client's.

use serde_json::json;

use super::*;
use crate::refusal::Reason;

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
    let elsewhere = Rule::new(&[Target::new("https://other.example")], 50).any_actor();
    let refreshing = |rule: Rule| rule.refresh(RefreshTerms::new(600));
    for (rule, detail) in [
        (refreshing(direct()), "delegation-not-allowed"),
        (direct().any_actor(), "refresh-not-allowed"),
        (refreshing(direct().any_actor().clients(&["another"])), "rule-missing"),
        (refreshing(elsewhere), "target-unknown"),
    ] {
        let denial = decide(&with(vec![rule]), &request(&body)).unwrap_err();
        assert_eq!(denial.reason(), DenialReason::RefreshTokenRefused);
        assert!(denial.to_string().contains(&format!("any more: {detail})")), "{denial}");
    }
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
