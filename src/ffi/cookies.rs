//! The functions of `ab_core` about cookies.

use std::ffi::{CString, c_char, c_int};

use super::clock::now;
use super::configuration::{FAILED, Handle};
use super::decision::refuse;
use super::effect::{EffectView, give};
use super::guard::guard;
use super::line::tell;
use super::pointer::{at, free};
use super::scope::place;
use super::text::{Text, slices};
use crate::host::{Binding, Client, Cookies, Decision, HeaderChange, Line, Scope, Sealed, Visit};
use crate::outbound::Level;
use crate::refusal::{Reason, Refusal};

/// `ab_visit`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct VisitView {
    client: *const Client,
    binding: *const Binding,
    host: Text,
    path: Text,
}

impl VisitView {
    /// The visit.
    ///
    /// # Safety
    /// The pointers are NULL or live as long as the request, the texts for `'a`.
    unsafe fn visit<'a>(self) -> Visit<'a> {
        Visit {
            // SAFETY: from `client_new`, as the caller vouches.
            client: unsafe { at(self.client) },
            // SAFETY: from `binding_verify`, as the caller vouches.
            binding: unsafe { at(self.binding) },
            // SAFETY: as the caller vouches.
            host: unsafe { self.host.bytes() },
            // SAFETY: as the caller vouches.
            path: unsafe { self.path.bytes() },
            now: now(),
        }
    }
}

pub(super) unsafe extern "C" fn cookies_open(
    handle: *const Handle,
    scope: *const Scope,
    visit: *const VisitView,
    headers: *const Text,
    count: usize,
    cookies: *mut *mut Cookies,
    refusal: *mut *mut Decision,
) -> c_int {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    // SAFETY: the shim's own struct, of which all parts are alive for the call.
    let Some(visit) = (unsafe { at(visit) }) else { return 0 };
    // SAFETY: as above.
    let visit = unsafe { visit.visit() };
    // SAFETY: the request's header values, alive for the call.
    let headers = unsafe { slices(headers, count) };
    let configuration = &handle.configuration;
    let opened = guard(|| {
        let policy = configuration.policy(scope)?;
        let opened = Cookies::open(configuration, policy, &visit, &headers);
        Some(opened.map(|opened| {
            let refused = opened.as_ref().and_then(|opened| opened.refusal(policy, &visit));
            (opened.map(|opened| Box::into_raw(Box::new(opened))), refused)
        }))
    });
    let (opened, refused) = match opened.flatten() {
        Some(Ok(opened)) => opened,
        Some(Err(reason)) => (None, Some(reason)),
        None => (None, Some(Refusal::with_detail(Reason::InternalError, "a panic in cookies"))),
    };
    if let Some(opened) = opened {
        if cookies.is_null() {
            // SAFETY: made above.
            unsafe { free(opened) };
            return 0;
        }
        // SAFETY: checked above, the shim's own variable.
        unsafe { cookies.write(opened) };
    }
    match refused {
        // SAFETY: the shim's own variable.
        Some(reason) => unsafe { refuse(handle, scope, &reason, refusal) },
        None => 1,
    }
}

pub(super) unsafe extern "C" fn cookies_free(cookies: *mut Cookies) {
    // SAFETY: from `cookies_open`, and its request's pool frees it once.
    unsafe { free(cookies) }
}

pub(super) unsafe extern "C" fn cookies_header(
    cookies: *const Cookies,
    index: usize,
    value: *mut Text,
) -> c_int {
    // SAFETY: from `cookies_open`, alive as long as its request.
    let Some(cookies) = (unsafe { at(cookies) }) else { return 0 };
    match guard(|| cookies.header(index)) {
        Some(HeaderChange::Keep) => 0,
        Some(HeaderChange::Replace(bytes)) if !value.is_null() => {
            // SAFETY: checked, the shim's own variable.
            unsafe { value.write(Text::of_bytes(bytes)) };
            1
        }
        Some(HeaderChange::Replace(_) | HeaderChange::Remove) | None => -1,
    }
}

pub(super) unsafe extern "C" fn cookies_effect(
    cookies: *const Cookies,
    index: usize,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `cookies_open`, alive as long as its request.
    let Some(cookies) = (unsafe { at(cookies) }) else { return 0 };
    // SAFETY: the shim's own struct.
    unsafe { give(cookies.effects().get(index).map(EffectView::of), out) }
}

pub(super) unsafe extern "C" fn cookies_line(
    cookies: *const Cookies,
    index: usize,
    level: *mut u32,
) -> *const c_char {
    // SAFETY: from `cookies_open`, alive as long as its request.
    let lines = (unsafe { at(cookies) }).map_or(&[][..], Cookies::lines);
    // SAFETY: the shim's own variable.
    unsafe { tell(line(lines, index), level) }
}

/// The line at `index` of these.
fn line(lines: &[Line], index: usize) -> Option<(&CString, Level)> {
    lines.get(index).map(|(line, level)| (line, *level))
}

pub(super) unsafe extern "C" fn cookies_seal(
    handle: *const Handle,
    scopes: *const *const Scope,
    scope_count: usize,
    visit: *const VisitView,
    before: *const Cookies,
    headers: *const Text,
    count: usize,
    sealed: *mut *mut Sealed,
) -> c_int {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return 0 };
    if scopes.is_null() {
        return 0;
    }
    // SAFETY: the shim's own array, alive for the call.
    let scopes = unsafe { std::slice::from_raw_parts(scopes, scope_count) };
    // SAFETY: the configuration keeps every scope.
    let scopes: Vec<_> = scopes.iter().filter_map(|scope| unsafe { at(*scope) }).collect();
    // SAFETY: the shim's own struct, of which all parts are alive for the call.
    let Some(visit) = (unsafe { at(visit) }) else { return 0 };
    // SAFETY: as above.
    let visit = unsafe { visit.visit() };
    // SAFETY: from `cookies_open`, alive as long as its request.
    let before = unsafe { at(before) };
    // SAFETY: the response's header values, alive for the call.
    let headers = unsafe { slices(headers, count) };
    let made = guard(|| {
        let policies = scopes.iter().map(|scope| handle.configuration.policy(scope));
        let policies = policies.map(|policy| Some(policy?.as_ref())).collect::<Option<Vec<_>>>()?;
        Sealed::seal(&handle.configuration, &policies, &visit, before, &headers).ok()
    });
    match made.flatten() {
        Some(None) => 1,
        Some(Some(made)) if !sealed.is_null() => {
            let Some(boxed) = guard(|| Box::into_raw(Box::new(made))) else { return 0 };
            // SAFETY: checked, the shim's own variable.
            unsafe { sealed.write(boxed) };
            1
        }
        Some(Some(_)) | None => 0,
    }
}

pub(super) unsafe extern "C" fn sealed_free(sealed: *mut Sealed) {
    // SAFETY: from `cookies_seal`, and its request's pool frees it once.
    unsafe { free(sealed) }
}

pub(super) unsafe extern "C" fn sealed_header(sealed: *const Sealed, index: usize) -> Text {
    // SAFETY: from `cookies_seal`, alive as long as its request.
    let headers = (unsafe { at(sealed) }).map_or(&[][..], Sealed::headers);
    headers.get(index).map_or_else(Text::empty, |header| Text::of_bytes(header))
}

pub(super) unsafe extern "C" fn sealed_line(
    sealed: *const Sealed,
    index: usize,
    level: *mut u32,
) -> *const c_char {
    // SAFETY: from `cookies_seal`, alive as long as its request.
    let lines = (unsafe { at(sealed) }).map_or(&[][..], Sealed::lines);
    // SAFETY: the shim's own variable.
    unsafe { tell(line(lines, index), level) }
}

pub(super) unsafe extern "C" fn cookies_complete(
    handle: *const Handle,
    scope: *const Scope,
) -> *const c_char {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return FAILED };
    // SAFETY: kept by the configuration.
    let scope = unsafe { at(scope) };
    guard(|| {
        let checked = match scope {
            Some(scope) => handle.configuration.policy(scope).map(|policy| {
                if policy.leaves_cookies() { Ok(()) } else { policy.jar().map(drop) }
            }),
            None => Some(handle.configuration.cookies_complete_somewhere()),
        };
        match checked {
            Some(Ok(())) => std::ptr::null(),
            Some(Err(refusal)) => handle.complaint(refusal.to_string()),
            None => FAILED,
        }
    })
    .unwrap_or(FAILED)
}

pub(super) unsafe extern "C" fn scope_protects(
    handle: *const Handle,
    scope: *const Scope,
) -> c_int {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 1 };
    let protects =
        guard(|| handle.configuration.policy(scope).is_none_or(|policy| !policy.leaves_cookies()));
    c_int::from(protects.unwrap_or(true))
}
