//! Single calls, as a list and as a file.

use crate::db::usage::{self as store, EventFilter, Found};
use crate::error::Failure;
use crate::handlers::{csv, parse_time, visible_teams};
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Call};
use crate::respond::{Answer, ready, respond};
use contract::Page;
use contract::usage::{CallPage, CallView, EventQuery, StatusClass};
use domain::csv::push_row;
use domain::id::TeamId;
use domain::people::role::Caller;
use domain::problem::Invalid;
use domain::time::{DAY_MS, UnixMs, to_rfc3339};

/// Calls that one query of a file reads; with 900 queries a file has up to nine million calls.
const FILE_PAGE: u32 = 10_000;
/// Calls that one request searches, in about 0.1 s of D1's time, and calls that one query of a file searches.
const LOOKED_THROUGH: u32 = 20_000;
const FILE_LOOKED_THROUGH: u32 = 100_000;
/// The period that is searched if the query names neither a start nor anything that has an index.
const DEFAULT_SPAN_MS: i64 = DAY_MS;

/// `GET /api/usage/events`
pub async fn list(call: &Call, asked: Asked<EventQuery>) -> Answer<CallPage> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let mut filter = filter_of(call, caller, query)?;
    if filter.from == 0 && filter.token.is_none() && filter.route.is_none() && filter.team.is_none() {
        filter.from = call.now - DEFAULT_SPAN_MS;
    }
    let Found { calls, searched_to } = store::events(&call.db()?, &filter, limit + 1, LOOKED_THROUGH).await?;
    let Page { items, next_cursor } = page(calls, limit, |event| Cursor::Time(event.at, event.id.clone()));
    // A page that is not full ends at the position where the search stopped.
    let end = searched_to.filter(|_| next_cursor.is_none());
    let searched_to = end.as_ref().map(|(at, _)| *at);
    let further = end.and_then(|(at, id)| Cursor::Time(at, id).encode());
    respond(CallPage { items, next_cursor: next_cursor.or(further), searched_to })
}

fn filter_of(call: &Call, caller: &Caller, query: EventQuery) -> Result<EventFilter, Failure> {
    let end = query.to.as_deref().map(|text| parse_time("to", text)).transpose()?.unwrap_or(call.now + 1);
    let before = match query.cursor.as_deref().map(Cursor::decode).transpose()? {
        None => (end, String::new()),
        Some(Cursor::Time(at, id)) => (at, id),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let teams = visible_teams(caller, query.team_id.as_ref())?;
    // For callers who see only one team, use that team's index.
    let only = || serde_json::from_str::<[TeamId; 1]>(teams.as_deref()?).ok().map(|[team]| team);
    Ok(EventFilter {
        from: query.from.as_deref().map_or(Ok(0), |text| parse_time("from", text))?,
        team: query.team_id.or_else(only),
        teams,
        token: query.token_id,
        route: query.route_id,
        outcome: query.outcome,
        status_class: query.status.map(StatusClass::hundreds),
        method: query.method.map(|method| method.to_ascii_uppercase()),
        path: query.path,
        before,
    })
}

/// `GET /api/usage/export`. It streams page after page as the client reads; only one page is in memory.
pub async fn export(call: &Call, asked: Asked<EventQuery>) -> Answer<String> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    csv::refuse_paging(query.limit, query.cursor.as_deref())?;
    let filter = filter_of(call, caller, query)?;
    let db = call.db()?;
    let read = move |filter: EventFilter| {
        let db = db.clone();
        async move {
            let found = store::events(&db, &filter, FILE_PAGE, FILE_LOOKED_THROUGH).await?;
            let mut text = String::new();
            for event in &found.calls {
                push(&mut text, event);
            }
            Ok((text, found.searched_to.map(|before| EventFilter { before, ..filter })))
        }
    };
    let resume = |filter: &EventFilter| csv::resume("to", filter.before.0);
    csv::respond(&call.request_id, "usage.csv", HEAD, filter, read, resume).map(ready)
}

const HEAD: &[&str] = &[
    "time",
    "id",
    "token_id",
    "token_name",
    "team_id",
    "route_id",
    "route_path",
    "method",
    "path",
    "status",
    "outcome",
    "latency_ms",
    "gateway_ms",
    "duration_ms",
    "bytes_in",
    "bytes_out",
    "client_ip",
    "user_agent",
    "country",
    "request_id",
    "model",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_micros",
];

fn push(text: &mut String, event: &CallView) {
    let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
    let time = |at: UnixMs| to_rfc3339(at).unwrap_or_default();
    let cells = [
        time(event.at),
        event.id.clone(),
        event.token_id.to_string(),
        event.token_name.clone().unwrap_or_default(),
        event.team_id.to_string(),
        event.route_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        event.route_path.clone().unwrap_or_default(),
        event.method.clone(),
        event.path.clone(),
        event.status.to_string(),
        event.outcome.clone(),
        event.latency_ms.to_string(),
        event.gateway_ms.to_string(),
        number(event.duration_ms.map(u64::from)),
        number(event.bytes_in),
        number(event.bytes_out),
        event.client_ip.clone().unwrap_or_default(),
        event.user_agent.clone().unwrap_or_default(),
        event.country.clone().unwrap_or_default(),
        event.request_id.clone(),
        event.model.clone().unwrap_or_default(),
        number(event.prompt_tokens),
        number(event.completion_tokens),
        number(event.cached_tokens),
        number(event.cache_write_tokens),
        number(event.reasoning_tokens),
        number(event.cost_micros),
    ];
    push_row(text, cells.iter().map(String::as_str));
}
