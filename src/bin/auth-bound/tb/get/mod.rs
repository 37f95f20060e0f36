//! `auth-bound tb get`.

mod exchange;
mod extension;
mod report;
mod request;
mod signer;
mod target;
mod tls;
mod wire;

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use clap::Args;
use hyper::Response;
use hyper::body::Incoming;
use tokio::runtime::Builder;
use url::Url;

use self::exchange::{Exchange, HttpVersion};
use self::report::{Handshake, Report};
use self::signer::Signer;
use self::target::Target;
use self::tls::Client;
use self::wire::Wire;
use crate::fault::Fault;
use crate::output;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound tb get https://api.example/accounts
  auth-bound tb get --key tb.pem --header \"Authorization: Bearer $TOKEN\" https://api.example/accounts
  auth-bound tb get --show --resume --requests 2 --tls 1.2 --insecure https://localhost:8443/

The response's body is printed, whatever its status. Redirects are not followed. --show prints a
line of JSON on standard error for each request: TLS version, whether the session was resumed, what
was negotiated, the exported keying material, Token-Binding-Context, what was sent and proved, the
response's status, and whether the response asks to include the referred Token Binding ID.

The exit status is 1 if there was no response, and if the server answered the extension as no
server may: then nothing is sent to it.")]
pub(crate) struct Arguments {
    /// What to ask for, by https
    #[arg(value_parser = Url::parse)]
    url: Url,
    #[command(flatten)]
    keys: signer::KeySettings,
    #[command(flatten)]
    tls: tls::TlsSettings,
    #[command(flatten)]
    request: request::RequestSettings,
    /// Connect to this address and not to the URL's
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// Speak this version of HTTP
    #[arg(long, value_name = "VERSION", value_enum, default_value = "1.1")]
    http: HttpVersion,
    /// How many requests to send on a connection, one after the other
    #[arg(long, value_name = "NUMBER", default_value = "1",
        value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,
    /// Do it all again on a second connection that resumes the session of the first
    #[arg(long)]
    resume: bool,
    /// Do not offer Token Binding
    #[arg(long)]
    no_token_binding: bool,
    /// Send this as Sec-Token-Binding, negotiated or not; may be repeated
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Vec<String>,
    /// Send no Sec-Token-Binding, even if Token Binding is negotiated
    #[arg(long, conflicts_with = "message")]
    no_message: bool,
    /// Say on standard error how each request stood
    #[arg(long)]
    show: bool,
    /// Print the responses' heads, too
    #[arg(short, long)]
    include: bool,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "30",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

pub(crate) fn get(arguments: &Arguments) -> Result<(), Fault> {
    let target = Target::new(&arguments.url, arguments.connect.as_deref()).map_err(Fault::new)?;
    let signer = Signer::new(&arguments.keys)?;
    let offered = if arguments.no_token_binding { &[] } else { signer.offered() };
    let client = Client::new(&arguments.tls, arguments.http, offered)?;
    let visit = Visit { arguments, target, client, signer };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Fault::new)?;
    runtime.block_on(async {
        let limit = Duration::from_secs(arguments.timeout);
        let made = tokio::time::timeout(limit, visit.make()).await;
        made.unwrap_or_else(|_| Err(Fault::new("the time is over: see --timeout")))
    })
}

/// All connections and requests of one run.
struct Visit<'a> {
    arguments: &'a Arguments,
    target: Target,
    client: Client,
    signer: Signer,
}

impl Visit<'_> {
    async fn make(mut self) -> Result<(), Fault> {
        let connections = if self.arguments.resume { 2 } else { 1 };
        for connection in 1..=connections {
            let wire = self.client.connect(&self.target).await?;
            if connection == 2 && !wire.ask(|ssl| ssl.session_reused()) {
                output::note("the second connection could not resume the session of the first");
            }
            let mut exchange = Exchange::begin(wire.clone(), self.arguments.http).await?;
            for request in 1..=self.arguments.requests {
                let report = self.report(&wire, connection, request)?;
                self.ask(&mut exchange, report).await?;
            }
            exchange.end().await;
        }
        Ok(())
    }

    /// How the connection stands, and what a request has to say on it.
    fn report(&mut self, wire: &Wire, connection: u8, request: u32) -> Result<Report, Fault> {
        let handshake = wire.ask(Handshake::of)?;
        let context = wire.ask(|ssl| self.client.extension().context(ssl))?;
        // "clients MUST include" the header "in all HTTP requests" once Token Binding is negotiated
        // (RFC 8473, section 2), unless this one is told otherwise.
        let (message, sent) = match context {
            _ if !self.arguments.message.is_empty() => (None, self.arguments.message.clone()),
            Some(context) if !self.arguments.no_message => {
                let message = self.signer.message(&context)?;
                let sent = vec![message.text.clone()];
                (Some(message), sent)
            }
            Some(_) | None => (None, Vec::new()),
        };
        let http = self.arguments.http;
        let (status, include_referred) = (None, false);
        Ok(Report {
            connection,
            request,
            http,
            handshake,
            context,
            message,
            sent,
            status,
            include_referred,
        })
    }

    async fn ask(&self, exchange: &mut Exchange, mut report: Report) -> Result<(), Fault> {
        let settings = &self.arguments.request;
        let request = settings.make(&self.target, self.arguments.http, &report.sent)?;
        let answer = exchange.send(request).await;
        if let Ok(response) = &answer {
            report.status = Some(response.status().as_u16());
            report.include_referred = !report.sent.is_empty() && asks_for_referred(response);
        }
        if self.arguments.show {
            report.show();
        }
        self.print(answer?).await
    }

    async fn print(&self, response: Response<Incoming>) -> Result<(), Fault> {
        if self.arguments.include {
            let mut head = format!("{:?} {}\n", response.version(), response.status());
            for (name, value) in response.headers() {
                head.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
            }
            output::print(&head)?;
        }
        let mut body = response.into_body();
        while let Some(bytes) = exchange::next(&mut body).await? {
            write(&bytes)?;
        }
        Ok(())
    }
}

/// Whether a redirect wants to be followed by a request with a referred binding: "true" in any
/// letter case, and only in a redirect (RFC 8473, section 5.3).
fn asks_for_referred(response: &Response<Incoming>) -> bool {
    response.status().is_redirection()
        && response
            .headers()
            .get("include-referred-token-binding-id")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Writes a body as it is. A reader that has seen enough is no error.
fn write(bytes: &[u8]) -> Result<(), Fault> {
    let mut out = io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Fault::new(format_args!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
