//! Authorization server metadata (RFC 8414) and the JWK Set (RFC 7517, section 5).

use serde_json::{Map, Value, json};

use crate::jose::json::Object;

/// What is published of an authorization server. A member that has no value is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `issuer`: an https URL without query and fragment.
    pub issuer: String,
    /// `token_endpoint`.
    pub token_endpoint: String,
    /// `jwks_uri`.
    pub jwks_uri: Option<String>,
    /// `grant_types_supported`.
    pub grant_types: Vec<String>,
    /// `scopes_supported`.
    pub scopes: Vec<String>,
    /// `token_endpoint_auth_methods_supported`.
    pub authentication_methods: Vec<String>,
    /// `token_endpoint_auth_signing_alg_values_supported`: for `private_key_jwt`.
    pub assertion_algorithms: Vec<String>,
    /// `service_documentation`.
    pub documentation: Option<String>,
    /// `tls_client_certificate_bound_access_tokens` (RFC 8705, section 3.3).
    pub certificate_bound_access_tokens: bool,
    /// The token endpoint of `mtls_endpoint_aliases` (RFC 8705, section 5).
    pub mtls_token_endpoint: Option<String>,
    /// What is bound to Token Binding IDs.
    pub token_binding: TokenBindingSupport,
}

/// What is bound to Token Binding IDs (draft-ietf-oauth-token-binding-08, section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBindingSupport {
    /// Access tokens.
    pub access_tokens: bool,
    /// Refresh tokens.
    pub refresh_tokens: bool,
}

impl TokenBindingSupport {
    /// The two members of a server's metadata.
    #[must_use]
    pub fn of_server(self) -> Object {
        self.members("as")
    }

    /// The two members of a client's registration, for a client that supports as much.
    #[must_use]
    pub fn of_client(self) -> Object {
        self.members("client")
    }

    fn members(self, party: &str) -> Object {
        let mut members = Object::new();
        for (kind, supported) in [("access", self.access_tokens), ("refresh", self.refresh_tokens)]
        {
            members
                .insert(format!("{party}_{kind}_token_token_binding_supported"), supported.into());
        }
        members
    }
}

impl Metadata {
    /// The document (RFC 8414, section 3.2).
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut members = Map::new();
        let mut member = |name: &str, value: Value| {
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !empty {
                members.insert(name.to_owned(), value);
            }
        };
        member("issuer", json!(self.issuer));
        member("token_endpoint", json!(self.token_endpoint));
        member("jwks_uri", json!(self.jwks_uri));
        member("grant_types_supported", json!(self.grant_types));
        member("scopes_supported", json!(self.scopes));
        member("token_endpoint_auth_methods_supported", json!(self.authentication_methods));
        member(
            "token_endpoint_auth_signing_alg_values_supported",
            json!(self.assertion_algorithms),
        );
        member("service_documentation", json!(self.documentation));
        member(
            "tls_client_certificate_bound_access_tokens",
            json!(self.certificate_bound_access_tokens),
        );
        let alias = self.mtls_token_endpoint.as_ref();
        member("mtls_endpoint_aliases", json!(alias.map(|url| json!({ "token_endpoint": url }))));
        members.extend(self.token_binding.of_server());
        // RFC 8414, section 2, requires it; there is no authorization endpoint to use any with.
        members.insert("response_types_supported".to_owned(), json!([]));
        format!("{}\n", Value::Object(members))
    }
}

/// Where the metadata of `issuer` is to be found: the well-known part stands between host and
/// path (RFC 8414, section 3.1). `None` if it is no URL with a host.
#[must_use]
pub fn well_known_path(issuer: &str) -> Option<String> {
    let url = url::Url::parse(issuer).ok().filter(url::Url::has_host)?;
    Some(format!("/.well-known/oauth-authorization-server{}", url.path().trim_end_matches('/')))
}

/// A JWK Set of public keys.
#[must_use]
pub fn jwk_set(keys: &[Object]) -> String {
    format!("{}\n", json!({ "keys": keys }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Algorithm, KeySet, SigningKey, json};

    #[test]
    fn everything_by_its_name() {
        let metadata = Metadata {
            issuer: "https://as.example".to_owned(),
            token_endpoint: "https://as.example/token".to_owned(),
            jwks_uri: Some("https://as.example/jwks".to_owned()),
            grant_types: vec!["refresh_token".to_owned()],
            scopes: vec!["r".to_owned()],
            authentication_methods: vec!["private_key_jwt".to_owned()],
            assertion_algorithms: vec!["ES256".to_owned()],
            documentation: Some("https://as.example/doc".to_owned()),
            certificate_bound_access_tokens: true,
            mtls_token_endpoint: Some("https://mtls.as.example/token".to_owned()),
            token_binding: TokenBindingSupport { access_tokens: true, refresh_tokens: false },
        };
        let document = json::object(metadata.to_json().as_bytes()).unwrap();
        let expected = serde_json::json!({
            "issuer": "https://as.example",
            "token_endpoint": "https://as.example/token",
            "jwks_uri": "https://as.example/jwks",
            "grant_types_supported": ["refresh_token"],
            "response_types_supported": [],
            "scopes_supported": ["r"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
            "service_documentation": "https://as.example/doc",
            "tls_client_certificate_bound_access_tokens": true,
            "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.as.example/token"},
            "as_access_token_token_binding_supported": true,
            "as_refresh_token_token_binding_supported": false,
        });
        assert_eq!(Value::Object(document), expected);
        let client = metadata.token_binding.of_client();
        assert_eq!(client["client_access_token_token_binding_supported"], true);
        assert_eq!(client["client_refresh_token_token_binding_supported"], false);
        let least = json::object(Metadata::default().to_json().as_bytes()).unwrap();
        assert!(!least.contains_key("jwks_uri") && !least.contains_key("mtls_endpoint_aliases"));
        assert!(!least.contains_key("scopes_supported"));
        assert_eq!(least["tls_client_certificate_bound_access_tokens"], false);
    }

    #[test]
    fn where_the_document_is() {
        let path = |issuer| well_known_path(issuer).unwrap();
        assert_eq!(path("https://as.example"), "/.well-known/oauth-authorization-server");
        assert_eq!(path("https://as.example/"), "/.well-known/oauth-authorization-server");
        assert_eq!(path("https://as.example/a/"), "/.well-known/oauth-authorization-server/a");
        assert_eq!(well_known_path("urn:as"), None);
        assert_eq!(well_known_path("as"), None);
    }

    #[test]
    fn a_set_that_resource_servers_read() {
        let keys = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA]
            .map(|algorithm| SigningKey::generate(algorithm, algorithm.name()).unwrap());
        let jwks = keys.each_ref().map(|key| key.public_jwk().unwrap());
        let set = KeySet::parse(jwk_set(&jwks).as_bytes()).unwrap();
        assert_eq!((set.keys().len(), set.skipped().len()), (4, 0));
    }
}
