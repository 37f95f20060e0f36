//! The authorization server: a token endpoint's configuration, and the list of its checks.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::assertion::AssertionPolicy;
use super::authentication::Authentication;
use super::client::Client;
use super::clients::{AuthenticatedClient, Clients};
use super::credential_hash::CredentialHash;
use super::denial::{Denial, DenialReason, Failure};
use super::grant::{Asked, Grant, Signer, scope_words};
use super::grant_type::GrantType;
use super::metadata::{self, Metadata, TokenBindingSupport};
use super::parameters::{MAX_BODY, Parameters, required};
use super::refresh::{self, RefreshPolicy};
use super::replay::ReplayStore;
use super::request::Request;
use super::rule::{BindTo, Rule};
use super::subject::{Party, Role, SubjectTokens};
use super::token_type::TokenType;
use crate::directive::value::Fault;
use crate::jose::json::Object;
use crate::jose::{Algorithm, KeyFault, SigningError, SigningKey};
use crate::token::Timestamp;

/// A token endpoint: in whose name it issues, to whom, for what.
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    signer: Signer,
    token_endpoint: String,
    mtls_token_endpoint: Option<String>,
    published: Vec<Object>,
    clients: Clients,
    assertions: AssertionPolicy,
    subjects: SubjectTokens,
    refresh: RefreshPolicy,
    rules: Vec<Rule>,
    max_body: usize,
}

/// Why an authorization server cannot be set up.
#[derive(Debug)]
pub enum SetupError {
    /// A default setting does not parse: never in practice.
    Setting(Fault),
    /// The signing key has no public half that can be published.
    Signing(SigningError),
    /// A key is not one to verify with.
    Key(KeyFault),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(fault) => fault.fmt(f),
            Self::Signing(error) => error.fmt(f),
            Self::Key(fault) => write!(f, "the key cannot be used: {fault}"),
        }
    }
}

impl std::error::Error for SetupError {}

impl AuthorizationServer {
    /// A server that issues tokens as `issuer`, signed with `key`, at the URL `token_endpoint`.
    /// It knows no client and no rule yet.
    ///
    /// # Errors
    /// [`SetupError`]: the key cannot be used.
    pub fn new(
        issuer: &str,
        token_endpoint: &str,
        key: Arc<SigningKey>,
    ) -> Result<Self, SetupError> {
        let jwk = key.public_jwk().map_err(SetupError::Signing)?;
        let refresh = RefreshPolicy::new(issuer, Arc::default()).map_err(SetupError::Setting)?;
        let server = Self {
            refresh,
            assertions: AssertionPolicy::new(issuer, token_endpoint)
                .map_err(SetupError::Setting)?,
            signer: Signer { issuer: issuer.to_owned(), key },
            token_endpoint: token_endpoint.to_owned(),
            mtls_token_endpoint: None,
            published: Vec::new(),
            clients: Clients::default(),
            subjects: SubjectTokens::new(),
            rules: Vec::new(),
            max_body: MAX_BODY,
        };
        server.publish(jwk)
    }

    /// Publishes one more public key and takes refresh tokens signed with it: the key before the
    /// present one, or the one after it.
    ///
    /// # Errors
    /// [`SetupError`]: the key is not one to verify with.
    pub fn publish(mut self, jwk: Object) -> Result<Self, SetupError> {
        self.published.push(jwk);
        let ring = refresh::ring(&self.published).map_err(SetupError::Key)?;
        self.refresh =
            RefreshPolicy::new(&self.signer.issuer, ring).map_err(SetupError::Setting)?;
        Ok(self)
    }

    /// Names the token endpoint for mutual TLS (RFC 8705, section 5), which client assertions may
    /// also be made for.
    #[must_use]
    pub fn mtls_token_endpoint(mut self, url: &str) -> Self {
        self.assertions = self.assertions.also_for(url);
        self.mtls_token_endpoint = Some(url.to_owned());
        self
    }

    /// Adds a client.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.clients.add(client);
        self
    }

    /// Takes requests that name no client for requests of this one.
    #[must_use]
    pub fn assume_client(mut self, client: Client) -> Self {
        self.clients.assume(client);
        self
    }

    /// What is accepted as subject and actor tokens.
    #[must_use]
    pub fn subject_tokens(mut self, tokens: SubjectTokens) -> Self {
        self.subjects = tokens;
        self
    }

    /// Adds a rule behind those that there are.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Refuses bodies of more bytes; 64 KiB unless told otherwise. Whoever reads the body should
    /// stop there too, and say so by [`Request::truncated`].
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Decides a request: every check, in order. Nothing is issued here; that is for
    /// [`Grant::issue`], and without a grant there is nothing to issue.
    ///
    /// # Errors
    /// [`Failure::Denied`], or [`Failure::NeedsKeys`] if an issuer's or a client's keys must be
    /// looked up first. A client assertion is used up by the last check, so that the request can
    /// be decided again with newer keys.
    pub fn decide(
        &self,
        request: &Request<'_>,
        replays: &dyn ReplayStore,
        now: Timestamp,
    ) -> Result<Grant, Failure> {
        self.judge(request, replays, now)
            .map_err(|failure| failure.challenging(!request.authorization.is_empty()))
    }

    fn judge(
        &self,
        request: &Request<'_>,
        replays: &dyn ReplayStore,
        now: Timestamp,
    ) -> Result<Grant, Failure> {
        let none = Parameters::default();
        let parameters = self.parse(request).map_err(|denial| self.disclose(denial, &none))?;
        self.grant(request, &parameters, replays, now).map_err(|failure| match failure {
            Failure::Denied(denial) => self.disclose(denial, &parameters).into(),
            Failure::NeedsKeys(_) => failure,
        })
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parameters, Denial> {
        check_method(request)?;
        check_size(request)?;
        Parameters::parse(request.content_type, request.body, self.max_body)
    }

    /// The denial with what it repeats of the request, but for secrets.
    fn disclose(&self, denial: Denial, parameters: &Parameters) -> Denial {
        let secrets: Vec<_> = parameters.secrets().collect();
        denial.disclosed(&secrets, |text| {
            let hash = CredentialHash::of(text.as_bytes());
            self.subjects.have_credential(&hash) || self.clients.have_secret(&hash)
        })
    }

    fn grant(
        &self,
        request: &Request<'_>,
        parameters: &Parameters,
        replays: &dyn ReplayStore,
        now: Timestamp,
    ) -> Result<Grant, Failure> {
        let grant_type = requested_grant_type(parameters)?;
        let client = self.clients.authenticate(request, parameters, &self.assertions, now)?;
        check_grant_type(&client, grant_type)?;
        let grant = match grant_type {
            GrantType::TokenExchange => self.exchange(request, parameters, &client, now)?,
            GrantType::RefreshToken => self.redeem(request, parameters, &client, now)?,
        };
        client.use_up(replays, now)?;
        Ok(grant)
    }

    /// RFC 8693, section 2.1.
    fn exchange(
        &self,
        request: &Request<'_>,
        parameters: &Parameters,
        client: &AuthenticatedClient<'_>,
        now: Timestamp,
    ) -> Result<Grant, Failure> {
        let kind = issued_type(parameters)?;
        let scope = parameters.scope.as_deref().map(scope_words).transpose()?;
        check_resources(parameters)?;
        let facts = (&request.possessions, now);
        let token = required(parameters.subject_token.as_ref(), "subject_token")?;
        let token_type =
            presented_type(parameters.subject_token_type.as_ref(), "subject_token_type")?;
        let actor_token = presented_actor(parameters)?;
        let party = self.subjects.verify(token, token_type, Role::Subject, facts)?;
        let actor: Option<Party> = actor_token
            .map(|(token, token_type)| self.subjects.verify(token, token_type, Role::Actor, facts))
            .transpose()?;
        party.check_may_act(actor.as_ref(), client.id())?;
        let asked = Asked {
            client_id: client.id(),
            may_refresh: client.may_use(GrantType::RefreshToken),
            party: &party,
            actor: actor.as_ref(),
            acted: None,
            audiences: &parameters.audience,
            resources: &parameters.resource,
            within: None,
            scope,
            kind,
            possessions: &request.possessions,
            now,
        };
        Ok(asked.judge(&self.rules, &self.signer)?)
    }

    /// RFC 6749, section 6. The refresh token stays as it is: it is bound, so that taking its
    /// place by a new one each time would win nothing.
    fn redeem(
        &self,
        request: &Request<'_>,
        parameters: &Parameters,
        client: &AuthenticatedClient<'_>,
        now: Timestamp,
    ) -> Result<Grant, Failure> {
        let scope = parameters.scope.as_deref().map(scope_words).transpose()?;
        check_resources(parameters)?;
        let token = required(parameters.refresh_token.as_ref(), "refresh_token")?;
        let possessions = &request.possessions;
        let redeemed = self.refresh.redeem(token, client.id(), possessions, now)?;
        if !self.subjects.know(&redeemed.party, possessions) {
            let detail =
                "its subject, or the credential with this certificate, is no longer accepted";
            return Err(Denial::with_detail(DenialReason::RefreshTokenRefused, detail).into());
        }
        let nothing_asked = parameters.audience.is_empty() && parameters.resource.is_empty();
        let audiences = if nothing_asked { &redeemed.audiences } else { &parameters.audience };
        let asked = Asked {
            client_id: client.id(),
            may_refresh: false,
            party: &redeemed.party,
            actor: None,
            acted: redeemed.actor.as_deref(),
            audiences,
            resources: &parameters.resource,
            within: Some(&redeemed.audiences),
            scope,
            kind: TokenType::AccessToken,
            possessions,
            now,
        };
        asked
            .judge(&self.rules, &self.signer)
            .map_err(|denial| if_ended(denial, nothing_asked).into())
    }

    /// The metadata to publish, as far as it follows from the configuration.
    #[must_use]
    pub fn metadata(&self, jwks_uri: Option<&str>) -> Metadata {
        let refreshes = self.rules.iter().any(|rule| rule.refresh.is_some());
        let grant_types = GrantType::ALL
            .iter()
            .filter(|kind| refreshes || **kind != GrantType::RefreshToken)
            .map(|kind| kind.name().to_owned());
        let methods = self.clients.iter().map(|client| client.authentication().name().to_owned());
        let assertions = self
            .clients
            .iter()
            .any(|client| matches!(client.authentication(), Authentication::PrivateKeyJwt(_)));
        let algorithms: &[Algorithm] = if assertions { Algorithm::ALL } else { &[] };
        let scopes = self.rules.iter().flat_map(Rule::known_scopes).cloned();
        let bound = |kinds: &[BindTo]| self.rules.iter().any(|rule| rule.binds_to(kinds));
        Metadata {
            issuer: self.signer.issuer.clone(),
            token_endpoint: self.token_endpoint.clone(),
            jwks_uri: jwks_uri.map(str::to_owned),
            grant_types: grant_types.collect(),
            scopes: sorted(scopes),
            authentication_methods: sorted(methods),
            assertion_algorithms: algorithms.iter().map(|it| it.name().to_owned()).collect(),
            documentation: None,
            certificate_bound_access_tokens: bound(&[BindTo::Certificate]),
            mtls_token_endpoint: self.mtls_token_endpoint.clone(),
            token_binding: TokenBindingSupport {
                access_tokens: bound(&[BindTo::Referred, BindTo::Provided]),
                refresh_tokens: self.rules.iter().any(Rule::refreshes_token_binding),
            },
        }
    }

    /// The JWK Set to publish.
    #[must_use]
    pub fn jwk_set(&self) -> String {
        metadata::jwk_set(&self.published)
    }
}

fn sorted(words: impl Iterator<Item = String>) -> Vec<String> {
    words.collect::<BTreeSet<_>>().into_iter().collect()
}

/// A refresh token that has lost its rule is no longer good, which RFC 6749, section 5.2 calls an
/// invalid grant: clients drop it then. What was asked for beyond it is the request's own fault.
fn if_ended(denial: Denial, nothing_asked: bool) -> Denial {
    let of_token = [
        DenialReason::RuleMissing,
        DenialReason::RefreshNotAllowed,
        DenialReason::DelegationNotAllowed,
    ];
    let reason = denial.reason();
    if of_token.contains(&reason) || (nothing_asked && reason == DenialReason::TargetUnknown) {
        let detail = format_args!("no sts-rule would issue it any more: {}", reason.name());
        return Denial::with_detail(DenialReason::RefreshTokenRefused, detail);
    }
    denial
}

/// RFC 6749, section 3.2: "The client MUST use the HTTP "POST" method".
fn check_method(request: &Request<'_>) -> Result<(), Denial> {
    if request.method == "POST" {
        return Ok(());
    }
    Err(Denial::repeating(DenialReason::MethodNotAllowed, [request.method]))
}

fn check_size(request: &Request<'_>) -> Result<(), Denial> {
    if request.truncated { Err(DenialReason::BodyTooLarge.into()) } else { Ok(()) }
}

fn requested_grant_type(parameters: &Parameters) -> Result<GrantType, Denial> {
    let name = required(parameters.grant_type.as_ref(), "grant_type")?;
    GrantType::of(name).ok_or_else(|| Denial::repeating(DenialReason::GrantTypeUnsupported, [name]))
}

fn check_grant_type(client: &AuthenticatedClient<'_>, grant_type: GrantType) -> Result<(), Denial> {
    if client.may_use(grant_type) {
        return Ok(());
    }
    Err(Denial::with_detail(DenialReason::GrantTypeNotAllowed, client.id()))
}

/// The type to be issued. A JWT is what an access token of ours is.
fn issued_type(parameters: &Parameters) -> Result<TokenType, Denial> {
    let Some(urn) = &parameters.requested_token_type else {
        return Ok(TokenType::AccessToken);
    };
    TokenType::of(urn)
        .filter(|kind| *kind != TokenType::IdToken)
        .ok_or_else(|| unsupported_type("requested_token_type", urn))
}

fn presented_type(value: Option<&String>, name: &'static str) -> Result<TokenType, Denial> {
    let urn = required(value, name)?;
    TokenType::of(urn).ok_or_else(|| unsupported_type(name, urn))
}

fn unsupported_type(name: &str, urn: &str) -> Denial {
    Denial::repeating(DenialReason::TokenTypeUnsupported, [urn]).of(format_args!("{name} is"))
}

/// RFC 8693, section 2.1: `actor_token_type` is "REQUIRED when the actor_token parameter is
/// present in the request but MUST NOT be included otherwise".
fn presented_actor(parameters: &Parameters) -> Result<Option<(&str, TokenType)>, Denial> {
    let token_type = parameters.actor_token_type.as_ref();
    match &parameters.actor_token {
        Some(token) => Ok(Some((token, presented_type(token_type, "actor_token_type")?))),
        None if token_type.is_some() => {
            let detail = "actor_token_type without actor_token";
            Err(Denial::with_detail(DenialReason::ParameterUnexpected, detail))
        }
        None => Ok(None),
    }
}

/// RFC 8707, section 2: a resource is "an absolute URI [...] MUST NOT include a fragment
/// component".
fn check_resources(parameters: &Parameters) -> Result<(), Denial> {
    let proper = |uri: &&String| !uri.contains('#') && url::Url::parse(uri).is_ok();
    match parameters.resource.iter().find(|uri| !proper(uri)) {
        Some(uri) => Err(Denial::repeating(DenialReason::TargetMalformed, [uri.as_str()])),
        None => Ok(()),
    }
}
