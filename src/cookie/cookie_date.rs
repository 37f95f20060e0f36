//! The date of `Expires`, as browsers read it: RFC 6265, section 5.1.1.

use crate::token::Timestamp;

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// Reads a cookie-date. `None` if browsers ignore it.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let tokens = text.split(|byte| is_delimiter(*byte)).filter(|token| !token.is_empty());
    for token in tokens {
        // The first token of each kind counts, and kinds are tried in this order.
        if time.is_none()
            && let Some(found) = time_of_day(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some((found, _)) = digits(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some((found, _)) = digits(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let year = match year? {
        year @ 70..=99 => year.saturating_add(1900),
        year @ 0..=69 => year.saturating_add(2000),
        year => year,
    };
    let days = days_since_1970(year, month?, day?)?;
    days.checked_mul(86_400)?.checked_add(time?)
}

const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// A number of `least` to `most` digits at the beginning of `token`, and what follows it, which
/// does not begin with a digit.
fn digits(token: &[u8], least: usize, most: usize) -> Option<(i64, &[u8])> {
    let length = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = token.split_at_checked(length)?;
    let value = std::str::from_utf8(number).ok()?.parse().ok()?;
    (least..=most).contains(&length).then_some((value, rest))
}

/// `hh:mm:ss` in seconds.
fn time_of_day(token: &[u8]) -> Option<i64> {
    let (hour, rest) = digits(token, 1, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(b":")?, 1, 2)?;
    let (second, _) = digits(rest.strip_prefix(b":")?, 1, 2)?;
    // Out of range is found out here: then there is no time, and the date is ignored.
    let sound = hour <= 23 && minute <= 59 && second <= 59;
    let seconds = hour.checked_mul(3_600)?.checked_add(minute.checked_mul(60)?)?;
    seconds.checked_add(second).filter(|_| sound)
}

/// 1 to 12.
fn month_of(token: &[u8]) -> Option<i64> {
    let name = token.get(..3)?;
    let place = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month))?;
    i64::try_from(place).ok()?.checked_add(1)
}

/// Days of the Gregorian calendar. `None` for a day that does not exist and for years before
/// 1601.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    if year < 1601 || !(1..=longest).contains(&day) {
        return None;
    }
    // Years begin in March here, so that the leap day is the last one.
    let january = i64::from(month <= 2);
    let years = year.checked_sub(january)?;
    let months = month.checked_sub(3)?.checked_add(january.checked_mul(12)?)?;
    let whole = years.checked_mul(365)?.checked_add(years / 4)?;
    let whole = whole.checked_sub(years / 100)?.checked_add(years / 400)?;
    let before = months.checked_mul(153)?.checked_add(2)? / 5;
    whole.checked_add(before)?.checked_add(day)?.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_browsers_do() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 01-Jan-1970 00:00:01 GMT", Some(1)),
            ("Thu, 09 Oct 2025 08:53:20 GMT", Some(1_760_000_000)),
            ("Thu Oct  9 08:53:20 2025", Some(1_760_000_000)),
            ("Thursday, 09-Oct-25 08:53:20 GMT", Some(1_760_000_000)),
            ("29 feb 2024 0:0:0", Some(1_709_164_800)),
            ("31 Dec 9999 23:59:59", Some(253_402_300_799)),
            ("1 Jan 1601 00:00:00", Some(-11_644_473_600)),
            ("1 Jan 69 00:00:00", Some(3_124_224_000)),
            ("1 Jan 1600 00:00:00", None),
            ("29 Feb 2023 00:00:00", None),
            ("32 Jan 2023 00:00:00", None),
            ("1 Jan 2023 24:00:00", None),
            ("1 Jan 2023 00:60:00", None),
            ("1 Jan 2023", None),
            ("Jan 2023 00:00:00", None),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }
}
