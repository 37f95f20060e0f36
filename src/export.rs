//! What we tell the backends: one table of exported names, which is also the list of names that
//! are stripped from every incoming request.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::CStr;

use serde_json::Value;

use crate::cookie::CookieOutcome;
use crate::directive::Settings;
use crate::effect::{Effect, Target};
use crate::proof::{ClientCertificate, ProvedId, TokenBindings};
use crate::refusal::Reason;
use crate::token::{Timestamp, Verified};
use crate::token_binding::Context;

/// Where an exported name is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the environment alone.
    Variable,
    /// In a request header alone.
    Header,
    /// In both, each where a directive of its own says so.
    Either,
}

/// An exported name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// The name in the environment or of the header; on NGINX the variable is its lower case with
    /// `_` for `-`.
    pub name: &'static CStr,
    /// Where it is found.
    pub kind: Kind,
    /// What it holds.
    pub sentence: &'static str,
}

macro_rules! exports {
    ($($kind:ident $constant:ident $name:literal $sentence:literal;)*) => {
        $(pub(crate) const $constant: &CStr = $name;)*

        /// Every name with a meaning of its own. Names that begin with `BOUND_` are ours altogether.
        pub const EXPORTS: &[Export] =
            &[$(Export { name: $name, kind: Kind::$kind, sentence: $sentence }),*];
    };
}

exports! {
    Variable PROOF c"BOUND_PROOF" "How possession was proved: `certificate`, `token-binding`, or `none` for a bearer token; several are divided by commas.";
    Variable ISS c"BOUND_ISS" "The token's `iss`.";
    Variable SUB c"BOUND_SUB" "The token's `sub`.";
    Variable CLIENT_ID c"BOUND_CLIENT_ID" "The token's `client_id`.";
    Variable SCOPE c"BOUND_SCOPE" "The token's `scope`.";
    Variable EXP c"BOUND_EXP" "The token's `exp`, in seconds since the epoch.";
    Variable JTI c"BOUND_JTI" "The token's `jti`.";
    Variable REFUSAL c"BOUND_REFUSAL" "Why a request was refused, as in `AB1212`; for access logs.";
    Variable THUMBPRINT c"BOUND_CLIENT_CERTIFICATE_THUMBPRINT" "The SHA-256 thumbprint of the client's certificate in base64url, on every TLS request with one, whether or not it is protected.";
    Variable FINGERPRINT c"TB_SSL_CLIENT_CERT_FINGERPRINT" "The same under the name that mod_token_binding gave it and mod_auth_openidc reads.";
    Header CLIENT_CERT c"Client-Cert" "The client's certificate (RFC 9440), a request header, where client-cert-header says so.";
    Header CLIENT_CERT_CHAIN c"Client-Cert-Chain" "The certificates behind it, likewise.";
    Either PROVIDED c"Sec-Provided-Token-Binding-ID" "The Token Binding ID that the request proved, in base64url (draft-ietf-tokbind-ttrp). A request header too, where token-binding-headers says so; likewise the next three.";
    Either REFERRED c"Sec-Referred-Token-Binding-ID" "The ID that the client uses with another server, if it proved one.";
    Either OTHER c"Sec-Other-Token-Binding-ID" "The IDs of bindings of other types, each as `<type>.<ID>`, divided by commas.";
    Either CONTEXT c"Token-Binding-Context" "Version, key parameters and exporter of a connection on which Token Binding was negotiated, 47 characters (draft-campbell-tokbind-tls-term).";
    Variable SEC_CONTEXT c"Sec-Token-Binding-Context" "The same under the name that mod_token_binding gave it.";
    Variable PROVIDED_HASH c"BOUND_PROVIDED_TBH" "The SHA-256 hash of the provided ID in base64url: what `cnf.tbh` of a token names.";
    Variable PROVIDED_KEY_PARAMETERS c"BOUND_PROVIDED_TOKEN_BINDING_KEY_PARAMETERS" "Its kind of key: `ecdsap256`, `rsa2048_pss` or `rsa2048_pkcs1.5`.";
    Variable REFERRED_HASH c"BOUND_REFERRED_TBH" "The hash of the referred ID.";
    Variable REFERRED_KEY_PARAMETERS c"BOUND_REFERRED_TOKEN_BINDING_KEY_PARAMETERS" "Its kind of key.";
    Variable COOKIE_NAMES c"BOUND_COOKIE_NAMES" "The protected cookies that count in this request, divided by commas.";
    Variable COOKIE_BOUND_TO c"BOUND_COOKIE_BOUND_TO" "What each of them is bound to: `certificate`, `token-binding`, or `none`.";
    Variable COOKIE_AGE c"BOUND_COOKIE_AGE" "How long ago each was set, in seconds.";
    Variable COOKIE_REFUSED c"BOUND_COOKIE_REFUSED" "Why others do not count, as in `AB3119`, divided by commas.";
    Header MESSAGE c"Sec-Token-Binding" "The client's Token Binding message, verified, where token-binding-message says `forward`.";
}

/// The claims exported under a name of their own.
const CLAIMS: &[(&str, &CStr)] = &[
    ("iss", ISS),
    ("sub", SUB),
    ("client_id", CLIENT_ID),
    ("scope", SCOPE),
    ("exp", EXP),
    ("jti", JTI),
];

/// What the grant of `token` exports.
#[must_use]
pub fn of_token(token: &Verified, settings: &Settings) -> Vec<Effect> {
    let mut effects = vec![Effect::named(Target::Environment, PROOF, &proof(token))];
    for (claim, name) in CLAIMS {
        effects.extend(
            claim_text(token, claim).map(|text| Effect::named(Target::Environment, name, &text)),
        );
    }
    for (claim, name) in &settings.export_claim.0 {
        effects.extend(
            claim_text(token, claim).map(|text| Effect::new(Target::Environment, name, &text)),
        );
    }
    for (source, header) in &settings.export_header.0 {
        let variable = effects.iter().find(|effect| effect.name().to_bytes() == source.as_bytes());
        let text = variable.map(|effect| effect.value().to_string_lossy());
        let text = text.or_else(|| claim_text(token, source));
        let effect = text.map(|text| Effect::new(Target::RequestHeader, header, &text));
        effects.extend(effect);
    }
    if let Some(user) = claim_text(token, &settings.user_claim.0).filter(|user| !user.is_empty()) {
        effects.push(Effect::named(Target::User, c"", &user));
    }
    effects
}

/// What a client certificate exports, on every request of its connection.
#[must_use]
pub fn of_certificate(certificate: &ClientCertificate) -> Vec<Effect> {
    let thumbprint = certificate.thumbprint().to_string();
    let effect = |name| Effect::named(Target::Environment, name, &thumbprint);
    [THUMBPRINT, FINGERPRINT].into_iter().map(effect).collect()
}

/// What a connection exports on which Token Binding was negotiated.
#[must_use]
pub fn of_context(context: &Context) -> Vec<Effect> {
    let value = context.to_header();
    let effect = |name| Effect::named(Target::Environment, name, &value);
    [CONTEXT, SEC_CONTEXT].into_iter().map(effect).collect()
}

/// What a verified Token Binding message exports.
#[must_use]
pub fn of_token_bindings(bindings: &TokenBindings) -> Vec<Effect> {
    let effect = |name, value: &str| Effect::named(Target::Environment, name, value);
    let id = |id: &ProvedId, [name, hash, key_parameters]: [&'static CStr; 3]| {
        [
            effect(name, id.encoded()),
            effect(hash, &id.hash().to_string()),
            effect(key_parameters, id.key_parameters().name()),
        ]
    };
    let provided = [PROVIDED, PROVIDED_HASH, PROVIDED_KEY_PARAMETERS];
    let mut effects = Vec::from(id(bindings.provided(), provided));
    if let Some(referred) = bindings.referred() {
        effects.extend(id(referred, [REFERRED, REFERRED_HASH, REFERRED_KEY_PARAMETERS]));
    }
    if !bindings.others().is_empty() {
        effects.push(effect(OTHER, bindings.others()));
    }
    effects
}

/// What the cookies of a request export at the time `now`: never a value.
#[must_use]
pub fn of_cookies(cookies: &[CookieOutcome], now: Timestamp) -> Vec<Effect> {
    let (mut names, mut bound_to, mut age, mut refused) =
        (String::new(), String::new(), String::new(), String::new());
    for cookie in cookies {
        match cookie.result {
            Ok(opened) => {
                let kind = opened.possession.map_or("none", |possession| possession.kind.name());
                let seconds = now.saturating_sub(opened.issued).max(0);
                join(&mut names, &String::from_utf8_lossy(&cookie.name));
                join(&mut bound_to, kind);
                join(&mut age, &seconds.to_string());
            }
            Err(error) if refused.len() < MOST_REFUSED => {
                join(&mut refused, &format!("AB{}", error.number()));
            }
            Err(_) => {}
        }
    }
    [
        (COOKIE_NAMES, names),
        (COOKIE_BOUND_TO, bound_to),
        (COOKIE_AGE, age),
        (COOKIE_REFUSED, refused),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| Effect::named(Target::Environment, name, &value))
    .collect()
}

/// How long the list of reasons grows in characters: a client could send thousands of cookies.
const MOST_REFUSED: usize = 256;

/// Adds `item` to a list divided by commas.
fn join(list: &mut String, item: &str) {
    if !list.is_empty() {
        list.push(',');
    }
    list.push_str(item);
}

/// What a refusal exports.
#[must_use]
pub fn of_refusal(reason: Reason) -> Effect {
    Effect::named(Target::Environment, REFUSAL, &format!("AB{}", reason.number()))
}

fn proof(token: &Verified) -> String {
    let names: Vec<_> = token.methods().map(|method| method.name()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

/// A claim as text: a string as it is, an array of plain strings joined by commas, anything else
/// as JSON, so that no value can pose as two.
fn claim_text<'t>(token: &'t Verified, claim: &str) -> Option<Cow<'t, str>> {
    let value = token.claims().get(claim)?;
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Array(elements) => {
            let plain = |element: &'t Value| element.as_str().filter(|text| !text.contains(','));
            let texts = elements.iter().map(plain).collect::<Option<Vec<_>>>();
            Some(Cow::Owned(texts.map_or_else(|| value.to_string(), |texts| texts.join(","))))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(Cow::Owned(value.to_string())),
    }
}

/// The names that no request may bring along.
#[derive(Debug)]
pub struct ScrubList {
    names: HashSet<Vec<u8>>,
    /// A bit for each first character of a name, so that most headers are let pass at a glance.
    initials: u64,
}

/// Every name that begins like this is ours.
const PREFIX: &[u8] = b"bound_";

impl ScrubList {
    /// The exported names, and those that the configuration adds.
    #[must_use]
    pub fn new<'a>(configured: impl IntoIterator<Item = &'a str>) -> Self {
        let exported = EXPORTS.iter().map(|export| export.name.to_bytes());
        let mut list = Self { names: HashSet::new(), initials: initial(b'b') };
        for name in exported.chain(configured.into_iter().map(str::as_bytes)) {
            let folded: Vec<u8> = name.iter().copied().map(fold).collect();
            list.initials |= folded.first().map_or(0, |first| initial(*first));
            list.names.insert(folded);
        }
        list
    }

    /// Whether an incoming header of this name is to be removed. Names compare as CGI maps them:
    /// letter case aside, and every character that is no letter or digit as `_`, since a backend
    /// behind CGI could not tell them apart.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        let Some(first) = name.first() else {
            return false;
        };
        if self.initials & initial(fold(*first)) == 0 {
            return false;
        }
        let folded: Vec<u8> = name.iter().copied().map(fold).collect();
        folded.starts_with(PREFIX) || self.names.contains(&folded)
    }
}

const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'_' }
}

const fn initial(byte: u8) -> u64 {
    1_u64.wrapping_shl(byte as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_ours_too() {
        let list = ScrubList::new(["X-User", "_odd"]);
        for ours in [
            "BOUND_SUB",
            "Bound-Sub",
            "bound.anything",
            "TB-SSL-Client-Cert-Fingerprint",
            "tb_ssl_client_cert_fingerprint",
            "Sec_Provided-Token.Binding_ID",
            "Client_Cert",
            "client-cert-chain",
            "x_user",
            "X-USER",
            "-odd",
            "Sec-Token-Binding",
            "sec_token_binding",
        ] {
            assert!(list.contains(ours.as_bytes()), "{ours}");
        }
        for other in [
            "",
            "Host",
            "Bound",
            "X-User2",
            "Authorization",
            "Cookie",
            "Sec-Fetch-Site",
            "Client-Certificate",
        ] {
            assert!(!list.contains(other.as_bytes()), "{other}");
        }
    }
}
