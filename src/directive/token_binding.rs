//! How Token Binding is negotiated and what is told of it.

use std::ffi::{CStr, CString};

use super::choice::Choice;
use super::exported::{is_reserved, is_same_name};
use super::list::{add_new, distinct};
use super::value::Value;
use crate::export;
use crate::token_binding::KeyParameters;

/// Key parameters by the server's preference (RFC 8472, section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyParametersList(pub Vec<KeyParameters>);

impl Value for KeyParametersList {
    fn syntax() -> String {
        let names: Vec<_> = KeyParameters::ALL.iter().map(|parameters| parameters.name()).collect();
        format!("one or more of {}, the most preferred first", names.join(" "))
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        distinct(arguments, KeyParameters::from_name).map(Self)
    }
}

/// What becomes of `Sec-Token-Binding` once it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageTreatment {
    /// It ends here (draft-ietf-tokbind-ttrp-09, section 2.3).
    Remove,
    /// It goes on to the backend (draft-campbell-tokbind-tls-term-00, section 2).
    Forward,
}

impl Choice for MessageTreatment {
    const WORDS: &[(&str, Self)] = &[("remove", Self::Remove), ("forward", Self::Forward)];
}

/// Something that Token Binding exports and that may have a header, or another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingExport {
    /// The provided ID.
    Provided,
    /// The referred ID.
    Referred,
    /// The IDs of other types.
    Other,
    /// Negotiated parameters and exporter.
    Context,
}

impl BindingExport {
    const ALL: &[Self] = &[Self::Provided, Self::Referred, Self::Other, Self::Context];

    const fn word(self) -> &'static str {
        match self {
            Self::Provided => "provided",
            Self::Referred => "referred",
            Self::Other => "other",
            Self::Context => "context",
        }
    }

    /// The name that it always has.
    #[must_use]
    pub const fn name(self) -> &'static CStr {
        match self {
            Self::Provided => export::PROVIDED,
            Self::Referred => export::REFERRED,
            Self::Other => export::OTHER,
            Self::Context => export::CONTEXT,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|export| export.word() == word)
    }

    fn words() -> String {
        Self::ALL.iter().map(|export| export.word()).collect::<Vec<_>>().join(" ")
    }
}

/// What becomes a request header for the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingHeaders(pub Vec<BindingExport>);

impl Value for BindingHeaders {
    fn syntax() -> String {
        format!("none, or one or more of {}", BindingExport::words())
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        if arguments == ["none"] {
            return Some(Self(Vec::new()));
        }
        distinct(arguments, BindingExport::parse).map(Self)
    }
}

/// Further names of variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindingVariables(Vec<(BindingExport, String)>, Vec<CString>);

impl BindingVariables {
    /// The names, each with what it holds. They end with NUL.
    pub fn iter(&self) -> impl Iterator<Item = (BindingExport, &CStr)> {
        self.0.iter().map(|(export, _)| *export).zip(self.1.iter().map(CString::as_c_str))
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, name)| name.as_str())
    }
}

impl Value for BindingVariables {
    fn syntax() -> String {
        format!(
            "one of {}, and a variable's name in letters, digits, - and _",
            BindingExport::words()
        )
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let [word, name] = arguments else { return None };
        let token = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
        if !token || is_reserved(&name.replace('-', "_")) || is_reserved(name) {
            return None;
        }
        let export = BindingExport::parse(word)?;
        Some(Self(vec![(export, (*name).to_owned())], vec![CString::new(*name).ok()?]))
    }

    fn add(&mut self, more: Self) -> bool {
        if !add_new(&mut self.0, more.0, is_same_name) {
            return false;
        }
        self.1.extend(more.1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_parameters_are_named_once() {
        let parse = |text: &str| {
            KeyParametersList::parse(&text.split(' ').collect::<Vec<_>>()).map(|list| list.0)
        };
        assert_eq!(
            parse("rsa2048_pss ecdsap256"),
            Some(vec![KeyParameters::Rsa2048Pss, KeyParameters::EcdsaP256])
        );
        for bad in ["", "ecdsap256 ecdsap256", "p256", "ECDSAP256"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_variable_is_ours_to_set() {
        let parse = |words: &[&str]| BindingVariables::parse(words);
        assert!(parse(&["provided", "Token-Binding-ID-Provided"]).is_some());
        for name in ["", "1a", "PATH", "HTTP-X", "content-type", "BOUND_SUB", "a b", "Client-Cert"]
        {
            assert!(parse(&["provided", name]).is_none(), "{name}");
        }
        assert!(parse(&["message", "NAME"]).is_none());
        let mut list = parse(&["provided", "A"]).unwrap();
        assert!(list.add(parse(&["context", "B"]).unwrap()));
        assert!(!list.add(parse(&["other", "a"]).unwrap()));
        assert_eq!(list.names().collect::<Vec<_>>(), ["A", "B"]);
    }
}
