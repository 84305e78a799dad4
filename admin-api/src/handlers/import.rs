//! `/api/import`: the earlier system's data.

use crate::change::Change;
use crate::db::import::{self as store, PublishedTable, SealedRow};
use crate::db::usage::intake;
use crate::db::{Db, StoreError, UsageDb, routes};
use crate::error::Failure;
use crate::intake::Entry;
use crate::publish::{Kv, drain, is_v1_table};
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contract::audit::Deed;
use contract::import::{ImportMode, ImportReport, ImportRequest};
use domain::access::path::is_under;
use domain::collect;
use domain::id::{RouteId, TeamId};
use domain::people::grant::{Grant, Import};
use domain::people::role::{Action, Subject};
use domain::problem::{Clash, ImportNote, Invalid, Problem};
use domain::time::UnixMs;
use domain::token::TokenHash;
use domain::usage::UsageEvent;
use domain::v1::import::{ImportItem, ImportOutcome};
use domain::v1::import::{ImportedCall, ImportedRoute, ImportedTeam, ImportedToken, Plan, plan};
use edge::crypto::seal;
use edge::kv::Routes;
use sha2::{Digest, Sha256};

/// The most tokens, and the most calls, in one request. They take some hundred of the thousand D1 queries and KV
/// operations that an invocation may make. A larger dump comes in parts.
const MAX_TOKENS: usize = 2_000;
const MAX_CALLS: usize = 5_000;
/// Rows of calls in one part. Parts are cut in the order of the rows, so a client may split a dump at any multiple
/// of this number. The events of a part fit one D1 parameter.
const PART_CALLS: usize = 400;
/// Tokens that are published at once; the cron publishes the rest.
const PUBLISHED_AT_ONCE: u32 = 300;

/// `POST /api/import`
///
/// 1. Plan everything in the dump, and find the parts that already exist.
/// 2. To apply it, write teams, tokens, routes with their credentials, outbox rows and an audit entry in one
///    batch, each only if it does not exist yet; then publish.
/// 3. Write calls, each part in a batch of its own with its digest.
pub async fn import(call: &Call, asked: Asked<ImportRequest>) -> Answer<ImportReport> {
    let caller = call.caller()?;
    let attempt = Attempt { deed: Deed::Import, id: None, team: None };
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let request = asked.read(call)?;
    let plan = plan(&request.kv, &request.tables, call.config.addresses);
    check_size(&plan)?;
    if plan.routes.iter().any(|(route, _)| route.credential.is_some()) {
        call.require(caller, Action::SetCredential, Subject::default(), attempt)?;
    }
    let db = call.db()?;
    let applies = request.mode == ImportMode::Apply;
    let mut items = sort_out(&db, &plan).await?;
    let mut is_audited = false;
    if applies {
        let created = |kind: &str| {
            items.iter().filter(|i| i.kind == kind && i.outcome == ImportOutcome::Created).count()
        };
        let after = serde_json::json!({
            "teams": created("team"), "tokens": created("token"), "routes": created("route"),
            "calls": plan.calls.len(),
        });
        let change = Change::new(call, &db, &grant).deed(attempt, None, Some(after));
        is_audited = write(call, &db, &grant, &plan, &items, change).await?;
        drain(&call.env, &db, PUBLISHED_AT_ONCE, &call.request_id).await?;
    }
    if !plan.calls.is_empty() {
        let past = Past::read(call, &db, &plan.calls).await?;
        if applies && past.is_new() && !is_audited {
            // Before the calls: an import that breaks off has an entry too.
            let after =
                serde_json::json!({ "teams": 0, "tokens": 0, "routes": 0, "calls": plan.calls.len() });
            Change::new(call, &db, &grant).deed(attempt, None, Some(after)).commit_whole().await?;
        }
        items.push(past.take(call.now, applies).await?);
    }
    items.extend(plan.refused);
    let count = |outcome| {
        u32::try_from(items.iter().filter(|item| item.outcome == outcome).count()).unwrap_or(u32::MAX)
    };
    respond(ImportReport {
        applied: applies,
        created: count(ImportOutcome::Created),
        existing: count(ImportOutcome::Exists),
        refused: count(ImportOutcome::Refused),
        items,
    })
}

fn check_size(plan: &Plan) -> Result<(), Failure> {
    if plan.tokens.len() > MAX_TOKENS {
        return Err(Failure::field("kv", Invalid::TooManyTokens { most: MAX_TOKENS }));
    }
    if plan.calls.len() > MAX_CALLS {
        return Err(Failure::field("tables.token_usage_logs", Invalid::TooManyRows { most: MAX_CALLS }));
    }
    Ok(())
}

/// Separates new records from existing ones: teams, then tokens, then routes, in the plan's order.
async fn sort_out(db: &Db, plan: &Plan) -> Result<Vec<ImportItem>, Failure> {
    let teams: Vec<&TeamId> = plan.teams.iter().map(|(team, _)| &team.id).collect();
    let hashes: Vec<&TokenHash> = plan.tokens.iter().map(|(token, _)| &token.hash).collect();
    let paths: Vec<&str> = plan.routes.iter().map(|(route, _)| route.path.as_str()).collect();
    let existing = store::existing(db, &teams, &hashes, &paths).await?;
    let has = |kind: &str, key: &str| existing.contains(&(kind.to_owned(), key.to_owned()));
    let item = |kind: &str, key: &str, team: Option<&TeamId>, subject: String, notes: &[Problem]| {
        let mut notes = notes.to_vec();
        let is_gone = team.is_some_and(|team| has("deleted-team", team.as_str()));
        let outcome = match (has(kind, key), is_gone) {
            (true, false) => ImportOutcome::Exists,
            (false, false) => ImportOutcome::Created,
            (_, true) => {
                notes.push(ImportNote::TeamDeleted.into());
                ImportOutcome::Refused
            }
        };
        ImportItem { kind: kind.to_owned(), subject, outcome, notes }
    };
    let mut items = Vec::new();
    for (team, notes) in &plan.teams {
        items.push(item("team", team.id.as_str(), Some(&team.id), team.id.to_string(), notes));
    }
    for (token, notes) in &plan.tokens {
        let hash = token.hash.as_str();
        let head = hash.get(..8).unwrap_or_default();
        items.push(item("token", hash, Some(&token.team), format!("{} ({head}…)", token.name), notes));
    }
    for (route, notes) in &plan.routes {
        items.push(item("route", route.path.as_str(), None, route.path.as_str().to_owned(), notes));
    }
    Ok(items)
}

/// Writes what is new, with an audit entry. Returns false if nothing is.
async fn write(
    call: &Call,
    db: &Db,
    grant: &Grant<Import>,
    plan: &Plan,
    items: &[ImportItem],
    change: Change<'_, Import>,
) -> Result<bool, Failure> {
    // `items` begins with teams, tokens and routes in the plan's order.
    let mut outcomes = items.iter().map(|item| item.outcome);
    let mut is_new = || outcomes.next() == Some(ImportOutcome::Created);
    let teams: Vec<&ImportedTeam> = plan.teams.iter().map(|(t, _)| t).filter(|_| is_new()).collect();
    let tokens: Vec<&ImportedToken> = plan.tokens.iter().map(|(t, _)| t).filter(|_| is_new()).collect();
    let routes_to_make: Vec<&ImportedRoute> =
        plan.routes.iter().map(|(r, _)| r).filter(|_| is_new()).collect();
    let is_imported = routes::is_v1_imported(db).await?;
    let ends_v1 = plan.has_route_table && !is_imported;
    if teams.is_empty() && tokens.is_empty() && routes_to_make.is_empty() && !ends_v1 {
        return Ok(false);
    }
    let mut credentials = Vec::new();
    for route in &routes_to_make {
        let Some(credential) = &route.credential else { continue };
        let origin = route.upstream.origin();
        let sealed = seal(credential, &route.id, &origin, &call.config.credential_keys).await?;
        credentials.push(SealedRow {
            route_id: route.id.to_string(),
            kind: credential.kind().as_str(),
            origin,
            sealed: sealed.to_string(),
            sealed_under: call.config.credential_keys.first().fingerprint(),
        });
    }
    let table = if plan.has_route_table {
        PublishedTable::Replaced
    } else if !is_imported && holds_v1_table(call, db).await {
        PublishedTable::LeftAlone
    } else {
        PublishedTable::ToldOfLegacy
    };
    let made = store::Made { teams, tokens, routes: routes_to_make, credentials };
    match change.write(store::write(db, grant, &made, table, call.now)?).commit_whole().await {
        Ok(()) => Ok(true),
        // The team was deleted between this request's reading and its writing.
        Err(StoreError::Constraint(cause)) if cause.contains("team-deleted") => {
            Err(Failure::conflict("tables.teams", Clash::TeamJustDeleted))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns whether KV holds the earlier system's table. If KV cannot be read, the publication checks again.
async fn holds_v1_table(call: &Call, db: &Db) -> bool {
    let Ok(kv) = Kv::open(&call.env, db) else { return false };
    kv.read::<Routes>(&()).await.ok().flatten().is_some_and(|text| is_v1_table(&text))
}

/// The calls of an import, and what is already known of them.
struct Past<'a> {
    usage: UsageDb,
    /// Each part with its digest and the events of the tokens that are known.
    parts: Vec<(&'a [ImportedCall], String, Vec<UsageEvent>)>,
    known: Vec<String>,
    calls: usize,
}

impl<'a> Past<'a> {
    async fn read(call: &Call, db: &Db, calls: &'a [ImportedCall]) -> Result<Self, Failure> {
        let hashes = collect::set(calls.iter().map(|call| &call.hash));
        let holders = store::holders(db, &hashes).await?;
        let routes = store::routes(db).await?;
        let event_of = |call: &ImportedCall| {
            let (token_id, team) = holders.get(&call.hash)?.clone();
            let route_id = route_of(&routes, &call.event.path);
            Some(UsageEvent { token_id, team, route_id, ..call.event.clone() })
        };
        let parts: Vec<_> = calls
            .chunk_by(|a, b| a.row / PART_CALLS == b.row / PART_CALLS)
            .map(|part| (part, digest_of(part), part.iter().filter_map(event_of).collect()))
            .collect();
        let digests: Vec<String> = parts.iter().map(|(_, digest, _)| digest.clone()).collect();
        let usage = db.usage(&call.env)?;
        let known = intake::known_parts(&usage, &digests).await?;
        Ok(Self { usage, parts, known, calls: calls.len() })
    }

    fn is_new(&self) -> bool {
        self.known.len() < self.parts.len()
    }

    /// Imports the calls. Those of unknown tokens are only counted. A part's mark is in the same batch as its calls, so
    /// the part counts once, whenever it comes again.
    async fn take(self, now: UnixMs, applies: bool) -> Result<ImportItem, Failure> {
        let (mut taken, mut left) = (0_usize, 0_usize);
        for (part, digest, events) in self.parts.iter().filter(|(_, digest, _)| !self.known.contains(digest))
        {
            if applies {
                intake::take_part(&self.usage, &Entry::of_past(events, now), digest, now).await?;
            }
            taken += events.len();
            left += part.len() - events.len();
        }
        let mut notes = vec![ImportNote::Calls { calls: self.calls }.into()];
        if self.is_new() && left > 0 {
            // Until the tokens exist, the owners of the calls are not known.
            let note = if applies {
                ImportNote::CallsTaken { taken, left }
            } else {
                ImportNote::CallsWaiting { left }
            };
            notes.push(note.into());
        }
        Ok(ImportItem {
            kind: "calls".to_owned(),
            subject: "token_usage_logs".to_owned(),
            outcome: if self.is_new() { ImportOutcome::Created } else { ImportOutcome::Exists },
            notes,
        })
    }
}

fn digest_of(part: &[ImportedCall]) -> String {
    let mut digest = Sha256::new();
    for call in part {
        digest.update(call.event.id.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// Finds the route that currently serves a path: the longest match by whole segments.
fn route_of(routes: &[(String, RouteId)], path: &str) -> Option<RouteId> {
    routes
        .iter()
        .filter(|(route, _)| is_under(path, route))
        .max_by_key(|(route, _)| route.len())
        .map(|(_, id)| id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_belongs_to_the_longest_route_that_matches_whole_segments() {
        let routes: Vec<(String, RouteId)> =
            [("/api/a", "1"), ("/api/a/b", "2")].map(|(path, id)| (path.to_owned(), id.into())).into();
        let found = |path| route_of(&routes, path).map(|id| id.to_string());
        assert_eq!(found("/api/a/b/c").as_deref(), Some("2"));
        assert_eq!(found("/api/a").as_deref(), Some("1"));
        assert_eq!(found("/api/ab"), None);
    }
}
