//! Writes the earlier system's data.

use super::{Db, Statement, StoreError, params, settings, sql, to_json};
use domain::collect;
use domain::id::{RouteId, TeamId, TokenId};
use domain::people::grant::{Grant, Import};
use domain::time::UnixMs;
use domain::token::TokenHash;
use domain::v1::import::{ImportedRoute, ImportedTeam, ImportedToken};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Finds the parts of a dump that already exist: (kind, subject).
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
    Ok(collect::set(rows.into_iter().map(|row| (row.kind, row.subject))))
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

/// Rows that an import inserts.
#[derive(Debug)]
pub struct Made<'a> {
    pub teams: Vec<&'a ImportedTeam>,
    pub tokens: Vec<&'a ImportedToken>,
    pub routes: Vec<&'a ImportedRoute>,
    pub credentials: Vec<SealedRow>,
}

/// The most bytes of one JSON parameter; D1 accepts 2 MB.
const MAX_PARAMETER_BYTES: usize = 900_000;

/// Splits rows into JSON arrays, each small enough for a parameter.
fn pieces(rows: &[Value]) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for row in rows {
        let text = row.to_string();
        if !piece.is_empty() && piece.len() + text.len() > MAX_PARAMETER_BYTES {
            pieces.push(format!("[{}]", std::mem::take(&mut piece)));
        }
        if !piece.is_empty() {
            piece.push(',');
        }
        piece.push_str(&text);
    }
    if !piece.is_empty() {
        pieces.push(format!("[{piece}]"));
    }
    pieces
}

/// The effect of an import on the published route table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishedTable {
    /// It is replaced: the dump has one.
    Replaced,
    /// It is published again if these tokens are the first of the earlier form: the gateway looks up such tokens only
    /// if the table says that there are some.
    ToldOfLegacy,
    /// It is the earlier system's, which has all tokens looked up, and the dump has no table to replace it.
    LeftAlone,
}

/// Writes everything except calls, in one batch with its outbox rows.
pub fn write(
    db: &Db,
    grant: &Grant<Import>,
    made: &Made,
    table: PublishedTable,
    now: UnixMs,
) -> Result<Vec<Statement>, StoreError> {
    let actor = grant.actor().as_str();
    let Made { tokens, .. } = made;
    let (team_rows, token_rows, route_rows, sealed) = rows_of(made);
    let ids: Vec<&TokenId> = tokens.iter().map(|t| &t.id).collect();
    let told_of = || super::audit::new_id("obx_");
    let mut statements = vec![];
    for teams in pieces(&team_rows) {
        statements.push(db.statement(sql!("import_teams"), params![&teams, now])?);
    }
    if table == PublishedTable::ToldOfLegacy && !tokens.is_empty() {
        // Must run before the secrets are inserted, because it checks whether there was none.
        statements.push(db.statement(sql!("routes_version_bump_first_legacy"), params![now])?);
        statements.push(db.statement(sql!("outbox_insert_routes_if_changed"), params![&told_of()?, now])?);
    }
    for tokens in pieces(&token_rows) {
        statements.push(db.statement(sql!("import_tokens"), params![&tokens, now, actor])?);
        statements.push(db.statement(sql!("import_secrets"), params![&tokens, now])?);
    }
    for routes in pieces(&route_rows) {
        statements.push(db.statement(sql!("import_routes"), params![&routes, now, actor])?);
    }
    for sealed in pieces(&sealed) {
        statements.push(db.statement(sql!("import_credentials"), params![&sealed, now, actor])?);
    }
    statements.push(db.statement(sql!("outbox_insert_tokens"), params![&to_json(&ids)?, now, now])?);
    if table == PublishedTable::Replaced {
        statements.extend([
            settings::put(db, settings::V1_IMPORTED, "true", now)?,
            db.statement(sql!("routes_version_bump_always"), params![now])?,
            db.statement(sql!("outbox_insert_routes"), params![&told_of()?, now])?,
        ]);
    }
    Ok(statements)
}

/// Returns teams, tokens, routes and sealed credentials as the statements read them.
fn rows_of(made: &Made) -> (Vec<Value>, Vec<Value>, Vec<Value>, Vec<Value>) {
    let teams =
        made.teams.iter().map(|t| json!({ "id": t.id, "name": t.name, "description": t.description }));
    let tokens = made.tokens.iter().map(|t| {
        json!({
            "id": t.id, "hash": t.hash, "name": t.name, "team": t.team, "description": t.description,
            "scopes": t.scopes, "expires_at": t.expires_at, "created_at": t.created_at,
            "is_disabled": t.is_disabled,
        })
    });
    let routes = made.routes.iter().map(|r| {
        json!({
            "id": r.id, "name": r.name, "path": r.path, "upstream": r.upstream,
            "description": r.description, "tags": r.tags, "enabled": i64::from(r.enabled),
        })
    });
    let credentials = made.credentials.iter().map(|row| json!(row));
    (teams.collect(), tokens.collect(), routes.collect(), credentials.collect())
}

/// Finds the tokens to which hashes belong.
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
    Ok(collect::map(rows.into_iter().map(|row| (row.hash, (row.id, row.team_id)))))
}

/// Lists every route, enabled or not, by path.
pub async fn routes(db: &Db) -> Result<Vec<(String, RouteId)>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        path: String,
        id: RouteId,
    }
    let rows: Vec<Row> = db.rows(db.statement(sql!("routes_paths"), &[])?).await?;
    Ok(rows.into_iter().map(|row| (row.path, row.id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_to_fit_a_parameter() {
        let rows: Vec<Value> =
            (0..2_000).map(|i| json!({ "id": i, "description": "界".repeat(500) })).collect();
        let pieces = pieces(&rows);
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() <= MAX_PARAMETER_BYTES + 2));
        let read: Vec<Value> =
            pieces.iter().flat_map(|piece| serde_json::from_str::<Vec<Value>>(piece).unwrap()).collect();
        assert_eq!(read, rows);
    }
}
