//! The grant types of the token endpoint.

/// A grant type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantType {
    /// A token for a token (RFC 8693).
    TokenExchange,
    /// A token for a refresh token (RFC 6749, section 6).
    RefreshToken,
}

impl GrantType {
    /// Every grant type.
    pub const ALL: &[Self] = &[Self::TokenExchange, Self::RefreshToken];

    /// The value of `grant_type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::RefreshToken => "refresh_token",
        }
    }

    /// The grant type of this name, letter by letter.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|grant_type| grant_type.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for grant_type in GrantType::ALL {
            assert_eq!(GrantType::of(grant_type.name()), Some(*grant_type));
        }
        assert_eq!(GrantType::of("client_credentials"), None);
    }
}
