//! The client's keys, and the message that they make for a connection.

use std::path::PathBuf;

use auth_bound::token_binding::{BindingType, Context, KeyParameters};
use clap::Args;

use super::super::binding_key::{BindingKey, Proof};
use super::super::{channel, encoded};
use crate::fault::Fault;

/// What is offered to servers, the most preferred first.
const PREFERRED: &[KeyParameters] =
    &[KeyParameters::EcdsaP256, KeyParameters::Rsa2048Pss, KeyParameters::Rsa2048Pkcs15];

/// Which keys to use.
#[derive(Args, Debug)]
pub(super) struct KeySettings {
    /// A Token Binding key in PEM; one for each kind may be given [default: a new one]
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// What to offer, divided by commas, the most preferred first [default: what the keys do]
    #[arg(long, value_name = "LIST", value_delimiter = ',',
        value_parser = channel::key_parameters_parser())]
    key_parameters: Vec<KeyParameters>,
    /// The key of a referred binding, in PEM
    #[arg(long, value_name = "FILE")]
    referred: Option<PathBuf>,
    /// The key parameters of the referred binding [default: the first that its key does]
    #[arg(long, value_name = "PARAMETERS", requires = "referred",
        value_parser = channel::key_parameters_parser())]
    referred_key_parameters: Option<KeyParameters>,
}

/// Signs for connections.
pub(super) struct Signer {
    keys: Vec<BindingKey>,
    offered: Vec<KeyParameters>,
    referred: Option<(BindingKey, KeyParameters)>,
    /// What was made last, and what for: a client need not sign for each request.
    latest: Option<(Context, Message)>,
}

/// A message with the IDs that it proves.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The value of `Sec-Token-Binding`.
    pub(super) text: String,
    /// The provided Token Binding ID.
    pub(super) provided: Vec<u8>,
    /// The referred Token Binding ID.
    pub(super) referred: Option<Vec<u8>>,
}

impl Signer {
    pub(super) fn new(settings: &KeySettings) -> Result<Self, Fault> {
        let keys = settings.key.iter().map(|path| BindingKey::read(path));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let able = |parameters: &KeyParameters| {
            keys.is_empty() || keys.iter().any(|key| key.abilities().contains(parameters))
        };
        let offered = if settings.key_parameters.is_empty() {
            PREFERRED.iter().copied().filter(able).collect()
        } else {
            settings.key_parameters.clone()
        };
        if let Some(parameters) = offered.iter().find(|parameters| !able(parameters)) {
            return Err(Fault::new(format_args!("--key: no key does {}", parameters.name())));
        }
        let referred = settings.referred.as_deref().map(|path| {
            let key = BindingKey::read(path)?;
            key.choose(settings.referred_key_parameters).map(|parameters| (key, parameters))
        });
        Ok(Self { keys, offered, referred: referred.transpose()?, latest: None })
    }

    /// What to offer to servers.
    pub(super) fn offered(&self) -> &[KeyParameters] {
        &self.offered
    }

    /// The message for a connection: the same as long as the connection is.
    pub(super) fn message(&mut self, context: &Context) -> Result<Message, Fault> {
        if let Some((_, message)) = self.latest.as_ref().filter(|(latest, _)| latest == context) {
            return Ok(message.clone());
        }
        let message = self.make(context)?;
        self.latest = Some((*context, message.clone()));
        Ok(message)
    }

    fn make(&mut self, context: &Context) -> Result<Message, Fault> {
        let parameters = context.parameters.key_parameters;
        let provided = self.key(parameters)?.prove(BindingType::Provided, parameters, context)?;
        let referred = match &self.referred {
            Some((key, parameters)) => {
                Some(key.prove(BindingType::Referred, *parameters, context)?)
            }
            None => None,
        };
        let id = |proof: &Proof| proof.id.clone();
        let ids = (id(&provided), referred.as_ref().map(id));
        let proofs: Vec<_> = [Some(provided), referred].into_iter().flatten().collect();
        Ok(Message { text: encoded::write(&proofs)?, provided: ids.0, referred: ids.1 })
    }

    /// The key for what was negotiated; a new one if none was given.
    fn key(&mut self, parameters: KeyParameters) -> Result<&BindingKey, Fault> {
        let able = |key: &BindingKey| key.abilities().contains(&parameters);
        if !self.keys.iter().any(able) {
            self.keys.push(BindingKey::generate(parameters)?);
        }
        let key = self.keys.iter().find(|key| able(key));
        key.ok_or_else(|| Fault::new(format_args!("no key does {}", parameters.name())))
    }
}
