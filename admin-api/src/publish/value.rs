//! Computes the values for KV from D1's current rows.

use crate::db::tokens::PublishedToken;
use crate::db::{Db, StoreError, json_column, limits, routes};
use domain::access::path::RoutePath;
use domain::access::record::{TokenRecord, TokenState};
use domain::access::scope::{Scope, cap_to_check, within_cap};
use domain::canary::is_canary;
use domain::credential::seal::SealedCredential;
use domain::id::RouteId;
use domain::json;
use domain::kv::{RouteTableV2, RouteV2, TOMBSTONE_TTL_S};
use domain::limit::Limits;
use domain::limit::ledger::Zone;
use domain::time::{DAY_MS, UnixMs};
use domain::token::TokenHash;
use domain::upstream::settings::RouteSettings;
use edge::log::{Source, log};
use url::Url;

/// The shortest lifetime that KV accepts for an entry, in seconds.
const MIN_TTL_S: u64 = 60;

/// The lifetime of the canary's entries, in seconds: each run makes another one.
const CANARY_TTL_S: u64 = 600;

/// The entry of one secret.
#[derive(Clone, Debug)]
pub struct Entry {
    pub hash: TokenHash,
    pub record: TokenRecord,
    /// The lifetime after which KV may delete it; `None` means never.
    pub ttl_s: Option<u64>,
}

/// Makes the entries of a token: one for each secret that has not ended long ago.
///
/// # Errors
/// Fails if an allow-list or limits cannot be read: without them, any address could call, or without any limit.
pub fn entries_of(token: &PublishedToken, now: UnixMs) -> Result<Vec<Entry>, StoreError> {
    let record = record_of(token)?;
    let entry = |(hash, ends_at): &(TokenHash, Option<UnixMs>)| {
        // Write a tombstone instead of deleting: other locations may see a deletion late or never.
        let ttl_s = if is_canary(&record) {
            Some(CANARY_TTL_S)
        } else if record.state == TokenState::Revoked {
            Some(TOMBSTONE_TTL_S)
        } else {
            // Keep it a day longer than it works, so that its holder is told that it has expired.
            ends_at.map(|end| u64::try_from((end + DAY_MS - now) / 1_000).unwrap_or(0).max(MIN_TTL_S))
        };
        let record = TokenRecord { secret_ends_at: *ends_at, ..record.clone() };
        Entry { hash: hash.clone(), record, ttl_s }
    };
    Ok(token.secrets.iter().map(entry).collect())
}

/// Makes the record of a token, which is the same for each of its secrets. It contains only the scopes that are
/// within the team's current cap, and the cap itself if a call must satisfy both. A gateway that does not
/// know `cap` yet still has the narrowed scopes.
pub fn record_of(token: &PublishedToken) -> Result<TokenRecord, StoreError> {
    // A record that refuses needs neither networks nor limits, so unreadable ones must not prevent its
    // publication.
    let (ip_allow, limits, team_budget) = if token.state == TokenState::Active {
        (networks(&token.ip_allow)?, limits_of(token)?, limits::read(token.team_budget.as_deref())?)
    } else {
        (vec![], Limits::default(), Limits::default())
    };
    let scopes: Vec<Scope> = token.scopes.iter().filter_map(|text| text.parse().ok()).collect();
    let inside = within_cap(&scopes, token.scope_cap.as_deref());
    Ok(TokenRecord {
        v: TokenRecord::VERSION,
        id: token.id.clone(),
        name: token.name.clone(),
        team: token.team_id.clone(),
        cap: cap_to_check(&scopes, token.scope_cap.as_deref(), &inside),
        scopes: inside,
        expires_at: token.expires_at,
        state: token.state,
        secret_ends_at: None,
        ip_allow,
        // Without limits, no day counts.
        zone: if limits.is_empty() && team_budget.is_empty() {
            Zone::default()
        } else {
            limits::read_zone(token.zone.as_deref())?
        },
        limits,
        team_budget,
        inject_faults: token.inject_faults,
        may_derive: token.may_derive,
        version: token.version,
    })
}

fn networks(json: &str) -> Result<Vec<ipnet::IpNet>, StoreError> {
    json::from_text(json).map_err(|e| StoreError::Value(format!("ip_allow: {e}")))
}

fn limits_of(token: &PublishedToken) -> Result<Limits, StoreError> {
    Ok(limits::read(token.limits.as_deref())?.or(&limits::read(token.team_limits.as_deref())?))
}

pub async fn route_table(db: &Db, now: UnixMs, who: Source<'_>) -> Result<RouteTableV2, StoreError> {
    let (head, rows) = routes::published(db, now).await?;
    Ok(RouteTableV2 {
        v: 2,
        version: head.version,
        legacy_tokens: head.legacy_tokens == 1,
        routes: rows.into_iter().filter_map(|row| route_or_closed(row, who)).collect(),
    })
}

/// Makes a route's entry. A route that cannot be read is published as closed: if it were left out, a shorter route
/// could match its calls and send them elsewhere.
fn route_or_closed(row: Result<routes::PublishedRow, StoreError>, who: Source<'_>) -> Option<RouteV2> {
    let row = row.inspect_err(|e| log(who, "route left out of the table", &e.to_string())).ok()?;
    let (id, path) = (row.id.clone(), row.path.clone());
    route(row).or_else(|| {
        log(who, "route cannot be read, and is published as closed", id.as_str());
        closed(id, path)
    })
}

fn closed(id: RouteId, path: RoutePath) -> Option<RouteV2> {
    Some(RouteV2 {
        id,
        path,
        url: Url::parse("https://unreadable.invalid").ok()?,
        tags: vec![],
        methods: vec![],
        timeout_ms: None,
        cors_origins: vec![],
        forward_cookies: false,
        settings: RouteSettings::unreadable(),
        credential: None,
    })
}

/// Reads a row. Returns `None` if its address, methods or settings cannot be read: its calls could not be forwarded,
/// or it could accept calls that it should not.
pub fn route(row: routes::PublishedRow) -> Option<RouteV2> {
    // A seal for another origin, or one that cannot be read (an empty one never opens), is
    // still published: the gateway then refuses the call. Without it, the call would go
    // out without a credential.
    let unopenable = || SealedCredential { iv: [0; 12], ciphertext: vec![] };
    Some(RouteV2 {
        url: Url::parse(&row.backend_url).ok()?,
        methods: json::from_text(&row.methods).ok()?,
        id: row.id,
        path: row.path,
        tags: json_column(&row.tags),
        timeout_ms: row.timeout_ms,
        cors_origins: json_column(&row.cors_origins),
        forward_cookies: row.forward_cookies == 1,
        settings: json::from_text(&row.settings).ok()?,
        credential: row.sealed.as_deref().map(|text| text.parse().unwrap_or_else(|_| unopenable())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(sealed: Option<&str>) -> routes::PublishedRow {
        routes::PublishedRow {
            id: "rte_1".into(),
            path: "/api/x".parse().unwrap(),
            backend_url: "https://x.example/v1".into(),
            tags: r#"["ai"]"#.into(),
            methods: "[]".into(),
            timeout_ms: None,
            cors_origins: "[]".into(),
            forward_cookies: 0,
            settings: "{}".into(),
            sealed: sealed.map(str::to_owned),
        }
    }

    #[test]
    fn a_route_is_published_with_its_seal() {
        let sealed = "v1.AQEBAQEBAQEBAQEB._wA";
        let with = route(published(Some(sealed))).unwrap();
        assert_eq!(with.credential.unwrap().to_string(), sealed);
        assert_eq!(with.tags, ["ai"]);
        assert!(route(published(None)).unwrap().credential.is_none());
    }

    #[test]
    fn a_route_whose_methods_or_settings_cannot_be_read_is_published_as_closed() {
        let row = published(None);
        let closed = closed(row.id, row.path).unwrap();
        let path = closed.path.clone();
        let table = RouteTableV2 { v: 2, version: 1, legacy_tokens: false, routes: vec![closed] };
        let parsed = domain::kv::parse_routes(&serde_json::to_string(&table).unwrap(), false).unwrap();
        assert_eq!(
            parsed.unreadable,
            ["rte_1"],
            "its path is blocked, so that no shorter route takes its calls"
        );
        let request = domain::access::path::RequestPath::parse(path.as_str()).unwrap();
        assert!(parsed.table.find(&request).is_none() && table.rules().find(&request).is_none());

        assert!(route(routes::PublishedRow { methods: "[\"G T\"]".into(), ..published(None) }).is_none());
        assert!(route(routes::PublishedRow { methods: "?".into(), ..published(None) }).is_none());
        let settings = r#"{"maintenance":{"message":"x"}}"#.into();
        assert!(route(routes::PublishedRow { settings, ..published(None) }).is_none());
    }

    fn token(state: TokenState, ip_allow: &str, cap: Option<&str>) -> PublishedToken {
        let hash = |digit: &str| -> TokenHash { digit.repeat(64).parse().unwrap() };
        PublishedToken {
            id: "tok_1".into(),
            name: "n".into(),
            team_id: "ops".into(),
            scopes: vec!["*".into()],
            scope_cap: cap.map(|scope| vec![scope.parse().unwrap()]),
            ip_allow: ip_allow.into(),
            limits: Some(r#"{"calls_per_day":5}"#.into()),
            team_limits: Some(r#"{"calls_per_day":9,"concurrent_calls":2}"#.into()),
            team_budget: Some(r#"{"cost_micros_per_day":7}"#.into()),
            zone: Some(r#"{"name":"Asia/Taipei","offset_ms":28800000}"#.into()),
            inject_faults: true,
            may_derive: true,
            expires_at: None,
            state,
            version: 3,
            updated_at: 0,
            secrets: vec![(hash("a"), None), (hash("b"), Some(5_000))],
        }
    }

    #[test]
    fn each_secret_has_an_entry_with_its_own_end() {
        let entries = entries_of(&token(TokenState::Active, "[]", None), 0).unwrap();
        let ends: Vec<_> = entries.iter().map(|e| (e.record.secret_ends_at, e.ttl_s)).collect();
        assert_eq!(ends, [(None, None), (Some(5_000), Some(86_405))]);
    }

    #[test]
    fn a_narrower_cap_narrows_the_published_scopes() {
        let record = record_of(&token(TokenState::Active, "[]", Some("openai"))).unwrap();
        assert_eq!((record.scopes, record.cap), (vec!["openai".parse().unwrap()], None));
        let path = PublishedToken {
            scopes: vec!["/api/openai/*".into()],
            ..token(TokenState::Active, "[]", Some("openai"))
        };
        let record = record_of(&path).unwrap();
        assert_eq!(record.scopes, ["/api/openai/*".parse().unwrap()]);
        assert_eq!(
            record.cap,
            Some(vec!["openai".parse().unwrap()]),
            "which route it opens is not known yet"
        );
    }

    #[test]
    fn the_tokens_own_limits_override_its_teams() {
        let limits = record_of(&token(TokenState::Active, "[]", None)).unwrap().limits;
        assert_eq!((limits.calls_per_day, limits.concurrent_calls), (Some(5), Some(2)));
    }

    #[test]
    fn unreadable_limits_stop_the_publication_but_not_a_revocation() {
        for unreadable in ["?", r#"{"calls_per_day":"5"}"#] {
            let unreadable = Some(unreadable.to_owned());
            for (own, team) in [(unreadable.clone(), None), (None, unreadable)] {
                let of = |state| PublishedToken {
                    limits: own.clone(),
                    team_limits: team.clone(),
                    ..token(state, "[]", None)
                };
                assert!(record_of(&of(TokenState::Active)).is_err(), "{own:?} {team:?}");
                assert!(record_of(&of(TokenState::Revoked)).unwrap().limits.is_empty());
                assert!(record_of(&of(TokenState::Disabled)).unwrap().limits.is_empty());
            }
        }
    }

    #[test]
    fn a_newer_versions_limit_and_setting_are_published_unchanged() {
        let newer = r#"{"calls_per_day":5,"calls_per_fortnight":9}"#;
        let record = record_of(&PublishedToken {
            limits: Some(newer.into()),
            team_limits: Some(r#"{"critical":["hours"],"hours":"9-17"}"#.into()),
            ..token(TokenState::Active, "[]", None)
        });
        let limits = serde_json::to_value(record.unwrap()).unwrap()["limits"].clone();
        let wanted = serde_json::json!({"calls_per_day": 5, "calls_per_fortnight": 9, "critical": ["hours"], "hours": "9-17"});
        assert_eq!(limits, wanted);
        let settings = r#"{"ai":{"provider":"newer","mode":1},"magic":{"a":[1]}}"#;
        let route = route(routes::PublishedRow { settings: settings.into(), ..published(None) }).unwrap();
        let text = serde_json::to_value(route.settings).unwrap();
        assert_eq!(text, serde_json::from_str::<serde_json::Value>(settings).unwrap());
    }

    #[test]
    fn an_unreadable_network_stops_the_publication_but_not_a_revocation() {
        assert!(record_of(&token(TokenState::Active, r#"["10.0.0.0/8"]"#, None)).is_ok());
        for unreadable in [r#"["10.0.0.0/8","?"]"#, "?", "{}"] {
            assert!(record_of(&token(TokenState::Active, unreadable, None)).is_err(), "{unreadable}");
            let tombstones = entries_of(&token(TokenState::Revoked, unreadable, None), 0).unwrap();
            assert!(tombstones.iter().all(|e| e.ttl_s == Some(TOMBSTONE_TTL_S)));
        }
    }
}
