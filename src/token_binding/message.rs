//! The Token Binding message (RFC 8471, section 3): structure only. Nothing here says that a
//! signature is good.

use super::key_parameters::KeyParameters;

/// Types of bindings (RFC 8471, section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingType {
    /// The key used with this server.
    Provided,
    /// The key used with another server, to which the client was told to show it.
    Referred,
    /// A type that is not known, which is to be ignored (RFC 8471, section 4.2).
    Other(u8),
}

impl BindingType {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Provided => 0,
            Self::Referred => 1,
            Self::Other(number) => number,
        }
    }

    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Provided,
            1 => Self::Referred,
            other => Self::Other(other),
        }
    }
}

/// A Token Binding ID: opaque bytes that name a public key (RFC 8471, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBindingId<'a> {
    bytes: &'a [u8],
    key: &'a [u8],
}

/// The public key inside of an ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKey<'a> {
    /// `RSAPublicKey`, both big-endian.
    Rsa {
        /// The modulus.
        modulus: &'a [u8],
        /// The public exponent.
        exponent: &'a [u8],
    },
    /// `TB_ECPoint`: X and Y one after the other.
    Point(&'a [u8]),
}

/// One binding of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBinding<'a> {
    /// What the key is shown for.
    pub binding_type: BindingType,
    /// The key.
    pub id: TokenBindingId<'a>,
    /// The signature over [`Context::signature_input`](super::Context::signature_input).
    pub signature: &'a [u8],
    /// Extensions, none of which is known: ignored (RFC 8471, section 4.2).
    pub extensions: &'a [u8],
}

/// The bytes are not a Token Binding message; the text says where they depart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageError(pub &'static str);

/// The least length of `tokenbindings`: one binding by P-256 (RFC 8471, section 3).
const MIN_BINDINGS: usize = 132;
/// The least length of a signature (likewise).
const MIN_SIGNATURE: usize = 64;

impl<'a> TokenBinding<'a> {
    /// Reads all bindings of a message.
    ///
    /// # Errors
    /// [`MessageError`]: a length points outside, a vector is shorter than it may be, or bytes are
    /// left over.
    pub fn read_all(message: &'a [u8]) -> Result<Vec<Self>, MessageError> {
        let mut outer = Reader(message);
        let bindings = outer.vector_of_two().ok_or(MessageError("the length of the message"))?;
        if !outer.0.is_empty() {
            return Err(MessageError("bytes after the message"));
        }
        if bindings.len() < MIN_BINDINGS {
            return Err(MessageError("no whole binding"));
        }
        let mut reader = Reader(bindings);
        let mut list = Vec::new();
        while !reader.0.is_empty() {
            list.push(Self::read(&mut reader)?);
        }
        Ok(list)
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, MessageError> {
        let number = reader.byte().ok_or(MessageError("a binding's type"))?;
        let id = TokenBindingId::read(reader).ok_or(MessageError("a Token Binding ID"))?;
        let signature = reader
            .vector_of_two()
            .filter(|signature| signature.len() >= MIN_SIGNATURE)
            .ok_or(MessageError("a signature's length"))?;
        let extensions = reader.vector_of_two().ok_or(MessageError("the extensions"))?;
        Ok(Self { binding_type: BindingType::from_number(number), id, signature, extensions })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.binding_type.number());
        out.extend_from_slice(self.id.bytes);
        write_vector(out, self.signature);
        write_vector(out, self.extensions);
    }
}

/// The message of these bindings.
#[must_use]
pub fn message(bindings: &[TokenBinding<'_>]) -> Vec<u8> {
    let mut inner = Vec::new();
    for binding in bindings {
        binding.write(&mut inner);
    }
    let mut message = Vec::new();
    write_vector(&mut message, &inner);
    message
}

impl<'a> TokenBindingId<'a> {
    /// Reads an ID that stands alone.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader(bytes);
        let id = Self::read(&mut reader).ok_or(MessageError("a Token Binding ID"))?;
        if reader.0.is_empty() { Ok(id) } else { Err(MessageError("bytes after the ID")) }
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let all = reader.0;
        reader.byte()?;
        let key = reader.vector_of_two()?;
        let length = all.len().checked_sub(reader.0.len())?;
        Some(Self { bytes: all.get(..length)?, key })
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number of its key parameters, known or not.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// Its key parameters, if they are known.
    #[must_use]
    pub fn key_parameters(&self) -> Option<KeyParameters> {
        KeyParameters::from_number(self.number())
    }

    /// The public key as `parameters` structure it.
    ///
    /// # Errors
    /// [`MessageError`]: the key does not have that structure.
    pub fn public_key(&self, parameters: KeyParameters) -> Result<PublicKey<'a>, MessageError> {
        let mut reader = Reader(self.key);
        let key = match parameters {
            KeyParameters::Rsa2048Pkcs15 | KeyParameters::Rsa2048Pss => reader
                .vector_of_two()
                .zip(reader.vector_of_one())
                .map(|(modulus, exponent)| PublicKey::Rsa { modulus, exponent }),
            KeyParameters::EcdsaP256 => reader.vector_of_one().map(PublicKey::Point),
        };
        key.filter(|_| reader.0.is_empty()).ok_or(MessageError("a key's structure"))
    }

    /// The bytes of the ID of a key.
    #[must_use]
    pub fn encode(parameters: KeyParameters, key: &PublicKey<'_>) -> Vec<u8> {
        let mut inner = Vec::new();
        match key {
            PublicKey::Rsa { modulus, exponent } => {
                write_vector(&mut inner, modulus);
                inner.push(u8::try_from(exponent.len()).unwrap_or(u8::MAX));
                inner.extend_from_slice(exponent);
            }
            PublicKey::Point(point) => {
                inner.push(u8::try_from(point.len()).unwrap_or(u8::MAX));
                inner.extend_from_slice(point);
            }
        }
        let mut id = vec![parameters.number()];
        write_vector(&mut id, &inner);
        id
    }
}

/// A length of two bytes and as many bytes. Nothing that is written is near the limit of 64 KiB;
/// were it so, the result would not parse.
fn write_vector(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// What is still to be read, in TLS presentation language (RFC 8446, section 3).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn vector_of_one(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    fn vector_of_two(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?.try_into().ok()?;
        self.take(usize::from(u16::from_be_bytes(length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Vec<u8> {
        let key = PublicKey::Point(&[7; 64]);
        let id = TokenBindingId::encode(KeyParameters::EcdsaP256, &key);
        let binding = |binding_type| TokenBinding {
            binding_type,
            id: TokenBindingId::parse(&id).unwrap(),
            signature: &[9; 64],
            extensions: &[],
        };
        message(&[binding(BindingType::Provided), binding(BindingType::Other(77))])
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = example();
        let bindings = TokenBinding::read_all(&bytes).unwrap();
        assert_eq!(message(&bindings), bytes);
        assert_eq!(bindings[1].binding_type, BindingType::Other(77));
        assert_eq!(bindings[0].id.bytes().len(), 68);
        assert_eq!(
            bindings[0].id.public_key(KeyParameters::EcdsaP256),
            Ok(PublicKey::Point(&[7; 64]))
        );
        assert!(bindings[0].id.public_key(KeyParameters::Rsa2048Pss).is_err());
    }

    #[test]
    fn nothing_shorter_or_longer_is_read() {
        let bytes = example();
        for length in 0..bytes.len() {
            assert!(TokenBinding::read_all(&bytes[..length]).is_err(), "{length}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(TokenBinding::read_all(&longer), Err(MessageError("bytes after the message")));
        assert!(TokenBinding::read_all(&[0, 0]).is_err());
    }

    #[test]
    fn no_length_reads_past_the_end() {
        let bytes = example();
        for place in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[place] = value;
                for binding in TokenBinding::read_all(&changed).unwrap_or_default() {
                    for parameters in KeyParameters::ALL {
                        let _ = binding.id.public_key(*parameters);
                    }
                }
            }
        }
    }
}
