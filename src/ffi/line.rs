//! Lines of the log as the shims see them.

use std::ffi::{CString, c_char};

use crate::outbound::Level;

/// The text of `line`, NULL without one. Its level goes to the shim's variable.
///
/// # Safety
/// `level` is NULL or writable.
pub(super) unsafe fn tell(line: Option<(&CString, Level)>, level: *mut u32) -> *const c_char {
    let Some((line, matter)) = line else { return std::ptr::null() };
    if !level.is_null() {
        // SAFETY: as the caller vouches.
        unsafe { level.write(matter as u32) };
    }
    line.as_ptr()
}
