//! Getting an issuer's key set from where its directive says.

use std::fmt;
use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use url::Url;

use super::Fetcher;
use super::fetch::{FetchError, MAX_DOCUMENT};
use crate::directive::value::{KeyLocation, fetchable};
use crate::jose::{KeySet, KeySetError, json};

/// Why a key set could not be loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The file could not be read.
    File(PathBuf, std::io::Error),
    /// The file is larger than any key set.
    FileTooLarge(PathBuf),
    /// The URL could not be fetched.
    Fetch(Url, FetchError),
    /// The issuer's metadata is not what RFC 8414 says.
    Metadata(Url, &'static str),
    /// What came is not a key set.
    KeySet(String, KeySetError),
    /// Getting it panicked.
    Panic,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::FileTooLarge(path) => {
                write!(f, "{}: larger than {MAX_DOCUMENT} bytes", path.display())
            }
            Self::Fetch(url, error) => write!(f, "{}: {error}", shown(url)),
            Self::Metadata(url, reason) => write!(f, "{}: {reason}", shown(url)),
            Self::KeySet(place, error) => write!(f, "{place}: {error}"),
            Self::Panic => f.write_str("fetching the keys failed in an unexpected way"),
        }
    }
}

impl std::error::Error for LoadError {}

impl LoadError {
    /// Whether this process may not read the file at all: waiting will not help.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::File(_, error) if error.kind() == ErrorKind::PermissionDenied)
    }
}

/// A URL as logs show it: without the query, which may hold a secret.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

/// Reads a key set from a file.
#[allow(clippy::disallowed_types, reason = "this module does the I/O")]
pub(super) fn from_file(path: &Path) -> Result<KeySet, LoadError> {
    let read = || {
        let mut text = Vec::new();
        std::fs::File::open(path)?.take(MAX_DOCUMENT.saturating_add(1)).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| LoadError::File(path.to_owned(), error))?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_DOCUMENT) {
        return Err(LoadError::FileTooLarge(path.to_owned()));
    }
    KeySet::published(&text).map_err(|error| LoadError::KeySet(path.display().to_string(), error))
}

/// Tells one state of a file from another.
pub(super) fn stamp(path: &Path) -> Option<impl PartialEq + Send + use<>> {
    use std::os::unix::fs::MetadataExt;
    let of = |file: Metadata| (file.ino(), file.size(), file.mtime(), file.mtime_nsec());
    std::fs::metadata(path).ok().map(of)
}

/// Fetches a key set from where it is published; with the document that it came as.
pub(super) fn from_network(
    location: &KeyLocation,
    fetcher: &Fetcher,
) -> Result<(KeySet, Vec<u8>), LoadError> {
    let url = match location {
        KeyLocation::File(path) => return from_file(path).map(|keys| (keys, Vec::new())),
        KeyLocation::Uri(url) => url.clone(),
        KeyLocation::Discovery(name, issuer) => discover(name, issuer, fetcher)?,
    };
    let text = fetcher.document(&url).map_err(|error| LoadError::Fetch(url.clone(), error))?;
    let keys = KeySet::published(&text).map_err(|error| LoadError::KeySet(shown(&url), error))?;
    Ok((keys, text))
}

/// `jwks_uri` of the issuer's metadata: RFC 8414, section 3.1, then OpenID Connect Discovery 1.0,
/// section 4, whichever the issuer publishes.
fn discover(name: &str, issuer: &Url, fetcher: &Fetcher) -> Result<Url, LoadError> {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: &str| {
        let mut url = issuer.clone();
        url.set_path(path);
        url
    };
    let oauth = at(&format!("/.well-known/oauth-authorization-server{path}"));
    let openid = at(&format!("{path}/.well-known/openid-configuration"));
    let (url, text) = match fetcher.document(&oauth) {
        Ok(text) => (oauth, text),
        Err(FetchError::Status(_)) => {
            let text = fetcher
                .document(&openid)
                .map_err(|error| LoadError::Fetch(openid.clone(), error))?;
            (openid, text)
        }
        Err(error) => return Err(LoadError::Fetch(oauth, error)),
    };
    let metadata =
        json::object(&text).map_err(|_| LoadError::Metadata(url.clone(), "not a JSON object"))?;
    // RFC 8414, section 3.3: the issuer value returned MUST be identical to the one asked for.
    if metadata.get("issuer").and_then(Value::as_str) != Some(name) {
        return Err(LoadError::Metadata(
            url,
            "its issuer is not the one configured, letter by letter",
        ));
    }
    // An issuer on the net has no business with the services of this machine.
    let jwks_uri = metadata.get("jwks_uri").and_then(Value::as_str).and_then(fetchable);
    let jwks_uri = jwks_uri.filter(|uri| uri.scheme() == "https" || issuer.scheme() == "http");
    jwks_uri.ok_or(LoadError::Metadata(url, "no jwks_uri with https (or http on loopback)"))
}
