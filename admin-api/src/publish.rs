//! From D1 to KV. D1 is the truth; KV is told, at once where it listens, by cron where it did not.
//!
//! An outbox row stands for "this subject has changed" and holds no value. Whoever publishes reads
//! the present value from D1, writes it, and reads the version again. Why an old value cannot stay:
//!
//! - Two publishers of one subject may overtake each other: A reads version 1, B reads and writes
//!   version 2, A writes version 1. A then finds version 2 in D1 and publishes again; only when the
//!   version after the writing is the one that was written does A take its row away.
//! - Each publisher deletes the rows it came for and no others. If A dies between its writing and its
//!   second look, A's row is still there, its lease ends, and the cron publishes what D1 says then.
//! - A writing that KV refused, or that took too long, leaves the row with a later time; it is tried
//!   again for ever, at most [`MAX_BACKOFF_MS`] apart, so nothing is dropped.

use crate::db::{Db, StoreError, json_column, outbox, routes, tokens};
use domain::api::Propagation;
use domain::credential::SealedCredential;
use domain::id::TokenId;
use domain::kv::{ROUTES_KEY, RouteTableV2, RouteV2, TOMBSTONE_TTL_S, TokenRecord, TokenState, token_key};
use domain::time::UnixMs;
use domain::upstream::origin_of;
use edge::env::TOKENS;
use edge::log::log;
use futures_util::future::{Either, select};
use serde::Serialize;
use std::pin::pin;
use std::time::Duration;
use url::Url;
use worker::{Date, Delay, Env};

/// How long the writer of a change has to publish it himself before the cron does.
pub const WRITER_LEASE_MS: i64 = 30_000;
/// A write that takes longer counts as failed.
const WRITE_TIMEOUT_MS: u64 = 10_000;
const FIRST_BACKOFF_MS: i64 = 2_000;
const MAX_BACKOFF_MS: i64 = 300_000;
/// How often a publisher starts over because D1 has moved on meanwhile.
const MAX_ROUNDS: usize = 4;

/// The id of an outbox row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RowId(pub String);

/// What is published as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// All secrets of a token.
    Token(TokenId),
    /// The route table.
    Routes,
}

impl Subject {
    /// Kind and entity id in the outbox.
    pub fn key(&self) -> (&'static str, &str) {
        match self {
            Self::Token(id) => ("token", id.as_str()),
            Self::Routes => ("routes", ""),
        }
    }

    pub fn of_row(row: &outbox::Row) -> Option<Self> {
        match row.kind.as_str() {
            "token" => Some(Self::Token(TokenId::from(row.entity_id.as_str()))),
            "routes" => Some(Self::Routes),
            _ => None,
        }
    }
}

/// Why a subject is not in KV yet.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("KV: {0}")]
    Kv(String),
    #[error("D1 changes faster than KV can be told")]
    Overtaken,
}

pub fn now() -> UnixMs {
    i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX)
}

/// The pause after the `attempts`-th failure: 2 s, 4 s, 8 s … 5 min.
pub fn backoff_ms(attempts: u32) -> i64 {
    FIRST_BACKOFF_MS.saturating_mul(1_i64.checked_shl(attempts.min(20)).unwrap_or(1)).min(MAX_BACKOFF_MS)
}

/// Publishes a subject and takes the rows that asked for it away; on failure gives them a later time.
/// Never fails: the change itself is done, and only its propagation is in question.
pub async fn publish(
    env: &Env,
    db: &Db,
    subject: &Subject,
    rows: &[RowId],
    attempts: u32,
    request_id: &str,
) -> Propagation {
    let published = match put_present_value(env, db, subject, request_id).await {
        Ok(()) => outbox::done(db, rows).await.map_err(PublishError::from),
        Err(error) => Err(error),
    };
    let Err(error) = published else { return Propagation::Published };
    let cause = error.to_string();
    log(request_id, "publication failed, to be tried again", &cause);
    if let Err(error) = outbox::fail(db, rows, now() + backoff_ms(attempts), &cause).await {
        // The row's lease ends by itself.
        log(request_id, "outbox row cannot be updated", &error.to_string());
    }
    Propagation::Pending
}

async fn put_present_value(
    env: &Env,
    db: &Db,
    subject: &Subject,
    request_id: &str,
) -> Result<(), PublishError> {
    for _ in 0..MAX_ROUNDS {
        let is_present = match subject {
            Subject::Token(id) => put_token(env, db, id).await?,
            Subject::Routes => put_routes(env, db, request_id).await?,
        };
        if is_present {
            return Ok(());
        }
    }
    Err(PublishError::Overtaken)
}

/// Writes a record for each secret; whether the token is still at the version that was written.
async fn put_token(env: &Env, db: &Db, id: &TokenId) -> Result<bool, PublishError> {
    let Some(token) = tokens::get(db, id.as_str()).await? else { return Ok(true) };
    // Read after the token: a secret added in between belongs to a newer version, which the second
    // look below finds.
    for secret in tokens::secrets(db, id.as_str()).await? {
        let record = TokenRecord {
            v: TokenRecord::VERSION,
            id: token.id.clone(),
            name: token.name.clone(),
            team: token.team_id.clone(),
            scopes: token.scopes.iter().filter_map(|s| s.parse().ok()).collect(),
            expires_at: token.expires_at,
            state: token.state,
            secret_ends_at: secret.ends_at,
            // A tombstone needs none, and nothing may stand in a revocation's way.
            ip_allow: if token.state == TokenState::Revoked { vec![] } else { networks(&token.ip_allow)? },
            version: token.version,
        };
        // A tombstone rather than a deletion: a deletion may be seen late or never.
        let ttl_s = (token.state == TokenState::Revoked).then_some(TOMBSTONE_TTL_S);
        put(env, &token_key(&secret.hash), &record, ttl_s).await?;
    }
    let after = tokens::get(db, id.as_str()).await?;
    Ok(after.is_none_or(|after| after.version == token.version))
}

/// An entry that cannot be read must not be left out: with none left, any address could call.
fn networks(texts: &[String]) -> Result<Vec<ipnet::IpNet>, StoreError> {
    let parse = |text: &String| text.parse().map_err(|_| StoreError::Value(format!("ip_allow: {text}")));
    texts.iter().map(parse).collect()
}

async fn put_routes(env: &Env, db: &Db, request_id: &str) -> Result<bool, PublishError> {
    let (head, rows) = routes::published(db, now()).await?;
    let table = RouteTableV2 {
        v: 2,
        version: head.version,
        legacy_tokens: head.legacy_tokens == 1,
        routes: rows.into_iter().filter_map(|row| route(row, request_id)).collect(),
    };
    put(env, ROUTES_KEY, &table, None).await?;
    Ok(routes::table_version(db, now()).await?.is_none_or(|version| version == head.version))
}

/// `None` for a route whose address cannot be read: without one it could go nowhere.
fn route(row: routes::PublishedRow, request_id: &str) -> Option<RouteV2> {
    let Ok(url) = Url::parse(&row.backend_url) else {
        log(request_id, "route left out of the table", row.id.as_str());
        return None;
    };
    // A seal that is not for this origin would not open; it is published all the same, because the
    // gateway then refuses the call where without it the call would go out bare.
    // The same for one that cannot be read: an empty seal never opens.
    let unopenable = || SealedCredential { iv: [0; 12], ciphertext: vec![] };
    let credential = row.sealed.as_deref().map(|text| text.parse().unwrap_or_else(|_| unopenable()));
    if row.sealed.is_some() && row.credential_origin != Some(origin_of(&url)) {
        log(request_id, "credential does not belong to its route's origin", row.id.as_str());
    }
    Some(RouteV2 {
        id: row.id,
        path: row.path,
        url,
        tags: json_column(&row.tags),
        methods: json_column(&row.methods),
        timeout_ms: row.timeout_ms,
        cors_origins: json_column(&row.cors_origins),
        forward_cookies: row.forward_cookies == 1,
        credential,
    })
}

async fn put<T: Serialize>(env: &Env, key: &str, value: &T, ttl_s: Option<u64>) -> Result<(), PublishError> {
    let failed = |cause: String| PublishError::Kv(cause);
    let kv = env.kv(TOKENS).map_err(|e| failed(e.to_string()))?;
    let text = serde_json::to_string(value).map_err(|e| failed(e.to_string()))?;
    let builder = kv.put(key, text).map_err(|e| failed(e.to_string()))?;
    let builder = match ttl_s {
        Some(ttl_s) => builder.expiration_ttl(ttl_s),
        None => builder,
    };
    let write = pin!(builder.execute());
    let timeout = pin!(Delay::from(Duration::from_millis(WRITE_TIMEOUT_MS)));
    match select(write, timeout).await {
        Either::Left((result, _)) => result.map_err(|e| failed(e.to_string())),
        Either::Right(_) => Err(failed("timed out".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let pauses: Vec<i64> = (0..10).map(backoff_ms).collect();
        assert_eq!(pauses[..4], [2_000, 4_000, 8_000, 16_000]);
        assert_eq!(pauses[8..], [300_000, 300_000]);
        assert_eq!(backoff_ms(u32::MAX), MAX_BACKOFF_MS);
    }

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
            sealed: sealed.map(str::to_owned),
            credential_origin: sealed.map(|_| "https://x.example".to_owned()),
        }
    }

    #[test]
    fn a_route_is_published_with_its_seal() {
        let sealed = "v1.AQEBAQEBAQEBAQEB._wA";
        let with = route(published(Some(sealed)), "req").unwrap();
        assert_eq!(with.credential.unwrap().to_string(), sealed);
        assert_eq!(with.tags, ["ai"]);
        assert!(route(published(None), "req").unwrap().credential.is_none());
    }

    #[test]
    fn an_unreadable_network_stops_the_publication() {
        assert!(networks(&["10.0.0.0/8".into()]).is_ok());
        assert!(networks(&["10.0.0.0/8".into(), "?".into()]).is_err());
    }
}
