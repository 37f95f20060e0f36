//! `ab_core`: the table of functions that a shim gets.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

use super::answer::{
    CallView, answer_body, answer_free, answer_header, answer_line, answer_media_type, answer_new,
    answer_overload, answer_pending, answer_status, answer_wait, endpoint_asks_for_chain,
    endpoint_complete, endpoint_max_body,
};
use super::binding::{
    binding_configured, binding_effect, binding_free, binding_response, binding_suffices,
    binding_verify, client_negotiated, token_binding_answer,
};
use super::client::{client_effect, client_free, client_header, client_new, client_present};
use super::configuration::{
    Handle, RequireLine, configuration_complete, configuration_free, configuration_memory,
    configuration_new, configuration_settle, strips,
};
use super::cookies::{
    VisitView, cookies_complete, cookies_effect, cookies_free, cookies_header, cookies_line,
    cookies_open, cookies_seal, scope_protects, sealed_free, sealed_header, sealed_line,
};
use super::decision::{
    decide, decision_body, decision_effect, decision_free, decision_insufficient, decision_is_grpc,
    decision_line, decision_overload, decision_state, decision_status, decision_suffices,
    decision_wait,
};
use super::effect::EffectView;
use super::process::{LogFunction, process_free, process_start, process_stop};
use super::requirement::{requirement_holds, requirement_new};
use super::scope::{
    scope_complete, scope_free, scope_is_on, scope_merge, scope_new, scope_set, scope_word,
};
use super::text::Text;
use crate::host::{Answer, Binding, Client, Cookies, Decision, Process, Scope, Sealed};

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
    decision_overload: fn(*mut Decision);
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
    endpoint_asks_for_chain: fn(*const Handle, *const Scope, u32) -> c_int;
    answer_new: fn(*const Arc<Process>, *const Handle, *const Scope, u32, *const CallView) -> *mut Answer;
    answer_free: fn(*mut Answer);
    answer_pending: fn(*const Answer) -> c_int;
    answer_wait: fn(*mut Answer);
    answer_overload: fn(*mut Answer);
    answer_status: fn(*const Answer) -> c_int;
    answer_body: fn(*const Answer) -> Text;
    answer_media_type: fn(*const Answer) -> Text;
    answer_header: fn(*const Answer, usize, *mut EffectView) -> c_int;
    answer_line: fn(*const Answer, *mut u32) -> *const c_char;
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
