//! Durations and sizes.

use std::time::Duration;

use super::value::Value;

/// A duration of `MIN` to `MAX` seconds, kept in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> Span<MIN, MAX> {
    /// The duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Whole seconds, rounded down, for comparison with NumericDate values.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

/// The shortest way to write `seconds`.
fn seconds_text(seconds: u64) -> String {
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds > 0 && seconds.checked_rem(length) == Some(0) {
            return format!("{}{unit}", seconds.checked_div(length).unwrap_or_default());
        }
    }
    format!("{seconds}s")
}

impl<const MIN: u64, const MAX: u64> Value for Span<MIN, MAX> {
    fn syntax() -> String {
        format!(
            "a duration from {} to {}, written with its unit: ms, s, m, h or d",
            seconds_text(MIN),
            seconds_text(MAX)
        )
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let [text] = arguments else { return None };
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(digits)?;
        let factor = match unit {
            "ms" => 1_u64,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let duration = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(factor)?);
        (Duration::from_secs(MIN)..=Duration::from_secs(MAX))
            .contains(&duration)
            .then_some(Self(duration))
    }
}

/// A duration that may be left unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxAge(pub Option<i64>);

impl Value for MaxAge {
    fn syntax() -> String {
        Span::<0, 31_536_000>::syntax()
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        Span::<0, 31_536_000>::parse(arguments).map(|span| Self(Some(span.seconds())))
    }
}

/// A size in bytes of `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Value for Size<MIN, MAX> {
    fn syntax() -> String {
        format!(
            "a size from {} to {}, in bytes or with the unit k, m or g",
            size_text(MIN),
            size_text(MAX)
        )
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        let [text] = arguments else { return None };
        let lower = text.to_ascii_lowercase();
        let (number, factor) = match lower.strip_suffix(['k', 'm', 'g']) {
            Some(number) if lower.ends_with('k') => (number, 1_u64 << 10),
            Some(number) if lower.ends_with('m') => (number, 1 << 20),
            Some(number) => (number, 1 << 30),
            None => (lower.as_str(), 1),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bytes = number.parse::<u64>().ok()?.checked_mul(factor)?;
        (MIN..=MAX).contains(&bytes).then_some(Self(bytes))
    }
}

fn size_text(bytes: u64) -> String {
    for (unit, length) in [("g", 1_u64 << 30), ("m", 1 << 20), ("k", 1 << 10)] {
        if bytes >= length && bytes.checked_rem(length) == Some(0) {
            return format!("{}{unit}", bytes.checked_div(length).unwrap_or_default());
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_a_range() {
        let parse = |text| Span::<0, 60>::parse(&[text]).map(Span::duration);
        assert_eq!(parse("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse("1m"), Some(Duration::from_secs(60)));
        assert_eq!(parse("1500ms"), Some(Duration::from_millis(1500)));
        for bad in [
            "",
            "s",
            "30",
            "61s",
            "-1s",
            "1.5s",
            "30 s",
            "30S",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(
            Span::<0, 86_400>::syntax(),
            "a duration from 0s to 1d, written with its unit: ms, s, m, h or d"
        );
    }

    #[test]
    fn sizes_know_their_units() {
        let parse = |text| Size::<1024, 1_073_741_824>::parse(&[text]).map(|size| size.0);
        assert_eq!(parse("16k"), Some(16_384));
        assert_eq!(parse("1G"), Some(1 << 30));
        assert_eq!(parse("2048"), Some(2048));
        for bad in ["", "k", "1", "2g", "1.5m", "+16k", "16kb"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
