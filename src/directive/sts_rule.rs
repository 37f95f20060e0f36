//! The rules of a token endpoint, written as words `key=value`.

use super::sts::is_client_id;
use super::sts_rule_word::{
    Lifetime, Misfit, RefreshLifetime, another, bind_to, excess_scope, fault_of, keys, name, once,
    scope,
};
use super::value::{Fault, Toggle, Value};
use crate::exchange::{BindTo, ExcessScope, RefreshTerms, Rule, Target};

/// Seconds that a token is good for unless a rule says otherwise.
const LIFETIME: i64 = 300;

/// A service that tokens are issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetEntry {
    /// `aud` of its tokens.
    pub audience: String,
    /// What `resource` may call it besides.
    pub resources: Vec<String>,
}

/// A rule. What it leaves out has the defaults of [`Rule`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleEntry {
    /// The services that tokens may be for.
    pub targets: Vec<TargetEntry>,
    /// The audience where none is asked for.
    pub default_audience: Option<String>,
    /// The scopes that may be granted.
    pub scopes: Vec<String>,
    /// The scopes where none are asked for.
    pub default_scopes: Vec<String>,
    /// What becomes of a scope that may not be granted.
    pub excess_scope: Option<ExcessScope>,
    /// Whether subject tokens without `scope` get scopes.
    pub scopes_for_unscoped: Option<Toggle>,
    /// The clients it is for; empty for all.
    pub clients: Vec<String>,
    /// The subjects it is for; empty for all.
    pub subjects: Vec<String>,
    /// The issuers of subject tokens it is for; empty for all.
    pub issuers: Vec<String>,
    /// The subjects that may act.
    pub actors: Vec<String>,
    /// Whether everybody may act.
    pub any_actor: bool,
    /// How long tokens are good for.
    pub lifetime: Option<Lifetime>,
    /// What tokens are bound to, the most preferred first.
    pub bindings: Vec<BindTo>,
    /// Whether callers that prove nothing get unbound tokens.
    pub unbound: Option<Toggle>,
    /// How long refresh tokens are good for, if there are any.
    pub refresh: Option<RefreshLifetime>,
    /// What refresh tokens are bound to, the most preferred first.
    pub refresh_bindings: Vec<BindTo>,
    /// Whether refresh tokens may outlive the subject token.
    pub refresh_outlives_subject: Option<Toggle>,
}

/// The rules of a token endpoint, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StsRules(pub Vec<RuleEntry>);

impl RuleEntry {
    /// The rule.
    #[must_use]
    pub fn rule(&self) -> Rule {
        let targets: Vec<_> = self.targets.iter().map(TargetEntry::target).collect();
        let lifetime = self.lifetime.map_or(LIFETIME, Lifetime::seconds);
        let mut rule = Rule::new(&targets, lifetime)
            .scopes(&borrowed(&self.scopes))
            .excess_scope(self.excess_scope.unwrap_or_default());
        if let Some(audience) = &self.default_audience {
            rule = rule.default_target(audience);
        }
        if !self.default_scopes.is_empty() {
            rule = rule.default_scopes(&borrowed(&self.default_scopes));
        }
        if is_on(self.scopes_for_unscoped) {
            rule = rule.scopes_for_unscoped();
        }
        if !self.bindings.is_empty() {
            rule = rule.bind_to(&self.bindings);
        }
        if is_on(self.unbound) {
            rule = rule.unbound();
        }
        if let Some(terms) = self.refresh_terms() {
            rule = rule.refresh(terms);
        }
        self.for_whom(rule)
    }

    fn for_whom(&self, mut rule: Rule) -> Rule {
        if !self.clients.is_empty() {
            rule = rule.clients(&borrowed(&self.clients));
        }
        if !self.subjects.is_empty() {
            rule = rule.subjects(&borrowed(&self.subjects));
        }
        if !self.issuers.is_empty() {
            rule = rule.issuers(&borrowed(&self.issuers));
        }
        if self.any_actor {
            rule = rule.any_actor();
        } else if !self.actors.is_empty() {
            rule = rule.actors(&borrowed(&self.actors));
        }
        rule
    }

    fn refresh_terms(&self) -> Option<RefreshTerms> {
        let mut terms = RefreshTerms::new(self.refresh?.seconds());
        if !self.refresh_bindings.is_empty() {
            terms = terms.bind_to(&self.refresh_bindings);
        }
        if is_on(self.refresh_outlives_subject) {
            terms = terms.outliving_the_subject();
        }
        Some(terms)
    }

    fn read(arguments: &[&str]) -> Result<Self, Fault> {
        let mut rule = Self::default();
        for word in arguments {
            let (key, value) = word.split_once('=').unwrap_or_default();
            rule.take(key, value).map_err(|misfit| fault_of(word, &misfit))?;
        }
        rule.check(arguments)?;
        Ok(rule)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), Misfit> {
        match key {
            "audience" => self.take_audience(value),
            "resource" => self.take_resource(value),
            "default-audience" => once(&mut self.default_audience, name(value)),
            "scope" => another(&mut self.scopes, scope(value)),
            "default-scope" => another(&mut self.default_scopes, scope(value)),
            "excess-scope" => once(&mut self.excess_scope, excess_scope(value)),
            "scopes-for-unscoped" => once(&mut self.scopes_for_unscoped, Toggle::parse(&[value])),
            "client" => another(&mut self.clients, name(value).filter(|id| is_client_id(id))),
            "subject" => another(&mut self.subjects, name(value)),
            "issuer" => another(&mut self.issuers, name(value)),
            "actor" => self.take_actor(value),
            "lifetime" => once(&mut self.lifetime, Lifetime::parse(&[value])),
            "bind" => another(&mut self.bindings, bind_to(value)),
            "unbound" => once(&mut self.unbound, Toggle::parse(&[value])),
            "refresh" => once(&mut self.refresh, RefreshLifetime::parse(&[value])),
            "refresh-bind" => another(&mut self.refresh_bindings, bind_to(value)),
            "refresh-outlives-subject" => {
                once(&mut self.refresh_outlives_subject, Toggle::parse(&[value]))
            }
            _ => Err(Misfit::Value),
        }
    }

    fn take_audience(&mut self, value: &str) -> Result<(), Misfit> {
        let audience = name(value).ok_or(Misfit::Value)?;
        if self.targets.iter().any(|target| target.audience == audience) {
            return Err(Misfit::Repeated);
        }
        self.targets.push(TargetEntry { audience, resources: Vec::new() });
        Ok(())
    }

    /// RFC 8707, section 2: a resource is an absolute URI without fragment.
    fn take_resource(&mut self, value: &str) -> Result<(), Misfit> {
        let uri = url::Url::parse(value).is_ok_and(|url| url.fragment().is_none());
        if !uri || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Misfit::Value);
        }
        if self.targets.iter().any(|target| target.resources.iter().any(|known| known == value)) {
            return Err(Misfit::Repeated);
        }
        let target = self.targets.last_mut().ok_or(Misfit::Without("audience= before it"))?;
        target.resources.push(value.to_owned());
        Ok(())
    }

    fn take_actor(&mut self, value: &str) -> Result<(), Misfit> {
        if self.any_actor || value == "any" && !self.actors.is_empty() {
            return Err(Misfit::Repeated);
        }
        if value == "any" {
            self.any_actor = true;
            return Ok(());
        }
        another(&mut self.actors, name(value))
    }

    /// What only the whole of a rule shows.
    fn check(&self, arguments: &[&str]) -> Result<(), Fault> {
        if self.targets.is_empty() {
            let expected = "at least one audience=AUDIENCE".to_owned();
            return Err(Fault { got: arguments.join(" "), expected });
        }
        let known = |audience: &String| self.targets.iter().any(|it| it.audience == *audience);
        if let Some(audience) = self.default_audience.as_ref().filter(|it| !known(it)) {
            return Err(fault_of(&format!("default-audience={audience}"), &Misfit::Value));
        }
        if let Some(scope) = self.default_scopes.iter().find(|scope| !self.scopes.contains(scope)) {
            return Err(fault_of(&format!("default-scope={scope}"), &Misfit::Value));
        }
        let orphan = arguments.iter().find(|word| word.starts_with("refresh-"));
        match orphan {
            Some(word) if self.refresh.is_none() => {
                Err(fault_of(word, &Misfit::Without("refresh= beside it")))
            }
            _ => Ok(()),
        }
    }
}

impl TargetEntry {
    fn target(&self) -> Target {
        let target = Target::new(&self.audience);
        self.resources.iter().fold(target, |target, uri| target.resource(uri))
    }
}

fn is_on(toggle: Option<Toggle>) -> bool {
    toggle.is_some_and(|toggle| toggle.0)
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

impl Value for StsRules {
    fn syntax() -> String {
        let keys: Vec<_> = keys().iter().map(|(key, taken)| format!("{key}= {taken}")).collect();
        format!(
            "words KEY=VALUE, at least one audience among them; audience, resource, scope, \
             default-scope, client, subject, issuer, actor, bind and refresh-bind may be repeated: {}",
            keys.join("; ")
        )
    }

    fn parse(arguments: &[&str]) -> Option<Self> {
        RuleEntry::read(arguments).ok().map(|rule| Self(vec![rule]))
    }

    fn fault(arguments: &[&str]) -> Fault {
        RuleEntry::read(arguments).err().unwrap_or_else(|| Fault::of::<Self>(arguments))
    }

    /// Rules are tried in order, so two may be alike.
    fn add(&mut self, more: Self) -> bool {
        self.0.extend(more.0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Result<RuleEntry, String> {
        let arguments: Vec<_> = text.split(' ').collect();
        match StsRules::parse(&arguments) {
            Some(mut rules) => Ok(rules.0.remove(0)),
            None => Err(StsRules::fault(&arguments).to_string()),
        }
    }

    /// Rules have no equality of their own; what they show is the whole of them.
    fn shown(rule: &Rule) -> String {
        format!("{rule:?}")
    }

    #[test]
    fn an_audience_is_enough() {
        let rule = entry("audience=https://api.example").unwrap().rule();
        assert_eq!(shown(&rule), shown(&Rule::new(&[Target::new("https://api.example")], 300)));
    }

    #[test]
    fn every_word_reaches_the_rule() {
        let words = "audience=https://a.example resource=https://a.example/v1?x=1 \
            resource=urn:a audience=urn:logs default-audience=urn:logs scope=r scope=w \
            default-scope=r excess-scope=narrow scopes-for-unscoped=on client=cli client=web \
            subject=alice issuer=https://i.example actor=bob actor=carol lifetime=90s \
            bind=certificate bind=provided unbound=on refresh=8h refresh-bind=referred \
            refresh-outlives-subject=on";
        let targets = [
            Target::new("https://a.example").resource("https://a.example/v1?x=1").resource("urn:a"),
            Target::new("urn:logs"),
        ];
        let terms = RefreshTerms::new(28_800).bind_to(&[BindTo::Referred]).outliving_the_subject();
        let expected = Rule::new(&targets, 90)
            .default_target("urn:logs")
            .scopes(&["r", "w"])
            .default_scopes(&["r"])
            .excess_scope(ExcessScope::Narrow)
            .scopes_for_unscoped()
            .clients(&["cli", "web"])
            .subjects(&["alice"])
            .issuers(&["https://i.example"])
            .actors(&["bob", "carol"])
            .bind_to(&[BindTo::Certificate, BindTo::Provided])
            .unbound()
            .refresh(terms);
        assert_eq!(shown(&entry(words).unwrap().rule()), shown(&expected));
        for (key, _) in keys() {
            assert!(words.split_whitespace().any(|word| word.starts_with(&format!("{key}="))));
        }
    }

    #[test]
    fn anybody_may_act_and_off_is_the_default() {
        let target = [Target::new("a")];
        let rule = entry("audience=a actor=any").unwrap().rule();
        assert_eq!(shown(&rule), shown(&Rule::new(&target, 300).any_actor()));
        let words = "audience=a scopes-for-unscoped=off unbound=off excess-scope=refuse \
            refresh=60s refresh-outlives-subject=off";
        let rule = Rule::new(&target, 300).refresh(RefreshTerms::new(60));
        assert_eq!(shown(&entry(words).unwrap().rule()), shown(&rule));
    }

    #[test]
    fn the_wrong_word_is_told() {
        for (text, got, expected) in [
            ("", "", "a word that begins with one of audience= resource="),
            ("scope=r", "scope=r", "at least one audience="),
            ("audience=x scop=y", "scop=y", "a word that begins with one of audience= resource="),
            ("audience=x narrow", "narrow", "a word that begins with one of"),
            ("audience=", "audience=", "audience= and an audience"),
            ("audience=x audience=x", "audience=x", "this audience= only once here"),
            ("resource=urn:x audience=x", "resource=urn:x", "audience= before it"),
            ("audience=x resource=/v1", "resource=/v1", "an absolute URI"),
            ("audience=x resource=urn:x#y", "resource=urn:x#y", "without fragment"),
            (
                "audience=x resource=urn:r audience=y resource=urn:r",
                "resource=urn:r",
                "only once here",
            ),
            ("audience=x default-audience=y", "default-audience=y", "an audience of this rule"),
            ("audience=x scope=a\"", "scope=a\\\"", "scope= and one scope"),
            ("audience=x scope=", "scope=", "scope= and one scope"),
            ("audience=x scope=a default-scope=b", "default-scope=b", "a scope of this rule"),
            ("audience=x excess-scope=drop", "excess-scope=drop", "refuse or narrow"),
            ("audience=x scopes-for-unscoped=yes", "scopes-for-unscoped=yes", "on or off"),
            ("audience=x client=", "client=", "a client's name"),
            ("audience=x subject=a subject=a", "subject=a", "this subject= only once here"),
            ("audience=x issuer=", "issuer=", "an issuer's name"),
            ("audience=x actor=any actor=bob", "actor=bob", "only once here"),
            ("audience=x actor=bob actor=any", "actor=any", "only once here"),
            ("audience=x lifetime=5", "lifetime=5", "a duration from 1s to 1d"),
            ("audience=x lifetime=2d", "lifetime=2d", "a duration from 1s to 1d"),
            ("audience=x lifetime=5m lifetime=5m", "lifetime=5m", "only once here"),
            ("audience=x bind=dpop", "bind=dpop", "referred, provided or certificate"),
            ("audience=x bind=referred bind=referred", "bind=referred", "only once here"),
            ("audience=x unbound", "unbound", "a word that begins with one of"),
            ("audience=x unbound=1", "unbound=1", "on or off"),
            ("audience=x refresh=59s", "refresh=59s", "a duration from 1m to 365d"),
            ("audience=x refresh=366d", "refresh=366d", "a duration from 1m to 365d"),
            ("audience=x refresh-bind=certificate", "refresh-bind=certificate", "refresh= beside"),
            (
                "audience=x refresh-outlives-subject=on",
                "refresh-outlives-subject=on",
                "refresh= beside it",
            ),
        ] {
            let fault = entry(text).unwrap_err();
            assert!(fault.starts_with(&format!("got \"{got}\", expected ")), "{fault}");
            assert!(fault.contains(expected), "{fault}");
        }
    }

    #[test]
    fn rules_add_up_in_order_even_if_alike() {
        let rules = |text: &str| StsRules::parse(&[text]).unwrap();
        let mut all = rules("audience=a");
        assert!(all.add(rules("audience=b")));
        assert!(all.add(rules("audience=a")));
        let audiences: Vec<_> = all.0.iter().map(|rule| &rule.targets[0].audience).collect();
        assert_eq!(audiences, ["a", "b", "a"]);
    }
}
