//! One reading of the server's configuration: its scopes, the sources of its issuers' keys, the
//! names that it exports.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Scope;
use super::cookies::CookieRefusals;
use super::files::Files;
use super::token_service::{Material, TokenService, check_client_names};
use crate::directive::value::{ClientEntry, IssuerEntry, KeyLocation, Toggle};
use crate::directive::{DIRECTIVES, Draft, Settings};
use crate::export::ScrubList;
use crate::jose::KeyRing;
use crate::outbound::{Fetcher, KeyMemory, SharedReplayStore, Source};
use crate::policy::Policy;
use crate::refusal::{Reason, Refusal};

/// Most combinations of sections kept that were met only while serving requests. Independent
/// sections combine in as many ways as a client's requests can make them.
const MAX_LATE_MERGES: usize = 4_096;

/// The scope that two make together.
#[derive(Debug)]
pub enum Merged {
    /// It lives as long as the configuration.
    Kept(Arc<Scope>),
    /// It lives as long as the caller keeps it.
    Given(Arc<Scope>),
}

/// One reading of the configuration. Complete before the first request.
#[derive(Default)]
pub struct Configuration {
    scopes: Mutex<Vec<Arc<Scope>>>,
    sources: Mutex<Vec<Arc<Source>>>,
    exported: Mutex<Vec<String>>,
    scrub: OnceLock<ScrubList>,
    memory: OnceLock<Arc<KeyMemory>>,
    replays: OnceLock<Arc<SharedReplayStore>>,
    files: Files,
    cookie_refusals: CookieRefusals,
    next_scope: AtomicUsize,
    late_merges: AtomicUsize,
    next_policy: AtomicU64,
}

impl Configuration {
    /// An empty configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A scope without directives, which lives as long as the configuration; none once it has been
    /// read (httpd asks for one even for a directive that it then does not allow in .htaccess).
    #[must_use]
    pub fn scope(&self) -> Option<Arc<Scope>> {
        self.scrub.get().is_none().then(|| self.adopt(Draft::default()))
    }

    fn number(&self) -> usize {
        self.next_scope.fetch_add(1, Ordering::Relaxed)
    }

    fn adopt(&self, draft: Draft) -> Arc<Scope> {
        let scope = Arc::new(Scope::new(self.number(), draft));
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&scope));
        scope
    }

    /// Takes the directive that is number `directive` of [`DIRECTIVES`].
    ///
    /// # Errors
    /// What it got and what it expected, or why the file it names cannot be used.
    pub fn set(&self, scope: &Scope, directive: usize, arguments: &[&str]) -> Result<(), String> {
        let mut draft = scope.draft();
        draft.set(directive, arguments).map_err(|fault| fault.to_string())?;
        let settings = draft.settle().map_err(|fault| fault.to_string())?;
        self.look_at_files(DIRECTIVES.get(directive).map_or("", |row| row.name), &settings).map_err(
            |reason| {
                format!(
                    "got \"{}\", which cannot be used: {reason}",
                    arguments.join(" ").escape_default()
                )
            },
        )
    }

    /// Opens what a directive names while the server can still refuse to start.
    fn look_at_files(&self, name: &str, settings: &Settings) -> Result<(), String> {
        match name {
            "issuer" => {
                settings.issuer.0.iter().try_for_each(|entry| self.source(&entry.keys).map(drop))
            }
            "jwks-ca" => self.files.read_ca(&settings.jwks_ca),
            "cookie-secret" => self.files.secrets(&settings.cookie_secret).map(drop),
            "sts-signing-key" => self.files.signing_keys(&settings.sts_signing_key).map(drop),
            "sts-credentials" => self.files.credentials(&settings.sts_credentials).map(drop),
            "sts-client" => settings
                .sts_client
                .0
                .iter()
                .filter_map(ClientEntry::key_location)
                .try_for_each(|location| self.source(location).map(drop)),
            "export-claim" | "export-header" | "token-binding-variable" => {
                let named = settings
                    .export_claim
                    .0
                    .iter()
                    .chain(&settings.export_header.0)
                    .map(|(_, name)| name.clone())
                    .chain(settings.token_binding_variable.names().map(str::to_owned));
                self.exported.lock().unwrap_or_else(PoisonError::into_inner).extend(named);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The token endpoint of a scope, made when it is first asked for.
    ///
    /// # Errors
    /// [`Reason::PolicyIncomplete`] with what is missing.
    pub fn token_service<'s>(&self, scope: &'s Scope) -> Result<&'s Arc<TokenService>, Refusal> {
        let made = scope.service_cell().get_or_init(|| {
            let policy = self.policy(scope).ok_or("the settings do not hold together")?;
            check_client_names(policy.settings())?;
            self.make_token_service(policy).map(Arc::new)
        });
        made.as_ref().map_err(|missing| Refusal::with_detail(Reason::PolicyIncomplete, missing))
    }

    /// Whether there can be a token endpoint, all scopes taken together. Names are another matter:
    /// two hosts may each have clients of their own, so only the scopes that have a list of them
    /// are looked at, one by one.
    ///
    /// # Errors
    /// What is missing everywhere.
    pub fn token_service_somewhere(&self) -> Result<(), Refusal> {
        let missing = |missing| Refusal::with_detail(Reason::PolicyIncomplete, missing);
        let union = Scope::new(self.number(), self.union());
        let policy = self.policy(&union).ok_or_else(|| missing("no settings".to_owned()))?;
        self.make_token_service(policy).map_err(missing)?;
        let scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = scopes.iter().filter_map(|scope| scope.draft().settle().ok());
        let mut lists = settled.filter(|settings| !settings.sts_client.0.is_empty());
        lists.try_for_each(|settings| check_client_names(&settings)).map_err(missing)
    }

    fn make_token_service(&self, policy: &Arc<Policy>) -> Result<TokenService, String> {
        let settings = policy.settings();
        let material = Material {
            keys: self.files.signing_keys(&settings.sts_signing_key)?,
            credentials: self.files.credentials(&settings.sts_credentials)?,
            ring: &|location| self.ring(location),
        };
        TokenService::new(policy, &material)
    }

    /// How often this process refused a cookie.
    #[must_use]
    pub const fn cookie_refusals(&self) -> &CookieRefusals {
        &self.cookie_refusals
    }

    /// The fetcher that `settings` describe.
    #[must_use]
    pub fn fetcher(&self, settings: &Settings) -> Fetcher {
        Fetcher::new(self.files.ca(), settings.jwks_timeout.duration())
    }

    /// The source of the keys at `location`: one, however many scopes name it.
    fn source(&self, location: &KeyLocation) -> Result<Arc<Source>, String> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.iter().find(|source| source.location() == location) {
            return Ok(Arc::clone(source));
        }
        let source = Arc::new(Source::new(location.clone()));
        source.prepare().map_err(|error| error.to_string())?;
        sources.push(Arc::clone(&source));
        Ok(source)
    }

    /// Every source of keys.
    #[must_use]
    pub fn sources(&self) -> Vec<Arc<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The scope that holds where `inner` stands inside of `outer`. The configuration keeps it, but
    /// for the combinations past a limit that requests bring about: those belong to the caller.
    #[must_use]
    pub fn merge(&self, outer: &Scope, inner: &Scope) -> Merged {
        if let Some(known) = inner.known_inside(outer) {
            return Merged::Kept(known);
        }
        let draft = outer.draft().merge(&inner.draft());
        let settled = self.scrub.get().is_some();
        if settled && self.late_merges.fetch_add(1, Ordering::Relaxed) >= MAX_LATE_MERGES {
            return Merged::Given(Arc::new(Scope::new(self.number(), draft)));
        }
        Merged::Kept(inner.learn_inside(outer, &self.adopt(draft)))
    }

    /// The rules of a scope, settled when they are first asked for.
    #[must_use]
    pub fn policy<'s>(&self, scope: &'s Scope) -> Option<&'s Arc<Policy>> {
        if let Some(policy) = scope.policy_cell().get() {
            return Some(policy);
        }
        let settings = scope.draft().settle().ok()?;
        Some(scope.policy_cell().get_or_init(|| Arc::new(self.make_policy(settings))))
    }

    /// Whether all scopes taken together have what a check of tokens needs: if not, no place can.
    ///
    /// # Errors
    /// What is missing.
    pub fn complete_somewhere(&self) -> Result<(), Refusal> {
        let settings = self
            .union()
            .settle()
            .map_err(|fault| Refusal::with_detail(Reason::InternalError, fault))?;
        Policy::from_settings(0, settings, |_| Arc::default()).complete()
    }

    /// What all scopes say, as if they stood inside of each other.
    fn union(&self) -> Draft {
        let scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.iter().fold(Draft::default(), |union, scope| union.merge(&scope.draft()))
    }

    /// Whether there is a secret wherever cookies are protected, all scopes taken together.
    ///
    /// # Errors
    /// What is missing.
    pub fn cookies_complete_somewhere(&self) -> Result<(), Refusal> {
        let scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = scopes.iter().filter_map(|scope| scope.draft().settle().ok());
        let (mut protects, mut has_secret) = (false, false);
        for settings in settled {
            protects |= !settings.cookie.0.is_empty();
            has_secret |= !settings.cookie_secret.0.is_empty();
        }
        if has_secret || !protects {
            return Ok(());
        }
        let missing = "no cookie-secret is configured";
        Err(Refusal::with_detail(Reason::PolicyIncomplete, missing))
    }

    /// Every location was opened when its directive was read; without a source there are no keys,
    /// and nothing verifies.
    fn ring(&self, location: &KeyLocation) -> Arc<KeyRing> {
        self.source(location).map(|source| Arc::clone(source.ring())).unwrap_or_default()
    }

    fn make_policy(&self, settings: Settings) -> Policy {
        let id = self.next_policy.fetch_add(1, Ordering::Relaxed);
        let ring = |entry: &IssuerEntry| self.ring(&entry.keys);
        // Every file was read when its directive was; without a ring no cookie is let through.
        let secrets = self.files.secrets(&settings.cookie_secret).ok();
        Policy::from_settings(id, settings, ring).with_secrets(secrets)
    }

    /// Shares the memory of keys with the server's other processes and readings.
    pub fn share(&self, memory: KeyMemory) {
        self.memory.get_or_init(|| Arc::new(memory));
    }

    /// The memory of keys, if there is one.
    #[must_use]
    pub fn memory(&self) -> Option<Arc<KeyMemory>> {
        self.memory.get().map(Arc::clone)
    }

    /// Shares the memory of used assertions with the server's other processes and readings.
    pub fn share_replays(&self, store: SharedReplayStore) {
        self.replays.get_or_init(|| Arc::new(store));
    }

    /// The memory of used assertions, if there is one.
    #[must_use]
    pub fn replays(&self) -> Option<Arc<SharedReplayStore>> {
        self.replays.get().map(Arc::clone)
    }

    /// Ends the reading.
    pub fn settle(&self) {
        let exported = self.exported.lock().unwrap_or_else(PoisonError::into_inner);
        self.scrub.get_or_init(|| ScrubList::new(exported.iter().map(String::as_str)));
    }

    /// Whether an incoming header of this name is to be removed.
    #[must_use]
    pub fn strips(&self, name: &[u8]) -> bool {
        self.scrub.get_or_init(|| ScrubList::new([])).contains(name)
    }

    /// A toggle of a scope, by its directive's number.
    #[must_use]
    pub fn is_on(&self, scope: &Scope, directive: usize) -> bool {
        let Some(settings) = self.policy(scope).map(|policy| policy.settings()) else {
            return false;
        };
        let toggle = match DIRECTIVES.get(directive).map_or("", |row| row.name) {
            "access" => settings.access,
            "bearer" => settings.bearer,
            "token-binding" => settings.token_binding,
            _ => Toggle(false),
        };
        toggle.0
    }

    /// A word of a scope, by its directive's number.
    #[must_use]
    pub fn word<'s>(&self, scope: &'s Scope, directive: usize) -> &'s str {
        let Some(settings) = self.policy(scope).map(|policy| policy.settings()) else { return "" };
        match DIRECTIVES.get(directive).map_or("", |row| row.name) {
            "thread-pool" => &settings.thread_pool.0,
            "realm" => &settings.realm.0,
            _ => "",
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test may")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::jose::{Algorithm, SigningKey};

    /// A configuration with a token endpoint in each of these hosts.
    fn hosts(name: &str, hosts: &[&[&str]]) -> (Configuration, Vec<Arc<Scope>>) {
        let path = std::env::temp_dir().join(format!("sts-{name}-{}.pem", std::process::id()));
        let key = SigningKey::generate(Algorithm::ES256, "k").unwrap();
        fs::write(&path, key.to_pem().unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let key = format!("sts-signing-key {}", path.display());
        let shared = [
            "sts-issuer https://as.example",
            &key,
            "issuer https://idp.example jwks-uri https://idp.example/jwks",
            "audience https://as.example",
        ];
        let configuration = Configuration::new();
        let mut scopes = Vec::new();
        for lines in hosts {
            let scope = configuration.scope().unwrap();
            for line in shared.iter().chain(*lines) {
                let words: Vec<_> = line.split(' ').collect();
                let (name, arguments) = words.split_first().unwrap();
                let row = DIRECTIVES.iter().position(|row| row.name == *name).unwrap();
                configuration.set(&scope, row, arguments).unwrap();
            }
            scopes.push(scope);
        }
        let _ = fs::remove_file(&path);
        (configuration, scopes)
    }

    #[test]
    fn hosts_have_clients_of_their_own() {
        let one = &["sts-client a none", "sts-default-client a", "sts-rule audience=x client=a"];
        let other = &["sts-client b none", "sts-rule audience=x client=b"];
        for order in [[&one[..], &other[..]], [&other[..], &one[..]]] {
            let (configuration, scopes) = hosts("own", &order);
            configuration.token_service_somewhere().unwrap();
            for scope in &scopes {
                configuration.token_service(scope).unwrap();
            }
        }
    }

    #[test]
    fn a_name_that_is_no_clients_is_found_before_there_are_requests() {
        for (lines, says) in [
            (
                &["sts-client a none", "sts-default-client b", "sts-rule audience=x"][..],
                "sts-default-client names the client b, of which no sts-client tells",
            ),
            (
                &["sts-client a none", "sts-rule audience=x client=a client=A"],
                "sts-rule names the client A, of which no sts-client tells",
            ),
            (&["sts-rule audience=x"], "no sts-client applies here"),
            (&["sts-client a none"], "no sts-rule applies here"),
        ] {
            let (configuration, scopes) = hosts("name", &[lines]);
            let somewhere = configuration.token_service_somewhere().unwrap_err().to_string();
            let here = configuration.token_service(&scopes[0]).unwrap_err().to_string();
            assert!(here.contains(says), "{here}");
            assert_eq!(here, somewhere);
        }
    }
}
