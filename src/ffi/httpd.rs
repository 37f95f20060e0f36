//! The module structure of httpd 2.4, in Rust so that it is the one symbol exported whatever the
//! linker; `c_shim/httpd.c` asserts its layout.

use std::ffi::{c_char, c_int, c_ulong, c_void};

use super::table::{CORE, Core};

/// `module_struct` of `http_config.h`.
#[repr(C)]
struct Module {
    version: c_int,
    minor_version: c_int,
    module_index: c_int,
    name: *const c_char,
    dynamic_load_handle: *mut c_void,
    next: *mut Self,
    magic: c_ulong,
    rewrite_args: *const c_void,
    create_dir_config: unsafe extern "C" fn(pool: *mut c_void, place: *mut c_char) -> *mut c_void,
    merge_dir_config: unsafe extern "C" fn(
        pool: *mut c_void,
        outer: *mut c_void,
        inner: *mut c_void,
    ) -> *mut c_void,
    create_server_config: *const c_void,
    merge_server_config: *const c_void,
    cmds: *const c_void,
    register_hooks: extern "C" fn(pool: *mut c_void),
    flags: c_int,
}

unsafe extern "C" {
    static ab_commands: c_void;
    fn ab_create_scope(pool: *mut c_void, place: *mut c_char) -> *mut c_void;
    fn ab_merge_scopes(pool: *mut c_void, outer: *mut c_void, inner: *mut c_void) -> *mut c_void;
    fn ab_register(pool: *mut c_void, core: *const Core);
}

extern "C" fn register(pool: *mut c_void) {
    // SAFETY: the shim's function, with the pool that httpd gave and a table that never changes.
    unsafe { ab_register(pool, &raw const CORE) }
}

// httpd writes the module's index and its links into the structure.
#[unsafe(no_mangle)]
static mut auth_bound_module: Module = Module {
    version: 20_120_211,
    minor_version: 0,
    module_index: -1,
    // Other modules order their hooks by this name.
    name: c"mod_auth_bound.c".as_ptr(),
    dynamic_load_handle: std::ptr::null_mut(),
    next: std::ptr::null_mut(),
    magic: 0x4150_3234,
    rewrite_args: std::ptr::null(),
    create_dir_config: ab_create_scope,
    merge_dir_config: ab_merge_scopes,
    create_server_config: std::ptr::null(),
    merge_server_config: std::ptr::null(),
    // SAFETY: only its address is taken.
    cmds: &raw const ab_commands,
    register_hooks: register,
    flags: 0,
};
