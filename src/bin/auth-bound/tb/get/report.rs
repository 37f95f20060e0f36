//! What `--show` says about a request: a line of JSON on standard error.

use std::io::{self, Write};

use auth_bound::jose::base64url;
use auth_bound::token_binding::{Context, Ekm};
use openssl::ssl::SslRef;
use serde_json::{Value, json};

use super::super::binding_key::tbh;
use super::exchange::HttpVersion;
use super::extension;
use super::signer::Message;
use crate::fault::Fault;

/// A request: how its connection stood when it was sent, and what came of it.
pub(super) struct Report {
    /// Which connection, from 1.
    pub(super) connection: u8,
    /// Which request of the connection, from 1.
    pub(super) request: u32,
    /// What HTTP the connection speaks.
    pub(super) http: HttpVersion,
    /// What TLS says of it.
    pub(super) handshake: Handshake,
    /// What was negotiated.
    pub(super) context: Option<Context>,
    /// What was proved.
    pub(super) message: Option<Message>,
    /// The values of `Sec-Token-Binding` that were sent.
    pub(super) sent: Vec<String>,
    /// The response's status, if there was one.
    pub(super) status: Option<u16>,
    /// The response asks for a referred binding in the next request (RFC 8473, section 5.3).
    pub(super) include_referred: bool,
}

/// What TLS says of a connection.
pub(super) struct Handshake {
    version: &'static str,
    resumed: bool,
    ekm: Ekm,
}

impl Handshake {
    /// That of a connection, as it stands now.
    pub(super) fn of(ssl: &SslRef) -> Result<Self, Fault> {
        let ekm = extension::ekm(ssl)?;
        Ok(Self { version: ssl.version_str(), resumed: ssl.session_reused(), ekm })
    }
}

impl Report {
    /// Says it.
    pub(super) fn show(&self) {
        // Whoever closed standard error does not want to know.
        let _ = writeln!(io::stderr(), "{}", self.to_json());
    }

    fn to_json(&self) -> Value {
        let negotiated = self.context.map(|context| {
            json!({
                "version": context.parameters.version.to_string(),
                "key_parameters": context.parameters.key_parameters.name(),
            })
        });
        let named = |id: &Vec<u8>| json!({ "id": base64url::encode(id), "tbh": tbh(id) });
        json!({
            "connection": self.connection,
            "request": self.request,
            "tls": self.handshake.version,
            "resumed": self.handshake.resumed,
            "http": self.http.name(),
            "negotiated": negotiated,
            "ekm": base64url::encode(self.handshake.ekm.0),
            "context": self.context.map(|context| context.to_header()),
            "sent": self.sent,
            "provided": self.message.as_ref().map(|message| named(&message.provided)),
            "referred": self.message.as_ref().and_then(|m| m.referred.as_ref()).map(named),
            "status": self.status,
            "include_referred": self.include_referred,
        })
    }
}
