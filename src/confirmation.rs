//! Confirmation (RFC 7800): the keys that a credential is bound to, and whether this request
//! proved to hold them.

use serde_json::Value;

use crate::proof::Possessions;
use crate::refusal::{Reason, Refusal};
use crate::thumbprint::{Thumbprint, ThumbprintError};

/// Ways to prove possession of a key, and the names operators know them by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// TLS client authentication (RFC 8705): `x5t#S256`.
    Certificate,
    /// Token Binding (RFC 8471): `tbh`.
    TokenBinding,
    /// A signed proof for each request (RFC 9449): `jkt`.
    DPoP,
}

impl Method {
    /// Every method.
    pub const ALL: &[Self] = &[Self::Certificate, Self::TokenBinding, Self::DPoP];

    /// The name in directives and exports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::TokenBinding => "token-binding",
            Self::DPoP => "dpop",
        }
    }

    /// The member of `cnf`.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Certificate => "x5t#S256",
            Self::TokenBinding => "tbh",
            Self::DPoP => "jkt",
        }
    }
}

/// What a credential's `cnf` demands: one thumbprint for each method, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    certificate: Option<Thumbprint>,
    token_binding: Option<Thumbprint>,
    dpop: Option<Thumbprint>,
}

/// Which spellings of a thumbprint are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ThumbprintForm {
    /// Base64url without padding, as the standards say.
    #[default]
    Canonical,
    /// Padded and standard base64 too.
    AnyBase64,
}

impl Confirmation {
    /// Binds to a client certificate.
    #[must_use]
    pub fn certificate(thumbprint: Thumbprint) -> Self {
        Self { certificate: Some(thumbprint), ..Self::default() }
    }

    /// Binds to a Token Binding ID by its hash.
    #[must_use]
    pub fn token_binding(hash: Thumbprint) -> Self {
        Self { token_binding: Some(hash), ..Self::default() }
    }

    /// Reads the claim `cnf`.
    ///
    /// # Errors
    /// [`Reason::ConfirmationMalformed`], [`Reason::ConfirmationUnknown`] or
    /// [`Reason::ThumbprintEncoding`]. A member we do not know refuses: it asks for a proof that
    /// we cannot check.
    pub fn parse(cnf: &Value, form: ThumbprintForm) -> Result<Self, Refusal> {
        let Value::Object(members) = cnf else {
            return Err(Refusal::with_detail(
                Reason::ConfirmationMalformed,
                "cnf is not an object",
            ));
        };
        if members.is_empty() {
            return Err(Refusal::with_detail(Reason::ConfirmationMalformed, "cnf is empty"));
        }
        let mut confirmation = Self::default();
        for (name, value) in members {
            let Some(method) = Method::ALL.iter().find(|method| method.member() == name) else {
                return Err(Refusal::with_detail(
                    Reason::ConfirmationUnknown,
                    format_args!("cnf has {name}"),
                ));
            };
            *confirmation.slot(*method) = Some(thumbprint(*method, value, form)?);
        }
        Ok(confirmation)
    }

    /// The claim `cnf`, in canonical form.
    #[must_use]
    pub fn to_claim(&self) -> Value {
        self.methods()
            .filter_map(|method| {
                Some((method.member().to_owned(), self.get(method)?.to_string().into()))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// The methods that this confirmation demands.
    pub fn methods(&self) -> impl Iterator<Item = Method> {
        Method::ALL.iter().copied().filter(|method| self.get(*method).is_some())
    }

    /// Checks that the request proved possession of every key named.
    ///
    /// # Errors
    /// The reason for the first method, in the order of [`Method::ALL`], that does not hold.
    pub fn confirm(&self, possessions: &Possessions<'_>) -> Result<(), Refusal> {
        if let Some(expected) = self.certificate {
            let presented = possessions.certificate.ok_or(Reason::CertificateMissing)?;
            if presented.thumbprint() != expected {
                let detail = format_args!(
                    "the token names {expected}, the client presented {}",
                    presented.thumbprint()
                );
                return Err(Refusal::with_detail(Reason::CertificateMismatch, detail));
            }
        }
        if let Some(expected) = self.token_binding {
            let bindings = possessions.token_binding.ok_or(Reason::TokenBindingMissing)?;
            // At a resource server the provided ID counts (draft-ietf-oauth-token-binding-08,
            // section 3): the client uses this key with us.
            let presented = bindings.provided().hash();
            if presented != expected {
                let detail =
                    format_args!("the token names {expected}, the client proved {presented}");
                return Err(Refusal::with_detail(Reason::TokenBindingMismatch, detail));
            }
        }
        // This possession cannot be proved yet, so a token that demands it is refused.
        if self.dpop.is_some() {
            return Err(Reason::DPoPProofMissing.into());
        }
        Ok(())
    }

    const fn get(&self, method: Method) -> Option<Thumbprint> {
        match method {
            Method::Certificate => self.certificate,
            Method::TokenBinding => self.token_binding,
            Method::DPoP => self.dpop,
        }
    }

    const fn slot(&mut self, method: Method) -> &mut Option<Thumbprint> {
        match method {
            Method::Certificate => &mut self.certificate,
            Method::TokenBinding => &mut self.token_binding,
            Method::DPoP => &mut self.dpop,
        }
    }
}

fn thumbprint(method: Method, value: &Value, form: ThumbprintForm) -> Result<Thumbprint, Refusal> {
    let member = method.member();
    let malformed = || {
        Refusal::with_detail(
            Reason::ConfirmationMalformed,
            format_args!("{member} is no SHA-256 in base64url"),
        )
    };
    let Value::String(text) = value else {
        return Err(malformed());
    };
    let parsed = match form {
        ThumbprintForm::Canonical => Thumbprint::parse(text),
        ThumbprintForm::AnyBase64 => Thumbprint::parse_any_encoding(text),
    };
    parsed.map_err(|error| match error {
        ThumbprintError::Encoding => Refusal::with_detail(
            Reason::ThumbprintEncoding,
            format_args!("{member} is padded or standard base64"),
        ),
        ThumbprintError::Malformed => malformed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json;
    use crate::proof::ClientCertificate;

    fn parse(cnf: &str) -> Result<Confirmation, Reason> {
        let object = json::object(format!("{{\"cnf\":{cnf}}}").as_bytes()).unwrap();
        Confirmation::parse(&object["cnf"], ThumbprintForm::Canonical)
            .map_err(|refusal| refusal.reason())
    }

    const THUMBPRINT: &str = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2";

    #[test]
    fn cnf_is_an_object_of_known_members() {
        // RFC 8705, section 3.1, the example there; its last character has spare bits set, so
        // the value as printed is not canonical.
        let canonical = format!("{}0", &THUMBPRINT[..42]);
        for (cnf, expected) in [
            ("null".to_owned(), Reason::ConfirmationMalformed),
            ("\"x\"".to_owned(), Reason::ConfirmationMalformed),
            ("[]".to_owned(), Reason::ConfirmationMalformed),
            ("{}".to_owned(), Reason::ConfirmationMalformed),
            (r#"{"x5t#S256":null}"#.to_owned(), Reason::ConfirmationMalformed),
            (r#"{"x5t#S256":""}"#.to_owned(), Reason::ConfirmationMalformed),
            (r#"{"x5t#S256":1}"#.to_owned(), Reason::ConfirmationMalformed),
            (r#"{"x5t":"AAAA"}"#.to_owned(), Reason::ConfirmationUnknown),
            (format!(r#"{{"x5t#S256":"{canonical}","kid":"k"}}"#), Reason::ConfirmationUnknown),
            (format!(r#"{{"x5t#S256":"{canonical}="}}"#), Reason::ThumbprintEncoding),
        ] {
            assert_eq!(parse(&cnf), Err(expected), "{cnf}");
        }
        let both = parse(&format!(r#"{{"x5t#S256":"{canonical}","jkt":"{canonical}"}}"#)).unwrap();
        assert_eq!(both.methods().collect::<Vec<_>>(), [Method::Certificate, Method::DPoP]);
        assert_eq!(both.to_claim()["jkt"], canonical);
    }

    #[test]
    fn every_member_must_hold() {
        let certificate = ClientCertificate::presented(b"alice's".to_vec());
        let other = ClientCertificate::presented(b"bob's".to_vec());
        let none = Possessions::default();
        let alice = Possessions { certificate: Some(&certificate), ..none };
        let bob = Possessions { certificate: Some(&other), ..none };
        let mut confirmation = Confirmation::certificate(certificate.thumbprint());
        let reason = |confirmation: &Confirmation, possessions| {
            confirmation.confirm(possessions).map_err(|refusal| refusal.reason())
        };
        assert_eq!(reason(&confirmation, &alice), Ok(()));
        assert_eq!(reason(&confirmation, &bob), Err(Reason::CertificateMismatch));
        assert_eq!(reason(&confirmation, &none), Err(Reason::CertificateMissing));
        confirmation.dpop = Some(certificate.thumbprint());
        assert_eq!(reason(&confirmation, &alice), Err(Reason::DPoPProofMissing));
        confirmation.token_binding = Some(certificate.thumbprint());
        assert_eq!(reason(&confirmation, &alice), Err(Reason::TokenBindingMissing));
    }
}
