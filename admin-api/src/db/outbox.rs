//! The outbox: subjects not published to KV yet, and subjects published recently.

use super::audit::new_id;
use super::{Db, Statement, StoreError, params, sql, to_json};
use crate::publish::subject::{PriceTable, RouteTable, RowId, Subject, WRITER_LEASE_MS};
use contract::upkeep::PendingChange;
use domain::canary::CANARY_ID;
use domain::id::{TeamId, TokenId};
use domain::people::grant::{
    ChangeToken, CreateToken, DeleteRoute, Grant, SetCredential, SetPrices, SetScopeCap, WriteRoute,
};
use domain::time::{MINUTE_MS, SECOND_MS, UnixMs};
use serde::{Deserialize, Serialize};

/// The time from a subject's publication to its comparison. KV shows a write everywhere within a minute, and a write
/// that was given up after ten seconds has usually arrived by then.
const WATCH_AFTER_MS: i64 = 2 * MINUTE_MS + 30 * SECOND_MS;
/// The priority of a team's rows; see migration 0019.
const OF_A_TEAM: u32 = 1;
/// The priority of rows that only repeat what was published, after all others.
pub const REPUBLISHED: u32 = 3;

#[derive(Debug, Deserialize)]
pub struct Row {
    pub id: String,
    pub kind: String,
    pub entity_id: String,
    pub attempts: u32,
    pub priority: u32,
}

impl Row {
    /// Returns its subject; `None` for a kind that only a newer version knows.
    pub fn subject(&self) -> Option<Subject> {
        match self.kind.as_str() {
            "token" => Some(Subject::Token(TokenId::from(self.entity_id.as_str()))),
            "routes" => Some(Subject::Routes),
            "prices" => Some(Subject::Prices),
            _ => None,
        }
    }
}

/// An action after which its subject must be published to KV.
pub trait Publishes {
    type Subject: Into<Subject>;
}

macro_rules! publishes {
    ($($action:ident => $subject:ty),+ $(,)?) => {
        $(impl Publishes for $action {
            type Subject = $subject;
        })+
    };
}

publishes!(
    CreateToken => TokenId,
    ChangeToken => TokenId,
    WriteRoute => RouteTable,
    SetCredential => RouteTable,
    DeleteRoute => RouteTable,
    SetPrices => PriceTable,
);

/// Inserts a row for the change that the statement before it in the batch makes.
pub fn insert<A: Publishes>(
    db: &Db,
    _: &Grant<A>,
    subject: A::Subject,
    at: UnixMs,
) -> Result<(Subject, RowId, Statement), StoreError> {
    let subject = subject.into();
    let (row, statement) = insert_row(db, &subject, at)?;
    Ok((subject, row, statement))
}

/// Inserts a row for the canary's token, which the statement before it in the batch changes.
pub fn insert_canary(db: &Db, at: UnixMs) -> Result<(Subject, RowId, Statement), StoreError> {
    let subject = Subject::Token(TokenId::from(CANARY_ID));
    let (row, statement) = insert_row(db, &subject, at)?;
    Ok((subject, row, statement))
}

fn insert_row(db: &Db, subject: &Subject, at: UnixMs) -> Result<(RowId, Statement), StoreError> {
    let id = new_id("obx_")?;
    let (kind, entity) = subject.key();
    let statement =
        db.statement(sql!("outbox_insert"), params![&id, kind, entity, at, at + WRITER_LEASE_MS])?;
    Ok((RowId(id), statement))
}

/// Claims up to `limit` of the due rows, the most urgent first, so that nobody else can take them before `until`.
pub async fn claim(db: &Db, now: UnixMs, until: UnixMs, limit: u32) -> Result<Vec<Row>, StoreError> {
    db.rows(db.statement(sql!("outbox_claim"), params![now, until, limit])?).await
}

/// Counts the due rows, up to `most`.
pub async fn count_due(db: &Db, now: UnixMs, most: u32) -> Result<u32, StoreError> {
    #[derive(Deserialize)]
    struct Count {
        due: u32,
    }
    let count: Option<Count> = db.first(db.statement(sql!("outbox_due"), params![now, most])?).await?;
    Ok(count.map_or(0, |count| count.due))
}

/// Claims the due rows of one subject until `until`. A due row has no current publisher.
pub async fn take(db: &Db, subject: &Subject, now: UnixMs, until: UnixMs) -> Result<Vec<Row>, StoreError> {
    let (kind, entity) = subject.key();
    db.rows(db.statement(sql!("outbox_take"), params![kind, entity, now, until])?).await
}

/// Claims the due rows of these tokens until `until`.
pub async fn take_tokens(
    db: &Db,
    tokens: &[TokenId],
    now: UnixMs,
    until: UnixMs,
) -> Result<Vec<Row>, StoreError> {
    db.rows(db.statement(sql!("outbox_take_tokens"), params![&to_json(tokens)?, now, until])?).await
}

/// A row whose subject could not be published.
#[derive(Debug, Serialize)]
pub struct Failed {
    pub id: RowId,
    pub retry_at: UnixMs,
    pub error: String,
}

/// Notes all failures of a run with one statement.
pub async fn fail(db: &Db, failed: &[Failed]) -> Result<(), StoreError> {
    if failed.is_empty() {
        return Ok(());
    }
    db.batch(vec![db.statement(sql!("outbox_fail"), params![&to_json(failed)?])?]).await?;
    Ok(())
}

/// Deletes rows whose subjects KV now holds. With `is_watched`, these subjects are compared after a while.
pub async fn done(db: &Db, ids: &[RowId], is_watched: bool, now: UnixMs) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let ids = to_json(ids)?;
    let mut statements = Vec::new();
    if is_watched {
        statements.push(db.statement(sql!("outbox_watch_add"), params![&ids, now + WATCH_AFTER_MS])?);
    }
    statements.push(db.statement(sql!("outbox_done"), params![&ids])?);
    db.batch(statements).await?;
    Ok(())
}

/// A subject that was published a while ago.
#[derive(Debug, Deserialize, Serialize)]
pub struct Watched {
    pub due_at: UnixMs,
    pub kind: String,
    pub entity_id: String,
}

/// Returns up to `limit` subjects that are due for comparison, the longest published first.
pub async fn watched(db: &Db, now: UnixMs, limit: u32) -> Result<Vec<Watched>, StoreError> {
    db.rows(db.statement(sql!("outbox_watch_due"), params![now, limit])?).await
}

/// Removes the compared subjects from the watch list.
pub async fn unwatch(db: &Db, compared: &[Watched]) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("outbox_watch_done"), params![&to_json(compared)?])?]).await?;
    Ok(())
}

/// Inserts a row for each of `tokens`, for the cron to publish.
pub async fn insert_tokens(db: &Db, tokens: &[TokenId], now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("outbox_insert_tokens"), params![&to_json(tokens)?, now, now])?]).await?;
    Ok(())
}

/// Inserts a row for the route table, for the cron to publish.
pub async fn insert_routes(db: &Db, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("outbox_insert_routes"), params![&new_id("obx_")?, now])?]).await?;
    Ok(())
}

/// Inserts a row for each usable token of a team, if the statement before it in the batch changed
/// something.
pub fn insert_team(
    db: &Db,
    _: &Grant<SetScopeCap>,
    team: &TeamId,
    at: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("outbox_insert_team"), params![team.as_str(), at, at + WRITER_LEASE_MS])
}

/// Returns the rows of a team's tokens, except those of a republication.
pub async fn of_team(db: &Db, team: &TeamId, limit: u32) -> Result<Vec<Row>, StoreError> {
    db.rows(db.statement(sql!("outbox_of_team"), params![team.as_str(), OF_A_TEAM, limit])?).await
}

/// Returns whether a team's tokens have changes that KV has not taken.
pub async fn is_team_pending(db: &Db, team: &TeamId) -> Result<bool, StoreError> {
    let statement = db.statement(sql!("outbox_of_team"), params![team.as_str(), REPUBLISHED, 1_u32])?;
    Ok(db.first::<Row>(statement).await?.is_some())
}

/// Returns those of the tokens that have changes not yet in KV.
pub async fn pending_of(db: &Db, tokens: &[TokenId]) -> Result<Vec<TokenId>, StoreError> {
    #[derive(Deserialize)]
    struct Id {
        id: TokenId,
    }
    let rows: Vec<Id> = db.rows(db.statement(sql!("outbox_pending_of"), params![&to_json(tokens)?])?).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Summary {
    pub pending: u32,
    pub oldest_at: Option<UnixMs>,
}

pub async fn summary(db: &Db) -> Result<Summary, StoreError> {
    Ok(db.first(db.statement(sql!("outbox_summary"), &[])?).await?.unwrap_or_default())
}

/// Lists the oldest changes that KV has not taken.
pub async fn list(db: &Db, limit: u32) -> Result<Vec<PendingChange>, StoreError> {
    db.rows(db.statement(sql!("outbox_list"), params![limit])?).await
}

pub async fn is_pending(db: &Db, subject: &Subject) -> Result<bool, StoreError> {
    #[derive(Deserialize)]
    struct Count {
        pending: u32,
    }
    let (kind, entity) = subject.key();
    let count: Option<Count> = db.first(db.statement(sql!("outbox_pending"), params![kind, entity])?).await?;
    Ok(count.is_some_and(|c| c.pending > 0))
}
