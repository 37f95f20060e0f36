//! The clients of a token endpoint, and which of them asks.

use std::collections::{HashMap, HashSet};

use super::assertion::{AssertionPolicy, SingleUse, claimed_client};
use super::authentication::Authentication;
use super::certificate_name::CertificateName;
use super::client::Client;
use super::client_credentials::Presented;
use super::credential_hash::CredentialHash;
use super::denial::{Denial, DenialReason, Failure};
use super::grant_type::GrantType;
use super::parameters::{Parameters, required};
use super::replay::{ReplayStore, Use};
use super::request::Request;
use crate::thumbprint::Thumbprint;
use crate::token::Timestamp;

/// The clients of a token endpoint.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    by_id: HashMap<String, Client>,
    secrets: HashSet<CredentialHash>,
    anonymous: Option<Client>,
}

impl Clients {
    /// Adds a client; one of the same `client_id` is replaced.
    pub fn add(&mut self, client: Client) {
        self.secrets.extend(client.authentication().secrets());
        self.by_id.insert(client.id().to_owned(), client);
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

    /// Whether some client has a secret with this hash.
    pub(super) fn have_secret(&self, hash: &CredentialHash) -> bool {
        self.secrets.contains(hash)
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
        let assertion = match (client.authentication(), &presented) {
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
                Some(policy.verify(text, (client.id(), keys), possessions, now)?)
            }
            (Authentication::SecretBasic(hashes), Presented::Basic { secret, .. }) => {
                check_secret(hashes, secret)?;
                None
            }
            (Authentication::SecretPost(hashes), Presented::Post(secret)) => {
                check_secret(hashes, secret)?;
                None
            }
            (configured, presented) => {
                let reason = match presented {
                    Presented::Nothing => DenialReason::ClientAuthenticationMissing,
                    Presented::Basic { .. } | Presented::Post(_) | Presented::Assertion(_) => {
                        DenialReason::ClientAuthenticationMethod
                    }
                };
                let detail = format_args!("{} uses {}", client.id(), configured.name());
                return Err(Denial::with_detail(reason, detail).into());
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
            match presented {
                // A client that has its two credentials the wrong way round tells its secret.
                Presented::Basic { .. } | Presented::Post(_) => {
                    let detail = format_args!("{} characters", id.chars().count());
                    Denial::with_detail(DenialReason::ClientUnknown, detail)
                }
                Presented::Nothing | Presented::Assertion(_) => {
                    Denial::repeating(DenialReason::ClientUnknown, [id.as_str()])
                }
            }
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
        self.client.id()
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
    use super::super::assertion::JWT_BEARER;
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
