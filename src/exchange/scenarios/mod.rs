//! Whole requests against a whole authorization server: every refusal, and what must hold for any
//! request. The RFC's own examples are in `tests/token_exchange.rs`.

mod issued;
mod published;
mod refresh;
mod refusals;

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::testing::{NOW, certificate, ring};
use super::*;
use crate::directive::value::Toggle;
use crate::jose::json::{self as strict_json, Object};
use crate::jose::{Algorithm, KeyRing, SigningKey, base64url};
use crate::policy::Policy;
use crate::proof::{ClientCertificate, Possessions};
use crate::thumbprint::Thumbprint;
use crate::token::TokenRequest;

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
