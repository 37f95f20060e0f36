//! The functions of `ab_core` about a process of the server: its threads, its log, its end.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::Arc;

use super::configuration::Handle;
use super::guard::guard;
use super::pointer::{at, free};
use super::scope::place;
use crate::host::{Process, Scope};
use crate::outbound::{Level, Log};

/// `ab_log`.
pub(super) type LogFunction =
    unsafe extern "C" fn(server: *mut c_void, level: u32, line: *const c_char);

/// The server that log lines go to, handed to threads.
struct Sink {
    write: LogFunction,
    server: *mut c_void,
}

// SAFETY: both servers' logs may be written to from any thread, and `server` outlives the process
// object (its pool frees the process first).
unsafe impl Send for Sink {}

// SAFETY: as above.
unsafe impl Sync for Sink {}

impl Sink {
    fn line(&self, level: Level, line: &str) {
        let Ok(line) = CString::new(line) else { return };
        // SAFETY: the shim's own function and pointer, and a line that ends with NUL.
        unsafe { (self.write)(self.server, level as u32, line.as_ptr()) }
    }
}

pub(super) unsafe extern "C" fn process_start(
    handle: *const Handle,
    global: *const Scope,
    write: LogFunction,
    server: *mut c_void,
) -> *mut Arc<Process> {
    // SAFETY: from `configuration_new`, and `scope_new` or `scope_merge`; alive for the call.
    let Some((handle, global)) = (unsafe { place(handle, global) }) else {
        return std::ptr::null_mut();
    };
    let sink = Sink { write, server };
    guard(|| {
        let log: Log = Arc::new(move |level, line| sink.line(level, line));
        match Process::start(&handle.configuration, global, &log) {
            Ok(started) => {
                let started = Arc::new(started);
                see_off(&started);
                Box::into_raw(Box::new(started))
            }
            Err(reason) => {
                log(Level::Error, &format!("AB2005 start-failed: {reason}"));
                std::ptr::null_mut()
            }
        }
    })
    .unwrap_or(std::ptr::null_mut())
}

unsafe extern "C" {
    /// glibc's: as `atexit`, with the status.
    fn on_exit(handler: unsafe extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
}

/// Ends a process at once if a thread of ours still waits for a server. `exit` would go on to take
/// down OpenSSL and unload this module under it; all that a server does itself is done by now,
/// since what was registered last runs first.
unsafe extern "C" fn end_at_once(status: c_int, process: *mut c_void) {
    // SAFETY: from `see_off`, which leaks it.
    let running = (unsafe { at(process.cast::<Process>()) }).is_none_or(Process::is_running);
    if running {
        // SAFETY: always.
        unsafe { libc::_exit(status) }
    }
}

/// Has the process end by [`end_at_once`].
fn see_off(process: &Arc<Process>) {
    let kept = Arc::into_raw(Arc::clone(process));
    // SAFETY: a function with C's calling convention, in a module that is loaded until the process
    // ends, and an argument that is never freed.
    unsafe { on_exit(end_at_once, kept.cast_mut().cast()) };
}

pub(super) unsafe extern "C" fn process_stop(process: *mut Arc<Process>) {
    // SAFETY: from `process_start`, not freed yet.
    let Some(process) = (unsafe { at(process) }) else { return };
    guard(|| process.stop());
}

pub(super) unsafe extern "C" fn process_free(process: *mut Arc<Process>) {
    // SAFETY: from `process_start`, and the shim frees it once.
    unsafe { free(process) }
}
