//! The token endpoint of one place in the configuration.

use std::sync::Arc;
use std::time::Duration;

use crate::body_style::BodyStyle;
use crate::directive::Settings;
use crate::directive::value::KeyLocation;
use crate::exchange::{AuthorizationServer, CredentialFile, SubjectTokens, TokenBindingSupport};
use crate::jose::{KeyRing, SigningKey};
use crate::policy::Policy;

/// A token endpoint with the documents that it publishes.
#[derive(Debug)]
pub struct TokenService {
    server: AuthorizationServer,
    issuer: String,
    policy: Arc<Policy>,
    jwk_set: String,
    metadata: String,
    in_hardware: bool,
}

/// What the directives name, read while the server had the rights to.
pub(super) struct Material<'a> {
    /// The signing keys, the first of which signs.
    pub(super) keys: Vec<Arc<SigningKey>>,
    /// The opaque subject credentials.
    pub(super) credentials: Option<Arc<CredentialFile>>,
    /// The ring of the keys at a place.
    pub(super) ring: &'a dyn Fn(&KeyLocation) -> Arc<KeyRing>,
}

impl TokenService {
    /// The token endpoint that the settings of `policy` describe.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn new(policy: &Arc<Policy>, material: &Material<'_>) -> Result<Self, String> {
        let settings = policy.settings();
        let issuer = settings.sts_issuer.0.clone().ok_or("no sts-issuer applies here")?;
        let key = material.keys.first().ok_or("no sts-signing-key applies here")?;
        let endpoint = address(settings.sts_endpoint.0.as_ref(), settings, "/token");
        let server = AuthorizationServer::new(&issuer, &endpoint, Arc::clone(key))
            .map_err(|error| error.to_string())?
            .max_body(usize::try_from(settings.sts_max_body.0).unwrap_or(usize::MAX))
            .subject_tokens(subject_tokens(policy, material)?);
        let server = with_keys(server, material)?;
        let server = with_clients(server, settings, material)?;
        let server = with_rules(server, settings)?;
        let jwks_uri = address(settings.sts_jwks_uri.0.as_ref(), settings, "/jwks");
        let mut metadata = server.metadata(Some(&jwks_uri));
        if !settings.token_binding.0 {
            metadata.token_binding = TokenBindingSupport::default();
        }
        Ok(Self {
            jwk_set: server.jwk_set(),
            metadata: metadata.to_json(),
            in_hardware: key.is_in_hardware(),
            server,
            issuer,
            policy: Arc::clone(policy),
        })
    }

    /// The core of it.
    #[must_use]
    pub const fn server(&self) -> &AuthorizationServer {
        &self.server
    }

    /// In whose name it issues.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The JWK Set.
    #[must_use]
    pub fn jwk_set(&self) -> &str {
        &self.jwk_set
    }

    /// The metadata.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// Whether to sign takes as long as some hardware takes.
    #[must_use]
    pub const fn signs_in_hardware(&self) -> bool {
        self.in_hardware
    }

    /// How long a request may wait for keys.
    #[must_use]
    pub fn key_wait(&self) -> Duration {
        self.policy.settings().key_wait.duration()
    }

    /// How refusals are written.
    #[must_use]
    pub fn body_style(&self) -> BodyStyle {
        self.policy.settings().error_body
    }
}

/// A URL that is configured, or the usual one below the issuer.
fn address(configured: Option<&String>, settings: &Settings, path: &str) -> String {
    configured.cloned().or_else(|| settings.sts_issuer.endpoint(path)).unwrap_or_default()
}

/// JWTs need issuers and an audience; a place that lacks one takes credentials only, and tells who
/// sends it a JWT what is missing.
fn subject_tokens(policy: &Arc<Policy>, material: &Material<'_>) -> Result<SubjectTokens, String> {
    let settings = policy.settings();
    let mut tokens = SubjectTokens::new();
    if let Some(file) = &material.credentials {
        tokens = tokens.credentials(Arc::clone(file));
    }
    if let Some(missing) = policy.missing() {
        if material.credentials.is_none() {
            let missing = "neither sts-credentials nor issuer and audience apply here, to know subject tokens by";
            return Err(missing.to_owned());
        }
        return Ok(tokens.no_jwts(missing));
    }
    for kind in &settings.sts_subject_types.0 {
        tokens = tokens.jwts(*kind, Arc::clone(policy));
    }
    Ok(tokens)
}

/// All keys but the first, which signs.
fn with_keys(
    server: AuthorizationServer,
    material: &Material<'_>,
) -> Result<AuthorizationServer, String> {
    material.keys.iter().skip(1).try_fold(server, |server, key| {
        let jwk = key.public_jwk().map_err(|error| error.to_string())?;
        server.publish(jwk).map_err(|error| error.to_string())
    })
}

fn with_clients(
    server: AuthorizationServer,
    settings: &Settings,
    material: &Material<'_>,
) -> Result<AuthorizationServer, String> {
    let entries = &settings.sts_client.0;
    if entries.is_empty() {
        return Err("no sts-client applies here".to_owned());
    }
    let assumed = settings.sts_default_client.0.as_ref();
    let server = entries.iter().fold(server, |server, entry| {
        let client = entry.client(material.ring);
        if assumed == Some(&entry.id) {
            server.assume_client(client)
        } else {
            server.client(client)
        }
    });
    Ok(server)
}

/// Checks that there is a client by every name that the other directives of one place have for
/// one: a rule for a name that nobody has would never count.
///
/// # Errors
/// The first name without a client.
pub(super) fn check_client_names(settings: &Settings) -> Result<(), String> {
    let known = |id: &&String| settings.sts_client.0.iter().any(|entry| entry.id == **id);
    let unknown = |directive: &str, id: &String| {
        Err(format!("{directive} names the client {id}, of which no sts-client tells"))
    };
    if let Some(id) = settings.sts_default_client.0.as_ref().filter(|id| !known(id)) {
        return unknown("sts-default-client", id);
    }
    let mut named = settings.sts_rule.0.iter().flat_map(|rule| &rule.clients);
    named.find(|id| !known(id)).map_or(Ok(()), |id| unknown("sts-rule", id))
}

fn with_rules(
    server: AuthorizationServer,
    settings: &Settings,
) -> Result<AuthorizationServer, String> {
    if settings.sts_rule.0.is_empty() {
        return Err("no sts-rule applies here".to_owned());
    }
    let server = match &settings.sts_mtls_endpoint.0 {
        Some(url) => server.mtls_token_endpoint(url),
        None => server,
    };
    Ok(settings.sts_rule.0.iter().fold(server, |server, entry| server.rule(entry.rule())))
}
