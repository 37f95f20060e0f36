//! The clients of a token endpoint.

use std::sync::Arc;

use super::issuer::{KeyLocation, fetchable};
use super::list::add_new;
use super::sts::is_client_id;
use super::value::{Fault, Value};
use crate::exchange::{Authentication, CertificateName, Client, CredentialHash, GrantType};
use crate::jose::KeyRing;
use crate::thumbprint::Thumbprint;

/// How a client authenticates (RFC 7591, section 2, `token_endpoint_auth_method`).
#[derive(Clone, Debug)]
pub enum ClientMethod {
    /// Not at all.
    None,
    /// By a name in a certificate of a trusted authority (RFC 8705, section 2.1).
    Certificate(CertificateName),
    /// By one of these certificates (RFC 8705, section 2.2).
    SelfSignedCertificate(Vec<Thumbprint>),
    /// By an assertion that a key from here signs (RFC 7523, section 2.2).
    PrivateKeyJwt(KeyLocation),
    /// By a secret in `Authorization` (RFC 6749, section 2.3.1).
    SecretBasic(Vec<CredentialHash>),
    /// By a secret in the body (RFC 6749, section 2.3.1).
    SecretPost(Vec<CredentialHash>),
}

/// A client.
#[derive(Clone, Debug)]
pub struct ClientEntry {
    /// `client_id`.
    pub id: String,
    /// How it authenticates.
    pub method: ClientMethod,
    /// What it may ask for.
    pub grant_types: Vec<GrantType>,
}

/// The clients of a token endpoint.
#[derive(Clone, Debug, Default)]
pub struct StsClients(pub Vec<ClientEntry>);

impl StsClients {
    /// Whether one of them is known by a name in its certificate, so that it matters who issued it.
    #[must_use]
    pub fn know_names(&self) -> bool {
        self.0.iter().any(|entry| matches!(entry.method, ClientMethod::Certificate(_)))
    }
}

/// A directive's word that is wrong, and what should have stood there.
type Wrong = (String, &'static str);

fn wrong(got: &str, expected: &'static str) -> Wrong {
    (got.to_owned(), expected)
}

const METHODS: &str = "a method of authentication: none, tls_client_auth, self_signed_tls_client_auth, private_key_jwt, client_secret_basic or client_secret_post";
const NAME: &str = "one of subject_dn=NAME (RFC 4514, as CN=client,O=Example), san_dns=NAME, san_uri=URI, san_ip=ADDRESS, san_email=MAILBOX";
const THUMBPRINTS: &str = "thumbprints of certificates: SHA-256 of the DER form in base64url";
const KEYS: &str = "jwks-file PATH (absolute) or jwks-uri URL (https, or http on loopback)";
const HASHES: &str = "SHA-256 of each of the client's secrets, in hexadecimal or base64url";

impl ClientEntry {
    /// The client, whose keys, if it has any, are in the ring that `ring` gives for their place.
    #[must_use]
    pub fn client(&self, ring: impl FnOnce(&KeyLocation) -> Arc<KeyRing>) -> Client {
        let authentication = match &self.method {
            ClientMethod::None => Authentication::None,
            ClientMethod::Certificate(name) => Authentication::Certificate(name.clone()),
            ClientMethod::SelfSignedCertificate(thumbprints) => {
                Authentication::SelfSignedCertificate(thumbprints.clone())
            }
            ClientMethod::PrivateKeyJwt(location) => Authentication::PrivateKeyJwt(ring(location)),
            ClientMethod::SecretBasic(hashes) => Authentication::SecretBasic(hashes.clone()),
            ClientMethod::SecretPost(hashes) => Authentication::SecretPost(hashes.clone()),
        };
        Client::new(&self.id, authentication).grant_types(&self.grant_types)
    }

    /// Where its keys are, if it signs assertions.
    #[must_use]
    pub const fn key_location(&self) -> Option<&KeyLocation> {
        if let ClientMethod::PrivateKeyJwt(location) = &self.method { Some(location) } else { None }
    }

    fn read(arguments: &[&str]) -> Result<Self, Wrong> {
        let (id, rest) = match arguments {
            [id, rest @ ..] if is_client_id(id) => ((*id).to_owned(), rest),
            [] => return Err(wrong("", "a client's name")),
            [word, ..] => return Err(wrong(word, "a client's name in printable ASCII")),
        };
        let start = rest.iter().position(|word| word.starts_with("grant=")).unwrap_or(rest.len());
        let (method, grants) = rest.split_at_checked(start).unwrap_or((rest, &[]));
        let grant_types = grant_types(grants)?;
        let (name, words) = method.split_first().ok_or_else(|| wrong(&id, METHODS))?;
        Ok(Self { id, method: ClientMethod::read(name, words)?, grant_types })
    }
}

/// The grant types at the end of a line; all of them where none is named.
fn grant_types(words: &[&str]) -> Result<Vec<GrantType>, Wrong> {
    const EXPECTED: &str = "grant=token-exchange or grant=refresh_token, each once and at the end";
    let mut found = Vec::new();
    for word in words {
        let grant_type = match word.strip_prefix("grant=") {
            Some("token-exchange") => GrantType::TokenExchange,
            Some("refresh_token") => GrantType::RefreshToken,
            _ => return Err(wrong(word, EXPECTED)),
        };
        if found.contains(&grant_type) {
            return Err(wrong(word, EXPECTED));
        }
        found.push(grant_type);
    }
    Ok(if found.is_empty() { GrantType::ALL.to_vec() } else { found })
}

impl ClientMethod {
    fn read(name: &str, words: &[&str]) -> Result<Self, Wrong> {
        match name {
            "none" => match words {
                [] => Ok(Self::None),
                [word, ..] => Err(wrong(word, "nothing more but grant=TYPE: this client has none")),
            },
            "tls_client_auth" => match words {
                [word] => certificate_name(word).map(Self::Certificate),
                _ => Err(wrong(&words.join(" "), NAME)),
            },
            "self_signed_tls_client_auth" => each(words, THUMBPRINTS, |word| {
                Thumbprint::parse(word).map_err(|_| wrong(word, THUMBPRINTS))
            })
            .map(Self::SelfSignedCertificate),
            "private_key_jwt" => key_location(words).map(Self::PrivateKeyJwt),
            "client_secret_basic" => hashes(name, words).map(Self::SecretBasic),
            "client_secret_post" => hashes(name, words).map(Self::SecretPost),
            other => Err(wrong(other, METHODS)),
        }
    }
}

/// At least one word, each of them read by `read`.
fn each<T>(
    words: &[&str],
    expected: &'static str,
    read: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    if words.is_empty() {
        return Err(wrong("", expected));
    }
    words.iter().map(|word| read(word)).collect()
}

/// RFC 8705, section 2.1.2: exactly one name.
fn certificate_name(word: &str) -> Result<CertificateName, Wrong> {
    let name = match word.split_once('=') {
        Some(("subject_dn", text)) => text.parse().ok().map(CertificateName::Subject),
        Some(("san_ip", text)) => text.parse().ok().map(CertificateName::Ip),
        Some((_, "")) => None,
        Some(("san_dns", text)) => Some(CertificateName::Dns(text.to_owned())),
        Some(("san_uri", text)) => Some(CertificateName::Uri(text.to_owned())),
        Some(("san_email", text)) if text.contains('@') => {
            Some(CertificateName::Email(text.to_owned()))
        }
        _ => None,
    };
    name.ok_or_else(|| wrong(word, NAME))
}

fn key_location(words: &[&str]) -> Result<KeyLocation, Wrong> {
    let location = match words {
        ["jwks-file", path] if path.starts_with('/') => Some(KeyLocation::File(path.into())),
        ["jwks-uri", url] => fetchable(url).map(KeyLocation::Uri),
        _ => None,
    };
    location.ok_or_else(|| wrong(&words.join(" "), KEYS))
}

/// What is no hash may be the secret itself, so the message does not repeat it.
fn hashes(method: &str, words: &[&str]) -> Result<Vec<CredentialHash>, Wrong> {
    let shown = format!("{method} ...");
    each(words, HASHES, |word| CredentialHash::parse(word).map_err(|_| wrong(&shown, HASHES)))
}

impl Value for StsClients {
    fn syntax() -> String {
        "a client's name, then one of: none; tls_client_auth and one of subject_dn=NAME san_dns=NAME \
         san_uri=URI san_ip=ADDRESS san_email=MAILBOX; self_signed_tls_client_auth THUMBPRINT ...; \
         private_key_jwt and jwks-file PATH or jwks-uri URL; client_secret_basic SHA256 ...; \
         client_secret_post SHA256 ...; then optionally grant=token-exchange or grant=refresh_token"
            .to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        ClientEntry::read(arguments).ok().map(|entry| Self(vec![entry]))
    }

    fn fault(arguments: &[&str]) -> Fault {
        match ClientEntry::read(arguments) {
            Ok(_) => Fault::of::<Self>(arguments),
            Err((got, expected)) => Fault { got, expected: expected.to_owned() },
        }
    }

    fn add(&mut self, more: Self) -> bool {
        add_new(&mut self.0, more.0, |one, other| one.id == other.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::DistinguishedName;

    // printf secret | sha256sum, and the same in base64url.
    const HEX: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    const BASE64URL: &str = "K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols";

    fn entry(text: &str) -> Result<ClientEntry, String> {
        let arguments: Vec<_> = text.split(' ').collect();
        match StsClients::parse(&arguments) {
            Some(mut clients) => Ok(clients.0.remove(0)),
            None => Err(StsClients::fault(&arguments).to_string()),
        }
    }

    fn client(text: &str) -> Client {
        entry(text).unwrap().client(|_| Arc::default())
    }

    #[test]
    fn every_method_becomes_the_clients() {
        for (words, name) in [
            ("none".to_owned(), "none"),
            ("tls_client_auth subject_dn=CN=client,O=Example".to_owned(), "tls_client_auth"),
            ("tls_client_auth san_dns=client.example".to_owned(), "tls_client_auth"),
            ("tls_client_auth san_uri=spiffe://example/a=b".to_owned(), "tls_client_auth"),
            ("tls_client_auth san_ip=2001:db8::1".to_owned(), "tls_client_auth"),
            ("tls_client_auth san_email=ann@example.com".to_owned(), "tls_client_auth"),
            (
                format!("self_signed_tls_client_auth {BASE64URL} {BASE64URL}"),
                "self_signed_tls_client_auth",
            ),
            ("private_key_jwt jwks-file /keys.json".to_owned(), "private_key_jwt"),
            ("private_key_jwt jwks-uri https://c.example/keys".to_owned(), "private_key_jwt"),
            (format!("client_secret_basic {HEX} {BASE64URL}"), "client_secret_basic"),
            (format!("client_secret_post {HEX}"), "client_secret_post"),
        ] {
            let client = client(&format!("cli {words}"));
            assert_eq!((client.id(), client.authentication().name()), ("cli", name), "{words}");
        }
    }

    #[test]
    fn values_are_parsed_at_once() {
        let secret = client(&format!("cli client_secret_post {HEX} {BASE64URL}"));
        let Authentication::SecretPost(hashes) = secret.authentication() else { panic!() };
        assert_eq!(hashes[..], [CredentialHash::of(b"secret"); 2]);
        let own = client(&format!("cli self_signed_tls_client_auth {BASE64URL}"));
        let Authentication::SelfSignedCertificate(known) = own.authentication() else { panic!() };
        assert_eq!(known[..], [Thumbprint::of(b"secret")]);
        let mut place = None;
        let jwt = entry("cli private_key_jwt jwks-file /keys.json").unwrap();
        let _ = jwt.client(|location| {
            place = Some(location.clone());
            Arc::default()
        });
        assert_eq!(place, Some(KeyLocation::File("/keys.json".into())));
        let spaced = ["cli", "tls_client_auth", "subject_dn=CN=a client, O=Example"];
        assert!(StsClients::parse(&spaced).is_some());
        assert!("CN=a client, O=Example".parse::<DistinguishedName>().is_ok());
    }

    #[test]
    fn grant_types_are_limited_by_naming_them() {
        let both = client("cli none");
        let one = client("cli none grant=refresh_token");
        let two = client("cli none grant=refresh_token grant=token-exchange");
        for grant_type in GrantType::ALL {
            assert!(both.may_use(*grant_type) && two.may_use(*grant_type));
        }
        assert!(one.may_use(GrantType::RefreshToken) && !one.may_use(GrantType::TokenExchange));
    }

    #[test]
    fn the_wrong_word_is_told() {
        for (text, got, expected) in [
            ("", "", "a client's name"),
            ("cl\u{e4} none", "cl\\u{e4}", "a client's name"),
            ("cli", "cli", "a method of authentication: none"),
            ("cli grant=refresh_token", "cli", "a method of authentication"),
            ("cli tls", "tls", "a method of authentication"),
            ("cli none x", "x", "nothing more but grant=TYPE"),
            ("cli none grant=password", "grant=password", "grant=token-exchange or"),
            ("cli none grant=refresh_token none", "none", "at the end"),
            ("cli none grant=refresh_token grant=refresh_token", "grant=refresh_token", "once"),
            ("cli tls_client_auth", "", "subject_dn=NAME"),
            ("cli tls_client_auth CN=a", "CN=a", "subject_dn=NAME"),
            ("cli tls_client_auth subject_dn=a", "subject_dn=a", "RFC 4514"),
            ("cli tls_client_auth san_ip=host", "san_ip=host", "san_ip=ADDRESS"),
            ("cli tls_client_auth san_dns=", "san_dns=", "san_dns=NAME"),
            ("cli tls_client_auth san_email=ann", "san_email=ann", "san_email=MAILBOX"),
            ("cli tls_client_auth san_dns=a san_dns=b", "san_dns=a san_dns=b", "one of"),
            ("cli self_signed_tls_client_auth", "", "thumbprints of certificates"),
            ("cli self_signed_tls_client_auth AA:BB", "AA:BB", "SHA-256 of the DER form"),
            ("cli private_key_jwt", "", "jwks-file PATH"),
            ("cli private_key_jwt jwks-file k", "jwks-file k", "(absolute)"),
            ("cli private_key_jwt jwks-uri http://c", "jwks-uri http://c", "https, or http on"),
            ("cli client_secret_basic", "", "SHA-256 of each"),
        ] {
            let fault = entry(text).unwrap_err();
            assert!(fault.starts_with(&format!("got \"{got}\", expected ")), "{fault}");
            assert!(fault.contains(expected), "{fault}");
        }
    }

    #[test]
    fn a_secret_in_place_of_its_hash_is_not_repeated() {
        let fault = entry(&format!("cli client_secret_post {HEX} s3cret")).unwrap_err();
        assert!(fault.starts_with("got \"client_secret_post ...\", expected SHA-256"), "{fault}");
    }

    #[test]
    fn clients_add_up_but_not_twice() {
        let clients = |text: &str| StsClients::parse(&text.split(' ').collect::<Vec<_>>()).unwrap();
        let mut all = clients("a none");
        assert!(all.add(clients("b none")));
        assert!(!all.add(clients("a tls_client_auth san_dns=a.example")));
        assert_eq!(all.0.len(), 2);
    }
}
