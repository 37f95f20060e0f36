//! The request, as the command line describes it.

use clap::Args;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};

use super::exchange::HttpVersion;
use super::target::Target;
use crate::fault::Fault;

/// The header field of the Token Binding message (RFC 8473, section 2).
const SEC_TOKEN_BINDING: HeaderName = HeaderName::from_static("sec-token-binding");
/// The type of a body, unless --header says another.
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const OURSELVES: HeaderValue =
    HeaderValue::from_static(concat!("auth-bound/", env!("CARGO_PKG_VERSION")));

/// What to ask.
#[derive(Args, Debug)]
pub(super) struct RequestSettings {
    /// A header field to send; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// The method [default: GET; with --data POST]
    #[arg(long = "request", value_name = "METHOD")]
    method: Option<Method>,
    /// A body to send, as a form if no --header says otherwise
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    data: Option<String>,
}

impl RequestSettings {
    /// A request with these values of `Sec-Token-Binding`.
    pub(super) fn make(
        &self,
        target: &Target,
        http: HttpVersion,
        messages: &[String],
    ) -> Result<Request<String>, Fault> {
        let uri = match http {
            HttpVersion::Http1 => target.path().to_owned(),
            HttpVersion::Http2 => target.absolute(),
        };
        let body = self.data.clone().unwrap_or_default();
        let mut request = Request::new(body);
        *request.uri_mut() = uri.parse().map_err(Fault::new)?;
        *request.method_mut() = self.method();
        *request.headers_mut() = self.headers(target, http, messages)?;
        Ok(request)
    }

    fn method(&self) -> Method {
        let usual = if self.data.is_some() { Method::POST } else { Method::GET };
        self.method.clone().unwrap_or(usual)
    }

    fn headers(
        &self,
        target: &Target,
        http: HttpVersion,
        messages: &[String],
    ) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::new();
        if http == HttpVersion::Http1 && self.header.iter().all(|(name, _)| name != HOST) {
            let host = HeaderValue::from_str(target.authority()).map_err(Fault::new)?;
            headers.insert(HOST, host);
        }
        for message in messages {
            let value = HeaderValue::from_str(message)
                .map_err(|_| Fault::new("--message: not the value of a header field"))?;
            headers.append(SEC_TOKEN_BINDING, value);
        }
        for (name, value) in &self.header {
            headers.append(name, value.clone());
        }
        // What was not said already.
        headers.entry(USER_AGENT).or_insert(OURSELVES);
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        if self.data.is_some() {
            headers.entry(CONTENT_TYPE).or_insert(FORM);
        }
        Ok(headers)
    }
}

/// For clap: a header field.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    const EXPECTED: &str = "expected a name, a colon and a value";
    let (name, value) = text.split_once(':').ok_or(EXPECTED)?;
    let name = name.parse().map_err(|_| EXPECTED)?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| EXPECTED)?;
    Ok((name, value))
}
