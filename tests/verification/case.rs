//! A request that is sound but for what its case changes.

use auth_bound::Policy;
use auth_bound::decide::{Memo, Request, Step, Verdict, decide};
use auth_bound::jose::{Algorithm, SigningKey, base64url};
use auth_bound::refusal::{Reason, Refusal};
use auth_bound::requirement::Requirement;
use auth_bound::token::{Outcome, TokenCache, examine};
use serde_json::{Map, Value, json};

use super::world::{AUDIENCE, Client, ISSUER, NOW, WORLD, key};

/// What it changes, and the reason for which it is then refused, if any.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) expected: Option<Reason>,
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

    pub(super) fn passes(name: &'static str) -> Self {
        Self::new(name, None)
    }

    pub(super) fn fails(reason: Reason, name: &'static str) -> Self {
        Self::new(name, Some(reason))
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        let known = [self.header.remove(name), self.claims.remove(name)];
        assert!(known.iter().any(Option::is_some), "{name}");
        self
    }

    pub(super) fn header_text(mut self, text: &str) -> Self {
        self.texts.0 = Some(text.to_owned());
        self
    }

    pub(super) fn claims_text(mut self, text: &str) -> Self {
        self.texts.1 = Some(text.to_owned());
        self
    }

    pub(super) fn signed_by(mut self, key: &'static SigningKey) -> Self {
        self.signer = key;
        self
    }

    pub(super) fn from(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    pub(super) fn sent(mut self, authorization: &[&'static str]) -> Self {
        self.authorization = authorization.to_vec();
        self
    }

    pub(super) fn respelled(mut self, respell: fn(String) -> String) -> Self {
        self.respell = respell;
        self
    }

    pub(super) fn under(mut self, change: impl FnOnce(Policy) -> Policy) -> Self {
        self.policy = change(self.policy);
        self
    }

    pub(super) fn requires(mut self, name: &str, arguments: &[&str]) -> Self {
        self.requirement = Some(Requirement::parse(name, arguments).unwrap());
        self
    }

    pub(super) fn token(&self) -> String {
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
    pub(super) fn check(&self) {
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

    pub(super) fn outcome(
        &self,
        token: &str,
        cache: &TokenCache,
        memo: &Memo,
    ) -> Result<(), Refusal> {
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
