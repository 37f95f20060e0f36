//! The functions of `ab_core` about lines of httpd's configuration that require something.

use std::ffi::{c_char, c_int};

use super::configuration::{FAILED, Handle, RequireLine};
use super::guard::guard;
use super::pointer::at;
use super::text::{Text, slices, texts};
use crate::host::Decision;
use crate::requirement::Requirement;

pub(super) unsafe extern "C" fn requirement_new(
    handle: *const Handle,
    name: *const c_char,
    arguments: *const Text,
    count: usize,
    negated: c_int,
    message: *mut *const c_char,
) -> *const RequireLine {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return std::ptr::null() };
    if name.is_null() || message.is_null() {
        return std::ptr::null();
    }
    // SAFETY: not NULL, and the shim's literal ends with NUL.
    let name = unsafe { std::ffi::CStr::from_ptr(name) };
    // SAFETY: the shim's arguments, alive for the call.
    let arguments = unsafe { slices(arguments, count) };
    let made = guard(|| {
        let words = texts(&arguments).ok_or_else(|| "UTF-8".to_owned());
        let parsed = words.and_then(|words| Requirement::parse(&name.to_string_lossy(), &words));
        match parsed {
            Ok(requirement) => Ok(handle.keep(RequireLine { requirement, negated: negated != 0 })),
            Err(expected) => {
                let got =
                    String::from_utf8_lossy(&arguments.join(&b' ')).escape_default().to_string();
                Err(handle.complaint(format!("got \"{got}\", expected {expected}")))
            }
        }
    });
    match made.unwrap_or(Err(FAILED)) {
        Ok(line) => line,
        Err(complaint) => {
            // SAFETY: checked above, the shim's own variable.
            unsafe { message.write(complaint) };
            std::ptr::null()
        }
    }
}

pub(super) unsafe extern "C" fn requirement_holds(
    line: *const RequireLine,
    decision: *mut Decision,
) -> c_int {
    // SAFETY: from `requirement_new`, kept by the configuration.
    let Some(line) = (unsafe { at(line) }) else { return -1 };
    // SAFETY: from `decide`; one request is authorized by one thread.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return -1 };
    guard(|| c_int::from(decision.meets(&line.requirement, line.negated))).unwrap_or(-1)
}
