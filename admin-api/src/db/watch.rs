//! Limited tokens in use, places of tokens, and the notifications about what is found there.

use super::limits::InForce;
use super::{Columns, Db, Statement, StoreError, columns_of, object, params, sql, to_json};
use contract::upkeep::NotificationKind;
use domain::alert::place::{Known, REMEMBERED_MS};
use domain::alert::watch::{PUBLICATION_LATE_MS, is_watched};
use domain::id::TokenId;
use domain::limit::Limits;
use domain::time::UnixMs;
use edge::log::{Source, log};
use serde_json::Value;

/// A token with the limits that bound it, its team's budget among them.
#[derive(Clone, Debug)]
pub struct Limited {
    pub id: TokenId,
    pub name: String,
    pub team_name: String,
    pub in_force: InForce,
}

/// Lists those of some tokens that have a limit which is watched, or whose team has, and the shares at which channels are
/// told. What cannot be read is left out.
pub async fn limited(db: &Db, tokens: &[&str]) -> Result<(Vec<Limited>, Vec<u8>), StoreError> {
    let results = db
        .batch(vec![
            db.statement(sql!("limits_of_tokens"), params![&to_json(tokens)?])?,
            db.statement(sql!("channels_thresholds"), &[])?,
        ])
        .await?;
    let mut rows = results.iter().map(columns_of);
    let mut limited = Vec::new();
    for row in rows.next().transpose()?.unwrap_or_default() {
        let in_force = match InForce::of(&row) {
            Ok(in_force) => in_force,
            Err(error) => {
                log(Source::Cron, "limits left out", &error.to_string());
                continue;
            }
        };
        let has_watched = |limits: &Limits| limits.iter().any(|(kind, _)| is_watched(kind));
        if has_watched(&in_force.limits) || has_watched(&in_force.team_budget) {
            let (name, team_name) = (row.text("name").to_owned(), row.text("team_name").to_owned());
            limited.push(Limited { id: row.text("id").into(), name, team_name, in_force });
        }
    }
    let steps = rows.next().transpose()?.unwrap_or_default();
    Ok((limited, steps.iter().filter_map(|row| row.number("step").try_into().ok()).collect()))
}

/// Returns when tokens were made.
pub async fn created(db: &Db, tokens: &[&str]) -> Result<Vec<(String, UnixMs)>, StoreError> {
    let rows = db.columns(db.statement(sql!("tokens_made"), params![&to_json(tokens)?])?).await?;
    Ok(rows.iter().map(|row| (row.text("id").to_owned(), row.number("created_at"))).collect())
}

/// Opens or renews notifications about budgets (`used`, as SQL takes them), and resolves those about subjects of which
/// little is used.
pub async fn note_budgets(db: &Db, used: Vec<Value>, free: &[String], now: UnixMs) -> Result<(), StoreError> {
    let statements = vec![
        db.statement(sql!("notify_budgets_resolve"), params![now, &to_json(free)?])?,
        db.statement(sql!("notify_budgets"), params![now, &Value::from(used).to_string()])?,
    ];
    db.batch(statements).await.map(drop)
}

/// Makes the statement that opens or renews notifications about tokens; `found` is as SQL takes it.
fn of_tokens(
    db: &Db,
    kind: NotificationKind,
    found: Vec<Value>,
    opens_again: bool,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let found = Value::from(found).to_string();
    db.statement(sql!("notify_of_tokens"), params![now, kind.as_str(), &found, opens_again])
}

/// Opens or renews notifications about spikes.
pub async fn note_spikes(db: &Db, spikes: Vec<Value>, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![of_tokens(db, NotificationKind::TokenSpike, spikes, false, now)?]).await.map(drop)
}

/// Returns the places that are known of tokens, each with its token.
pub async fn places(db: &Db, tokens: &str) -> Result<Vec<(String, Known)>, StoreError> {
    let rows = db.columns(db.statement(sql!("places_of"), params![tokens])?).await?;
    let known = |row: &Columns| {
        let place = row.text("place").to_owned();
        let known = Known { place, first_at: row.number("first_at"), seen_at: row.number("seen_at") };
        (row.text("token_id").to_owned(), known)
    };
    Ok(rows.iter().map(known).collect())
}

/// Notes places of tokens, and opens notifications about new ones. Both lists are as the SQL takes them.
pub async fn note_places(
    db: &Db,
    noted: Vec<Value>,
    told: Vec<Value>,
    now: UnixMs,
) -> Result<(), StoreError> {
    let mut statements =
        vec![db.statement(sql!("places_put"), params![&Value::from(noted).to_string(), now])?];
    if !told.is_empty() {
        statements.push(of_tokens(db, NotificationKind::TokenElsewhere, told, true, now)?);
    }
    db.batch(statements).await.map(drop)
}

/// Makes the statement that forgets places of long ago. It reads all, so it runs once an hour: an index would cost a row at
/// each note of a place.
pub fn forget_places(db: &Db, now: UnixMs, limit: u32) -> Result<Statement, StoreError> {
    db.statement(sql!("places_purge"), params![now - REMEMBERED_MS, limit])
}

/// Makes the statements that report changes which wait for their publication, and resolve what is over.
pub fn regular(db: &Db, now: UnixMs) -> Result<[Statement; 2], StoreError> {
    let late = now - PUBLICATION_LATE_MS;
    Ok([
        db.statement(sql!("notify_publication"), params![now, late])?,
        db.statement(sql!("notify_alerts_over"), params![now, late])?,
    ])
}

/// Makes the statement that reports that a database has reached a step, or no longer has.
pub fn room(
    db: &Db,
    name: &str,
    bytes: u64,
    step: Option<u64>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let details = object(vec![("step", step.into()), ("bytes", bytes.into())]).to_string();
    let kind = NotificationKind::DatabaseFull.as_str();
    db.statement(sql!("notify_if"), params![kind, name, &details, now, step.is_some()])
}
