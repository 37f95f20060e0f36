//! Text as the shims see it.

use std::ffi::c_char;

/// `ab_text`: borrowed bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Text {
    data: *const c_char,
    size: usize,
}

impl Text {
    /// The bytes.
    ///
    /// # Safety
    /// `data` is NULL or points to `size` bytes that stay as they are for `'a`.
    pub(super) unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.data.is_null() || self.size == 0 {
            return &[];
        }
        // SAFETY: not NULL, and the caller vouches for the rest.
        unsafe { std::slice::from_raw_parts(self.data.cast(), self.size) }
    }

    /// Whether there is a text at all, be it empty.
    pub(super) const fn is_given(self) -> bool {
        !self.data.is_null()
    }

    pub(super) const fn of(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), size: text.len() }
    }

    pub(super) const fn of_bytes(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr().cast(), size: bytes.len() }
    }

    pub(super) const fn empty() -> Self {
        Self { data: std::ptr::null(), size: 0 }
    }
}

/// `count` texts as slices.
///
/// # Safety
/// `texts` is NULL or points to `count` texts, each as for [`Text::bytes`].
pub(super) unsafe fn slices<'a>(texts: *const Text, count: usize) -> Vec<&'a [u8]> {
    if texts.is_null() {
        return Vec::new();
    }
    // SAFETY: not NULL, and the caller vouches for the rest.
    let texts = unsafe { std::slice::from_raw_parts(texts, count) };
    // SAFETY: as the caller vouches for each.
    texts.iter().map(|text| unsafe { text.bytes() }).collect()
}

/// The texts, if all of them are UTF-8.
pub(super) fn texts<'a>(arguments: &[&'a [u8]]) -> Option<Vec<&'a str>> {
    arguments.iter().map(|argument| std::str::from_utf8(argument).ok()).collect()
}
