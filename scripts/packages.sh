# Installs what is missing; to be sourced. Says what it installs and why, and installs nothing
# that is there.
#
#   need COMMAND-OR-FILE PACKAGE PURPOSE   names a requirement
#   install_needed                         installs the packages of those that are missing

needed_packages=()

need() {
    case $1 in
        /*) [ -e "$1" ] && return ;;
        *) command -v "$1" >/dev/null 2>&1 && return ;;
    esac
    echo "missing: $1 ($3): installing Debian's $2"
    needed_packages+=("$2")
}

install_needed() {
    [ ${#needed_packages[@]} -gt 0 ] || return 0
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    # A server package starts its server; here only servers of our own are to run.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
        "${as_root[@]}" chmod 755 $policy
        trap '"${as_root[@]}" rm -f '$policy RETURN
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${needed_packages[@]}" >/dev/null
    needed_packages=()
}

# What building the modules takes.
need_to_build() {
    command -v cargo >/dev/null 2>&1 || { echo "cargo is missing: install a Rust toolchain (1.88 or newer)" >&2; exit 1; }
    need cc gcc "compiles the shims"
    need pkg-config pkg-config "finds OpenSSL"
    need /usr/include/openssl/ssl.h libssl-dev "OpenSSL's headers"
    if [ "$1" = httpd ]; then
        need apxs apache2-dev "httpd's headers"
        need /usr/include/apache2/mod_ssl_openssl.h apache2-ssl-dev "mod_ssl's headers"
    else
        need /usr/share/nginx/src nginx-dev "NGINX's headers"
    fi
}

# What running a server takes.
need_to_run() {
    if [ "$1" = httpd ]; then
        need /usr/sbin/apache2 apache2 "the server"
    else
        need /usr/sbin/nginx nginx "the server"
    fi
    need curl curl "the client"
    need openssl openssl "makes certificates"
    need /usr/bin/python3 python3 "the backend"
}
