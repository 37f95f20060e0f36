//! The words of a token endpoint's rule: their keys, what each takes, and what is wrong with one.

use super::value::{Fault, Span, Toggle, Value};
use crate::exchange::{BindTo, ExcessScope};

/// How long tokens may be good for.
pub type Lifetime = Span<1, 86_400>;

/// How long refresh tokens may be good for.
pub type RefreshLifetime = Span<60, 31_536_000>;

/// How a word does not fit.
pub(super) enum Misfit {
    /// Its value is not what the key takes.
    Value,
    /// It was there before.
    Repeated,
    /// It stands without the word that it belongs to.
    Without(&'static str),
}

/// The keys, and what each takes.
pub(super) fn keys() -> [(&'static str, String); 17] {
    let bindings = "referred, provided or certificate";
    [
        ("audience", "an audience, without control characters".to_owned()),
        ("resource", "an absolute URI without fragment".to_owned()),
        ("default-audience", "an audience of this rule".to_owned()),
        ("scope", "one scope".to_owned()),
        ("default-scope", "a scope of this rule".to_owned()),
        ("excess-scope", "refuse or narrow".to_owned()),
        ("scopes-for-unscoped", Toggle::syntax()),
        ("client", "a client's name".to_owned()),
        ("subject", "a subject's name".to_owned()),
        ("issuer", "an issuer's name".to_owned()),
        ("actor", "a subject's name, or any".to_owned()),
        ("lifetime", Lifetime::syntax()),
        ("bind", bindings.to_owned()),
        ("unbound", Toggle::syntax()),
        ("refresh", RefreshLifetime::syntax()),
        ("refresh-bind", bindings.to_owned()),
        ("refresh-outlives-subject", Toggle::syntax()),
    ]
}

pub(super) fn fault_of(word: &str, misfit: &Misfit) -> Fault {
    let key = word.split_once('=').map(|(key, _)| key);
    let keys = keys();
    let expected = match (keys.iter().find(|(known, _)| Some(*known) == key), misfit) {
        (None, _) => {
            let keys: Vec<_> = keys.iter().map(|(key, _)| format!("{key}=")).collect();
            format!("a word that begins with one of {}", keys.join(" "))
        }
        (Some((key, _)), Misfit::Repeated) => format!("this {key}= only once here"),
        (Some(_), Misfit::Without(other)) => (*other).to_owned(),
        (Some((key, taken)), Misfit::Value) => format!("{key}= and {taken}"),
    };
    Fault { got: word.to_owned(), expected }
}

/// Takes the value of a key that stands once.
pub(super) fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), Misfit> {
    let value = value.ok_or(Misfit::Value)?;
    if place.is_some() {
        return Err(Misfit::Repeated);
    }
    *place = Some(value);
    Ok(())
}

/// Takes one more value of a key that makes a list.
pub(super) fn another<T: PartialEq>(list: &mut Vec<T>, value: Option<T>) -> Result<(), Misfit> {
    let value = value.ok_or(Misfit::Value)?;
    if list.contains(&value) {
        return Err(Misfit::Repeated);
    }
    list.push(value);
    Ok(())
}

/// A name without control characters.
pub(super) fn name(text: &str) -> Option<String> {
    let sound = !text.is_empty() && !text.chars().any(char::is_control);
    sound.then(|| text.to_owned())
}

/// RFC 6749, section 3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
pub(super) fn scope(text: &str) -> Option<String> {
    let sound = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (!text.is_empty() && text.bytes().all(sound)).then(|| text.to_owned())
}

pub(super) fn excess_scope(text: &str) -> Option<ExcessScope> {
    match text {
        "refuse" => Some(ExcessScope::Refuse),
        "narrow" => Some(ExcessScope::Narrow),
        _ => None,
    }
}

pub(super) fn bind_to(text: &str) -> Option<BindTo> {
    match text {
        "referred" => Some(BindTo::Referred),
        "provided" => Some(BindTo::Provided),
        "certificate" => Some(BindTo::Certificate),
        _ => None,
    }
}
