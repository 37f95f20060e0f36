//! `auth-bound tb`, run as an operator runs it.

#![cfg(feature = "command")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may"
)]

mod forgeries;
mod get;
mod messages;
mod server;
#[path = "../shared/mod.rs"]
mod shared;
#[path = "../workshop/mod.rs"]
mod workshop;

use auth_bound::token_binding::{Context, Ekm, KeyParameters, Parameters, Version};
use serde_json::Value;
use workshop::{Answer, Workshop};

use KeyParameters::{EcdsaP256, Rsa2048Pkcs15, Rsa2048Pss};

impl Answer {
    /// Standard output without its end of line.
    fn line(self) -> String {
        self.good().trim_end().to_owned()
    }

    /// The lines of `--show`.
    fn reports(&self) -> Vec<Value> {
        assert_eq!(self.status, 0, "{self:?}");
        self.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Workshop {
    /// One with a key of each kind: `ec.pem`, `rsa.pem`.
    fn with_keys(name: &str) -> Self {
        let workshop = Self::new(name);
        workshop.tb("key new --out ec.pem").line();
        workshop.tb("key new --parameters rsa2048_pss --out rsa.pem").line();
        workshop
    }

    /// Runs `auth-bound tb` with these words.
    fn tb(&self, words: &str) -> Answer {
        self.run(&format!("tb {words}"))
    }

    fn feed_tb(&self, words: &str, stdin: &[u8]) -> Answer {
        self.feed(&format!("tb {words}"), stdin)
    }

    /// Verifies a message for a connection.
    fn verify(&self, message: &str, context: &Context) -> Answer {
        self.feed_tb(&format!("verify --context {}", context.to_header()), message.as_bytes())
    }

    /// The Token Binding ID of a key.
    fn id(&self, key: &str, parameters: KeyParameters) -> String {
        let line = self.tb(&format!("key id --key-parameters {} {key}", parameters.name())).line();
        line.split(' ').nth(1).unwrap().to_owned()
    }
}

fn channel(key_parameters: KeyParameters, ekm: u8) -> Context {
    let parameters = Parameters { version: Version::LATEST, key_parameters };
    Context { parameters, ekm: Ekm([ekm; 32]) }
}

const fn key_file(parameters: KeyParameters) -> &'static str {
    match parameters {
        EcdsaP256 => "ec.pem",
        Rsa2048Pkcs15 | Rsa2048Pss => "rsa.pem",
    }
}
