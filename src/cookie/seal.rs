//! The seal: XAES-256-GCM around a payload. `docs/cookie-seal.md` has it byte for byte.

use super::key_ring::{KEY_ID_LENGTH, KeyRing};
use super::payload::Payload;
use super::seal_error::SealError;
use super::xaes::{NONCE_LENGTH, OpenError, Tag};
use crate::jose::base64url;

/// The version, and the first byte of every seal.
const VERSION: u8 = 1;
/// The last version that there can be: the text of every seal begins with `A`. What begins with
/// something else is no seal at all.
const LAST_VERSION: u8 = 15;
/// Length of the part that is authenticated but not encrypted: version and key id.
const PREFIX_LENGTH: usize = 5;

/// Random bytes for one seal, from a cryptographic source. There are so many that drawing them
/// blindly is safe for any number of cookies.
pub type Nonce = [u8; NONCE_LENGTH];

/// Seals `payload` with the first secret of `ring`. The text is base64url without padding.
///
/// `nonce` is fresh randomness each time: two seals under one nonce would give away what is in
/// them, and let others seal.
///
/// # Errors
/// [`SealError::NotStorable`] for a payload that no cookie can be; [`SealError::Crypto`].
pub fn seal(payload: &Payload<'_>, ring: &KeyRing, nonce: &Nonce) -> Result<String, SealError> {
    let mut text = payload.encode()?;
    let key = ring.sealing();
    let prefix = prefix(key.id());
    let tag = key.xaes().seal(nonce, &prefix, &mut text).map_err(|_| SealError::Crypto)?;
    Ok(base64url::encode([&prefix[..], nonce, &text, &tag].concat()))
}

/// Opens a sealed text: whoever made it had a secret of `ring`, and it is unchanged. That says
/// nothing yet about the request it came with: [`judge`](super::judge()) does. What is read of it
/// stands in `buffer`.
///
/// # Errors
/// [`SealError`]: malformed, of an unknown version or key, tampered with, or an unknown payload.
pub fn open<'b>(
    text: &[u8],
    ring: &KeyRing,
    buffer: &'b mut Vec<u8>,
) -> Result<Payload<'b>, SealError> {
    if ring.memory().recall(text, buffer) {
        return Payload::decode(buffer);
    }
    *buffer = base64url::decode(text).ok_or(SealError::Malformed)?;
    let sealed = Sealed::parse(buffer)?;
    let key = ring.find(sealed.key_id).ok_or(SealError::UnknownKey)?;
    let Sealed { prefix, nonce, text: hidden, tag, .. } = sealed;
    key.xaes().open(nonce, prefix, hidden, tag).map_err(|error| match error {
        OpenError::Tag => SealError::Tampered,
        OpenError::OpenSsl => SealError::Crypto,
    })?;
    let payload = Payload::decode(hidden)?;
    ring.memory().keep(text, hidden);
    Ok(payload)
}

/// The id of the secret that a text says it was sealed with, unverified: for tools.
///
/// # Errors
/// [`SealError::Malformed`] or [`SealError::UnknownVersion`].
pub fn key_id(text: &[u8]) -> Result<[u8; KEY_ID_LENGTH], SealError> {
    let mut bytes = base64url::decode(text).ok_or(SealError::Malformed)?;
    Ok(Sealed::parse(&mut bytes)?.key_id)
}

/// The parts of a sealed value.
struct Sealed<'a> {
    prefix: &'a [u8; PREFIX_LENGTH],
    key_id: [u8; KEY_ID_LENGTH],
    nonce: &'a Nonce,
    text: &'a mut [u8],
    tag: &'a Tag,
}

impl<'a> Sealed<'a> {
    fn parse(bytes: &'a mut [u8]) -> Result<Self, SealError> {
        let (prefix, rest) =
            bytes.split_first_chunk_mut::<PREFIX_LENGTH>().ok_or(SealError::Malformed)?;
        let (nonce, rest) = rest.split_first_chunk_mut().ok_or(SealError::Malformed)?;
        let (text, tag) = rest.split_last_chunk_mut().ok_or(SealError::Malformed)?;
        let [version, ..] = *prefix;
        if version == 0 || version > LAST_VERSION {
            return Err(SealError::Malformed);
        }
        if version != VERSION {
            return Err(SealError::UnknownVersion);
        }
        let [_, key_id @ ..] = *prefix;
        Ok(Self { prefix, key_id, nonce, text, tag })
    }
}

const fn prefix([a, b, c, d]: [u8; KEY_ID_LENGTH]) -> [u8; PREFIX_LENGTH] {
    [VERSION, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::super::payload::{CookiePolicy, SessionCookie};
    use super::super::possession::{Possession, PossessionKind};
    use super::super::scope::{HostScope, Scope};
    use super::super::secret::Secret;
    use super::*;
    use crate::thumbprint::Thumbprint;

    const NONCE: &Nonce = b"a nonce of 24 bytes long";

    fn ring(secrets: &[u8]) -> KeyRing {
        let secrets: Vec<_> = secrets.iter().map(|byte| Secret::from_bytes([*byte; 32])).collect();
        KeyRing::new(&secrets).unwrap()
    }

    fn payload() -> Payload<'static> {
        let hash = Thumbprint::of(b"alice");
        Payload::SessionCookie(SessionCookie {
            issued: 1_760_000_000,
            policy: CookiePolicy::Required,
            possession: Some(Possession { kind: PossessionKind::Certificate, hash }),
            scope: Scope { host: HostScope::HostOnly("app.example"), path: b"/" },
            name: b"SESSION",
            value: b"8F2A",
        })
    }

    fn refused(text: &[u8], ring: &KeyRing) -> SealError {
        open(text, ring, &mut Vec::new()).unwrap_err()
    }

    #[test]
    fn what_is_sealed_opens() {
        let ring = ring(&[1]);
        let text = seal(&payload(), &ring, NONCE).unwrap();
        let mut buffer = Vec::new();
        // The second time from memory.
        for _ in 0..2 {
            assert_eq!(open(text.as_bytes(), &ring, &mut buffer), Ok(payload()));
        }
        assert_eq!(key_id(text.as_bytes()), Ok(ring.sealing().id()));
    }

    #[test]
    fn every_change_of_a_byte_is_refused() {
        let ring = ring(&[1]);
        let bytes = base64url::decode(seal(&payload(), &ring, NONCE).unwrap()).unwrap();
        for place in 0..bytes.len() {
            let expected = match place {
                0 => SealError::Malformed,
                1..PREFIX_LENGTH => SealError::UnknownKey,
                _ => SealError::Tampered,
            };
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[place] ^= 1 << bit;
                let text = base64url::encode(&other);
                let known = matches!(other[0], 1..=LAST_VERSION);
                let expected =
                    if place == 0 && known { SealError::UnknownVersion } else { expected };
                assert_eq!(refused(text.as_bytes(), &ring), expected, "{place} {bit}");
            }
        }
    }

    #[test]
    fn every_other_spelling_and_length_is_refused() {
        let ring = ring(&[1]);
        let text = seal(&payload(), &ring, NONCE).unwrap();
        for end in 0..text.len() {
            let error = refused(&text.as_bytes()[..end], &ring);
            assert!(matches!(error, SealError::Malformed | SealError::Tampered), "{end} {error:?}");
        }
        let bytes = base64url::decode(&text).unwrap();
        let longer = base64url::encode([&bytes[..], &[0]].concat());
        assert_eq!(refused(longer.as_bytes(), &ring), SealError::Tampered);
        for other in
            [format!("{text}="), format!("{text} "), format!(" {text}"), format!("\"{text}\"")]
        {
            assert_eq!(refused(other.as_bytes(), &ring), SealError::Malformed, "{other}");
        }
    }

    #[test]
    fn the_first_secret_seals_and_all_open() {
        let (old, both, new) = (ring(&[1]), ring(&[2, 1]), ring(&[2]));
        let before = seal(&payload(), &old, NONCE).unwrap();
        let after = seal(&payload(), &both, NONCE).unwrap();
        for (text, ring, opens) in [
            (&before, &old, true),
            (&before, &both, true),
            (&before, &new, false),
            (&after, &old, false),
            (&after, &both, true),
            (&after, &new, true),
        ] {
            let mut buffer = Vec::new();
            let opened = open(text.as_bytes(), ring, &mut buffer);
            assert_eq!(opened, if opens { Ok(payload()) } else { Err(SealError::UnknownKey) });
        }
    }

    #[test]
    fn a_payload_of_another_kind_is_refused_though_the_seal_holds() {
        let ring = ring(&[1]);
        let key = ring.sealing();
        for text in [&b""[..], b"\x02", b"\x01", b"\x00\x00"] {
            let mut text = text.to_vec();
            let prefix = prefix(key.id());
            let tag = key.xaes().seal(NONCE, &prefix, &mut text).unwrap();
            let sealed = base64url::encode([&prefix[..], NONCE, &text, &tag].concat());
            assert_eq!(refused(sealed.as_bytes(), &ring), SealError::UnknownPayload);
        }
    }
}
