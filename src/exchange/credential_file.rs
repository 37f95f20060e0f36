//! Opaque subject credentials: a file of hashes with the subject of each.

use std::collections::HashMap;
use std::fmt;

use super::credential_hash::CredentialHash;
use crate::thumbprint::Thumbprint;

/// The credentials of a file. One credential a line, `#` begins a comment:
///
/// ```text
/// <SHA-256 of the credential> <subject> [<SHA-256 of the only certificate it is good with>]
/// ```
///
/// The hash is in hexadecimal or base64url. The thumbprint is in any base64, padded or not, as
/// different tools print it.
#[derive(Debug, Default)]
pub struct CredentialFile {
    // Looked up by a keyed hash of a hash, then compared in constant time: how long a lookup
    // takes says nothing of the credentials, and does not grow with their number.
    entries: HashMap<CredentialHash, Credential>,
    by_name: HashMap<(String, String), CredentialHash>,
}

/// What is known of an opaque credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The subject of tokens issued for it.
    pub subject: String,
    /// The only client certificate that it is good with.
    pub certificate: Option<Thumbprint>,
    /// What tokens name it by, which tells it from the subject's other ones.
    pub name: String,
}

/// A line that is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialFileError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it. Says nothing of the content.
    pub fault: &'static str,
}

impl fmt::Display for CredentialFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl std::error::Error for CredentialFileError {}

impl CredentialFile {
    /// Reads the content of a file.
    ///
    /// # Errors
    /// [`CredentialFileError`] for the first line that is wrong.
    pub fn parse(content: &str) -> Result<Self, CredentialFileError> {
        let mut file = Self::default();
        for (index, text) in content.lines().enumerate() {
            if words(text).next().is_none() {
                continue;
            }
            let error = |fault| CredentialFileError { line: index.saturating_add(1), fault };
            let (hash, credential) = entry(text).map_err(error)?;
            file.by_name.insert((credential.subject.clone(), credential.name.clone()), hash);
            if file.entries.insert(hash, credential).is_some() {
                return Err(error("the credential of a line above"));
            }
        }
        Ok(file)
    }

    /// The credential that `secret` is.
    #[must_use]
    pub fn find(&self, secret: &str) -> Option<&Credential> {
        self.entries.get(&CredentialHash::of(secret.as_bytes()))
    }

    /// Whether there is a credential with this hash.
    pub(super) fn has(&self, hash: &CredentialHash) -> bool {
        self.entries.contains_key(hash)
    }

    /// The credential of `subject` that tokens name so.
    #[must_use]
    pub fn named(&self, subject: &str, name: &str) -> Option<&Credential> {
        let key = (subject.to_owned(), name.to_owned());
        self.by_name.get(&key).and_then(|hash| self.entries.get(hash))
    }

    /// How many credentials there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The words of a line. `#` begins a comment where it begins a word; in the middle of one it may be a
/// subject's.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace().take_while(|word| !word.starts_with('#'))
}

fn entry(text: &str) -> Result<(CredentialHash, Credential), &'static str> {
    let mut words = words(text);
    let (Some(hash), Some(subject)) = (words.next(), words.next()) else {
        return Err("a hash, a subject and perhaps a thumbprint are expected");
    };
    let hash = CredentialHash::parse(hash)
        .map_err(|_| "the hash is not SHA-256 in hexadecimal or in base64url without padding")?;
    let certificate = words
        .next()
        .map(Thumbprint::parse_any_encoding)
        .transpose()
        .map_err(|_| "the thumbprint is not SHA-256 in base64")?;
    if words.next().is_some() {
        return Err("something follows the thumbprint");
    }
    Ok((hash, Credential { subject: subject.to_owned(), certificate, name: hash.name() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// base64url of SHA-256 of "iamtheeggman".
    fn hash(secret: &str) -> String {
        Thumbprint::of(secret.as_bytes()).to_string()
    }

    #[test]
    fn the_users_of_cert_bound_sts_server() {
        // Their thumbprints as that project prints them: padded, in the standard alphabet.
        let (alice, bob, carol) = (hash("iamtheeggman"), hash("iamthewalrus"), hash("x"));
        let content = [
            "# users\n\n".to_owned(),
            format!("{alice} alice A7iOckLIMP4o8YXW4voDTxGKguoTAu39TvBmtRi2jw4= # hers\n"),
            format!("{bob} bob CMDVBKa48HndDNK1B8X/VAPQbYqANjaZh8mIeehwHgI=\n"),
            format!("{carol} carol\r\n"),
        ]
        .concat();
        let file = CredentialFile::parse(&content).unwrap();
        assert_eq!((file.len(), file.is_empty()), (3, false));
        let bob = file.find("iamthewalrus").unwrap();
        assert_eq!(bob.subject, "bob");
        assert_eq!(
            bob.certificate.unwrap().to_string(),
            "CMDVBKa48HndDNK1B8X_VAPQbYqANjaZh8mIeehwHgI"
        );
        assert_eq!(file.find("x").unwrap().certificate, None);
        assert_eq!(file.named("bob", &bob.name), Some(bob));
        assert!(file.named("alice", &bob.name).is_none() && file.named("bob", "").is_none());
        assert!(file.find("iamthewalru").is_none() && file.find("").is_none());
    }

    #[test]
    fn a_comment_begins_a_word() {
        let (one, two, three, thumbprint) = (hash("1"), hash("2"), hash("3"), hash("t"));
        let content =
            format!("{one} alice#2 {thumbprint}\n{two} bob # {thumbprint}\n  #x\n{three} c");
        let file = CredentialFile::parse(&content).unwrap();
        let alice = file.find("1").unwrap();
        assert_eq!((alice.subject.as_str(), alice.certificate.is_some()), ("alice#2", true));
        assert_eq!(file.find("2").unwrap().certificate, None);
        assert_eq!(file.len(), 3);
        assert!(CredentialFile::parse(&format!("{one} #alice")).is_err());
    }

    #[test]
    fn a_wrong_line_is_named() {
        let good = hash("a");
        for (content, line, fault) in [
            (format!("{good} alice\n{good}\n"), 2, "expected"),
            ("iamtheeggman alice".to_owned(), 1, "hash"),
            (format!("{good} alice thumbprint"), 1, "thumbprint"),
            (format!("{good} alice {good} more"), 1, "follows"),
            (format!("{good} alice\n\n{good} bob"), 3, "above"),
        ] {
            let error = CredentialFile::parse(&content).unwrap_err();
            assert!(error.line == line && error.fault.contains(fault), "{content}: {error}");
        }
    }
}
