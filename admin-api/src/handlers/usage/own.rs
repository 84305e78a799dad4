//! A token's own usage, for its holder.

use crate::auth::api_key;
use crate::db::limits;
use crate::db::usage::{self as store, report};
use crate::limiter::standing;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::error::ApiError;
use contract::usage::{Figures, OwnUsage};

const RECENT_CALLS: u32 = 10;

/// `GET /api/usage/me` and, at the earlier system's path, `GET /api/usage/test-data`.
pub async fn own(call: &Call, _: Asked<()>) -> Answer<OwnUsage> {
    let holder = api_key::holder(call).await?;
    let db = call.db()?;
    let usage = db.usage(&call.env)?;
    let total = report::own_total(&usage, &holder.id, &holder.team_id, holder.created_at, call.now).await?;
    let recent = store::own_recent(&db, &holder.id, RECENT_CALLS).await?;
    let limits = limits::in_force(&db, &holder.id).await?.ok_or(ApiError::InvalidApiKey)?;
    let limits = standing(call, &holder.id, limits).await?;
    respond(OwnUsage {
        token_id: holder.id,
        name: holder.name,
        expires_at: holder.expires_at,
        limits,
        total: Figures::from(&total),
        recent,
    })
}
