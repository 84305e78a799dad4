//! `/api/import`: the earlier system's data.

use crate::auth::caller;
use crate::db::import::{self as store, SealedRow};
use crate::db::{Db, StoreError, audit, usage};
use crate::error::Failure;
use crate::intake::chunks;
use crate::publish::drain;
use crate::request::{Attempt, Call, parse_body, respond};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::api::import::{ImportItem, ImportMode, ImportOutcome, ImportReport, ImportRequest};
use domain::id::TeamId;
use domain::import::{ImportedCall, ImportedRoute, ImportedTeam, ImportedToken, Plan, plan};
use domain::role::{Action, Grant, Subject};
use domain::token::TokenHash;
use domain::upstream::origin_of;
use domain::usage::UsageEvent;
use edge::crypto::seal;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use worker::Response;

/// The longest body of an import, in bytes.
const MAX_BODY: usize = 10 * 1_024 * 1_024;
/// Tokens, and calls, of one request: what D1 takes in one batch. A larger dump comes in parts.
const MAX_TOKENS: usize = 2_000;
const MAX_CALLS: usize = 5_000;
/// What is published at once; the cron does the rest.
const PUBLISHED_AT_ONCE: u32 = 300;

/// `POST /api/import`
///
/// 1. A plan of everything that the dump holds, and what of it is there already.
/// 2. To apply it: teams, tokens, routes with their credentials, outbox rows and an audit entry in one
///    batch, each only where it is not there yet; then KV is told.
/// 3. Calls in a batch of their own with the digest of the part that they came in.
pub async fn import(mut call: Call) -> Result<Response, Failure> {
    let caller = caller(&call).await?;
    let attempt = Attempt { action: "import", entity: "import", entity_id: None, team: None };
    let grant = call.authorize(&caller, Action::Import, Subject::default(), attempt)?;
    let body = call.body_up_to(MAX_BODY).await?;
    let request: ImportRequest = parse_body(&body)?;
    let plan = plan(&request.kv, &request.tables, call.config.allow_insecure_upstreams);
    check_size(&plan)?;
    let db = call.db()?;
    let applies = request.mode == ImportMode::Apply;
    let mut items = sort_out(&db, &plan).await?;
    if applies {
        let client_ip = call.client_ip();
        let created = |kind: &str| {
            items.iter().filter(|i| i.kind == kind && i.outcome == ImportOutcome::Created).count()
        };
        let entry = audit::Entry {
            after: Some(serde_json::json!({
                "teams": created("team"), "tokens": created("token"), "routes": created("route"),
                "calls": plan.calls.len(),
            })),
            ..call.entry(grant.actor().as_str(), attempt, client_ip.as_deref())
        };
        write(&call, &db, &grant, &plan, &items, &entry).await?;
        drain(&call.env, &db, PUBLISHED_AT_ONCE, &call.request_id).await?;
    }
    if !plan.calls.is_empty() {
        items.push(take_calls(&call, &db, &plan.calls, applies).await?);
    }
    items.extend(plan.refused);
    let count = |outcome| {
        u32::try_from(items.iter().filter(|item| item.outcome == outcome).count()).unwrap_or(u32::MAX)
    };
    respond(
        200,
        &ImportReport {
            applied: applies,
            created: count(ImportOutcome::Created),
            existing: count(ImportOutcome::Exists),
            refused: count(ImportOutcome::Refused),
            items,
        },
    )
}

fn check_size(plan: &Plan) -> Result<(), Failure> {
    if plan.tokens.len() > MAX_TOKENS {
        return Err(Failure::field("kv", "holds more than 2000 tokens: send it in parts"));
    }
    if plan.calls.len() > MAX_CALLS {
        return Err(Failure::field("tables.token_usage_logs", "has more than 5000 rows: send it in parts"));
    }
    Ok(())
}

/// What would be made and what is there: teams, then tokens, then routes, in the plan's order.
async fn sort_out(db: &Db, plan: &Plan) -> Result<Vec<ImportItem>, Failure> {
    let teams: Vec<&TeamId> = plan.teams.iter().map(|(team, _)| &team.id).collect();
    let hashes: Vec<&TokenHash> = plan.tokens.iter().map(|(token, _)| &token.hash).collect();
    let paths: Vec<&str> = plan.routes.iter().map(|(route, _)| route.path.as_str()).collect();
    let existing = store::existing(db, &teams, &hashes, &paths).await?;
    let item = |kind: &str, key: &str, subject: String, notes: &[String]| {
        let exists = existing.contains(&(kind.to_owned(), key.to_owned()));
        let outcome = if exists { ImportOutcome::Exists } else { ImportOutcome::Created };
        ImportItem { kind: kind.to_owned(), subject, outcome, notes: notes.to_vec() }
    };
    let mut items = Vec::new();
    for (team, notes) in &plan.teams {
        items.push(item("team", team.id.as_str(), team.id.to_string(), notes));
    }
    for (token, notes) in &plan.tokens {
        let hash = token.hash.as_str();
        let head = hash.get(..8).unwrap_or_default();
        items.push(item("token", hash, format!("{} ({head}…)", token.name), notes));
    }
    for (route, notes) in &plan.routes {
        items.push(item("route", route.path.as_str(), route.path.as_str().to_owned(), notes));
    }
    Ok(items)
}

async fn write(
    call: &Call,
    db: &Db,
    grant: &Grant,
    plan: &Plan,
    items: &[ImportItem],
    entry: &audit::Entry<'_>,
) -> Result<(), Failure> {
    // `items` begins with teams, tokens and routes in the plan's order.
    let mut outcomes = items.iter().map(|item| item.outcome);
    let mut is_new = || outcomes.next() == Some(ImportOutcome::Created);
    let teams: Vec<&ImportedTeam> = plan.teams.iter().map(|(t, _)| t).filter(|_| is_new()).collect();
    let tokens: Vec<&ImportedToken> = plan.tokens.iter().map(|(t, _)| t).filter(|_| is_new()).collect();
    let routes: Vec<&ImportedRoute> = plan.routes.iter().map(|(r, _)| r).filter(|_| is_new()).collect();
    if teams.is_empty() && tokens.is_empty() && routes.is_empty() {
        return Ok(());
    }
    let mut credentials = Vec::new();
    for route in &routes {
        let Some(credential) = &route.credential else { continue };
        let origin = origin_of(&route.upstream);
        let sealed = seal(credential, &route.id, &origin, &call.config.credential_keys).await?;
        credentials.push(SealedRow {
            route_id: route.id.to_string(),
            kind: credential.kind().as_str(),
            origin,
            sealed: sealed.to_string(),
        });
    }
    let mut statements = store::write(db, grant, &teams, &tokens, &routes, &credentials, call.now)?;
    statements.push(audit::insert(db, entry)?);
    match db.batch(statements).await {
        Ok(_) => Ok(()),
        Err(StoreError::Constraint(cause)) if cause.contains("team-deleted") => {
            Err(Failure::conflict("tables.teams", "a token belongs to a team that was deleted here"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Calls of tokens that nobody knows are counted and left.
async fn take_calls(
    call: &Call,
    db: &Db,
    calls: &[ImportedCall],
    applies: bool,
) -> Result<ImportItem, Failure> {
    let hashes: BTreeSet<&TokenHash> = calls.iter().map(|call| &call.hash).collect();
    let holders = store::holders(db, &hashes).await?;
    let events: Vec<UsageEvent> = calls
        .iter()
        .filter_map(|call| {
            let (token_id, team) = holders.get(&call.hash)?.clone();
            Some(UsageEvent { token_id, team, ..call.event.clone() })
        })
        .collect();
    let mut notes = vec![format!("{} calls", events.len())];
    // Before the tokens are there it cannot be told whose the calls are.
    if applies && events.len() < calls.len() {
        notes.push(format!("{} calls of unknown tokens left out", calls.len() - events.len()));
    }
    let mut digest = Sha256::new();
    for call in calls {
        digest.update(call.event.id.as_bytes());
    }
    let digest = URL_SAFE_NO_PAD.encode(digest.finalize());
    let exists = store::is_part_known(db, &digest).await?;
    if applies && !exists {
        // The mark goes with the last chunk: a part that broke off before is finished by the next
        // attempt, and its raw calls tell which are there.
        let chunks = chunks(&events).map_err(|e| Failure::Internal(e.to_string()))?;
        let last = chunks.len().saturating_sub(1);
        for (i, chunk) in chunks.iter().enumerate() {
            let mark = if i == last { Some(store::insert_part(db, &digest, call.now)?) } else { None };
            usage::take_in_with(db, chunk, mark).await?;
        }
    }
    Ok(ImportItem {
        kind: "calls".to_owned(),
        subject: "token_usage_logs".to_owned(),
        outcome: if exists { ImportOutcome::Exists } else { ImportOutcome::Created },
        notes,
    })
}
