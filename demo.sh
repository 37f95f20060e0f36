#!/usr/bin/env bash
# Shows the module at work: builds it, starts a server with the example configuration on
# loopback, and sends the requests that matter.
#
#   ./demo.sh                  httpd; keeps serving until Ctrl-C
#   ./demo.sh --server nginx   NGINX instead
#   ./demo.sh --once           ends after the walk
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

server=httpd once=
while [ $# -gt 0 ]; do
    case $1 in
        --server) server=${2:-}; shift ;;
        --once) once=1 ;;
        -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 0 ;;
        *) echo "demo.sh: unknown argument $1; see --help" >&2; exit 2 ;;
    esac
    shift
done
case $server in httpd | nginx) ;; *) echo "demo.sh: --server takes httpd or nginx" >&2; exit 2 ;; esac

. scripts/packages.sh
need_to_build $server
need_to_run $server
install_needed

echo "building the module for $server and the auth-bound command (the first time takes two minutes) ..."
cargo --quiet $server
bound=$PWD/target/$server/release/auth-bound
module=$PWD/target/$server/release/mod_auth_bound.so
[ $server = httpd ] || module=$PWD/target/$server/release/ngx_http_auth_bound_module.so

# --- a place of its own, gone at the end together with what was started ---
run=$(mktemp -d)
chmod 755 "$run"
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$run"
}
trap finish EXIT
trap 'exit 130' INT TERM

free_ports() {
    /usr/bin/python3 -c 'import socket
s = [socket.socket() for _ in range(2)]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])'
}
read -r port backend <<<"$(free_ports)"

# --- certificates and keys ---
certificate() { # NAME SUBJECT-ALTERNATIVE-NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
        -addext "subjectAltName=DNS:$2" -CA "$run/ca.pem" -CAkey "$run/ca.key" \
        -keyout "$run/$1.key" -out "$run/$1.pem" 2>/dev/null
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=demo CA" \
    -keyout "$run/ca.key" -out "$run/ca.pem" 2>/dev/null
certificate server api.example
certificate alice alice.example
certificate bob bob.example
"$bound" keys new --alg ES256 --out "$run/issuer.pem"
"$bound" keys jwks "$run/issuer.pem" >"$run/jwks.json"
token() {
    "$bound" token issue --key "$run/issuer.pem" --issuer https://issuer.example --audience https://api.example \
        --subject alice --scope accounts "$@"
}
token --cert "$run/alice.pem" >"$run/alice.token"
token --unbound >"$run/unbound.token"

# --- the example configuration, with this place's paths and ports ---
placed() {
    sed -e "s|/etc/auth-bound|$run|g" -e "s|127.0.0.1:8080|127.0.0.1:$backend|g" \
        -e "s|modules/[a-z_]*\.so|$module|" \
        -e "s|^Listen 443|Listen 127.0.0.1:$port|" -e "s|\*:443|127.0.0.1:$port|" \
        -e "s|listen 443|listen 127.0.0.1:$port|" "$server-conf/certificate-bound-api.conf"
}
if [ $server = httpd ]; then
    {
        for name in mpm_event authn_core authz_core authz_user headers proxy proxy_http ssl socache_shmcb; do
            echo "LoadModule ${name}_module /usr/lib/apache2/modules/mod_$name.so"
        done
        echo "ServerRoot $run"
        echo "PidFile $run/httpd.pid"
        echo "DefaultRuntimeDir $run"
        echo "ErrorLog $run/error.log"
        echo "ServerName localhost"
        [ "$(id -u)" != 0 ] || printf 'User www-data\nGroup www-data\n'
        placed
    } >"$run/server.conf"
    command=(/usr/sbin/apache2 -DFOREGROUND -f "$run/server.conf")
else
    {
        echo "load_module $module;"
        echo "pid $run/nginx.pid; error_log $run/error.log warn; daemon off;"
        [ "$(id -u)" != 0 ] || echo "user www-data;"
        echo "events {}"
        echo "http {"
        echo "access_log off;"
        for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $run/$kind;"; done
        placed
        echo "}"
    } >"$run/server.conf"
    command=(/usr/sbin/nginx -e "$run/error.log" -c "$run/server.conf")
fi

/usr/bin/python3 demo/backend.py "$backend" &
started+=($!)
"${command[@]}" >>"$run/console.log" 2>&1 &
started+=($!)
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && (exec 3<>"/dev/tcp/127.0.0.1/$backend") 2>/dev/null && break
    kill -0 "${started[1]}" 2>/dev/null || { cat "$run/console.log" "$run/error.log" >&2; exit 1; }
    sleep 0.1
done

# --- the walk ---
base=(curl --silent --show-error --cacert "$run/ca.pem" --resolve "api.example:$port:127.0.0.1")
url=https://api.example:$port/accounts
failures=0
visit() { # EXPECTED-STATUS TITLE CURL-ARGUMENTS...
    local expected=$1 title=$2
    shift 2
    local lines status
    lines=$(wc -l <"$run/error.log")
    echo
    echo "== $title"
    status=$("${base[@]}" --dump-header "$run/head" --output "$run/body" --write-out '%{http_code}' "$@" "$url")
    grep -iE '^(HTTP|www-authenticate)' "$run/head" | tr -d '\r' | sed 's/^/   < /'
    if [ "$status" = 200 ]; then
        echo "   the backend saw:"
        grep -iE '"(X-User|X-Proof|X-Certificate)"' "$run/body" | sed 's/^ */     /'
    else
        sed 's/^/   < /' "$run/body"
        tail -n "+$((lines + 1))" "$run/error.log" | grep -oE 'AB[0-9]{4} .*' | sed -E 's/(, client: ).*//; s/^/   log: /' || true
    fi
    if [ "$status" != "$expected" ]; then
        echo "   EXPECTED $expected"
        failures=$((failures + 1))
    fi
}
bearer() { echo "Authorization: Bearer $(cat "$run/$1.token")"; }
alice=(--cert "$run/alice.pem" --key "$run/alice.key")
bob=(--cert "$run/bob.pem" --key "$run/bob.key")

visit 200 "alice's token with alice's certificate" "${alice[@]}" -H "$(bearer alice)"
visit 401 "the same token, stolen, with bob's certificate" "${bob[@]}" -H "$(bearer alice)"
visit 401 "the same token, stolen, without a certificate" -H "$(bearer alice)"
visit 401 "a token that is bound to nothing" "${alice[@]}" -H "$(bearer unbound)"
visit 401 "no token" "${alice[@]}"
visit 200 "alice again, claiming to be somebody else: her headers are removed" "${alice[@]}" -H "$(bearer alice)" \
    -H 'X-User: root' -H 'X_User: root' -H 'Bound-Sub: root'

echo
if [ $failures -gt 0 ]; then
    echo "$failures of the answers were not as expected; the log is:" >&2
    cat "$run/error.log" >&2
    exit 1
fi
echo "all answers as expected"
[ -z "$once" ] || exit 0
cat <<END

$server goes on serving until Ctrl-C. To try by hand:

  cd $run
  ${base[*]} --cert alice.pem --key alice.key \\
      -H "Authorization: Bearer \$(cat alice.token)" $url

  $bound token inspect \$(cat alice.token)
  tail -f $run/error.log
END
wait "${started[1]}"
