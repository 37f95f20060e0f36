//! The functions of `ab_core` about scopes of directives.

use std::ffi::{c_char, c_int};
use std::sync::Arc;

use super::configuration::{FAILED, Handle};
use super::guard::guard;
use super::pointer::at;
use super::text::{Text, slices, texts};
use crate::host::{Merged, Scope};

/// A scope, with the configuration that it is of.
///
/// # Safety
/// As for [`at`], both.
pub(super) unsafe fn place<'a>(
    handle: *const Handle,
    scope: *const Scope,
) -> Option<(&'a Handle, &'a Scope)> {
    // SAFETY: as the caller vouches.
    unsafe { at(handle) }.zip(unsafe { at(scope) })
}

pub(super) unsafe extern "C" fn scope_new(handle: *const Handle) -> *const Scope {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return std::ptr::null() };
    guard(|| handle.configuration.scope().map_or(std::ptr::null(), |scope| Arc::as_ptr(&scope)))
        .unwrap_or(std::ptr::null())
}

pub(super) unsafe extern "C" fn scope_set(
    handle: *const Handle,
    scope: *const Scope,
    directive: usize,
    arguments: *const Text,
    count: usize,
) -> *const c_char {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return FAILED };
    // SAFETY: the shim's arguments, alive for the call.
    let arguments = unsafe { slices(arguments, count) };
    guard(|| {
        let Some(arguments) = texts(&arguments) else {
            return handle.complaint("the arguments are not UTF-8".to_owned());
        };
        match handle.configuration.set(scope, directive, &arguments) {
            Ok(()) => std::ptr::null(),
            Err(message) => handle.complaint(message),
        }
    })
    .unwrap_or(FAILED)
}

pub(super) unsafe extern "C" fn scope_merge(
    handle: *const Handle,
    outer: *const Scope,
    inner: *const Scope,
    given: *mut c_int,
) -> *const Scope {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return std::ptr::null() };
    // SAFETY: from `scope_new` or here, kept by the configuration or the caller.
    let (outer, inner) = (unsafe { at(outer) }, unsafe { at(inner) });
    let (Some(outer), Some(inner)) = (outer, inner) else { return std::ptr::null() };
    let merged = guard(|| match handle.configuration.merge(outer, inner) {
        Merged::Kept(scope) => (Arc::as_ptr(&scope), 0),
        Merged::Given(scope) => (Arc::into_raw(scope), 1),
    });
    let (scope, is_given) = merged.unwrap_or((std::ptr::null(), 0));
    if !given.is_null() {
        // SAFETY: the shim's own variable.
        unsafe { given.write(is_given) };
    }
    scope
}

pub(super) unsafe extern "C" fn scope_free(scope: *const Scope) {
    if scope.is_null() {
        return;
    }
    // SAFETY: given by `scope_merge` with `Arc::into_raw`, and the request's pool frees it once.
    let owned = unsafe { Arc::from_raw(scope) };
    guard(move || drop(owned));
}

pub(super) unsafe extern "C" fn scope_complete(
    handle: *const Handle,
    scope: *const Scope,
) -> *const c_char {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return FAILED };
    guard(|| match handle.configuration.policy(scope).map(|policy| policy.complete()) {
        Some(Ok(())) => std::ptr::null(),
        Some(Err(refusal)) => handle.complaint(refusal.to_string()),
        None => FAILED,
    })
    .unwrap_or(FAILED)
}

pub(super) unsafe extern "C" fn scope_is_on(
    handle: *const Handle,
    scope: *const Scope,
    directive: usize,
) -> c_int {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    guard(|| c_int::from(handle.configuration.is_on(scope, directive))).unwrap_or(0)
}

pub(super) unsafe extern "C" fn scope_word(
    handle: *const Handle,
    scope: *const Scope,
    directive: usize,
) -> Text {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return Text::empty() };
    guard(|| Text::of(handle.configuration.word(scope, directive))).unwrap_or_else(Text::empty)
}
