//! A token of SoftHSM's, made for one test.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, id};

/// The library (Debian's package softhsm2).
pub(crate) const LIBRARY: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The user's PIN.
pub(crate) const PIN: &str = "294751";
/// Says where the tokens are, in the process that the test runs in.
const VARIABLE: &str = "AUTH_BOUND_TEST_TOKENS";

/// A directory with a token in it.
pub(crate) struct SoftHsm(PathBuf);

/// Runs `test`, the body of the test `name`, in a process of its own with a token of its own.
pub(crate) fn alone(name: &str, test: impl FnOnce(&SoftHsm)) {
    if let Some(directory) = env::var_os(VARIABLE) {
        return test(&SoftHsm(directory.into()));
    }
    let directory =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("softhsm-{name}-{}", id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(directory.join("tokens")).unwrap();
    let token = SoftHsm(directory);
    let settings = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        token.path("tokens").display()
    );
    token.put("softhsm2.conf", settings.as_bytes(), 0o600);
    token.put("pin", PIN.as_bytes(), 0o600);
    token.initialize("signing");
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, &token.0)
        .env("SOFTHSM2_CONF", token.path("softhsm2.conf"))
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    // The end of the process counts as well: libraries have their say there.
    assert!(run.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", run.status);
    fs::remove_dir_all(&token.0).unwrap();
}

impl SoftHsm {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and gives its path.
    pub(crate) fn put(&self, name: &str, content: &[u8], mode: u32) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The URI of the key with this label.
    pub(crate) fn uri(&self, label: &str) -> String {
        self.uri_of(&format!("token=signing;object={label}"))
    }

    /// The URI with this path.
    pub(crate) fn uri_of(&self, path: &str) -> String {
        let pin = self.path("pin");
        format!("pkcs11:{path}?module-path={LIBRARY}&pin-source={}", pin.display())
    }

    /// Makes one more token.
    pub(crate) fn initialize(&self, label: &str) {
        self.run(
            "softhsm2-util",
            &["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12345678"],
        );
    }

    /// Makes a key pair, numbered after those that are there.
    pub(crate) fn generate(&self, kind: &str, label: &str) {
        let keys = self.tool(&["--list-objects", "--type", "privkey"]);
        let id = format!("{:02x}", keys.matches("Private Key Object").count() + 1);
        self.generate_with_id(kind, label, &id);
    }

    pub(crate) fn generate_with_id(&self, kind: &str, label: &str, id: &str) {
        self.tool(&["--keypairgen", "--key-type", kind, "--label", label, "--id", id]);
    }

    /// The id of the private key with this label, in hexadecimal digits.
    pub(crate) fn id_of(&self, label: &str) -> String {
        let keys = self.tool(&["--list-objects", "--type", "privkey"]);
        let mut lines = keys.lines().map(str::trim);
        lines.find(|line| line.strip_prefix("label:").is_some_and(|name| name.trim() == label));
        lines.next().unwrap().strip_prefix("ID:").unwrap().trim().to_owned()
    }

    pub(crate) fn import(&self, label: &str, pem: &[u8]) {
        let file = self.put("import.pem", pem, 0o600);
        let words = ["--token", "signing", "--id", "aa", "--pin", PIN, "--label", label];
        self.run("softhsm2-util", &[&["--import", &file], &words[..]].concat());
    }

    pub(crate) fn delete(&self, label: &str) {
        for kind in ["privkey", "pubkey"] {
            self.tool(&["--delete-object", "--type", kind, "--label", label]);
        }
    }

    /// Gives the token its PIN again.
    pub(crate) fn change_pin_back(&self, from: &str) {
        let words = ["--module", LIBRARY, "--token-label", "signing", "--login", "--pin", from];
        self.run("pkcs11-tool", &[&words[..], &["--change-pin", "--new-pin", PIN]].concat());
    }

    /// Runs OpenSC's tool on the token, logged in.
    pub(crate) fn tool(&self, words: &[&str]) -> String {
        let login = ["--module", LIBRARY, "--token-label", "signing", "--login", "--pin", PIN];
        self.run("pkcs11-tool", &[&login[..], words].concat())
    }

    fn run(&self, program: &str, words: &[&str]) -> String {
        let run = Command::new(program)
            .args(words)
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}; ./test.sh installs it"));
        let out = String::from_utf8_lossy(&run.stdout).into_owned();
        let err = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{program} {words:?}: {out}{err}");
        out
    }
}
