//! Verification from the outside: for every reason to refuse a request, one that is refused for
//! it; for every algorithm, a token that passes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may"
)]

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use auth_bound::decide::{Memo, Request, Step, Verdict, decide};
use auth_bound::directive::value::{self, Expiry};
use auth_bound::jose::{Algorithm, Key, KeyRing, KeySet, SigningKey, base64url};
use auth_bound::refusal::{Reason, Refusal};
use auth_bound::requirement::Requirement;
use auth_bound::token::{Outcome, TokenCache, TokenRequest, examine, verify};
use auth_bound::{ClientCertificate, Confirmation, Policy, Possessions};
use serde_json::{Map, Value, json};

const NOW: i64 = 1_760_000_000;
const ISSUER: &str = "https://issuer.example";
const OTHER_ISSUER: &str = "https://other.example";
const AUDIENCE: &str = "https://api.example";

/// The reasons that no call of the library gives, and who does.
const GIVEN_ELSEWHERE: &[(Reason, &str)] = &[
    (Reason::KeysUnavailable, "by whoever waited in vain for the keys of a blocked step"),
    (Reason::UserMissing, "by the server's own authorization, after our requirements"),
    (Reason::TokenBindingRepeated, "before a token is looked at"),
    (Reason::TokenBindingMalformed, "before a token is looked at"),
    (Reason::TokenBindingCount, "before a token is looked at"),
    (Reason::TokenBindingKey, "before a token is looked at"),
    (Reason::TokenBindingKeyParameters, "before a token is looked at"),
    (Reason::TokenBindingSignature, "before a token is looked at"),
    (Reason::TokenBindingRequired, "before a token is looked at"),
    (Reason::TokenBindingMismatch, "with a possession that these cases do not have"),
    (Reason::CookieRefused, "before a token is looked at"),
    (Reason::CookieRedirected, "before a token is looked at"),
];

/// Keys, clients and rules that the cases share.
struct World {
    keys: Vec<SigningKey>,
    other_issuers: SigningKey,
    impostor: SigningKey,
    alice: ClientCertificate,
    bob: ClientCertificate,
    policy: Policy,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let generate =
        |algorithm: Algorithm, key_id: &str| SigningKey::generate(algorithm, key_id).unwrap();
    let keys: Vec<_> =
        Algorithm::ALL.iter().map(|algorithm| generate(*algorithm, algorithm.name())).collect();
    let other_issuers = generate(Algorithm::ES256, "other");
    let policy = Policy::new()
        .unwrap()
        .trust(ISSUER, ring(&keys))
        .trust(OTHER_ISSUER, ring(std::slice::from_ref(&other_issuers)))
        .audience(AUDIENCE);
    World {
        keys,
        other_issuers,
        impostor: generate(Algorithm::ES256, "ES256"),
        alice: ClientCertificate::presented(b"alice's certificate".to_vec()),
        bob: ClientCertificate::presented(b"bob's certificate".to_vec()),
        policy,
    }
});

fn ring(keys: &[SigningKey]) -> Arc<KeyRing> {
    let public = |key: &SigningKey| Key::from_jwk(key.public_jwk().unwrap()).unwrap();
    Arc::new(KeyRing::holding(KeySet::new(keys.iter().map(public))))
}

fn key(algorithm: Algorithm) -> &'static SigningKey {
    let mut keys = WORLD.keys.iter();
    keys.find(|key| key.algorithm() == algorithm).unwrap()
}

#[derive(Clone, Copy)]
enum Client {
    Alice,
    Bob,
    Nobody,
}

impl Client {
    fn possessions(self) -> Possessions<'static> {
        Possessions {
            certificate: match self {
                Self::Alice => Some(&WORLD.alice),
                Self::Bob => Some(&WORLD.bob),
                Self::Nobody => None,
            },
            ..Possessions::default()
        }
    }
}

/// A request that is sound but for what its case changes.
struct Case {
    name: &'static str,
    expected: Option<Reason>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    texts: (Option<String>, Option<String>),
    signer: &'static SigningKey,
    client: Client,
    authorization: Vec<&'static str>,
    respell: fn(String) -> String,
    policy: Policy,
    requirement: Option<Requirement>,
}

impl Case {
    fn new(name: &'static str, expected: Option<Reason>) -> Self {
        let object = |value: Value| value.as_object().unwrap().clone();
        let x5t = WORLD.alice.thumbprint().to_string();
        Self {
            name,
            expected,
            header: object(json!({ "alg": "ES256", "kid": "ES256", "typ": "at+jwt" })),
            claims: object(json!({
                "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "scope": "read write",
                "iat": NOW - 10, "exp": NOW + 600, "cnf": { "x5t#S256": x5t },
            })),
            texts: (None, None),
            signer: key(Algorithm::ES256),
            client: Client::Alice,
            authorization: vec!["Bearer {token}"],
            respell: |token| token,
            policy: WORLD.policy.clone(),
            requirement: None,
        }
    }

    fn passes(name: &'static str) -> Self {
        Self::new(name, None)
    }

    fn fails(reason: Reason, name: &'static str) -> Self {
        Self::new(name, Some(reason))
    }

    fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    fn without(mut self, name: &str) -> Self {
        let known = [self.header.remove(name), self.claims.remove(name)];
        assert!(known.iter().any(Option::is_some), "{name}");
        self
    }

    fn header_text(mut self, text: &str) -> Self {
        self.texts.0 = Some(text.to_owned());
        self
    }

    fn claims_text(mut self, text: &str) -> Self {
        self.texts.1 = Some(text.to_owned());
        self
    }

    fn signed_by(mut self, key: &'static SigningKey) -> Self {
        self.signer = key;
        self
    }

    fn from(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    fn sent(mut self, authorization: &[&'static str]) -> Self {
        self.authorization = authorization.to_vec();
        self
    }

    fn respelled(mut self, respell: fn(String) -> String) -> Self {
        self.respell = respell;
        self
    }

    fn under(mut self, change: impl FnOnce(Policy) -> Policy) -> Self {
        self.policy = change(self.policy);
        self
    }

    fn requires(mut self, name: &str, arguments: &[&str]) -> Self {
        self.requirement = Some(Requirement::parse(name, arguments).unwrap());
        self
    }

    fn token(&self) -> String {
        let text = |text: &Option<String>, object: &Map<String, Value>| {
            text.clone().unwrap_or_else(|| json!(object).to_string())
        };
        let header = base64url::encode(text(&self.texts.0, &self.header));
        let claims = base64url::encode(text(&self.texts.1, &self.claims));
        let input = format!("{header}.{claims}");
        let signature = base64url::encode(self.signer.sign(input.as_bytes()).unwrap());
        (self.respell)(format!("{input}.{signature}"))
    }

    /// Decides twice, so that whatever is remembered decides alike.
    fn check(&self) {
        let token = self.token();
        let (cache, memo) = (TokenCache::new(1 << 20), Memo::default());
        for round in ["at first sight", "again"] {
            let found = self.outcome(&token, &cache, &memo);
            let reason = found.as_ref().err().map(Refusal::reason);
            assert_eq!(reason, self.expected, "{}, {round}: {found:?}", self.name);
        }
        if self.authorization == ["Bearer {token}"] && self.requirement.is_none() {
            self.check_examination(&token);
        }
    }

    fn outcome(&self, token: &str, cache: &TokenCache, memo: &Memo) -> Result<(), Refusal> {
        let values: Vec<_> =
            self.authorization.iter().map(|value| value.replace("{token}", token)).collect();
        let authorization: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        let request = Request {
            authorization: &authorization,
            possessions: self.client.possessions(),
            now: NOW,
        };
        match decide(&request, &self.policy, cache, memo) {
            Step::Done(Verdict::Grant(verified)) => match &self.requirement {
                Some(requirement) => requirement.check(&verified),
                None => Ok(()),
            },
            Step::Done(Verdict::Refuse(refusal)) => Err(refusal),
            Step::Blocked(needed) => Err(needed.otherwise.unwrap()),
        }
    }

    /// What looks at every check on its own finds the same first failure.
    fn check_examination(&self, token: &str) {
        let findings = examine(token, &self.policy, &self.client.possessions(), NOW);
        let first = findings.iter().find_map(|finding| match &finding.outcome {
            Outcome::Fails(refusal) => Some(refusal.reason()),
            Outcome::Holds | Outcome::NeedsKeys => None,
        });
        // An incomplete policy, and what is no token at all, are not the token's checks.
        if !matches!(self.expected, Some(Reason::PolicyIncomplete | Reason::AuthorizationMalformed))
        {
            assert_eq!(first, self.expected, "{}: {findings:?}", self.name);
        }
    }
}

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

fn cases() -> Vec<Case> {
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

#[test]
fn every_case_decides_as_expected() {
    cases().iter().for_each(Case::check);
}

#[test]
fn every_reason_is_reached_or_given_elsewhere() {
    let mut reached: HashSet<Reason> = cases().iter().filter_map(|case| case.expected).collect();
    reached.insert(judged_under_another_policy());
    for reason in Reason::ALL {
        let elsewhere = GIVEN_ELSEWHERE.iter().find(|(other, _)| other == reason);
        match (reached.contains(reason), elsewhere) {
            (false, None) => panic!("no case for AB{} {}", reason.number(), reason.name()),
            (true, Some((_, who))) => panic!("{} is not only given {who}", reason.name()),
            (true, None) | (false, Some(_)) => {}
        }
    }
}

fn judged_under_another_policy() -> Reason {
    let token = Case::passes("").token();
    let verified = verify(&token, &WORLD.policy, NOW).unwrap();
    let stricter = WORLD.policy.clone().audience("https://second.example");
    let judged = verified.judge(&stricter, &Client::Alice.possessions(), NOW);
    judged.unwrap_err().reason()
}

#[test]
fn tokens_of_every_algorithm_pass() {
    for key in &WORLD.keys {
        let confirmation = Confirmation::certificate(WORLD.alice.thumbprint());
        let token = TokenRequest::new(ISSUER, "alice", AUDIENCE, NOW, 300)
            .bound_to(&confirmation)
            .claim("scope", "read")
            .sign(key)
            .unwrap();
        let verified = verify(&token, &WORLD.policy, NOW).unwrap();
        assert_eq!(verified.key().key_id(), Some(key.key_id()));
        assert_eq!(verified.confirmation(), &confirmation);
        assert_eq!(verified.lifetime().expires(), Some(NOW + 300));
        let judge = |client: Client, now| {
            let judged = verified.judge(&WORLD.policy, &client.possessions(), now);
            judged.map_err(|refusal| refusal.reason())
        };
        assert_eq!(judge(Client::Alice, NOW), Ok(()), "{}", key.algorithm());
        assert_eq!(judge(Client::Bob, NOW), Err(Reason::CertificateMismatch));
        assert_eq!(judge(Client::Alice, NOW + 330), Err(Reason::TokenExpired));
    }
}

/// One cache for requests that may each have their own policy, client and time.
struct Server {
    cache: TokenCache,
    token: String,
}

impl Server {
    fn new() -> Self {
        Self { cache: TokenCache::new(1 << 20), token: Case::passes("").token() }
    }

    fn ask(&self, policy: &Policy, client: Client, now: i64) -> Option<Reason> {
        let value = format!("Bearer {}", self.token);
        let request =
            Request { authorization: &[value.as_bytes()], possessions: client.possessions(), now };
        match decide(&request, policy, &self.cache, &Memo::default()) {
            Step::Done(Verdict::Grant(_)) => None,
            Step::Done(Verdict::Refuse(refusal)) => Some(refusal.reason()),
            Step::Blocked(needed) => {
                Some(needed.otherwise.map_or(Reason::KeysUnavailable, |refusal| refusal.reason()))
            }
        }
    }
}

#[test]
fn what_is_remembered_is_judged_anew() {
    let server = Server::new();
    let policy = WORLD.policy.clone();
    assert_eq!(server.ask(&policy, Client::Alice, NOW), None);
    assert!(server.cache.get(&server.token, &policy).is_some());
    assert_eq!(server.ask(&policy, Client::Bob, NOW), Some(Reason::CertificateMismatch));
    assert_eq!(server.ask(&policy, Client::Nobody, NOW), Some(Reason::CertificateMissing));
    assert_eq!(server.ask(&policy, Client::Alice, NOW + 630), Some(Reason::TokenExpired));
    assert_eq!(server.ask(&policy, Client::Alice, NOW), None);
}

#[test]
fn what_is_remembered_counts_under_its_own_policy_alone() {
    let server = Server::new();
    assert_eq!(server.ask(&WORLD.policy, Client::Alice, NOW), None);
    let elsewhere = Policy::new()
        .unwrap()
        .trust(ISSUER, ring(&WORLD.keys))
        .audience("https://elsewhere.example");
    assert_eq!(server.ask(&elsewhere, Client::Alice, NOW), Some(Reason::AudienceMismatch));
    let stranger = Policy::new()
        .unwrap()
        .trust(ISSUER, ring(std::slice::from_ref(&WORLD.other_issuers)))
        .audience(AUDIENCE);
    assert_eq!(server.ask(&stranger, Client::Alice, NOW), Some(Reason::KeyUnknown));
    let narrower = WORLD.policy.clone().with(|settings| {
        settings.algorithms = value::parse(&["RS256"]).unwrap();
    });
    assert_eq!(server.ask(&narrower, Client::Alice, NOW), Some(Reason::AlgorithmNotAccepted));
}

#[test]
fn a_key_that_is_withdrawn_takes_its_tokens_along() {
    let server = Server::new();
    let ring = ring(&WORLD.keys);
    let policy = Policy::new().unwrap().trust(ISSUER, Arc::clone(&ring)).audience(AUDIENCE);
    let verified = verify(&server.token, &policy, NOW).unwrap();
    assert_eq!(server.ask(&policy, Client::Alice, NOW), None);
    let rest = WORLD.keys.iter().filter(|key| key.key_id() != "ES256");
    ring.replace(KeySet::new(rest.map(|key| Key::from_jwk(key.public_jwk().unwrap()).unwrap())));
    assert_eq!(server.ask(&policy, Client::Alice, NOW), Some(Reason::KeyUnknown));
    let judged = verified.judge(&policy, &Client::Alice.possessions(), NOW);
    assert_eq!(judged.unwrap_err().reason(), Reason::KeyUnknown);
    ring.clear();
    assert_eq!(server.ask(&policy, Client::Alice, NOW), Some(Reason::KeysUnavailable));
}

#[test]
fn a_ring_without_keys_blocks() {
    let policy = Policy::new().unwrap().trust(ISSUER, Arc::new(KeyRing::new())).audience(AUDIENCE);
    let token = Case::passes("").token();
    let findings = examine(&token, &policy, &Client::Alice.possessions(), NOW);
    assert!(findings.iter().all(|finding| !matches!(finding.outcome, Outcome::Fails(_))));
    assert!(findings.iter().any(|finding| matches!(finding.outcome, Outcome::NeedsKeys)));
    let server = Server::new();
    assert_eq!(server.ask(&policy, Client::Alice, NOW), Some(Reason::KeysUnavailable));
}

#[test]
fn no_refusal_repeats_the_token() {
    for case in cases() {
        let token = case.token();
        let (cache, memo) = (TokenCache::new(1 << 20), Memo::default());
        let Err(refusal) = case.outcome(&token, &cache, &memo) else {
            continue;
        };
        let line = refusal.to_string();
        let shown = token.split('.').filter(|part| part.len() > 8);
        assert!(shown.into_iter().all(|part| !line.contains(part)), "{}: {line}", case.name);
        let debug = format!("{refusal:?}");
        assert!(!debug.contains(&token), "{debug}");
    }
}
