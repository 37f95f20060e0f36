//! The functions of `ab_core`, in its order.
#![allow(clippy::disallowed_methods, reason = "the boundary reads the clock for the core")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::answer::{
    CallView, answer_body, answer_free, answer_header, answer_line, answer_media_type, answer_new,
    answer_pending, answer_status, answer_wait, endpoint_complete, endpoint_max_body,
};
use super::binding::{
    binding_configured, binding_effect, binding_free, binding_response, binding_suffices,
    binding_verify, client_negotiated, token_binding_answer,
};
use super::cookies::{
    VisitView, cookies_complete, cookies_effect, cookies_free, cookies_header, cookies_line,
    cookies_open, cookies_seal, scope_protects, sealed_free, sealed_header, sealed_line,
};
use super::guard::guard;
use super::text::{EffectView, Text, slices};
use crate::effect::Effect;
use crate::host::{
    Answer, Binding, Client, Configuration, Cookies, Decision, Facts, Merged, Process, Scope,
    Sealed,
};
use crate::outbound::{KeyMemory, Level, Log, SharedReplayStore};
use crate::requirement::Requirement;
use crate::token::Timestamp;

/// `ab_configuration`: a configuration with the last message about it.
pub(super) struct Handle {
    pub(super) configuration: Configuration,
    requirements: Mutex<Vec<Arc<RequireLine>>>,
    message: Mutex<CString>,
}

/// `ab_requirement`: a line of httpd's configuration.
pub(super) struct RequireLine {
    requirement: Requirement,
    negated: bool,
}

impl Handle {
    /// Keeps `message` for the shim to read.
    pub(super) fn complaint(&self, message: String) -> *const c_char {
        let text = CString::new(message).unwrap_or_else(|_| c"the text contains NUL".to_owned());
        let mut kept = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = text;
        kept.as_ptr()
    }
}

/// What a shim is told when the core itself fails while the configuration is read.
pub(super) const FAILED: *const c_char = c"the module failed; please report this".as_ptr();

/// `ab_log`.
type LogFunction = unsafe extern "C" fn(server: *mut c_void, level: u32, line: *const c_char);

macro_rules! core {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// `ab_core`: the table of functions that a shim gets.
        #[derive(Clone, Copy)]
        #[repr(C)]
        pub(super) struct Core { $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?),* }

        /// The table.
        pub(super) static CORE: Core = Core { $($name),* };

        /// The names of its entries, in order; a test compares them with the header's.
        #[cfg(test)]
        const ENTRY_NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

core! {
    configuration_new: fn() -> *mut Handle;
    configuration_free: fn(*mut Handle);
    scope_new: fn(*const Handle) -> *const Scope;
    scope_set: fn(*const Handle, *const Scope, usize, *const Text, usize) -> *const c_char;
    scope_merge: fn(*const Handle, *const Scope, *const Scope, *mut c_int) -> *const Scope;
    scope_free: fn(*const Scope);
    scope_complete: fn(*const Handle, *const Scope) -> *const c_char;
    scope_is_on: fn(*const Handle, *const Scope, usize) -> c_int;
    scope_word: fn(*const Handle, *const Scope, usize) -> Text;
    configuration_complete: fn(*const Handle) -> *const c_char;
    cookies_complete: fn(*const Handle, *const Scope) -> *const c_char;
    scope_protects: fn(*const Handle, *const Scope) -> c_int;
    configuration_settle: fn(*const Handle) -> *const c_char;
    configuration_memory: fn(*const Handle, u32, c_int) -> c_int;
    strips: fn(*const Handle, *const c_char, usize) -> c_int;
    process_start: fn(*const Handle, *const Scope, LogFunction, *mut c_void) -> *mut Arc<Process>;
    process_stop: fn(*mut Arc<Process>);
    process_free: fn(*mut Arc<Process>);
    client_new: fn() -> *mut Client;
    client_free: fn(*mut Client);
    client_present: fn(*const Client, *const Text, usize);
    token_binding_answer: fn(*const Handle, *const Scope, Text, *mut u8) -> c_int;
    client_negotiated: fn(*const Client, Text, Text);
    client_effect: fn(*const Client, usize, *mut EffectView) -> c_int;
    client_header: fn(*const Handle, *const Scope, *const Client, usize, *mut EffectView) -> c_int;
    binding_verify: fn(*const Handle, *const Scope, *const Client, *const Text, usize, *mut *mut Binding, *mut *mut Decision) -> c_int;
    binding_free: fn(*mut Binding);
    binding_effect: fn(*const Binding, usize, *mut EffectView) -> c_int;
    binding_configured: fn(*const Handle, *const Scope, *const Binding, usize, *mut EffectView) -> c_int;
    binding_response: fn(*const Handle, *const Scope, *const Binding, c_int, *mut EffectView) -> c_int;
    binding_suffices: fn(*const Handle, *const Scope, *const Binding, *mut *mut Decision) -> c_int;
    cookies_open: fn(*const Handle, *const Scope, *const VisitView, *const Text, usize, *mut *mut Cookies, *mut *mut Decision) -> c_int;
    cookies_free: fn(*mut Cookies);
    cookies_header: fn(*const Cookies, usize, *mut Text) -> c_int;
    cookies_effect: fn(*const Cookies, usize, *mut EffectView) -> c_int;
    cookies_line: fn(*const Cookies, usize, *mut u32) -> *const c_char;
    cookies_seal: fn(*const Handle, *const *const Scope, usize, *const VisitView, *const Cookies, *const Text, usize, *mut *mut Sealed) -> c_int;
    sealed_free: fn(*mut Sealed);
    sealed_header: fn(*const Sealed, usize) -> Text;
    sealed_line: fn(*const Sealed, usize, *mut u32) -> *const c_char;
    decide: fn(*const Arc<Process>, *const Handle, *const Scope, *const Client, *const Binding, *const Text, usize, Text) -> *mut Decision;
    decision_free: fn(*mut Decision);
    decision_state: fn(*const Decision) -> c_int;
    decision_wait: fn(*mut Decision);
    decision_is_grpc: fn(*mut Decision, Text, u32) -> c_int;
    decision_status: fn(*const Decision) -> c_int;
    decision_body: fn(*const Decision) -> Text;
    decision_line: fn(*const Decision, *mut u32) -> *const c_char;
    decision_effect: fn(*const Decision, usize, *mut EffectView) -> c_int;
    requirement_new: fn(*const Handle, *const c_char, *const Text, usize, c_int, *mut *const c_char) -> *const RequireLine;
    requirement_holds: fn(*const RequireLine, *mut Decision) -> c_int;
    decision_suffices: fn(*mut Decision) -> c_int;
    decision_insufficient: fn(*mut Decision);
    endpoint_complete: fn(*const Handle, *const Scope) -> *const c_char;
    endpoint_max_body: fn(*const Handle, *const Scope) -> usize;
    answer_new: fn(*const Arc<Process>, *const Handle, *const Scope, u32, *const CallView) -> *mut Answer;
    answer_free: fn(*mut Answer);
    answer_pending: fn(*const Answer) -> c_int;
    answer_wait: fn(*mut Answer);
    answer_status: fn(*const Answer) -> c_int;
    answer_body: fn(*const Answer) -> Text;
    answer_media_type: fn(*const Answer) -> Text;
    answer_header: fn(*const Answer, usize, *mut EffectView) -> c_int;
    answer_line: fn(*const Answer, *mut u32) -> *const c_char;
}

/// A reference from a pointer of the shim's.
///
/// # Safety
/// `pointer` is NULL or came from this module, of this type, and is neither freed nor written to
/// by anybody else for `'a`.
pub(super) unsafe fn at<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: as the caller vouches.
    unsafe { pointer.as_ref() }
}

/// Frees what a `*_new` made.
///
/// # Safety
/// `pointer` is NULL or came from `Box::into_raw` here and is not used again.
pub(super) unsafe fn free<T>(pointer: *mut T) {
    if pointer.is_null() {
        return;
    }
    // SAFETY: as the caller vouches.
    let owned = unsafe { Box::from_raw(pointer) };
    guard(move || drop(owned));
}

pub(super) fn now() -> Timestamp {
    // A clock before 1970 makes every token one of the future.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::try_from(since.as_secs()).unwrap_or(Timestamp::MAX)
}

extern "C" fn configuration_new() -> *mut Handle {
    let handle = || Handle {
        configuration: Configuration::new(),
        requirements: Mutex::default(),
        message: Mutex::default(),
    };
    guard(|| Box::into_raw(Box::new(handle()))).unwrap_or(std::ptr::null_mut())
}

unsafe extern "C" fn configuration_free(handle: *mut Handle) {
    // SAFETY: from `configuration_new`, and the shim's pool frees it once.
    unsafe { free(handle) }
}

unsafe extern "C" fn scope_new(handle: *const Handle) -> *const Scope {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return std::ptr::null() };
    guard(|| handle.configuration.scope().map_or(std::ptr::null(), |scope| Arc::as_ptr(&scope)))
        .unwrap_or(std::ptr::null())
}

unsafe extern "C" fn scope_set(
    handle: *const Handle,
    scope: *const Scope,
    directive: usize,
    arguments: *const Text,
    count: usize,
) -> *const c_char {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return FAILED };
    // SAFETY: from `scope_new` of this configuration, which keeps it.
    let Some(scope) = (unsafe { at(scope) }) else { return FAILED };
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

fn texts<'a>(arguments: &[&'a [u8]]) -> Option<Vec<&'a str>> {
    arguments.iter().map(|argument| std::str::from_utf8(argument).ok()).collect()
}

unsafe extern "C" fn scope_merge(
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

unsafe extern "C" fn scope_free(scope: *const Scope) {
    if scope.is_null() {
        return;
    }
    // SAFETY: given by `scope_merge` with `Arc::into_raw`, and the request's pool frees it once.
    let owned = unsafe { Arc::from_raw(scope) };
    guard(move || drop(owned));
}

unsafe extern "C" fn scope_complete(handle: *const Handle, scope: *const Scope) -> *const c_char {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return FAILED };
    // SAFETY: kept by the configuration.
    let Some(scope) = (unsafe { at(scope) }) else { return FAILED };
    guard(|| match handle.configuration.policy(scope).map(|policy| policy.complete()) {
        Some(Ok(())) => std::ptr::null(),
        Some(Err(refusal)) => handle.complaint(refusal.to_string()),
        None => FAILED,
    })
    .unwrap_or(FAILED)
}

unsafe extern "C" fn configuration_complete(handle: *const Handle) -> *const c_char {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return FAILED };
    guard(|| match handle.configuration.complete_somewhere() {
        Ok(()) => std::ptr::null(),
        Err(refusal) => handle.complaint(refusal.to_string()),
    })
    .unwrap_or(FAILED)
}

unsafe extern "C" fn scope_is_on(
    handle: *const Handle,
    scope: *const Scope,
    directive: usize,
) -> c_int {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return 0 };
    // SAFETY: kept by the configuration.
    let Some(scope) = (unsafe { at(scope) }) else { return 0 };
    guard(|| c_int::from(handle.configuration.is_on(scope, directive))).unwrap_or(0)
}

unsafe extern "C" fn scope_word(
    handle: *const Handle,
    scope: *const Scope,
    directive: usize,
) -> Text {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return Text::empty() };
    // SAFETY: kept by the configuration.
    let Some(scope) = (unsafe { at(scope) }) else { return Text::empty() };
    guard(|| Text::of(handle.configuration.word(scope, directive))).unwrap_or_else(Text::empty)
}

unsafe extern "C" fn configuration_settle(handle: *const Handle) -> *const c_char {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return FAILED };
    guard(|| handle.configuration.settle()).map_or(FAILED, |()| std::ptr::null())
}

unsafe extern "C" fn configuration_memory(
    handle: *const Handle,
    which: u32,
    inherited: c_int,
) -> c_int {
    const KEYS: u32 = 0;
    const REPLAYS: u32 = 1;
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return -1 };
    let descriptor = if inherited >= 0 {
        inherited
    } else {
        // SAFETY: a name that ends with NUL, and a flag.
        unsafe { libc::memfd_create(c"auth_bound".as_ptr(), libc::MFD_CLOEXEC) }
    };
    if descriptor < 0 {
        return -1;
    }
    // SAFETY: just made, or given by this function before; the shim leaves it open for good.
    let shared = unsafe { BorrowedFd::borrow_raw(descriptor) };
    guard(|| {
        // A descriptor of its own, which ends with this reading.
        let Ok(own) = shared.try_clone_to_owned() else { return };
        match which {
            KEYS => handle.configuration.share(KeyMemory::new(own.into())),
            REPLAYS => handle.configuration.share_replays(SharedReplayStore::new(own.into())),
            _ => {}
        }
    });
    descriptor
}

unsafe extern "C" fn strips(handle: *const Handle, name: *const c_char, size: usize) -> c_int {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return 1 };
    if name.is_null() {
        return 1;
    }
    // SAFETY: not NULL, and the shim gives the header name's size.
    let name = unsafe { std::slice::from_raw_parts(name.cast(), size) };
    guard(|| c_int::from(handle.configuration.strips(name))).unwrap_or(1)
}

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

unsafe extern "C" fn process_start(
    handle: *const Handle,
    global: *const Scope,
    write: LogFunction,
    server: *mut c_void,
) -> *mut Arc<Process> {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return std::ptr::null_mut() };
    // SAFETY: kept by the configuration.
    let Some(global) = (unsafe { at(global) }) else { return std::ptr::null_mut() };
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

unsafe extern "C" fn process_stop(process: *mut Arc<Process>) {
    // SAFETY: from `process_start`, not freed yet.
    let Some(process) = (unsafe { at(process) }) else { return };
    guard(|| process.stop());
}

unsafe extern "C" fn process_free(process: *mut Arc<Process>) {
    // SAFETY: from `process_start`, and the shim frees it once.
    unsafe { free(process) }
}

extern "C" fn client_new() -> *mut Client {
    guard(|| Box::into_raw(Box::new(Client::default()))).unwrap_or(std::ptr::null_mut())
}

unsafe extern "C" fn client_free(client: *mut Client) {
    // SAFETY: from `client_new`, and its connection's pool frees it once.
    unsafe { free(client) }
}

unsafe extern "C" fn client_present(
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

/// Writes `effect` to the shim's struct.
///
/// # Safety
/// `out` is NULL or writable.
pub(super) unsafe fn give(effect: Option<EffectView>, out: *mut EffectView) -> c_int {
    match effect {
        Some(effect) if !out.is_null() => {
            // SAFETY: as the caller vouches.
            unsafe { out.write(effect) };
            1
        }
        _ => 0,
    }
}

unsafe extern "C" fn client_effect(
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

unsafe extern "C" fn client_header(
    handle: *const Handle,
    scope: *const Scope,
    client: *const Client,
    index: usize,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `client_new`, alive as long as its connection.
    let Some(client) = (unsafe { at(client) }) else { return 0 };
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return 0 };
    // SAFETY: kept by the configuration.
    let Some(scope) = (unsafe { at(scope) }) else { return 0 };
    let effect = guard(|| {
        let wanted = handle.configuration.policy(scope)?.settings().client_cert_header;
        client.header(wanted, index, EffectView::of)
    });
    // SAFETY: the shim's own struct.
    unsafe { give(effect.flatten(), out) }
}

unsafe extern "C" fn decide(
    process: *const Arc<Process>,
    handle: *const Handle,
    scope: *const Scope,
    client: *const Client,
    binding: *const Binding,
    authorization: *const Text,
    count: usize,
    realm: Text,
) -> *mut Decision {
    // SAFETY: from `configuration_new`, alive as long as its pool.
    let Some(handle) = (unsafe { at(handle) }) else { return std::ptr::null_mut() };
    // SAFETY: kept by the configuration.
    let Some(scope) = (unsafe { at(scope) }) else { return std::ptr::null_mut() };
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
        fault(&authorization);
        let facts = Facts { client, binding, authorization: &authorization, realm };
        Box::into_raw(Box::new(Decision::new(process, policy, &facts, now())))
    })
    .or_else(|| {
        let detail = guard(|| format!("panic {} of this process", process.count_panic()))?;
        guard(|| Box::into_raw(Box::new(Decision::failed(policy, detail))))
    })
    .unwrap_or(std::ptr::null_mut())
}

/// Lets a test see what becomes of a panic in the running server. Never in a released module.
#[cfg(feature = "fault-injection")]
#[allow(clippy::panic)]
pub(super) fn fault(authorization: &[&[u8]]) {
    if authorization.iter().any(|value| value.ends_with(b"fault-injection-panic")) {
        panic!("injected by a test");
    }
}

unsafe extern "C" fn decision_free(decision: *mut Decision) {
    // SAFETY: from `decide`, and its request's pool frees it once.
    unsafe { free(decision) }
}

unsafe extern "C" fn decision_state(decision: *const Decision) -> c_int {
    // SAFETY: from `decide`, alive as long as its request.
    (unsafe { at(decision) }).map_or(0, |decision| decision.state() as c_int)
}

unsafe extern "C" fn decision_wait(decision: *mut Decision) {
    // SAFETY: from `decide`; while it waits nobody else uses it.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return };
    if guard(|| decision.wait(now)).is_none() {
        // Whatever it was about to become, it refuses.
        guard(|| decision.fail("a panic while it waited"));
    }
}

unsafe extern "C" fn decision_is_grpc(
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

unsafe extern "C" fn decision_status(decision: *const Decision) -> c_int {
    // SAFETY: from `decide`, alive as long as its request.
    (unsafe { at(decision) }).map_or(500, |decision| c_int::from(decision.status()))
}

unsafe extern "C" fn decision_body(decision: *const Decision) -> Text {
    // SAFETY: from `decide`, alive as long as its request.
    (unsafe { at(decision) }).map_or_else(Text::empty, |decision| Text::of(decision.body()))
}

unsafe extern "C" fn decision_line(decision: *const Decision, level: *mut u32) -> *const c_char {
    // SAFETY: from `decide`, alive as long as its request.
    let line = (unsafe { at(decision) }).and_then(Decision::line);
    let Some((line, matter)) = line else { return std::ptr::null() };
    if !level.is_null() {
        // SAFETY: the shim's own variable.
        unsafe { level.write(matter as u32) };
    }
    line.as_ptr()
}

unsafe extern "C" fn decision_effect(
    decision: *const Decision,
    index: usize,
    out: *mut EffectView,
) -> c_int {
    // SAFETY: from `decide`, alive as long as its request.
    let effects: &[Effect] = (unsafe { at(decision) }).map_or(&[], Decision::effects);
    // SAFETY: the shim's own struct.
    unsafe { give(effects.get(index).map(EffectView::of), out) }
}

unsafe extern "C" fn requirement_new(
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
            Ok(requirement) => {
                let requirement = Arc::new(RequireLine { requirement, negated: negated != 0 });
                let pointer = Arc::as_ptr(&requirement);
                handle
                    .requirements
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(requirement);
                Ok(pointer)
            }
            Err(expected) => {
                let got =
                    String::from_utf8_lossy(&arguments.join(&b' ')).escape_default().to_string();
                Err(handle.complaint(format!("got \"{got}\", expected {expected}")))
            }
        }
    });
    match made {
        Some(Ok(requirement)) => requirement,
        Some(Err(complaint)) => {
            // SAFETY: checked above, the shim's own variable.
            unsafe { message.write(complaint) };
            std::ptr::null()
        }
        None => {
            // SAFETY: checked above, the shim's own variable.
            unsafe { message.write(FAILED) };
            std::ptr::null()
        }
    }
}

unsafe extern "C" fn requirement_holds(line: *const RequireLine, decision: *mut Decision) -> c_int {
    // SAFETY: from `requirement_new`, kept by the configuration.
    let Some(line) = (unsafe { at(line) }) else { return -1 };
    // SAFETY: from `decide`; one request is authorized by one thread.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return -1 };
    guard(|| c_int::from(decision.meets(&line.requirement, line.negated))).unwrap_or(-1)
}

unsafe extern "C" fn decision_suffices(decision: *mut Decision) -> c_int {
    // SAFETY: from `decide`; one request is authorized by one thread.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return 0 };
    guard(|| c_int::from(decision.suffices())).unwrap_or(0)
}

unsafe extern "C" fn decision_insufficient(decision: *mut Decision) {
    // SAFETY: from `decide`; one request is authorized by one thread.
    let Some(decision) = (unsafe { decision.as_mut() }) else { return };
    guard(|| decision.insufficient());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_headers() {
        let header = include_str!("../../c_shim/auth_bound.h");
        let (_, table) = header.split_once("typedef struct {\n    /* A configuration").unwrap();
        let names: Vec<_> = table
            .match_indices("(*")
            .filter_map(|(at, _)| table[at + 2..].split_once(')'))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ENTRY_NAMES);
        let slots = size_of::<Core>() / size_of::<usize>();
        assert_eq!(slots, ENTRY_NAMES.len());
    }
}
