//! Whether an opened cookie counts for this request.

use super::payload::{CookiePolicy, SessionCookie};
use super::possession::Possession;
use super::rule::CookieRule;
use super::seal_error::SealError;
use crate::token::Timestamp;

/// How many seconds the clocks of two nodes may differ.
const LEEWAY: Timestamp = 60;

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The host that the client asked for, in lower case and without a port, as
    /// [`host_of`](super::host_of) gives it.
    pub host: &'a str,
    /// The path of the request's target as it was sent: not decoded, without the query.
    pub path: &'a [u8],
    /// The time, in seconds since 1970.
    pub now: Timestamp,
    /// Every key that the client proved to hold, on this connection or in this request.
    pub proved: &'a [Possession],
}

/// What a cookie is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The name it came under.
    pub name: &'a [u8],
    /// The rule of that name.
    pub rule: &'a CookieRule,
    /// The request.
    pub request: &'a Request<'a>,
}

macro_rules! checks {
    ($($variant:ident $name:literal $sentence:literal $function:ident;)*) => {
        /// A check, in the order in which [`judge`] makes them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CookieCheck { $(#[doc = $sentence] $variant),* }

        impl CookieCheck {
            /// Every check, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Makes this check alone.
            ///
            /// # Errors
            /// The reason for which it fails.
            pub fn of(
                self,
                cookie: &SessionCookie<'_>,
                situation: &Situation<'_>,
            ) -> Result<(), SealError> {
                match self { $(Self::$variant => $function(cookie, situation)),* }
            }
        }
    };
}

checks! {
    Name "name" "It was sealed for the name it came under." check_name;
    Host "host" "It was sealed for this host." check_host;
    Path "path" "It was sealed for this path." check_path;
    Age "age" "It is neither past its maximum age nor from the future." check_age;
    Possession "possession" "The client proved the key it is bound to." check_possession;
}

/// Whether `cookie` counts in this situation: every check of [`CookieCheck::ALL`] holds.
///
/// The seal chooses the proof: a cookie bound to a key needs that key whatever the rule says, and
/// an unbound one stays unbound. The rule can only ask for more.
///
/// # Errors
/// The reason of the first check that fails.
pub fn judge(cookie: &SessionCookie<'_>, situation: &Situation<'_>) -> Result<(), SealError> {
    CookieCheck::ALL.iter().try_for_each(|check| check.of(cookie, situation))
}

fn check_name(cookie: &SessionCookie<'_>, situation: &Situation<'_>) -> Result<(), SealError> {
    if cookie.name == situation.name { Ok(()) } else { Err(SealError::OtherName) }
}

fn check_host(cookie: &SessionCookie<'_>, situation: &Situation<'_>) -> Result<(), SealError> {
    if cookie.scope.host.covers(situation.request.host) {
        Ok(())
    } else {
        Err(SealError::OtherHost)
    }
}

fn check_path(cookie: &SessionCookie<'_>, situation: &Situation<'_>) -> Result<(), SealError> {
    if cookie.scope.covers_path(situation.request.path) {
        Ok(())
    } else {
        Err(SealError::OtherPath)
    }
}

fn check_age(cookie: &SessionCookie<'_>, situation: &Situation<'_>) -> Result<(), SealError> {
    let age = situation.request.now.saturating_sub(cookie.issued);
    if age < LEEWAY.saturating_neg() {
        Err(SealError::IssuedInFuture)
    } else if age > situation.rule.max_age {
        Err(SealError::Expired)
    } else {
        Ok(())
    }
}

fn check_possession(
    cookie: &SessionCookie<'_>,
    situation: &Situation<'_>,
) -> Result<(), SealError> {
    let Some(bound) = &cookie.possession else {
        let preferred = cookie.policy == CookiePolicy::Preferred
            && situation.rule.policy == CookiePolicy::Preferred;
        return if preferred { Ok(()) } else { Err(SealError::Unbound) };
    };
    if !situation.rule.accepted.contains(&bound.kind) {
        return Err(SealError::KindNotAccepted);
    }
    let mut missing = true;
    for proved in situation.request.proved.iter().filter(|proved| proved.kind == bound.kind) {
        missing = false;
        // In constant time: `Thumbprint` compares so.
        if proved.hash == bound.hash {
            return Ok(());
        }
    }
    Err(if missing { SealError::PossessionMissing } else { SealError::PossessionMismatch })
}

#[cfg(test)]
mod tests {
    use super::super::possession::PossessionKind;
    use super::super::scope::{HostScope, Scope};
    use super::*;
    use crate::thumbprint::Thumbprint;

    const NOW: Timestamp = 1_760_000_000;

    fn key(kind: PossessionKind, name: &str) -> Possession {
        Possession { kind, hash: Thumbprint::of(name.as_bytes()) }
    }

    fn alice() -> Possession {
        key(PossessionKind::Certificate, "alice")
    }

    fn cookie(possession: Option<Possession>) -> SessionCookie<'static> {
        let policy =
            if possession.is_some() { CookiePolicy::Required } else { CookiePolicy::Preferred };
        SessionCookie {
            issued: NOW,
            policy,
            possession,
            scope: Scope { host: HostScope::Domain("app.example"), path: b"/shop" },
            name: b"SESSION",
            value: b"8F2A",
        }
    }

    fn rule() -> CookieRule {
        CookieRule { max_age: 3_600, ..CookieRule::new("SESSION".parse().unwrap()) }
    }

    fn judged(
        cookie: &SessionCookie<'_>,
        rule: &CookieRule,
        request: &Request<'_>,
    ) -> Result<(), SealError> {
        judge(cookie, &Situation { name: b"SESSION", rule, request })
    }

    #[test]
    fn a_cookie_counts_where_and_when_it_was_meant_to() {
        let proved = [alice()];
        let good = Request { host: "app.example", path: b"/shop", now: NOW, proved: &proved };
        let at = |now| Request { now, ..good };
        for (request, expected) in [
            (good, Ok(())),
            (Request { host: "www.app.example", ..good }, Ok(())),
            (Request { path: b"/shop/cart", ..good }, Ok(())),
            (Request { host: "example", ..good }, Err(SealError::OtherHost)),
            (Request { host: "evilapp.example", ..good }, Err(SealError::OtherHost)),
            (Request { path: b"/", ..good }, Err(SealError::OtherPath)),
            (Request { path: b"/shopping", ..good }, Err(SealError::OtherPath)),
            (at(NOW + 3_600), Ok(())),
            (at(NOW + 3_601), Err(SealError::Expired)),
            (at(Timestamp::MAX), Err(SealError::Expired)),
            (at(NOW - 60), Ok(())),
            (at(NOW - 61), Err(SealError::IssuedInFuture)),
            (at(Timestamp::MIN), Err(SealError::IssuedInFuture)),
        ] {
            assert_eq!(judged(&cookie(Some(alice())), &rule(), &request), expected, "{request:?}");
        }
        let situation = Situation { name: b"SESSION2", rule: &rule(), request: &good };
        assert_eq!(judge(&cookie(Some(alice())), &situation), Err(SealError::OtherName));
    }

    #[test]
    fn the_seal_chooses_the_proof() {
        use PossessionKind::{Certificate, TokenBinding};
        use SealError::{KindNotAccepted, PossessionMismatch, PossessionMissing, Unbound};
        let bob = key(Certificate, "bob");
        let bound = key(TokenBinding, "alice");
        let (required, preferred) = (CookiePolicy::Required, CookiePolicy::Preferred);
        for (sealed, policy, proved, expected) in [
            (Some(alice()), required, vec![alice()], Ok(())),
            (Some(alice()), required, vec![bob, alice()], Ok(())),
            (Some(alice()), required, vec![], Err(PossessionMissing)),
            (Some(alice()), required, vec![bob], Err(PossessionMismatch)),
            // The same hash proved in another way.
            (Some(alice()), required, vec![bound], Err(PossessionMissing)),
            // A weaker rule does not make a bound cookie a bearer cookie.
            (Some(alice()), preferred, vec![], Err(PossessionMissing)),
            (Some(alice()), preferred, vec![bob], Err(PossessionMismatch)),
            (Some(bound), required, vec![bound, alice()], Ok(())),
            (Some(key(PossessionKind::DeviceKey, "a")), required, vec![], Err(KindNotAccepted)),
            (None, preferred, vec![], Ok(())),
            (None, preferred, vec![alice()], Ok(())),
            (None, required, vec![], Err(Unbound)),
            (None, required, vec![alice()], Err(Unbound)),
        ] {
            let accepted = vec![Certificate, TokenBinding];
            let rule = CookieRule { policy, accepted, ..rule() };
            let request =
                Request { host: "app.example", path: b"/shop", now: NOW, proved: &proved };
            assert_eq!(judged(&cookie(sealed), &rule, &request), expected, "{sealed:?} {proved:?}");
        }
    }
}
