#!/usr/bin/env bash
# Runs every test: formatting, lints and documentation, the library, the command, both modules in
# real servers, the demo. Installs what it lacks from Debian and says what.
#
#   ./test.sh           everything
#   ./test.sh --quick   without valgrind, the demo and the images of docker/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

quick=
case ${1:-} in
    '') ;;
    --quick) quick=1 ;;
    *) echo "test.sh: unknown argument $1" >&2; exit 2 ;;
esac

. scripts/packages.sh
need_to_build httpd
need_to_build nginx
need_to_run httpd
need_to_run nginx
need /usr/lib/python3/dist-packages/pytest python3-pytest "runs the scenarios"
need /usr/lib/python3/dist-packages/cryptography python3-cryptography "makes the scenarios' tokens"
need /usr/lib/python3/dist-packages/grpc python3-grpcio "calls with gRPC"
need /usr/lib/python3/dist-packages/h2 python3-h2 "speaks HTTP/2 to the servers"
need /usr/lib/apache2/modules/mod_auth_openidc.so libapache2-mod-auth-openidc "logs in beside the module"
need /usr/lib/python3/dist-packages/cherrypy python3-cherrypy3 "an application with a session"
need /usr/lib/python3/dist-packages/django python3-django "an application with a session and CSRF tokens"
need softhsm2-util softhsm2 "a token to keep keys in"
need pkcs11-tool opensc "makes keys in tokens"
need /usr/lib/apache2/modules/mod_oauth2.so libapache2-mod-oauth2 "those whose users move over, and who take our tokens"
need "/usr/lib/$(uname -m)-linux-gnu/engines-3/pkcs11.so" libengine-pkcs11-openssl "clients with keys in tokens"
need php php-cli "an application with a session"
need valgrind valgrind "looks for leaks"
need nm binutils "lists exported symbols"
need debootstrap debootstrap "makes the roots that the images are built in"
need ip iproute2 "gives containers a network"
need /usr/lib/python3/dist-packages/yaml python3-yaml "reads docker/compose.yaml"
install_needed

step() { printf '\n=== %s\n' "$1"; }

step "formatting, lints, documentation"
cargo fmt --check
for features in "" "--features httpd" "--features nginx"; do
    # shellcheck disable=SC2086
    cargo clippy --quiet --all-targets $features -- -D warnings
done
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps

step "the library and the command"
cargo test --quiet

step "building the modules"
cargo --quiet httpd
cargo --quiet nginx
# The same with a way to make the core panic, for the test of the boundary.
for server in httpd nginx; do
    cargo build --quiet --lib --no-default-features --features "$server,fault-injection" --target-dir "target/$server"
done
export AUTH_BOUND_HTTPD_FAULT_SO=$PWD/target/httpd/debug/mod_auth_bound.so
export AUTH_BOUND_NGINX_FAULT_SO=$PWD/target/nginx/debug/ngx_http_auth_bound_module.so

left_out=${quick:+not valgrind and not test_docker.py}
no_images=
if [ -z "$quick" ] && ! unshare --mount --pid --fork true 2>/dev/null; then
    left_out="not test_docker.py"
    no_images="; but not the images of docker/: they take root, and leave to mount file systems"
fi
step "the scenarios in httpd (event, prefork) and NGINX"
/usr/bin/python3 -m pytest tests -q -p no:cacheprovider ${left_out:+-k "$left_out"}

if [ -z "$quick" ]; then
    step "the demo"
    for server in httpd nginx; do
        ./demo.sh --once --server $server >"target/demo-$server.txt" || { cat "target/demo-$server.txt"; exit 1; }
        tail -n 1 "target/demo-$server.txt"
    done
fi
printf '\nall tests passed%s\n' "$no_images"
