//! What the commands about cookies ask for alike.

use std::path::{Path, PathBuf};

use auth_bound::Thumbprint;
use auth_bound::cookie::{
    CookiePolicy, CookieRule, KeyRing, NamePattern, Possession, PossessionKind, SealError, Secret,
    host_of,
};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::{files, output};

/// The ring.
#[derive(Args, Debug)]
pub(crate) struct Ring {
    /// A secret's file, as in the server's configuration; several times for a ring, whose first
    /// secret seals
    #[arg(long = "secret", value_name = "FILE", required = true)]
    secrets: Vec<PathBuf>,
}

impl Ring {
    pub(crate) fn read(&self) -> Result<KeyRing, Fault> {
        let secrets =
            self.secrets.iter().map(|path| secret(path)).collect::<Result<Vec<_>, _>>()?;
        KeyRing::new(&secrets).map_err(Fault::new)
    }
}

fn secret(path: &Path) -> Result<Secret, Fault> {
    let content = Zeroizing::new(files::read(path)?);
    Secret::parse(&content).map_err(|error| Fault::of_file(path, error))
}

/// The key that the client proves.
#[derive(Args, Debug)]
pub(crate) struct Proof {
    /// The client's certificate, in PEM or DER
    #[arg(long, value_name = "FILE", conflicts_with = "tbh")]
    cert: Option<PathBuf>,
    /// The hash of the client's Token Binding ID
    #[arg(long, value_name = "HASH", value_parser = hash)]
    tbh: Option<Thumbprint>,
}

impl Proof {
    /// Whether there is one.
    pub(crate) const fn is_given(&self) -> bool {
        self.cert.is_some() || self.tbh.is_some()
    }

    pub(crate) fn read(&self) -> Result<Option<Possession>, Fault> {
        if let Some(path) = &self.cert {
            let hash = files::certificate(path)?.thumbprint();
            return Ok(Some(Possession { kind: PossessionKind::Certificate, hash }));
        }
        Ok(self.tbh.map(|hash| Possession { kind: PossessionKind::TokenBinding, hash }))
    }
}

/// A rule for one name that accepts every kind of possession.
pub(crate) fn rule(name: &str, policy: CookiePolicy) -> CookieRule {
    CookieRule {
        policy,
        accepted: PossessionKind::ALL.to_vec(),
        ..CookieRule::new(NamePattern::Exact(name.to_owned()))
    }
}

/// For clap: the name of a cookie.
pub(crate) fn name_parser(text: &str) -> Result<String, String> {
    match text.parse() {
        Ok(NamePattern::Exact(name)) => Ok(name),
        Ok(NamePattern::Prefix(_)) => Err("expected one name, without an asterisk".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// For clap: a host.
pub(crate) fn host_parser(text: &str) -> Result<String, &'static str> {
    host_of(text.as_bytes()).ok_or("expected a host")
}

/// For clap: a path.
pub(crate) fn path_parser(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("expected a path from / on") }
}

/// For clap: a policy.
pub(crate) fn policy_parser() -> impl TypedValueParser<Value = CookiePolicy> {
    let all = [CookiePolicy::Required, CookiePolicy::Preferred];
    PossibleValuesParser::new(all.map(CookiePolicy::name)).try_map(move |name| {
        all.into_iter().find(|policy| policy.name() == name).ok_or("no such policy")
    })
}

fn hash(text: &str) -> Result<Thumbprint, &'static str> {
    Thumbprint::parse(text).map_err(|_| "expected 32 bytes in base64url without padding")
}

/// What a `Cookie` header or a part of it holds for `name`; a text without `=` is the value.
pub(crate) fn header(name: &str, text: &str) -> String {
    let text = text.strip_prefix("Cookie:").unwrap_or(text).trim();
    if text.contains('=') { text.to_owned() } else { format!("{name}={text}") }
}

/// A refusal as the server would log it.
pub(crate) fn refusal(error: SealError) -> String {
    format!("AB{} cookie-{}: {error}", error.number(), error.name())
}

/// Prints what a backend would get, whatever bytes it has.
pub(crate) fn print(value: &[u8]) -> Result<(), Fault> {
    output::print(&String::from_utf8_lossy(value))
}
