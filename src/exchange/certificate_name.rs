//! The name in a client's certificate that the client is known by (RFC 8705, section 2.1.2).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use openssl::x509::{X509, X509Name};

use crate::proof::ClientCertificate;

/// The one name that a client's certificate must carry. It means something only where the TLS
/// layer verified who issued the certificate.
#[derive(Clone)]
pub enum CertificateName {
    /// `tls_client_auth_subject_dn`.
    Subject(DistinguishedName),
    /// `tls_client_auth_san_dns`: a dNSName, compared without regard to case. No wildcards.
    Dns(String),
    /// `tls_client_auth_san_uri`: a URI, compared letter by letter.
    Uri(String),
    /// `tls_client_auth_san_ip`: an IP address, however it is spelled.
    Ip(IpAddr),
    /// `tls_client_auth_san_email`: a mailbox; the case of the domain does not matter.
    Email(String),
}

/// A subject, compared as RFC 5280, section 7.1 compares names: without regard to case and to
/// the string types of the certificate, with attributes in order.
#[derive(Clone)]
pub struct DistinguishedName {
    text: String,
    name: Arc<X509Name>,
}

/// A text is not a distinguished name that certificates can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DistinguishedNameError(&'static str);

impl fmt::Display for DistinguishedNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for DistinguishedNameError {}

impl CertificateName {
    /// Whether `certificate` carries the name.
    #[must_use]
    pub fn is_in(&self, certificate: &ClientCertificate) -> bool {
        X509::from_der(certificate.der()).is_ok_and(|x509| self.names(&x509))
    }

    fn names(&self, x509: &X509) -> bool {
        let Self::Subject(expected) = self else {
            let names = x509.subject_alt_names();
            return names.iter().flatten().any(|name| match self {
                Self::Subject(_) => false,
                Self::Dns(dns) => name.dnsname().is_some_and(|it| it.eq_ignore_ascii_case(dns)),
                Self::Uri(uri) => name.uri().is_some_and(|it| it == uri),
                Self::Ip(ip) => name.ipaddress().is_some_and(|it| it == octets(*ip)),
                Self::Email(email) => name.email().is_some_and(|it| same_mailbox(it, email)),
            });
        };
        x509.subject_name().try_cmp(&expected.name).is_ok_and(std::cmp::Ordering::is_eq)
    }
}

impl fmt::Debug for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(name) => f.debug_tuple("Subject").field(&name.text).finish(),
            Self::Dns(name) => f.debug_tuple("Dns").field(name).finish(),
            Self::Uri(name) => f.debug_tuple("Uri").field(name).finish(),
            Self::Ip(name) => f.debug_tuple("Ip").field(name).finish(),
            Self::Email(name) => f.debug_tuple("Email").field(name).finish(),
        }
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// RFC 5280, section 7.5: the local part compares letter by letter, the host without case.
fn same_mailbox(one: &str, other: &str) -> bool {
    match (one.rsplit_once('@'), other.rsplit_once('@')) {
        (Some((local, host)), Some((other_local, other_host))) => {
            local == other_local && host.eq_ignore_ascii_case(other_host)
        }
        _ => false,
    }
}

/// Reads the form of RFC 4514, in which the most specific attribute comes first, as in
/// `CN=client,OU=billing,O=Example`. Attributes of several values (`+`) and values in
/// hexadecimal (`#`) are not read.
impl FromStr for DistinguishedName {
    type Err = DistinguishedNameError;

    fn from_str(text: &str) -> Result<Self, DistinguishedNameError> {
        let error = DistinguishedNameError;
        let mut builder = X509Name::builder().map_err(|_| error("OpenSSL failed"))?;
        for attribute in divided(text, ',').into_iter().rev() {
            if divided(attribute, '+').len() > 1 {
                return Err(error("an attribute has several values"));
            }
            let (kind, value) =
                attribute.split_once('=').ok_or_else(|| error("an attribute has no value"))?;
            let value = unescaped(trimmed(value)).ok_or_else(|| error("a value is not escaped"))?;
            if value.is_empty() {
                return Err(error("a value is empty"));
            }
            builder
                .append_entry_by_text(openssl_name(kind.trim()), &value)
                .map_err(|_| error("an attribute is not known, or its value not possible"))?;
        }
        Ok(Self { text: text.to_owned(), name: Arc::new(builder.build()) })
    }
}

/// Splits at each `divider` that no backslash precedes.
fn divided(text: &str, divider: char) -> Vec<&str> {
    let mut escaped = false;
    let at_divider = |letter: char| {
        let divides = !escaped && letter == divider;
        escaped = !escaped && letter == '\\';
        divides
    };
    text.split(at_divider).collect()
}

/// Takes spaces away around a value, but for an escaped one at its end.
fn trimmed(value: &str) -> &str {
    let start = value.trim_start();
    let end = start.trim_end();
    let backslashes = end.bytes().rev().take_while(|byte| *byte == b'\\').count();
    let kept = end.len().saturating_add(usize::from(backslashes % 2 == 1));
    start.get(..kept).unwrap_or(end)
}

/// RFC 4514, section 2.4.
fn unescaped(value: &str) -> Option<String> {
    if value.starts_with('#') {
        return None;
    }
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match (*byte, after) {
            (b'\\', [high, low, tail @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high)?.checked_mul(16)?.checked_add(hex(*low)?)?;
                bytes.push(u8::try_from(value).ok()?);
                rest = tail;
            }
            (b'\\', [special, tail @ ..]) if b" \"#+,;<=>\\".contains(special) => {
                bytes.push(*special);
                rest = tail;
            }
            (b'\\' | b'"' | b';' | b'<' | b'>' | 0, _) => return None,
            (other, _) => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

/// RFC 4514, section 3 has attribute names in any case; OpenSSL has one. Numbers in dots and
/// OpenSSL's own names pass.
fn openssl_name(kind: &str) -> &str {
    const NAMES: &[&str] =
        &["CN", "L", "ST", "O", "OU", "C", "street", "DC", "UID", "serialNumber", "emailAddress"];
    NAMES.iter().find(|name| name.eq_ignore_ascii_case(kind)).unwrap_or(&kind)
}

#[cfg(test)]
mod tests {
    use super::super::testing::certificate;
    use super::*;

    fn subject(text: &str) -> CertificateName {
        CertificateName::Subject(text.parse().unwrap())
    }

    #[test]
    fn a_subject_is_compared_as_a_name_not_as_a_text() {
        let presented = certificate(
            &[("C", "GB"), ("O", "Example, Inc."), ("OU", "Billing"), ("CN", "Cliént 1 ")],
            &[],
        );
        for text in [
            r"CN=Cliént 1\ ,OU=Billing,O=Example\, Inc.,C=GB",
            r"cn=cliént 1 , ou = BILLING, o=Example\2C  Inc., C=GB",
            r"2.5.4.3=Cli\C3\A9nt 1,OU=Billing,O=Example\, Inc.,C=GB",
        ] {
            assert!(subject(text).is_in(&presented), "{text}");
        }
        for text in [
            r"CN=Cliént 1,OU=Billing,O=Example\, Inc.",
            r"C=GB,O=Example\, Inc.,OU=Billing,CN=Cliént 1",
            r"CN=Cliént 2,OU=Billing,O=Example\, Inc.,C=GB",
            r"CN=Cliént 1,OU=Billing,O=Example\, Inc.,C=GB,DC=x",
        ] {
            assert!(!subject(text).is_in(&presented), "{text}");
        }
    }

    #[test]
    fn what_is_no_distinguished_name() {
        for text in [
            "",
            "client",
            "CN=",
            "CN=a+OU=b",
            "CN=#0401",
            "CN=a\"",
            "CN=a;O=b",
            r"CN=a\",
            r"CN=\x",
            "NOSUCH=a",
            "CN=a,,O=b",
            "C=TOOLONG",
            "/CN=a",
            r"CN=\ff",
        ] {
            assert!(text.parse::<DistinguishedName>().is_err(), "{text}");
        }
    }

    #[test]
    fn alternative_names_by_their_own_rules() {
        let presented = certificate(
            &[("CN", "other.example")],
            &[
                "DNS:Client.example",
                "DNS:*.wild.example",
                "URI:spiffe://Example/a",
                "IP:192.0.2.1",
                "IP:2001:db8::1",
                "email:Ann@Example.com",
            ],
        );
        let holds = |name: CertificateName| name.is_in(&presented);
        assert!(holds(CertificateName::Dns("client.EXAMPLE".to_owned())));
        assert!(!holds(CertificateName::Dns("other.example".to_owned())));
        assert!(!holds(CertificateName::Dns("a.wild.example".to_owned())));
        assert!(holds(CertificateName::Uri("spiffe://Example/a".to_owned())));
        assert!(!holds(CertificateName::Uri("spiffe://example/a".to_owned())));
        assert!(holds(CertificateName::Ip("192.0.2.1".parse().unwrap())));
        assert!(holds(CertificateName::Ip("2001:DB8:0::1".parse().unwrap())));
        assert!(!holds(CertificateName::Ip("::ffff:192.0.2.1".parse().unwrap())));
        assert!(holds(CertificateName::Email("Ann@example.COM".to_owned())));
        assert!(!holds(CertificateName::Email("ann@example.com".to_owned())));
        assert!(!holds(CertificateName::Dns("Ann@Example.com".to_owned())));
        assert!(!holds(CertificateName::Email("example.com".to_owned())));
    }

    #[test]
    fn what_is_no_certificate_has_no_name() {
        let garbage = ClientCertificate::presented(b"garbage".to_vec());
        assert!(!CertificateName::Dns("garbage".to_owned()).is_in(&garbage));
        assert!(!subject("CN=garbage").is_in(&garbage));
        let bare = certificate(&[("CN", "a")], &[]);
        assert!(!CertificateName::Dns("a".to_owned()).is_in(&bare));
        assert!(format!("{:?}", subject("CN=a")).contains("CN=a"));
    }
}
