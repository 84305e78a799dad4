//! Single calls, as a list and as a file.

use crate::db::usage::calls::{Calls, LIST_MS, find};
use crate::db::usage::errors;
use crate::db::{Db, StoreError, to_json, tokens};
use crate::error::Failure;
use crate::handlers::{csv, parse_time, visible_teams};
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Call};
use crate::respond::{Answer, ready, respond};
use contract::Page;
use contract::usage::{CallPage, CallView, EventQuery};
use domain::collect;
use domain::csv::push_row;
use domain::people::role::Caller;
use domain::problem::Invalid;
use domain::time::{DAY_MS, UnixMs, to_rfc3339};
use domain::usage::UsageEvent;
use domain::usage::segment::{Search, Statuses};
use std::collections::BTreeMap;

/// Calls that one page of a file reads, and the queries and reads of the bucket that it may need.
const FILE_PAGE: usize = domain::usage::segment::MAX_CALLS;
const PAGE_QUERIES: u32 = 200;
/// A page of a file takes the time it needs.
const WHOLE_MS: i64 = DAY_MS;
/// The period that is searched if the query names neither a start nor a team, token or route.
const DEFAULT_SPAN_MS: i64 = DAY_MS;

/// `GET /api/usage/events`
pub async fn list(call: &Call, asked: Asked<EventQuery>) -> Answer<CallPage> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let end = end_of(call, &query)?;
    let mut search = search_of(call, caller, query)?;
    let names_one = search.id.is_some() || search.request_id.is_some();
    let is_of_all = search.token.is_none() && search.routes.is_none() && search.teams.is_none();
    if search.from == 0 && is_of_all && !names_one {
        search.from = end.saturating_sub(DEFAULT_SPAN_MS);
    }
    let db = call.db()?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let usage = db.usage(&call.env)?;
    let Calls { calls, further } = find(&usage, &search, most, LIST_MS).await?;
    let is_full = calls.len() >= most;
    let Page { items, next_cursor, .. } =
        page(calls, limit, |event| Cursor::Time(event.at, event.id.clone()));
    // A page that is not full ends at the position where the search stopped.
    let end = further.filter(|_| !is_full);
    let searched_to = end.as_ref().map(|(at, _)| *at);
    let further = end.and_then(|(at, id)| Cursor::Time(at, id).encode());
    let mut items = views(&db, items).await?;
    if search.id.is_some()
        && let Some(call) = items.first_mut()
    {
        call.error = errors::find(&usage, &call.id, &call.team_id, call.at).await?;
    }
    respond(CallPage { items, next_cursor: next_cursor.or(further), searched_to })
}

/// Adds the tokens' current names.
async fn views(db: &Db, calls: Vec<UsageEvent>) -> Result<Vec<CallView>, StoreError> {
    let ids = collect::set(calls.iter().map(|event| event.token_id.as_str()));
    let names = tokens::names(db, &to_json(&ids)?).await?;
    Ok(calls.into_iter().map(|event| view(&names, event)).collect())
}

fn view(names: &BTreeMap<String, String>, event: UsageEvent) -> CallView {
    let ai = event.ai.unwrap_or_default();
    CallView {
        token_name: names.get(event.token_id.as_str()).cloned(),
        id: event.id,
        at: event.at,
        token_id: event.token_id,
        derived: event.derived.map(|nonce| nonce.to_string()),
        team_id: event.team,
        route_id: event.route_id,
        route_path: event.route_path.map(|path| path.to_string()),
        method: event.method.to_string(),
        path: event.path.to_string(),
        status: event.status,
        outcome: event.outcome.as_str().to_owned(),
        latency_ms: event.latency_ms,
        gateway_ms: event.gateway_ms,
        duration_ms: event.duration_ms,
        label: event.label.map(|label| label.to_string()),
        second: event.second,
        retries: event.retries,
        credential: event.credential.map(|name| name.to_string()),
        refused: event.refused,
        limit: event.limit.map(|limit| limit.to_string()),
        upstream_request_id: event.upstream_request_id.map(|id| id.to_string()),
        error: None,
        bytes_in: event.bytes_in,
        bytes_out: event.bytes_out,
        client_ip: event.client_ip.map(|ip| ip.to_string()),
        user_agent: event.user_agent.map(|agent| agent.to_string()),
        country: event.country.map(|country| country.to_string()),
        request_id: event.request_id.to_string(),
        model: ai.model.map(|model| model.to_string()),
        prompt_tokens: ai.prompt_tokens,
        completion_tokens: ai.completion_tokens,
        cached_tokens: ai.cached_tokens,
        cache_write_tokens: ai.cache_write_tokens,
        reasoning_tokens: ai.reasoning_tokens,
        cost_micros: ai.cost_micros,
    }
}

/// Returns the end of the period, on every page the same.
fn end_of(call: &Call, query: &EventQuery) -> Result<UnixMs, Failure> {
    Ok(query.to.as_deref().map(|text| parse_time("to", text)).transpose()?.unwrap_or(call.now + 1))
}

fn search_of(call: &Call, caller: &Caller, query: EventQuery) -> Result<Search, Failure> {
    let end = end_of(call, &query)?;
    let before = match query.cursor.as_deref().map(Cursor::decode).transpose()? {
        None => (end, String::new()),
        Some(Cursor::Time(at, id)) => (at, id),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let teams = visible_teams(caller, query.team_id.as_ref())?;
    let status = |text| Statuses::parse(text).ok_or_else(|| Failure::field("status", Invalid::Statuses));
    let status = query.status.as_deref().map(status).transpose()?;
    Ok(Search {
        from: query.from.as_deref().map_or(Ok(0), |text| parse_time("from", text))?,
        before,
        teams: teams.as_deref().map(crate::db::from_json).transpose()?,
        token: query.token_id,
        routes: query.route_id.map(|route| vec![route]),
        outcome: query.outcome,
        status,
        method: query.method.map(|method| method.to_ascii_uppercase()),
        path: query.path,
        path_part: query.path_contains,
        label: query.label,
        model: query.model,
        id: query.id,
        request_id: query.request_id,
        client_ip: query.client_ip,
        secret: query.secret,
    })
}

/// `GET /api/usage/export`. It streams segment after segment as the client reads; only one page is in memory.
pub async fn export(call: &Call, asked: Asked<EventQuery>) -> Answer<String> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    csv::refuse_paging(query.limit, query.cursor.as_deref())?;
    let search = search_of(call, caller, query)?;
    let db = call.db()?;
    let usage = db.usage(&call.env)?;
    let usage_left = usage.clone();
    let read = move |search: Search| {
        let (db, usage) = (db.clone(), usage.clone());
        async move {
            let found = find(&usage, &search, FILE_PAGE, WHOLE_MS).await?;
            let mut text = String::new();
            for call in views(&db, found.calls).await? {
                push(&mut text, &call);
            }
            Ok((text, found.further.map(|before| Search { before, ..search })))
        }
    };
    let may_go_on = move |_| usage_left.left() > PAGE_QUERIES;
    let resume = |search: &Search| csv::resume("to", search.before.0);
    csv::respond(&call.request_id, "usage.csv", HEAD, may_go_on, search, read, resume).map(ready)
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
    "derived",
    "label",
    "second",
    "limit",
    "upstream_request_id",
    "credential",
    "refused",
    "retries",
];

fn push(text: &mut String, event: &CallView) {
    let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
    let time = |at: UnixMs| to_rfc3339(at).unwrap_or_default();
    let refused: Vec<String> =
        event.refused.iter().map(|one| format!("{}:{}", &*one.credential, one.status)).collect();
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
        event.derived.clone().unwrap_or_default(),
        event.label.clone().unwrap_or_default(),
        event.second.to_string(),
        event.limit.clone().unwrap_or_default(),
        event.upstream_request_id.clone().unwrap_or_default(),
        event.credential.clone().unwrap_or_default(),
        refused.join(" "),
        event.retries.to_string(),
    ];
    push_row(text, cells.iter().map(String::as_str));
}
