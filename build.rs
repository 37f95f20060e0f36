//! Compiles the shim of the chosen server and links it into the module.
#![allow(clippy::expect_used, clippy::panic, reason = "a build script stops by panicking")]
#![allow(clippy::disallowed_methods, reason = "a build script reads files")]

use std::env;
use std::path::PathBuf;
use std::process::Command;

#[path = "build/httpd.rs"]
mod httpd;
#[path = "build/nginx.rs"]
mod nginx;

fn main() {
    println!("cargo:rerun-if-changed=c_shim");
    println!("cargo:rerun-if-changed=build");
    match (env::var_os("CARGO_FEATURE_HTTPD"), env::var_os("CARGO_FEATURE_NGINX")) {
        (Some(_), None) => httpd::build(),
        (None, Some(_)) => nginx::build(),
        // Both at once is refused by the library itself, with a better message.
        (None, None) | (Some(_), Some(_)) => {}
    }
}

/// What both shims are compiled with: no symbol of theirs leaves the module.
fn shim(server: &str) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .file(format!("c_shim/{server}.c"))
        .file("c_shim/openssl.c")
        .flag("-fvisibility=hidden")
        .warnings(true)
        .extra_warnings(true)
        .flag("-Werror")
        // Hooks have the server's signature, whether or not they use all of it.
        .flag("-Wno-unused-parameter")
        .flag("-Wno-missing-field-initializers");
    build
}

/// Names the module as its server's users expect, beside the library that cargo names itself.
fn name_module(name: &str) {
    let Some(profile) = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .and_then(|out| out.ancestors().nth(3).map(PathBuf::from))
    else {
        return;
    };
    let link = profile.join(name);
    let _ = std::fs::remove_file(&link);
    if let Err(error) = std::os::unix::fs::symlink("libauth_bound.so", &link) {
        println!("cargo:warning={}: {error}; use libauth_bound.so", link.display());
    }
}

/// What a command prints, as one line.
fn output(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        Ok(output) => {
            panic!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))
        }
        Err(error) => panic!(
            "{program}: {error}; on Debian, install apache2-dev, apache2-ssl-dev and libssl-dev"
        ),
    }
}
