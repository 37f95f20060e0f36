//! `auth-bound cookie inspect`.

use auth_bound::cookie::{
    CookieCheck, CookiePolicy, CookieRule, HostScope, KeyRing, Payload, Request, SessionCookie,
    Situation, key_id, open, sealed_text,
};
use auth_bound::token::Timestamp;
use clap::Args;

use super::setting::{self, Proof, Ring};
use crate::fault::Fault;
use crate::page::Page;
use crate::{files, output, time, words};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound cookie inspect --secret cookies.secret 'JSESSIONID=AWL8...'
  auth-bound cookie inspect --secret cookies.secret --host app.example --cert bob.pem \\
      - < cookie.txt

The value is not shown: use `auth-bound cookie open`. Every option adds a check. A failed one is
shown with the reason that the server would log. The exit status is 0 whatever comes of the checks,
1 if the cookie cannot be opened with the secrets given.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ring: Ring,
    /// The cookie's name [default: that of the first cookie]
    #[arg(long, value_parser = setting::name_parser)]
    name: Option<String>,
    /// The host that the request is for
    #[arg(long, value_parser = setting::host_parser)]
    host: Option<String>,
    /// The path that the request is for
    #[arg(long, value_parser = setting::path_parser)]
    path: Option<String>,
    /// The policy of the server's configuration [default: that of the seal]
    #[arg(long, value_parser = setting::policy_parser())]
    policy: Option<CookiePolicy>,
    #[command(flatten)]
    proof: Proof,
    /// How old the seal may be, as in 12h or 7d
    #[arg(long, value_name = "AGE", value_parser = time::parse_lifetime,
        default_value = "24h")]
    max_age: Timestamp,
    /// Inspect as if it were this time: seconds since 1970, or UTC as in 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<Timestamp>,
    /// The sealed value or the whole Cookie header; - or nothing for standard input
    cookie: Option<String>,
}

pub(crate) fn inspect(arguments: &Arguments) -> Result<(), Fault> {
    let ring = arguments.ring.read()?;
    let (name, sealed) = sealed(arguments)?;
    let refused = |error| Fault::new(setting::refusal(error));
    let mut buffer = Vec::new();
    let Payload::SessionCookie(cookie) = open(&sealed, &ring, &mut buffer).map_err(refused)?;
    let now = arguments.at.unwrap_or_else(time::now);
    let mut page = Page::default();
    page.section("sealed", seal_lines(&cookie, &ring, &sealed, now));
    page.section("cookie", cookie_lines(&cookie));
    page.section("bound to", [binding(&cookie)]);
    page.section("checks", checks(arguments, &cookie, name.as_deref(), now)?);
    output::print(page.text())
}

/// The sealed text and, if it is known, the name it came under.
fn sealed(arguments: &Arguments) -> Result<(Option<String>, Vec<u8>), Fault> {
    let text = files::word(arguments.cookie.as_deref(), "cookie")?;
    let stated = arguments.name.clone();
    let first = text
        .split_once('=')
        .map(|(name, _)| name.strip_prefix("Cookie:").unwrap_or(name).trim().to_owned());
    match stated.or(first) {
        Some(name) => {
            let header = setting::header(&name, &text);
            let sealed = sealed_text(header.as_bytes(), &name)
                .map_err(|error| Fault::new(setting::refusal(error)))?;
            Ok((Some(name), sealed))
        }
        None => Ok((None, text.into_bytes())),
    }
}

fn seal_lines(
    cookie: &SessionCookie<'_>,
    ring: &KeyRing,
    sealed: &[u8],
    now: Timestamp,
) -> Vec<String> {
    let id = key_id(sealed).unwrap_or_default();
    let place = ring.key_ids().position(|other| other == id).unwrap_or_default();
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        words::moment(cookie.issued, now),
        format!("with secret {} of the ring, id {hex}", place.saturating_add(1)),
        format!("policy {}", cookie.policy.name()),
    ]
}

fn cookie_lines(cookie: &SessionCookie<'_>) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let host = match cookie.scope.host {
        HostScope::HostOnly(host) => format!("host {host}"),
        HostScope::Domain(domain) => format!("host {domain} and all below it"),
    };
    vec![
        format!("name {}", text(cookie.name)),
        host,
        format!("path {}", text(cookie.scope.path)),
        format!("value of {} bytes", cookie.value.len()),
    ]
}

fn binding(cookie: &SessionCookie<'_>) -> String {
    match &cookie.possession {
        Some(possession) => format!("{} {}", possession.kind, possession.hash),
        None => "nothing: whoever has this cookie may use it, where that is allowed".to_owned(),
    }
}

fn checks(
    arguments: &Arguments,
    cookie: &SessionCookie<'_>,
    name: Option<&str>,
    now: Timestamp,
) -> Result<Vec<String>, Fault> {
    let proved = Vec::from_iter(arguments.proof.read()?);
    // What is not asked about is taken as the seal has it, and shown as not checked.
    let own_path = String::from_utf8_lossy(cookie.scope.path);
    let request = Request {
        host: arguments.host.as_deref().unwrap_or_else(|| cookie.scope.host.name()),
        path: arguments.path.as_deref().unwrap_or(&own_path).as_bytes(),
        now,
        proved: &proved,
    };
    let own_name = String::from_utf8_lossy(cookie.name);
    let shown = name.unwrap_or(&own_name);
    let policy = arguments.policy.unwrap_or(cookie.policy);
    let rule = CookieRule { max_age: arguments.max_age, ..setting::rule(shown, policy) };
    let situation = Situation { name: shown.as_bytes(), rule: &rule, request: &request };
    let line = |check: &CookieCheck| match open_question(*check, arguments, name, cookie) {
        Some(option) => format!("open   {}: not checked without {option}", check.name()),
        None => match check.of(cookie, &situation) {
            Ok(()) => format!("holds  {}", check.name()),
            Err(error) => format!("fails  {}: {}", check.name(), setting::refusal(error)),
        },
    };
    Ok(CookieCheck::ALL.iter().map(line).collect())
}

/// The option without which a check says nothing.
fn open_question(
    check: CookieCheck,
    arguments: &Arguments,
    name: Option<&str>,
    cookie: &SessionCookie<'_>,
) -> Option<&'static str> {
    let unproved = cookie.possession.is_some() && !arguments.proof.is_given();
    match check {
        CookieCheck::Name if name.is_none() => Some("--name"),
        CookieCheck::Host if arguments.host.is_none() => Some("--host"),
        CookieCheck::Path if arguments.path.is_none() => Some("--path"),
        CookieCheck::Possession if unproved => Some("--cert or --tbh"),
        CookieCheck::Name
        | CookieCheck::Host
        | CookieCheck::Path
        | CookieCheck::Age
        | CookieCheck::Possession => None,
    }
}
