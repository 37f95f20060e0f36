//! Words, texts and paths.

use std::path::PathBuf;

use super::value::Value;

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

/// The words as they are kept.
pub(super) fn words(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|word| (*word).to_owned()).collect()
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
