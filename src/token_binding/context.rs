//! What a connection contributes to Token Binding: the negotiated parameters and the exporter.

use super::key_parameters::KeyParameters;
use super::negotiation::Parameters;
use crate::jose::base64url;

/// Label of the exporter (RFC 8471, section 3.3); it is asked for without a context value.
pub const EXPORTER_LABEL: &str = "EXPORTER-Token-Binding";

/// Exported keying material: 32 bytes that both ends of a TLS connection know, and nobody else,
/// and that no other connection has (RFC 5705; RFC 8446, section 7.5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ekm(pub [u8; 32]);

impl std::fmt::Debug for Ekm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ekm(..)")
    }
}

/// A connection on which Token Binding was negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// What was negotiated.
    pub parameters: Parameters,
    /// The connection's exporter.
    pub ekm: Ekm,
}

impl Context {
    /// The value of `Token-Binding-Context` (draft-campbell-tokbind-tls-term-00, section 2):
    /// version, key parameters and EKM, 47 characters of base64url.
    #[must_use]
    pub fn to_header(&self) -> String {
        let Parameters { version, key_parameters } = self.parameters;
        let mut bytes = vec![version.major, version.minor, key_parameters.number()];
        bytes.extend_from_slice(&self.ekm.0);
        base64url::encode(bytes)
    }

    /// What a binding's key signs (RFC 8471, section 3.3): its type, its key parameters, the EKM.
    #[must_use]
    pub fn signature_input(&self, binding_type: u8, key_parameters: KeyParameters) -> [u8; 34] {
        let mut input = [0; 34];
        let (head, tail) = input.split_at_mut(2);
        head.copy_from_slice(&[binding_type, key_parameters.number()]);
        tail.copy_from_slice(&self.ekm.0);
        input
    }
}

#[cfg(test)]
mod tests {
    use super::super::negotiation::Version;
    use super::*;

    #[test]
    fn the_header_is_version_parameters_ekm() {
        // The EKM of draft-ietf-tokbind-ttrp-09, section 2.4.1.
        let ekm = base64url::decode("AYVUayPTP9RmELNpGjFl6Ykm2CUx7pUMxe35yb11dgU").unwrap();
        let context = Context {
            parameters: Parameters {
                version: Version::LATEST,
                key_parameters: KeyParameters::EcdsaP256,
            },
            ekm: Ekm(ekm.try_into().unwrap()),
        };
        assert_eq!(context.to_header(), "AQACAYVUayPTP9RmELNpGjFl6Ykm2CUx7pUMxe35yb11dgU");
    }
}
