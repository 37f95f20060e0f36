//! A session with a token, logged in, with a private key at hand.

use std::sync::Arc;

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::{Slot, SlotInfo, TokenInfo};

use super::library::{Library, Usage};
use super::login::Login;
use super::uri::{Fact, Pkcs11Uri};
use super::{Pkcs11Fault, mechanism};
use crate::jose::Algorithm;

/// A session that can sign.
pub(super) struct KeySession {
    session: Session,
    slot: Slot,
    private: ObjectHandle,
    /// Let go after the session.
    usage: Usage,
}

impl KeySession {
    /// Finds the token and the key of `uri`, logging in if the token wants that.
    pub(super) fn open(
        library: &Arc<Library>,
        uri: &Pkcs11Uri,
        login: &Login,
    ) -> Result<Self, Pkcs11Fault> {
        let usage = library.enter()?;
        let functions = usage.functions();
        let (slot, token) = find_token(functions, uri)?;
        let session = functions.open_ro_session(slot)?;
        if token.login_required() {
            login.log_in(&session, &token)?;
        }
        let private = find_key(&session, uri)?;
        Ok(Self { session, slot, private, usage })
    }

    /// Whether the key may sign, and the token can with `algorithm`.
    pub(super) fn check(&self, algorithm: Algorithm) -> Result<(), Pkcs11Fault> {
        for attribute in self
            .attributes(self.private, &[AttributeType::Sign, AttributeType::AlwaysAuthenticate])?
        {
            if attribute == Attribute::Sign(false) {
                return Err(Pkcs11Fault::MayNotSign);
            }
            if attribute == Attribute::AlwaysAuthenticate(true) {
                return Err(Pkcs11Fault::PinEachTime);
            }
        }
        let functions = self.usage.functions();
        match functions.get_mechanism_info(self.slot, mechanism::kind(algorithm)) {
            Ok(info) if info.sign() => Ok(()),
            Ok(_) | Err(Error::Pkcs11(RvError::MechanismInvalid, _)) => {
                Err(Pkcs11Fault::Mechanism(algorithm))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Signs `input` in the form that a JWS carries, which is also the token's.
    pub(super) fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Result<Vec<u8>, Pkcs11Fault> {
        let (mechanism, input) = mechanism::prepare(algorithm, input)?;
        Ok(self.session.sign(&mechanism, self.private, &input)?)
    }

    pub(super) const fn private(&self) -> ObjectHandle {
        self.private
    }

    /// Those of `kinds` that the object has and shows.
    pub(super) fn attributes(
        &self,
        object: ObjectHandle,
        kinds: &[AttributeType],
    ) -> Result<Vec<Attribute>, Pkcs11Fault> {
        Ok(self.session.get_attributes(object, kinds)?)
    }

    /// The objects with these attributes.
    pub(super) fn find(&self, template: &[Attribute]) -> Result<Vec<ObjectHandle>, Pkcs11Fault> {
        Ok(self.session.find_objects(template)?)
    }
}

fn find_token(functions: &Pkcs11, uri: &Pkcs11Uri) -> Result<(Slot, TokenInfo), Pkcs11Fault> {
    let mut fitting = Vec::new();
    let mut labels = Vec::new();
    for slot in functions.get_slots_with_token()? {
        // A reader that fails need not be ours.
        let Ok(about) = functions.get_slot_info(slot) else { continue };
        let Ok(token) = functions.get_token_info(slot) else { continue };
        if !token.token_initialized() {
            continue;
        }
        labels.push(token.label().to_owned());
        let in_slot = uri.slot_id.is_none_or(|number| number == slot.id());
        let fits = |(fact, value): &(Fact, String)| actual(*fact, &about, &token) == value;
        if in_slot && uri.token.iter().all(fits) {
            fitting.push((slot, token));
        }
    }
    let count = fitting.len();
    let first = fitting.pop().ok_or(Pkcs11Fault::NoToken(labels))?;
    if count == 1 { Ok(first) } else { Err(Pkcs11Fault::SeveralTokens(count)) }
}

fn actual<'t>(fact: Fact, slot: &'t SlotInfo, token: &'t TokenInfo) -> &'t str {
    match fact {
        Fact::Label => token.label(),
        Fact::Manufacturer => token.manufacturer_id(),
        Fact::Model => token.model(),
        Fact::Serial => token.serial_number(),
        Fact::SlotDescription => slot.slot_description(),
        Fact::SlotManufacturer => slot.manufacturer_id(),
    }
}

fn find_key(session: &Session, uri: &Pkcs11Uri) -> Result<ObjectHandle, Pkcs11Fault> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(uri.object.clone().map(Attribute::Label));
    template.extend(uri.id.clone().map(Attribute::Id));
    match *session.find_objects(&template)? {
        [] => Err(Pkcs11Fault::NoKey),
        [key] => Ok(key),
        ref several => Err(Pkcs11Fault::SeveralKeys(several.len())),
    }
}
