//! The examples of RFC 8693, byte for byte: their requests, with the tokens and signatures that are
//! in them, get what the RFC says; the tokens that it issues pass our own verification. The public
//! keys to the examples are in the source of draft-ietf-oauth-token-exchange-20.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use auth_bound::directive::value::Toggle;
use auth_bound::exchange::{
    Authentication, AuthorizationServer, Client, CredentialFile, CredentialHash, Denial,
    DenialReason, Failure, Issued, NoReplayStore, Request, Response, Rule, SubjectTokens, Target,
    TokenType,
};
use auth_bound::jose::{Algorithm, KeyRing, KeySet, SigningKey, base64url};
use auth_bound::token::verify;
use auth_bound::{Policy, Possessions, Thumbprint};
use serde_json::{Value, json};

const ISSUER: &str = "https://as.example.com";
const ENDPOINT: &str = "https://as.example.com/as/token.oauth2";

struct Example(Value);

impl Example {
    fn all() -> Vec<Self> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let text = fs::read(path.join("token_exchange.json")).unwrap();
        let Value::Array(examples) = serde_json::from_slice(&text).unwrap() else { panic!() };
        assert_eq!(examples.len(), 3);
        examples.into_iter().map(Self).collect()
    }

    fn from(source: &str) -> Self {
        Self::all().into_iter().find(|example| example.text("source") == source).unwrap()
    }

    fn text(&self, member: &str) -> &str {
        self.0[member].as_str().unwrap()
    }

    fn now(&self) -> i64 {
        self.0["now"].as_i64().unwrap()
    }

    fn ring(&self, member: &str) -> Arc<KeyRing> {
        let set = json!({ "keys": [self.0[member]] }).to_string();
        Arc::new(KeyRing::holding(KeySet::parse(set.as_bytes()).unwrap()))
    }

    /// The server that the example tells of. Its tokens are bound to nothing.
    fn server(&self) -> AuthorizationServer {
        let key = Arc::new(SigningKey::generate(Algorithm::ES256, "ours").unwrap());
        let server = AuthorizationServer::new(ISSUER, ENDPOINT, key).unwrap();
        if self.0.get("authorization").is_some() {
            return of_section_2(server);
        }
        let policy = Policy::new()
            .unwrap()
            .trust("https://original-issuer.example.net", self.ring("subject_key"))
            .audience(ISSUER)
            .with(|settings| settings.bearer = Toggle(true));
        let target = Target::new("urn:example:cooperation-context");
        server
            .assume_client(Client::new("anyone", Authentication::None))
            .subject_tokens(SubjectTokens::new().jwts(TokenType::Jwt, Arc::new(policy)))
            .rule(
                Rule::new(&[target], 3_600)
                    .scopes(&["orders", "profile", "history", "status", "feed"])
                    .actors(&["admin@example.net"])
                    .unbound(),
            )
    }

    fn exchange(&self, body: &str) -> Result<Issued, Denial> {
        let authorization = self.0.get("authorization").map(|value| value.as_str().unwrap());
        let authorization: Vec<_> = authorization.iter().map(|value| value.as_bytes()).collect();
        let request = Request {
            method: "POST",
            content_type: Some(b"application/x-www-form-urlencoded"),
            authorization: &authorization,
            body: body.as_bytes(),
            ..Request::default()
        };
        match self.server().decide(&request, &NoReplayStore, self.now()) {
            Ok(grant) => Ok(grant.issue(&[1; 32]).unwrap()),
            Err(Failure::Denied(denial)) => Err(denial),
            Err(Failure::NeedsKeys(_)) => panic!("the key is there"),
        }
    }

    fn refused(&self, body: &str) -> DenialReason {
        self.exchange(body).unwrap_err().reason()
    }

    /// Checks the response, and gives the claims of the issued token but for those that the RFC
    /// leaves to the server, and its lifetime.
    fn check(&self, issued: &Issued) -> (Value, i64) {
        let response = Response::of_issued(issued);
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains(&("Content-Type", "application/json".to_owned())));
        assert!(response.headers().contains(&("Cache-Control", "no-store".to_owned())));
        let body = serde_json::from_str::<Value>(response.body()).unwrap();
        for member in ["issued_token_type", "token_type"] {
            assert_eq!(body[member], self.0["response"][member], "{member}");
        }
        let mut claims = claims(issued.token());
        for own in ["client_id", "jti"] {
            claims.as_object_mut().unwrap().remove(own).unwrap();
        }
        let lifetime = body["expires_in"].as_i64().unwrap();
        assert_eq!(claims["exp"], self.now() + lifetime);
        assert_eq!(claims["iat"], self.now());
        (claims, lifetime)
    }

    /// What the RFC's token says, issued now and good for `lifetime` seconds.
    fn expected(&self, lifetime: i64) -> Value {
        let mut claims = self.0["claims"].clone();
        claims["iat"] = json!(self.now());
        claims["exp"] = json!(self.now() + lifetime);
        claims
    }
}

/// Section 2.3: the token is opaque, so that only a file can tell whose it is.
fn of_section_2(server: AuthorizationServer) -> AuthorizationServer {
    let token = Thumbprint::of(b"accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC");
    let file = CredentialFile::parse(&format!("{token} bdc@example.com")).unwrap();
    let secret = CredentialHash::of(b"long-secure-random-secret");
    let target =
        Target::new("https://backend.example.com").resource("https://backend.example.com/api");
    server
        .client(Client::new("rs08", Authentication::SecretBasic(vec![secret])))
        .subject_tokens(SubjectTokens::new().credentials(Arc::new(file)))
        .rule(Rule::new(&[target], 60).scopes(&["api"]).unbound())
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64url::decode(part).unwrap()).unwrap()
}

#[test]
fn a_resource_server_exchanges_what_it_was_given() {
    let example = Example::from("RFC 8693, section 2.3");
    let body = example.text("body");
    let (claims, lifetime) = example.check(&example.exchange(body).unwrap());
    assert_eq!((claims, lifetime), (example.0["claims"].clone(), 60));
    assert_eq!(example.0["response"]["expires_in"], 60);
    let elsewhere = body.replace("backend", "other");
    assert_eq!(example.refused(&elsewhere), DenialReason::TargetUnknown);
    let unknown = body.replace("accVk", "accVx");
    assert_eq!(example.refused(&unknown), DenialReason::SubjectUnknown);
}

/// The issued tokens of the appendix live for an hour, which is longer than the tokens that they
/// are issued for; ours never do.
#[test]
fn a_client_impersonates_a_subject() {
    let example = Example::from("RFC 8693, appendix A.1");
    let body = example.text("body");
    let (claims, lifetime) = example.check(&example.exchange(body).unwrap());
    assert_eq!((claims, lifetime), (example.expected(590), 590));
    let altered = body.replace("5JzAw&", "5JzAx&");
    assert_ne!(altered, body);
    assert_eq!(example.refused(&altered), DenialReason::SubjectTokenRefused);
    let typed = body.replace("%3Ajwt", "%3Aaccess_token");
    assert_eq!(example.refused(&typed), DenialReason::TokenTypeUnsupported);
}

/// Here the RFC's server chose to issue a JWT that is no access token. Ours does when it is asked.
#[test]
fn a_client_acts_for_a_subject_who_permits_it() {
    let example = Example::from("RFC 8693, appendix A.2");
    let body = example.text("body");
    let asked = format!("{body}&requested_token_type={}", TokenType::Jwt.urn());
    let (claims, lifetime) = example.check(&example.exchange(&asked).unwrap());
    assert_eq!((claims, lifetime), (example.expected(50), 50));
    // The subject's token lets nobody act but its actor, neither the client nor the subject.
    let (alone, actor) = body.split_once("&actor_token=").unwrap();
    assert_eq!(example.refused(alone), DenialReason::ActorNotPermitted);
    let subject = alone.split("subject_token=").nth(1).unwrap().split('&').next().unwrap();
    let (_, actor_type) = actor.split_once('&').unwrap();
    let own = format!("{alone}&actor_token={subject}&{actor_type}");
    assert_eq!(example.refused(&own), DenialReason::ActorNotPermitted);
}

#[test]
fn the_issued_tokens_pass_where_they_are_presented() {
    for example in Example::all() {
        let audience = example.0["claims"]["aud"].as_str().unwrap();
        let policy = Policy::new()
            .unwrap()
            .trust(ISSUER, example.ring("key"))
            .audience(audience)
            .with(|settings| settings.bearer = Toggle(true));
        let token = example.0["response"]["access_token"].as_str().unwrap();
        assert_eq!(claims(token), example.0["claims"], "{}", example.text("source"));
        let verified = verify(token, &policy, example.now()).unwrap();
        assert!(verified.judge(&policy, &Possessions::default(), example.now()).is_ok());
        let elsewhere = Policy::new().unwrap().trust(ISSUER, example.ring("key")).audience("x");
        assert!(verify(token, &elsewhere, example.now()).is_err());
    }
}
