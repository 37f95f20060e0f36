//! What the client of one TLS connection has proved, and what follows from it for its requests.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use super::binding::{Binding, Negotiation};
use crate::decide::Memo;
use crate::directive::value::ClientCertHeader;
use crate::effect::{Effect, Target};
use crate::export;
use crate::proof::{ClientCertificate, chain_header};
use crate::refusal::Refusal;
use crate::token_binding::{Context, KeyParameters};

/// The client of one connection. HTTP/2 asks it from several threads at once.
#[derive(Debug, Default)]
pub struct Client {
    proved: ArcSwapOption<Proved>,
    negotiation: Negotiation,
    memo: Memo,
}

/// A certificate with what it exports, computed once.
#[derive(Debug)]
pub struct Proved {
    certificate: ClientCertificate,
    chain: Vec<Vec<u8>>,
    effects: Vec<Effect>,
    headers: OnceLock<Vec<Effect>>,
}

impl Client {
    /// Takes the certificates of the handshake: the client's own first. None means that the
    /// client has proved nothing.
    pub fn present(&self, certificates: &[&[u8]]) {
        let proved = certificates.split_first().map(|(leaf, chain)| {
            let certificate = ClientCertificate::presented(leaf.to_vec());
            Arc::new(Proved {
                effects: export::of_certificate(&certificate),
                chain: chain.iter().map(|der| der.to_vec()).collect(),
                certificate,
                headers: OnceLock::new(),
            })
        });
        self.proved.store(proved);
    }

    /// Takes what the last handshake negotiated of Token Binding.
    pub fn negotiated(&self, context: Option<Context>) {
        self.negotiation.set(context);
    }

    /// Judges the `Sec-Token-Binding` headers of a request; none if the connection has not
    /// negotiated Token Binding with one of the parameters `accepted`.
    ///
    /// # Errors
    /// As [`TokenBindings::verify`](crate::TokenBindings::verify).
    pub fn bind(
        &self,
        headers: &[&[u8]],
        accepted: &[KeyParameters],
    ) -> Result<Option<Binding>, Refusal> {
        self.negotiation.bind(headers, accepted)
    }

    /// What has been proved now.
    #[must_use]
    pub fn proved(&self) -> Option<Arc<Proved>> {
        self.proved.load_full()
    }

    /// The last token verified on the connection.
    #[must_use]
    pub const fn memo(&self) -> &Memo {
        &self.memo
    }

    /// Calls `take` with an effect on every request of the connection, if there is an `index`th.
    pub fn effect<R>(&self, index: usize, take: impl FnOnce(&Effect) -> R) -> Option<R> {
        self.proved.load().as_ref().and_then(|proved| proved.effects.get(index)).map(take)
    }

    /// Likewise with the request headers of RFC 9440 as far as `wanted`.
    pub fn header<R>(
        &self,
        wanted: ClientCertHeader,
        index: usize,
        take: impl FnOnce(&Effect) -> R,
    ) -> Option<R> {
        let count = match wanted {
            ClientCertHeader::Off => 0,
            ClientCertHeader::Leaf => 1,
            ClientCertHeader::Chain => 2,
        };
        if index >= count {
            return None;
        }
        self.proved.load().as_ref().and_then(|proved| proved.headers().get(index)).map(take)
    }
}

impl Proved {
    /// The certificate.
    #[must_use]
    pub const fn certificate(&self) -> &ClientCertificate {
        &self.certificate
    }

    fn headers(&self) -> &[Effect] {
        self.headers.get_or_init(|| {
            let header = |name, value: &str| Effect::named(Target::RequestHeader, name, value);
            let mut headers = vec![header(export::CLIENT_CERT, &self.certificate.to_header())];
            if !self.chain.is_empty() {
                headers.push(header(export::CLIENT_CERT_CHAIN, &chain_header(&self.chain)));
            }
            headers
        })
    }
}
