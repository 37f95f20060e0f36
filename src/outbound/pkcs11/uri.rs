//! The PKCS #11 URI (RFC 7512).

use std::path::PathBuf;

use super::Pkcs11Fault;

/// How the URI begins.
const SCHEME: &str = "pkcs11:";

/// A fact about a token or its slot that a URI can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Label,
    Manufacturer,
    Model,
    Serial,
    SlotDescription,
    SlotManufacturer,
}

impl Fact {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "token" => Self::Label,
            "manufacturer" => Self::Manufacturer,
            "model" => Self::Model,
            "serial" => Self::Serial,
            "slot-description" => Self::SlotDescription,
            "slot-manufacturer" => Self::SlotManufacturer,
            _ => return None,
        })
    }
}

/// Which key, and how to get at it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pkcs11Uri {
    /// The library.
    pub(super) module_path: PathBuf,
    /// The file of the PIN, if the token wants one.
    pub(super) pin_source: Option<PathBuf>,
    /// What the token must be.
    pub(super) token: Vec<(Fact, String)>,
    /// The slot's number.
    pub(super) slot_id: Option<u64>,
    /// The key's label (`CKA_LABEL`).
    pub(super) object: Option<Vec<u8>>,
    /// The key's id (`CKA_ID`).
    pub(super) id: Option<Vec<u8>>,
}

impl Pkcs11Uri {
    /// Reads a URI. What this version does not know it refuses: an attribute passed over could be
    /// the one that tells two keys apart.
    pub(super) fn parse(text: &str) -> Result<Self, Pkcs11Fault> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| fault("expected a URI that begins with pkcs11: (RFC 7512)"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let mut seen = Vec::new();
        let attributes = path.split(';').map(|text| (text, true));
        let attributes = attributes.chain(query.split('&').map(|text| (text, false)));
        for (attribute, in_path) in attributes.filter(|(text, _)| !text.is_empty()) {
            let (name, value) = attribute.split_once('=').ok_or_else(|| {
                fault(format!("{attribute}: expected name=value in the PKCS#11 URI"))
            })?;
            // RFC 7512, section 2.3: "a PKCS #11 URI MUST NOT contain duplicate attributes of the
            // same name".
            if seen.contains(&name) {
                return Err(fault(format!("{name} stands twice in the PKCS#11 URI")));
            }
            seen.push(name);
            let value = decode(value)
                .ok_or_else(|| fault(format!("{name}: not percent-encoded as RFC 7512 says")))?;
            if in_path { uri.take(name, value)? } else { uri.take_query(name, value)? }
        }
        uri.complete()
    }

    fn take(&mut self, name: &str, value: Vec<u8>) -> Result<(), Pkcs11Fault> {
        if let Some(fact) = Fact::named(name) {
            self.token.push((fact, text(name, value)?));
            return Ok(());
        }
        match name {
            "object" => self.object = Some(value),
            "id" => self.id = Some(value),
            "slot-id" => {
                let number = text(name, value)?.parse();
                self.slot_id = Some(number.map_err(|_| fault("slot-id: expected a number"))?);
            }
            "type" if value == b"private" => {}
            "type" => return Err(fault("type: expected private, since the key has to sign")),
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    fn take_query(&mut self, name: &str, value: Vec<u8>) -> Result<(), Pkcs11Fault> {
        match name {
            "module-path" => self.module_path = absolute(name, text(name, value)?)?,
            "pin-source" => {
                let source = text(name, value)?;
                // RFC 8089, appendix A: a minimal file URI.
                let path = source.strip_prefix("file:").unwrap_or(&source);
                let path = path.strip_prefix("//").unwrap_or(path);
                self.pin_source = Some(absolute(name, path.to_owned())?);
            }
            "pin-value" => {
                return Err(fault(
                    "pin-value: many may read a server's configuration; put the PIN into a file \
                     of mode 600 and name it with pin-source",
                ));
            }
            "module-name" => {
                return Err(fault("module-name: name the library's file with module-path"));
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    fn complete(self) -> Result<Self, Pkcs11Fault> {
        if self.module_path.as_os_str().is_empty() {
            return Err(fault("the PKCS#11 URI lacks the library: add ?module-path=PATH"));
        }
        if self.object.is_none() && self.id.is_none() {
            return Err(fault("the PKCS#11 URI names no key: add object= or id="));
        }
        Ok(self)
    }
}

fn fault(why: impl Into<String>) -> Pkcs11Fault {
    Pkcs11Fault::Uri(why.into())
}

fn unknown(name: &str) -> Pkcs11Fault {
    fault(format!("{name}: no attribute that is known at this place of a PKCS#11 URI"))
}

fn text(name: &str, value: Vec<u8>) -> Result<String, Pkcs11Fault> {
    String::from_utf8(value).map_err(|_| fault(format!("{name}: not UTF-8")))
}

fn absolute(name: &str, path: String) -> Result<PathBuf, Pkcs11Fault> {
    if path.starts_with('/') && !path.contains('\0') {
        Ok(PathBuf::from(path))
    } else {
        Err(fault(format!("{name}: expected the whole path of a file, with / in front")))
    }
}

/// The bytes behind percent-encoding (RFC 3986, section 2.1); none if it is broken.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
            }
            0x21..=0x7e => decoded.push(byte),
            _ => return None,
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Pkcs11Uri::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_attribute_is_read() {
        let uri = Pkcs11Uri::parse(
            "pkcs11:token=The%20Software%20PKCS%2311;manufacturer=Snake%20Oil;model=1.0;serial=a1;\
             slot-description=left;slot-manufacturer=us;slot-id=327;object=my-key;type=private;\
             id=%69%95%3E%5C%F4%BD%EC%91?module-path=/lib/p11.so&pin-source=file:/etc/token",
        );
        let token = [
            (Fact::Label, "The Software PKCS#11"),
            (Fact::Manufacturer, "Snake Oil"),
            (Fact::Model, "1.0"),
            (Fact::Serial, "a1"),
            (Fact::SlotDescription, "left"),
            (Fact::SlotManufacturer, "us"),
        ];
        assert_eq!(
            uri.unwrap(),
            Pkcs11Uri {
                module_path: "/lib/p11.so".into(),
                pin_source: Some("/etc/token".into()),
                token: token.map(|(fact, value)| (fact, value.to_owned())).into(),
                slot_id: Some(327),
                object: Some(b"my-key".to_vec()),
                id: Some(b"\x69\x95\x3e\x5c\xf4\xbd\xec\x91".to_vec()),
            }
        );
    }

    #[test]
    fn a_pin_source_is_a_path_or_a_file_uri() {
        for source in ["/etc/pin", "file:/etc/pin", "file:///etc/pin", "%2Fetc%2Fpin"] {
            let text = format!("pkcs11:object=k?module-path=/m.so&pin-source={source}");
            assert_eq!(Pkcs11Uri::parse(&text).unwrap().pin_source, Some("/etc/pin".into()));
        }
        for source in ["|/bin/pin", "pin", "file:pin", "file://host/pin", ""] {
            let text = format!("pkcs11:object=k?module-path=/m.so&pin-source={source}");
            let refused = Pkcs11Uri::parse(&text).map(|uri| uri.pin_source);
            // A host in front becomes a relative path, since nothing is fetched.
            assert!(refused.is_err(), "{source}: {refused:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, told) in [
            ("/etc/key.pem", "begins with pkcs11:"),
            ("PKCS11:object=k?module-path=/m.so", "begins with pkcs11:"),
            ("pkcs11:object=k", "lacks the library"),
            ("pkcs11:token=t?module-path=/m.so", "names no key"),
            ("pkcs11:object=k;object=l?module-path=/m.so", "object stands twice"),
            ("pkcs11:object=k?module-path=m.so", "module-path: expected the whole path"),
            ("pkcs11:object=k?module-path=/m%00.so", "module-path: expected the whole path"),
            ("pkcs11:object?module-path=/m.so", "object: expected name=value"),
            ("pkcs11:object=%4?module-path=/m.so", "object: not percent-encoded"),
            ("pkcs11:object=%+4?module-path=/m.so", "object: not percent-encoded"),
            ("pkcs11:object=a b?module-path=/m.so", "object: not percent-encoded"),
            ("pkcs11:token=%FF;object=k?module-path=/m.so", "token: not UTF-8"),
            ("pkcs11:slot-id=x;object=k?module-path=/m.so", "slot-id: expected a number"),
            ("pkcs11:type=public;object=k?module-path=/m.so", "type: expected private"),
            ("pkcs11:lable=k?module-path=/m.so", "lable: no attribute"),
            ("pkcs11:module-path=/m.so;object=k", "module-path: no attribute"),
            ("pkcs11:object=k?module-path=/m.so&object=k", "object stands twice"),
            ("pkcs11:object=k?module-name=softhsm2", "module-name: name the library's file"),
        ] {
            let refused = refused(text);
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }

    #[test]
    fn a_pin_has_no_place_in_the_configuration() {
        let refused = refused("pkcs11:object=k?module-path=/m.so&pin-value=271828");
        assert!(refused.contains("pin-source") && !refused.contains("271828"), "{refused}");
    }
}
