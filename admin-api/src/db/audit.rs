//! The audit log: one row for each change, and one for each refused attempt.

pub mod chain;

use super::{Db, Statement, StoreError, params, sql, to_json};
use contract::audit::{AuditEntry, AuditQuery, AuditResult, Deed, Entity};
use domain::audit::chain::{EntryHash, read_snapshot};
use domain::encoding::hex;
use domain::id::TeamId;
use domain::time::{MINUTE_MS, UnixMs};
use edge::crypto::random;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// One entry. `before` and `after` hold only data that people may see, never a secret.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub at: UnixMs,
    pub actor: &'a str,
    pub deed: Deed,
    pub refused: bool,
    pub entity_id: Option<&'a str>,
    pub team: Option<&'a str>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub client_ip: Option<&'a str>,
    pub request_id: &'a str,
}

impl<'a> Entry<'a> {
    /// Makes an entry for a change that no caller asked for.
    pub fn of_system(deed: Deed, entity_id: &'a str, at: UnixMs, request_id: &'a str) -> Self {
        Self {
            at,
            actor: "system",
            deed,
            refused: false,
            entity_id: Some(entity_id),
            team: None,
            before: None,
            after: None,
            client_ip: None,
            request_id,
        }
    }
}

/// Inserts the entry unconditionally.
pub fn insert(db: &Db, entry: &Entry) -> Result<Statement, StoreError> {
    statement(db, sql!("audit_insert"), entry)
}

/// Inserts the entry if the statement before it changed something.
pub fn insert_if_changed(db: &Db, entry: &Entry) -> Result<Statement, StoreError> {
    statement(db, sql!("audit_insert_if_changed"), entry)
}

/// The most rows of refused attempts that one person can cause within a minute; further attempts share a row.
const MAX_REFUSED: u32 = 20;

/// Inserts a refused attempt; `mark` distinguishes its body from others. Repeats within a minute share one row,
/// because anybody signed in can cause them.
pub fn insert_refused(db: &Db, entry: &Entry, mark: u64) -> Result<Statement, StoreError> {
    let head = format!("aud_r{}-{}-", digest(&[entry.actor]), entry.at / MINUTE_MS);
    let (id, team, mark) =
        (entry.entity_id.unwrap_or_default(), entry.team.unwrap_or_default(), mark.to_string());
    let attempt = [entry.deed.as_str(), entry.deed.entity().as_str(), id, team, mark.as_str()];
    db.statement(
        sql!("audit_refused"),
        params![
            &head,
            &digest(&attempt),
            MAX_REFUSED,
            entry.at,
            entry.actor,
            entry.deed.as_str(),
            entry.deed.entity().as_str(),
            entry.entity_id,
            entry.team,
            entry.client_ip,
            entry.request_id,
        ],
    )
}

/// Returns the first half of a SHA-256 of texts, each ended by a zero byte, in hex.
fn digest(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hex(hash.finalize().first_chunk::<16>().unwrap_or(&[0; 16]))
}

fn statement(db: &Db, sql: &str, entry: &Entry) -> Result<Statement, StoreError> {
    let id = new_id("aud_")?;
    let before = entry.before.as_ref().map(to_json).transpose()?;
    let after = entry.after.as_ref().map(to_json).transpose()?;
    db.statement(
        sql,
        params![
            &id,
            entry.at,
            entry.actor,
            entry.deed.as_str(),
            if entry.refused { "refused" } else { "done" },
            entry.deed.entity().as_str(),
            entry.entity_id,
            entry.team,
            before.as_ref(),
            after.as_ref(),
            entry.client_ip,
            entry.request_id,
        ],
    )
}

/// The entries to list, and the position to start from; `None` means all.
#[derive(Debug)]
pub struct ListFilter<'a> {
    /// JSON array.
    pub teams: Option<&'a str>,
    pub query: &'a AuditQuery,
    pub from: UnixMs,
    /// End of the period, exclusive.
    pub to: UnixMs,
    /// Time and id of the last entry seen.
    pub after: Option<(UnixMs, &'a str)>,
    pub limit: u32,
}

/// Lists entries, newest first.
pub async fn list(db: &Db, filter: &ListFilter<'_>) -> Result<Vec<AuditEntry>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
        at: UnixMs,
        actor: String,
        actor_name: Option<String>,
        action: String,
        result: AuditResult,
        entity: String,
        entity_id: Option<String>,
        team_id: Option<TeamId>,
        before: Option<String>,
        after: Option<String>,
        client_ip: Option<String>,
        request_id: String,
        seq: u64,
        previous_hash: Option<String>,
        hash: Option<String>,
    }
    // One that cannot be read counts as none, so that a check names the entry.
    let hash = |text: Option<String>| text.and_then(|text| text.parse::<EntryHash>().ok());
    let query = filter.query;
    let (at, id) = filter.after.unwrap_or((super::MAX_SAFE, ""));
    let params = params![
        filter.teams,
        query.action.map(Deed::as_str),
        query.entity.map(Entity::as_str),
        query.entity_id.as_ref(),
        query.actor.as_ref(),
        query.team_id.as_ref().map(TeamId::as_str),
        query.result.map(AuditResult::as_str),
        filter.from,
        filter.to,
        at,
        id,
        filter.limit,
    ];
    let rows: Vec<Row> = db.rows(db.statement(statement_for(filter), params)?).await?;
    let view = |row: Row| AuditEntry {
        id: row.id,
        at: row.at,
        actor: row.actor,
        actor_name: row.actor_name,
        action: row.action,
        result: row.result,
        entity: row.entity,
        entity_id: row.entity_id,
        team_id: row.team_id,
        before: row.before.map(read_snapshot),
        after: row.after.map(read_snapshot),
        client_ip: row.client_ip,
        request_id: row.request_id,
        seq: row.seq,
        previous_hash: hash(row.previous_hash),
        hash: hash(row.hash),
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Chooses the statement whose index leaves out what is not asked for.
fn statement_for(filter: &ListFilter<'_>) -> &'static str {
    let query = filter.query;
    if query.entity_id.is_some() {
        sql!("audit_by_entity")
    } else if query.actor.is_some() {
        sql!("audit_by_actor")
    } else if query.team_id.is_some() {
        sql!("audit_by_team")
    } else if filter.teams.is_some() {
        sql!("audit_of_teams")
    } else {
        sql!("audit_list")
    }
}

/// Makes a new id with the platform's CSPRNG.
pub fn new_id(prefix: &str) -> Result<String, StoreError> {
    let random = random::<18>().map_err(|e| StoreError::Value(e.to_string()))?;
    Ok(domain::id::mint(prefix, random))
}
