//! Where a cookie goes back to: hosts and paths (RFC 6265, sections 5.1.3 and 5.1.4).

use std::net::Ipv4Addr;

/// The hosts that a browser sends a cookie to. Names are in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostScope<'a> {
    /// The very host that set it: there was no `Domain`.
    HostOnly(&'a str),
    /// This domain and everything below it.
    Domain(&'a str),
}

/// The hosts and the path that a browser sends a cookie to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The hosts.
    pub host: HostScope<'a>,
    /// The path, as in `Path` or by the default rule; begins with `/`.
    pub path: &'a [u8],
}

impl<'a> HostScope<'a> {
    /// The host or domain.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        match self {
            Self::HostOnly(name) | Self::Domain(name) => name,
        }
    }

    /// Whether a browser sends the cookie to `host`, which is in lower case and without a port.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::HostOnly(name) => host == *name,
            Self::Domain(domain) => domain_matches(host, domain),
        }
    }
}

impl Scope<'_> {
    /// Whether a browser sends the cookie with a request for `path`: RFC 6265, section 5.1.4.
    #[must_use]
    pub fn covers_path(&self, path: &[u8]) -> bool {
        let path = if path.first() == Some(&b'/') { path } else { b"/" };
        match path.strip_prefix(self.path) {
            Some([]) => true,
            Some([next, ..]) => self.path.last() == Some(&b'/') || *next == b'/',
            None => false,
        }
    }
}

/// RFC 6265, section 5.1.3: the domain itself, or a host name (no address) below it.
fn domain_matches(host: &str, domain: &str) -> bool {
    match host.strip_suffix(domain) {
        Some("") => true,
        Some(below) => below.ends_with('.') && host.parse::<Ipv4Addr>().is_err(),
        None => false,
    }
}

/// The path of a cookie that is set without `Path`: RFC 6265, section 5.1.4. `request` is the
/// path of the request's target as it was sent, without the query.
#[must_use]
pub fn default_path(request: &[u8]) -> &[u8] {
    if request.first() != Some(&b'/') {
        return b"/";
    }
    match request.iter().rposition(|byte| *byte == b'/') {
        Some(last) if last > 0 => request.get(..last).unwrap_or(b"/"),
        Some(_) | None => b"/",
    }
}

/// The host of `Host` or `:authority`: without the port, in lower case. `None` if it is none.
#[must_use]
pub fn host_of(authority: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(authority).ok()?;
    let end = match text.rsplit_once(':') {
        // The colons of an IPv6 address are within its brackets.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.len(),
        Some(_) | None => text.len(),
    };
    let host = text.get(..end)?;
    let valid = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_matched_as_browsers_do() {
        let only = HostScope::HostOnly("app.example");
        let domain = HostScope::Domain("app.example");
        let address = HostScope::Domain("2.3.4");
        for (scope, host, covered) in [
            (&only, "app.example", true),
            (&only, "other.example", false),
            (&only, "www.app.example", false),
            (&domain, "app.example", true),
            (&domain, "www.app.example", true),
            (&domain, "a.b.app.example", true),
            (&domain, "wapp.example", false),
            (&domain, "example", false),
            (&domain, "", false),
            (&domain, "äapp.example", false),
            (&address, "1.2.3.4", false),
        ] {
            assert_eq!(scope.covers(host), covered, "{scope:?} {host}");
        }
    }

    #[test]
    fn paths_are_matched_as_browsers_do() {
        for (path, request, covered) in [
            ("/", "/", true),
            ("/", "/a/b", true),
            ("/", "", true),
            ("/", "*", true),
            ("/a", "/a", true),
            ("/a", "/a/b", true),
            ("/a", "/ab", false),
            ("/a/", "/a", false),
            ("/a/", "/a/b", true),
            ("/a", "/", false),
            ("/a", "*", false),
        ] {
            let scope = Scope { host: HostScope::HostOnly(""), path: path.as_bytes() };
            assert_eq!(scope.covers_path(request.as_bytes()), covered, "{path} {request}");
        }
    }

    #[test]
    fn the_default_path_is_the_directory() {
        for (request, path) in
            [("", "/"), ("*", "/"), ("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b/c", "/a/b")]
        {
            assert_eq!(default_path(request.as_bytes()), path.as_bytes(), "{request}");
        }
    }

    #[test]
    fn a_host_is_without_its_port() {
        for (authority, host) in [
            ("App.Example:443", Some("app.example")),
            ("app.example", Some("app.example")),
            ("app.example:", Some("app.example")),
            ("[::1]:8443", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("", None),
            (":80", None),
            ("a b", None),
        ] {
            assert_eq!(host_of(authority.as_bytes()).as_deref(), host, "{authority}");
        }
    }
}
