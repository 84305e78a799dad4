//! Limits of a token, and the permission to loosen them.

use super::find;
use crate::db::limits as store;
use crate::error::Failure;
use crate::limiter::standing;
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond};
use contract::error::ApiError;
use contract::limits::TokenLimits;
use domain::id::TeamId;
use domain::limit::Limits;
use domain::people::role::{Action, Caller, Subject};
use edge::log::Source;

/// `GET /api/tokens/{id}/limits`
pub async fn get(call: &Call, _: Asked<()>) -> Answer<TokenLimits> {
    let caller = call.caller()?;
    let db = call.db()?;
    let token = find(call, &db, caller).await?;
    let limits = store::in_force(&db, &token.id).await?.ok_or(ApiError::NotFound)?;
    respond(standing(&call.env, Source::Request(&call.request_id), &token.id, limits).await)
}

/// Fails with 403 if a change allows more and the caller may not loosen limits. It compares the limits in force,
/// including the team's defaults, which a new token starts from.
pub fn check_change(
    call: &Call,
    caller: &Caller,
    team: (&TeamId, &Limits),
    (before, after): (&Limits, &Limits),
    attempt: Attempt,
) -> Result<(), Failure> {
    let (team, defaults) = team;
    if before.or(defaults).loosened_by(&after.or(defaults)) {
        call.require(caller, Action::LoosenLimits, Subject::team(team), attempt)?;
    }
    Ok(())
}
