//! The functions of `ab_core` about a decision.

use std::ffi::{c_char, c_int};
use std::sync::Arc;

use super::clock::now;
use super::configuration::Handle;
use super::effect::{EffectView, give};
use super::guard::guard;
use super::line::tell;
use super::pointer::{at, free};
use super::scope::place;
use super::text::{Text, slices};
use crate::effect::Effect;
use crate::host::{Binding, Client, Decision, Facts, Process, Scope};
use crate::refusal::Refusal;

/// Gives a refusal to the shim.
///
/// # Safety
/// `out` is NULL or writable.
pub(super) unsafe fn refuse(
    handle: &Handle,
    scope: &Scope,
    refusal: &Refusal,
    out: *mut *mut Decision,
) -> c_int {
    let made = guard(|| {
        let policy = handle.configuration.policy(scope)?;
        Some(Box::into_raw(Box::new(Decision::refused(policy, refusal))))
    });
    if let Some(decision) = made.flatten()
        && !out.is_null()
    {
        // SAFETY: as the caller vouches.
        unsafe { out.write(decision) };
    }
    0
}

pub(super) unsafe extern "C" fn decide(
    process: *const Arc<Process>,
    handle: *const Handle,
    scope: *const Scope,
    client: *const Client,
    binding: *const Binding,
    authorization: *const Text,
    count: usize,
    realm: Text,
) -> *mut Decision {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else {
        return std::ptr::null_mut();
    };
    // SAFETY: from `process_start`, alive until the process ends.
    let Some(process) = (unsafe { at(process) }) else { return std::ptr::null_mut() };
    // SAFETY: from `client_new`, alive as long as its connection.
    let client = unsafe { at(client) };
    // SAFETY: from `binding_verify`, alive as long as its request.
    let binding = unsafe { at(binding) };
    // SAFETY: the request's header values, alive for the call.
    let authorization = unsafe { slices(authorization, count) };
    // SAFETY: the shim's text, alive for the call.
    let realm = std::str::from_utf8(unsafe { realm.bytes() }).ok();
    let policy = guard(|| handle.configuration.policy(scope)).flatten();
    let Some(policy) = policy else { return std::ptr::null_mut() };
    guard(|| {
        #[cfg(feature = "fault-injection")]
        super::guard::fault(&authorization);
        let facts = Facts { client, binding, authorization: &authorization, realm };
        Box::into_raw(Box::new(Decision::new(process, policy, &facts, now())))
    })
    .or_else(|| {
        let detail = guard(|| format!("panic {} of this process", process.count_panic()))?;
        guard(|| Box::into_raw(Box::new(Decision::failed(policy, detail))))
    })
    .unwrap_or(std::ptr::null_mut())
}

pub(super) unsafe extern "C" fn decision_free(decision: *mut Decision) {
    // SAFETY: from `decide`, and its request's pool frees it once.
    unsafe { free(decision) }
}

pub(super) unsafe extern "C" fn decision_state(decision: *const Decision) -> c_int {
    // SAFETY: from `decide`, alive as long as its request.
    (unsafe { at(decision) }).map_or(0, |decision| decision.state() as c_int)
}

pub(super) unsafe extern "C" fn decision_wait(decision: *mut Decision) {
    // SAFETY: from `decide`; while it waits nobody else uses it.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return };
    if guard(|| decision.wait(now)).is_none() {
        // Whatever it was about to become, it refuses.
        guard(|| decision.fail("a panic while it waited"));
    }
}

pub(super) unsafe extern "C" fn decision_overload(decision: *mut Decision) {
    // SAFETY: from `decide`, and nobody else uses it.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return };
    if guard(|| decision.overload()).is_none() {
        guard(|| decision.fail("a panic while it was refused"));
    }
}

pub(super) unsafe extern "C" fn decision_is_grpc(
    decision: *mut Decision,
    content_type: Text,
    version: u32,
) -> c_int {
    // SAFETY: from `decide` or a refusal; one request is answered by one thread.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return 0 };
    // SAFETY: the request's header value, alive for the call.
    let content_type = unsafe { content_type.bytes() };
    guard(|| c_int::from(decision.tell_grpc(content_type, version))).unwrap_or(0)
}

pub(super) unsafe extern "C" fn decision_status(decision: *const Decision) -> c_int {
    // SAFETY: from `decide`, alive as long as its request.
    (unsafe { at(decision) }).map_or(500, |decision| c_int::from(decision.status()))
}

pub(super) unsafe extern "C" fn decision_body(decision: *const Decision) -> Text {
    // SAFETY: from `decide`, alive as long as its request.
    (unsafe { at(decision) }).map_or_else(Text::empty, |decision| Text::of(decision.body()))
}

pub(super) unsafe extern "C" fn decision_line(
    decision: *const Decision,
    level: *mut u32,
) -> *const c_char {
    // SAFETY: from `decide`, alive as long as its request.
    let line = (unsafe { at(decision) }).and_then(Decision::line);
    // SAFETY: the shim's own variable.
    unsafe { tell(line, level) }
}

pub(super) unsafe extern "C" fn decision_effect(
    decision: *const Decision,
    index: usize,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `decide`, alive as long as its request.
    let effects: &[Effect] = (unsafe { at(decision) }).map_or(&[], Decision::effects);
    // SAFETY: the shim's own struct.
    unsafe { give(effects.get(index).map(EffectView::of), out) }
}

pub(super) unsafe extern "C" fn decision_suffices(decision: *mut Decision) -> c_int {
    // SAFETY: from `decide`; one request is authorized by one thread.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return 0 };
    guard(|| c_int::from(decision.suffices())).unwrap_or(0)
}

pub(super) unsafe extern "C" fn decision_insufficient(decision: *mut Decision) {
    // SAFETY: from `decide`; one request is authorized by one thread.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return };
    guard(|| decision.insufficient());
}
