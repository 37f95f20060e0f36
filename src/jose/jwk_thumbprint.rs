//! The thumbprint of a JWK (RFC 7638): a name for a key that everybody computes alike.

use serde_json::Value;

use super::KeyFault;
use super::json::Object;
use crate::thumbprint::Thumbprint;

/// The members that make a public key, in the order that they are hashed in (RFC 7638,
/// section 3.2; RFC 8037, section 2).
const REQUIRED: &[(&str, &[&str])] = &[
    ("EC", &["crv", "kty", "x", "y"]),
    ("OKP", &["crv", "kty", "x"]),
    ("RSA", &["e", "kty", "n"]),
];

/// The SHA-256 thumbprint of a public or private asymmetric JWK.
///
/// # Errors
/// [`KeyFault::Unsupported`] for another `kty`, [`KeyFault::Member`] where a required member is
/// missing or no string.
pub fn jwk_thumbprint(jwk: &Object) -> Result<Thumbprint, KeyFault> {
    let kind = member(jwk, "kty")?;
    let (_, names) =
        REQUIRED.iter().find(|(kty, _)| *kind == **kty).ok_or(KeyFault::Unsupported("kty"))?;
    let members = names
        .iter()
        .map(|name| Ok(format!("\"{name}\":{}", member(jwk, name)?)))
        .collect::<Result<Vec<_>, KeyFault>>()?;
    Ok(Thumbprint::of(format!("{{{}}}", members.join(",")).as_bytes()))
}

fn member<'j>(jwk: &'j Object, name: &'static str) -> Result<&'j Value, KeyFault> {
    jwk.get(name).filter(|value| value.is_string()).ok_or(KeyFault::Member(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json;

    fn thumbprint(jwk: &str) -> Result<String, KeyFault> {
        jwk_thumbprint(&json::object(jwk.as_bytes()).unwrap()).map(|found| found.to_string())
    }

    #[test]
    fn only_the_required_members_count_and_in_their_order() {
        // RFC 8037, appendix A.3.
        let expected = Ok("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".to_owned());
        for jwk in [
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            r#"{"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k","alg":"EdDSA","crv":"Ed25519","kty":"OKP"}"#,
        ] {
            assert_eq!(thumbprint(jwk), expected, "{jwk}");
        }
    }

    #[test]
    fn a_key_without_its_members_has_none() {
        for (jwk, fault) in [
            ("{}", KeyFault::Member("kty")),
            (r#"{"kty":"oct","k":"AA"}"#, KeyFault::Unsupported("kty")),
            (r#"{"kty":"RSA","e":"AQAB"}"#, KeyFault::Member("n")),
            (r#"{"kty":"RSA","e":1,"n":"AQ"}"#, KeyFault::Member("e")),
        ] {
            assert_eq!(thumbprint(jwk), Err(fault), "{jwk}");
        }
    }
}
