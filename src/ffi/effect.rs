//! Effects as the shims see them.

use std::ffi::{c_char, c_int};

/// `ab_effect`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct EffectView {
    target: u32,
    name: *const c_char,
    value: *const c_char,
}

impl EffectView {
    pub(super) fn of(effect: &crate::effect::Effect) -> Self {
        Self {
            target: effect.target() as u32,
            name: effect.name().as_ptr(),
            value: effect.value().as_ptr(),
        }
    }

    pub(super) const fn of_borrowed(effect: &crate::host::BorrowedEffect<'_>) -> Self {
        Self {
            target: effect.target as u32,
            name: effect.name.as_ptr(),
            value: effect.value.as_ptr(),
        }
    }
}

/// Writes `effect` to the shim's struct.
///
/// # Safety
/// `out` is NULL or writable.
pub(super) unsafe fn give(effect: Option<EffectView>, out: *mut EffectView) -> c_int {
    match effect {
        Some(effect) if !out.is_null() => {
            // SAFETY: as the caller vouches.
            unsafe { out.write(effect) };
            1
        }
        _ => 0,
    }
}
