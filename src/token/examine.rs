//! Every check on its own, for whoever wants to know all that is wrong with a token.
//!
//! Nothing here admits a token: that takes [`verify`](super::verify()) and
//! [`Verified::judge`](super::Verified::judge), which stop at the first refusal.

use super::claims::{self, Lifetime};
use super::verify::{
    accepted_algorithm, check_acr, check_size, check_type, claims_object, demanded_confirmation,
    malformed, signing_key, trusted_issuer,
};
use super::{Failure, Timestamp};
use crate::jose::Jws;
use crate::jose::json::Object;
use crate::policy::Policy;
use crate::proof::Possessions;
use crate::refusal::Refusal;

macro_rules! checks {
    ($($variant:ident $name:literal $sentence:literal;)*) => {
        /// A check, in the order in which [`verify`](super::verify()) makes them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Check { $(#[doc = $sentence] $variant),* }

        impl Check {
            /// The name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

checks! {
    Size "size" "The token is not too large.";
    Form "form" "It is a JWS in compact serialization with a proper header.";
    Type "type" "`typ` is accepted.";
    Algorithm "algorithm" "`alg` is accepted.";
    Claims "claims" "The payload is a proper JSON object.";
    Issuer "issuer" "`iss` is a trusted issuer.";
    Signature "signature" "The signature is by a key of the issuer.";
    Lifetime "lifetime" "`exp`, `nbf` and `iat` fit the time.";
    Audience "audience" "`aud` has an accepted audience.";
    Scope "scope" "`scope` is a string.";
    Confirmation "confirmation" "`cnf` is there and can be read.";
    Authentication "authentication" "`acr` and `auth_time` are what is asked for.";
    Possession "possession" "The request proved every key that `cnf` names.";
}

/// A check and what came of it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a check.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The token passes.
    Holds,
    /// The token is refused.
    Fails(Refusal),
    /// The issuer's keys would have to be known.
    NeedsKeys,
}

/// Makes every check that [`verify`](super::verify()) and
/// [`Verified::judge`](super::Verified::judge) make, except those that an earlier failure leaves
/// nothing to look at.
#[must_use]
pub fn examine(
    token: &str,
    policy: &Policy,
    possessions: &Possessions<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut report = Report(Vec::new());
    report.add(Check::Size, check_size(token, policy));
    let Some(jws) = report.add(Check::Form, Jws::parse(token).map_err(malformed)) else {
        return report.0;
    };
    report.add(Check::Type, check_type(&jws, policy));
    let algorithm = report.add(Check::Algorithm, accepted_algorithm(&jws, policy));
    let Some(claims) = report.add(Check::Claims, claims_object(&jws)) else {
        return report.0;
    };
    let ring = report.add(Check::Issuer, trusted_issuer(&claims, policy));
    if let (Some(algorithm), Some(ring)) = (algorithm, ring) {
        report.add(Check::Signature, signing_key(&jws, algorithm, ring));
    }
    report.claims(&claims, policy, possessions, now);
    report.0
}

struct Report(Vec<Finding>);

impl Report {
    /// Notes what came of `check` and hands on what it found.
    fn add<T>(&mut self, check: Check, result: Result<T, impl Into<Failure>>) -> Option<T> {
        let (found, outcome) = match result.map_err(Into::into) {
            Ok(found) => (Some(found), Outcome::Holds),
            Err(Failure::Refused(refusal)) => (None, Outcome::Fails(refusal)),
            Err(Failure::NeedsKeys(needed)) => {
                (None, needed.otherwise.map_or(Outcome::NeedsKeys, Outcome::Fails))
            }
        };
        self.0.push(Finding { check, outcome });
        found
    }

    fn claims(
        &mut self,
        claims: &Object,
        policy: &Policy,
        possessions: &Possessions<'_>,
        now: Timestamp,
    ) {
        let settings = policy.settings();
        let lifetime = Lifetime::read(claims, settings.expiry)
            .and_then(|lifetime| lifetime.judge(now, settings.leeway.seconds()));
        self.add(Check::Lifetime, lifetime);
        self.add(Check::Audience, claims::check_audience(claims, policy));
        self.add(Check::Scope, claims::check_scope(claims));
        let confirmation = self.add(Check::Confirmation, demanded_confirmation(claims, policy));
        let authentication = check_acr(claims, policy)
            .and_then(|()| claims::time(claims, "auth_time"))
            .and_then(|time| claims::check_authentication_age(time, policy, now));
        self.add(Check::Authentication, authentication);
        if let Some(confirmation) = confirmation {
            self.add(Check::Possession, confirmation.confirm(possessions));
        }
    }
}
