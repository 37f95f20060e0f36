//! The access token in a request (RFC 6750, section 2.1; RFC 9449, section 7.1): in the
//! `Authorization` header and nowhere else, as OAuth 2.1 has it.

use crate::refusal::{Reason, Refusal, Scheme};

/// A token as it was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The scheme that it came with.
    pub scheme: Scheme,
    /// The token.
    pub token: &'a str,
}

impl<'a> Credentials<'a> {
    /// Finds the token in the values of all `Authorization` headers.
    ///
    /// # Errors
    /// [`Reason::TokenMissing`], [`Reason::AuthorizationRepeated`] or
    /// [`Reason::AuthorizationMalformed`].
    pub fn find(authorization: &[&'a [u8]]) -> Result<Self, Refusal> {
        match authorization {
            [] => Err(Reason::TokenMissing.into()),
            [value] => Self::parse(value),
            _ => Err(Reason::AuthorizationRepeated.into()),
        }
    }

    fn parse(value: &'a [u8]) -> Result<Self, Refusal> {
        let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at_checked(space).unwrap_or((value, &[]));
        let scheme = if scheme.eq_ignore_ascii_case(b"bearer") {
            Scheme::Bearer
        } else if scheme.eq_ignore_ascii_case(b"dpop") {
            Scheme::DPoP
        } else {
            return Err(other_scheme(value));
        };
        let token =
            std::str::from_utf8(rest.trim_ascii()).map_err(|_| Reason::AuthorizationMalformed)?;
        if token.is_empty() {
            return Err(Reason::AuthorizationMalformed.into());
        }
        Ok(Self { scheme, token })
    }

    /// Says more precisely what is wrong with a token that turned out not to be one. A server
    /// that joins repeated headers shows them as one value with a comma, which no token contains.
    #[must_use]
    pub fn explain(&self, refusal: Refusal) -> Refusal {
        let token68 = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if self.token.contains(',') {
            Reason::AuthorizationRepeated.into()
        } else if self.token.bytes().all(token68) {
            refusal
        } else {
            Reason::AuthorizationMalformed.into()
        }
    }
}

/// Another scheme is not ours to judge, unless a token hides behind it in joined headers.
fn other_scheme(value: &[u8]) -> Refusal {
    let ours = |part: &[u8]| {
        let part = part.trim_ascii_start();
        [&b"bearer "[..], b"dpop "].iter().any(|scheme| {
            part.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
    };
    if value.split(|byte| *byte == b',').any(ours) {
        Reason::AuthorizationRepeated.into()
    } else {
        Reason::TokenMissing.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(values: &[&str]) -> Result<(Scheme, String), Reason> {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        let found = Credentials::find(&values).map_err(|refusal| refusal.reason())?;
        Ok((found.scheme, found.token.to_owned()))
    }

    #[test]
    fn one_header_one_token() {
        assert_eq!(find(&["Bearer a.b.c"]), Ok((Scheme::Bearer, "a.b.c".to_owned())));
        assert_eq!(find(&["bEARER   a "]), Ok((Scheme::Bearer, "a".to_owned())));
        assert_eq!(find(&["DPoP a"]), Ok((Scheme::DPoP, "a".to_owned())));
        assert_eq!(find(&[]), Err(Reason::TokenMissing));
        assert_eq!(find(&["Basic YTpi"]), Err(Reason::TokenMissing));
        assert_eq!(find(&["Bearer"]), Err(Reason::AuthorizationMalformed));
        assert_eq!(find(&["Bearer "]), Err(Reason::AuthorizationMalformed));
        assert_eq!(find(&["Bearer a", "Bearer b"]), Err(Reason::AuthorizationRepeated));
        assert_eq!(find(&["Basic YTpi, Bearer b"]), Err(Reason::AuthorizationRepeated));
        assert_eq!(find(&["Digest a=\"b\", c=d"]), Err(Reason::TokenMissing));
    }

    #[test]
    fn what_is_no_token_is_explained() {
        let explain = |token| {
            let credentials = Credentials { scheme: Scheme::Bearer, token };
            credentials.explain(Reason::TokenMalformed.into()).reason()
        };
        assert_eq!(explain("a, Bearer b"), Reason::AuthorizationRepeated);
        assert_eq!(explain("a b"), Reason::AuthorizationMalformed);
        assert_eq!(explain("a.b"), Reason::TokenMalformed);
    }
}
