//! `auth-bound cookie open`.

use auth_bound::cookie::{CookiePolicy, CookieRule, CookieRules, Jar, Request, open_request};
use auth_bound::token::Timestamp;
use clap::Args;

use super::setting::{self, Proof, Ring};
use crate::fault::Fault;
use crate::{files, time};

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  auth-bound cookie open --secret cookies.secret --name JSESSIONID --host app.example \\
      --cert alice.pem - < cookie.txt

The exit status is 1 for a cookie that the module would remove.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ring: Ring,
    /// The cookie's name
    #[arg(long, value_parser = setting::name_parser)]
    name: String,
    /// The host that the request is for
    #[arg(long, value_parser = setting::host_parser)]
    host: String,
    /// The path that the request is for
    #[arg(long, default_value = "/", value_parser = setting::path_parser)]
    path: String,
    /// The policy of the server's configuration
    #[arg(long, default_value = "required", value_parser = setting::policy_parser())]
    policy: CookiePolicy,
    #[command(flatten)]
    proof: Proof,
    /// How old the seal may be, as in 12h or 7d
    #[arg(long, value_name = "AGE", value_parser = time::parse_lifetime,
        default_value = "24h")]
    max_age: Timestamp,
    /// Open as if it were this time: seconds since 1970, or UTC as in 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<Timestamp>,
    /// The sealed value or the whole Cookie header; - or nothing for standard input
    cookie: Option<String>,
}

pub(crate) fn open(arguments: &Arguments) -> Result<(), Fault> {
    let ring = arguments.ring.read()?;
    let name = &arguments.name;
    let cookie = setting::header(name, &files::word(arguments.cookie.as_deref(), "cookie")?);
    let rule = CookieRule { max_age: arguments.max_age, ..setting::rule(name, arguments.policy) };
    let rules = CookieRules::new(vec![rule]);
    let jar = Jar { max_size: usize::MAX, ..Jar::new(&rules, &ring) };
    let proved = Vec::from_iter(arguments.proof.read()?);
    let request = Request {
        host: &arguments.host,
        path: arguments.path.as_bytes(),
        now: arguments.at.unwrap_or_else(time::now),
        proved: &proved,
    };
    let opened = open_request(&[&cookie], &jar, &request);
    let own = opened.cookies.iter().find(|outcome| outcome.name == name.as_bytes());
    match own.map(|outcome| outcome.result) {
        Some(Ok(_)) => {}
        Some(Err(error)) => return Err(Fault::new(setting::refusal(error))),
        None => return Err(Fault::new(format_args!("there is no cookie named {name}"))),
    }
    let header = opened.rewritten(cookie.as_bytes(), 0).unwrap_or_default();
    let value = header.split(|byte| *byte == b';').find_map(|pair| {
        pair.trim_ascii().strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")
    });
    setting::print(value.unwrap_or_default().trim_ascii())
}
