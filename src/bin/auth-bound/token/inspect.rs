//! `auth-bound token inspect`.

use std::path::PathBuf;
use std::sync::Arc;

use auth_bound::directive::value::Audience;
use auth_bound::jose::json::{self, Object};
use auth_bound::jose::{KeyRing, base64url};
use auth_bound::refusal::Reason;
use auth_bound::token::{Check, Finding, Outcome, Timestamp, examine};
use auth_bound::{Confirmation, Policy, Possessions, ThumbprintForm};
use clap::Args;
use serde_json::Value;

use crate::fault::Fault;
use crate::page::Page;
use crate::{files, output, time, words};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  auth-bound token inspect - < alice.token
  auth-bound token inspect --jwks jwks.json --cert bob.pem - < alice.token

Every option adds a check. A failed one is shown with the line that the server would log. The exit
status is 0 whatever comes of the checks: use `auth-bound token verify` to decide.")]
pub(crate) struct Arguments {
    /// The issuer's JWK Set, to check the signature
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The issuer to compare iss with
    #[arg(long)]
    issuer: Option<String>,
    /// The audience to look for in aud
    #[arg(long)]
    audience: Option<String>,
    /// The certificate that the client presents, in PEM or DER
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Inspect as if it were this time: seconds since 1970, or UTC as in 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<Timestamp>,
    /// The token; - or nothing for standard input
    token: Option<String>,
}

pub(crate) fn inspect(arguments: &Arguments) -> Result<(), Fault> {
    let now = arguments.at.unwrap_or_else(time::now);
    let token = files::token(arguments.token.as_deref())?;
    let mut parts = token.split('.');
    let header = part(parts.next());
    let claims = part(parts.next());
    let mut page = Page::default();
    page.section("header", [shown(&header)]);
    page.section("claims", [shown(&claims)]);
    if let Ok(claims) = &claims {
        page.section("lifetime", lifetime(claims, now));
        page.section("bound to", [binding(claims)]);
    }
    let issuer = claims.as_ref().ok().and_then(|claims| claims.get("iss"));
    let issuer = issuer.and_then(Value::as_str);
    page.section("checks", checks(arguments, &token, issuer, now)?);
    output::print(page.text())
}

/// One part of the token as JSON, or why it is none.
fn part(text: Option<&str>) -> Result<Object, String> {
    let text = text.ok_or("missing")?;
    let bytes = base64url::decode(text).ok_or("not canonical base64url")?;
    json::object(&bytes)
}

fn shown(part: &Result<Object, String>) -> String {
    match part {
        Ok(object) => format!("{:#}", serde_json::json!(object)),
        Err(reason) => format!("not readable: {reason}"),
    }
}

fn lifetime(claims: &Object, now: Timestamp) -> Vec<String> {
    let line = |(name, words): (&str, &str)| {
        let value = claims.get(name)?;
        let time = value.as_i64().or_else(|| value.as_f64().map(|time| time as i64));
        Some(match time {
            Some(time) => format!("{words} {}", words::moment(time, now)),
            None => format!("{words} at no time: {name} is no number"),
        })
    };
    let mut lines: Vec<_> = [
        ("auth_time", "user authenticated"),
        ("iat", "issued"),
        ("nbf", "valid from"),
        ("exp", "expires"),
    ]
    .into_iter()
    .filter_map(line)
    .collect();
    if !claims.contains_key("exp") {
        lines.push("never expires: there is no exp".to_owned());
    }
    lines
}

fn binding(claims: &Object) -> String {
    let Some(cnf) = claims.get("cnf") else {
        return "nothing: whoever has this token may use it, where that is allowed".to_owned();
    };
    match Confirmation::parse(cnf, ThumbprintForm::AnyBase64) {
        Ok(confirmation) => {
            let claim = confirmation.to_claim();
            let line = |method: auth_bound::Method| {
                let thumbprint = claim.get(method.member()).and_then(Value::as_str);
                format!("{} {}", method.name(), thumbprint.unwrap_or_default())
            };
            confirmation.methods().map(line).collect::<Vec<_>>().join("\n")
        }
        Err(_) => "something that cannot be proved: see the confirmation below".to_owned(),
    }
}

fn checks(
    arguments: &Arguments,
    token: &str,
    named: Option<&str>,
    now: Timestamp,
) -> Result<Vec<String>, Fault> {
    let certificate = arguments.cert.as_deref().map(files::certificate).transpose()?;
    let possessions = Possessions { certificate: certificate.as_ref(), ..Possessions::default() };
    let ring = match &arguments.jwks {
        Some(path) => KeyRing::holding(files::key_set(path)?),
        None => KeyRing::new(),
    };
    // What is not asked about is taken as the token has it, and shown as not checked.
    let issuer = arguments.issuer.as_deref().or(named).unwrap_or_default();
    let policy = Policy::new().map_err(Fault::new)?.trust(issuer, Arc::new(ring));
    let policy = match &arguments.audience {
        Some(audience) => policy.audience(audience),
        None => policy.with(|settings| settings.audience = Audience::Any),
    };
    let findings = examine(token, &policy, &possessions, now);
    Ok(findings.iter().map(|finding| line(finding, arguments)).collect())
}

fn line(finding: &Finding, arguments: &Arguments) -> String {
    let name = finding.check.name();
    if let Some(option) = open(finding, arguments) {
        return format!("open   {name}: not checked without {option}");
    }
    match &finding.outcome {
        Outcome::Holds => format!("holds  {name}"),
        Outcome::Fails(refusal) => format!("fails  {name}: {refusal}"),
        Outcome::NeedsKeys => format!("open   {name}"),
    }
}

/// The option without which a check says nothing.
fn open(finding: &Finding, arguments: &Arguments) -> Option<&'static str> {
    match (finding.check, &finding.outcome) {
        (Check::Issuer, Outcome::Holds) if arguments.issuer.is_none() => Some("--issuer"),
        (Check::Signature, Outcome::NeedsKeys) => Some("--jwks"),
        (Check::Audience, Outcome::Holds) if arguments.audience.is_none() => Some("--audience"),
        (Check::Possession, Outcome::Fails(refusal))
            if refusal.reason() == Reason::CertificateMissing && arguments.cert.is_none() =>
        {
            Some("--cert")
        }
        _ => None,
    }
}
