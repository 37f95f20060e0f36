//! Values that are one word of a few.

use super::value::Value;
use crate::body_style::BodyStyle;
use crate::confirmation::ThumbprintForm;

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
