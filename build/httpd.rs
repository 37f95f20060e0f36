//! The shim for Apache httpd.

use std::path::Path;

use crate::{name_module, output, shim};

/// Compiles it against the headers that apxs and apr-config name.
pub(crate) fn build() {
    let include = output("apxs", &["-q", "INCLUDEDIR"]);
    if !Path::new(&include).join("mod_ssl_openssl.h").exists() {
        panic!("{include}/mod_ssl_openssl.h is missing; on Debian, install apache2-ssl-dev");
    }
    let mut build = shim("httpd");
    build.include(include);
    for flag in output("apxs", &["-q", "EXTRA_CPPFLAGS"]).split_whitespace() {
        build.flag(flag);
    }
    for directory in
        [output("apr-1-config", &["--includedir"]), output("apu-1-config", &["--includedir"])]
    {
        build.include(directory);
    }
    for name in ["request", "cookies", "endpoint"] {
        build.file(format!("c_shim/httpd_{name}.c"));
    }
    build.compile("auth_bound_shim");
    println!("cargo:rustc-link-lib=dylib=ssl");
    println!("cargo:rustc-link-lib=dylib=crypto");
    name_module("mod_auth_bound.so");
}
