//! The directives: one table for both servers.
//!
//! From it come the draft of a scope (every setting possibly unset), the merge of an inner scope
//! into an outer one, the settled settings, httpd's and NGINX's tables of commands, the reference
//! configurations and `docs/directives.md`.

mod choice;
mod cookie;
mod exported;
mod issuer;
mod list;
mod quantity;
mod sts;
mod sts_client;
mod sts_rule;
mod sts_rule_word;
mod sts_signing_key;
mod token;
mod token_binding;
pub mod value;
mod word;

use value::{
    AcceptedMethods, Audience, BindingHeaders, BindingVariables, ClaimExports, ClientCertHeader,
    CookieAttributes, CookieRefusal, Cookies, DefaultClient, EndpointUrl, Expiry, Fault, FilePath,
    HeaderExports, Issuers, KeyParametersList, MaxAge, MessageTreatment, SecretFiles, SigningKeys,
    Size, Span, StsClients, StsIssuer, StsRules, SubjectTypes, Text, Toggle, TokenTypes, Value,
    Word, Words,
};

use crate::body_style::BodyStyle;
use crate::confirmation::ThumbprintForm;
use crate::jose::AlgorithmSet;
use crate::requirement::{RequiredClaims, RequiredProofs, RequiredScopes};

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Once for the whole server: httpd's main server, NGINX's `http`.
    Process,
    /// Also in virtual hosts, NGINX's `server`: what is settled before there is a request.
    Server,
    /// Also in virtual hosts and in locations.
    Location,
}

/// Which servers have a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// Both.
    Both,
    /// Only NGINX: on httpd the server itself has the means.
    Nginx,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// The name in kebab case, from which each server's is derived.
    pub name: &'static str,
    /// Where it may stand.
    pub scope: Scope,
    /// Which servers have it.
    pub servers: Servers,
    /// The default as it would be written; empty where there is none.
    pub default: &'static str,
    /// What it does.
    pub sentence: &'static str,
    /// Its arguments.
    pub syntax: fn() -> String,
}

impl Directive {
    /// The name on httpd: `BoundTokenTypes`.
    #[must_use]
    pub fn httpd_name(&self) -> String {
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
                .collect::<String>()
        };
        format!("Bound{}", self.name.split('-').map(capital).collect::<String>())
    }

    /// The name on NGINX: `bound_token_types`.
    #[must_use]
    pub fn nginx_name(&self) -> String {
        format!("bound_{}", self.name.replace('-', "_"))
    }
}

/// A setting's value where no scope sets it.
macro_rules! settled {
    () => {
        Default::default()
    };
    ($default:literal) => {
        value::parse(&$default.split(' ').collect::<Vec<_>>())?
    };
}

macro_rules! directives {
    ($($(#[doc = $sentence:literal])+ $scope:ident $servers:ident $name:literal $field:ident: $type:ty $(= $default:literal)?;)*) => {
        /// Every directive; a directive's identity in the shims is its place in this list.
        pub const DIRECTIVES: &[Directive] = &[$(Directive {
            name: $name,
            scope: Scope::$scope,
            servers: Servers::$servers,
            default: concat!($($default)?),
            sentence: concat!($($sentence),+),
            syntax: <$type as Value>::syntax,
        }),*];

        /// What one scope says; what it leaves unset shines through from the scope around it.
        #[derive(Clone, Debug, Default)]
        pub struct Draft { $($field: Option<$type>),* }

        /// What holds at a location, everything decided.
        #[derive(Clone, Debug)]
        pub struct Settings { $($(#[doc = $sentence])+ pub $field: $type),* }

        impl Draft {
            /// Takes the directive that is number `index` of [`DIRECTIVES`].
            ///
            /// # Errors
            /// [`Fault`]: the arguments are wrong, or the directive stands here twice.
            pub fn set(&mut self, index: usize, arguments: &[&str]) -> Result<(), Fault> {
                let mut place = 0_usize;
                $(
                    if place == index {
                        return set_field(&mut self.$field, arguments);
                    }
                    place = place.wrapping_add(1);
                )*
                let _ = place;
                Err(Fault { got: arguments.join(" "), expected: "a directive of this module".to_owned() })
            }

            /// The draft that holds in `inner` inside of `self`.
            #[must_use]
            pub fn merge(&self, inner: &Self) -> Self {
                Self { $($field: inner.$field.clone().or_else(|| self.$field.clone())),* }
            }

            /// Decides everything.
            ///
            /// # Errors
            /// [`Fault`]: a default does not parse, which a test rules out.
            pub fn settle(&self) -> Result<Settings, Fault> {
                Ok(Settings { $($field: match &self.$field {
                    Some(value) => value.clone(),
                    None => settled!($($default)?),
                }),* })
            }
        }
    };
}

fn set_field<T: Value>(field: &mut Option<T>, arguments: &[&str]) -> Result<(), Fault> {
    let value = value::parse(arguments)?;
    let taken = match field {
        None => {
            *field = Some(value);
            true
        }
        Some(present) => present.add(value),
    };
    if taken {
        return Ok(());
    }
    Err(Fault { got: arguments.join(" "), expected: "this only once here".to_owned() })
}

directives! {
    /// A trusted issuer of access tokens, by the exact value of `iss`, and where its keys come from: a JWK Set in a file (read again when it changes), a JWK Set behind a URL, or the URL found in the issuer's metadata (RFC 8414, OpenID Connect Discovery). May be repeated; a scope that names an issuer replaces the list of the scope around it. A token that names no key (`kid`) is tried with the first eight keys that fit its algorithm.
    Location Both "issuer" issuer: Issuers;
    /// The audiences that a token may be for: its `aud` must contain one of them. `any` accepts every token of the issuers and is for issuers that serve one API only. Must be set wherever tokens are checked.
    Location Both "audience" audience: Audience;
    /// The signature algorithms accepted. A key that says `alg` in its JWK is used for that one only.
    Location Both "algorithms" algorithms: AlgorithmSet = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 Ed448";
    /// The token types (`typ`) accepted. The default takes what most issuers send; `at+jwt` alone is what RFC 9068 asks for.
    Location Both "token-types" token_types: TokenTypes = "at+jwt JWT none";
    /// How far this server's clock and an issuer's may be apart.
    Location Both "leeway" leeway: Span<0, 60> = "30s";
    /// Whether a token must have `exp`.
    Location Both "expiry" expiry: Expiry = "required";
    /// The methods of confirmation of which a token must use at least one. Whatever a token's `cnf` names is checked in any case. A list of methods excludes bearer tokens, whatever bearer says.
    Location Both "confirmation" confirmation: AcceptedMethods = "any";
    /// Whether tokens without `cnf`, which anybody may use who has them, are admitted.
    Location Both "bearer" bearer: Toggle = "off";
    /// `padded-thumbprint` reads `x5t#S256` in padded or standard base64 too, as some issuers send it.
    Location Both "compat" compat: ThumbprintForm = "none";
    /// The claim that becomes the user's name (REMOTE_USER).
    Location Both "user-claim" user_claim: Word = "sub";
    /// A claim to export to the environment. May be repeated; a scope that names one replaces the list of the scope around it.
    Location Both "export-claim" export_claim: ClaimExports;
    /// A claim or an exported variable to send to the backend in a request header. May be repeated; a scope that names one replaces the list of the scope around it.
    Location Both "export-header" export_header: HeaderExports;
    /// Sends the client's certificate to the backend in the request headers of RFC 9440.
    Location Both "client-cert-header" client_cert_header: ClientCertHeader = "off";
    /// Negotiates Token Binding (RFC 8472) with clients that offer it, and verifies their `Sec-Token-Binding`. It needs TLS 1.3, or TLS 1.2 with extended master secret and secure renegotiation; on NGINX it excludes early data.
    Server Both "token-binding" token_binding: Toggle = "off";
    /// The key parameters that are negotiated.
    Server Both "token-binding-key-parameters" token_binding_key_parameters: KeyParametersList = "ecdsap256 rsa2048_pss rsa2048_pkcs1.5";
    /// Refuses requests that have not proved a Token Binding ID, whether or not they bear a token.
    Location Both "token-binding-required" token_binding_required: Toggle = "off";
    /// Whether the verified `Sec-Token-Binding` goes on to the backend: `forward` is for one that verifies it again with `Token-Binding-Context` (draft-campbell-tokbind-tls-term); `remove` is what draft-ietf-tokbind-ttrp demands.
    Location Both "token-binding-message" token_binding_message: MessageTreatment = "remove";
    /// What is sent to the backend in request headers: `provided`, `referred` and `other` in those of draft-ietf-tokbind-ttrp, `context` in `Token-Binding-Context`. A header that has no value is not sent.
    Location Both "token-binding-headers" token_binding_headers: BindingHeaders = "none";
    /// A further name in the environment for one of the exported values, for software that expects it there. May be repeated; a scope that gives one replaces the list of the scope around it.
    Location Both "token-binding-variable" token_binding_variable: BindingVariables;
    /// Sends `Include-Referred-Token-Binding-ID: true` (RFC 8473, section 5.3) with redirects of requests that brought a Token Binding message: for a relying party whose identity provider binds tokens to it.
    Location Both "token-binding-include-referred" token_binding_include_referred: Toggle = "off";
    /// Seals a cookie, whoever sets it, so that it counts only together with the key that the client proved when it was set, and opens it when it comes back: the application sees its own value. `required` does not issue the cookie to a client that proves no key; `preferred` issues it unbound, and takes an unbound one only as that. May be repeated; a scope that names a cookie replaces the list of the scope around it, and `none` empties it.
    Location Both "cookie" cookie: Cookies;
    /// The secrets that seal cookies, in files that only the server's parent process may read. The first seals, all open: to change the secret put a new one in front and take the old one away after cookie-max-age.
    Location Both "cookie-secret" cookie_secret: SecretFiles;
    /// How long a sealed cookie counts after it was set, whatever the browser makes of it.
    Location Both "cookie-max-age" cookie_max_age: Span<1, 34_560_000> = "24h";
    /// The largest sealed value, all its parts together; from 4,000 bytes on it is divided over several cookies.
    Location Both "cookie-max-size" cookie_max_size: Size<1024, 65_536> = "16k";
    /// The attributes that a sealed cookie gets where the application left them out.
    Location Both "cookie-attributes" cookie_attributes: CookieAttributes = "Secure HttpOnly";
    /// What becomes of a request with a protected cookie that does not count: it goes on without the cookie, gets 401, or is redirected. A request for the path it would be redirected to goes on without the cookie.
    Location Both "cookie-refusal" cookie_refusal: CookieRefusal = "anonymous";
    /// The authentication context classes of which the token's `acr` must be one (RFC 9470).
    Location Both "acr-values" acr_values: Words;
    /// How long ago the user may have been authenticated, by the token's `auth_time` (RFC 9470).
    Location Both "max-age" max_age: MaxAge;
    /// The name in which tokens are issued here (RFC 8693): their `iss`, and the issuer of the metadata (RFC 8414). Must be set wherever tokens are issued.
    Location Both "sts-issuer" sts_issuer: StsIssuer;
    /// The URL of the token endpoint as clients know it; without it, the issuer and `/token`. Client assertions may be made for it (RFC 7523, section 3).
    Location Both "sts-endpoint" sts_endpoint: EndpointUrl;
    /// The URL of the token endpoint for mutual TLS (RFC 8705, section 5), if it is another one.
    Location Both "sts-mtls-endpoint" sts_mtls_endpoint: EndpointUrl;
    /// The URL of the JWK Set, for the metadata (RFC 8414); without it, the issuer and `/jwks`.
    Location Both "sts-jwks-uri" sts_jwks_uri: EndpointUrl;
    /// A key that issued tokens are signed with: a PEM file, or a key in hardware by its PKCS#11 URI (RFC 7512) with the attributes `module-path` and `pin-source`, in quotes. Without `alg` it signs with the first algorithm of its type (RS256 for RSA), without `kid` it is named by its thumbprint (RFC 7638). May be repeated: the first signs, all are published and their refresh tokens accepted; a scope that names one replaces the list of the scope around it.
    Location Both "sts-signing-key" sts_signing_key: SigningKeys;
    /// A client of the token endpoint and the one method by which it authenticates (RFC 6749, section 2.3; RFC 8705, section 2; RFC 7523, section 2.2). `tls_client_auth` takes a certificate that this very server asked for and whose chain it verified; secrets are given by their SHA-256, and only secrets made by a machine are safe so. It may use both grant types unless they are named. May be repeated; a scope that names one replaces the list of the scope around it.
    Location Both "sts-client" sts_client: StsClients;
    /// The client of the requests that name none; it authenticates as its sts-client says.
    Location Both "sts-default-client" sts_default_client: DefaultClient;
    /// A file of opaque subject credentials that are accepted as access tokens. Each line has the SHA-256 of one, its subject and, if wanted, the thumbprint of the only certificate that it is good together with.
    Location Both "sts-credentials" sts_credentials: FilePath;
    /// The types of subject and actor tokens that are verified as JWTs (RFC 8693, section 3), by the issuer, audience, confirmation and bearer directives of the same place. The type is what the client calls its token: `audience` and `token-types` keep out what was issued for something else.
    Location Both "sts-subject-types" sts_subject_types: SubjectTypes = "access_token jwt";
    /// Who gets which tokens; the first rule that fits a request counts. `client`, `subject` and `issuer` (of the subject token) say for whom it is, `actor` who may act; without `actor` nobody may. A name counts whoever says it: a credential, a refresh token or any accepted issuer, and for `actor` none can be chosen. With several issuers, or an issuer beside sts-credentials, say `issuer` in each rule for JWTs and put these before the rules for credentials. `resource` is another name (RFC 8707) of the audience before it. Tokens get the scopes that are asked for, or those of `default-scope`, or without it all of the rule, and never more than the subject token has; `scopes-for-unscoped=on` gives them for JWTs without `scope`. They are bound to the first key of `bind` that the caller proves, by default `referred` before `certificate`, and live for 5m unless `lifetime` says otherwise; `unbound=on` issues unbound ones to callers that prove nothing, which whoever steals them can use. `refresh` issues refresh tokens, bound by `refresh-bind`, by default `provided` before `certificate`, that end with the subject token unless `refresh-outlives-subject=on`. May be repeated; a scope that gives one replaces the list of the scope around it.
    Location Both "sts-rule" sts_rule: StsRules;
    /// The largest body of a request that the token endpoint reads. NGINX refuses what exceeds its own client_max_body_size before that, httpd what exceeds LimitRequestBody.
    Location Both "sts-max-body" sts_max_body: Size<1024, 1_048_576> = "64k";
    /// How the body of a refusal is written: with `error` and `error_description` (RFC 6749, section 5.2), or with `code` and `message` as Curity's plugins write it. Like these, `code-and-message` does not say what is wrong with a token or the proof of its key: it is always 401 and the same body. The challenge still says it.
    Location Both "error-body" error_body: BodyStyle = "oauth";
    /// The largest token that is looked at.
    Location Both "token-max-size" token_max_size: Size<1024, 65_536> = "16k";
    /// How long one request may wait for keys that are not known yet; afterwards it gets 503.
    Location Both "key-wait" key_wait: Span<0, 30> = "2s";
    /// The certificates (PEM) trusted when keys are fetched over https, instead of the system's.
    Process Both "jwks-ca" jwks_ca: FilePath;
    /// How often keys are fetched anew, give or take a tenth.
    Process Both "jwks-refresh" jwks_refresh: Span<1, 86_400> = "1h";
    /// How long one fetch of keys may take.
    Process Both "jwks-timeout" jwks_timeout: Span<1, 60> = "5s";
    /// The least time between two fetches, whatever unknown keys tokens name; also the first pause after a failure.
    Process Both "jwks-cooldown" jwks_cooldown: Span<1, 3_600> = "30s";
    /// How long keys go on being used while fetching them fails.
    Process Both "jwks-stale" jwks_stale: Span<1, 2_592_000> = "24h";
    /// Memory for verified tokens, in each server process.
    Process Both "token-cache-size" token_cache_size: Size<65_536, 4_294_967_296> = "32m";
    /// Checks access tokens here. (On httpd: `AuthType Bound`.)
    Location Nginx "access" access: Toggle = "off";
    /// The realm named in challenges. (On httpd: `AuthName`.)
    Location Nginx "realm" realm: Text;
    /// Scopes that the token must have, all of them. (On httpd: `Require bound-scope`.)
    Location Nginx "require-scope" require_scope: RequiredScopes;
    /// A claim, or a JSON pointer into the claims, that must have or contain one of the values. May be repeated, and all must hold. (On httpd: `Require bound-claim`.)
    Location Nginx "require-claim" require_claim: RequiredClaims;
    /// Proofs of which the request must have given at least one. (On httpd: `Require bound-proof`.)
    Location Nginx "require-proof" require_proof: RequiredProofs;
    /// Answers token requests (RFC 8693) here. (On httpd: `SetHandler bound-token-exchange`.)
    Location Nginx "token-exchange" token_exchange: Toggle = "off";
    /// Publishes the keys of sts-signing-key here as a JWK Set (RFC 7517). (On httpd: `SetHandler bound-sts-jwks`.)
    Location Nginx "sts-jwks" sts_jwks: Toggle = "off";
    /// Publishes the metadata of the token endpoint here (RFC 8414), which belongs at `/.well-known/oauth-authorization-server` and the path of the issuer. (On httpd: `SetHandler bound-sts-metadata`.)
    Location Nginx "sts-metadata" sts_metadata: Toggle = "off";
    /// The thread pool in which requests wait for keys. (httpd waits in the request's own thread.)
    Location Nginx "thread-pool" thread_pool: Word = "default";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str) -> usize {
        DIRECTIVES.iter().position(|directive| directive.name == name).unwrap()
    }

    #[test]
    fn every_default_parses() {
        Draft::default().settle().unwrap();
    }

    #[test]
    fn an_inner_scope_overrides_even_with_off() {
        let (mut outer, mut inner) = (Draft::default(), Draft::default());
        outer.set(index("bearer"), &["on"]).unwrap();
        outer.set(index("leeway"), &["10s"]).unwrap();
        inner.set(index("bearer"), &["off"]).unwrap();
        let settings = outer.merge(&inner).settle().unwrap();
        assert!(!settings.bearer.0);
        assert_eq!(settings.leeway.seconds(), 10);
    }

    #[test]
    fn a_second_time_is_a_fault_unless_the_directive_adds_up() {
        let mut draft = Draft::default();
        draft.set(index("leeway"), &["10s"]).unwrap();
        let fault = draft.set(index("leeway"), &["20s"]).unwrap_err();
        assert_eq!(fault.to_string(), "got \"20s\", expected this only once here");
        draft.set(index("export-claim"), &["a"]).unwrap();
        draft.set(index("export-claim"), &["b"]).unwrap();
        assert_eq!(draft.settle().unwrap().export_claim.0.len(), 2);
    }

    #[test]
    fn names_derive() {
        let row = DIRECTIVES[index("client-cert-header")];
        assert_eq!(row.httpd_name(), "BoundClientCertHeader");
        assert_eq!(row.nginx_name(), "bound_client_cert_header");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = DIRECTIVES.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DIRECTIVES.len());
    }
}
