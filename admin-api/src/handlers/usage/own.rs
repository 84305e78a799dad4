//! A token's own usage, for its holder.

use crate::auth::api_key;
use crate::db::tokens::Holder;
use crate::db::usage::calls::{LIST_MS, find};
use crate::db::usage::report;
use crate::db::{StoreError, UsageDb, limits};
use crate::limiter::standing;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::error::ApiError;
use contract::usage::{Figures, OwnUsage, RecentCall};
use domain::time::{DAY_MS, UnixMs};
use domain::usage::UsageEvent;
use domain::usage::segment::Search;
use edge::log::Source;

const RECENT_CALLS: usize = 10;

/// `GET /api/usage/me` and, at the earlier system's path, `GET /api/usage/test-data`.
pub async fn own(call: &Call, _: Asked<()>) -> Answer<OwnUsage> {
    let holder = api_key::holder(call).await?;
    let db = call.db()?;
    let usage = db.usage(&call.env)?;
    let total = report::own_total(&usage, &holder.id, &holder.team_id, holder.created_at, call.now).await?;
    let recent = recent(&usage, &holder, call.now).await?;
    let limits = limits::in_force(&db, &holder.id).await?.ok_or(ApiError::InvalidApiKey)?;
    let limits = standing(&call.env, Source::Request(&call.request_id), &holder.id, limits).await;
    respond(OwnUsage {
        token_id: holder.id,
        name: holder.name,
        expires_at: holder.expires_at,
        limits,
        total: Figures::from(&total),
        recent,
    })
}

/// Finds a token's last calls, newest first.
async fn recent(usage: &UsageDb, holder: &Holder, now: UnixMs) -> Result<Vec<RecentCall>, StoreError> {
    let search = Search {
        before: (now + DAY_MS, String::new()),
        teams: Some(vec![holder.team_id.clone()]),
        token: Some(holder.id.clone()),
        ..Search::default()
    };
    let view = |event: UsageEvent| RecentCall {
        id: event.id,
        at: event.at,
        method: event.method.to_string(),
        path: event.path.to_string(),
        route_path: event.route_path.map(|path| path.to_string()),
        status: event.status,
        outcome: event.outcome.as_str().to_owned(),
        latency_ms: event.latency_ms,
        request_id: event.request_id.to_string(),
    };
    Ok(find(usage, &search, RECENT_CALLS, LIST_MS).await?.calls.into_iter().map(view).collect())
}
