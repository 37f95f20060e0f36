//! Where a request goes.

use url::{Host, Position, Url};

/// The port of https (RFC 9110, section 4.2.2).
const HTTPS: u16 = 443;

/// A URL of https, and the address that its server is reached at.
#[derive(Clone, Debug)]
pub(super) struct Target {
    url: Url,
    /// The name of the server, as its certificate must have it.
    pub(super) name: String,
    /// Where to connect to: a host and a port.
    pub(super) address: String,
}

impl Target {
    /// The target behind `url`, reached at `address` (a host and a port) instead of its own if one
    /// is given.
    pub(super) fn new(url: &Url, address: Option<&str>) -> Result<Self, &'static str> {
        if url.scheme() != "https" {
            return Err("only https has Token Binding");
        }
        let (name, host) = match url.host().ok_or("the URL names no host")? {
            Host::Ipv6(address) => (address.to_string(), format!("[{address}]")),
            host @ (Host::Domain(_) | Host::Ipv4(_)) => (host.to_string(), host.to_string()),
        };
        let own = || format!("{host}:{}", url.port().unwrap_or(HTTPS));
        let address = address.map_or_else(own, str::to_owned);
        Ok(Self { url: url.clone(), name, address })
    }

    /// Host and port as `Host` and `:authority` have them.
    pub(super) fn authority(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// The target in origin-form: path and query (RFC 9112, section 3.2.1).
    pub(super) fn path(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }

    /// The target in absolute-form, without a fragment, user or password.
    pub(super) fn absolute(&self) -> String {
        format!("https://{}{}", self.authority(), self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_name_address_and_path() {
        let target = |url: &str| Target::new(&Url::parse(url).unwrap(), None).unwrap();
        let plain = target("https://user@api.example/a/b?c=d#e");
        assert_eq!(
            (plain.name.as_str(), plain.address.as_str()),
            ("api.example", "api.example:443")
        );
        assert_eq!(plain.absolute(), "https://api.example/a/b?c=d");
        let numbers = target("https://[::1]:8443");
        assert_eq!((numbers.name.as_str(), numbers.address.as_str()), ("::1", "[::1]:8443"));
        assert_eq!((numbers.authority(), numbers.path()), ("[::1]:8443", "/"));
        let elsewhere = Url::parse("https://api.example:1/").unwrap();
        let elsewhere = Target::new(&elsewhere, Some("127.0.0.1:2")).unwrap();
        assert_eq!(
            (elsewhere.authority(), elsewhere.address.as_str()),
            ("api.example:1", "127.0.0.1:2")
        );
        assert!(Target::new(&Url::parse("http://api.example").unwrap(), None).is_err());
    }
}
