//! What `inspect` prints: lines under headings.

/// Lines under headings.
#[derive(Default)]
pub(crate) struct Page(String);

impl Page {
    /// Adds a heading with its lines.
    pub(crate) fn section(&mut self, heading: &str, texts: impl IntoIterator<Item = String>) {
        self.0.push_str(heading);
        self.0.push('\n');
        for text in texts {
            for line in text.lines() {
                self.0.push_str("  ");
                self.0.push_str(line);
                self.0.push('\n');
            }
        }
    }

    /// All of it.
    pub(crate) fn text(&self) -> &str {
        self.0.trim_end()
    }
}
