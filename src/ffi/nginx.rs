//! What NGINX looks up in a dynamic module: three arrays of pointers, in Rust so that they are the
//! only symbols exported whatever the linker. The module structure itself, with the signature of
//! the NGINX that it is compiled for, is in `c_shim/nginx.c`.
#![allow(non_upper_case_globals, reason = "NGINX's names")]

use std::ffi::{c_char, c_void};

use super::table::{CORE, Core};

/// A pointer to something that lives as long as the module.
#[repr(transparent)]
struct Pointer<T>(*const T);

// SAFETY: only NGINX follows it, as it does in the arrays of its own modules.
unsafe impl<T> Sync for Pointer<T> {}

impl<T> Pointer<T> {
    const END: Self = Self(std::ptr::null());
}

unsafe extern "C" {
    static ngx_http_auth_bound_module: c_void;
    static ngx_auth_bound_stop_module: c_void;
}

const HTTP: Pointer<c_char> = Pointer(c"ngx_http_auth_bound_module".as_ptr());
const STOP: Pointer<c_char> = Pointer(c"ngx_auth_bound_stop_module".as_ptr());

#[unsafe(no_mangle)]
static ngx_modules: [Pointer<c_void>; 3] = [
    Pointer(&raw const ngx_http_auth_bound_module),
    Pointer(&raw const ngx_auth_bound_stop_module),
    Pointer::END,
];

#[unsafe(no_mangle)]
static ngx_module_names: [Pointer<c_char>; 3] = [HTTP, STOP, Pointer::END];

// Each of ours goes in front of what stands behind it here. The range filter is the last header
// filter but those that write, so that ours sees every header.
#[unsafe(no_mangle)]
static ngx_module_order: [Pointer<c_char>; 5] = [
    STOP,
    Pointer(c"ngx_thread_pool_module".as_ptr()),
    HTTP,
    Pointer(c"ngx_http_range_header_filter_module".as_ptr()),
    Pointer::END,
];

/// The core, for the shim. It declares the symbol hidden, so that it is not exported.
#[unsafe(no_mangle)]
static ab_nginx_core: &Core = &CORE;
