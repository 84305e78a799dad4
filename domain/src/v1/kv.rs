//! Values as the earlier JavaScript system wrote them. They are read as they are, so that the
//! gateway can be switched over before any data is moved.
//!
//! ```text
//! token:<hash>  {"name","team_id" or "department","scopes","created_at","expires_at"}
//! routes        {"/api/openai": {"url","tags","auth":{"type","config"}} or "https://…"}
//! secret:<NAME> {"value"}
//! ```

use crate::access::record::{TokenRecord, TokenState};
use crate::access::rule::Rule;
use crate::access::scope::Scope;
use crate::encoding::base64url;
use crate::id::{RouteId, TeamId, TokenId};
use crate::limit::Limits;
use crate::limit::ledger::Zone;
use crate::route::{ParsedRoutes, Route, RouteTable};
use crate::stored::KvError;
use crate::time::parse_v1;
use crate::token::TokenHash;
use crate::upstream::address::{AddressRules, UpstreamUrl};
use crate::upstream::behaviour::Behaviour;
use crate::upstream::target::{RouteCredential, Target};
use crate::usage::clip;
use crate::v1::auth::Auth;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The team of tokens whose team is unknown.
pub const UNKNOWN_TEAM: &str = "imported";

/// The id of a token of the earlier system, before the import and after it: calls counted in between stay with it.
pub fn token_id(hash: &TokenHash) -> TokenId {
    TokenId::from(format!("tok_v1{}", digest(&["token", hash.as_str()], 22)))
}

/// The id of a route of the earlier system, before the import and after it.
pub fn route_id(path: &str) -> RouteId {
    RouteId::from(format!("rte_v1{}", digest(&["route", path.trim_end_matches('/')], 22)))
}

/// Makes a team's slug from its name.
pub fn team_id(name: &str) -> TeamId {
    // İ and the Kelvin sign are the two other letters whose small forms hold one of ASCII. `to_lowercase` would know
    // them from tables of 16 KB.
    let mapped: String = name
        .replace('\u{130}', "i-")
        .replace('\u{212a}', "k")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let slug = clip(mapped.trim_matches('-'), 63);
    let slug = slug.trim_matches('-');
    // A name without a Latin letter or digit gets a digest, to tell it from others.
    if slug.is_empty() && !name.trim().is_empty() {
        return TeamId::from(format!("team-{}", digest(&[name], 8).to_ascii_lowercase()));
    }
    TeamId::from(if slug.is_empty() { UNKNOWN_TEAM } else { slug })
}

/// The first `chars` letters and digits of the parts' digest.
pub(crate) fn digest(parts: &[&str], chars: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    clip(&base64url(&hash.finalize()).replace(['-', '_'], "0"), chars)
}

pub(crate) fn token_record(value: &Value, hash: &TokenHash) -> Result<TokenRecord, KvError> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let name = text("name").ok_or(KvError::Syntax)?;
    let named = |key: &str| text(key).map(str::trim).filter(|name| !name.is_empty());
    let team = named("team_id").or_else(|| named("department")).unwrap_or_default();
    let expires_at = match value.get("expires_at") {
        None | Some(Value::Null) => None,
        // An end that cannot be read must not be taken for no end.
        Some(end) => Some(end.as_str().and_then(parse_v1).ok_or(KvError::Time)?),
    };
    let scopes = value.get("scopes").and_then(Value::as_array).into_iter().flatten();
    Ok(TokenRecord {
        v: TokenRecord::VERSION,
        id: token_id(hash),
        name: name.to_owned(),
        team: team_id(team),
        // A scope that cannot be read grants nothing; the others are kept.
        scopes: scopes.filter_map(Value::as_str).filter_map(|s| s.parse::<Scope>().ok()).collect(),
        expires_at,
        state: TokenState::Active,
        secret_ends_at: None,
        cap: None,
        ip_allow: vec![],
        limits: Limits::default(),
        team_budget: Limits::default(),
        zone: Zone::default(),
        inject_faults: false,
        may_derive: false,
        version: 0,
    })
}

pub(crate) fn routes(value: &Value, rules: AddressRules) -> Result<ParsedRoutes, KvError> {
    let entries = value.as_object().ok_or(KvError::Syntax)?;
    let mut unreadable = Vec::new();
    let mut routes = Vec::with_capacity(entries.len());
    for (path, entry) in entries {
        match route(path, entry, rules) {
            Some(route) => routes.push(route),
            None => unreadable.push(path.clone()),
        }
    }
    let mut table = RouteTable::new(routes, true, 0);
    for path in unreadable.iter().filter_map(|path| path.parse().ok()) {
        table.block(path);
    }
    Ok(ParsedRoutes { table, unreadable })
}

fn route(path: &str, entry: &Value, rules: AddressRules) -> Option<Route> {
    let url = entry.as_str().or_else(|| entry.get("url").and_then(Value::as_str))?;
    let tags = entry.get("tags").and_then(Value::as_array).into_iter().flatten();
    let credential = match entry.get("auth").filter(|auth| !auth.is_null()) {
        None => RouteCredential::None,
        Some(auth) => match Auth::parse(auth) {
            Some(None) => RouteCredential::None,
            Some(Some(auth)) => RouteCredential::V1(auth),
            None => RouteCredential::Unreadable,
        },
    };
    Some(Route {
        rule: Rule {
            id: route_id(path),
            path: path.trim_end_matches('/').parse().ok()?,
            tags: tags.filter_map(Value::as_str).map(str::to_owned).collect(),
            methods: vec![],
        },
        target: Target { upstream: UpstreamUrl::parse(url, rules).ok()?, credential },
        behaviour: Behaviour::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::parse_routes;
    use crate::v1::auth::SecretName;

    const ROUTES: &str = r#"{
        "/api/openai": {"url":"https://api.openai.com/v1","tags":["ai"],
                        "auth":{"type":"bearer","config":{"token_ref":"OPENAI_API_KEY"}}},
        "/api/key": {"url":"https://k.example","auth":{"type":"api-key","config":{"key_ref":"K"}}},
        "/api/basic": {"url":"https://b.example","auth":{"type":"basic","config":{"username_ref":"U","password_ref":"P"}}},
        "/api/none": {"url":"https://n.example","auth":{"type":"none"}},
        "/api/old": "https://o.example",
        "/api/thief": {"url":"https://evil.example","auth":{"type":"bearer","config":{"token_ref":"CREDENTIAL_KEY"}}},
        "/api/odd": {"url":"https://odd.example","auth":{"type":"magic"}},
        "bad": "https://bad.example"
    }"#;

    #[test]
    fn a_slug_keeps_the_small_forms_of_all_letters() {
        for c in (char::MIN..=char::MAX).filter(|c| !c.is_control()) {
            let small: String =
                c.to_lowercase().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            assert_eq!(team_id(&format!("a{c}b")).as_str(), format!("a{small}b"), "{c}");
        }
    }

    fn credential(path: &str) -> RouteCredential {
        let parsed = parse_routes(ROUTES, false).unwrap();
        assert_eq!(parsed.unreadable, ["bad"]);
        assert!(parsed.table.legacy_tokens);
        parsed.table.iter().find(|r| r.rule.path.as_str() == path).unwrap().target.credential.clone()
    }

    #[test]
    fn every_form_of_a_v1_route_is_read() {
        let name = |n: &str| SecretName::new(n).unwrap();
        assert_eq!(
            credential("/api/openai"),
            RouteCredential::V1(Auth::Bearer { token_ref: name("OPENAI_API_KEY") })
        );
        assert_eq!(
            credential("/api/key"),
            RouteCredential::V1(Auth::ApiKey { header_name: "X-API-Key".into(), key_ref: name("K") })
        );
        assert_eq!(
            credential("/api/basic"),
            RouteCredential::V1(Auth::Basic { username_ref: name("U"), password_ref: name("P") })
        );
        assert_eq!(credential("/api/none"), RouteCredential::None);
        assert_eq!(credential("/api/old"), RouteCredential::None);
        assert_eq!(credential("/api/odd"), RouteCredential::Unreadable);
    }

    /// Parity fault 2, in v1: a route could name any secret.
    #[test]
    fn a_route_cannot_name_the_workers_own_secrets() {
        assert_eq!(credential("/api/thief"), RouteCredential::Unreadable);
        assert!(SecretName::new("token_check_key").is_none());
    }

    #[test]
    fn a_v1_token_is_read() {
        let hash: TokenHash = "0123456789abcdef".repeat(4).parse().unwrap();
        let text = r#"{"name":"n8n","department":"ops","scopes":["openai","not a scope"],
                       "created_at":"2025-11-01T00:00:00","expires_at":"2026-01-01T00:00:00"}"#;
        let record = crate::kv::read_token(text, &hash).unwrap();
        assert_eq!(record.team.as_str(), "ops");
        assert_eq!(record.scopes, [Scope::Service("openai".into())]);
        assert_eq!(record.expires_at, parse_v1("2026-01-01T00:00:00Z"));
        assert_eq!(crate::kv::read_token(r#"{"name":"n","expires_at":"soon"}"#, &hash), Err(KvError::Time));
    }
}
