//! HTTP on a connection (RFC 9112, RFC 9113): one request after the other.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use clap::ValueEnum;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper::{Request, Response};
use tokio::task::JoinHandle;

use super::wire::Wire;
use crate::fault::Fault;

/// How long to wait for a connection to end in good order.
const FAREWELL: Duration = Duration::from_secs(1);

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum HttpVersion {
    /// HTTP/1.1.
    #[value(name = "1.1")]
    Http1,
    /// HTTP/2.
    #[value(name = "2")]
    Http2,
}

impl HttpVersion {
    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }

    /// The only protocol that ALPN offers (RFC 7301), as it stands in the extension.
    pub(super) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"\x08http/1.1",
            Self::Http2 => b"\x02h2",
        }
    }
}

/// A connection that speaks HTTP.
pub(super) struct Exchange {
    sender: Sender,
    driver: JoinHandle<hyper::Result<()>>,
}

enum Sender {
    Http1(http1::SendRequest<String>),
    Http2(http2::SendRequest<String>),
}

/// Runs what HTTP/2 does beside of requests.
#[derive(Clone, Copy)]
struct Tasks;

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

impl Exchange {
    /// Begins to speak HTTP.
    pub(super) async fn begin(wire: Wire, version: HttpVersion) -> Result<Self, Fault> {
        match version {
            HttpVersion::Http1 => {
                let (sender, connection) = http1::handshake(wire).await.map_err(failed)?;
                Ok(Self { sender: Sender::Http1(sender), driver: tokio::spawn(connection) })
            }
            HttpVersion::Http2 => {
                // Without ALPN a server cannot know that we speak HTTP/2 (RFC 9113, section 3.2).
                if wire.ask(|ssl| ssl.selected_alpn_protocol() != Some(b"h2")) {
                    return Err(Fault::new("the server does not speak HTTP/2"));
                }
                let (sender, connection) = http2::handshake(Tasks, wire).await.map_err(failed)?;
                Ok(Self { sender: Sender::Http2(sender), driver: tokio::spawn(connection) })
            }
        }
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &mut self,
        request: Request<String>,
    ) -> Result<Response<Incoming>, Fault> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(failed)?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await.map_err(failed)?;
                sender.send_request(request).await
            }
        }
        .map_err(failed)
    }

    /// Ends the connection in good order, without which its session could not be resumed.
    pub(super) async fn end(self) {
        let Self { sender, driver } = self;
        drop(sender);
        // All that was asked for is there. How the server takes leave does not matter.
        let _ = tokio::time::timeout(FAREWELL, driver).await;
    }
}

/// The next bytes of a body.
pub(super) async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(error)) => return Err(failed(error)),
            Some(Ok(frame)) => {
                // Trailers are nobody's concern.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The error together with what it comes from, which hyper leaves to others to print.
fn failed(error: hyper::Error) -> Fault {
    use std::error::Error as _;
    match error.source() {
        Some(source) => Fault::new(format_args!("HTTP: {error}: {source}")),
        None => Fault::new(format_args!("HTTP: {error}")),
    }
}
