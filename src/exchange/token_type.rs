//! Identifiers of token types (RFC 8693, section 3).

/// A type of security token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// An OAuth access token.
    AccessToken,
    /// An OAuth refresh token.
    RefreshToken,
    /// An ID Token of OpenID Connect.
    IdToken,
    /// A JWT.
    Jwt,
}

impl TokenType {
    /// Every type known here. SAML assertions are not.
    pub const ALL: &[Self] = &[Self::AccessToken, Self::RefreshToken, Self::IdToken, Self::Jwt];

    /// The identifier.
    #[must_use]
    pub const fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    /// The type of this identifier, letter by letter.
    #[must_use]
    pub fn of(urn: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.urn() == urn)
    }

    /// `token_type` of the response (RFC 8693, section 2.2.1): how the token is used. A
    /// certificate-bound token is presented with `Bearer` (RFC 8705, section 3).
    #[must_use]
    pub const fn usage(self) -> &'static str {
        match self {
            Self::AccessToken => "Bearer",
            Self::RefreshToken | Self::IdToken | Self::Jwt => "N_A",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_round_trip() {
        for kind in TokenType::ALL {
            assert_eq!(TokenType::of(kind.urn()), Some(*kind));
        }
        assert_eq!(TokenType::of("urn:ietf:params:oauth:token-type:saml2"), None);
        assert_eq!(TokenType::of("access_token"), None);
        assert_eq!(TokenType::AccessToken.usage(), "Bearer");
        assert_eq!(TokenType::Jwt.usage(), "N_A");
    }
}
