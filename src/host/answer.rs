//! The answer of an endpoint that the module itself answers for: the token endpoint and the
//! documents about it.

use std::ffi::CString;
use std::sync::Arc;

use super::client::Proved;
use super::decision::possessions;
use super::token_service::TokenService;
use super::{Binding, Client, Process};
use crate::effect::{Effect, Target};
use crate::exchange::{
    self, Denial, DenialReason, Failure, Grant, Issued, Needed, NoReplayStore, ReplayStore,
    Request, Response,
};
use crate::jose::KeyRing;
use crate::outbound::{self, Level, Patience};
use crate::refusal::{Fault, Refusal, repeatable};
use crate::token::Timestamp;

/// Which endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The token endpoint.
    TokenExchange,
    /// The JWK Set.
    JwkSet,
    /// The metadata.
    Metadata,
}

/// A request to an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// The client of its connection, if that has TLS.
    pub client: Option<&'a Client>,
    /// What it proved by Token Binding.
    pub binding: Option<&'a Binding>,
    /// The server's word on the chain of the client's certificate; both have the same.
    pub verified: &'a [u8],
    /// The HTTP method.
    pub method: &'a str,
    /// The value of `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// The values of its `Authorization` headers.
    pub authorization: &'a [&'a [u8]],
    /// The body.
    pub body: &'a [u8],
    /// Whether there is more of it, which was not read.
    pub truncated: bool,
    /// The realm of a challenge; the issuer where the place has none.
    pub realm: Option<&'a str>,
}

impl Call<'_> {
    /// Whether who issued the certificate is trusted, and it was not only let pass.
    fn chain_verified(&self) -> bool {
        self.verified == b"SUCCESS"
    }
}

/// Reads the time.
pub type Clock = fn() -> Timestamp;

/// An answer, perhaps one that is still to be waited for.
pub struct Answer {
    stage: Stage,
}

enum Stage {
    Answered(Answered),
    Waiting(Box<Waiting>),
    Signing(Box<Signing>),
}

struct Answered {
    status: u16,
    media_type: String,
    headers: Vec<Effect>,
    body: String,
    line: Option<(CString, Level)>,
}

/// A request that waits for keys, with its own copies of what it is about.
struct Waiting {
    place: Place,
    realm: String,
    request: Kept,
    needed: Needed,
}

/// A granted request whose tokens a key in hardware is to sign.
struct Signing {
    place: Place,
    realm: String,
    grant: Grant,
}

/// A request's own copies.
struct Kept {
    method: String,
    content_type: Option<Vec<u8>>,
    authorization: Vec<Vec<u8>>,
    body: Vec<u8>,
    proved: Option<Arc<Proved>>,
    binding: Option<Binding>,
    chain_verified: bool,
}

/// Where a request is answered.
#[derive(Clone)]
struct Place {
    process: Arc<Process>,
    service: Arc<TokenService>,
}

impl Answer {
    /// Answers `call`. What must be waited for is left to [`wait`](Self::wait).
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        process: &Arc<Process>,
        service: &Arc<TokenService>,
        call: &Call<'_>,
        clock: Clock,
    ) -> Self {
        match endpoint {
            Endpoint::TokenExchange => {
                let place = Place { process: Arc::clone(process), service: Arc::clone(service) };
                place.exchange(call, clock)
            }
            Endpoint::JwkSet => {
                document(service, call, "application/jwk-set+json", service.jwk_set())
            }
            Endpoint::Metadata => document(service, call, "application/json", service.metadata()),
        }
    }

    /// The answer where the configuration does not suffice.
    #[must_use]
    pub fn incomplete(missing: Refusal) -> Self {
        let denial = Denial::caused(DenialReason::PolicyIncomplete, missing);
        Answered::denied(&denial, &exchange::Answer::default()).into()
    }

    /// The answer to a request that could not be decided.
    #[must_use]
    pub fn failed(detail: impl std::fmt::Display) -> Self {
        let denial = Denial::with_detail(DenialReason::InternalError, detail);
        Answered::denied(&denial, &exchange::Answer::default()).into()
    }

    /// Whether it is still to be waited for.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        match self.stage {
            Stage::Answered(_) => false,
            Stage::Waiting(_) | Stage::Signing(_) => true,
        }
    }

    /// Waits for keys or for a signature, and answers.
    pub fn wait(&mut self, clock: Clock) {
        let failed =
            Answered::denied(&DenialReason::InternalError.into(), &exchange::Answer::default());
        *self = match std::mem::replace(&mut self.stage, Stage::Answered(failed)) {
            Stage::Answered(answered) => answered.into(),
            Stage::Waiting(waiting) => waiting.wait(clock),
            Stage::Signing(signing) => signing.place.sign(&signing.grant, &signing.realm).into(),
        };
    }

    /// Answers what would have to be waited for, since too many others wait already.
    pub fn overload(&mut self) {
        let (place, realm) = match &self.stage {
            Stage::Answered(_) => return,
            Stage::Waiting(waiting) => (&waiting.place, &waiting.realm),
            Stage::Signing(signing) => (&signing.place, &signing.realm),
        };
        *self = place.deny(&DenialReason::Overloaded.into(), realm, Some(1)).into();
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match &self.stage {
            Stage::Answered(answered) => answered.status,
            Stage::Waiting(_) | Stage::Signing(_) => DenialReason::InternalError.status(),
        }
    }

    /// The media type of the body.
    #[must_use]
    pub fn media_type(&self) -> &str {
        self.answered().map_or("", |answered| &answered.media_type)
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &str {
        self.answered().map_or("", |answered| &answered.body)
    }

    /// The other headers.
    #[must_use]
    pub fn headers(&self) -> &[Effect] {
        self.answered().map_or(&[], |answered| &answered.headers)
    }

    /// What is to be logged, with its level.
    #[must_use]
    pub fn line(&self) -> Option<(&CString, Level)> {
        let (line, level) = self.answered()?.line.as_ref()?;
        Some((line, *level))
    }

    const fn answered(&self) -> Option<&Answered> {
        match &self.stage {
            Stage::Answered(answered) => Some(answered),
            Stage::Waiting(_) | Stage::Signing(_) => None,
        }
    }
}

impl From<Answered> for Answer {
    fn from(answered: Answered) -> Self {
        Self { stage: Stage::Answered(answered) }
    }
}

impl Place {
    fn exchange(self, call: &Call<'_>, clock: Clock) -> Answer {
        let proved = call.client.and_then(Client::proved);
        let request = Request {
            method: call.method,
            content_type: call.content_type,
            authorization: call.authorization,
            body: call.body,
            truncated: call.truncated,
            possessions: possessions(proved.as_deref(), call.binding),
            chain_verified: call.chain_verified(),
        };
        let realm =
            call.realm.filter(|realm| !realm.is_empty()).unwrap_or_else(|| self.service.issuer());
        let realm = realm.to_owned();
        if call.client.is_none() {
            return self.deny(&DenialReason::TlsMissing.into(), &realm, None).into();
        }
        match self.decide(&request, clock) {
            Ok(grant) if self.service.signs_in_hardware() => {
                Answer { stage: Stage::Signing(Box::new(Signing { place: self, realm, grant })) }
            }
            Ok(grant) => self.sign(&grant, &realm).into(),
            Err(Failure::Denied(denial)) => self.deny(&denial, &realm, None).into(),
            Err(Failure::NeedsKeys(needed)) => {
                let request = Kept::of(call, proved);
                Answer {
                    stage: Stage::Waiting(Box::new(Waiting {
                        place: self,
                        realm,
                        request,
                        needed,
                    })),
                }
            }
        }
    }

    fn decide(&self, request: &Request<'_>, clock: Clock) -> Result<Grant, Failure> {
        let replays = self.process.replays().map(Arc::as_ref);
        let replays = replays.map_or(&NoReplayStore as &dyn ReplayStore, |shared| shared);
        self.service.server().decide(request, replays, clock())
    }

    fn sign(&self, grant: &Grant, realm: &str) -> Answered {
        let mut randomness = [0; 32];
        let issued = openssl::rand::rand_bytes(&mut randomness)
            .map_err(|errors| Denial::with_detail(DenialReason::InternalError, errors))
            .and_then(|()| grant.issue(&randomness));
        match issued {
            Ok(issued) => Answered::issued(grant, &issued),
            Err(denial) => self.deny(&denial, realm, None),
        }
    }

    fn deny(&self, denial: &Denial, realm: &str, retry_after: Option<u64>) -> Answered {
        let style = self.service.body_style();
        // Every 503 says when to come again.
        let retry_after = Some(retry_after.unwrap_or(1));
        Answered::denied(denial, &exchange::Answer { style, realm, retry_after })
    }
}

impl Waiting {
    /// One request may need the keys of several issuers, each of them once.
    fn wait(self, clock: Clock) -> Answer {
        let Self { place, realm, request, mut needed } = self;
        let mut asked: Vec<Arc<KeyRing>> = Vec::new();
        // All of them together have the time that one request may wait.
        let patience = Patience::of(place.service.key_wait());
        loop {
            let ring = Arc::clone(needed.ring());
            let answer = place.process.newer_keys(&ring, patience.left());
            let unavailable = match answer {
                outbound::Answer::Refreshed | outbound::Answer::Current => None,
                outbound::Answer::Unavailable(seconds) => Some(seconds),
            };
            let denial = match request.with(|request| place.decide(request, clock)) {
                Ok(grant) => return place.sign(&grant, &realm).into(),
                Err(Failure::Denied(denial)) => denial,
                Err(Failure::NeedsKeys(more)) => {
                    let again = asked.iter().any(|known| Arc::ptr_eq(known, more.ring()));
                    if !again && !Arc::ptr_eq(&ring, more.ring()) {
                        asked.push(ring);
                        needed = more;
                        continue;
                    }
                    match unavailable {
                        None => more.give_up(),
                        Some(_) => DenialReason::KeysUnavailable.into(),
                    }
                }
            };
            return place.deny(&denial, &realm, unavailable).into();
        }
    }
}

impl Kept {
    fn of(call: &Call<'_>, proved: Option<Arc<Proved>>) -> Self {
        Self {
            method: call.method.to_owned(),
            content_type: call.content_type.map(<[u8]>::to_vec),
            authorization: call.authorization.iter().map(|value| value.to_vec()).collect(),
            body: call.body.to_vec(),
            proved,
            binding: call.binding.cloned(),
            chain_verified: call.chain_verified(),
        }
    }

    fn with<T>(&self, then: impl FnOnce(&Request<'_>) -> T) -> T {
        let authorization: Vec<&[u8]> = self.authorization.iter().map(Vec::as_slice).collect();
        then(&Request {
            method: &self.method,
            content_type: self.content_type.as_deref(),
            authorization: &authorization,
            body: &self.body,
            truncated: false,
            possessions: possessions(self.proved.as_deref(), self.binding.as_ref()),
            chain_verified: self.chain_verified,
        })
    }
}

impl Answered {
    fn new(response: &Response, line: Option<(String, Level)>) -> Self {
        let is_type = |name: &str| name == "Content-Type";
        let (types, others): (Vec<_>, Vec<_>) =
            response.headers().iter().partition(|(name, _)| is_type(name));
        Self {
            status: response.status(),
            media_type: types.first().map(|(_, value)| value.clone()).unwrap_or_default(),
            headers: others
                .iter()
                .map(|(name, value)| Effect::new(Target::ResponseHeader, name, value))
                .collect(),
            body: response.body().to_owned(),
            line: line.map(|(line, level)| (CString::new(line).unwrap_or_default(), level)),
        }
    }

    fn issued(grant: &Grant, issued: &Issued) -> Self {
        let line = (issue_line(grant, issued), Level::Info);
        Self::new(&Response::of_issued(issued), Some(line))
    }

    fn denied(denial: &Denial, answer: &exchange::Answer<'_>) -> Self {
        let level = match denial.reason().fault() {
            Fault::Client => Level::Warn,
            Fault::Operator | Fault::Upstream | Fault::Ours => Level::Error,
        };
        Self::new(&Response::of_denial(denial, answer), Some((denial.to_string(), level)))
    }
}

/// What an operator can find an issued token by.
fn issue_line(grant: &Grant, issued: &Issued) -> String {
    let bound = grant.confirmation().map_or_else(
        || "unbound".to_owned(),
        |confirmation| format!("bound to {}", confirmation.to_claim()),
    );
    format!(
        "AB4000 token-issued: {} for client {}, subject {}, audience {}, {}, good for {} s, {bound}",
        issued.id(),
        repeatable(grant.client_id()),
        repeatable(grant.subject()),
        repeatable(grant.audiences().join(" ")),
        if issued.refresh_token().is_some() { "with a refresh token" } else { "no refresh token" },
        issued.expires_in(),
    )
}

fn document(service: &TokenService, call: &Call<'_>, media_type: &str, body: &str) -> Answer {
    if matches!(call.method, "GET" | "HEAD") {
        return Answered::new(&Response::of_document(media_type, body), None).into();
    }
    let denial = DenialReason::DocumentMethodNotAllowed.into();
    let style = service.body_style();
    Answered::denied(&denial, &exchange::Answer { style, ..exchange::Answer::default() }).into()
}
