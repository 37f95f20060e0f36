//! The functions of `ab_core` about a configuration.

use std::ffi::{CString, c_char, c_int};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};

use super::guard::guard;
use super::pointer::{at, free};
use crate::host::Configuration;
use crate::outbound::{KeyMemory, SharedReplayStore};
use crate::requirement::Requirement;

/// `ab_configuration`: a configuration with the last message about it.
pub(super) struct Handle {
    pub(super) configuration: Configuration,
    requirements: Mutex<Vec<Arc<RequireLine>>>,
    message: Mutex<CString>,
}

/// `ab_requirement`: a line of httpd's configuration.
pub(super) struct RequireLine {
    pub(super) requirement: Requirement,
    pub(super) negated: bool,
}

impl Handle {
    /// Keeps `line` as long as the configuration.
    pub(super) fn keep(&self, line: RequireLine) -> *const RequireLine {
        let line = Arc::new(line);
        let pointer = Arc::as_ptr(&line);
        self.requirements.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        pointer
    }

    /// Keeps `message` for the shim to read.
    pub(super) fn complaint(&self, message: String) -> *const c_char {
        let text = CString::new(message).unwrap_or_else(|_| c"the text contains NUL".to_owned());
        let mut kept = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = text;
        kept.as_ptr()
    }
}

/// What a shim is told when the core itself fails while the configuration is read.
pub(super) const FAILED: *const c_char = c"the module failed; please report this".as_ptr();

pub(super) extern "C" fn configuration_new() -> *mut Handle {
    let handle = || Handle {
        configuration: Configuration::new(),
        requirements: Mutex::default(),
        message: Mutex::default(),
    };
    guard(|| Box::into_raw(Box::new(handle()))).unwrap_or(std::ptr::null_mut())
}

pub(super) unsafe extern "C" fn configuration_free(handle: *mut Handle) {
    // SAFETY: from `configuration_new`, and the shim's pool frees it once.
    unsafe { free(handle) }
}

pub(super) unsafe extern "C" fn configuration_complete(handle: *const Handle) -> *const c_char {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return FAILED };
    guard(|| match handle.configuration.complete_somewhere() {
        Ok(()) => std::ptr::null(),
        Err(refusal) => handle.complaint(refusal.to_string()),
    })
    .unwrap_or(FAILED)
}

pub(super) unsafe extern "C" fn configuration_settle(handle: *const Handle) -> *const c_char {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return FAILED };
    guard(|| handle.configuration.settle()).map_or(FAILED, |()| std::ptr::null())
}

pub(super) unsafe extern "C" fn configuration_memory(
    handle: *const Handle,
    which: u32,
    inherited: c_int,
) -> c_int {
    const KEYS: u32 = 0;
    const REPLAYS: u32 = 1;
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return -1 };
    let descriptor = if inherited >= 0 {
        inherited
    } else {
        // SAFETY: a name that ends with NUL, and a flag.
        unsafe { libc::memfd_create(c"auth_bound".as_ptr(), libc::MFD_CLOEXEC) }
    };
    if descriptor < 0 {
        return -1;
    }
    // SAFETY: just made, or given by this function before; the shim leaves it open for good.
    let shared = unsafe { BorrowedFd::borrow_raw(descriptor) };
    guard(|| {
        // A descriptor of its own, which ends with this reading.
        let Ok(own) = shared.try_clone_to_owned() else { return };
        match which {
            KEYS => handle.configuration.share(KeyMemory::new(own.into())),
            REPLAYS => handle.configuration.share_replays(SharedReplayStore::new(own.into())),
            _ => {}
        }
    });
    descriptor
}

pub(super) unsafe extern "C" fn strips(
    handle: *const Handle,
    name: *const c_char,
    size: usize,
) -> c_int {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return 1 };
    if name.is_null() {
        return 1;
    }
    // SAFETY: not NULL, and the shim gives the header name's size.
    let name = unsafe { std::slice::from_raw_parts(name.cast(), size) };
    guard(|| c_int::from(handle.configuration.strips(name))).unwrap_or(1)
}
