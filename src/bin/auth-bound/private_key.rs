//! Private keys in PEM files. Above the key, where PEM leaves room for text that other programs
//! skip (RFC 7468, section 2), we note what PEM itself cannot hold: its `kid` and its `alg`.

use std::path::Path;

use auth_bound::jose::{Algorithm, Key, SigningError, SigningKey};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::fault::Fault;
use crate::files;

/// How the first line of a key begins.
const BEGIN: &str = "-----BEGIN ";

/// Makes a new key. Without `key_id` it is named by its thumbprint (RFC 7638).
pub(crate) fn generate(algorithm: Algorithm, key_id: Option<&str>) -> Result<SigningKey, Fault> {
    let key = SigningKey::generate(algorithm, "").map_err(Fault::new)?;
    named(key, key_id)
}

/// Reads a key. What `key_id` and `algorithm` leave open is as the file notes it; failing that,
/// the key is named by its thumbprint and does the first algorithm of its type.
pub(crate) fn read(
    path: &Path,
    key_id: Option<&str>,
    algorithm: Option<Algorithm>,
) -> Result<SigningKey, Fault> {
    let pem = files::read(path)?;
    let notes = Notes::read(&pem);
    let key = SigningKey::from_pem(&pem, "", algorithm.or(notes.algorithm))
        .and_then(|key| key.public_jwk().map(|jwk| (key, jwk)));
    let (key, jwk) = key.map_err(|error| match error {
        SigningError::OpenSsl(_) => Fault::of_file(path, "no unencrypted private key in PEM"),
        SigningError::Algorithm(_)
        | SigningError::Unsupported
        | SigningError::TooShort(_)
        | SigningError::Hardware(_)
        | SigningError::InHardware => Fault::of_file(path, error),
    })?;
    Key::from_jwk(jwk).map_err(|fault| Fault::of_file(path, fault))?;
    named(key, key_id.or(notes.key_id.as_deref()))
}

/// The PEM file of a key, with its notes.
pub(crate) fn to_pem(key: &SigningKey) -> Result<Vec<u8>, Fault> {
    let notes = format!("kid: {}\nalg: {}\n", key.key_id(), key.algorithm());
    let pem = key.to_pem().map_err(Fault::new)?;
    Ok([notes.as_bytes(), &pem].concat())
}

/// For clap: the name of an algorithm.
pub(crate) fn algorithm_parser() -> impl TypedValueParser<Value = Algorithm> {
    PossibleValuesParser::new(Algorithm::ALL.iter().map(|algorithm| algorithm.name()))
        .try_map(|name| name.parse().map_err(|()| "no such algorithm"))
}

/// For clap: a `kid`, which must fit on a line.
pub(crate) fn key_id_parser(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
        Err("expected printable text without spaces around it")
    } else {
        Ok(text.to_owned())
    }
}

fn named(key: SigningKey, key_id: Option<&str>) -> Result<SigningKey, Fault> {
    let key_id = match key_id {
        Some(key_id) => key_id.to_owned(),
        None => key.thumbprint().map_err(Fault::new)?.to_string(),
    };
    Ok(key.with_key_id(&key_id))
}

#[derive(Debug, Default)]
struct Notes {
    key_id: Option<String>,
    algorithm: Option<Algorithm>,
}

impl Notes {
    fn read(pem: &[u8]) -> Self {
        let mut notes = Self::default();
        let text = String::from_utf8_lossy(pem);
        for line in text.lines().take_while(|line| !line.starts_with(BEGIN)) {
            match line.split_once(": ") {
                Some(("kid", key_id)) => notes.key_id = key_id_parser(key_id.trim()).ok(),
                Some(("alg", name)) => notes.algorithm = name.trim().parse().ok(),
                Some(_) | None => {}
            }
        }
        notes
    }
}
