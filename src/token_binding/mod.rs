//! Token Binding (RFC 8471, 8472, 8473): the vocabulary and the wire format. What a message proves
//! is judged in `proof::token_binding`; this is what both ends have in common.

mod context;
mod key_parameters;
mod message;
mod negotiation;

pub use context::{Context, EXPORTER_LABEL, Ekm};
pub use key_parameters::KeyParameters;
pub use message::{BindingType, MessageError, PublicKey, TokenBinding, TokenBindingId, message};
pub use negotiation::{EXTENSION, Offer, OfferError, Parameters, Version};
