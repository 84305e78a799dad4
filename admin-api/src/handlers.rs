//! The endpoints: parse, check, act, respond.

pub mod audit;
pub mod canary;
pub mod channels;
pub mod config;
mod csv;
pub mod dashboard;
pub mod docs;
pub mod health;
mod idempotency;
pub mod import;
pub mod invitations;
pub mod keys;
pub mod metrics;
pub mod people;
pub mod prices;
pub mod routes;
pub mod teams;
pub mod tokens;
pub mod upkeep;
pub mod usage;
pub mod webhooks;

use crate::error::Failure;
use crate::request::Call;
use contract::error::ApiError;
use domain::id::TeamId;
use domain::people::role::Caller;
use domain::problem::Invalid;
use domain::time::{UnixMs, parse_v1};

/// Fails with 412 if the caller named another version than the current one.
fn check_if_match(call: &Call, version: u64) -> Result<(), Failure> {
    match call.if_match() {
        Some(if_match) if call.is_dry_run() && if_match.is_for_dry_runs() => Ok(()),
        Some(if_match) if !if_match.admits(version) => Err(ApiError::PreconditionFailed.into()),
        _ => Ok(()),
    }
}

/// Returns the version that the write requires: the one that was read, if the caller made it a condition.
fn condition(call: &Call, version: u64) -> Option<u64> {
    call.if_match().filter(|if_match| !if_match.is_any()).map(|_| version)
}

/// Returns the failure after a concurrent change: 412 if the caller made a condition, otherwise 409.
fn overtaken(call: &Call) -> Failure {
    let error = if call.if_match().is_some() { ApiError::PreconditionFailed } else { ApiError::Conflict };
    error.into()
}

/// Returns the caller's teams as a JSON parameter; `None` means all. `wanted` narrows them, but never to a team
/// that the caller may not see.
fn visible_teams(caller: &Caller, wanted: Option<&TeamId>) -> Result<Option<String>, Failure> {
    Ok(visible_team_ids(caller, wanted).as_ref().map(crate::db::to_json).transpose()?)
}

/// Returns the caller's teams as [`visible_teams`] does.
fn visible_team_ids(caller: &Caller, wanted: Option<&TeamId>) -> Option<Vec<TeamId>> {
    let teams = match (caller.visible_teams(), wanted) {
        (None, None) => return None,
        (None, Some(wanted)) => vec![wanted],
        (Some(teams), None) => teams,
        (Some(teams), Some(wanted)) => teams.into_iter().filter(|team| *team == wanted).collect(),
    };
    Some(teams.into_iter().cloned().collect())
}

/// Reads unix ms or RFC 3339, between 1970 and 9999, so that no arithmetic on it overflows.
fn parse_time(field: &str, text: &str) -> Result<UnixMs, Failure> {
    text.parse::<i64>()
        .ok()
        .or_else(|| parse_v1(text))
        .filter(|at| (0..253_402_300_800_000).contains(at))
        .ok_or_else(|| Failure::field(field, Invalid::Time))
}
