//! How the body of a refusal is written: of an access token, a cookie or a request for a token.

/// The members of the JSON object in a refusal's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyStyle {
    /// `error` and `error_description` (RFC 6749, section 5.2).
    #[default]
    OAuth,
    /// `code` and `message`, as Curity's plugins write them.
    CodeAndMessage,
}

impl BodyStyle {
    /// The body, with its line's end. Neither text may need escaping in JSON.
    #[must_use]
    pub fn body(self, code: &str, message: &str) -> String {
        match self {
            Self::OAuth => {
                format!("{{\"error\":\"{code}\",\"error_description\":\"{message}\"}}\n")
            }
            // With the space that the plugins' own clients see.
            Self::CodeAndMessage => format!("{{\"code\":\"{code}\", \"message\":\"{message}\"}}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_a_line_of_json() {
        assert_eq!(
            BodyStyle::OAuth.body("a", "b c"),
            "{\"error\":\"a\",\"error_description\":\"b c\"}\n"
        );
        assert_eq!(
            BodyStyle::CodeAndMessage.body("a", "b c"),
            "{\"code\":\"a\", \"message\":\"b c\"}\n"
        );
    }
}
