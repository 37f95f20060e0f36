//! Values that are one word of a few.

use super::value::Value;
use crate::body_style::BodyStyle;
use crate::confirmation::ThumbprintForm;

/// A value that is one word of a few.
pub trait Choice: Clone + Sized + 'static {
    /// The words, each with its value, in the order in which messages and the reference list them.
    const WORDS: &[(&str, Self)];
}

impl<T: Choice> Value for T {
    fn syntax() -> String {
        let words: Vec<_> = T::WORDS.iter().map(|(word, _)| *word).collect();
        match words.as_slice() {
            [others @ .., last] => format!("{} or {last}", others.join(", ")),
            [] => String::new(),
        }
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let [argument] = arguments else { return None };
        T::WORDS.iter().find(|(word, _)| word == argument).map(|(_, value)| value.clone())
    }
}

impl Choice for ThumbprintForm {
    const WORDS: &[(&str, Self)] =
        &[("padded-thumbprint", Self::AnyBase64), ("none", Self::Canonical)];
}

impl Choice for BodyStyle {
    const WORDS: &[(&str, Self)] =
        &[("oauth", Self::OAuth), ("code-and-message", Self::CodeAndMessage)];
}

#[cfg(test)]
mod tests {
    use super::super::value::ClientCertHeader;
    use super::*;

    #[test]
    fn a_choice_is_one_of_its_words_letter_by_letter() {
        assert_eq!(ClientCertHeader::syntax(), "off, leaf or chain");
        assert_eq!(BodyStyle::syntax(), "oauth or code-and-message");
        assert_eq!(ClientCertHeader::parse(&["chain"]), Some(ClientCertHeader::Chain));
        for bad in [&[][..], &[""], &["Chain"], &["chai"], &["leaf", "chain"], &["leaf,"]] {
            assert_eq!(ClientCertHeader::parse(bad), None, "{bad:?}");
        }
    }
}
