//! Verification of an access token: the list of checks, in order (RFC 9068, section 4;
//! RFC 8725, section 3).

use std::sync::Arc;

use super::claims::{self, Lifetime};
use super::verified::Terms;
use super::{Timestamp, Verified};
use crate::confirmation::Confirmation;
use crate::directive::value::AcceptedMethods;
use crate::jose::json::{self, Object};
use crate::jose::{Algorithm, Jws, JwsError, Key, KeyRing, Selection};
use crate::policy::Policy;
use crate::refusal::{Reason, Refusal};

/// How a token is not verified.
#[derive(Debug)]
pub enum Failure {
    /// It must not be accepted.
    Refused(Refusal),
    /// It may be good: its issuer's keys must be looked up first.
    NeedsKeys(NeededKeys),
}

/// The keys that a token needs and that are not known here.
#[derive(Clone, Debug)]
pub struct NeededKeys {
    /// The ring of the token's issuer.
    pub ring: Arc<KeyRing>,
    /// The answer if no newer keys are to be had: the keys known do not verify the token.
    pub otherwise: Option<Refusal>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason.into())
    }
}

/// Verifies everything about `token` that does not depend on who presents it; that is for
/// [`Verified::judge`], at every request.
///
/// # Errors
/// [`Failure`].
pub fn verify(token: &str, policy: &Policy, now: Timestamp) -> Result<Verified, Failure> {
    policy.complete()?;
    check_size(token, policy)?;
    let jws = Jws::parse(token).map_err(malformed)?;
    check_type(&jws, policy)?;
    let algorithm = accepted_algorithm(&jws, policy)?;
    let claims = claims_object(&jws)?;
    let ring = trusted_issuer(&claims, policy)?;
    let key = signing_key(&jws, algorithm, ring)?;
    let lifetime = Lifetime::read(&claims, policy.settings().expiry)?;
    lifetime.judge(now, policy.settings().leeway.seconds())?;
    claims::check_audience(&claims, policy)?;
    claims::check_scope(&claims)?;
    let confirmation = demanded_confirmation(&claims, policy)?;
    check_acr(&claims, policy)?;
    let terms =
        Terms { lifetime, confirmation, authenticated: claims::time(&claims, "auth_time")? };
    Ok(Verified::new(token, policy, key, terms, claims))
}

pub(super) fn check_size(token: &str, policy: &Policy) -> Result<(), Refusal> {
    let limit = policy.settings().token_max_size.0;
    if u64::try_from(token.len()).is_ok_and(|length| length <= limit) {
        return Ok(());
    }
    Err(Refusal::with_detail(
        Reason::TokenTooLarge,
        format_args!("{} bytes, limit {limit}", token.len()),
    ))
}

pub(super) fn malformed(error: JwsError) -> Refusal {
    match error {
        JwsError::Parts => Refusal::with_detail(Reason::TokenMalformed, "not three parts"),
        JwsError::Base64url => {
            Refusal::with_detail(Reason::TokenMalformed, "not canonical base64url")
        }
        JwsError::Json(reason) => {
            Refusal::with_detail(Reason::TokenJson, format_args!("header: {reason}"))
        }
        JwsError::Member("alg") => {
            Refusal::with_detail(Reason::AlgorithmNotAccepted, "alg is missing or no string")
        }
        JwsError::Member(name) => {
            Refusal::with_detail(Reason::TokenJson, format_args!("header: {name} is no string"))
        }
        JwsError::Critical => Reason::CritNotUnderstood.into(),
    }
}

/// RFC 8725, section 3.11: explicit typing keeps other JWTs of the same issuer from being taken
/// for access tokens.
pub(super) fn check_type(jws: &Jws<'_>, policy: &Policy) -> Result<(), Refusal> {
    let media_type = jws.header.media_type.as_deref();
    if policy.settings().token_types.accept(media_type) {
        return Ok(());
    }
    Err(Refusal::with_detail(
        Reason::TypeNotAccepted,
        format_args!("typ is {}", media_type.unwrap_or("absent")),
    ))
}

/// RFC 8725, section 3.1.
pub(super) fn accepted_algorithm(jws: &Jws<'_>, policy: &Policy) -> Result<Algorithm, Refusal> {
    match jws.header.algorithm {
        Some(algorithm) if policy.settings().algorithms.contains(algorithm) => Ok(algorithm),
        Some(algorithm) => Err(Refusal::with_detail(
            Reason::AlgorithmNotAccepted,
            format_args!("alg is {algorithm}"),
        )),
        None => Err(Refusal::with_detail(
            Reason::AlgorithmNotAccepted,
            "alg is none, symmetric or unknown",
        )),
    }
}

/// RFC 7519, section 7.2, step 10.
pub(super) fn claims_object(jws: &Jws<'_>) -> Result<Object, Refusal> {
    json::object(&jws.payload).map_err(|reason| {
        Refusal::with_detail(Reason::TokenJson, format_args!("payload: {reason}"))
    })
}

/// RFC 9068, section 4: the issuer "MUST exactly match the value of the "iss" claim". The keys
/// tried are this issuer's alone, so that no issuer can speak for another.
pub(super) fn trusted_issuer<'p>(
    claims: &Object,
    policy: &'p Policy,
) -> Result<&'p Arc<KeyRing>, Refusal> {
    let Some(name) = claims.get("iss").and_then(serde_json::Value::as_str) else {
        return Err(Refusal::with_detail(Reason::IssuerNotTrusted, "iss is missing or no string"));
    };
    match policy.issuer(name) {
        Some(issuer) => Ok(&issuer.keys),
        None => Err(Refusal::with_detail(Reason::IssuerNotTrusted, format_args!("iss is {name}"))),
    }
}

/// The key that the token is signed with: the signature is checked here and nowhere else.
pub(super) fn signing_key(
    jws: &Jws<'_>,
    algorithm: Algorithm,
    ring: &Arc<KeyRing>,
) -> Result<Arc<Key>, Failure> {
    let needs = |otherwise| Failure::NeedsKeys(NeededKeys { ring: Arc::clone(ring), otherwise });
    let Some(keys) = ring.current() else {
        return Err(needs(None));
    };
    let key_id = jws.header.key_id.as_deref();
    match keys.select(key_id, algorithm) {
        Selection::Candidates(candidates) => {
            let input = jws.signing_input.as_bytes();
            match candidates.into_iter().find(|key| key.verify(algorithm, input, &jws.signature)) {
                Some(key) => Ok(key),
                // A token that names no key may be signed with one that was published since.
                None if key_id.is_none() => Err(needs(Some(Reason::SignatureInvalid.into()))),
                None => Err(Reason::SignatureInvalid.into()),
            }
        }
        Selection::OtherAlgorithm if key_id.is_some() => Err(Refusal::with_detail(
            Reason::KeyAlgorithmMismatch,
            format_args!("alg is {algorithm}"),
        )
        .into()),
        Selection::OtherAlgorithm | Selection::Unknown => {
            let detail = format_args!("kid is {}", key_id.unwrap_or("absent"));
            Err(needs(Some(Refusal::with_detail(Reason::KeyUnknown, detail))))
        }
    }
}

/// The credential chooses the proof, never the configuration: a `cnf` is read wherever the token
/// is presented, and configuration can only ask for more.
pub(super) fn demanded_confirmation(
    claims: &Object,
    policy: &Policy,
) -> Result<Confirmation, Refusal> {
    let settings = policy.settings();
    let Some(cnf) = claims.get("cnf") else {
        // Where certain methods are asked for, a bearer token uses none of them.
        let admitted = settings.bearer.0 && settings.confirmation == AcceptedMethods::Any;
        return if admitted {
            Ok(Confirmation::default())
        } else {
            Err(Reason::ConfirmationMissing.into())
        };
    };
    let confirmation = Confirmation::parse(cnf, settings.compat)?;
    match &settings.confirmation {
        AcceptedMethods::OneOf(accepted)
            if !confirmation.methods().any(|method| accepted.contains(&method)) =>
        {
            let names: Vec<_> = confirmation.methods().map(|method| method.name()).collect();
            Err(Refusal::with_detail(Reason::ConfirmationNotAccepted, names.join(", ")))
        }
        AcceptedMethods::Any | AcceptedMethods::OneOf(_) => Ok(confirmation),
    }
}

/// RFC 9470, section 5.
pub(super) fn check_acr(claims: &Object, policy: &Policy) -> Result<(), Refusal> {
    let accepted = &policy.settings().acr_values.0;
    let acr = claims.get("acr").and_then(serde_json::Value::as_str);
    if accepted.is_empty() || acr.is_some_and(|acr| accepted.iter().any(|one| one == acr)) {
        return Ok(());
    }
    Err(Refusal::with_detail(
        Reason::AcrInsufficient,
        format_args!("acr is {}", acr.unwrap_or("absent")),
    ))
}
