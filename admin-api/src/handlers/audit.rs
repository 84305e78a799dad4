//! `/api/dashboard/audit-logs`

use crate::auth::caller;
use crate::db::audit as store;
use crate::db::to_json;
use crate::error::Failure;
use crate::handlers::parse_time;
use crate::paging::{Cursor, check_limit, page, parse_query};
use crate::request::{Call, respond};
use domain::api::audit::AuditQuery;
use domain::role::{Action, Caller, Subject, authorize};
use worker::Response;

/// The latest time that a filter may name: the year 9999.
const LAST: i64 = 253_402_300_800_000;

/// `GET /api/dashboard/audit-logs`
pub async fn list(call: &Call) -> Result<Response, Failure> {
    let caller = caller(call).await?;
    let teams = teams_to_see(&caller)?;
    let query: AuditQuery = parse_query(call.query())?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => None,
        Some(Cursor::Time(at, id)) => Some((*at, id.as_str())),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", "is not a cursor of this list")),
    };
    let filter = store::ListFilter {
        teams: teams.as_deref(),
        query: &query,
        from: query.from.as_deref().map_or(Ok(0), |text| parse_time("from", text))?,
        to: query.to.as_deref().map_or(Ok(LAST), |text| parse_time("to", text))?,
        after,
        limit: limit + 1,
    };
    let items = store::list(&call.db()?, &filter).await?;
    respond(200, &page(items, limit, |entry| Cursor::Time(entry.at, entry.id.clone())))
}

/// The teams whose entries the caller may see, as JSON; `None` is all, and what concerns no team. Who
/// may see those of no team is refused.
fn teams_to_see(caller: &Caller) -> Result<Option<String>, Failure> {
    let Some(teams) = caller.teams_for(Action::ReadAudit) else { return Ok(None) };
    if teams.is_empty() {
        authorize(caller, Action::ReadAudit, Subject::default())?;
    }
    Ok(Some(to_json(&teams)?))
}
