//! What a verdict does to the request, as plain data that a shim applies.

use std::borrow::Cow;
use std::ffi::{CStr, CString};

/// Where an effect goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Target {
    /// The request's environment: `subprocess_env` on httpd, variables on NGINX.
    Environment = 1,
    /// A request header for the backend, replacing any of its name.
    RequestHeader = 2,
    /// A header of the response, besides any of its name.
    ResponseHeader = 3,
    /// The user's name; the effect's own name is empty.
    User = 4,
}

/// One effect. Name and value end with NUL, so that a shim can hand them on without a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    target: Target,
    name: Cow<'static, CStr>,
    value: CString,
}

impl Effect {
    /// An effect; control characters in `value`, if any, are percent-encoded (with the whole of
    /// it, so that it can be told what is encoded).
    #[must_use]
    pub fn new(target: Target, name: &str, value: &str) -> Self {
        Self { target, name: Cow::Owned(c_string(name)), value: c_string(&printable(value)) }
    }

    /// The same for a name of a table.
    #[must_use]
    pub fn named(target: Target, name: &'static CStr, value: &str) -> Self {
        Self { target, name: Cow::Borrowed(name), value: c_string(&printable(value)) }
    }

    /// Where it goes.
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }

    /// The name of the variable or header.
    #[must_use]
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &CStr {
        &self.value
    }
}

/// A C string. Values have no NUL after `printable`, nor do names; should one slip through, the
/// text ends before it.
fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let end = error.nul_position();
        CString::new(text.get(..end).unwrap_or_default()).unwrap_or_default()
    })
}

fn printable(value: &str) -> Cow<'_, str> {
    // 0xC2 begins the UTF-8 of U+0080 to U+00BF, of which some are control characters.
    let suspicious = |byte: u8| byte < b' ' || byte == 0x7f || byte == 0xc2;
    if !value.bytes().any(suspicious) || !value.chars().any(char::is_control) {
        return value.into();
    }
    let mut encoded = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_control() || c == '%' {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        } else {
            encoded.push(c);
        }
    }
    encoded.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_leave_raw() {
        let value =
            |text| Effect::new(Target::Environment, "N", text).value().to_str().unwrap().to_owned();
        assert_eq!(value("100% ok"), "100% ok");
        assert_eq!(value("a\r\nX: y%\0"), "a%0D%0AX: y%25%00");
        assert_eq!(value("\u{85}ü"), "%C2%85ü");
    }
}
