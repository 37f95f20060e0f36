//! The files that are derived from the tables: the shims' rows, the reference configurations, the
//! documentation. They are checked in, and a test compares them with what is written here.

use std::fmt::Write;

use crate::cookie::SealError;
use crate::directive::{DIRECTIVES, Directive, Scope, Servers};
use crate::exchange::DenialReason;
use crate::export::{EXPORTS, Kind};
use crate::refusal::{Fault, Reason};

const NOTE: &str = "Generated from the tables in src; `UPDATE_GENERATED=1 cargo test --test generated` writes it anew.";

const REFUSAL_COLUMNS: &str = "| number | name | status | error | what the client is told | what to do | fault | source |\n\
    |---|---|---|---|---|---|---|---|\n";

/// A row of either table of refusals, which have the same columns.
macro_rules! refusal_row {
    ($text:expr, $reason:expr) => {{
        let reason = $reason;
        let _ = writeln!(
            $text,
            "| AB{} | {} | {} | {} | {} | {} | {} | {} |",
            reason.number(),
            reason.name(),
            reason.status(),
            reason.error(),
            reason.sentence(),
            reason.advice(),
            fault_word(reason.fault()),
            reason.source()
        );
    }};
}

const fn fault_word(fault: Fault) -> &'static str {
    match fault {
        Fault::Client => "client",
        Fault::Operator => "operator",
        Fault::Upstream => "upstream",
        Fault::Ours => "ours",
    }
}

/// Every generated file: its path in the project, and its text.
#[must_use]
pub fn files() -> Vec<(&'static str, String)> {
    vec![
        ("c_shim/directives.def", rows()),
        ("c_shim/exports.def", variables()),
        ("docs/directives.md", directives()),
        ("docs/refusals.md", refusals()),
        ("docs/exports.md", exports()),
        ("httpd-conf/reference.conf", configuration(&Httpd)),
        ("nginx-conf/reference.conf", configuration(&Nginx)),
    ]
}

/// What differs between the reference configurations.
trait Server {
    fn name(&self) -> &'static str;
    fn has(&self, row: &Directive) -> bool;
    fn directive(&self, row: &Directive) -> String;
    fn end(&self) -> &'static str;
}

struct Httpd;
struct Nginx;

impl Server for Httpd {
    fn name(&self) -> &'static str {
        "Apache httpd"
    }

    fn has(&self, row: &Directive) -> bool {
        row.servers == Servers::Both
    }

    fn directive(&self, row: &Directive) -> String {
        row.httpd_name()
    }

    fn end(&self) -> &'static str {
        ""
    }
}

impl Server for Nginx {
    fn name(&self) -> &'static str {
        "NGINX"
    }

    fn has(&self, _row: &Directive) -> bool {
        true
    }

    fn directive(&self, row: &Directive) -> String {
        row.nginx_name()
    }

    fn end(&self) -> &'static str {
        ";"
    }
}

/// The rows that both shims expand, and the numbers they know some directives by.
fn rows() -> String {
    let mut text = format!("/* {NOTE} */\n");
    for (number, row) in DIRECTIVES.iter().enumerate() {
        let scope = match row.scope {
            Scope::Process => "PROCESS",
            Scope::Server => "SERVER",
            Scope::Location => "LOCATION",
        };
        let servers = match row.servers {
            Servers::Both => "BOTH",
            Servers::Nginx => "NGINX",
        };
        let upper = row.name.to_ascii_uppercase().replace('-', "_");
        let sentence = row.sentence.trim().replace('\\', "\\\\").replace('"', "\\\"");
        let (httpd, nginx) = (row.httpd_name(), row.nginx_name());
        let _ = writeln!(
            text,
            "AB_{servers}({number}, {upper}, \"{httpd}\", \"{nginx}\", {scope}, \"{sentence}\")"
        );
    }
    text
}

/// The variables that NGINX always has, and the request headers that a location sets.
fn variables() -> String {
    let mut text = format!("/* {NOTE} */\n");
    for export in EXPORTS.iter().filter(|export| export.kind != Kind::Header) {
        let name = export.name.to_string_lossy().to_ascii_lowercase().replace('-', "_");
        let _ = writeln!(text, "AB_VARIABLE(\"{name}\")");
    }
    for export in EXPORTS.iter().filter(|export| export.kind != Kind::Variable) {
        let _ = writeln!(text, "AB_HEADER(\"{}\")", export.name.to_string_lossy());
    }
    text
}

fn directives() -> String {
    let mut text = format!("# Directives\n\n<!-- {NOTE} -->\n\n");
    text.push_str(
        "One table for both servers; the names differ only in their spelling. On httpd they stand in the server \
         configuration, in `<VirtualHost>`, `<Location>`, `<Directory>`, `<If>` and their like, never in `.htaccess`; \
         on NGINX in `http`, `server` and `location`. *Process* directives stand once, in httpd's main server or \
         NGINX's `http`. An inner scope overrides an outer one, directive by directive; a directive given twice in one \
         scope is an error unless it says that it may be repeated.\n",
    );
    for row in DIRECTIVES {
        let names = match row.servers {
            Servers::Both => format!("`{}` · `{}`", row.httpd_name(), row.nginx_name()),
            Servers::Nginx => format!("`{}` (NGINX)", row.nginx_name()),
        };
        let scope = match row.scope {
            Scope::Process => "process",
            Scope::Server => "server, virtual host",
            Scope::Location => "server, virtual host, location",
        };
        let default =
            if row.default.is_empty() { "none".to_owned() } else { format!("`{}`", row.default) };
        let _ = write!(
            text,
            "\n## {}\n\n{names}\n\n{}\n\n- Takes {}.\n- Default: {default}. Scope: {scope}.\n",
            row.name,
            row.sentence.trim(),
            (row.syntax)()
        );
    }
    text.push_str(
        "\n## On httpd besides\n\n`AuthType Bound` checks access tokens where it stands, with `AuthName` as the realm of \
         challenges, and is followed by `Require` lines as for any other `AuthType`:\n\n\
         - `Require valid-user`, `Require user NAME ...`: by the claim that `BoundUserClaim` names.\n\
         - `Require bound-scope SCOPE ...`: the token has all of these scopes.\n\
         - `Require bound-claim CLAIM VALUE ...`: the claim is, or as an array contains, one of the values; a CLAIM that \
         begins with `/` is a JSON pointer into the claims.\n\
         - `Require bound-proof METHOD ...`: possession was proved by one of `certificate`, `token-binding`, `dpop`; `none` \
         stands for a bearer token.\n\n\
         They combine with `<RequireAll>`, `<RequireAny>`, `<RequireNone>` and with other modules' `Require` lines. A token \
         that is good but does not suffice gets 403. As on httpd in general, a section that admits a request without \
         a user (`Require all granted`, `Require ip`) admits it without a token: put `Require valid-user` or a `bound-*` \
         line of its own beside a negated one. And as for any other \
         `AuthType`, httpd serves an `ErrorDocument` that lies in the very section it belongs to without asking again: \
         keep error pages outside of what they guard.\n",
    );
    text
}

/// How the table's refusals end a gRPC call.
const GRPC: &str = "A refused gRPC call (`Content-Type: application/grpc`, HTTP/2) ends in gRPC's own terms: the response has \
    status 200, in the access log, too, no body, and `grpc-status` 16 (UNAUTHENTICATED) instead of 400, 401 and 303, 7 \
    (PERMISSION_DENIED) instead of 403, 14 (UNAVAILABLE) instead of 503, 13 (INTERNAL) instead of 500. `grpc-message` is what \
    the client is told; challenges stay. No error page takes its place.\n\n";

fn refusals() -> String {
    let mut text = format!("# Refusals\n\n<!-- {NOTE} -->\n\n");
    let _ = write!(
        text,
        "Why a request is refused, with the number that the error log and `BOUND_REFUSAL` show. Numbers are never \
         reused. A missing token is logged at level info, a client's other faults at warn, the rest at error: NGINX logs what clients get wrong only where `error_log` names a level (`warn` or `info`).\n\n\
         {GRPC}{REFUSAL_COLUMNS}"
    );
    for reason in Reason::ALL {
        refusal_row!(text, reason);
    }
    text.push_str(
        "\nWhy a protected cookie is not let through to the application, or not issued to the client (level warn, with a \
         count for the process). What becomes of the request, cookie-refusal says.\n\n\
         | number | name | meaning |\n|---|---|---|\n",
    );
    for error in SealError::ALL {
        let _ = writeln!(
            text,
            "| AB{} | cookie-{} | {} |",
            error.number(),
            error.name(),
            error.sentence()
        );
    }
    text.push_str(
        "\nLines of the threads that keep keys current:\n\n\
         | number | name | level | meaning |\n|---|---|---|---|\n\
         | AB2001 | keys-refreshed | info | An issuer's keys were read or fetched. |\n\
         | AB2002 | refresh-failed | warn | They could not be; the line says why, and whether keys known before go on being used. |\n\
         | AB2003 | key-skipped | warn | A key of the set is not used; the line says why. |\n\
         | AB2004 | keys-stale | error | No refresh has succeeded for `jwks-stale`: the keys are used no more. |\n\
         | AB2005 | start-failed | error | A server process could not start its part of the module; it refuses every token. |\n\
         | AB2006 | keys-withdrawn | error | The issuer publishes no usable key any more: none of its tokens is accepted. |\n",
    );
    denials(&mut text);
    text
}

/// What the token endpoint refuses.
fn denials(text: &mut String) {
    let _ = write!(
        text,
        "\nWhy the token endpoint issues nothing (RFC 6749, section 5.2; RFC 8693, section 2.2.2). The status 401 is \
         sent to clients that used `Authorization`, together with a challenge; others get 400. Where a token or a \
         client assertion is not accepted, the line in the log goes on with the number of its own refusal from the first \
         table.\n\n\
         {REFUSAL_COLUMNS}"
    );
    for reason in DenialReason::ALL {
        refusal_row!(text, reason);
    }
}

fn exports() -> String {
    let mut text = format!("# Exported names\n\n<!-- {NOTE} -->\n\n");
    text.push_str(
        "In the environment on httpd (`%{NAME}e` in logs and mod_headers, CGI), as variables in lower case and with `_` for \
         `-` on NGINX (`$bound_sub`, `$sec_provided_token_binding_id`). Request headers by any of these names, by any name that begins with `BOUND_`, and by the names \
         given in export-claim and export-header are removed from every incoming request, whatever their case and with any \
         other character in place of `-` or `_`. A claim with control characters is percent-encoded; an array of strings is \
         joined by commas unless one of them contains a comma, which makes it JSON like every other structure.\n\n\
         | name | value |\n|---|---|\n",
    );
    for export in EXPORTS {
        let _ = writeln!(text, "| `{}` | {} |", export.name.to_string_lossy(), export.sentence);
    }
    text.push_str("| `BOUND_CLAIM_<CLAIM>` | A claim named by export-claim. |\n| `REMOTE_USER` | The claim that user-claim names. |\n");
    text
}

fn configuration(server: &impl Server) -> String {
    let mut text = format!("# Every directive on {}, with its default.\n# {NOTE}\n", server.name());
    for row in DIRECTIVES.iter().filter(|row| server.has(row)) {
        text.push('\n');
        for line in wrapped(row.sentence.trim()) {
            let _ = writeln!(text, "# {line}");
        }
        let name = server.directive(row);
        let _ = writeln!(text, "# Takes {}.", (row.syntax)());
        let example = if row.default.is_empty() { " ..." } else { "" };
        let space = if row.default.is_empty() { "" } else { " " };
        let _ = writeln!(text, "#{name}{space}{}{example}{}", row.default, server.end());
    }
    text
}

/// `text` in lines of at most 96 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.len().saturating_add(word.len()) >= 96);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
