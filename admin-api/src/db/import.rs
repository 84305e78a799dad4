//! The earlier system's data, on its way in.

use super::{Db, Statement, StoreError, params, settings, sql, to_json};
use domain::id::{RouteId, TeamId, TokenId};
use domain::import::{ImportedRoute, ImportedTeam, ImportedToken};
use domain::role::Grant;
use domain::time::UnixMs;
use domain::token::TokenHash;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What of a dump is there already: (kind, subject).
pub async fn existing(
    db: &Db,
    teams: &[&TeamId],
    hashes: &[&TokenHash],
    paths: &[&str],
) -> Result<BTreeSet<(String, String)>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        kind: String,
        subject: String,
    }
    let statement = db
        .statement(sql!("import_existing"), params![&to_json(teams)?, &to_json(hashes)?, &to_json(paths)?])?;
    let rows: Vec<Row> = db.rows(statement).await?;
    Ok(rows.into_iter().map(|row| (row.kind, row.subject)).collect())
}

/// A credential sealed to its route.
#[derive(Debug, Serialize)]
pub struct SealedRow {
    pub route_id: String,
    pub kind: &'static str,
    pub origin: String,
    pub sealed: String,
    pub sealed_under: String,
}

/// What an import makes.
#[derive(Debug)]
pub struct Made<'a> {
    pub teams: Vec<&'a ImportedTeam>,
    pub tokens: Vec<&'a ImportedToken>,
    pub routes: Vec<&'a ImportedRoute>,
    pub credentials: Vec<SealedRow>,
}

/// Everything but calls, in one batch with its outbox rows. The route table is told of only where the
/// dump has one (`with_table`): else what the earlier system has in KV would be replaced by nothing.
pub fn write(
    db: &Db,
    grant: &Grant,
    made: &Made,
    with_table: bool,
    now: UnixMs,
) -> Result<Vec<Statement>, StoreError> {
    let actor = grant.actor().as_str();
    let Made { teams, tokens, routes, credentials } = made;
    let teams: Vec<Value> =
        teams.iter().map(|t| json!({ "id": t.id, "name": t.name, "description": t.description })).collect();
    let rows: Vec<Value> = tokens
        .iter()
        .map(|t| {
            json!({
                "id": t.id, "hash": t.hash, "name": t.name, "team": t.team, "description": t.description,
                "scopes": t.scopes, "expires_at": t.expires_at, "created_at": t.created_at,
                "is_disabled": t.is_disabled,
            })
        })
        .collect();
    let paths: Vec<Value> = routes
        .iter()
        .map(|r| {
            json!({
                "id": r.id, "name": r.name, "path": r.path, "upstream": r.upstream,
                "description": r.description, "tags": r.tags, "enabled": i64::from(r.enabled),
            })
        })
        .collect();
    let ids: Vec<&TokenId> = tokens.iter().map(|t| &t.id).collect();
    let (tokens, routes) = (to_json(&rows)?, to_json(&paths)?);
    let mut statements = vec![
        db.statement(sql!("import_teams"), params![&to_json(&teams)?, now])?,
        db.statement(sql!("import_tokens"), params![&tokens, now, actor])?,
        db.statement(sql!("import_secrets"), params![&tokens, now])?,
        db.statement(sql!("import_routes"), params![&routes, now, actor])?,
        db.statement(sql!("import_credentials"), params![&to_json(credentials)?, now, actor])?,
        db.statement(sql!("outbox_insert_tokens"), params![&to_json(&ids)?, now, now])?,
    ];
    if with_table {
        statements.extend([
            settings::put(db, settings::V1_IMPORTED, "true", now)?,
            db.statement(sql!("routes_version_bump_always"), params![now])?,
            db.statement(sql!("outbox_insert_routes"), params![&super::audit::new_id("obx_")?, now])?,
        ]);
    }
    Ok(statements)
}

/// The tokens that hashes belong to.
pub async fn holders(
    db: &Db,
    hashes: &BTreeSet<&TokenHash>,
) -> Result<BTreeMap<TokenHash, (TokenId, TeamId)>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        hash: TokenHash,
        id: TokenId,
        team_id: TeamId,
    }
    let rows: Vec<Row> = db.rows(db.statement(sql!("import_holders"), params![&to_json(hashes)?])?).await?;
    Ok(rows.into_iter().map(|row| (row.hash, (row.id, row.team_id))).collect())
}

/// Which of the parts were taken in.
pub async fn known_parts(db: &Db, digests: &[String]) -> Result<BTreeSet<String>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        digest: String,
    }
    let statement = db.statement(sql!("import_parts_find"), params![&to_json(digests)?])?;
    let rows: Vec<Row> = db.rows(statement).await?;
    Ok(rows.into_iter().map(|row| row.digest).collect())
}

/// Marks a part as taken in; where it was already, the whole batch is undone.
pub fn insert_part(db: &Db, digest: &str, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("import_part"), params![digest, now])
}

/// Whether a batch was undone because another import had taken in the part meanwhile.
pub fn is_taken(error: &StoreError) -> bool {
    matches!(error, StoreError::Constraint(cause) if cause.contains("imported_parts.digest"))
}

/// Every route, enabled or not, by path.
pub async fn routes(db: &Db) -> Result<Vec<(String, RouteId)>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        path: String,
        id: RouteId,
    }
    let rows: Vec<Row> = db.rows(db.statement(sql!("routes_paths"), &[])?).await?;
    Ok(rows.into_iter().map(|row| (row.path, row.id)).collect())
}
