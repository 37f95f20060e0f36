//! The types of directive arguments: each knows its syntax and parses totally, to a value or to a
//! fault that says what was expected.

use std::fmt;

pub use super::choice::Choice;
pub use super::cookie::{CookieAttributes, CookieEntry, CookieRefusal, Cookies, SecretFiles};
pub use super::exported::{ClaimExports, ClientCertHeader, HeaderExports, claim_variable};
pub use super::issuer::{IssuerEntry, Issuers, KeyLocation, fetchable};
pub use super::quantity::{MaxAge, Size, Span};
pub use super::sts::{DefaultClient, EndpointUrl, StsIssuer, SubjectTypes};
pub use super::sts_client::{ClientEntry, ClientMethod, StsClients};
pub use super::sts_rule::{RuleEntry, StsRules, TargetEntry};
pub use super::sts_rule_word::{Lifetime, RefreshLifetime};
pub use super::sts_signing_key::{SigningKeyEntry, SigningKeyLocation, SigningKeys};
pub use super::token::{AcceptedMethods, Audience, Expiry, TokenTypes};
pub use super::token_binding::{
    BindingExport, BindingHeaders, BindingVariables, KeyParametersList, MessageTreatment,
};
pub use super::word::{FilePath, Text, Toggle, Word, Words};

/// What a directive got and what it wanted. The shims put its name, file and line in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The argument that was not understood, or all of them.
    pub got: String,
    /// What should have stood there.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "got \"{}\", expected {}", self.got.escape_default(), self.expected)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// The fault of arguments that are not of the syntax of `T`.
    pub(super) fn of<T: Value>(arguments: &[&str]) -> Self {
        Self { got: arguments.join(" "), expected: T::syntax() }
    }
}

/// A directive's value.
pub trait Value: Sized + Clone {
    /// The syntax, for messages and the reference.
    fn syntax() -> String;

    /// Parses the arguments; `None` if they are not of the syntax.
    fn parse(arguments: &[&str]) -> Option<Self>;

    /// What is wrong with arguments that do not parse: all of them, unless a longer directive can
    /// tell which one.
    fn fault(arguments: &[&str]) -> Fault {
        Fault::of::<Self>(arguments)
    }

    /// Takes a second directive of the same scope, for those that add up.
    fn add(&mut self, _more: Self) -> bool {
        false
    }
}

/// Parses `arguments` as a `T`.
///
/// # Errors
/// [`Fault`] with the syntax of `T`, or of the one argument that is wrong.
pub fn parse<T: Value>(arguments: &[&str]) -> Result<T, Fault> {
    T::parse(arguments).ok_or_else(|| T::fault(arguments))
}
