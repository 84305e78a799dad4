//! `/api/dashboard/audit-logs`

use crate::db::audit as store;
use crate::db::audit::chain;
use crate::db::to_json;
use crate::error::Failure;
use crate::handlers::{csv, parse_time};
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Call};
use crate::respond::{Answer, ready, respond};
use contract::audit::{AuditPage, AuditQuery};
use domain::audit::chain::Head;
use domain::audit::export::{COLUMNS, push_end};
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::Invalid;
use domain::time::UnixMs;
use std::rc::Rc;

/// Pages of one file. Each is a query, and an invocation has 1,000.
const FILE_PAGES: u32 = 900;
/// The latest time that a filter may name: the year 9999.
const LAST: i64 = 253_402_300_800_000;
/// Entries that one query of a file reads: some 1 MB with usual snapshots, and 30 MB if each has 60 KB. With 900 queries
/// a file has up to 450,000 entries.
const FILE_PAGE: u32 = 500;

/// `GET /api/dashboard/audit-logs`
pub async fn list(call: &Call, asked: Asked<AuditQuery>) -> Answer<AuditPage> {
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
    let db = call.db()?;
    let places = chain::places(&db).await?;
    let items = store::list(&db, &filter).await?;
    let page = page(items, limit, |entry| Cursor::Time(entry.at, entry.id.clone()));
    respond(AuditPage { page, head: places.head })
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
    let is_whole = teams.is_none() && is_unfiltered(&query);
    // Entries that are chained while the file is written are behind this head.
    let places = Rc::new(chain::places(&db).await?);
    let start: Option<(UnixMs, String)> = None;
    let read = move |after: Option<(UnixMs, String)>| {
        let (db, teams, query, places) = (db.clone(), teams.clone(), query.clone(), Rc::clone(&places));
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
            // A row that cannot be read is left out, so a page that is not full may not be the last one.
            let next = entries.last().map(|last| Some((last.at, last.id.clone())));
            let mut text = String::new();
            for entry in entries {
                let (line, actor_name) = entry.into_line();
                line.push(&mut text, actor_name.as_deref().unwrap_or_default());
            }
            if next.is_none() {
                // Retention may have cut more since the head was read.
                let start = if is_whole { Some(chain::places(&db).await?.start()) } else { None };
                push_end(&mut text, places.head.as_ref().unwrap_or(&Head::start()), start.as_ref());
            }
            Ok((text, next))
        }
    };
    let resume =
        move |after: &Option<(UnixMs, String)>| csv::resume("to", after.as_ref().map_or(to, |(at, _)| *at));
    csv::respond(&call.request_id, "audit.csv", &COLUMNS, |pages| pages < FILE_PAGES, start, read, resume)
        .map(ready)
}

/// Returns whether the query leaves nothing out.
fn is_unfiltered(query: &AuditQuery) -> bool {
    let AuditQuery { action, entity, entity_id, actor, team_id, result, from, to, limit: _, cursor: _ } =
        query;
    action.is_none()
        && entity.is_none()
        && result.is_none()
        && team_id.is_none()
        && [entity_id, actor, from, to].iter().all(|text| text.is_none())
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
