//! `auth-bound cookie seal`.

use auth_bound::cookie::{
    CookiePolicy, CookieRules, Jar, Presented, Request, SealError, seal_response,
};
use auth_bound::token::Timestamp;
use clap::Args;
use openssl::rand::rand_bytes;

use super::setting::{self, Proof, Ring};
use crate::fault::Fault;
use crate::{files, time};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound cookie seal --secret cookies.secret --name JSESSIONID --host app.example \\
      --cert alice.pem 8F2A0C
  curl --cert alice.pem --key alice.key \\
      -b \"$(auth-bound cookie seal ... 8F2A0C)\" https://app.example/

It prints what the browser would send: the cookie, and its further chunks if it is a large one.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ring: Ring,
    /// The cookie's name
    #[arg(long, value_parser = setting::name_parser)]
    name: String,
    /// The host that the cookie is for
    #[arg(long, value_parser = setting::host_parser)]
    host: String,
    /// The cookie is for every host below that one, too (it has a Domain attribute)
    #[arg(long)]
    domain: bool,
    /// The path that the cookie is for
    #[arg(long, default_value = "/", value_parser = setting::path_parser)]
    path: String,
    /// What to do without --cert and --tbh: refuse, or seal as bound to nothing
    #[arg(long, default_value = "required", value_parser = setting::policy_parser())]
    policy: CookiePolicy,
    #[command(flatten)]
    proof: Proof,
    /// Seal as if it were this time: seconds since 1970, or UTC as in 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<Timestamp>,
    /// The application's value; - or nothing for standard input
    value: Option<String>,
}

pub(crate) fn seal(arguments: &Arguments) -> Result<(), Fault> {
    let ring = arguments.ring.read()?;
    let value = files::word(arguments.value.as_deref(), "value")?;
    if value.contains(';') || arguments.path.contains(';') {
        return Err(fault(SealError::NotStorable));
    }
    let rules = CookieRules::new(vec![setting::rule(&arguments.name, arguments.policy)]);
    let domain =
        if arguments.domain { format!("; Domain={}", arguments.host) } else { String::new() };
    let set = format!("{}={value}; Path={}{domain}", arguments.name, arguments.path);
    let proved = Vec::from_iter(arguments.proof.read()?);
    let request = Request {
        host: &arguments.host,
        path: b"/",
        now: arguments.at.unwrap_or_else(time::now),
        proved: &proved,
    };
    let set = [set];
    let jar = Jar::new(&rules, &ring);
    let sealed = seal_response(&set, &jar, &request, &Presented::default(), rand_bytes);
    if let Some(error) = sealed.outcomes.iter().find_map(|outcome| outcome.result.err()) {
        return Err(fault(error));
    }
    let pairs: Vec<_> = sealed
        .cookies
        .unwrap_or_default()
        .iter()
        .filter_map(|cookie| cookie.split(|byte| *byte == b';').next().map(<[u8]>::to_vec))
        .collect();
    setting::print(&pairs.join(&b"; "[..]))
}

fn fault(error: SealError) -> Fault {
    if error == SealError::PossessionMissing {
        return Fault::new(
            "nothing to bind to: give --cert or --tbh, or --policy preferred to do without",
        );
    }
    Fault::new(setting::refusal(error))
}
