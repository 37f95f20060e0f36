//! The types of directive arguments: each knows its syntax and parses totally, to a value or to a
//! fault that says what was expected.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use super::cookie::{CookieAttributes, CookieEntry, CookieRefusal, Cookies, SecretFiles};
pub use super::exported::{ClaimExports, HeaderExports, claim_variable};
pub use super::issuer::{IssuerEntry, Issuers, KeyLocation, fetchable};
pub use super::sts::{DefaultClient, EndpointUrl, StsIssuer, SubjectTypes};
pub use super::sts_client::{ClientEntry, ClientMethod, StsClients};
pub use super::sts_rule::{RuleEntry, StsRules, TargetEntry};
pub use super::sts_rule_word::{Lifetime, RefreshLifetime};
pub use super::sts_signing_key::{SigningKeyEntry, SigningKeyLocation, SigningKeys};
pub use super::token_binding::{
    BindingExport, BindingHeaders, BindingVariables, KeyParametersList, MessageTreatment,
};
use crate::body_style::BodyStyle;
use crate::confirmation::{Method, ThumbprintForm};
use crate::jose::{Algorithm, AlgorithmSet};

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

/// `on` or `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Toggle(pub bool);

impl Value for Toggle {
    fn syntax() -> String {
        "on or off".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            [word] if word.eq_ignore_ascii_case("on") => Some(Self(true)),
            [word] if word.eq_ignore_ascii_case("off") => Some(Self(false)),
            _ => None,
        }
    }
}

/// A duration of `MIN` to `MAX` seconds, kept in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> Span<MIN, MAX> {
    /// The duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Whole seconds, rounded down, for comparison with NumericDate values.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

/// The shortest way to write `seconds`.
fn seconds_text(seconds: u64) -> String {
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds > 0 && seconds.checked_rem(length) == Some(0) {
            return format!("{}{unit}", seconds.checked_div(length).unwrap_or_default());
        }
    }
    format!("{seconds}s")
}

impl<const MIN: u64, const MAX: u64> Value for Span<MIN, MAX> {
    fn syntax() -> String {
        format!(
            "a duration from {} to {}, written with its unit: ms, s, m, h or d",
            seconds_text(MIN),
            seconds_text(MAX)
        )
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let [text] = arguments else { return None };
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(digits)?;
        let factor = match unit {
            "ms" => 1_u64,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let duration = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(factor)?);
        (Duration::from_secs(MIN)..=Duration::from_secs(MAX))
            .contains(&duration)
            .then_some(Self(duration))
    }
}

/// A size in bytes of `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Value for Size<MIN, MAX> {
    fn syntax() -> String {
        format!(
            "a size from {} to {}, in bytes or with the unit k, m or g",
            size_text(MIN),
            size_text(MAX)
        )
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let [text] = arguments else { return None };
        let lower = text.to_ascii_lowercase();
        let (number, factor) = match lower.strip_suffix(['k', 'm', 'g']) {
            Some(number) if lower.ends_with('k') => (number, 1_u64 << 10),
            Some(number) if lower.ends_with('m') => (number, 1 << 20),
            Some(number) => (number, 1 << 30),
            None => (lower.as_str(), 1),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bytes = number.parse::<u64>().ok()?.checked_mul(factor)?;
        (MIN..=MAX).contains(&bytes).then_some(Self(bytes))
    }
}

fn size_text(bytes: u64) -> String {
    for (unit, length) in [("g", 1_u64 << 30), ("m", 1 << 20), ("k", 1 << 10)] {
        if bytes >= length && bytes.checked_rem(length) == Some(0) {
            return format!("{}{unit}", bytes.checked_div(length).unwrap_or_default());
        }
    }
    bytes.to_string()
}

/// Which audiences a token may be for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Nothing was configured.
    #[default]
    Unset,
    /// Any token of a trusted issuer.
    Any,
    /// One of these.
    OneOf(Vec<String>),
}

impl Value for Audience {
    fn syntax() -> String {
        "one or more audiences, or the single word any".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            [] => None,
            ["any"] => Some(Self::Any),
            names if names.iter().any(|name| name.is_empty() || *name == "any") => None,
            names => Some(Self::OneOf(words(names))),
        }
    }
}

impl Value for AlgorithmSet {
    fn syntax() -> String {
        let names: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
        format!("one or more of {}", names.join(" "))
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        if arguments.is_empty() {
            return None;
        }
        arguments.iter().map(|name| name.parse().ok()).collect::<Option<Self>>()
    }
}

/// The accepted values of `typ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTypes {
    /// Whether the member may be absent.
    absent: bool,
    /// Media types in lower case without `application/`.
    names: Vec<String>,
}

impl TokenTypes {
    /// Whether a token with this `typ` is accepted. RFC 7515, section 4.1.9: media types compare
    /// without regard to case, and `application/` may be left out.
    #[must_use]
    pub fn accept(&self, media_type: Option<&str>) -> bool {
        match media_type {
            None => self.absent,
            Some(text) => {
                let name = short(text);
                self.names.iter().any(|accepted| accepted.eq_ignore_ascii_case(name))
            }
        }
    }
}

fn short(media_type: &str) -> &str {
    match media_type.split_at_checked("application/".len()) {
        Some((prefix, name))
            if prefix.eq_ignore_ascii_case("application/") && !name.contains('/') =>
        {
            name
        }
        _ => media_type,
    }
}

impl Value for TokenTypes {
    fn syntax() -> String {
        "one or more media types such as at+jwt or JWT; none stands for a token without typ"
            .to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let token = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-./".contains(&b))
        };
        if arguments.is_empty() || !arguments.iter().all(|name| token(name)) {
            return None;
        }
        Some(Self {
            absent: arguments.contains(&"none"),
            names: arguments
                .iter()
                .filter(|name| **name != "none")
                .map(|name| short(name).to_ascii_lowercase())
                .collect(),
        })
    }
}

/// Whether tokens without `exp` are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// They are refused.
    Required,
    /// They are accepted.
    Optional,
}

impl Value for Expiry {
    fn syntax() -> String {
        "required or optional".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            ["required"] => Some(Self::Required),
            ["optional"] => Some(Self::Optional),
            _ => None,
        }
    }
}

/// Which methods of confirmation are acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedMethods {
    /// Whichever the token names.
    Any,
    /// At least one of these.
    OneOf(Vec<Method>),
}

impl Value for AcceptedMethods {
    fn syntax() -> String {
        let names: Vec<_> = Method::ALL.iter().map(|method| method.name()).collect();
        format!("any, or one or more of {}", names.join(" "))
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        if arguments == ["any"] {
            return Some(Self::Any);
        }
        let method =
            |name: &&str| Method::ALL.iter().copied().find(|method| method.name() == *name);
        let methods = arguments.iter().map(method).collect::<Option<Vec<_>>>()?;
        (!methods.is_empty()).then_some(Self::OneOf(methods))
    }
}

impl Value for ThumbprintForm {
    fn syntax() -> String {
        "padded-thumbprint or none".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            ["padded-thumbprint"] => Some(Self::AnyBase64),
            ["none"] => Some(Self::Canonical),
            _ => None,
        }
    }
}

impl Value for BodyStyle {
    fn syntax() -> String {
        "oauth or code-and-message".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            ["oauth"] => Some(Self::OAuth),
            ["code-and-message"] => Some(Self::CodeAndMessage),
            _ => None,
        }
    }
}

/// One word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word(pub String);

impl Value for Word {
    fn syntax() -> String {
        "one word".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            [word] if !word.is_empty() && !word.chars().any(char::is_control) => {
                Some(Self((*word).to_owned()))
            }
            _ => None,
        }
    }
}

/// Text that fits into a quoted string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub String);

impl Value for Text {
    fn syntax() -> String {
        "printable ASCII text without quotes and backslashes, in quotes if it has spaces".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            [text] if text.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\') => {
                Some(Self((*text).to_owned()))
            }
            _ => None,
        }
    }
}

/// Words, such as `acr` values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl Value for Words {
    fn syntax() -> String {
        "one or more words without spaces, quotes and backslashes".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let word = |word: &&str| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
        };
        (!arguments.is_empty() && arguments.iter().all(word)).then(|| Self(words(arguments)))
    }
}

/// An absolute path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePath(pub Option<PathBuf>);

impl Value for FilePath {
    fn syntax() -> String {
        "an absolute path".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            [path] if path.starts_with('/') => Some(Self(Some(path.into()))),
            _ => None,
        }
    }
}

/// A duration that may be left unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxAge(pub Option<i64>);

impl Value for MaxAge {
    fn syntax() -> String {
        Span::<0, 31_536_000>::syntax()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        Span::<0, 31_536_000>::parse(arguments).map(|span| Self(Some(span.seconds())))
    }
}

/// Which RFC 9440 headers are sent to the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertHeader {
    /// None.
    #[default]
    Off,
    /// `Client-Cert`.
    Leaf,
    /// `Client-Cert` and `Client-Cert-Chain`.
    Chain,
}

impl Value for ClientCertHeader {
    fn syntax() -> String {
        "off, leaf or chain".to_owned()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        match arguments {
            ["off"] => Some(Self::Off),
            ["leaf"] => Some(Self::Leaf),
            ["chain"] => Some(Self::Chain),
            _ => None,
        }
    }
}

fn words(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_a_range() {
        let parse = |text| Span::<0, 60>::parse(&[text]).map(Span::duration);
        assert_eq!(parse("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse("1m"), Some(Duration::from_secs(60)));
        assert_eq!(parse("1500ms"), Some(Duration::from_millis(1500)));
        for bad in [
            "",
            "s",
            "30",
            "61s",
            "-1s",
            "1.5s",
            "30 s",
            "30S",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(
            Span::<0, 86_400>::syntax(),
            "a duration from 0s to 1d, written with its unit: ms, s, m, h or d"
        );
    }

    #[test]
    fn sizes_know_their_units() {
        let parse = |text| Size::<1024, 1_073_741_824>::parse(&[text]).map(|size| size.0);
        assert_eq!(parse("16k"), Some(16_384));
        assert_eq!(parse("1G"), Some(1 << 30));
        assert_eq!(parse("2048"), Some(2048));
        for bad in ["", "k", "1", "2g", "1.5m", "+16k", "16kb"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for good in [
            "https://as.example/jwks",
            "http://127.0.0.1:1/j",
            "http://[::1]/j",
            "http://localhost/j",
        ] {
            assert!(fetchable(good).is_some(), "{good}");
        }
        for bad in [
            "http://as.example/jwks",
            "ftp://localhost/",
            "file:///etc/passwd",
            "https://u:p@as.example/",
            "x",
            "http://127.0.0.1.example/",
            "https://as.example/#f",
        ] {
            assert!(fetchable(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn issuers_add_up_but_not_twice() {
        let mut issuers = Issuers::parse(&["https://a", "jwks-file", "/a"]).unwrap();
        assert!(issuers.add(Issuers::parse(&["https://b", "discover"]).unwrap()));
        assert!(!issuers.add(Issuers::parse(&["https://a", "discover"]).unwrap()));
        assert_eq!(issuers.0.len(), 2);
        for bad in [
            &["https://a"][..],
            &["a", "discover"],
            &["a", "jwks-file", "x"],
            &["", "jwks-file", "/x"],
            &["a", "jwks-uri", "http://x.example/"],
        ] {
            assert_eq!(Issuers::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn types_compare_as_media_types() {
        let types = TokenTypes::parse(&["at+jwt", "application/JWT"]).unwrap();
        for good in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/at+jwt", "jwt"] {
            assert!(types.accept(Some(good)), "{good}");
        }
        for bad in [
            None,
            Some("dpop+jwt"),
            Some(""),
            Some("none"),
            Some("application/x/at+jwt"),
            Some("application/"),
        ] {
            assert!(!types.accept(bad), "{bad:?}");
        }
    }

    #[test]
    fn exports_do_not_reach_for_what_is_not_theirs() {
        assert_eq!(ClaimExports::parse(&["e-mail"]).unwrap().0[0].1, "BOUND_CLAIM_E_MAIL");
        assert_eq!(ClaimExports::parse(&["x", "LD_PRELOAD"]), None);
        assert_eq!(ClaimExports::parse(&["x", "A B"]), None);
        assert_eq!(HeaderExports::parse(&["x", "Content-Length"]), None);
        assert_eq!(HeaderExports::parse(&["x", "X\r\n"]), None);
        let mut headers = HeaderExports::parse(&["a", "X-A"]).unwrap();
        assert!(!headers.add(HeaderExports::parse(&["b", "x-a"]).unwrap()));
    }
}
