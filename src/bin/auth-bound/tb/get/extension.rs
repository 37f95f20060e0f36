//! The TLS extension `token_binding` on the client's side (RFC 8472; for TLS 1.3
//! draft-ietf-tokbind-tls13-03).

use auth_bound::token_binding::{
    Context, EXPORTER_LABEL, EXTENSION, Ekm, KeyParameters, Offer, Parameters, Version,
};
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{ExtensionContext, Ssl, SslAlert, SslContextBuilder, SslRef, SslVersion};
use openssl::x509::X509Ref;

use crate::fault::Fault;

/// How a connection's latest handshake stands.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// The server has not answered the extension.
    Silence,
    /// The server has answered with this.
    Chosen(Parameters),
    /// The server has answered with what no server may answer.
    Wrong,
}

/// The extension as a context offers it; without it nothing is ever negotiated.
#[derive(Clone, Copy, Default)]
pub(super) struct Extension(Option<Index<Ssl, Answer>>);

impl Extension {
    /// Offers the extension on all connections of a context: full and resumed handshakes, and
    /// renegotiations, for each of which Token Binding is negotiated anew (RFC 8472, section 4).
    pub(super) fn offer(
        context: &mut SslContextBuilder,
        key_parameters: &[KeyParameters],
    ) -> Result<Self, ErrorStack> {
        let index = Ssl::new_ex_index()?;
        let numbers: Vec<u8> = key_parameters.iter().map(|one| one.number()).collect();
        let body = Offer { version: Version::LATEST, key_parameters: &numbers }.to_body();
        let messages = ExtensionContext::CLIENT_HELLO
            | ExtensionContext::TLS1_2_SERVER_HELLO
            | ExtensionContext::TLS1_3_ENCRYPTED_EXTENSIONS;
        let add = move |ssl: &mut SslRef, _, _: Option<(usize, &X509Ref)>| {
            ssl.set_ex_data(index, Answer::Silence);
            Ok(Some(body.clone()))
        };
        let parse = move |ssl: &mut SslRef, _, body: &[u8], _: Option<(usize, &X509Ref)>| {
            let offer = Offer { version: Version::LATEST, key_parameters: &numbers };
            let answer = Parameters::of_answer(body, &offer);
            ssl.set_ex_data(index, answer.map_or(Answer::Wrong, Answer::Chosen));
            // "the client MUST terminate the TLS handshake with a fatal "unsupported_extension"
            // alert" (RFC 8472, section 4).
            answer.map(drop).map_err(|_| SslAlert::UNSUPPORTED_EXTENSION)
        };
        context.add_custom_ext(EXTENSION, messages, add, parse)?;
        Ok(Self(Some(index)))
    }

    /// Whether a handshake failed for the server's answer.
    pub(super) fn is_wrong(self, ssl: &SslRef) -> bool {
        matches!(self.answer(ssl), Answer::Wrong)
    }

    /// What a connection has negotiated, and what it exports at this moment: a renegotiation
    /// changes both. `None` is a connection without Token Binding.
    pub(super) fn context(self, ssl: &SslRef) -> Result<Option<Context>, Fault> {
        let parameters = match self.answer(ssl) {
            // An older version than ours: without Token Binding (RFC 8472, section 4).
            Answer::Chosen(Parameters { version, .. }) if version != Version::LATEST => None,
            Answer::Chosen(parameters) => Some(parameters),
            Answer::Silence | Answer::Wrong => None,
        };
        if parameters.is_some() && is_before_tls13(ssl) && ssl.extms_support() != Some(true) {
            return Err(Fault::new(
                "the server negotiated Token Binding without the extended master secret, which a \
                 client must not accept (RFC 8472, section 4)",
            ));
        }
        let context = |parameters| Ok(Context { parameters, ekm: ekm(ssl)? });
        parameters.map(context).transpose()
    }

    fn answer(self, ssl: &SslRef) -> Answer {
        self.0.and_then(|index| ssl.ex_data(index).copied()).unwrap_or(Answer::Silence)
    }
}

/// What a connection exports for Token Binding, negotiated or not (RFC 8471, section 3.3).
pub(super) fn ekm(ssl: &SslRef) -> Result<Ekm, Fault> {
    let mut ekm = [0; 32];
    ssl.export_keying_material(&mut ekm, EXPORTER_LABEL, None).map_err(Fault::new)?;
    Ok(Ekm(ekm))
}

fn is_before_tls13(ssl: &SslRef) -> bool {
    ssl.version2() != Some(SslVersion::TLS1_3)
}
