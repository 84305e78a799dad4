//! `/api/dashboard/audit-logs`

use crate::db::audit as store;
use crate::db::to_json;
use crate::error::Failure;
use crate::handlers::{csv, parse_time};
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Call};
use crate::respond::{Answer, ready, respond};
use contract::Page;
use contract::audit::{AuditEntry, AuditQuery, AuditResult};
use domain::csv::push_row;
use domain::id::TeamId;
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::Invalid;
use domain::time::{UnixMs, to_rfc3339};

/// The latest time that a filter may name: the year 9999.
/// Pages of one file. Each is a query, and an invocation has 1,000.
const FILE_PAGES: u32 = 900;
const LAST: i64 = 253_402_300_800_000;
/// Entries that one query of a file reads: some 10 MB with their snapshots. With 900 queries a file has up to 4.5
/// million entries.
const FILE_PAGE: u32 = 5_000;

/// `GET /api/dashboard/audit-logs`
pub async fn list(call: &Call, asked: Asked<AuditQuery>) -> Answer<Page<AuditEntry>> {
    let caller = call.caller()?;
    let teams = teams_to_see(caller)?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => None,
        Some(Cursor::Time(at, id)) => Some((*at, id.as_str())),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let (from, to) = times(&query)?;
    let filter =
        store::ListFilter { teams: teams.as_deref(), query: &query, from, to, after, limit: limit + 1 };
    let items = store::list(&call.db()?, &filter).await?;
    respond(page(items, limit, |entry| Cursor::Time(entry.at, entry.id.clone())))
}

fn times(query: &AuditQuery) -> Result<(UnixMs, UnixMs), Failure> {
    let from = query.from.as_deref().map_or(Ok(0), |text| parse_time("from", text))?;
    let to = query.to.as_deref().map_or(Ok(LAST), |text| parse_time("to", text))?;
    Ok((from, to))
}

/// `GET /api/dashboard/audit-logs/export`
pub async fn export(call: &Call, asked: Asked<AuditQuery>) -> Answer<String> {
    let caller = call.caller()?;
    let teams = teams_to_see(caller)?;
    let query = asked.read(call)?;
    csv::refuse_paging(query.limit, query.cursor.as_deref())?;
    let (from, to) = times(&query)?;
    let db = call.db()?;
    let start: Option<(UnixMs, String)> = None;
    let read = move |after: Option<(UnixMs, String)>| {
        let (db, teams, query) = (db.clone(), teams.clone(), query.clone());
        async move {
            let filter = store::ListFilter {
                teams: teams.as_deref(),
                query: &query,
                from,
                to,
                after: after.as_ref().map(|(at, id)| (*at, id.as_str())),
                limit: FILE_PAGE,
            };
            let entries = store::list(&db, &filter).await?;
            let mut text = String::new();
            for entry in &entries {
                push(&mut text, entry);
            }
            let is_last = u32::try_from(entries.len()).is_ok_and(|n| n < FILE_PAGE);
            let next = entries.last().filter(|_| !is_last).map(|last| Some((last.at, last.id.clone())));
            Ok((text, next))
        }
    };
    let resume =
        move |after: &Option<(UnixMs, String)>| csv::resume("to", after.as_ref().map_or(to, |(at, _)| *at));
    csv::respond(&call.request_id, "audit.csv", HEAD, |pages| pages < FILE_PAGES, start, read, resume)
        .map(ready)
}

const HEAD: &[&str] = &[
    "time",
    "id",
    "actor",
    "actor_name",
    "action",
    "result",
    "entity",
    "entity_id",
    "team_id",
    "before",
    "after",
    "client_ip",
    "request_id",
];

fn push(text: &mut String, entry: &AuditEntry) {
    let json =
        |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    let result = match entry.result {
        AuditResult::Done => "done",
        AuditResult::Refused => "refused",
    };
    let (before, after) = (json(&entry.before), json(&entry.after));
    let time = to_rfc3339(entry.at).unwrap_or_default();
    let cells = [
        time.as_str(),
        &entry.id,
        &entry.actor,
        entry.actor_name.as_deref().unwrap_or_default(),
        &entry.action,
        result,
        &entry.entity,
        entry.entity_id.as_deref().unwrap_or_default(),
        entry.team_id.as_ref().map(TeamId::as_str).unwrap_or_default(),
        &before,
        &after,
        entry.client_ip.as_deref().unwrap_or_default(),
        &entry.request_id,
    ];
    push_row(text, cells);
}

/// Returns the teams whose entries the caller may see, as JSON; `None` means all, including entries without a
/// team. Refuses callers who may see no team's entries.
fn teams_to_see(caller: &Caller) -> Result<Option<String>, Failure> {
    let Some(teams) = caller.teams_for(Action::ReadAudit) else { return Ok(None) };
    if teams.is_empty() {
        authorize(caller, Action::ReadAudit, Subject::default())?;
    }
    Ok(Some(to_json(&teams)?))
}
