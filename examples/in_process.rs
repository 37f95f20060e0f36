//! Tokens issued and verified in one program, as programs do with the Go library mtls-token.
//!
//! ```text
//! cargo run --example in_process
//! ```
//!
//! A program that ends TLS itself hands over the certificate that its TLS library took from the
//! client ([`ClientCertificate::presented`]); that is all that connects this library with one.
//! Here the certificates are made on the spot, and nobody connects to anybody.
//!
//! | mtls-token | here |
//! |---|---|
//! | `IssueToken(state, key, claims)` | [`TokenRequest`] with `bound_to` and `sign`: [`Service::issue_token`] |
//! | `RawClaims`, custom token types | [`TokenRequest::claim`] |
//! | `DecodeToken(state, token, key, claims)` | [`verify`], then [`Verified::judge`]: [`Service::decode_token`] |
//! | the same two for refresh tokens | [`AuthorizationServer`], which binds them alike and takes them from their own client only |
//! | `ErrMutualTLSConnection` | no certificate to bind to; when verifying, [`Reason::CertificateMissing`] |
//! | `ErrKeyPair`, and an error of the signature | [`Reason::KeyUnknown`], [`Reason::SignatureInvalid`] and others; when issuing, a `SigningError` |
//! | `ErrTokenStruct`, and errors of parsing | [`Reason::TokenMalformed`], [`Reason::TokenJson`], [`Reason::ClaimMalformed`] |
//! | `ErrTokenIat` | [`Reason::TokenIssuedInFuture`]; `iat` may be missing here (RFC 7519, section 4.1.6) |
//! | `ErrTokenExpire` | [`Reason::TokenExpired`], or [`Reason::ExpiryMissing`] |
//! | `ErrVerifyPoP` | [`Reason::CertificateMismatch`], or [`Reason::ConfirmationMissing`] |
//!
//! Besides, a token is for an issuer, an audience and a type (RFC 9068), which the policy names, and
//! clocks may be half a minute apart. [`fault_of`] makes mtls-token's errors of our reasons.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use auth_bound::exchange::{
    Authentication, AuthorizationServer, Client, CredentialFile, Issued, NoReplayStore,
    RefreshTerms, Request, Rule, SubjectTokens, Target,
};
use auth_bound::jose::{Algorithm, KeyRing, KeySet, SigningKey};
use auth_bound::refusal::{Reason, Refusal};
use auth_bound::token::{Failure, Timestamp, TokenRequest, Verified, verify};
use auth_bound::{ClientCertificate, Confirmation, Policy, Possessions, Thumbprint};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::{X509Builder, X509NameBuilder};

const ISSUER: &str = "https://as.example";
const API: &str = "https://api.example";
const HOUR: i64 = 3600;

type AnyError = Box<dyn std::error::Error>;

/// What mtls-token tells apart, in its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `ErrMutualTLSConnection`.
    MutualTlsConnection,
    /// `ErrKeyPair`.
    KeyPair,
    /// `ErrTokenStruct`.
    TokenStruct,
    /// `ErrTokenIat`.
    TokenIat,
    /// `ErrTokenExpire`.
    TokenExpire,
    /// `ErrVerifyPoP`.
    VerifyPop,
    /// What it does not look at: the issuer, the audience, the type and more.
    Other,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MutualTlsConnection => "connection must be used mutual TLS",
            Self::KeyPair => "invalid key pair",
            Self::TokenStruct => "unknown token struct type",
            Self::TokenIat => "this token cannot be used now",
            Self::TokenExpire => "this token is expired",
            Self::VerifyPop => "failed to verify proof of possession",
            Self::Other => "no counterpart",
        })
    }
}

/// The errors of mtls-token with the reasons that they stand for.
const FAULTS: &[(Fault, &[Reason])] = &[
    (Fault::MutualTlsConnection, &[Reason::CertificateMissing]),
    (
        Fault::KeyPair,
        &[
            Reason::KeyUnknown,
            Reason::KeyAlgorithmMismatch,
            Reason::AlgorithmNotAccepted,
            Reason::SignatureInvalid,
        ],
    ),
    (Fault::TokenStruct, &[Reason::TokenMalformed, Reason::TokenJson, Reason::ClaimMalformed]),
    (Fault::TokenIat, &[Reason::TokenIssuedInFuture]),
    (Fault::TokenExpire, &[Reason::TokenExpired, Reason::ExpiryMissing]),
    (Fault::VerifyPop, &[Reason::CertificateMismatch, Reason::ConfirmationMissing]),
];

/// The error of mtls-token that a reason of ours is.
pub fn fault_of(reason: Reason) -> Fault {
    let found = FAULTS.iter().find(|(_, reasons)| reasons.contains(&reason));
    found.map_or(Fault::Other, |(fault, _)| *fault)
}

/// An authorization server and an API in one program.
pub struct Service {
    key: Arc<SigningKey>,
    tokens: Policy,
    server: AuthorizationServer,
}

impl Service {
    /// One with a new key. `credential` is what `subject` logs in with, for tokens that can be
    /// refreshed.
    pub fn new(subject: &str, credential: &str) -> Result<Self, AnyError> {
        let key = Arc::new(SigningKey::generate(Algorithm::RS256, "sample_key")?);
        let line = format!("{} {subject}", Thumbprint::of(credential.as_bytes()));
        let subjects = SubjectTokens::new().credentials(Arc::new(CredentialFile::parse(&line)?));
        let endpoint = format!("{ISSUER}/token");
        let server = AuthorizationServer::new(ISSUER, &endpoint, Arc::clone(&key))?
            .assume_client(Client::new("3", Authentication::None))
            .subject_tokens(subjects)
            .rule(Rule::new(&[Target::new(API)], HOUR).refresh(RefreshTerms::new(24 * HOUR)));
        let keys = KeyRing::holding(KeySet::parse(server.jwk_set().as_bytes())?);
        let tokens = Policy::new()?.trust(ISSUER, Arc::new(keys)).audience(API);
        Ok(Self { key, tokens, server })
    }

    /// `IssueToken`: what is in `token`, bound to the client's certificate.
    pub fn issue_token(
        &self,
        proved: &Possessions<'_>,
        token: TokenRequest,
    ) -> Result<String, AnyError> {
        let Some(certificate) = proved.certificate else {
            return Err(Fault::MutualTlsConnection.to_string().into());
        };
        let bound = token.bound_to(&Confirmation::certificate(certificate.thumbprint()));
        Ok(bound.sign(&self.key)?)
    }

    /// `DecodeToken`: the claims, of a token that is good and belongs to this client.
    pub fn decode_token(
        &self,
        proved: &Possessions<'_>,
        token: &str,
        now: Timestamp,
    ) -> Result<Verified, Refusal> {
        let verified = match verify(token, &self.tokens, now) {
            Ok(verified) => verified,
            Err(Failure::Refused(refusal)) => return Err(refusal),
            // Keys that an issuer elsewhere may have published meanwhile; there is none here.
            Err(Failure::NeedsKeys(needed)) => {
                return Err(needed.otherwise.unwrap_or_else(|| Reason::KeysUnavailable.into()));
            }
        };
        verified.judge(&self.tokens, proved, now)?;
        Ok(verified)
    }

    /// An access token with a refresh token, both bound, for a credential or a refresh token: the
    /// parameters of RFC 8693 or of RFC 6749, section 6.
    pub fn grant(
        &self,
        proved: Possessions<'_>,
        parameters: &str,
        now: Timestamp,
    ) -> Result<Issued, AnyError> {
        let request = Request {
            method: "POST",
            content_type: Some(b"application/x-www-form-urlencoded"),
            body: parameters.as_bytes(),
            possessions: proved,
            ..Request::default()
        };
        // Whoever has no random generator at hand takes OpenSSL's.
        let mut identifier = [0; 32];
        openssl::rand::rand_bytes(&mut identifier)?;
        Ok(self.server.decide(&request, &NoReplayStore, now)?.issue(&identifier)?)
    }
}

/// A self-signed certificate: the thumbprint says which one it must be, and nobody has to sign it.
pub fn certificate(name: &str) -> Result<ClientCertificate, AnyError> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_text("CN", name)?;
    let subject = subject.build();
    let (begins, ends) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(1)?);
    let mut builder = X509Builder::new()?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    builder.set_pubkey(&key)?;
    builder.set_not_before(&begins)?;
    builder.set_not_after(&ends)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok(ClientCertificate::presented(builder.build().to_der()?))
}

/// The clients: two with certificates, and one without.
struct Clients {
    alice: ClientCertificate,
    bob: ClientCertificate,
}

impl Clients {
    fn new() -> Result<Self, AnyError> {
        Ok(Self { alice: certificate("alice")?, bob: certificate("bob")? })
    }

    fn alice(&self) -> Possessions<'_> {
        Possessions { certificate: Some(&self.alice), ..Possessions::default() }
    }

    fn bob(&self) -> Possessions<'_> {
        Possessions { certificate: Some(&self.bob), ..Possessions::default() }
    }
}

/// Shows what becomes of access tokens.
fn access_tokens(out: &mut impl Write, clients: &Clients, now: Timestamp) -> Result<(), AnyError> {
    let service = Service::new("alice", "not needed here")?;
    let (hers, his, none) = (clients.alice(), clients.bob(), Possessions::default());
    let token = |lifetime| {
        let token = TokenRequest::new(ISSUER, "alice", API, now, lifetime);
        token.claim("client_id", "3").claim("array", ["kokuban", "kumasan"].as_slice())
    };
    let sound = service.issue_token(&hers, token(HOUR))?;
    let mut show = |what: &str, token: &str, proved: &Possessions<'_>| match service
        .decode_token(proved, token, now)
    {
        Ok(verified) => writeln!(out, "{what}: {}", verified.claims()["client_id"]),
        Err(refusal) => {
            let reason = refusal.reason();
            writeln!(out, "{what}: {}; {}", fault_of(reason), reason.name())
        }
    };
    show("hers", &sound, &hers)?;
    show("stolen", &sound, &his)?;
    show("without mutual TLS", &sound, &none)?;
    show("no token", "nonsense", &hers)?;
    show("expired", &service.issue_token(&hers, token(-HOUR))?, &hers)?;
    let future = TokenRequest::new(ISSUER, "alice", API, now.saturating_add(HOUR), HOUR);
    show("from the future", &service.issue_token(&hers, future)?, &hers)?;
    let stranger = Service::new("alice", "not needed here")?;
    show("signed by a stranger", &stranger.issue_token(&hers, token(HOUR))?, &hers)?;
    show("bound to nothing", &token(HOUR).sign(&service.key)?, &hers)?;
    let elsewhere = TokenRequest::new(ISSUER, "alice", "https://other.example", now, HOUR);
    show("for another service", &service.issue_token(&hers, elsewhere)?, &hers)?;
    match service.issue_token(&none, token(HOUR)) {
        Ok(_) => writeln!(out, "issued without mutual TLS")?,
        Err(error) => writeln!(out, "not issued without mutual TLS: {error}")?,
    }
    Ok(())
}

/// Shows what becomes of refresh tokens.
fn refresh_tokens(out: &mut impl Write, clients: &Clients, now: Timestamp) -> Result<(), AnyError> {
    let service = Service::new("alice", "her-password")?;
    let (hers, his) = (clients.alice(), clients.bob());
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
        &subject_token=her-password&audience=https://api.example\
        &subject_token_type=urn:ietf:params:oauth:token-type:access_token";
    let issued = service.grant(hers, exchange, now)?;
    let refresh_token = issued.refresh_token().ok_or("no refresh token")?;
    let refresh = format!("grant_type=refresh_token&refresh_token={refresh_token}");

    let later = now.saturating_add(HOUR);
    let renewed = service.grant(hers, &refresh, later)?;
    let verified = service.decode_token(&hers, renewed.token(), later)?;
    writeln!(out, "refreshed: {}, for {} seconds", verified.claims()["sub"], renewed.expires_in())?;
    match service.grant(his, &refresh, later) {
        Ok(_) => writeln!(out, "refreshed with a stolen refresh token")?,
        Err(error) => writeln!(out, "a stolen refresh token: {error}")?,
    }
    match service.decode_token(&hers, refresh_token, later) {
        Ok(_) => writeln!(out, "a refresh token is an access token")?,
        Err(refusal) => writeln!(out, "a refresh token is no access token: {refusal}")?,
    }
    Ok(())
}

/// Shows everything as of `now`.
pub fn run(out: &mut impl Write, now: Timestamp) -> Result<(), AnyError> {
    let clients = Clients::new()?;
    access_tokens(out, &clients, now)?;
    refresh_tokens(out, &clients, now)
}

#[allow(clippy::disallowed_methods, reason = "a program has a clock")]
fn main() -> Result<(), AnyError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    run(&mut io::stdout(), now.try_into()?)
}
