//! What is inside the seal, and its bytes.

use super::possession::{Possession, PossessionKind};
use super::scope::{HostScope, Scope};
use super::seal_error::SealError;
use crate::thumbprint::Thumbprint;
use crate::token::Timestamp;

/// The type byte of [`Payload::SessionCookie`].
const SESSION_COOKIE: u8 = 1;
/// The byte of a cookie that is bound to nothing.
const UNBOUND: u8 = 0;
/// The byte of [`HostScope::HostOnly`].
const HOST_ONLY: u8 = 0;
/// The byte of [`HostScope::Domain`].
const DOMAIN: u8 = 1;

/// Whether a cookie may do without a possession.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CookiePolicy {
    /// Without a possession the cookie is not issued.
    #[default]
    Required = 1,
    /// Without a possession the cookie is sealed as unbound, and stays that for ever.
    Preferred = 2,
}

impl CookiePolicy {
    /// The name in directives and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Preferred => "preferred",
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Required),
            2 => Some(Self::Preferred),
            _ => None,
        }
    }
}

/// What a seal can hold. The type is inside the ciphertext, so one kind is never taken for
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A cookie of an application.
    SessionCookie(SessionCookie<'a>),
}

/// A cookie of an application, as it was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCookie<'a> {
    /// When it was sealed.
    pub issued: Timestamp,
    /// The policy it was sealed under.
    pub policy: CookiePolicy,
    /// What it is bound to; `None` only under [`CookiePolicy::Preferred`].
    pub possession: Option<Possession>,
    /// Where the browser sends it.
    pub scope: Scope<'a>,
    /// Its name.
    pub name: &'a [u8],
    /// The application's value, quotes included.
    pub value: &'a [u8],
}

impl<'a> Payload<'a> {
    /// The bytes, as in `docs/cookie-seal.md`.
    ///
    /// # Errors
    /// [`SealError::NotStorable`]: what no cookie can have, or a field past 65,535 bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, SealError> {
        match self {
            Self::SessionCookie(cookie) => cookie.encode(),
        }
    }

    /// Reads the bytes to the last one.
    ///
    /// # Errors
    /// [`SealError::UnknownPayload`] for everything that [`encode`](Self::encode) does not write.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, SealError> {
        let mut reader = Reader(bytes);
        let payload = match reader.byte() {
            Some(SESSION_COOKIE) => SessionCookie::decode(&mut reader).map(Self::SessionCookie),
            Some(_) | None => None,
        };
        // Bytes left over may mean something to a newer version: refuse.
        payload.filter(|_| reader.0.is_empty()).ok_or(SealError::UnknownPayload)
    }
}

impl<'a> SessionCookie<'a> {
    fn encode(&self) -> Result<Vec<u8>, SealError> {
        if !self.is_sound() {
            return Err(SealError::NotStorable);
        }
        let issued = u64::try_from(self.issued).map_err(|_| SealError::NotStorable)?;
        let fields = [self.scope.host.name().len(), self.scope.path.len(), self.name.len()];
        let lengths = fields.iter().fold(self.value.len(), |sum, len| sum.saturating_add(*len));
        let mut bytes = Vec::with_capacity(lengths.saturating_add(52));
        bytes.push(SESSION_COOKIE);
        bytes.extend_from_slice(&issued.to_be_bytes());
        bytes.push(self.policy as u8);
        match &self.possession {
            None => bytes.push(UNBOUND),
            Some(possession) => {
                bytes.push(possession.kind.code());
                bytes.extend_from_slice(possession.hash.as_bytes());
            }
        }
        bytes.push(match self.scope.host {
            HostScope::HostOnly(_) => HOST_ONLY,
            HostScope::Domain(_) => DOMAIN,
        });
        append(&mut bytes, self.scope.host.name().as_bytes())?;
        append(&mut bytes, self.scope.path)?;
        append(&mut bytes, self.name)?;
        append(&mut bytes, self.value)?;
        Ok(bytes)
    }

    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        let issued = Timestamp::try_from(u64::from_be_bytes(reader.array()?)).ok()?;
        let policy = CookiePolicy::from_code(reader.byte()?)?;
        let possession = match reader.byte()? {
            UNBOUND => None,
            code => {
                let kind = PossessionKind::from_code(code)?;
                Some(Possession { kind, hash: Thumbprint::from_bytes(reader.array()?) })
            }
        };
        let form = reader.byte()?;
        let host = std::str::from_utf8(reader.field()?).ok()?;
        let host = match form {
            HOST_ONLY => HostScope::HostOnly(host),
            DOMAIN => HostScope::Domain(host),
            _ => return None,
        };
        let scope = Scope { host, path: reader.field()? };
        let name = reader.field()?;
        let value = reader.field()?;
        let cookie = Self { issued, policy, possession, scope, name, value };
        cookie.is_sound().then_some(cookie)
    }

    /// What holds of every sealed cookie, whoever sealed it: required means bound, names are in
    /// lower case where case means nothing, and the pair fits into a `Cookie` header.
    fn is_sound(&self) -> bool {
        (self.possession.is_some() || self.policy == CookiePolicy::Preferred)
            && is_host(self.scope.host.name())
            && self.scope.path.first() == Some(&b'/')
            && are_storable(self.scope.path)
            && is_name(self.name)
            && are_storable(self.value)
    }
}

/// Whether `name` is a cookie name: a token of RFC 9110, section 5.6.2.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
}

/// Whether browsers store a value or path of these bytes: no control character, no semicolon.
fn are_storable(bytes: &[u8]) -> bool {
    let storable = |byte: u8| byte >= 0x20 && byte != 0x7f && byte != b';' || byte == b'\t';
    // Without an early end the compiler looks at many bytes at once.
    bytes.iter().fold(true, |all, byte| all & storable(*byte))
}

fn append(bytes: &mut Vec<u8>, field: &[u8]) -> Result<(), SealError> {
    let length = u16::try_from(field.len()).map_err(|_| SealError::NotStorable)?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(field);
    Ok(())
}

/// Bytes not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn field(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        let (field, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie() -> SessionCookie<'static> {
        let hash = Thumbprint::of(b"alice");
        SessionCookie {
            issued: 1_760_000_000,
            policy: CookiePolicy::Required,
            possession: Some(Possession { kind: PossessionKind::Certificate, hash }),
            scope: Scope { host: HostScope::HostOnly("app.example"), path: b"/" },
            name: b"SESSION",
            value: b"\"a,b \xff\"",
        }
    }

    fn encode(cookie: SessionCookie<'_>) -> Result<Vec<u8>, SealError> {
        Payload::SessionCookie(cookie).encode()
    }

    #[test]
    fn what_is_encoded_decodes() {
        let unbound = SessionCookie {
            policy: CookiePolicy::Preferred,
            possession: None,
            scope: Scope { host: HostScope::Domain("example"), path: b"/a" },
            value: b"",
            ..cookie()
        };
        for cookie in [cookie(), unbound] {
            let bytes = encode(cookie).unwrap();
            assert_eq!(Payload::decode(&bytes), Ok(Payload::SessionCookie(cookie)));
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        let bytes = encode(cookie()).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(Payload::decode(&bytes[..end]), Err(SealError::UnknownPayload), "{end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Payload::decode(&longer), Err(SealError::UnknownPayload));
    }

    #[test]
    fn unknown_codes_are_refused() {
        let bytes = encode(cookie()).unwrap();
        // Type, sign of the time, policy, kind (0 as well: then the hash is left over), scope.
        for (place, codes) in
            [(0, &[0, 2, 255][..]), (1, &[128]), (9, &[0, 3, 255]), (10, &[0, 5, 255]), (43, &[2])]
        {
            for code in codes {
                let mut other = bytes.clone();
                other[place] = *code;
                assert_eq!(Payload::decode(&other), Err(SealError::UnknownPayload), "{place}");
            }
        }
        assert_eq!(bytes[43], HOST_ONLY);
    }

    #[test]
    fn what_no_cookie_can_have_is_not_sealed() {
        let host = |host| Scope { host: HostScope::HostOnly(host), path: b"/" };
        let path = |path| Scope { path, ..host("app.example") };
        for bad in [
            SessionCookie { value: b"a;b", ..cookie() },
            SessionCookie { value: b"a\r\nb", ..cookie() },
            SessionCookie { value: b"a\0", ..cookie() },
            SessionCookie { value: b"a\x7f", ..cookie() },
            SessionCookie { value: &[b'a'; 65_536], ..cookie() },
            SessionCookie { name: b"", ..cookie() },
            SessionCookie { name: b"a b", ..cookie() },
            SessionCookie { name: b"a=b", ..cookie() },
            SessionCookie { issued: -1, ..cookie() },
            SessionCookie { possession: None, ..cookie() },
            SessionCookie { scope: host(""), ..cookie() },
            SessionCookie { scope: host("App.example"), ..cookie() },
            SessionCookie { scope: host("app example"), ..cookie() },
            SessionCookie { scope: path(b""), ..cookie() },
            SessionCookie { scope: path(b"a"), ..cookie() },
            SessionCookie { scope: path(b"/\n"), ..cookie() },
        ] {
            assert_eq!(encode(bad), Err(SealError::NotStorable));
        }
    }
}
