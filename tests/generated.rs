//! The files derived from the tables are what the tables say.
#![allow(clippy::disallowed_methods, missing_docs, reason = "a test reads files")]

use std::path::Path;

#[test]
fn generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let update = std::env::var_os("UPDATE_GENERATED").is_some();
    for (path, text) in auth_bound::reference::files() {
        let file = root.join(path);
        if update {
            std::fs::write(&file, &text).unwrap();
        }
        let present = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            present == text,
            "{path} is not current; UPDATE_GENERATED=1 cargo test --test generated"
        );
    }
}
