//! Times and spans of time in words.

use auth_bound::token::Timestamp;
use openssl::asn1::Asn1Time;

/// The months as OpenSSL writes them.
const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";

const UNITS: &[(u64, &str)] = &[(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];

/// `time`, and how far it is from `now`.
pub(crate) fn moment(time: Timestamp, now: Timestamp) -> String {
    let distance = span(time.abs_diff(now));
    if time > now {
        format!("{}, in {distance}", utc(time))
    } else if time < now {
        format!("{}, {distance} ago", utc(time))
    } else {
        format!("{}, now", utc(time))
    }
}

/// The two largest units of a span of time.
fn span(seconds: u64) -> String {
    let mut rest = seconds;
    let mut words = Vec::new();
    for (length, unit) in UNITS {
        let count = rest.checked_div(*length).unwrap_or_default();
        rest = rest.checked_rem(*length).unwrap_or_default();
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            words.push(format!("{count} {unit}{plural}"));
        }
    }
    words.truncate(2);
    words.join(" ")
}

/// A time in UTC (RFC 3339); past the year 9999 in seconds.
fn utc(time: Timestamp) -> String {
    let text = Asn1Time::from_unix(time).map(|time| time.to_string());
    let parts: Vec<_> = text.as_deref().unwrap_or_default().split_whitespace().collect();
    match parts.as_slice() {
        [month, day, clock, year, ..] => {
            let place = MONTHS.find(month).and_then(|place| place.checked_div(3));
            let month = place.unwrap_or_default().saturating_add(1);
            format!("{year}-{month:02}-{day:0>2}T{clock}Z")
        }
        _ => format!("{time} s after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_760_000_000), "2025-10-09T08:53:20Z");
        assert_eq!(utc(i64::MAX), "9223372036854775807 s after 1970");
        assert_eq!(moment(60, 0), "1970-01-01T00:01:00Z, in 1 minute");
        assert_eq!(moment(0, 0), "1970-01-01T00:00:00Z, now");
        assert_eq!(moment(0, 2 * 86_400 + 3_600 + 5), "1970-01-01T00:00:00Z, 2 days 1 hour ago");
    }
}
