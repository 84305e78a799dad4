//! Deliveries: made of what was noted, and sent when they are due.

use super::receiver::{self, Tried};
use crate::config::Config;
use crate::db::alerts::{self as store, Ended, Taken};
use crate::db::{Db, Statement, StoreError};
use domain::alert::event::Occurrence;
use domain::alert::plan::plan;
use domain::alert::retry::{self, Fate, after};
use domain::time::{SECOND_MS, UnixMs};
use edge::clock::now;
use worker::D1Result;

/// Rounds in which a run plans.
const ROUNDS: usize = 10;
/// The time for which a run begins to send.
const RUN_MS: i64 = 20 * SECOND_MS;
/// The queries that are left to the rest of the run.
const LEFT: u32 = 50;

/// Makes the statements that look for work: alerts that wait for their deliveries, and a delivery that is due.
pub fn statements(db: &Db, now: UnixMs) -> Result<[Statement; 2], StoreError> {
    Ok([store::waiting(db)?, store::take(db, now)?])
}

/// Makes deliveries of what waits, and sends those that are due, until none is or the run's time is over. `found` are the
/// results of [`statements`]: without work they are all that a run asks.
pub async fn run(config: &Config, db: &Db, found: &[D1Result]) -> Result<(), StoreError> {
    let [.., waiting, taken] = found else { return Ok(()) };
    let (waiting, mut next) = (store::occurrences(waiting)?, store::taken(taken)?);
    let until = now() + RUN_MS;
    if !waiting.is_empty() {
        make(db, waiting).await?;
        if next.is_none() {
            next = db.batch(vec![store::take(db, now())?]).await?.first().map_or(Ok(None), store::taken)?;
        }
    }
    while let Some(due) = next {
        let ended = try_once(config, &due).await;
        let is_last = now() >= until || db.budget().d1_left() <= LEFT;
        next = store::end(db, &due, &ended, now(), is_last).await?;
    }
    Ok(())
}

async fn make(db: &Db, mut waiting: Vec<(i64, Occurrence)>) -> Result<(), StoreError> {
    for _ in 0..ROUNDS {
        if waiting.is_empty() {
            break;
        }
        let (channels, earlier) = store::receivers(db, now()).await?;
        let plan = plan(&waiting, &channels, earlier, now());
        let numbers: Vec<i64> = waiting.iter().map(|(number, _)| *number).collect();
        waiting = store::put(db, &plan, &numbers, now()).await?;
    }
    Ok(())
}

async fn try_once(config: &Config, due: &Taken) -> Ended {
    if !due.enabled {
        return Ended { fate: Fate::Failed, status: None, response: "the channel is disabled".to_owned() };
    }
    let message = receiver::message(config, &due.alert, &due.subject, due.more, due.language);
    let tried = receiver::send(config, &due.channel_id, &due.sealed, &message, &due.id).await;
    let Tried { status, retry_after_s, response } = tried;
    let tried = retry::Tried { status, retry_after_s, attempts: due.attempts, due_at: due.due_at };
    Ended { fate: after(tried, config.alert_retry_ms, now()), status, response }
}
