//! The key parameters of RFC 8471, section 3.2.

/// How a Token Binding key is made and how it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KeyParameters {
    /// RSA of 2048 bits, RSASSA-PKCS1-v1_5 with SHA-256.
    Rsa2048Pkcs15 = 0,
    /// RSA of 2048 bits, RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
    Rsa2048Pss = 1,
    /// ECDSA with P-256 and SHA-256.
    EcdsaP256 = 2,
}

impl KeyParameters {
    /// All of them, by number.
    pub const ALL: &[Self] = &[Self::Rsa2048Pkcs15, Self::Rsa2048Pss, Self::EcdsaP256];

    /// The name in the registry of RFC 8471, section 6.1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048Pkcs15 => "rsa2048_pkcs1.5",
            Self::Rsa2048Pss => "rsa2048_pss",
            Self::EcdsaP256 => "ecdsap256",
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The parameters with this number, if they are known.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|parameters| parameters.number() == number)
    }

    /// The parameters with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|parameters| parameters.name() == name)
    }
}
