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

read -r port bound_port session_port token_port backend application <<<"$(/usr/bin/python3 tests/harness/ports.py 6)"

# --- certificates and keys ---
certificate() { # NAME SUBJECT-ALTERNATIVE-NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
        -addext "subjectAltName=DNS:$2" -CA "$run/ca.pem" -CAkey "$run/ca.key" \
        -keyout "$run/$1.key" -out "$run/$1.pem" 2>/dev/null
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=demo CA" \
    -keyout "$run/ca.key" -out "$run/ca.pem" 2>/dev/null
certificate server "api.example,DNS:app.example,DNS:issuer.example,DNS:localhost"
certificate alice alice.example
certificate bob bob.example
"$bound" keys new --alg ES256 --out "$run/sts.pem"
"$bound" tb key new --out "$run/carol.key"
"$bound" tb key new --out "$run/carol-at-the-issuer.key"
read -r _ carol _ <<<"$("$bound" tb key id "$run/carol.key")"
# Of credentials the server knows the hashes only. Alice's is good with her certificate alone; bob's
# it does not know.
for name in alice bob carol; do openssl rand -hex 32 | tr -d '\n' >"$run/$name.credential"; done
hash() { sha256sum <"$run/$1.credential" | cut -d ' ' -f 1; }
{
    echo "$(hash alice) alice $("$bound" thumbprint "$run/alice.pem")"
    echo "$(hash carol) carol"
} >"$run/credentials"
"$bound" secret new --out "$run/cookie.secret"

# --- the example configurations, with this place's paths and ports; the keys come from the endpoint ---
placed() { # EXAMPLE PORT BACKEND
    sed -e "s|jwks-file /etc/auth-bound/jwks.json|jwks-uri https://localhost:$token_port/jwks|" \
        -e "s|/etc/auth-bound|$run|g" -e "s|127.0.0.1:8080|127.0.0.1:$3|g" -e "/^LoadModule/d" \
        -e "s|^Listen 443|Listen 127.0.0.1:$2|" -e "s|\*:443|127.0.0.1:$2|" \
        -e "s|listen 443|listen 127.0.0.1:$2|" "$server-conf/$1.conf"
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
        echo "LoadModule auth_bound_module $module"
        echo "BoundJwksCa $run/ca.pem"
        placed token-exchange "$token_port" "$backend"
        placed certificate-bound-api "$port" "$backend"
        placed token-binding "$bound_port" "$backend"
        placed bound-session "$session_port" "$application"
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
        echo "bound_jwks_ca $run/ca.pem;"
        placed token-exchange "$token_port" "$backend"
        placed certificate-bound-api "$port" "$backend"
        placed token-binding "$bound_port" "$backend"
        placed bound-session "$session_port" "$application"
        echo "}"
    } >"$run/server.conf"
    command=(/usr/sbin/nginx -e "$run/error.log" -c "$run/server.conf")
fi

/usr/bin/python3 demo/backend.py "$backend" &
started+=($!)
/usr/bin/python3 demo/application.py "$application" &
started+=($!)
"${command[@]}" >>"$run/console.log" 2>&1 &
started+=($!)
answers() { # PORT...: whether something listens on each
    for one in "$@"; do (exec 3<>"/dev/tcp/127.0.0.1/$one") 2>/dev/null || return 1; done
}
for _ in $(seq 100); do
    answers "$port" "$token_port" "$backend" "$application" && break
    kill -0 "${started[2]}" 2>/dev/null || { cat "$run/console.log" "$run/error.log" >&2; exit 1; }
    sleep 0.1
done

# --- the walk ---
base=(curl --silent --show-error --cacert "$run/ca.pem" --resolve "api.example:$port:127.0.0.1"
    --resolve "app.example:$session_port:127.0.0.1" --resolve "issuer.example:$token_port:127.0.0.1")
url=https://api.example:$port/accounts
token_url=https://issuer.example:$token_port/token
failures=0
visit() { # EXPECTED-STATUS TITLE COMMAND...: it writes $run/head and $run/body
    local expected=$1 title=$2
    shift 2
    local lines status
    lines=$(wc -l <"$run/error.log")
    echo
    echo "== $title"
    "$@"
    status=$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$run/head")
    grep -iE '^(HTTP|www-authenticate|location|set-cookie)' "$run/head" | tr -d '\r' | sed -E 's/(.{90}).*/\1.../; s/^/   < /'
    if grep -qi '^content-type: text/html' "$run/head"; then
        sed -n 's|^<p>\(.*\)</p>.*|   the page says: \1|p' "$run/body"
    elif [ "$status" = 200 ] && grep -q '"access_token"' "$run/body"; then
        echo "   the token says:"
        issued | "$bound" token inspect - | grep -E '"(sub|scope|aud|x5t#S256|tbh)"' | sed 's/^ */     /'
    elif [ "$status" = 200 ]; then
        echo "   the backend saw:"
        grep -iE '"(X-User|X-Proof|X-Certificate|.*Token-Binding[^"]*)"' "$run/body" | sed 's/^ */     /' || echo "     no key"
    else
        sed 's/^/   < /' "$run/body"
    fi
    tail -n "+$((lines + 1))" "$run/error.log" | grep -oE 'AB[0-9]{4} .*' | sed -E 's/( while [a-z ]+)?, client: .*//; s/^/   log: /' || true
    if [ "$status" != "$expected" ]; then
        echo "   EXPECTED $expected"
        failures=$((failures + 1))
    fi
}
# RFC 8693: a credential for a token.
urn=urn:ietf:params:oauth
exchange() { # CREDENTIAL SCOPE ARGUMENTS...
    "${base[@]}" --dump-header "$run/head" --output "$run/body" --data "grant_type=$urn:grant-type:token-exchange" \
        --data "subject_token=$(cat "$run/$1.credential")" --data "subject_token_type=$urn:token-type:access_token" \
        --data audience=https://api.example --data "scope=$2" "${@:3}" "$token_url"
}
issued() { sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p' "$run/body"; }
call() { "${base[@]}" --dump-header "$run/head" --output "$run/body" "$@" "$url"; }
# With Token Binding, which curl cannot do.
tb_host=app.example tb_port=$bound_port
tb() { # PATH ARGUMENTS...
    local path=$1
    shift
    "$bound" tb get "https://$tb_host:$tb_port$path" --ca "$run/ca.pem" --connect "127.0.0.1:$tb_port" --include --show "$@" \
        >"$run/answer" 2>"$run/shown" || { cat "$run/shown" >&2; exit 1; }
    sed '/^\r\{0,1\}$/q' "$run/answer" >"$run/head"
    sed '1,/^\r\{0,1\}$/d' "$run/answer" >"$run/body"
}
seen() { # NAME: what the backend saw under it
    sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" "$run/body"
}
# The application, with a browser's cookies.
session_url=https://app.example:$session_port
browse() { # COOKIES PATH ARGUMENTS...: the cookies are in the file COOKIES
    local jar=$1 path=$2
    shift 2
    "${base[@]}" --dump-header "$run/head" --output "$run/body" --cookie "$run/$jar" --cookie-jar "$run/$jar" \
        "$@" "$session_url$path"
}
says() { # TEXT: what the answer must say
    grep -qF "$1" "$run/body" || { echo "   EXPECTED an answer that says: $1"; failures=$((failures + 1)); }
}
bearer() { echo "Authorization: Bearer $(cat "$run/$1.token")"; }
alice=(--cert "$run/alice.pem" --key "$run/alice.key")
bob=(--cert "$run/bob.pem" --key "$run/bob.key")

chapter() { printf '\n--- %s\n' "$*"; }

chapter "The token endpoint: alice has a credential and a certificate"
visit 200 "she exchanges it; the token is bound to her certificate" exchange alice accounts "${alice[@]}"
issued >"$run/alice.token"
visit 400 "her credential, stolen, with bob's certificate" exchange alice accounts "${bob[@]}"
visit 400 "her credential, stolen, without a certificate" exchange alice accounts
visit 400 "she asks for more than the rule gives" exchange alice everything "${alice[@]}"
says invalid_scope
visit 400 "a credential that nobody has" exchange bob accounts "${bob[@]}"

chapter "An API that takes the token, and gets the keys from the endpoint"
visit 200 "alice's token with alice's certificate" call "${alice[@]}" -H "$(bearer alice)"
visit 401 "the same token, stolen, with bob's certificate" call "${bob[@]}" -H "$(bearer alice)"
visit 401 "the same token, stolen, without a certificate" call -H "$(bearer alice)"
"$bound" token issue --key "$run/sts.pem" --issuer https://issuer.example --audience https://api.example \
    --scope accounts --subject alice --unbound >"$run/unbound.token"
visit 401 "a token that is bound to nothing (the endpoint issues none)" call "${alice[@]}" -H "$(bearer unbound)"
visit 401 "no token" call "${alice[@]}"
visit 200 "alice again, claiming to be somebody else: her headers are removed" call "${alice[@]}" -H "$(bearer alice)" \
    -H 'X-User: root' -H 'X_User: root' -H 'Bound-Sub: root'

chapter "Token Binding: carol has a key and no certificate"
visit 200 "carol proves her key; the backend gets its ID" tb /ids --key "$run/carol.key"
[ "$(seen Sec-Provided-Token-Binding-ID)" = "$carol" ] || { echo "   EXPECTED her ID, $carol"; failures=$((failures + 1)); }
visit 200 "a backend that checks for itself gets her message and the context" tb /context --key "$run/carol.key"
message=$(seen Sec-Token-Binding) context=$(seen Token-Binding-Context)
echo "   and checks: $("$bound" tb verify "$message" --context "$context" | head -1)"
visit 400 "the very same message, captured and sent on another connection" tb /context --message "$message"
visit 200 "the same from a client without Token Binding: it says nothing there" tb /context --message "$message" --no-token-binding
visit 400 "and where a key is required" tb /members --no-token-binding
tb_host=issuer.example tb_port=$token_port
visit 200 "carol exchanges her credential; the token is bound to the key that she uses with the application" \
    tb /token --key "$run/carol-at-the-issuer.key" --referred "$run/carol.key" --data "grant_type=$urn:grant-type:token-exchange&\
subject_token=$(cat "$run/carol.credential")&subject_token_type=$urn:token-type:access_token&audience=https://api.example&scope=accounts"
issued >"$run/carol.token"
tb_host=app.example tb_port=$bound_port
visit 200 "carol's token, with her key" tb /accounts --key "$run/carol.key" --header "$(bearer carol)"
visit 401 "the same token, stolen, with another key" tb /accounts --header "$(bearer carol)"

chapter "Bound cookies: an application that knows of no keys"
visit 303 "alice logs in, with her certificate; her session cookie leaves sealed" browse alice.cookies /login \
    "${alice[@]}" --data 'user=alice&password=wonderland'
visit 200 "she uses her session" browse alice.cookies / "${alice[@]}"
says "Hello, alice."
cp "$run/alice.cookies" "$run/stolen.cookies"
visit 200 "bob has copied all her cookies, and has a certificate of his own" browse stolen.cookies / "${bob[@]}"
says "Please log in."
visit 200 "the same without a certificate" browse stolen.cookies /
says "Please log in."
visit 401 "the same where programs ask" browse stolen.cookies /api/me "${bob[@]}"
echo
echo "== what the operator can tell of the stolen cookie"
awk '$6 == "SESSION" { print $6 "=" $7 }' "$run/stolen.cookies" |
    "$bound" cookie inspect --secret "$run/cookie.secret" --host app.example --path / --cert "$run/bob.pem" - | sed 's/^/   /'
visit 303 "somebody without a key logs in: the session cookie is not issued" browse nobody.cookies /login \
    --data 'user=alice&password=wonderland'
visit 200 "and there is no session" browse nobody.cookies /
says "Please log in."
tb_port=$session_port
visit 303 "carol logs in with her Token Binding key" tb /login --key "$run/carol.key" --data 'user=carol&password=christmas'
cookie=$(sed -n 's/^set-cookie: \(SESSION=[^;]*\).*/\1/Ip' "$run/head" | tr -d '\r')
visit 200 "she uses her session, on another connection" tb / --key "$run/carol.key" --header "Cookie: $cookie"
says "Hello, carol."
visit 200 "the same cookie, stolen, with another key" tb / --header "Cookie: $cookie"
says "Please log in."
visit 200 "and without one" tb / --no-token-binding --header "Cookie: $cookie"
says "Please log in."
visit 200 "alice is still logged in" browse alice.cookies / "${alice[@]}"
says "Hello, alice."
visit 303 "she logs out" browse alice.cookies /logout "${alice[@]}" --data ''
visit 200 "and is logged out" browse alice.cookies / "${alice[@]}"
says "Please log in."

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

  ${base[*]} --cert alice.pem --key alice.key $token_url \\
      --data grant_type=$urn:grant-type:token-exchange --data subject_token=\$(cat alice.credential) \\
      --data subject_token_type=$urn:token-type:access_token --data audience=https://api.example --data scope=accounts

  ${base[*]} --cert alice.pem --key alice.key --cookie-jar jar --cookie jar --location \\
      --data 'user=alice&password=wonderland' $session_url/login

  $bound token inspect \$(cat alice.token)
  tail -f $run/error.log
END
wait "${started[2]}"
