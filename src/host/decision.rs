//! The decision about one request, from the first look to the last effect.

use std::ffi::CString;
use std::sync::Arc;

use super::client::Proved;
use super::{Binding, Client, Process};
use crate::challenge::{self, Context};
use crate::decide::{Memo, Request, Step, Verdict, decide};
use crate::effect::Effect;
use crate::grpc;
use crate::outbound::{Answer, Level};
use crate::policy::Policy;
use crate::proof::Possessions;
use crate::refusal::{Fault, Reason, Refusal};
use crate::requirement::Requirement;
use crate::token::{NeededKeys, Timestamp, Verified};

/// How far a decision has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum State {
    /// The request is refused.
    Refuse = 0,
    /// It is granted.
    Grant = 1,
    /// It waits for keys.
    Blocked = 2,
}

/// The decision about one request.
pub struct Decision {
    policy: Arc<Policy>,
    realm: Option<String>,
    stage: Stage,
    /// The last requirement, if the token did not meet it.
    unmet: Option<(Refusal, Vec<String>)>,
    /// The grant that a refusal took the place of: the request may still point to its effects.
    withdrawn: Option<Arc<Verified>>,
}

enum Stage {
    Refused(Refused),
    Granted(Arc<Verified>),
    Blocked(Blocked),
}

/// A refusal with all that is told of it.
struct Refused {
    reason: Reason,
    status: u16,
    effects: Vec<Effect>,
    body: String,
    line: CString,
    /// Told as the end of a gRPC call.
    grpc: bool,
}

/// A request that waits, with its own copies of what it is about.
struct Blocked {
    needed: NeededKeys,
    process: Arc<Process>,
    authorization: Vec<Vec<u8>>,
    proved: Option<Arc<Proved>>,
    binding: Option<Binding>,
}

/// What a request brings along.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The client of its connection, if that has TLS.
    pub client: Option<&'a Client>,
    /// What it proved by Token Binding.
    pub binding: Option<&'a Binding>,
    /// The values of its `Authorization` headers.
    pub authorization: &'a [&'a [u8]],
    /// The protection space that it enters.
    pub realm: Option<&'a str>,
}

impl Decision {
    /// Decides about a request.
    #[must_use]
    pub fn new(
        process: &Arc<Process>,
        policy: &Arc<Policy>,
        facts: &Facts<'_>,
        now: Timestamp,
    ) -> Self {
        let mut decision = Self {
            policy: Arc::clone(policy),
            realm: facts.realm.map(str::to_owned),
            stage: Stage::Refused(Refused::nothing()),
            unmet: None,
            withdrawn: None,
        };
        let proved = facts.client.and_then(Client::proved);
        let possessions = possessions(proved.as_deref(), facts.binding);
        let nobody = Memo::default();
        let memo = facts.client.map_or(&nobody, Client::memo);
        let request = Request { authorization: facts.authorization, possessions, now };
        decision.stage = match decide(&request, policy, process.cache(), memo) {
            Step::Done(verdict) => decision.conclude(verdict),
            Step::Blocked(needed) => Stage::Blocked(Blocked {
                needed,
                process: Arc::clone(process),
                authorization: facts.authorization.iter().map(|value| value.to_vec()).collect(),
                proved,
                binding: facts.binding.cloned(),
            }),
        };
        decision
    }

    /// The refusal of a request that was refused before its token was looked at.
    #[must_use]
    pub fn refused(policy: &Arc<Policy>, refusal: &Refusal) -> Self {
        let mut decision = Self {
            policy: Arc::clone(policy),
            realm: None,
            stage: Stage::Refused(Refused::nothing()),
            unmet: None,
            withdrawn: None,
        };
        decision.refuse(refusal, None);
        decision
    }

    /// The refusal of a request that could not be decided.
    #[must_use]
    pub fn failed(policy: &Arc<Policy>, detail: impl std::fmt::Display) -> Self {
        Self::refused(policy, &Refusal::with_detail(Reason::InternalError, detail))
    }

    /// How far it has come.
    #[must_use]
    pub const fn state(&self) -> State {
        match self.stage {
            Stage::Refused(_) => State::Refuse,
            Stage::Granted(_) => State::Grant,
            Stage::Blocked(_) => State::Blocked,
        }
    }

    /// Waits for the keys that a blocked request needs, and decides. `clock` is read afterwards.
    pub fn wait(&mut self, clock: impl FnOnce() -> Timestamp) {
        let Stage::Blocked(blocked) =
            std::mem::replace(&mut self.stage, Stage::Refused(Refused::nothing()))
        else {
            return self
                .refuse(&Refusal::with_detail(Reason::InternalError, "waited without need"), None);
        };
        let limit = self.policy.settings().key_wait.duration();
        match blocked.process.newer_keys(&blocked.needed.ring, limit) {
            // Current, too: the fetch may have ended between the look at the keys and the question.
            Answer::Refreshed | Answer::Current => self.decide_again(&blocked, clock(), None),
            Answer::Unavailable(seconds) => self.decide_again(&blocked, clock(), Some(seconds)),
        }
    }

    fn decide_again(&mut self, blocked: &Blocked, now: Timestamp, unavailable: Option<u64>) {
        let authorization: Vec<&[u8]> = blocked.authorization.iter().map(Vec::as_slice).collect();
        let possessions = possessions(blocked.proved.as_deref(), blocked.binding.as_ref());
        let request = Request { authorization: &authorization, possessions, now };
        match decide(&request, &self.policy, blocked.process.cache(), &Memo::default()) {
            Step::Done(verdict) => self.stage = self.conclude(verdict),
            Step::Blocked(needed) => self.give_up(&needed, unavailable),
        }
    }

    /// There are no newer keys. If the issuer said so itself, the token is refused; if it could
    /// not be asked, nobody knows whether the token is good.
    fn give_up(&mut self, needed: &NeededKeys, unavailable: Option<u64>) {
        match (&needed.otherwise, unavailable) {
            (Some(refusal), None) => self.refuse(refusal, None),
            (_, seconds) => {
                self.refuse(&Reason::KeysUnavailable.into(), Some(seconds.unwrap_or(1)))
            }
        }
    }

    /// Refuses a blocked request, since too many others wait already.
    pub fn overload(&mut self) {
        self.refuse(&Reason::Overloaded.into(), Some(1));
    }

    /// Refuses a request that could not be decided on.
    pub fn fail(&mut self, detail: impl std::fmt::Display) {
        self.refuse(&Refusal::with_detail(Reason::InternalError, detail), None);
    }

    /// Whether a grant meets `requirement`; if not, that is remembered for the challenge, unless
    /// the requirement is negated: then a token that meets it is what is not wanted.
    pub fn meets(&mut self, requirement: &Requirement, negated: bool) -> bool {
        let Stage::Granted(verified) = &self.stage else { return false };
        // The challenge tells of the last requirement, unless an alternative to it held.
        self.unmet = requirement
            .check(verified)
            .err()
            .map(|refusal| (refusal, requirement.scopes().to_vec()));
        let holds = self.unmet.is_none();
        if negated {
            self.unmet = None;
        }
        holds
    }

    /// Whether a grant meets what its location requires; if not, it is refused.
    pub fn suffices(&mut self) -> bool {
        let Stage::Granted(verified) = &self.stage else { return false };
        let settings = self.policy.settings();
        let checked = settings
            .require_scope
            .check(verified)
            .and_then(|()| settings.require_claim.check(verified))
            .and_then(|()| settings.require_proof.check(verified));
        let Err(refusal) = checked else { return true };
        self.unmet = Some((refusal, settings.require_scope.0.clone()));
        self.insufficient();
        false
    }

    /// Turns a grant into the refusal of a request whose token did not suffice.
    pub fn insufficient(&mut self) {
        let (refusal, scopes) =
            self.unmet.take().unwrap_or_else(|| (Reason::UserMissing.into(), Vec::new()));
        let context = Context { realm: self.realm.as_deref(), scopes: &scopes, retry_after: None };
        let refused = Stage::Refused(Refused::new(&refusal, &self.policy, &context));
        if let Stage::Granted(verified) = std::mem::replace(&mut self.stage, refused) {
            self.withdrawn = Some(verified);
        }
    }

    /// The status of a refusal.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match &self.stage {
            Stage::Refused(refused) => refused.status,
            Stage::Granted(_) | Stage::Blocked(_) => Reason::InternalError.status(),
        }
    }

    /// The body of a refusal.
    #[must_use]
    pub fn body(&self) -> &str {
        match &self.stage {
            Stage::Refused(refused) => &refused.body,
            Stage::Granted(_) | Stage::Blocked(_) => "",
        }
    }

    /// Makes a refusal the end of a gRPC call, if the request is one by its `Content-Type` and its
    /// version of HTTP (1000 times the major number and the minor one). Such a refusal is sent with
    /// 200 and gRPC's media type, its effects and no body; [`status`](Self::status) remains what
    /// it would be otherwise.
    pub fn tell_grpc(&mut self, content_type: &[u8], version: u32) -> bool {
        let Stage::Refused(refused) = &mut self.stage else { return false };
        if !refused.grpc && grpc::is_call(content_type, version) {
            refused.grpc = true;
            refused.body.clear();
            refused.effects.extend(grpc::effects(refused.reason));
        }
        refused.grpc
    }

    /// The log line of a refusal, with its level.
    #[must_use]
    pub const fn line(&self) -> Option<(&CString, Level)> {
        match &self.stage {
            Stage::Refused(refused) => Some((&refused.line, level(refused.reason))),
            Stage::Granted(_) | Stage::Blocked(_) => None,
        }
    }

    /// What is done to the request and its response.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        match &self.stage {
            Stage::Refused(refused) => &refused.effects,
            Stage::Granted(verified) => verified.effects(),
            Stage::Blocked(_) => &[],
        }
    }

    fn conclude(&self, verdict: Verdict) -> Stage {
        match verdict {
            Verdict::Grant(verified) => Stage::Granted(verified),
            Verdict::Refuse(refusal) => {
                Stage::Refused(Refused::new(&refusal, &self.policy, &self.context(None)))
            }
        }
    }

    fn refuse(&mut self, refusal: &Refusal, retry_after: Option<u64>) {
        self.stage =
            Stage::Refused(Refused::new(refusal, &self.policy, &self.context(retry_after)));
    }

    fn context(&self, retry_after: Option<u64>) -> Context<'_> {
        Context { realm: self.realm.as_deref(), scopes: &[], retry_after }
    }
}

pub(super) fn possessions<'a>(
    proved: Option<&'a Proved>,
    binding: Option<&'a Binding>,
) -> Possessions<'a> {
    Possessions {
        certificate: proved.map(Proved::certificate),
        token_binding: binding.and_then(Binding::token_bindings),
    }
}

/// A request without a token is how clients begin, and no event; anything else a client gets
/// wrong is worth a look, and what we or others get wrong is an error.
const fn level(reason: Reason) -> Level {
    match (reason, reason.fault()) {
        (Reason::TokenMissing, _) => Level::Info,
        (_, Fault::Client) => Level::Warn,
        (_, Fault::Operator | Fault::Upstream | Fault::Ours) => Level::Error,
    }
}

impl Refused {
    fn new(refusal: &Refusal, policy: &Policy, context: &Context<'_>) -> Self {
        let reason = refusal.reason();
        let style = policy.settings().error_body;
        Self {
            reason,
            status: challenge::status(reason, style),
            effects: challenge::effects(refusal, policy, context),
            body: challenge::body(reason, style),
            line: CString::new(refusal.to_string()).unwrap_or_default(),
            grpc: false,
        }
    }

    /// The refusal that stands until there is another: nothing is granted in between.
    fn nothing() -> Self {
        Self {
            reason: Reason::InternalError,
            status: Reason::InternalError.status(),
            effects: Vec::new(),
            body: String::new(),
            line: CString::default(),
            grpc: false,
        }
    }
}
