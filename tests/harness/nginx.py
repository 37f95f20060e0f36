"""NGINX: a world rendered as its configuration, and the server itself."""

import shutil

from .server import Server, directives
from .world import ENDPOINTS, Host, Location

# Absolute, since NGINX starts a new binary by the name that it was started with itself.
_BINARY = shutil.which("nginx", path="/usr/sbin:/usr/bin")


def directive(word: str) -> str:
    return "bound_" + word.replace("-", "_")


def variable(name: str) -> str:
    """NGINX's name for what is exported under this one."""
    return name.lower().replace("-", "_")


class Nginx(Server):
    name = "nginx"
    artifact_folder = "nginx"
    artifact_name = "ngx_http_auth_bound_module.so"
    ready_line = "start worker process "

    def command(self) -> list:
        return [_BINARY, "-p", str(self.site.folder), "-c", str(self.configuration)]

    def check_command(self) -> list:
        return [*self.command(), "-t"]

    def render(self) -> str:
        site, world = self.site, self.site.world
        temporary = "".join(
            f"  {kind}_temp_path {site.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        hosts = "".join(self._host(name, host) for name, host in world.hosts.items())
        # Workers see no other variables than these.
        variables = "".join(f"env {name};\n" for name in self.environment)
        return f"""{variables}load_module {self.module()};
daemon {self.options.get("daemon", "off")};
user www-data;
worker_processes {self.options.get("processes", 2)};
pid {site.folder}/nginx.pid;
error_log {site.folder}/error.log {self.options.get("log_level", "info")};
{self.options.get("main", "")}
events {{
  worker_connections 512;
}}
http {{
{temporary}{self._access_log()}  underscores_in_headers on;
  ignore_invalid_headers off;
  keepalive_requests 1000000;
  large_client_header_buffers 8 256k;
  proxy_buffer_size 256k;
  proxy_buffers 4 256k;
  proxy_busy_buffers_size 256k;
  ssl_session_cache shared:tls:1m;
  root {site.document_root};
{directives(site.fill(world.process), directive, ";", "  ")}{site.fill(world.nginx)}
{hosts}}}
"""

    def _access_log(self) -> str:
        members = "".join(f', "{name}": "${variable(name)}"' for name in self.site.world.exported)
        line = f'{{"scenario": "$http_x_scenario", "user": "$remote_user"{members}}}'
        return f"  log_format scenario escape=json '{line}';\n  access_log {self.site.folder}/access.log scenario;\n"

    def _host(self, name: str, host: Host) -> str:
        site, world = self.site, self.site.world
        address = site.addresses[name]
        exported = "".join(
            f"    proxy_set_header X-Env-{name} ${variable(name)};\n"
            for name in world.exported
        )
        return f"""
  server {{
    listen 127.0.0.1:{address.port}{" ssl http2" if address.tls else ""};
    server_name {host.name};
    proxy_http_version 1.1;
{self._tls(host)}{directives(site.host_words(host), directive, ";", "    ")}{exported}\
    proxy_set_header X-Env-REMOTE_USER $remote_user;
    location / {{
      proxy_pass {site.fill("{backend}")};
    }}
{site.fill(host.nginx)}
{"".join(map(self._location, site.host_locations(host, "nginx")))}  }}
"""

    def _tls(self, host: Host) -> str:
        if host.certificates is None:
            return ""
        pki = self.site.around.pki
        wanted = {"none": "off", "require": "on"}.get(host.certificates, host.certificates)
        return f"""    ssl_certificate {pki.server.certificate};
    ssl_certificate_key {pki.server.key};
    ssl_client_certificate {pki.ca.certificate};
    ssl_verify_client {wanted};
    ssl_protocols TLSv1.2 TLSv1.3;
"""

    def _location(self, location: Location) -> str:
        words = location.set
        if location.protect:
            usual = {"access": "on", "realm": f'"{self.site.world.realm}"'}
            words = usual | _requirements(location) | words
        served = "proxy_pass {backend};" if location.served == "backend" else ""
        if location.served in ENDPOINTS:
            words = words | {location.served: "on"}
        return f"""    location {location.path} {{
{directives(self.site.fill(words), directive, ";", "      ")}      {self.site.fill(location.nginx + served)}
    }}
"""


def _requirements(location: Location) -> dict:
    """`Require bound-scope a b` is `bound_require_scope a b;` here; `valid-user` is the default."""
    words = {}
    for condition in location.require:
        kind, _, arguments = condition.partition(" ")
        if kind != "valid-user":
            words.setdefault(f"require-{kind.removeprefix('bound-')}", []).append(arguments)
    return words
