//! What a log line may repeat of a request's parameters.
//!
//! In a form that was put together wrongly any parameter may hold a secret, with every request of
//! that client: another parameter's value, the halves of a pair in one, a token.

/// The longest text that is repeated, in characters.
const MAX_LENGTH: usize = 100;
/// The shortest secret that is looked for inside of other texts.
const MIN_SECRET: usize = 8;

/// Texts of a request, to be told to the log once it is known what is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Repeated(Vec<Box<str>>);

impl Repeated {
    pub(super) fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self(texts.into_iter().map(Box::from).collect())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The texts, those that are or hold a secret by their lengths: one of `secrets`, or what
    /// `is_secret` knows.
    pub(super) fn told(&self, secrets: &[&str], is_secret: impl Fn(&str) -> bool) -> String {
        let told = |text: &str| {
            if is_discreet(text, secrets) && !with_pieces(text).any(&is_secret) {
                return text.to_owned();
            }
            Self::length(text)
        };
        self.0.iter().map(|text| told(text)).collect::<Vec<_>>().join(" ")
    }

    /// The texts by their lengths alone.
    pub(super) fn lengths(&self) -> String {
        self.0.iter().map(|text| Self::length(text)).collect::<Vec<_>>().join(" ")
    }

    fn length(text: &str) -> String {
        format!("{} characters", text.chars().count())
    }
}

/// Whether the text is short, no token or pair, and holds none of `secrets`.
fn is_discreet(text: &str, secrets: &[&str]) -> bool {
    text.chars().count() <= MAX_LENGTH
        && !text.contains(['=', '&'])
        && !text.contains("eyJ")
        && !secrets
            .iter()
            .any(|secret| *secret == text || (secret.len() >= MIN_SECRET && text.contains(secret)))
}

/// The text, and whatever stands in it between characters that secrets seldom have.
fn with_pieces(text: &str) -> impl Iterator<Item = &str> {
    let divides = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_' | '~');
    [text].into_iter().chain(text.split(divides)).filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_told_by_its_length() {
        let told =
            |text: &str| Repeated::new([text]).told(&["in-the-request", "i"], |t| t == "known");
        for text in ["https://api.example/v1?a", "in-the", "ii", "unknown"] {
            assert_eq!(told(text), text);
        }
        let long = "x".repeat(101);
        for text in [
            "post=client_secret",
            "a&b",
            "eyJhbGciOiJFUzI1NiJ9",
            &long,
            "i",
            "in-the-request",
            "pair:in-the-request",
            "known",
            "known,",
            "client:known",
            "urn:ietf:params:known",
        ] {
            assert_eq!(told(text), format!("{} characters", text.len()));
        }
        let several = Repeated::new(["a", "known", "b"]);
        assert_eq!(several.told(&[], |text| text == "known"), "a 5 characters b");
        assert_eq!(several.lengths(), "1 characters 5 characters 1 characters");
    }
}
