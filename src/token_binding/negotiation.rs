//! The TLS extension `token_binding` (RFC 8472; draft-ietf-tokbind-tls13-03 for TLS 1.3).

use std::fmt;

use super::key_parameters::KeyParameters;

/// The extension's number (RFC 8472, section 6.1).
pub const EXTENSION: u16 = 24;

/// A version of the protocol (RFC 8472, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `major`.
    pub major: u8,
    /// `minor`.
    pub minor: u8,
}

impl Version {
    /// RFC 8471: the only one there is, and so the lowest and the highest that we speak.
    pub const LATEST: Self = Self { major: 1, minor: 0 };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a client offers: the body of the extension in its ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The highest version that it speaks.
    pub version: Version,
    /// The numbers of the key parameters it has, the most preferred first; unknown ones included.
    pub key_parameters: &'a [u8],
}

/// The body is not a `TokenBindingParameters` (RFC 8472, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferError;

/// What was negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The version.
    pub version: Version,
    /// The parameters of the provided binding's key.
    pub key_parameters: KeyParameters,
}

impl<'a> Offer<'a> {
    /// Reads the body of the extension.
    ///
    /// # Errors
    /// [`OfferError`]: in TLS a `decode_error`.
    pub fn parse(body: &'a [u8]) -> Result<Self, OfferError> {
        let [major, minor, length, list @ ..] = body else { return Err(OfferError) };
        if list.is_empty() || list.len() != usize::from(*length) {
            return Err(OfferError);
        }
        Ok(Self { version: Version { major: *major, minor: *minor }, key_parameters: list })
    }

    /// The body of the extension.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        let length = u8::try_from(self.key_parameters.len()).unwrap_or(u8::MAX);
        let list = self.key_parameters.get(..usize::from(length)).unwrap_or_default();
        [&[self.version.major, self.version.minor, length], list].concat()
    }

    /// What a server answers that prefers key parameters in the order of `preferred` (RFC 8472,
    /// section 3): the lower of both versions, and of its parameters the first that was offered.
    /// `None` means not to negotiate.
    #[must_use]
    pub fn answer(&self, preferred: &[KeyParameters]) -> Option<Parameters> {
        if self.version < Version::LATEST {
            return None;
        }
        let offered = |parameters: &&KeyParameters| -> bool {
            self.key_parameters.contains(&parameters.number())
        };
        let key_parameters = preferred.iter().find(offered).copied()?;
        Some(Parameters { version: Version::LATEST, key_parameters })
    }
}

impl Parameters {
    /// The body of the server's extension: version and the one chosen.
    #[must_use]
    pub const fn to_body(self) -> [u8; 4] {
        [self.version.major, self.version.minor, 1, self.key_parameters.number()]
    }

    /// Reads an answer that was written by [`Self::to_body`].
    #[must_use]
    pub fn of_own_answer(body: &[u8]) -> Option<Self> {
        let [major, minor, 1, number] = *body else { return None };
        let key_parameters = KeyParameters::from_number(number)?;
        Some(Self { version: Version { major, minor }, key_parameters })
    }

    /// Reads a server's answer to `offer` as a client must (RFC 8472, section 4).
    ///
    /// # Errors
    /// [`OfferError`]: the client must break off the handshake.
    pub fn of_answer(body: &[u8], offer: &Offer<'_>) -> Result<Self, OfferError> {
        let answer = Self::of_own_answer(body).ok_or(OfferError)?;
        let offered = offer.key_parameters.contains(&answer.key_parameters.number());
        if offered && answer.version <= offer.version { Ok(answer) } else { Err(OfferError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[KeyParameters] =
        &[KeyParameters::EcdsaP256, KeyParameters::Rsa2048Pss, KeyParameters::Rsa2048Pkcs15];

    #[test]
    fn an_offer_fills_its_body() {
        let offer = Offer::parse(&[1, 0, 2, 2, 9]).unwrap();
        assert_eq!(offer.key_parameters, [2, 9]);
        assert_eq!(offer.to_body(), [1, 0, 2, 2, 9]);
        for body in
            [&[][..], &[1], &[1, 0], &[1, 0, 0], &[1, 0, 1], &[1, 0, 1, 2, 0], &[1, 0, 2, 2]]
        {
            assert_eq!(Offer::parse(body), Err(OfferError), "{body:?}");
        }
    }

    #[test]
    fn the_server_prefers_and_never_answers_higher() {
        let answer = |body: &[u8]| Offer::parse(body).unwrap().answer(ALL).map(Parameters::to_body);
        assert_eq!(answer(&[1, 0, 3, 0, 1, 2]), Some([1, 0, 1, 2]));
        assert_eq!(answer(&[1, 0, 2, 0, 1]), Some([1, 0, 1, 1]));
        assert_eq!(answer(&[2, 7, 1, 0]), Some([1, 0, 1, 0]));
        assert_eq!(answer(&[0, 18, 1, 2]), None);
        assert_eq!(answer(&[1, 0, 1, 3]), None);
        assert_eq!(Offer::parse(&[1, 0, 1, 2]).unwrap().answer(&ALL[1..]), None);
    }

    #[test]
    fn a_client_takes_only_what_it_offered() {
        let offer = Offer { version: Version::LATEST, key_parameters: &[2, 3] };
        assert!(Parameters::of_answer(&[1, 0, 1, 2], &offer).is_ok());
        assert!(Parameters::of_answer(&[0, 13, 1, 2], &offer).is_ok());
        for body in
            [&[1, 1, 1, 2][..], &[2, 0, 1, 2], &[1, 0, 1, 1], &[1, 0, 1, 3], &[1, 0, 2, 2, 2], &[]]
        {
            assert_eq!(Parameters::of_answer(body, &offer), Err(OfferError), "{body:?}");
        }
    }
}
