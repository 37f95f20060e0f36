//! Refusals in gRPC's own terms (gRPC over HTTP/2): a response without a message, whose headers are
//! the trailers, too. Its HTTP status says only that the call arrived; `grpc-status` says how it ended.

use crate::effect::{Effect, Target};
use crate::refusal::{Fault, Reason};

/// The media type of a call and its response.
pub const MEDIA_TYPE: &str = "application/grpc";

/// How a call ended, of those that a refusal can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// The client may not do that, whoever it is.
    PermissionDenied = 7,
    /// We failed, or the configuration is incomplete.
    Internal = 13,
    /// Try again later.
    Unavailable = 14,
    /// The call lacks credentials that count.
    Unauthenticated = 16,
}

impl Status {
    /// The status of a call that is refused for `reason`.
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        match reason.fault() {
            Fault::Client if reason.status() == 403 => Self::PermissionDenied,
            Fault::Client => Self::Unauthenticated,
            Fault::Upstream => Self::Unavailable,
            // Whoever comes again may find room.
            Fault::Operator if reason.status() == 503 => Self::Unavailable,
            Fault::Operator | Fault::Ours => Self::Internal,
        }
    }
}

/// Whether a request is a call: its `Content-Type` is `application/grpc`, perhaps with a format
/// (`+proto`) or parameters, and HTTP is version 2 or later (`version` is 1000 times the major
/// number and the minor one). With HTTP/1.1 there is no gRPC, and whoever uses the media type there
/// would take 200 for success. gRPC-Web has a media type of its own and reads HTTP's status.
#[must_use]
pub fn is_call(content_type: &[u8], version: u32) -> bool {
    let Some((name, rest)) = content_type.split_at_checked(MEDIA_TYPE.len()) else { return false };
    version >= 2000
        && name.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes())
        && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
}

/// The headers that end a call which is refused for `reason`.
#[must_use]
pub fn effects(reason: Reason) -> [Effect; 2] {
    let header = |name: &str, value: &str| Effect::new(Target::ResponseHeader, name, value);
    let status = Status::of(reason) as u8;
    [
        header("grpc-status", &status.to_string()),
        header("grpc-message", &percent_encoded(reason.sentence())),
    ]
}

/// The form of `Status-Message`: printable ASCII but for `%` stays as it is.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'$' | b'&'..=b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_media_type_and_the_version() {
        for media_type in ["application/grpc", "application/grpc+proto", "Application/GRPC; a=b"] {
            assert!(is_call(media_type.as_bytes(), 2000), "{media_type}");
            assert!(is_call(media_type.as_bytes(), 3000), "{media_type}");
            assert!(!is_call(media_type.as_bytes(), 1001), "{media_type}");
        }
        let others = ["", "application/json", "application/grp", "application/grpc-web+proto"];
        for media_type in others.into_iter().chain(["application/grpcx", "text/application/grpc"]) {
            assert!(!is_call(media_type.as_bytes(), 2000), "{media_type}");
        }
    }

    #[test]
    fn statuses_follow_those_of_http() {
        for reason in Reason::ALL {
            let expected = match reason.status() {
                303 | 400 | 401 => 16,
                403 => 7,
                500 => 13,
                503 => 14,
                other => panic!("{other}"),
            };
            assert_eq!(Status::of(*reason) as u8, expected, "{reason:?}");
        }
    }

    #[test]
    fn the_message_is_the_sentence() {
        let [status, message] = effects(Reason::CertificateMismatch);
        assert_eq!((status.name(), status.value()), (c"grpc-status", c"16"));
        assert_eq!(message.name(), c"grpc-message");
        assert_eq!(message.value(), c"the access token is bound to another client certificate");
        assert_eq!(percent_encoded("100 % \"\u{e4}\"\n~"), "100 %25 \"%C3%A4\"%0A~");
    }
}
