//! The protected cookies of one request and of its response.

use std::borrow::Cow;
use std::ffi::CString;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use openssl::rand::rand_bytes;

use super::{Binding, Client, Configuration};
use crate::cookie::{
    CookieOutcome, OpenedCookies, Possession, PossessionKind, Presented, Request, SealError,
    SealOutcome, host_of, open_request, protects, seal_one,
};
use crate::directive::value::CookieRefusal;
use crate::effect::Effect;
use crate::export;
use crate::outbound::Level;
use crate::policy::Policy;
use crate::refusal::{Reason, Refusal};
use crate::token::Timestamp;

/// Most lines that one request or response writes to the log: a client could name many cookies.
const MOST_LINES: usize = 8;
/// Most characters of a cookie's name that a line repeats.
const MOST_OF_A_NAME: usize = 64;

/// What a request asks for, and who asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visit<'a> {
    /// The client of its connection, if that has TLS.
    pub client: Option<&'a Client>,
    /// What it proved by Token Binding.
    pub binding: Option<&'a Binding>,
    /// The host it names, with or without a port.
    pub host: &'a [u8],
    /// The path as it was sent, without the query.
    pub path: &'a [u8],
    /// The time.
    pub now: Timestamp,
}

/// How often a process refused a cookie, by the reason.
#[derive(Debug)]
pub struct CookieRefusals([AtomicU64; SealError::ALL.len()]);

impl Default for CookieRefusals {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; SealError::ALL.len()])
    }
}

impl CookieRefusals {
    /// Counts one more; the number so far.
    fn count(&self, error: SealError) -> u64 {
        let counter = self.0.get(error as usize);
        counter.map_or(0, |counter| counter.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }
}

/// A line for the log.
pub type Line = (CString, Level);

/// What came of a request's cookies.
#[derive(Debug)]
pub struct Cookies {
    opened: OpenedCookies,
    now: Timestamp,
    /// Made when they are asked for: NGINX seldom does.
    effects: OnceLock<Vec<Effect>>,
    lines: Vec<Line>,
}

/// What became of one of the request's `Cookie` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderChange<'a> {
    /// It stays.
    Keep,
    /// It has another value.
    Replace(&'a [u8]),
    /// It goes.
    Remove,
}

impl Cookies {
    /// Opens the cookies of a request; `headers` are its `Cookie` headers. None if there is nothing
    /// of ours among them.
    ///
    /// # Errors
    /// [`Reason::PolicyIncomplete`]: there is no secret to open them with.
    pub fn open(
        configuration: &Configuration,
        policy: &Policy,
        visit: &Visit<'_>,
        headers: &[&[u8]],
    ) -> Result<Option<Self>, Refusal> {
        if policy.leaves_cookies() {
            return Ok(None);
        }
        let jar = policy.jar()?;
        if !headers.iter().any(|header| jar.rules.may_occur_in(header)) {
            return Ok(None);
        }
        let proved = visit.proved();
        let host = visit.host();
        let opened = open_request(headers, &jar, &visit.request(&host, &proved));
        if opened.headers.is_empty() {
            return Ok(None);
        }
        let counters = configuration.cookie_refusals();
        let line = |(name, error): (&[u8], SealError)| {
            let count = counters.count(error);
            (line(name, error, "is not let through", count), Level::Warn)
        };
        let lines = opened.refused().map(line).take(MOST_LINES).collect();
        Ok(Some(Self { opened, now: visit.now, effects: OnceLock::new(), lines }))
    }

    /// What becomes of the request, if none of its protected cookies counts: `None` lets it go on
    /// without them.
    #[must_use]
    pub fn refusal(&self, policy: &Policy, visit: &Visit<'_>) -> Option<Refusal> {
        let counts = self.opened.cookies.iter().any(|cookie| cookie.result.is_ok());
        // A look-alike is no cookie of the application's; anybody in the domain could set one.
        let refused = self.opened.refused().any(|(_, error)| error != SealError::LookAlike);
        if counts || !refused {
            return None;
        }
        match &policy.settings().cookie_refusal {
            CookieRefusal::Anonymous => None,
            CookieRefusal::Unauthorized => Some(Reason::CookieRefused.into()),
            CookieRefusal::Redirect(target) => {
                let path = target.split(['?', '#']).next().unwrap_or_default();
                (visit.path != path.as_bytes()).then(|| Reason::CookieRedirected.into())
            }
        }
    }

    /// The cookies, for tests and programs.
    #[must_use]
    pub fn outcomes(&self) -> &[CookieOutcome] {
        &self.opened.cookies
    }

    /// What becomes of the `Cookie` header at `index`.
    #[must_use]
    pub fn header(&self, index: usize) -> HeaderChange<'_> {
        use crate::cookie::Change;
        match self.opened.headers.get(index) {
            None | Some(Change::Keep) => HeaderChange::Keep,
            Some(Change::Replace(value)) => HeaderChange::Replace(value),
            Some(Change::Remove) => HeaderChange::Remove,
        }
    }

    /// What they export.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        self.effects.get_or_init(|| export::of_cookies(&self.opened.cookies, self.now))
    }

    /// What is to be logged.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// What became of a response's cookies.
#[derive(Debug)]
pub struct Sealed {
    headers: Vec<Vec<u8>>,
    lines: Vec<Line>,
}

impl Sealed {
    /// Seals the cookies of a response; `headers` are all of its `Set-Cookie` headers, `before` is
    /// what came of the request's. `policies` are those of the places that the request passed, the
    /// last one first: a cookie is sealed by the first that protects it. None if there is nothing of
    /// ours among them.
    ///
    /// # Errors
    /// [`Reason::PolicyIncomplete`]: there is no secret to seal them with.
    pub fn seal(
        configuration: &Configuration,
        policies: &[&Policy],
        visit: &Visit<'_>,
        before: Option<&Cookies>,
        headers: &[&[u8]],
    ) -> Result<Option<Self>, Refusal> {
        let protecting = policies.iter().filter(|policy| !policy.leaves_cookies());
        let jars = protecting.map(|policy| policy.jar()).collect::<Result<Vec<_>, _>>()?;
        let jar_of = |header: &&[u8]| jars.iter().find(|jar| protects(jar.rules, header));
        let protecting: Vec<_> = headers.iter().map(jar_of).collect();
        if protecting.iter().all(Option::is_none) {
            return Ok(None);
        }
        let proved = visit.proved();
        let host = visit.host();
        let nothing = Presented::default();
        let presented = before.map_or(&nothing, |cookies| &cookies.opened.presented);
        let request = visit.request(&host, &proved);
        let mut sealed = Self { headers: Vec::new(), lines: Vec::new() };
        for (header, jar) in headers.iter().zip(protecting) {
            let Some(jar) = jar else {
                sealed.headers.push(header.to_vec());
                continue;
            };
            let (cookies, outcome) = seal_one(header, jar, &request, presented, rand_bytes);
            sealed.headers.extend(cookies.into_iter().map(Cow::into_owned));
            sealed.note(configuration, outcome);
        }
        Ok(Some(sealed))
    }

    /// Counts what was not issued, and has it logged.
    fn note(&mut self, configuration: &Configuration, outcome: Option<SealOutcome>) {
        let Some((outcome, error)) = outcome.and_then(|outcome| {
            let error = outcome.result.err()?;
            Some((outcome, error))
        }) else {
            return;
        };
        let count = configuration.cookie_refusals().count(error);
        if self.lines.len() < MOST_LINES {
            self.lines.push((line(&outcome.name, error, "is not issued", count), Level::Warn));
        }
    }

    /// The headers that the client is to get.
    #[must_use]
    pub fn headers(&self) -> &[Vec<u8>] {
        &self.headers
    }

    /// What is to be logged.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

impl Visit<'_> {
    /// Every key that the client proved.
    fn proved(&self) -> Vec<Possession> {
        let certificate = self.client.and_then(Client::proved).map(|proved| Possession {
            kind: PossessionKind::Certificate,
            hash: proved.certificate().thumbprint(),
        });
        let bindings = self.binding.and_then(Binding::token_bindings);
        let token_binding = bindings.map(|bindings| Possession {
            kind: PossessionKind::TokenBinding,
            hash: bindings.provided().hash(),
        });
        certificate.into_iter().chain(token_binding).collect()
    }

    /// The host in lower case; nothing if there is none, which fits no cookie of a host.
    fn host(&self) -> Cow<'_, str> {
        // As servers mostly give it.
        let plain =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(byte);
        match std::str::from_utf8(self.host) {
            Ok(host) if self.host.iter().all(plain) => Cow::Borrowed(host),
            Ok(_) | Err(_) => Cow::Owned(host_of(self.host).unwrap_or_default()),
        }
    }

    const fn request<'r>(&'r self, host: &'r str, proved: &'r [Possession]) -> Request<'r> {
        Request { host, path: self.path, now: self.now, proved }
    }
}

fn line(name: &[u8], error: SealError, fate: &str, count: u64) -> CString {
    let name: String = String::from_utf8_lossy(name)
        .chars()
        .flat_map(char::escape_default)
        .take(MOST_OF_A_NAME)
        .collect();
    let text = format!(
        "AB{} cookie-{}: the cookie \"{name}\" {fate}: {} ({count} so far in this process)",
        error.number(),
        error.name(),
        error.sentence().trim_end_matches('.'),
    );
    CString::new(text).unwrap_or_default()
}
