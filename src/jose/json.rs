//! JSON as tokens and proofs need it: one object, no member twice, bounded nesting.
//!
//! RFC 7515, section 4 (header) and RFC 7519, section 4 (claims) let a parser either refuse
//! duplicate members or keep the last; two parsers that choose differently see two tokens in one
//! signature, so we refuse.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The members of a JSON object.
pub type Object = Map<String, Value>;

/// Deepest nesting accepted.
pub const MAX_DEPTH: u8 = 64;

/// Parses `text` as exactly one JSON object.
///
/// # Errors
/// What is wrong with the text: no JSON, not an object, a member twice, nested past
/// [`MAX_DEPTH`], or something behind the object.
pub fn object(text: &[u8]) -> Result<Object, String> {
    let mut parser = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: MAX_DEPTH }.deserialize(&mut parser).map_err(reason)?;
    parser.end().map_err(reason)?;
    match value {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err("not a JSON object".to_owned())
        }
    }
}

/// `object` as JSON without white space.
pub fn text(object: &Object) -> String {
    // Display would write the same, piece by piece through a formatter, in three times the time.
    // Only a key that is no string could fail here.
    serde_json::to_string(object).unwrap_or_else(|_| Value::Object(object.clone()).to_string())
}

/// serde_json's message without the position, which says nothing to whoever reads a log.
fn reason(error: serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

/// Builds a [`Value`] `depth` levels deep at most.
#[derive(Clone, Copy)]
struct Strict {
    depth: u8,
}

impl Strict {
    fn inner<E: Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth }),
            None => Err(E::custom(format_args!("nested past {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                // The name is the sender's; it is not repeated here.
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_and_nothing_else() {
        assert!(object(br#"{"a":[1,-2,1.5,"x",true,null,{"b":{}}]}"#).is_ok());
        for (text, reason) in [
            ("", "EOF"),
            ("[]", "not a JSON object"),
            ("\"x\"", "not a JSON object"),
            ("{}x", "trailing characters"),
            ("{}{}", "trailing characters"),
            (r#"{"a":1,"a":1}"#, "twice"),
            (r#"{"x":{"a":1,"\u0061":2}}"#, "twice"),
            (r#"{"a":1,}"#, "trailing comma"),
            ("{\"a\":\"\u{1}\"}", "control character"),
        ] {
            let error = object(text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let nested =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(object(nested(63).as_bytes()).is_ok());
        assert!(object(nested(64).as_bytes()).unwrap_err().contains("64 levels"));
        assert!(object(nested(9_000).as_bytes()).is_err());
    }
}
