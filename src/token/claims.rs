//! The claims that a verifier judges, each of its type or the token is refused.

use serde_json::Value;

use super::Timestamp;
use crate::directive::value::{Audience, Expiry};
use crate::jose::json::Object;
use crate::policy::Policy;
use crate::refusal::{Reason, Refusal};

/// Largest NumericDate taken: what a double still holds exactly.
const MAX_TIME: f64 = 9_007_199_254_740_991.0;

/// When a token may be used (RFC 7519, sections 4.1.4 to 4.1.6). Judged anew at every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    expires: Option<Timestamp>,
    not_before: Option<Timestamp>,
    issued: Option<Timestamp>,
}

impl Lifetime {
    /// Reads `exp`, `nbf` and `iat`.
    ///
    /// # Errors
    /// [`Reason::ClaimMalformed`]; [`Reason::ExpiryMissing`] where `expiry` asks for one.
    pub fn read(claims: &Object, expiry: Expiry) -> Result<Self, Refusal> {
        let expires = time(claims, "exp")?;
        if expires.is_none() && expiry == Expiry::Required {
            return Err(Reason::ExpiryMissing.into());
        }
        Ok(Self { expires, not_before: time(claims, "nbf")?, issued: time(claims, "iat")? })
    }

    /// `exp`.
    #[must_use]
    pub const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Judges the lifetime at `now`.
    ///
    /// # Errors
    /// [`Reason::TokenExpired`], [`Reason::TokenNotYetValid`], [`Reason::TokenIssuedInFuture`].
    pub fn judge(&self, now: Timestamp, leeway: i64) -> Result<(), Refusal> {
        // RFC 7519, section 4.1.4: "on or after which the JWT MUST NOT be accepted".
        if let Some(expires) = self.expires.filter(|expires| now.saturating_sub(leeway) >= *expires)
        {
            let ago = now.saturating_sub(expires);
            return Err(Refusal::with_detail(Reason::TokenExpired, format_args!("{ago} s ago")));
        }
        let latest = now.saturating_add(leeway);
        for (time, reason) in [
            (self.not_before, Reason::TokenNotYetValid),
            (self.issued, Reason::TokenIssuedInFuture),
        ] {
            if let Some(time) = time.filter(|time| *time > latest) {
                let ahead = time.saturating_sub(now);
                return Err(Refusal::with_detail(reason, format_args!("{ahead} s ahead")));
            }
        }
        Ok(())
    }
}

/// A NumericDate, rounded down: a fraction is allowed (RFC 7519, section 2), a negative is not.
pub(super) fn time(claims: &Object, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    match value.as_f64().filter(|seconds| value.is_number() && (0.0..=MAX_TIME).contains(seconds)) {
        // Truncation is the rounding meant, and the range has been checked.
        #[allow(clippy::cast_possible_truncation)]
        Some(seconds) => Ok(Some(seconds as Timestamp)),
        None => Err(Refusal::with_detail(Reason::ClaimMalformed, name)),
    }
}

/// Checks `aud` (RFC 7519, section 4.1.3).
pub(super) fn check_audience(claims: &Object, policy: &Policy) -> Result<(), Refusal> {
    let named: Vec<&str> = match claims.get("aud") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()
            .ok_or_else(|| Refusal::with_detail(Reason::ClaimMalformed, "aud"))?,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(Refusal::with_detail(Reason::ClaimMalformed, "aud"));
        }
    };
    match &policy.settings().audience {
        Audience::Any => Ok(()),
        Audience::OneOf(accepted)
            if named.iter().any(|name| accepted.iter().any(|one| one == name)) =>
        {
            Ok(())
        }
        Audience::OneOf(_) | Audience::Unset => Err(Refusal::with_detail(
            Reason::AudienceMismatch,
            format_args!("aud is [{}]", named.join(", ")),
        )),
    }
}

/// Checks that `scope` is a string (RFC 8693, section 4.2) if it is there at all.
pub(super) fn check_scope(claims: &Object) -> Result<(), Refusal> {
    match claims.get("scope") {
        None | Some(Value::String(_)) => Ok(()),
        Some(_) => Err(Refusal::with_detail(Reason::ClaimMalformed, "scope")),
    }
}

/// RFC 9470, section 5.
pub(super) fn check_authentication_age(
    authenticated: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), Refusal> {
    let settings = policy.settings();
    let Some(max_age) = settings.max_age.0 else {
        return Ok(());
    };
    let oldest = now.saturating_sub(max_age).saturating_sub(settings.leeway.seconds());
    match authenticated {
        Some(time) if time >= oldest => Ok(()),
        Some(time) => {
            let age = now.saturating_sub(time);
            Err(Refusal::with_detail(Reason::AuthenticationTooOld, format_args!("{age} s ago")))
        }
        None => Err(Refusal::with_detail(Reason::AuthenticationTooOld, "no auth_time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json;

    fn judge(claims: &str) -> Result<(), Reason> {
        let claims = json::object(claims.as_bytes()).unwrap();
        Lifetime::read(&claims, Expiry::Required)
            .and_then(|lifetime| lifetime.judge(1_000, 30))
            .map_err(|refusal| refusal.reason())
    }

    #[test]
    fn times_are_numbers_judged_with_leeway() {
        for (claims, expected) in [
            (r#"{"exp":1000}"#, Ok(())),
            (r#"{"exp":971}"#, Ok(())),
            (r#"{"exp":970}"#, Err(Reason::TokenExpired)),
            (r#"{"exp":1000.5}"#, Ok(())),
            (r#"{"exp":1e300}"#, Err(Reason::ClaimMalformed)),
            (r#"{"exp":"2000"}"#, Err(Reason::ClaimMalformed)),
            (r#"{"exp":-1}"#, Err(Reason::ClaimMalformed)),
            (r#"{"exp":null}"#, Err(Reason::ClaimMalformed)),
            (r#"{"exp":true}"#, Err(Reason::ClaimMalformed)),
            ("{}", Err(Reason::ExpiryMissing)),
            (r#"{"exp":2000,"nbf":1030}"#, Ok(())),
            (r#"{"exp":2000,"nbf":1031}"#, Err(Reason::TokenNotYetValid)),
            (r#"{"exp":2000,"iat":1031}"#, Err(Reason::TokenIssuedInFuture)),
            (r#"{"exp":2000,"iat":"x"}"#, Err(Reason::ClaimMalformed)),
        ] {
            assert_eq!(judge(claims), expected, "{claims}");
        }
    }
}
