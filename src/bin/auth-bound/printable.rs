//! Text that may come from a stranger, on its way to the terminal.

/// `text` with control characters written out, so that a token cannot speak to the terminal. In
/// JSON they can only occur within strings, where this is how to write them.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            printable.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            printable.push(c);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_speaks_to_the_terminal() {
        assert_eq!(
            printable("{\n \"a\": \"\u{1b}[1m\u{9b}\u{7f}ü\"\n}"),
            "{\n \"a\": \"\\u001b[1m\\u009b\\u007fü\"\n}"
        );
    }
}
