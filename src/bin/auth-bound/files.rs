//! Files, where `-` is standard input.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the command may read and write files, the core may not"
)]

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use auth_bound::ClientCertificate;
use auth_bound::jose::KeySet;
use openssl::x509::X509;

use crate::fault::Fault;

/// Only the owner may read a private key.
const SECRET: u32 = 0o600;

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| Fault::of_file(path, error))
}

/// Writes a file that must not exist yet and that nobody else can read.
pub(crate) fn create_secret(path: &Path, content: &[u8]) -> Result<(), Fault> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(SECRET).open(path).map_err(
            |error| {
                if error.kind() == ErrorKind::AlreadyExists {
                    Fault::of_file(path, "exists already, and a key is not overwritten")
                } else {
                    Fault::of_file(path, error)
                }
            },
        )?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(|error| Fault::of_file(path, error))
}

/// Reads a certificate in PEM or DER.
pub(crate) fn certificate(path: &Path) -> Result<ClientCertificate, Fault> {
    let content = read(path)?;
    ClientCertificate::from_pem(&content)
        .or_else(|_| {
            X509::from_der(&content)
                .and_then(|certificate| certificate.to_der())
                .map(ClientCertificate::presented)
        })
        .map_err(|_| Fault::of_file(path, "no certificate in PEM or DER"))
}

/// Reads a JWK Set.
pub(crate) fn key_set(path: &Path) -> Result<KeySet, Fault> {
    KeySet::parse(&read(path)?).map_err(|error| Fault::of_file(path, error))
}

/// The token in the argument or, where that is `-` or absent, on standard input.
pub(crate) fn token(argument: Option<&str>) -> Result<String, Fault> {
    word(argument, "token")
}

/// The `noun` in the argument or, where that is `-` or absent, on standard input.
pub(crate) fn word(argument: Option<&str>, noun: &str) -> Result<String, Fault> {
    let text = match argument {
        Some(text) if text != "-" => text.to_owned(),
        None if io::stdin().is_terminal() => String::new(),
        Some(_) | None => String::from_utf8(read(Path::new("-"))?)
            .map_err(|_| Fault::new("standard input is not text"))?,
    };
    match text.trim() {
        "" => {
            Err(Fault::new(format_args!("no {noun}: give it as the argument or on standard input")))
        }
        word => Ok(word.to_owned()),
    }
}
