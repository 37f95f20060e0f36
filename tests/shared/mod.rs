//! Collections of test data that may lie beside the checkout.

use std::io::Write;
use std::path::PathBuf;

/// A collection beside the checkout, if it is there. Said past the capture of test output, so
/// that nobody takes a skipped test for a passed one.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    let path = path.join(name);
    if !path.exists() {
        let line = format!("\nskipped: not present: ../shared/vectors/{name}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    }
    Some(path)
}
