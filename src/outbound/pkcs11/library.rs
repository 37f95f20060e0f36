//! A PKCS #11 library, shared by all of a process's keys in it.

use std::mem;
use std::path::Path;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};

use super::Pkcs11Fault;

/// The libraries loaded. They are never unloaded: what they leave behind in the process (handlers
/// at its end, OpenSSL's tables) would then point to nowhere.
static LOADED: Mutex<Vec<Arc<Library>>> = Mutex::new(Vec::new());

/// A library that is loaded, and initialized as long as there is a [`Usage`].
pub(super) struct Library {
    path: Box<Path>,
    functions: Pkcs11,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The process that the rest is about: none of it holds in a forked one.
    process: u32,
    users: usize,
    /// Whether we initialized it. The server's TLS may use the same library for its own keys, and
    /// then its end is not ours to declare.
    ours: bool,
}

impl Library {
    /// The library at `path`.
    pub(super) fn at(path: &Path) -> Result<Arc<Self>, Pkcs11Fault> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = loaded.iter().find(|library| *library.path == *path) {
            return Ok(Arc::clone(library));
        }
        // The loader's words name the file already.
        let functions = Pkcs11::new(path).map_err(|error| {
            Pkcs11Fault::Library(if let Error::LibraryLoading(error) = error {
                error.to_string()
            } else {
                format!("{}: {error}", path.display())
            })
        })?;
        let library = Self { path: path.into(), functions, state: Mutex::default() };
        let library = Arc::new(library);
        loaded.push(Arc::clone(&library));
        Ok(library)
    }

    /// Initializes the library in this process, unless it is.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Usage, Pkcs11Fault> {
        let mut state = self.state();
        let process = process::id();
        if state.process != process {
            let inherited = mem::take(&mut *state).ours;
            state.process = process;
            if inherited {
                // What the parent initialized says so in the child too, and does not work there.
                let _ = self.functions.clone().finalize();
            }
        }
        if state.users == 0 {
            state.ours = self.initialize()?;
        }
        state.users = state.users.saturating_add(1);
        Ok(Usage { library: Arc::clone(self), process })
    }

    /// Initializes the library once more, after somebody else in this process has finalized it.
    pub(super) fn revive(&self) -> Result<(), Pkcs11Fault> {
        let mut state = self.state();
        state.ours |= self.initialize()?;
        Ok(())
    }

    /// Whether it was us.
    fn initialize(&self) -> Result<bool, Pkcs11Fault> {
        match self.functions.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) => Ok(true),
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The library is initialized while this is there, at least as far as we are concerned.
pub(super) struct Usage {
    library: Arc<Library>,
    process: u32,
}

impl Usage {
    pub(super) fn functions(&self) -> &Pkcs11 {
        &self.library.functions
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        let mut state = self.library.state();
        if self.process != process::id() || state.process != self.process {
            return;
        }
        state.users = state.users.saturating_sub(1);
        if state.users == 0 && mem::take(&mut state.ours) {
            let _ = self.library.functions.clone().finalize();
        }
    }
}
