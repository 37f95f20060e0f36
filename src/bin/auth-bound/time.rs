//! The time: now, or as somebody writes it.

use std::time::{SystemTime, UNIX_EPOCH};

use auth_bound::directive::value::{self, Span};
use auth_bound::token::Timestamp;
use openssl::asn1::Asn1Time;

/// Seconds in a day.
const DAY: i64 = 86_400;
/// The shape of a time in UTC (RFC 3339).
const SHAPE: &str = "0000-00-00T00:00:00Z";
/// What [`parse`] reads, for messages.
const EXPECTED: &str = "expected seconds since 1970 or UTC as in 2026-01-31T12:00:00Z";

/// The time now.
#[allow(clippy::disallowed_methods, reason = "the command may ask for the time, the core may not")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// For clap: a point in time.
pub(crate) fn parse(text: &str) -> Result<Timestamp, &'static str> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| EXPECTED);
    }
    let shape = text.replace(|c: char| c.is_ascii_digit(), "0");
    if shape != SHAPE {
        return Err(EXPECTED);
    }
    let digits = text.replace(['-', 'T', ':'], "");
    Asn1Time::from_unix(0)
        .and_then(|epoch| epoch.diff(&*Asn1Time::from_str_x509(&digits)?))
        .ok()
        .and_then(|since| {
            i64::from(since.days).checked_mul(DAY)?.checked_add(i64::from(since.secs))
        })
        .ok_or(EXPECTED)
}

/// For clap: a lifetime in seconds.
pub(crate) fn parse_lifetime(text: &str) -> Result<i64, String> {
    value::parse::<Span<1, 315_360_000>>(&[text])
        .map(Span::seconds)
        .map_err(|fault| format!("expected {}", fault.expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_utc() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("1760000000"), Ok(1_760_000_000));
        assert_eq!(parse("2025-10-09T08:53:20Z"), Ok(1_760_000_000));
        assert_eq!(parse("1970-01-01T00:00:00Z"), Ok(0));
        for bad in [
            "",
            "-1",
            "now",
            "2025-10-09",
            "2025-10-09T08:53:20",
            "2025-10-09T08:53:20+02:00",
            "2025-13-09T08:53:20Z",
            "99999999999999999999",
        ] {
            assert_eq!(parse(bad), Err(EXPECTED), "{bad}");
        }
    }
}
