//! Pointers of the shims': what they refer to, and the end of what was made for them.

use super::guard::guard;

/// A reference from a pointer of the shim's.
///
/// # Safety
/// `pointer` is NULL or came from this module, of this type, and is neither freed nor written to
/// by anybody else for `'a`.
pub(super) unsafe fn at<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: as the caller vouches.
    unsafe { pointer.as_ref() }
}

/// Frees what a `*_new` made.
///
/// # Safety
/// `pointer` is NULL or came from `Box::into_raw` here and is not used again.
pub(super) unsafe fn free<T>(pointer: *mut T) {
    if pointer.is_null() {
        return;
    }
    // SAFETY: as the caller vouches.
    let owned = unsafe { Box::from_raw(pointer) };
    guard(move || drop(owned));
}
