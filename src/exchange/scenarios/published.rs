//! What is published about the server.

use super::*;

#[test]
fn what_is_published_are_keys_to_verify_with() {
    let server = AuthorizationServer::new(ISSUER, ENDPOINT, Arc::clone(&AS_KEY)).unwrap();
    let mut jwk = AS_KEY.public_jwk().unwrap();
    jwk.insert("use".to_owned(), "enc".into());
    assert!(matches!(server.publish(jwk), Err(SetupError::Key(_))));
}

#[test]
fn metadata_follows_from_the_configuration() {
    let server = server().mtls_token_endpoint("https://mtls.as.example/token");
    let metadata = server.metadata(Some("https://as.example/jwks"));
    assert_eq!(metadata.grant_types, [GrantType::TokenExchange.name(), "refresh_token"]);
    assert_eq!(metadata.scopes, ["r", "w"]);
    assert_eq!(
        metadata.authentication_methods,
        ["client_secret_basic", "client_secret_post", "none", "private_key_jwt", "tls_client_auth"]
    );
    assert_eq!(metadata.assertion_algorithms.len(), Algorithm::ALL.len());
    assert!(metadata.certificate_bound_access_tokens);
    assert!(metadata.token_binding.access_tokens && metadata.token_binding.refresh_tokens);
    assert_eq!(metadata.mtls_token_endpoint.as_deref(), Some("https://mtls.as.example/token"));
    let bare = AuthorizationServer::new(ISSUER, ENDPOINT, Arc::clone(&AS_KEY)).unwrap();
    let metadata = bare.metadata(None);
    assert_eq!(metadata.grant_types, [GrantType::TokenExchange.name()]);
    assert!(metadata.assertion_algorithms.is_empty() && !metadata.certificate_bound_access_tokens);
}
