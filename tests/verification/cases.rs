//! For every reason to refuse a request, cases that are refused for it, and cases that pass beside
//! them.

use auth_bound::Policy;
use auth_bound::directive::value::{self, Expiry};
use auth_bound::jose::{Algorithm, base64url};
use auth_bound::refusal::Reason;
use serde_json::{Value, json};

use super::case::Case;
use super::world::{AUDIENCE, Client, ISSUER, NOW, OTHER_ISSUER, WORLD, key, ring};

fn credentials() -> Vec<Case> {
    use Reason::{
        AuthorizationMalformed, AuthorizationRepeated, DPoPProofMissing, PolicyIncomplete,
        TokenMissing,
    };
    let rings = || ring(&WORLD.keys);
    vec![
        Case::fails(TokenMissing, "no header").sent(&[]),
        Case::fails(TokenMissing, "another scheme").sent(&["Basic YWxpY2U6"]),
        Case::fails(TokenMissing, "an empty header").sent(&[""]),
        Case::fails(AuthorizationRepeated, "two tokens")
            .sent(&["Bearer {token}", "Bearer {token}"]),
        Case::fails(AuthorizationRepeated, "two schemes")
            .sent(&["Basic YWxpY2U6", "Bearer {token}"]),
        Case::fails(AuthorizationRepeated, "joined").sent(&["Bearer {token}, Bearer {token}"]),
        Case::fails(AuthorizationMalformed, "no token").sent(&["Bearer "]),
        Case::fails(AuthorizationMalformed, "two words").sent(&["Bearer {token} x"]),
        Case::fails(AuthorizationMalformed, "quoted").sent(&["Bearer \"{token}\""]),
        Case::fails(DPoPProofMissing, "the DPoP scheme").sent(&["DPoP {token}"]),
        Case::passes("the scheme in any case").sent(&["bEARER {token}"]),
        Case::fails(PolicyIncomplete, "no issuer")
            .under(|_| Policy::new().unwrap().audience(AUDIENCE)),
        Case::fails(PolicyIncomplete, "no audience")
            .under(|_| Policy::new().unwrap().trust(ISSUER, rings())),
    ]
}

fn forms() -> Vec<Case> {
    use Reason::{CritNotUnderstood, TokenJson, TokenMalformed, TokenTooLarge, TypeNotAccepted};
    let nested = format!("{{\"x\":{}{}}}", "[".repeat(64), "]".repeat(64));
    vec![
        Case::fails(TokenTooLarge, "past 16 KiB").claim("filler", "x".repeat(16_384)),
        Case::passes("larger, where that is allowed")
            .claim("filler", "x".repeat(16_384))
            .under(|policy| policy.with(|settings| settings.token_max_size.0 = 65_536)),
        Case::fails(TokenMalformed, "padded").respelled(|token| token + "="),
        Case::fails(TokenMalformed, "two parts").respelled(|token| token.replacen('.', "", 1)),
        Case::fails(TokenMalformed, "four parts").respelled(|token| token + ".AA"),
        Case::fails(TokenMalformed, "opaque").respelled(|_| "mF_9B5f-41JqM".into()),
        Case::fails(TokenMalformed, "five parts, encrypted")
            .respelled(|_| "e30.AA.AA.AA.AA".into()),
        Case::fails(TokenJson, "header: an array").header_text("[]"),
        Case::fails(TokenJson, "header: alg twice").header_text(r#"{"alg":"ES256","alg":"ES256"}"#),
        Case::fails(TokenJson, "header: kid a number").header("kid", 1),
        Case::fails(TokenJson, "header: typ null").header("typ", Value::Null),
        Case::fails(TokenJson, "payload: text").claims_text("foo"),
        Case::fails(TokenJson, "payload: not UTF-8").respelled(|token| {
            let (header, rest) = token.split_once('.').unwrap();
            let (_, signature) = rest.split_once('.').unwrap();
            format!("{header}.{}.{signature}", base64url::encode([b'"', 0xff, b'"']))
        }),
        Case::fails(TokenJson, "payload: junk behind").claims_text("{}{}"),
        Case::fails(TokenJson, "payload: exp twice").claims_text(r#"{"exp":1,"exp":2}"#),
        Case::fails(TokenJson, "payload: nested past 64").claims_text(&nested),
        Case::fails(CritNotUnderstood, "an unknown extension")
            .header("crit", json!(["x"]))
            .header("x", 1),
        Case::fails(CritNotUnderstood, "an unencoded payload")
            .header("crit", json!(["b64"]))
            .header("b64", false),
        Case::fails(CritNotUnderstood, "an empty list").header("crit", json!([])),
        Case::fails(TypeNotAccepted, "a DPoP proof").header("typ", "dpop+jwt"),
        Case::fails(TypeNotAccepted, "a logout token").header("typ", "logout+jwt"),
        Case::fails(TypeNotAccepted, "JWT, where at+jwt is asked for")
            .header("typ", "JWT")
            .under(only_access_tokens),
        Case::fails(TypeNotAccepted, "none, where at+jwt is asked for")
            .without("typ")
            .under(only_access_tokens),
        Case::passes("at+jwt").under(only_access_tokens),
        Case::passes("the long form").header("typ", "application/AT+JWT").under(only_access_tokens),
        Case::passes("JWT").header("typ", "JWT"),
        Case::passes("no typ").without("typ"),
    ]
}

fn only_access_tokens(policy: Policy) -> Policy {
    policy.with(|settings| settings.token_types = value::parse(&["at+jwt"]).unwrap())
}

fn signatures() -> Vec<Case> {
    use Reason::{
        AlgorithmNotAccepted, IssuerNotTrusted, KeyAlgorithmMismatch, KeyUnknown, SignatureInvalid,
    };
    vec![
        Case::fails(AlgorithmNotAccepted, "none").header("alg", "none"),
        Case::fails(AlgorithmNotAccepted, "HS256").header("alg", "HS256"),
        Case::fails(AlgorithmNotAccepted, "another case").header("alg", "es256"),
        Case::fails(AlgorithmNotAccepted, "absent").without("alg"),
        Case::fails(AlgorithmNotAccepted, "a number").header("alg", 1),
        Case::fails(AlgorithmNotAccepted, "not configured").under(|policy| {
            policy.with(|settings| settings.algorithms = value::parse(&["RS256"]).unwrap())
        }),
        Case::fails(IssuerNotTrusted, "another").claim("iss", "https://evil.example"),
        Case::fails(IssuerNotTrusted, "a slash more").claim("iss", format!("{ISSUER}/")),
        Case::fails(IssuerNotTrusted, "absent").without("iss"),
        Case::fails(IssuerNotTrusted, "an array").claim("iss", json!([ISSUER])),
        Case::fails(KeyUnknown, "no such kid").header("kid", "x"),
        Case::fails(KeyUnknown, "another issuer's key")
            .header("kid", "other")
            .signed_by(&WORLD.other_issuers),
        Case::fails(KeyUnknown, "this issuer's key in another's name").claim("iss", OTHER_ISSUER),
        Case::passes("the other issuer's own token")
            .claim("iss", OTHER_ISSUER)
            .header("kid", "other")
            .signed_by(&WORLD.other_issuers),
        Case::fails(KeyUnknown, "no kid, and no key for the algorithm")
            .claim("iss", OTHER_ISSUER)
            .header("alg", "RS256")
            .without("kid")
            .signed_by(key(Algorithm::RS256)),
        Case::fails(KeyAlgorithmMismatch, "pinned to RS256").header("kid", "RS256"),
        Case::fails(KeyAlgorithmMismatch, "PS256 with RS256's key")
            .header("kid", "RS256")
            .header("alg", "PS256")
            .signed_by(key(Algorithm::RS256)),
        Case::fails(SignatureInvalid, "another key under the kid").signed_by(&WORLD.impostor),
        Case::fails(SignatureInvalid, "another key and no kid")
            .without("kid")
            .signed_by(&WORLD.impostor),
        Case::fails(SignatureInvalid, "none at all").respelled(|token| {
            let (input, _) = token.rsplit_once('.').unwrap();
            format!("{input}.")
        }),
        Case::passes("no kid: the key is found").without("kid"),
    ]
}

fn claims() -> Vec<Case> {
    use Reason::{
        AcrInsufficient, AudienceMismatch, AuthenticationTooOld, ClaimMalformed, ExpiryMissing,
        TokenExpired, TokenIssuedInFuture, TokenNotYetValid,
    };
    let audience = |name, aud: Value| Case::fails(AudienceMismatch, name).claim("aud", aud);
    let malformed = |name, value: Value| Case::fails(ClaimMalformed, name).claim(name, value);
    let max_age = |policy: Policy| policy.with(|settings| settings.max_age.0 = Some(300));
    let acr = |policy: Policy| {
        policy.with(|settings| settings.acr_values = value::parse(&["gold", "silver"]).unwrap())
    };
    vec![
        Case::fails(ExpiryMissing, "no exp").without("exp"),
        Case::passes("no exp, where that is allowed")
            .without("exp")
            .under(|policy| policy.with(|settings| settings.expiry = Expiry::Optional)),
        malformed("exp", json!("2000000000")),
        malformed("exp", json!(-1)),
        malformed("exp", json!(1e17)),
        malformed("nbf", json!([])),
        malformed("iat", json!(true)),
        malformed("auth_time", json!("x")),
        malformed("aud", json!({})),
        malformed("aud", json!([AUDIENCE, 1])),
        malformed("scope", json!(["read"])),
        Case::fails(TokenExpired, "past the leeway").claim("exp", NOW - 30),
        Case::passes("expired within the leeway").claim("exp", NOW - 29),
        Case::fails(TokenExpired, "no leeway").claim("exp", NOW).under(|policy| {
            policy.with(|settings| settings.leeway = value::parse(&["0s"]).unwrap())
        }),
        Case::passes("a fractional exp").claim("exp", NOW as f64 + 0.5),
        Case::fails(TokenNotYetValid, "nbf").claim("nbf", NOW + 31),
        Case::passes("nbf within the leeway").claim("nbf", NOW + 30),
        Case::fails(TokenIssuedInFuture, "iat").claim("iat", NOW + 31),
        Case::passes("iat within the leeway").claim("iat", NOW + 30),
        audience("another", json!("https://other.example")),
        audience("others", json!(["https://other.example"])),
        audience("none of an empty list", json!([])),
        Case::fails(AudienceMismatch, "absent").without("aud"),
        Case::passes("one of several audiences").claim("aud", json!(["x", AUDIENCE])),
        Case::fails(AcrInsufficient, "no acr").under(acr),
        Case::fails(AcrInsufficient, "another acr").claim("acr", "bronze").under(acr),
        Case::passes("an accepted acr").claim("acr", "silver").under(acr),
        Case::fails(AuthenticationTooOld, "no auth_time").under(max_age),
        Case::fails(AuthenticationTooOld, "long ago").claim("auth_time", NOW - 331).under(max_age),
        Case::passes("lately").claim("auth_time", NOW - 330).under(max_age),
    ]
}

fn confirmations() -> Vec<Case> {
    use Reason::{ConfirmationMalformed, ConfirmationMissing, ConfirmationUnknown};
    let x5t = WORLD.alice.thumbprint().to_string();
    let malformed = |name, cnf: Value| {
        Case::fails(ConfirmationMalformed, name).claim("cnf", cnf).under(admit_bearer)
    };
    vec![
        Case::fails(ConfirmationMissing, "no cnf").without("cnf"),
        Case::passes("no cnf, where bearer tokens are admitted").without("cnf").under(admit_bearer),
        malformed("null", Value::Null),
        malformed("text", json!("x5t#S256")),
        malformed("an array", json!([x5t])),
        malformed("empty", json!({})),
        malformed("x5t#S256 null", json!({ "x5t#S256": null })),
        malformed("x5t#S256 empty", json!({ "x5t#S256": "" })),
        malformed("x5t#S256 in hex", json!({ "x5t#S256": "ab".repeat(32) })),
        malformed("x5t#S256 short", json!({ "x5t#S256": x5t[1..] })),
        malformed("x5t#S256 with a NUL", json!({ "x5t#S256": format!("{x5t}\0") })),
        Case::fails(ConfirmationUnknown, "x5t alone").claim("cnf", json!({ "x5t": "AAAA" })),
        Case::fails(ConfirmationUnknown, "known and unknown")
            .claim("cnf", json!({ "x5t#S256": x5t, "jwk": {} })),
    ]
}

fn possessions() -> Vec<Case> {
    use Reason::{
        CertificateMismatch, CertificateMissing, ConfirmationNotAccepted, DPoPProofMissing,
        ThumbprintEncoding, TokenBindingMissing,
    };
    let x5t = WORLD.alice.thumbprint().to_string();
    let with =
        |case: Case, member: &str| case.claim("cnf", json!({ "x5t#S256": x5t, member: x5t }));
    let padded = json!({ "x5t#S256": format!("{x5t}=") });
    let compat = |policy: Policy| {
        policy.with(|settings| settings.compat = value::parse(&["padded-thumbprint"]).unwrap())
    };
    let only_dpop = |policy: Policy| {
        policy.with(|settings| settings.confirmation = value::parse(&["dpop"]).unwrap())
    };
    vec![
        Case::fails(ThumbprintEncoding, "padded").claim("cnf", padded.clone()),
        Case::passes("padded, where that is tolerated").claim("cnf", padded.clone()).under(compat),
        Case::fails(CertificateMismatch, "padded, and another's")
            .claim("cnf", padded)
            .under(compat)
            .from(Client::Bob),
        Case::fails(ConfirmationNotAccepted, "not the method asked for").under(only_dpop),
        Case::fails(CertificateMissing, "no certificate").from(Client::Nobody),
        Case::fails(CertificateMissing, "no certificate, bearer admitted")
            .from(Client::Nobody)
            .under(admit_bearer),
        Case::fails(CertificateMismatch, "another's certificate").from(Client::Bob),
        with(Case::fails(DPoPProofMissing, "jkt besides"), "jkt"),
        Case::fails(DPoPProofMissing, "jkt alone").claim("cnf", json!({ "jkt": x5t })),
        with(Case::fails(TokenBindingMissing, "tbh besides"), "tbh"),
    ]
}

fn admit_bearer(policy: Policy) -> Policy {
    policy.with(|settings| settings.bearer.0 = true)
}

fn requirements() -> Vec<Case> {
    use Reason::{ClaimInsufficient, ProofInsufficient, ScopeInsufficient};
    let scopes = |case: Case, scopes: &[&str]| case.requires("bound-scope", scopes);
    let claim = |case: Case, arguments: &[&str]| case.requires("bound-claim", arguments);
    let proof = |case: Case, proofs: &[&str]| case.requires("bound-proof", proofs);
    vec![
        scopes(Case::passes("both scopes"), &["write", "read"]),
        scopes(Case::fails(ScopeInsufficient, "one scope of two"), &["read", "admin"]),
        scopes(Case::fails(ScopeInsufficient, "a part of a scope"), &["rea"]),
        scopes(Case::fails(ScopeInsufficient, "no scope").without("scope"), &["read"]),
        claim(Case::passes("one value of several"), &["sub", "bob", "alice"]),
        claim(Case::fails(ClaimInsufficient, "another value"), &["sub", "Alice"]),
        claim(Case::fails(ClaimInsufficient, "no such claim"), &["/a/b", "c"]),
        proof(Case::passes("one proof of several"), &["dpop", "certificate"]),
        proof(Case::fails(ProofInsufficient, "another proof"), &["dpop"]),
        proof(Case::fails(ProofInsufficient, "no proof asked for"), &["none"]),
    ]
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let groups = [
        credentials(),
        forms(),
        signatures(),
        claims(),
        confirmations(),
        possessions(),
        requirements(),
    ];
    groups.into_iter().flatten().collect()
}
