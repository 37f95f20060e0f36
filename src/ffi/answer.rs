//! The functions of `ab_core` about the endpoints that the module itself answers for.

use std::ffi::{c_char, c_int};
use std::sync::Arc;

use super::clock::now;
use super::configuration::{FAILED, Handle};
use super::effect::{EffectView, give};
use super::guard::guard;
use super::line::tell;
use super::pointer::{at, free};
use super::scope::place;
use super::text::{Text, slices};
use crate::effect::Effect;
use crate::host::{Answer, Binding, Call, Client, Endpoint, Process, Scope};

/// `ab_call`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct CallView {
    client: *const Client,
    binding: *const Binding,
    verified: Text,
    method: Text,
    content_type: Text,
    authorization: *const Text,
    authorization_count: usize,
    body: Text,
    truncated: c_int,
    realm: Text,
}

/// `AB_TOKEN_EXCHANGE` and so on.
const fn endpoint_of(number: u32) -> Option<Endpoint> {
    match number {
        1 => Some(Endpoint::TokenExchange),
        2 => Some(Endpoint::JwkSet),
        3 => Some(Endpoint::Metadata),
        _ => None,
    }
}

pub(super) unsafe extern "C" fn endpoint_complete(
    handle: *const Handle,
    scope: *const Scope,
) -> *const c_char {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return FAILED };
    // SAFETY: NULL, or kept by the configuration.
    let scope = unsafe { at(scope) };
    let configuration = &handle.configuration;
    let checked = guard(|| match scope {
        Some(scope) => configuration.token_service(scope).map(drop),
        None => configuration.token_service_somewhere(),
    });
    match checked {
        Some(Ok(())) => std::ptr::null(),
        Some(Err(refusal)) => handle.complaint(refusal.to_string()),
        None => FAILED,
    }
}

pub(super) unsafe extern "C" fn endpoint_max_body(
    handle: *const Handle,
    scope: *const Scope,
) -> usize {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    let size = guard(|| {
        let settings = handle.configuration.policy(scope)?.settings();
        usize::try_from(settings.sts_max_body.0).ok()
    });
    size.flatten().unwrap_or(0)
}

pub(super) unsafe extern "C" fn endpoint_asks_for_chain(
    handle: *const Handle,
    scope: *const Scope,
    endpoint: u32,
) -> c_int {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    let asks = guard(|| {
        let settings = handle.configuration.policy(scope)?.settings();
        let endpoint = endpoint_of(endpoint)?;
        Some(endpoint == Endpoint::TokenExchange && settings.sts_client.know_names())
    });
    c_int::from(asks.flatten().unwrap_or(true))
}

pub(super) unsafe extern "C" fn answer_new(
    process: *const Arc<Process>,
    handle: *const Handle,
    scope: *const Scope,
    endpoint: u32,
    call: *const CallView,
) -> *mut Answer {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else {
        return std::ptr::null_mut();
    };
    // SAFETY: from `process_start`, alive until the process ends.
    let Some(process) = (unsafe { at(process) }) else { return std::ptr::null_mut() };
    // SAFETY: the shim's own struct, of which all parts are alive for the call.
    let Some(view) = (unsafe { at(call) }) else { return std::ptr::null_mut() };
    let Some(endpoint) = endpoint_of(endpoint) else { return std::ptr::null_mut() };
    // SAFETY: the request's header values, alive for the call.
    let authorization = unsafe { slices(view.authorization, view.authorization_count) };
    // SAFETY: as above for all parts.
    let call = unsafe { view.call(&authorization) };
    guard(|| {
        #[cfg(feature = "fault-injection")]
        super::guard::fault(&authorization);
        let answer = match handle.configuration.token_service(scope) {
            Ok(service) => Answer::new(endpoint, process, service, &call, now),
            Err(missing) => Answer::incomplete(missing),
        };
        Box::into_raw(Box::new(answer))
    })
    .or_else(|| {
        let detail = guard(|| format!("panic {} of this process", process.count_panic()))?;
        guard(|| Box::into_raw(Box::new(Answer::failed(detail))))
    })
    .unwrap_or(std::ptr::null_mut())
}

impl CallView {
    /// The call.
    ///
    /// # Safety
    /// The pointers are NULL or live as long as the request, the texts for `'a`.
    unsafe fn call<'a>(&self, authorization: &'a [&'a [u8]]) -> Call<'a> {
        // SAFETY: as the caller vouches.
        let method = unsafe { self.method.bytes() };
        // SAFETY: as the caller vouches.
        let content_type = unsafe { self.content_type.bytes() };
        // SAFETY: as the caller vouches.
        let realm = unsafe { self.realm.bytes() };
        Call {
            // SAFETY: from `client_new`, as the caller vouches.
            client: unsafe { at(self.client) },
            // SAFETY: from `binding_verify`, as the caller vouches.
            binding: unsafe { at(self.binding) },
            // SAFETY: as the caller vouches.
            verified: unsafe { self.verified.bytes() },
            method: std::str::from_utf8(method).unwrap_or_default(),
            content_type: self.content_type.is_given().then_some(content_type),
            authorization,
            // SAFETY: as the caller vouches.
            body: unsafe { self.body.bytes() },
            truncated: self.truncated != 0,
            realm: std::str::from_utf8(realm).ok(),
        }
    }
}

pub(super) unsafe extern "C" fn answer_free(answer: *mut Answer) {
    // SAFETY: from `answer_new`, and its request's pool frees it once.
    unsafe { free(answer) }
}

pub(super) unsafe extern "C" fn answer_pending(answer: *const Answer) -> c_int {
    // SAFETY: from `answer_new`, alive as long as its request.
    (unsafe { at(answer) }).map_or(0, |answer| c_int::from(answer.is_pending()))
}

pub(super) unsafe extern "C" fn answer_wait(answer: *mut Answer) {
    // SAFETY: from `answer_new`; while it waits nobody else uses it.
    let Some(answer) = (unsafe { answer.as_mut() }) else { return };
    if guard(|| answer.wait(now)).is_none() {
        guard(|| *answer = Answer::failed("a panic while it waited"));
    }
}

pub(super) unsafe extern "C" fn answer_overload(answer: *mut Answer) {
    // SAFETY: from `answer_new`, and nobody else uses it.
    let Some(answer) = (unsafe { answer.as_mut() }) else { return };
    if guard(|| answer.overload()).is_none() {
        guard(|| *answer = Answer::failed("a panic while it was refused"));
    }
}

pub(super) unsafe extern "C" fn answer_status(answer: *const Answer) -> c_int {
    // SAFETY: from `answer_new`, alive as long as its request.
    (unsafe { at(answer) }).map_or(500, |answer| c_int::from(answer.status()))
}

pub(super) unsafe extern "C" fn answer_body(answer: *const Answer) -> Text {
    // SAFETY: from `answer_new`, alive as long as its request.
    (unsafe { at(answer) }).map_or_else(Text::empty, |answer| Text::of(answer.body()))
}

pub(super) unsafe extern "C" fn answer_media_type(answer: *const Answer) -> Text {
    // SAFETY: from `answer_new`, alive as long as its request.
    (unsafe { at(answer) }).map_or_else(Text::empty, |answer| Text::of(answer.media_type()))
}

pub(super) unsafe extern "C" fn answer_header(
    answer: *const Answer,
    index: usize,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `answer_new`, alive as long as its request.
    let headers: &[Effect] = (unsafe { at(answer) }).map_or(&[], Answer::headers);
    // SAFETY: the shim's own struct.
    unsafe { give(headers.get(index).map(EffectView::of), out) }
}

pub(super) unsafe extern "C" fn answer_line(
    answer: *const Answer,
    level: *mut u32,
) -> *const c_char {
    // SAFETY: from `answer_new`, alive as long as its request.
    let line = (unsafe { at(answer) }).and_then(Answer::line);
    // SAFETY: the shim's own variable.
    unsafe { tell(line, level) }
}
