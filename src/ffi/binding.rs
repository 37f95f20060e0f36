//! The functions of `ab_core` about Token Binding.

use std::ffi::c_int;

use super::configuration::Handle;
use super::decision::refuse;
use super::effect::{EffectView, give};
use super::guard::guard;
use super::pointer::{at, free};
use super::scope::place;
use super::text::{Text, slices};
use crate::host::{Binding, Client, Decision, Scope};
use crate::refusal::{Reason, Refusal};
use crate::token_binding::{Context, Ekm, Offer, Parameters};

/// What `token_binding_answer` says of bytes that are no offer.
const MALFORMED: c_int = -1;

pub(super) unsafe extern "C" fn token_binding_answer(
    handle: *const Handle,
    scope: *const Scope,
    offer: Text,
    answer: *mut u8,
) -> c_int {
    // SAFETY: the extension's body, alive for the call.
    let Some(Ok(offer)) = guard(|| Offer::parse(unsafe { offer.bytes() })) else {
        return MALFORMED;
    };
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    let parameters = guard(|| {
        let settings = handle.configuration.policy(scope)?.settings();
        let preferred = &settings.token_binding_key_parameters.0;
        settings.token_binding.0.then(|| offer.answer(preferred)).flatten()
    });
    let Some(parameters) = parameters.flatten() else { return 0 };
    if answer.is_null() {
        return 0;
    }
    let body = parameters.to_body();
    // SAFETY: the shim's own array of four bytes.
    unsafe { answer.copy_from_nonoverlapping(body.as_ptr(), body.len()) };
    1
}

pub(super) unsafe extern "C" fn client_negotiated(client: *const Client, answer: Text, ekm: Text) {
    // SAFETY: from `client_new`, alive as long as its connection.
    let Some(client) = (unsafe { at(client) }) else { return };
    // SAFETY: the shim's arrays, alive for the call.
    let answer = unsafe { answer.bytes() };
    // SAFETY: as above.
    let ekm = unsafe { ekm.bytes() };
    let context = guard(|| {
        let ekm = Ekm(ekm.try_into().ok()?);
        Parameters::of_own_answer(answer).map(|parameters| Context { parameters, ekm })
    });
    guard(|| client.negotiated(context.flatten()));
}

pub(super) unsafe extern "C" fn binding_verify(
    handle: *const Handle,
    scope: *const Scope,
    client: *const Client,
    headers: *const Text,
    count: usize,
    binding: *mut *mut Binding,
    refusal: *mut *mut Decision,
) -> c_int {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    // SAFETY: from `client_new`, alive as long as its connection.
    let Some(client) = (unsafe { at(client) }) else { return 1 };
    // SAFETY: the request's header values, alive for the call.
    let headers = unsafe { slices(headers, count) };
    let verified = guard(|| {
        let policy = handle.configuration.policy(scope)?;
        let settings = policy.settings();
        let accepted = &settings.token_binding_key_parameters.0;
        Some(if settings.token_binding.0 { client.bind(&headers, accepted) } else { Ok(None) })
    });
    match verified.flatten() {
        Some(Ok(None)) => 1,
        Some(Ok(Some(proved))) if !binding.is_null() => {
            let Some(boxed) = guard(|| Box::into_raw(Box::new(proved))) else { return 0 };
            // SAFETY: checked above, the shim's own variable.
            unsafe { binding.write(boxed) };
            1
        }
        Some(Ok(Some(_))) => 0,
        // SAFETY: the shim's own variable.
        Some(Err(reason)) => unsafe { refuse(handle, scope, &reason, refusal) },
        None => {
            let failed = Refusal::with_detail(Reason::InternalError, "a panic in Token Binding");
            // SAFETY: the shim's own variable.
            unsafe { refuse(handle, scope, &failed, refusal) }
        }
    }
}

pub(super) unsafe extern "C" fn binding_free(binding: *mut Binding) {
    // SAFETY: from `binding_verify`, and its request's pool frees it once.
    unsafe { free(binding) }
}

pub(super) unsafe extern "C" fn binding_effect(
    binding: *const Binding,
    index: usize,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `binding_verify`, alive as long as its request.
    let Some(binding) = (unsafe { at(binding) }) else { return 0 };
    let effect = guard(|| binding.effect(index).map(EffectView::of)).flatten();
    // SAFETY: the shim's own struct.
    unsafe { give(effect, out) }
}

pub(super) unsafe extern "C" fn binding_configured(
    handle: *const Handle,
    scope: *const Scope,
    binding: *const Binding,
    index: usize,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `binding_verify`, alive as long as its request.
    let Some(binding) = (unsafe { at(binding) }) else { return 0 };
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    let effect = guard(|| {
        let settings = handle.configuration.policy(scope)?.settings();
        binding.configured(settings, index).as_ref().map(EffectView::of_borrowed)
    });
    // SAFETY: the shim's own struct.
    unsafe { give(effect.flatten(), out) }
}

pub(super) unsafe extern "C" fn binding_response(
    handle: *const Handle,
    scope: *const Scope,
    binding: *const Binding,
    status: c_int,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `binding_verify`, alive as long as its request.
    let Some(binding) = (unsafe { at(binding) }) else { return 0 };
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    let effect = guard(|| {
        let settings = handle.configuration.policy(scope)?.settings();
        let status = u16::try_from(status).ok()?;
        binding.response(settings, status).as_ref().map(EffectView::of_borrowed)
    });
    // SAFETY: the shim's own struct.
    unsafe { give(effect.flatten(), out) }
}

pub(super) unsafe extern "C" fn binding_suffices(
    handle: *const Handle,
    scope: *const Scope,
    binding: *const Binding,
    refusal: *mut *mut Decision,
) -> c_int {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    // SAFETY: from `binding_verify`, alive as long as its request.
    let binding = unsafe { at(binding) };
    let suffices = guard(|| {
        let required = handle.configuration.policy(scope)?.settings().token_binding_required.0;
        Some(!required || binding.and_then(Binding::token_bindings).is_some())
    });
    if suffices.flatten() == Some(true) {
        return 1;
    }
    // SAFETY: the shim's own variable.
    unsafe { refuse(handle, scope, &Reason::TokenBindingRequired.into(), refusal) }
}
