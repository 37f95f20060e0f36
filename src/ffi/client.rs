//! The functions of `ab_core` about the client of a connection.

use std::ffi::c_int;

use super::configuration::Handle;
use super::effect::{EffectView, give};
use super::guard::guard;
use super::pointer::{at, free};
use super::scope::place;
use super::text::{Text, slices};
use crate::host::{Client, Scope};

pub(super) extern "C" fn client_new() -> *mut Client {
    guard(|| Box::into_raw(Box::new(Client::default()))).unwrap_or(std::ptr::null_mut())
}

pub(super) unsafe extern "C" fn client_free(client: *mut Client) {
    // SAFETY: from `client_new`, and its connection's pool frees it once.
    unsafe { free(client) }
}

pub(super) unsafe extern "C" fn client_present(
    client: *const Client,
    certificates: *const Text,
    count: usize,
) {
    // SAFETY: from `client_new`, alive as long as its connection.
    let Some(client) = (unsafe { at(client) }) else { return };
    // SAFETY: the shim's buffers, alive for the call.
    let certificates = unsafe { slices(certificates, count) };
    if guard(|| client.present(&certificates)).is_none() {
        guard(|| client.present(&[]));
    }
}

pub(super) unsafe extern "C" fn client_effect(
    client: *const Client,
    index: usize,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `client_new`, alive as long as its connection.
    let Some(client) = (unsafe { at(client) }) else { return 0 };
    let effect = guard(|| client.effect(index, EffectView::of)).flatten();
    // SAFETY: the shim's own struct.
    unsafe { give(effect, out) }
}

pub(super) unsafe extern "C" fn client_header(
    handle: *const Handle,
    scope: *const Scope,
    client: *const Client,
    index: usize,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `client_new`, alive as long as its connection.
    let Some(client) = (unsafe { at(client) }) else { return 0 };
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, scope)) = (unsafe { place(handle, scope) }) else { return 0 };
    let effect = guard(|| {
        let wanted = handle.configuration.policy(scope)?.settings().client_cert_header;
        client.header(wanted, index, EffectView::of)
    });
    // SAFETY: the shim's own struct.
    unsafe { give(effect.flatten(), out) }
}
