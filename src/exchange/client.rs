//! A client of the token endpoint.

use super::authentication::Authentication;
use super::grant_type::GrantType;

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
