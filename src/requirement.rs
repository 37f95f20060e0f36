//! What a location requires of a verified token: scopes, claims, ways of proof.
//! httpd asks for each on its own (`Require bound-scope ...`), NGINX for all of a location.

use serde_json::Value as Json;

use crate::confirmation::Method;
use crate::directive::value::Value;
use crate::jose::json::Object;
use crate::refusal::{Reason, Refusal};
use crate::token::Verified;

/// Scopes, all of which the token must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredScopes(pub Vec<String>);

/// A claim that must have, or as an array contain, one of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredClaim {
    claim: String,
    values: Vec<String>,
}

/// Claims, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredClaims(pub Vec<RequiredClaim>);

/// Ways of proof, one of which the request must have given; `None` stands for a bearer token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredProofs(pub Vec<Option<Method>>);

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// `bound-scope`.
    Scopes(RequiredScopes),
    /// `bound-claim`.
    Claims(RequiredClaims),
    /// `bound-proof`.
    Proofs(RequiredProofs),
}

/// The name for a token that is bound to nothing.
const NO_PROOF: &str = "none";

impl RequiredScopes {
    /// Checks `token`.
    ///
    /// # Errors
    /// [`Reason::ScopeInsufficient`].
    pub fn check(&self, token: &Verified) -> Result<(), Refusal> {
        let missing: Vec<_> =
            self.0.iter().filter(|scope| !token.has_scope(scope)).map(String::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Refusal::with_detail(
            Reason::ScopeInsufficient,
            format_args!("missing: {}", missing.join(" ")),
        ))
    }
}

impl RequiredClaims {
    /// Checks `token`.
    ///
    /// # Errors
    /// [`Reason::ClaimInsufficient`].
    pub fn check(&self, token: &Verified) -> Result<(), Refusal> {
        match self.0.iter().find(|required| !required.holds(token.claims())) {
            None => Ok(()),
            Some(required) => Err(Refusal::with_detail(Reason::ClaimInsufficient, &required.claim)),
        }
    }
}

impl RequiredClaim {
    fn holds(&self, claims: &Object) -> bool {
        // A name that begins with a slash is a JSON pointer (RFC 6901).
        let found = match self.claim.strip_prefix('/') {
            Some(pointer) => {
                let mut steps = pointer.splitn(2, '/');
                let first = steps.next().map(|step| step.replace("~1", "/").replace("~0", "~"));
                let value = first.and_then(|first| claims.get(&first));
                match steps.next() {
                    Some(rest) => value.and_then(|value| value.pointer(&format!("/{rest}"))),
                    None => value,
                }
            }
            None => claims.get(&self.claim),
        };
        match found {
            Some(Json::Array(elements)) => elements.iter().any(|element| self.matches(element)),
            Some(value) => self.matches(value),
            None => false,
        }
    }

    fn matches(&self, value: &Json) -> bool {
        match value {
            Json::String(text) => self.values.contains(text),
            Json::Number(_) | Json::Bool(_) => self.values.contains(&value.to_string()),
            Json::Null | Json::Array(_) | Json::Object(_) => false,
        }
    }
}

impl RequiredProofs {
    /// Checks `token`.
    ///
    /// # Errors
    /// [`Reason::ProofInsufficient`].
    pub fn check(&self, token: &Verified) -> Result<(), Refusal> {
        let given: Vec<_> = token.methods().collect();
        let holds = |required: &Option<Method>| match required {
            Some(method) => given.contains(method),
            None => given.is_empty(),
        };
        if self.0.is_empty() || self.0.iter().any(holds) {
            Ok(())
        } else {
            Err(Reason::ProofInsufficient.into())
        }
    }
}

impl Requirement {
    /// Parses the arguments of `Require <name> <arguments>`; the fault is the syntax expected.
    ///
    /// # Errors
    /// The syntax, as a phrase for a message.
    pub fn parse(name: &str, arguments: &[&str]) -> Result<Self, String> {
        match name {
            "bound-scope" => RequiredScopes::parse(arguments)
                .map(Self::Scopes)
                .ok_or_else(RequiredScopes::syntax),
            "bound-claim" => RequiredClaims::parse(arguments)
                .map(Self::Claims)
                .ok_or_else(RequiredClaims::syntax),
            _ => RequiredProofs::parse(arguments)
                .map(Self::Proofs)
                .ok_or_else(RequiredProofs::syntax),
        }
    }

    /// Checks `token`.
    ///
    /// # Errors
    /// The reason why the token does not suffice.
    pub fn check(&self, token: &Verified) -> Result<(), Refusal> {
        match self {
            Self::Scopes(required) => required.check(token),
            Self::Claims(required) => required.check(token),
            Self::Proofs(required) => required.check(token),
        }
    }

    /// The scopes that a challenge names.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        match self {
            Self::Scopes(required) => &required.0,
            Self::Claims(_) | Self::Proofs(_) => &[],
        }
    }
}

impl Value for RequiredScopes {
    fn syntax() -> String {
        "one or more scopes".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        // RFC 6749, section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        let scope = |text: &&str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
        };
        (!arguments.is_empty() && arguments.iter().all(scope))
            .then(|| Self(arguments.iter().map(|text| (*text).to_owned()).collect()))
    }
}

impl Value for RequiredClaims {
    fn syntax() -> String {
        "a claim or a JSON pointer, then one or more values".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let (claim, values) = arguments.split_first()?;
        if claim.is_empty() || values.is_empty() {
            return None;
        }
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Some(Self(vec![RequiredClaim { claim: (*claim).to_owned(), values }]))
    }

    fn add(&mut self, more: Self) -> bool {
        self.0.extend(more.0);
        true
    }
}

impl Value for RequiredProofs {
    fn syntax() -> String {
        let names: Vec<_> = Method::ALL.iter().map(|method| method.name()).collect();
        format!("one or more of {} {NO_PROOF}", names.join(" "))
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let proof = |name: &&str| match *name {
            NO_PROOF => Some(None),
            name => Method::ALL.iter().copied().find(|method| method.name() == name).map(Some),
        };
        let proofs = arguments.iter().map(proof).collect::<Option<Vec<_>>>()?;
        (!proofs.is_empty()).then_some(Self(proofs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json;

    fn holds(claim: &str, values: &[&str]) -> bool {
        let claims = json::object(
            br#"{"dept":"sales","groups":["a","b"],"level":3,"admin":true,"nil":null,"o":{"roles":["r"],"a/b":"x"}}"#,
        );
        let arguments: Vec<_> = [claim].iter().chain(values).copied().collect();
        RequiredClaims::parse(&arguments).unwrap().0[0].holds(&claims.unwrap())
    }

    #[test]
    fn claims_hold_by_value_element_or_pointer() {
        assert!(holds("dept", &["hr", "sales"]) && !holds("dept", &["Sales"]));
        assert!(holds("groups", &["b"]) && !holds("groups", &["c"]));
        assert!(holds("level", &["3"]) && holds("admin", &["true"]) && !holds("nil", &["null"]));
        assert!(
            holds("/o/roles", &["r"]) && holds("/o/a~1b", &["x"]) && holds("/dept", &["sales"])
        );
        assert!(!holds("o", &["r"]) && !holds("/o/nothing", &["x"]) && !holds("absent", &[""]));
    }

    #[test]
    fn syntax_errors_name_the_syntax() {
        assert!(
            Requirement::parse("bound-claim", &["x"]).unwrap_err().contains("one or more values")
        );
        assert!(Requirement::parse("bound-proof", &["magic"]).unwrap_err().contains("certificate"));
        assert!(Requirement::parse("bound-scope", &[]).is_err());
    }
}
