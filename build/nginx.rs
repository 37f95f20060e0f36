//! The shim for NGINX.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::{name_module, output, shim};

/// Where nginx-dev has NGINX's headers, its configure and the flags of Debian's NGINX.
const DEBIAN: &str = "/usr/share/nginx/src";

/// Compiles it against the installed NGINX, or against the tree that `NGINX_SOURCE_DIR` names and
/// that was configured into `NGINX_BUILD_DIR`. Only a module for the very same configuration is
/// loaded: its signature is compiled in.
pub(crate) fn build() {
    println!("cargo:rerun-if-env-changed=NGINX_SOURCE_DIR");
    println!("cargo:rerun-if-env-changed=NGINX_BUILD_DIR");
    let (source, configured) = match env::var_os("NGINX_SOURCE_DIR").map(PathBuf::from) {
        Some(source) => {
            let configured =
                env::var_os("NGINX_BUILD_DIR").map_or_else(|| source.join("objs"), PathBuf::from);
            (source, configured)
        }
        None => (PathBuf::from(DEBIAN), configure()),
    };
    if !configured.join("ngx_auto_config.h").exists() {
        panic!("{} is not configured; run its configure with --with-compat", configured.display());
    }
    let mut build = shim("nginx");
    for name in ["pool", "client", "headers", "wait", "request", "cookies", "endpoint", "variables"]
    {
        build.file(format!("c_shim/nginx_{name}.c"));
    }
    let folders = [
        "core",
        "event",
        "event/modules",
        "event/quic",
        "os/unix",
        "http",
        "http/modules",
        "http/v2",
        "http/v3",
    ];
    for folder in
        folders.map(|folder| source.join("src").join(folder)).into_iter().chain([configured])
    {
        // As system headers: their warnings are not ours.
        build.flag("-isystem").flag(folder);
    }
    build.compile("auth_bound_shim");
    println!("cargo:rustc-link-lib=dylib=ssl");
    println!("cargo:rustc-link-lib=dylib=crypto");
    name_module("ngx_http_auth_bound_module.so");
}

/// Configures Debian's tree with its own flags, once for each version of it.
fn configure() -> PathBuf {
    let tree = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("nginx");
    let (configured, stamp) = (tree.join("objs"), tree.join("stamp"));
    let version: String = ["conf_flags", "src/core/nginx.h"]
        .iter()
        .map(|file| {
            let file = Path::new(DEBIAN).join(file);
            println!("cargo:rerun-if-changed={}", file.display());
            fs::read_to_string(&file).unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; on Debian, install nginx-dev, or set NGINX_SOURCE_DIR",
                    file.display()
                )
            })
        })
        .collect();
    if fs::read_to_string(&stamp).is_ok_and(|last| last == version) {
        return configured;
    }
    let _ = fs::remove_dir_all(&tree);
    // configure writes into the folder it runs in, and reads these.
    fs::create_dir_all(&tree).expect("OUT_DIR is writable");
    for name in ["auto", "configure", "src"] {
        std::os::unix::fs::symlink(Path::new(DEBIAN).join(name), tree.join(name))
            .expect("OUT_DIR is writable");
    }
    // The flags are an array of bash.
    let script =
        r#"cd "$1" && . "$2/conf_flags" && ./configure "${NGX_CONF_FLAGS[@]}" --builddir=objs"#;
    output("bash", &["-euc", script, "bash", &tree.to_string_lossy(), DEBIAN]);
    fs::write(&stamp, version).expect("OUT_DIR is writable");
    configured
}
