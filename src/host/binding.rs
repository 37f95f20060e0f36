//! Token Binding on one connection and in one request.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::directive::Settings;
use crate::directive::value::{BindingExport, MessageTreatment};
use crate::effect::{Effect, Target};
use crate::export;
use crate::proof::TokenBindings;
use crate::refusal::{Reason, Refusal};
use crate::token_binding::{Context, KeyParameters};

/// Token Binding on a connection. HTTP/2 asks from several threads at once.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    negotiated: ArcSwapOption<Negotiated>,
    /// The last message verified: a client sends the same one with each request.
    memo: ArcSwapOption<Message>,
}

/// What was negotiated on a connection, with what it exports.
#[derive(Debug)]
struct Negotiated {
    context: Context,
    effects: Vec<Effect>,
}

/// A message that was verified on the connection of `context`.
#[derive(Debug)]
struct Message {
    context: Context,
    header: CString,
    bindings: TokenBindings,
    effects: Vec<Effect>,
}

/// What a request has proved by Token Binding.
#[derive(Clone, Debug)]
pub struct Binding {
    negotiated: Arc<Negotiated>,
    message: Option<Arc<Message>>,
}

/// An effect whose strings live as long as what it was asked of.
#[derive(Clone, Copy, Debug)]
pub struct BorrowedEffect<'a> {
    /// Where it goes.
    pub target: Target,
    /// The name of the variable or header.
    pub name: &'a CStr,
    /// The value.
    pub value: &'a CStr,
}

impl Negotiation {
    /// Takes what the last handshake of the connection negotiated.
    pub(super) fn set(&self, context: Option<Context>) {
        self.memo.store(None);
        let negotiated = |context| Negotiated { effects: export::of_context(&context), context };
        self.negotiated.store(context.map(negotiated).map(Arc::new));
    }

    /// Judges the `Sec-Token-Binding` headers of a request where keys of the parameters `accepted`
    /// are. Without negotiation they say nothing (RFC 8471, section 4.2).
    ///
    /// # Errors
    /// As [`TokenBindings::verify`].
    pub(super) fn bind(
        &self,
        headers: &[&[u8]],
        accepted: &[KeyParameters],
    ) -> Result<Option<Binding>, Refusal> {
        let Some(negotiated) = self.negotiated.load_full() else { return Ok(None) };
        // The connection may have been made with another server of the same address.
        if !accepted.contains(&negotiated.context.parameters.key_parameters) {
            return Ok(None);
        }
        let message = match headers {
            [] => None,
            [header] => Some(self.message(header, &negotiated.context)?),
            _ => return Err(Reason::TokenBindingRepeated.into()),
        };
        Ok(Some(Binding { negotiated, message }))
    }

    fn message(&self, header: &[u8], context: &Context) -> Result<Arc<Message>, Refusal> {
        if let Some(known) = self.memo.load().as_ref() {
            // The connection is the same; its keys need not be, after a renegotiation.
            if known.header.as_bytes() == header && known.context == *context {
                return Ok(Arc::clone(known));
            }
        }
        let bindings = TokenBindings::verify(header, context)?;
        let message = Arc::new(Message {
            context: *context,
            header: CString::new(header).map_err(|_| Reason::TokenBindingMalformed)?,
            effects: export::of_token_bindings(&bindings),
            bindings,
        });
        self.memo.store(Some(Arc::clone(&message)));
        Ok(message)
    }
}

impl Binding {
    /// The keys that were proved.
    #[must_use]
    pub fn token_bindings(&self) -> Option<&TokenBindings> {
        self.message.as_ref().map(|message| &message.bindings)
    }

    /// An effect on the request, wherever it goes.
    #[must_use]
    pub fn effect(&self, index: usize) -> Option<&Effect> {
        let context = &self.negotiated.effects;
        let of_message =
            |index| self.message.as_ref().and_then(|message| message.effects.get(index));
        match index.checked_sub(context.len()) {
            None => context.get(index),
            Some(index) => of_message(index),
        }
    }

    /// An effect that `settings` ask for besides: other names, request headers.
    #[must_use]
    pub fn configured<'a>(
        &'a self,
        settings: &'a Settings,
        index: usize,
    ) -> Option<BorrowedEffect<'a>> {
        let named = |target, export: BindingExport, name| {
            let value = self.value(export)?;
            Some(BorrowedEffect { target, name, value })
        };
        let variables = settings
            .token_binding_variable
            .iter()
            .filter_map(|(export, name)| named(Target::Environment, export, name));
        let headers = settings
            .token_binding_headers
            .0
            .iter()
            .filter_map(|export| named(Target::RequestHeader, *export, export.name()));
        let forwarded = (settings.token_binding_message == MessageTreatment::Forward)
            .then_some(self.message.as_ref())
            .flatten()
            .map(|message| BorrowedEffect {
                target: Target::RequestHeader,
                name: export::MESSAGE,
                value: &message.header,
            });
        variables.chain(headers).chain(forwarded).nth(index)
    }

    /// An effect that `settings` ask for on the response, by its status.
    #[must_use]
    pub fn response(&self, settings: &Settings, status: u16) -> Option<BorrowedEffect<'static>> {
        let wanted = settings.token_binding_include_referred.0
            && self.message.is_some()
            && matches!(status, 300..=303 | 305..=399);
        wanted.then_some(BorrowedEffect {
            target: Target::ResponseHeader,
            name: c"Include-Referred-Token-Binding-ID",
            value: c"true",
        })
    }

    fn value(&self, export: BindingExport) -> Option<&CStr> {
        let of_message = self.message.as_ref().map_or(&[][..], |message| &message.effects);
        let effects = self.negotiated.effects.iter().chain(of_message);
        effects.into_iter().find(|effect| effect.name() == export.name()).map(Effect::value)
    }
}
