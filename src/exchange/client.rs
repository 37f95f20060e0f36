//! Clients and how they authenticate (RFC 6749, section 2.3; RFC 8705, section 2; RFC 7523,
//! section 2.2).

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::assertion::{AssertionPolicy, JWT_BEARER, SingleUse, claimed_client};
use super::certificate_name::CertificateName;
use super::credential_hash::CredentialHash;
use super::denial::{Denial, DenialReason, Failure, told};
use super::grant_type::GrantType;
use super::parameters::{Parameters, decoded, required};
use super::replay::{ReplayStore, Use};
use super::request::Request;
use crate::jose::KeyRing;
use crate::thumbprint::Thumbprint;
use crate::token::Timestamp;

/// The one method by which a client authenticates, as registered (RFC 7591, section 2,
/// `token_endpoint_auth_method`).
#[derive(Clone, Debug)]
pub enum Authentication {
    /// `none`: a public client, known by what it says.
    None,
    /// `tls_client_auth`: by a name in a certificate of a trusted authority.
    Certificate(CertificateName),
    /// `self_signed_tls_client_auth`: by one of these certificates, whoever issued it.
    SelfSignedCertificate(Vec<Thumbprint>),
    /// `private_key_jwt`: by an assertion signed with one of these keys.
    PrivateKeyJwt(Arc<KeyRing>),
    /// `client_secret_basic`: by one of the secrets of these hashes, in `Authorization`.
    SecretBasic(Vec<CredentialHash>),
    /// `client_secret_post`: by one of the secrets of these hashes, in the body.
    SecretPost(Vec<CredentialHash>),
}

impl Authentication {
    /// The name in the registry of RFC 8414, section 7.2.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Certificate(_) => "tls_client_auth",
            Self::SelfSignedCertificate(_) => "self_signed_tls_client_auth",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
        }
    }
}

/// A client of the token endpoint.
#[derive(Clone, Debug)]
pub struct Client {
    id: String,
    authentication: Authentication,
    grant_types: Vec<GrantType>,
}

impl Client {
    /// A client that may use every grant type.
    #[must_use]
    pub fn new(id: &str, authentication: Authentication) -> Self {
        Self { id: id.to_owned(), authentication, grant_types: GrantType::ALL.to_vec() }
    }

    /// Lets the client use these grant types only.
    #[must_use]
    pub fn grant_types(mut self, grant_types: &[GrantType]) -> Self {
        self.grant_types = grant_types.to_vec();
        self
    }

    /// `client_id`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it authenticates.
    #[must_use]
    pub const fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// Whether it may use `grant_type`.
    #[must_use]
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }
}

/// The clients of a token endpoint.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    by_id: HashMap<String, Client>,
    anonymous: Option<Client>,
}

impl Clients {
    /// Adds a client; one of the same `client_id` is replaced.
    pub fn add(&mut self, client: Client) {
        self.by_id.insert(client.id.clone(), client);
    }

    /// Takes requests that name no client for requests of this one. It is also known by its
    /// `client_id`, which appears in the tokens issued to it.
    pub fn assume(&mut self, client: Client) {
        self.anonymous = Some(client.clone());
        self.add(client);
    }

    /// Every client.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.by_id.values()
    }

    /// Finds out which client asks.
    pub(super) fn authenticate(
        &self,
        request: &Request<'_>,
        parameters: &Parameters,
        policy: &AssertionPolicy,
        now: Timestamp,
    ) -> Result<AuthenticatedClient<'_>, Failure> {
        let presented = Presented::find(request.authorization, parameters)?;
        let client = self.claimed(&presented, parameters)?;
        let assertion = match (&client.authentication, &presented) {
            (Authentication::None, Presented::Nothing) => None,
            (Authentication::Certificate(name), Presented::Nothing) => {
                check_name(name, request)?;
                None
            }
            (Authentication::SelfSignedCertificate(known), Presented::Nothing) => {
                check_thumbprint(known, request)?;
                None
            }
            (Authentication::PrivateKeyJwt(keys), Presented::Assertion(text)) => {
                let possessions = &request.possessions;
                Some(policy.verify(text, (&client.id, keys), possessions, now)?)
            }
            (Authentication::SecretBasic(hashes), Presented::Basic { secret, .. }) => {
                check_secret(hashes, secret)?;
                None
            }
            (Authentication::SecretPost(hashes), Presented::Post(secret)) => {
                check_secret(hashes, secret)?;
                None
            }
            (_, Presented::Nothing) => {
                let detail = format_args!("{} uses {}", client.id, client.authentication.name());
                return Err(
                    Denial::with_detail(DenialReason::ClientAuthenticationMissing, detail).into()
                );
            }
            (_, _) => {
                let detail = format_args!("{} uses {}", client.id, client.authentication.name());
                return Err(
                    Denial::with_detail(DenialReason::ClientAuthenticationMethod, detail).into()
                );
            }
        };
        Ok(AuthenticatedClient { client, assertion })
    }

    /// The client that the request says it is of.
    fn claimed(&self, presented: &Presented, parameters: &Parameters) -> Result<&Client, Denial> {
        let named = parameters.client_id.as_deref();
        let id = match presented {
            Presented::Basic { id, .. } => Some(id.clone()),
            Presented::Assertion(text) => Some(claimed_client(text)?),
            // RFC 6749, section 2.3.1: the secret in the body comes with client_id.
            Presented::Post(_) => {
                Some(required(parameters.client_id.as_ref(), "client_id")?.to_owned())
            }
            Presented::Nothing => named.map(str::to_owned),
        };
        let Some(id) = id else {
            return self.anonymous.as_ref().ok_or_else(|| {
                Denial::with_detail(DenialReason::ClientAuthenticationMissing, "no client_id")
            });
        };
        // RFC 7521, section 4.2: client_id "MUST identify the same client".
        if named.is_some_and(|named| named != id) {
            return Err(DenialReason::ClientIdMismatch.into());
        }
        self.by_id.get(&id).ok_or_else(|| {
            // A client that has its two credentials the wrong way round tells its secret.
            let detail = match presented {
                Presented::Basic { .. } => format!("{} characters", id.chars().count()),
                Presented::Nothing | Presented::Post(_) | Presented::Assertion(_) => told(&id),
            };
            Denial::with_detail(DenialReason::ClientUnknown, detail)
        })
    }
}

/// A client that authenticated: evidence that only [`Clients::authenticate`] can make.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuthenticatedClient<'c> {
    client: &'c Client,
    assertion: Option<SingleUse>,
}

impl AuthenticatedClient<'_> {
    pub(super) fn id(&self) -> &str {
        &self.client.id
    }

    pub(super) fn may_use(&self, grant_type: GrantType) -> bool {
        self.client.may_use(grant_type)
    }

    /// Uses up the client's assertion. The last check of all, so that a request that fails any
    /// other leaves it good.
    pub(super) fn use_up(&self, replays: &dyn ReplayStore, now: Timestamp) -> Result<(), Denial> {
        let Some(SingleUse { id, until }) = self.assertion else {
            return Ok(());
        };
        match replays.check_and_insert(&id, until, now) {
            Ok(Use::First) => Ok(()),
            Ok(Use::Again) => Err(DenialReason::ClientAssertionReplayed.into()),
            Err(_) => Err(DenialReason::ReplayStoreUnavailable.into()),
        }
    }
}

/// The credentials in a request. A certificate is not among them: it may be there to bind the
/// token alone (RFC 8705, section 4).
enum Presented {
    Nothing,
    Basic { id: String, secret: String },
    Post(String),
    Assertion(String),
}

impl Presented {
    fn find(authorization: &[&[u8]], parameters: &Parameters) -> Result<Self, Denial> {
        let Parameters { client_secret, client_assertion, client_assertion_type, .. } = parameters;
        // RFC 6749, section 2.3: "The client MUST NOT use more than one authentication method in
        // each request."
        let assertion = client_assertion.is_some() || client_assertion_type.is_some();
        let methods = authorization
            .len()
            .saturating_add(usize::from(client_secret.is_some()))
            .saturating_add(usize::from(assertion));
        if methods > 1 {
            return Err(DenialReason::ClientAuthenticationRepeated.into());
        }
        if let [value] = authorization {
            return basic(value).ok_or_else(|| DenialReason::AuthorizationMalformed.into());
        }
        if let Some(secret) = client_secret {
            return Ok(Self::Post(secret.clone()));
        }
        if !assertion {
            return Ok(Self::Nothing);
        }
        let Some(text) = client_assertion else {
            let detail = "client_assertion_type without client_assertion";
            return Err(Denial::with_detail(DenialReason::ParameterUnexpected, detail));
        };
        let kind = required(client_assertion_type.as_ref(), "client_assertion_type")?;
        if kind != JWT_BEARER {
            let reason = DenialReason::ClientAuthenticationMethod;
            return Err(Denial::with_detail(
                reason,
                format_args!("an assertion of type {}", told(kind)),
            ));
        }
        Ok(Self::Assertion(text.clone()))
    }
}

/// RFC 6749, section 2.3.1: identifier and secret are form-encoded before they are put into the
/// form of RFC 7617.
fn basic(value: &[u8]) -> Option<Presented> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(encoded.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let (id, secret) = pair.split_at_checked(colon)?;
    let (id, secret) = (decoded(id)?, decoded(secret.get(1..)?)?);
    (!id.is_empty()).then_some(Presented::Basic { id, secret })
}

fn check_secret(hashes: &[CredentialHash], secret: &str) -> Result<(), Denial> {
    if CredentialHash::is_among(secret.as_bytes(), hashes) {
        Ok(())
    } else {
        Err(DenialReason::ClientSecretWrong.into())
    }
}

/// RFC 8705, section 2.1: "the certificate chain is validated, and the subject of the end-entity
/// certificate is matched".
fn check_name(name: &CertificateName, request: &Request<'_>) -> Result<(), Denial> {
    let certificate =
        request.possessions.certificate.ok_or(DenialReason::ClientCertificateMissing)?;
    if !request.chain_verified {
        return Err(DenialReason::ClientCertificateUnverified.into());
    }
    if !name.is_in(certificate) {
        let detail = format_args!("it is {}, expected {name:?}", certificate.thumbprint());
        return Err(Denial::with_detail(DenialReason::ClientCertificateMismatch, detail));
    }
    Ok(())
}

/// RFC 8705, section 2.2: a certificate that the client is registered with, whoever issued it.
fn check_thumbprint(known: &[Thumbprint], request: &Request<'_>) -> Result<(), Denial> {
    let certificate =
        request.possessions.certificate.ok_or(DenialReason::ClientCertificateMissing)?;
    let presented = certificate.thumbprint();
    if !known.contains(&presented) {
        let detail = format_args!("it is {presented}");
        return Err(Denial::with_detail(DenialReason::ClientCertificateMismatch, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, basic_header, certificate, ring};
    use super::*;
    use crate::jose::{Algorithm, SigningKey};
    use crate::proof::{ClientCertificate, Possessions};
    use crate::token::TokenRequest;

    fn hashes(secret: &str) -> Vec<CredentialHash> {
        vec![CredentialHash::of(b"older"), CredentialHash::of(secret.as_bytes())]
    }

    struct World {
        clients: Clients,
        policy: AssertionPolicy,
        key: SigningKey,
        certificate: ClientCertificate,
    }

    impl World {
        fn new() -> Self {
            let key = SigningKey::generate(Algorithm::ES256, "k").unwrap();
            let certificate = certificate(&[("CN", "tls")], &["DNS:tls.example"]);
            let name = CertificateName::Dns("tls.example".to_owned());
            let mut clients = Clients::default();
            for (id, authentication) in [
                ("public", Authentication::None),
                ("tls", Authentication::Certificate(name)),
                ("own", Authentication::SelfSignedCertificate(vec![certificate.thumbprint()])),
                ("jwt", Authentication::PrivateKeyJwt(ring(&[&key]))),
                ("basic", Authentication::SecretBasic(hashes("p:%+ü"))),
                ("post", Authentication::SecretPost(hashes("secret"))),
            ] {
                clients.add(Client::new(id, authentication));
            }
            let policy = AssertionPolicy::new("https://as", "https://as/token").unwrap();
            Self { clients, policy, key, certificate }
        }

        fn try_as(&self, request: &Request<'_>, form: &str) -> Result<String, DenialReason> {
            let content_type = Some(&b"application/x-www-form-urlencoded"[..]);
            let parameters = Parameters::parse(content_type, form.as_bytes(), 9_999).unwrap();
            match self.clients.authenticate(request, &parameters, &self.policy, NOW) {
                Ok(client) => Ok(client.id().to_owned()),
                Err(Failure::Denied(denial)) => Err(denial.reason()),
                Err(Failure::NeedsKeys(_)) => panic!(),
            }
        }

        fn assertion(&self) -> String {
            let request = TokenRequest::new("jwt", "jwt", "https://as", NOW, 60);
            request.claim("jti", "1").media_type("JWT").sign(&self.key).unwrap()
        }
    }

    fn with(certificate: &ClientCertificate, chain_verified: bool) -> Request<'_> {
        let possessions = Possessions { certificate: Some(certificate), ..Possessions::default() };
        Request { possessions, chain_verified, ..Request::default() }
    }

    #[test]
    fn certificates_by_name_and_by_thumbprint() {
        let world = World::new();
        let other = certificate(&[("CN", "other")], &["DNS:other.example"]);
        let nothing = Request::default();
        for (request, form, expected) in [
            (with(&world.certificate, true), "client_id=tls", Ok("tls")),
            (
                with(&world.certificate, false),
                "client_id=tls",
                Err(DenialReason::ClientCertificateUnverified),
            ),
            (with(&other, true), "client_id=tls", Err(DenialReason::ClientCertificateMismatch)),
            (nothing, "client_id=tls", Err(DenialReason::ClientCertificateMissing)),
            (with(&world.certificate, false), "client_id=own", Ok("own")),
            (with(&other, true), "client_id=own", Err(DenialReason::ClientCertificateMismatch)),
            (nothing, "client_id=own", Err(DenialReason::ClientCertificateMissing)),
            (
                with(&world.certificate, true),
                "client_id=own&client_secret=x",
                Err(DenialReason::ClientAuthenticationMethod),
            ),
            (with(&world.certificate, true), "client_id=public", Ok("public")),
            (nothing, "client_id=nobody", Err(DenialReason::ClientUnknown)),
            (nothing, "", Err(DenialReason::ClientAuthenticationMissing)),
        ] {
            assert_eq!(world.try_as(&request, form), expected.map(str::to_owned), "{form}");
        }
    }

    #[test]
    fn secrets_where_they_belong() {
        let world = World::new();
        let good = basic_header("basic:p%3A%25%2B%C3%BC");
        let raw = basic_header("basic:p:%25%2B%C3%BC");
        let wrong = basic_header("basic:other");
        let post = basic_header("post:secret");
        let unknown = basic_header("nobody:secret");
        let bearer = b"Bearer abc".to_vec();
        for (header, form, expected) in [
            (Some(&good), "", Ok("basic")),
            (Some(&good), "client_id=basic", Ok("basic")),
            (Some(&raw), "", Ok("basic")),
            (Some(&wrong), "", Err(DenialReason::ClientSecretWrong)),
            (Some(&good), "client_id=post", Err(DenialReason::ClientIdMismatch)),
            (Some(&good), "client_secret=x", Err(DenialReason::ClientAuthenticationRepeated)),
            (Some(&good), "client_assertion=x", Err(DenialReason::ClientAuthenticationRepeated)),
            (Some(&post), "", Err(DenialReason::ClientAuthenticationMethod)),
            (Some(&unknown), "", Err(DenialReason::ClientUnknown)),
            (Some(&bearer), "", Err(DenialReason::AuthorizationMalformed)),
            (None, "client_id=post&client_secret=secret", Ok("post")),
            (None, "client_id=post&client_secret=older", Ok("post")),
            (None, "client_id=post&client_secret=Secret", Err(DenialReason::ClientSecretWrong)),
            (None, "client_id=post", Err(DenialReason::ClientAuthenticationMissing)),
            (None, "client_secret=secret", Err(DenialReason::ParameterMissing)),
            (
                None,
                "client_id=basic&client_secret=p:%25%2B%C3%BC",
                Err(DenialReason::ClientAuthenticationMethod),
            ),
            (
                None,
                "client_id=public&client_secret=x",
                Err(DenialReason::ClientAuthenticationMethod),
            ),
        ] {
            let values: Vec<&[u8]> = header.iter().map(|value| value.as_slice()).collect();
            let request = Request { authorization: &values, ..Request::default() };
            assert_eq!(world.try_as(&request, form), expected.map(str::to_owned), "{form}");
        }
        for text in
            ["Basic", "Basic ", "Basic !", "Basic YQ==", "Basic OmE=", "Basic JTo=", "basic  /w=="]
        {
            let values = [text.as_bytes()];
            let request = Request { authorization: &values, ..Request::default() };
            assert_eq!(
                world.try_as(&request, ""),
                Err(DenialReason::AuthorizationMalformed),
                "{text}"
            );
        }
        let values = [good.as_slice(), good.as_slice()];
        let request = Request { authorization: &values, ..Request::default() };
        assert_eq!(world.try_as(&request, ""), Err(DenialReason::ClientAuthenticationRepeated));
    }

    #[test]
    fn assertions() {
        let world = World::new();
        let request = Request::default();
        let jwt =
            format!("client_assertion={}&client_assertion_type={JWT_BEARER}", world.assertion());
        for (form, expected) in [
            (jwt.clone(), Ok("jwt")),
            (format!("{jwt}&client_id=jwt"), Ok("jwt")),
            (format!("{jwt}&client_id=tls"), Err(DenialReason::ClientIdMismatch)),
            (format!("{jwt}&client_secret=x"), Err(DenialReason::ClientAuthenticationRepeated)),
            ("client_assertion=x".to_owned(), Err(DenialReason::ParameterMissing)),
            (
                "client_assertion=x&client_assertion_type=saml".to_owned(),
                Err(DenialReason::ClientAuthenticationMethod),
            ),
            (format!("client_assertion_type={JWT_BEARER}"), Err(DenialReason::ParameterUnexpected)),
            (
                format!("client_assertion=x&client_assertion_type={JWT_BEARER}"),
                Err(DenialReason::ClientAssertionRefused),
            ),
            ("client_id=jwt".to_owned(), Err(DenialReason::ClientAuthenticationMissing)),
        ] {
            assert_eq!(world.try_as(&request, &form), expected.map(str::to_owned), "{form}");
        }
    }

    #[test]
    fn requests_without_a_client_and_grant_types() {
        let mut world = World::new();
        world.clients.assume(
            Client::new("anyone", Authentication::None).grant_types(&[GrantType::TokenExchange]),
        );
        assert_eq!(world.try_as(&Request::default(), ""), Ok("anyone".to_owned()));
        assert_eq!(world.try_as(&Request::default(), "client_id=anyone"), Ok("anyone".to_owned()));
        let anyone = world.clients.iter().find(|client| client.id() == "anyone").unwrap();
        assert!(
            anyone.may_use(GrantType::TokenExchange) && !anyone.may_use(GrantType::RefreshToken)
        );
        assert_eq!(anyone.authentication().name(), "none");
    }
}
