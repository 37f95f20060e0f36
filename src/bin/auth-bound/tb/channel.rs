//! A TLS connection as the command line describes it.

use auth_bound::jose::base64url;
use auth_bound::token_binding::{Context, Ekm, KeyParameters, Parameters, Version};
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// For clap: the name of key parameters.
pub(super) fn key_parameters_parser() -> impl TypedValueParser<Value = KeyParameters> {
    PossibleValuesParser::new(KeyParameters::ALL.iter().map(|parameters| parameters.name()))
        .try_map(|name| KeyParameters::from_name(&name).ok_or("no such key parameters"))
}

/// For clap: exported keying material.
pub(super) fn ekm_parser(text: &str) -> Result<Ekm, &'static str> {
    base64url::decode(text)
        .and_then(|bytes| bytes.try_into().ok())
        .map(Ekm)
        .ok_or("expected 32 bytes in base64url: 43 characters")
}

/// For clap: the value of `Token-Binding-Context` (draft-campbell-tokbind-tls-term-00, section 2).
pub(super) fn context_parser(text: &str) -> Result<Context, &'static str> {
    const EXPECTED: &str =
        "expected the value of Token-Binding-Context: 47 characters of base64url";
    let bytes = base64url::decode(text).ok_or(EXPECTED)?;
    let [major, minor, number, ekm @ ..] = bytes.as_slice() else { return Err(EXPECTED) };
    let ekm = Ekm(ekm.try_into().map_err(|_| EXPECTED)?);
    let version = Version { major: *major, minor: *minor };
    if version != Version::LATEST {
        return Err("the context is of another version of Token Binding than 1.0");
    }
    let key_parameters =
        KeyParameters::from_number(*number).ok_or("the context's key parameters are not known")?;
    Ok(Context { parameters: Parameters { version, key_parameters }, ekm })
}

/// A connection that negotiated `key_parameters` and exports `ekm`.
pub(super) const fn context(key_parameters: KeyParameters, ekm: Ekm) -> Context {
    Context { parameters: Parameters { version: Version::LATEST, key_parameters }, ekm }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_reads_as_it_is_written() {
        for parameters in KeyParameters::ALL {
            let context = context(*parameters, Ekm([7; 32]));
            assert_eq!(context_parser(&context.to_header()), Ok(context));
        }
        for bytes in [[1, 1, 2], [0, 13, 2], [1, 0, 3]] {
            let text = base64url::encode([bytes.as_slice(), &[7; 32]].concat());
            assert!(context_parser(&text).is_err(), "{bytes:?}");
        }
        for length in [0, 2, 3, 34, 36] {
            assert!(context_parser(&base64url::encode(vec![1; length])).is_err(), "{length}");
        }
    }
}
