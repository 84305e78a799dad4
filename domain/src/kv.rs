//! The values that the two Workers share through KV, in both versions.
//!
//! | key | value |
//! |---|---|
//! | `token:<hash>` | [`TokenRecord`] |
//! | `routes` | [`parse_routes`] reads it, [`RouteTableV2`] writes it |
//! | `secret:<NAME>` | v1 only: a credential in the clear, see [`crate::v1`] |
//!
//! Reader and writer may be of different versions: see [`crate::stored`].

use crate::access::path::RoutePath;
use crate::access::record::TokenRecord;
use crate::access::rule::Rule;
use crate::credential::seal::SealedCredential;
use crate::id::RouteId;
use crate::json;
use crate::method::Method;
use crate::route::{ParsedRoutes, Route, RouteTable};
use crate::stored::{KvError, forbids_use, readable_allow_list};
use crate::token::TokenHash;
use crate::upstream::address::{AddressRules, InvalidUpstream, UpstreamUrl};
use crate::upstream::behaviour::{Behaviour, DEFAULT_TIMEOUT_MS};
use crate::upstream::settings::RouteSettings;
use crate::upstream::target::{RouteCredential, Target};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// The beginning of the key of a token's record; the hash of its secret follows.
pub const TOKEN_PREFIX: &str = "token:";

/// The key of the route table.
pub const ROUTES_KEY: &str = "routes";

/// Time for which a tombstone stays, in seconds: far longer than KV takes to show it everywhere.
pub const TOMBSTONE_TTL_S: u64 = 86_400;

/// Reads a token's record in either version. A v1 record has no id of its own, so one is derived
/// from `hash`.
///
/// # Errors
/// [`KvError::NotUnderstood`] if something that narrows the token cannot be read: the token then grants nothing.
pub fn read_token(text: &str, hash: &TokenHash) -> Result<TokenRecord, KvError> {
    let value: Value = serde_json::from_str(text).map_err(|_| KvError::Syntax)?;
    match value.get("v").map(Value::as_u64) {
        None => crate::v1::kv::token_record(&value, hash),
        Some(Some(2)) if forbids_use(&value, &TokenRecord::FIELDS) => Err(KvError::NotUnderstood),
        Some(Some(2)) => {
            let record: TokenRecord = json::read(value).map_err(|_| KvError::NotUnderstood)?;
            if record.limits.unread.forbids_use() || record.team_budget.unread.forbids_use() {
                Err(KvError::NotUnderstood)
            } else {
                Ok(record)
            }
        }
        Some(_) => Err(KvError::NotUnderstood),
    }
}

/// Returns the version of a token's record that cannot be read otherwise; 0 if it has none.
pub fn version_of(text: &str) -> u64 {
    let value = serde_json::from_str::<Value>(text).unwrap_or_default();
    value.get("version").and_then(Value::as_u64).unwrap_or(0)
}

/// The value of `routes`, version 2, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTableV2 {
    /// Version of the format: 2.
    pub v: u8,
    /// Version of the table, which grows with each change of a route.
    pub version: u64,
    /// Whether tokens of the earlier system's form are looked up.
    pub legacy_tokens: bool,
    /// The routes that are enabled.
    pub routes: Vec<RouteV2>,
}

impl RouteTableV2 {
    /// Returns the rules of the table, to explain a decision.
    pub fn rules(self) -> RouteTable<Rule> {
        let (refused, open): (Vec<RouteV2>, Vec<RouteV2>) =
            self.routes.into_iter().partition(|route| route.settings.forbid_use());
        let rules =
            open.into_iter().map(|RouteV2 { id, path, tags, methods, .. }| Rule { id, path, tags, methods });
        let mut table = RouteTable::new(rules, self.legacy_tokens, self.version);
        for route in refused {
            table.block(route.path);
        }
        table
    }
}

/// One route of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteV2 {
    /// The route's id.
    pub id: RouteId,
    /// The path under which it takes calls.
    pub path: RoutePath,
    /// The upstream as it is stored; [`RouteV2::open`] holds it to the rules.
    pub url: Url,
    /// Labels that `tag:` scopes name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Methods that pass; empty means all.
    #[serde(default, deserialize_with = "readable_allow_list", skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// Milliseconds to the upstream's first byte, if not [`DEFAULT_TIMEOUT_MS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u32>,
    /// Origins that browsers may call from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cors_origins: Vec<String>,
    /// Whether the client's `Cookie` goes to the upstream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward_cookies: bool,
    /// Settings that few routes have.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: RouteSettings,
    /// The credential, sealed to the route and the upstream's origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<SealedCredential>,
}

impl RouteV2 {
    /// Known fields, like [`TokenRecord::FIELDS`]: a route that lists a critical field beyond these is blocked.
    const FIELDS: [&str; 10] = [
        "id",
        "path",
        "url",
        "tags",
        "methods",
        "timeout_ms",
        "cors_origins",
        "forward_cookies",
        "settings",
        "credential",
    ];

    /// Makes the route as the gateway uses it. The stored address must pass [`UpstreamUrl::parse`], like one that an
    /// admin enters; `allow_insecure` is passed on to it.
    pub fn open(self, allow_insecure: bool) -> Result<Route, InvalidUpstream> {
        Ok(Route {
            rule: Rule { id: self.id, path: self.path, tags: self.tags, methods: self.methods },
            target: Target {
                upstream: UpstreamUrl::parse(self.url.as_str(), allow_insecure)?,
                credential: self.credential.map_or(RouteCredential::None, RouteCredential::Sealed),
            },
            behaviour: Behaviour {
                timeout_ms: self.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS),
                cors_origins: self.cors_origins,
                forward_cookies: self.forward_cookies,
                settings: self.settings,
            },
        })
    }
}

fn is_default(settings: &RouteSettings) -> bool {
    *settings == RouteSettings::default()
}

/// Reads the value of `routes` in either version; `rules` are passed to [`UpstreamUrl::parse`].
pub fn parse_routes(text: &str, rules: impl Into<AddressRules>) -> Result<ParsedRoutes, KvError> {
    let rules = rules.into();
    let value: Value = serde_json::from_str(text).map_err(|_| KvError::Syntax)?;
    match value.get("v").map(Value::as_u64) {
        None => crate::v1::kv::routes(&value, rules),
        Some(Some(2)) => routes_v2(&value, rules.allow_insecure),
        Some(_) => Err(KvError::Version),
    }
}

fn routes_v2(value: &Value, allow_insecure: bool) -> Result<ParsedRoutes, KvError> {
    let entries = value.get("routes").and_then(Value::as_array).ok_or(KvError::Syntax)?;
    let mut unreadable = Vec::new();
    let mut blocked = Vec::new();
    let mut routes = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(route) = route_v2(entry, allow_insecure) {
            routes.push(route);
        } else {
            let text = |name: &str| entry.get(name).and_then(Value::as_str);
            unreadable.push(text("id").unwrap_or("?").to_owned());
            blocked.extend(text("path").and_then(|path| path.parse::<RoutePath>().ok()));
        }
    }
    let legacy_tokens = value.get("legacy_tokens").and_then(Value::as_bool).unwrap_or(false);
    let version = value.get("version").and_then(Value::as_u64).unwrap_or(0);
    let mut table = RouteTable::new(routes, legacy_tokens, version);
    for path in blocked {
        table.block(path);
    }
    Ok(ParsedRoutes { table, unreadable })
}

/// A route whose credential alone is unreadable is kept, and refuses its calls: without it a
/// shorter route could match and send them elsewhere.
fn route_v2(entry: &Value, allow_insecure: bool) -> Option<Route> {
    if forbids_use(entry, &RouteV2::FIELDS) {
        return None;
    }
    let mut entry = entry.clone();
    let credential = entry.as_object_mut()?.remove("credential").filter(|c| !c.is_null());
    let mut route = json::read::<RouteV2>(entry).ok()?.open(allow_insecure).ok()?;
    if route.behaviour.settings.forbid_use() {
        return None;
    }
    if let Some(credential) = credential {
        route.target.credential =
            json::read(credential).map_or(RouteCredential::Unreadable, RouteCredential::Sealed);
    }
    Some(route)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::record::TokenState;

    fn hash() -> TokenHash {
        "0123456789abcdef".repeat(4).parse().unwrap()
    }

    #[test]
    fn the_v2_record_is_pinned() {
        let text = r#"{"v":2,"id":"tok_1","name":"n","team":"t","scopes":["*","tag:ai"],"expires_at":1,"state":"revoked","secret_ends_at":2,"ip_allow":["10.0.0.0/8"],"version":3}"#;
        let record = read_token(text, &hash()).unwrap();
        assert_eq!(record.state, TokenState::Revoked);
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }

    /// Parity fault 4: a missing scope list became `*`.
    #[test]
    fn a_record_without_scopes_grants_nothing() {
        let v2 = read_token(r#"{"v":2,"id":"t","name":"n","team":"t","version":1}"#, &hash()).unwrap();
        assert_eq!(v2.scopes, []);
        let v1 = read_token(r#"{"name":"n","team_id":"t"}"#, &hash()).unwrap();
        assert_eq!(v1.scopes, []);
    }

    #[test]
    fn values_of_unknown_versions_are_refused() {
        for text in ["", "null", "[]", "\"x\"", "{\"v\":2}", "{\"v\":3}", "{\"v\":\"2\"}"] {
            assert!(read_token(text, &hash()).is_err(), "{text}");
        }
        for text in ["", "[]", "{\"v\":2}", "{\"v\":9,\"routes\":[]}"] {
            assert!(parse_routes(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn one_unreadable_route_does_not_take_the_others_with_it() {
        let text = r#"{"v":2,"version":7,"legacy_tokens":true,"routes":[
            {"id":"a","path":"/api/a","url":"https://a.example"},
            {"id":"b","path":"no slash","url":"https://a.example"},
            {"id":"c","path":"/api/c","url":"https://127.0.0.1"},
            {"id":"d","path":"/api/d","url":"https://d.example","credential":"garbage"}]}"#;
        let parsed = parse_routes(text, false).unwrap();
        assert_eq!(parsed.unreadable, ["b", "c"]);
        assert_eq!(
            (parsed.table.iter().count(), parsed.table.version, parsed.table.legacy_tokens),
            (2, 7, true)
        );
        let d = parsed.table.iter().find(|r| r.rule.id.as_str() == "d").unwrap().clone();
        assert_eq!(d.target.credential, RouteCredential::Unreadable);
    }
}
