"""Apache httpd: a world rendered as its configuration, and the server itself."""

import signal

from .server import Server, directives
from .world import ENDPOINTS, Host, Location

_MODULES = """mpm_{mpm} authn_core authz_core authz_host authz_user authn_file auth_basic access_compat alias
              dir env headers log_config proxy proxy_http rewrite setenvif socache_shmcb ssl unixd""".split()
_BUILT_IN = {"log_config", "unixd"}
_THREADED = """StartServers {processes}
ServerLimit 8
ThreadsPerChild 16
MinSpareThreads 1
MaxSpareThreads 64
MaxRequestWorkers 128"""
_PREFORK = """StartServers {processes}
MinSpareServers 1
MaxSpareServers 32
ServerLimit 32
MaxRequestWorkers 32"""
_CGI = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
env
"""


def directive(word: str) -> str:
    return "Bound" + "".join(part.capitalize() for part in word.split("-"))


class Httpd(Server):
    """One class for each MPM, below."""

    mpm = ""
    processes_layout = _THREADED
    usual_processes = 1
    artifact_folder = "httpd"
    artifact_name = "mod_auth_bound.so"
    reload_signal = signal.SIGUSR1
    ready_line = "AH(00163|00489|00292): .* resuming normal operations"
    graceful_stop = signal.SIGWINCH

    def command(self) -> list:
        return ["apache2", "-d", str(self.site.folder), "-f", str(self.configuration), "-DFOREGROUND"]

    def check_command(self) -> list:
        return ["apache2", "-d", str(self.site.folder), "-f", str(self.configuration), "-t"]

    def render(self) -> str:
        site, world = self.site, self.site.world
        self._write_cgi()
        hosts = "".join(self._host(name, host) for name, host in world.hosts.items())
        return f"""{self._modules()}
{self.processes_layout.format(processes=self.options.get("processes", self.usual_processes))}
ServerName localhost
User www-data
Group www-data
PidFile {site.folder}/httpd.pid
DefaultRuntimeDir {site.folder}
ErrorLog {site.folder}/error.log
LogLevel {self.options.get("log_level", "notice auth_bound:info")}
{self._access_log()}
DocumentRoot {site.document_root}
SSLSessionCache shmcb:{site.folder}/tls-sessions(512000)
KeepAlive On
MaxKeepAliveRequests 0
LimitRequestFieldSize 262144
LimitRequestLine 262144
{directives(site.fill(world.process), directive, "", "")}{site.fill(world.httpd)}
{hosts}"""

    def _modules(self) -> str:
        cgi = "cgi" if self.mpm == "prefork" else "cgid"
        names = [name.format(mpm=self.mpm) for name in _MODULES] + [cgi]
        names += ["http2"] if "h2" in self.protocols else []
        lines = [
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in names
            if name not in _BUILT_IN
        ]
        lines += [f"LoadModule auth_bound_module {self.module()}\n"]
        lines += [f"ScriptSock {self.site.folder}/cgid.sock\n"] if cgi == "cgid" else []
        return "".join(lines)

    def _access_log(self) -> str:
        members = "".join(f', \\"{name}\\": \\"%{{{name}}}e\\"' for name in self.site.world.exported)
        line = f'{{\\"scenario\\": \\"%{{X-Scenario}}i\\", \\"user\\": \\"%u\\"{members}}}'
        return f'LogFormat "{line}" scenario\nCustomLog {self.site.folder}/access.log scenario'

    def _host(self, name: str, host: Host) -> str:
        site, world = self.site, self.site.world
        address = site.addresses[name]
        exported = "".join(
            f'  RequestHeader set X-Env-{variable} "%{{{variable}}}e" env={variable}\n'
            for variable in world.exported
        )
        listen = "" if host.beside else f"\nListen 127.0.0.1:{address.port}"
        return f"""{listen}
<VirtualHost 127.0.0.1:{address.port}>
  ServerName {host.name}
{self._tls(host)}{directives(site.host_words(host), directive, "", "  ")}{exported}\
  RequestHeader set X-Env-REMOTE_USER "expr=%{{REMOTE_USER}}" "expr=-n %{{REMOTE_USER}}"
{site.fill(host.httpd)}
{"".join(map(self._location, site.host_locations(host, "httpd")))}\
  ProxyPass "/" "{site.fill("{backend}")}/"
</VirtualHost>
"""

    def _tls(self, host: Host) -> str:
        if host.certificates is None:
            return ""
        pki = self.site.around.pki
        protocols = "h2 http/1.1" if "h2" in self.protocols else "http/1.1"
        return f"""  SSLEngine on
  SSLCertificateFile {pki.server.certificate}
  SSLCertificateKeyFile {pki.server.key}
  SSLCACertificateFile {pki.ca.certificate}
  SSLVerifyClient {host.certificates}
  SSLVerifyDepth 1
  Protocols {protocols}
"""

    def _location(self, location: Location) -> str:
        lines = self.site.fill(location.httpd)
        if location.protect:
            conditions = location.require or ["valid-user"]
            required = "".join(f"      Require {condition}\n" for condition in conditions)
            if "Require" not in lines:
                lines += f"\n    <RequireAll>\n{required}    </RequireAll>"
            lines = f'AuthType Bound\n    AuthName "{self.site.world.realm}"\n    {lines}'
        served = "" if location.served == "backend" else f'  ProxyPass "{location.path}" "!"\n'
        if location.served in ENDPOINTS:
            lines += f"\n    SetHandler bound-{location.served}"
        if location.served == "cgi":
            served += f'  ScriptAlias "{location.path}" "{self.site.folder}/environment.cgi"\n'
        return f"""{served}  <Location "{location.path}">
{directives(self.site.fill(location.set), directive, "", "    ")}    {lines}
  </Location>
"""

    def _write_cgi(self):
        script = self.site.folder / "environment.cgi"
        script.write_text(_CGI)
        script.chmod(0o755)


class HttpdEvent(Httpd):
    name = "httpd-event"
    mpm = "event"


class HttpdWorker(Httpd):
    name = "httpd-worker"
    mpm = "worker"


class HttpdPrefork(Httpd):
    name = "httpd-prefork"
    mpm = "prefork"
    processes_layout = _PREFORK
    usual_processes = 8
    protocols = ("h1",)  # mod_http2 does not serve HTTP/2 under prefork
