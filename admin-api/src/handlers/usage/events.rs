//! Single calls: a list, and a file.

use crate::auth::caller;
use crate::db::usage::{self as store, EventFilter};
use crate::error::Failure;
use crate::handlers::{csv, parse_time, visible_teams};
use crate::paging::{Cursor, check_limit, page, parse_query};
use crate::request::{Call, respond};
use domain::api::usage::{CallView, EventQuery, StatusClass};
use domain::csv::push_row;
use domain::role::Caller;
use domain::time::{UnixMs, to_rfc3339};
use worker::Response;

/// Calls that are read at once for a file.
const FILE_PAGE: u32 = 1_000;

/// `GET /api/usage/events`
pub async fn list(call: &Call) -> Result<Response, Failure> {
    let caller = caller(call).await?;
    let query: EventQuery = parse_query(call.query())?;
    let limit = check_limit(query.limit)?;
    let filter = filter_of(call, &caller, query)?;
    let items = store::events(&call.db()?, &filter, limit + 1).await?;
    respond(200, &page(items, limit, |event| Cursor::Time(event.at, event.id.clone())))
}

fn filter_of(call: &Call, caller: &Caller, query: EventQuery) -> Result<EventFilter, Failure> {
    let end = query.to.as_deref().map(|text| parse_time("to", text)).transpose()?.unwrap_or(call.now + 1);
    let before = match query.cursor.as_deref().map(Cursor::decode).transpose()? {
        None => (end, String::new()),
        Some(Cursor::Time(at, id)) => (at, id),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", "is not a cursor of this list")),
    };
    Ok(EventFilter {
        from: query.from.as_deref().map_or(Ok(0), |text| parse_time("from", text))?,
        teams: visible_teams(caller, query.team_id.as_ref())?,
        team: query.team_id,
        token: query.token_id,
        route: query.route_id,
        outcome: query.outcome,
        status_class: query.status.map(StatusClass::hundreds),
        method: query.method.map(|method| method.to_ascii_uppercase()),
        path: query.path,
        before,
    })
}

/// `GET /api/usage/export`: page after page as the client takes it; nothing is held but one page.
pub async fn export(call: &Call) -> Result<Response, Failure> {
    let caller = caller(call).await?;
    let query: EventQuery = parse_query(call.query())?;
    csv::refuse_paging(query.limit, query.cursor.as_deref())?;
    let filter = filter_of(call, &caller, query)?;
    let db = call.db()?;
    csv::respond(&call.request_id, "usage.csv", HEAD, filter, move |filter: EventFilter| {
        let db = db.clone();
        async move {
            let events = store::events(&db, &filter, FILE_PAGE).await?;
            let mut text = String::new();
            for event in &events {
                push(&mut text, event);
            }
            let is_last = u32::try_from(events.len()).is_ok_and(|n| n < FILE_PAGE);
            let next = events.last().filter(|_| !is_last);
            let next = next.map(|last| EventFilter { before: (last.at, last.id.clone()), ..filter.clone() });
            Ok((text, next))
        }
    })
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
