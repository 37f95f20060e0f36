//! A private key in a token.

use std::mem;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use openssl::pkey::{PKey, Public};

use super::library::Library;
use super::login::Login;
use super::session::KeySession;
use super::uri::Pkcs11Uri;
use super::{Pkcs11Fault, RefusedPins, public_half};
use crate::jose::{Algorithm, HardwareKey, Key, SigningKey};

/// How often opening a session is tried, with pauses, before it has failed.
const TRIES: u32 = 10;
/// The first pause; each is longer than the one before by as much, and by up to as much again.
const PAUSE: Duration = Duration::from_millis(20);
/// Sessions kept open for the next signature. More threads than this may sign at a time; they wait
/// for a session to be opened.
const IDLE_SESSIONS: usize = 8;
/// What is signed to try a key. It is no JWS, so the signature is good for nothing else.
const TRIAL: &[u8] = b"auth-bound tries whether this key signs";

/// A private key in a token, found by a PKCS #11 URI (RFC 7512).
///
/// Each process logs in on its own when it signs for the first time. When a session is lost, since
/// the token was pulled out and put back, a new one is opened.
pub struct Pkcs11Key {
    uri: Pkcs11Uri,
    login: Login,
    public: PKey<Public>,
    library: Arc<Library>,
    sessions: Mutex<Sessions>,
    opening: Mutex<Opening>,
}

impl Pkcs11Key {
    /// Finds the key and tries it: reads the PIN, logs in, signs once and verifies that with the
    /// key's public half. Afterwards the library is finalized, so that the process may fork.
    /// Without `algorithm` the type's first is taken (RS256 for RSA); without `key_id` the key is
    /// named by its thumbprint (RFC 7638).
    ///
    /// # Errors
    /// [`Pkcs11Fault`]: why the key cannot be used.
    pub fn open(
        uri: &str,
        algorithm: Option<Algorithm>,
        key_id: Option<&str>,
    ) -> Result<SigningKey, Pkcs11Fault> {
        Self::open_beside(uri, algorithm, key_id, &Arc::default())
    }

    /// Like [`open`](Self::open), for one of several keys: what a token has `refused` is tried
    /// with none of them any more, nor by processes that are forked afterwards.
    ///
    /// # Errors
    /// [`Pkcs11Fault`]: why the key cannot be used.
    pub fn open_beside(
        uri: &str,
        algorithm: Option<Algorithm>,
        key_id: Option<&str>,
        refused: &Arc<RefusedPins>,
    ) -> Result<SigningKey, Pkcs11Fault> {
        let uri = Pkcs11Uri::parse(uri)?;
        let login = Login::read(uri.pin_source.as_deref(), refused)?;
        let library = Library::at(&uri.module_path)?;
        let session = opened(&library, &uri, &login, TRIES)?;
        let public = public_half::read(&session)?;
        let (sessions, opening) = (Mutex::new(Sessions::none()), Mutex::default());
        let key = Self { uri, login, public: public.clone(), library, sessions, opening };
        let signing = SigningKey::in_hardware(public, "", algorithm, Arc::new(key))?;
        let name = match key_id {
            Some(name) => name.to_owned(),
            None => signing.thumbprint()?.to_string(),
        };
        let signing = signing.with_key_id(&name);
        session.check(signing.algorithm())?;
        let signature = session.sign(signing.algorithm(), TRIAL)?;
        let jwk = Key::from_jwk(signing.public_jwk()?).map_err(|_| Pkcs11Fault::NoPublicHalf)?;
        if jwk.verify(signing.algorithm(), TRIAL, &signature) {
            Ok(signing)
        } else {
            Err(Pkcs11Fault::OtherKey)
        }
    }

    fn idle(&self) -> Option<KeySession> {
        self.sessions().idle.pop()
    }

    fn keep(&self, session: KeySession) {
        let mut sessions = self.sessions();
        if sessions.idle.len() < IDLE_SESSIONS {
            sessions.idle.push(session);
        }
    }

    /// Opens a session. One at a time, and none once a PIN was refused: a token locks itself after
    /// a few.
    fn fresh(&self) -> Result<KeySession, Pkcs11Fault> {
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if opening.process != process::id() {
            *opening = Opening { process: process::id(), ..Opening::default() };
        }
        if let Some(refusal) = &opening.refusal {
            return Err(Pkcs11Fault::Call(refusal.clone()));
        }
        // Who waits for a device that is gone should not wait for those before as well.
        let tries = if opening.failing { 1 } else { TRIES };
        let opened = opened(&self.library, &self.uri, &self.login, tries);
        opening.failing = opened.is_err();
        if let Err(fault) = &opened
            && fault.is_of_the_pin()
        {
            opening.refusal = Some(format!("{fault}; not tried again before the next reload"));
        }
        let session = opened?;
        // The token may have been filled anew under the same names.
        if public_half::read(&session)?.public_eq(&self.public) {
            Ok(session)
        } else {
            Err(Pkcs11Fault::OtherKey)
        }
    }

    /// Forgets the sessions of a library that somebody else has finalized. They have ended, and to
    /// close them would close whichever others have their numbers by now.
    fn forget(&self, session: KeySession) {
        mem::forget(session);
        mem::forget(mem::take(&mut self.sessions().idle));
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.process != process::id() {
            *sessions = Sessions::none();
        }
        sessions
    }
}

impl HardwareKey for Pkcs11Key {
    fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Result<Vec<u8>, String> {
        if let Some(session) = self.idle() {
            match session.sign(algorithm, input) {
                Ok(signature) => {
                    self.keep(session);
                    return Ok(signature);
                }
                Err(Pkcs11Fault::NotInitialized) => self.forget(session),
                Err(_) => {}
            }
        }
        // The first signature of this process, or a session that is lost.
        let signed = self.fresh().and_then(|session| {
            let signature = session.sign(algorithm, input)?;
            self.keep(session);
            Ok(signature)
        });
        signed.map_err(|fault| fault.to_string())
    }
}

/// What one process has open.
struct Sessions {
    /// The process. Sessions mean nothing in another one.
    process: u32,
    idle: Vec<KeySession>,
}

impl Sessions {
    fn none() -> Self {
        Self { process: process::id(), idle: Vec::new() }
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        if self.process != process::id() {
            // Closing them would close whichever sessions of this process have the same numbers.
            mem::forget(mem::take(&mut self.idle));
        }
    }
}

/// What one process knows about opening sessions.
#[derive(Default)]
struct Opening {
    /// The process.
    process: u32,
    /// The last time it failed.
    failing: bool,
    /// Why no session is opened any more.
    refusal: Option<String>,
}

/// Opens a session, in up to `tries` tries where a fault may pass. SoftHSM shows no token, or a
/// broken one, to who looks while another process logs in; and all processes of a server begin
/// together.
fn opened(
    library: &Arc<Library>,
    uri: &Pkcs11Uri,
    login: &Login,
    tries: u32,
) -> Result<KeySession, Pkcs11Fault> {
    for tried in 1..tries {
        match KeySession::open(library, uri, login) {
            Err(Pkcs11Fault::NotInitialized) => library.revive()?,
            Err(fault) if fault.may_pass() => thread::sleep(pause(tried)),
            opened => return opened,
        }
    }
    KeySession::open(library, uri, login)
}

/// The pause after so many tries, by chance a longer or a shorter one: those who were in each
/// other's way should not meet again.
fn pause(tried: u32) -> Duration {
    let mut chance = [0];
    // Without chance it is the shortest.
    let _ = openssl::rand::rand_bytes(&mut chance);
    let [chance] = chance;
    let longer = PAUSE.checked_div(255).unwrap_or_default().saturating_mul(chance.into());
    PAUSE.saturating_mul(tried).saturating_add(longer)
}
