//! Deliveries: made of what was noted, and sent when they are due, those of several channels at once, so that a slow receiver
//! holds up few others.

use super::receiver::{self, Tried};
use crate::config::Config;
use crate::db::alerts::{self as store, Ended, Taken};
use crate::db::{Db, Statement, StoreError};
use domain::alert::event::Occurrence;
use domain::alert::plan::plan;
use domain::alert::retry::{self, Fate, after, rests_until};
use domain::time::{SECOND_MS, UnixMs};
use edge::clock::now;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, maybe_done};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use worker::D1Result;

/// Rounds in which a run plans.
const ROUNDS: usize = 10;
/// The time for which a run begins to send.
const RUN_MS: i64 = 20 * SECOND_MS;
/// The queries that are left to the rest of the run.
const LEFT: u32 = 50;

/// Makes the statements that look for work: alerts that wait for their deliveries, and deliveries that are due.
pub fn statements(db: &Db, now: UnixMs) -> Result<[Statement; 2], StoreError> {
    Ok([store::waiting(db)?, store::take(db, now)?])
}

/// Makes deliveries of what waits, and sends those that are due, until none is or the run's time is over. `found` are the
/// results of [`statements`]: without work they are all that a run asks.
pub async fn run(config: &Config, db: &Db, found: &[D1Result]) -> Result<(), StoreError> {
    let [.., waiting, taken] = found else { return Ok(()) };
    let (waiting, mut due) = (store::occurrences(waiting)?, store::taken(taken)?);
    let until = now() + RUN_MS;
    if !waiting.is_empty() {
        make(db, waiting).await?;
        if due.is_empty() {
            let taken = db.batch(vec![store::take(db, now())?]).await?;
            due = taken.first().map_or_else(|| Ok(vec![]), store::taken)?;
        }
    }
    while !due.is_empty() {
        let ends = all(due.iter().map(|due| try_once(config, due).boxed_local())).await;
        let is_last = now() >= until || db.budget().d1_left() <= LEFT;
        let tried: Vec<(Taken, Ended)> = due.into_iter().zip(ends).collect();
        due = store::end(db, &tried, now(), is_last).await?;
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

/// Waits until all are done. They are few: `join_all` would bring the code for thousands.
async fn all<T>(tries: impl Iterator<Item = LocalBoxFuture<'_, T>>) -> Vec<T> {
    let mut tries: Vec<_> = tries.map(maybe_done).collect();
    poll_fn(|context| {
        let left =
            tries.iter_mut().filter_map(|one| one.poll_unpin(context).is_pending().then_some(())).count();
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    tries.iter_mut().filter_map(|one| Pin::new(one).take_output()).collect()
}

async fn try_once(config: &Config, due: &Taken) -> Ended {
    if !due.enabled {
        let response = "the channel is disabled".to_owned();
        return Ended { fate: Fate::Failed, rests_until: 0, status: None, response };
    }
    let message = receiver::message(config, &due.alert, &due.subject, due.more, due.language);
    let tried = receiver::send(config, &due.channel_id, &due.sealed, &message, &due.id).await;
    let Tried { status, retry_after_ms, response } = tried;
    let tried = retry::Tried { status, retry_after_ms, attempts: due.attempts, due_at: due.due_at };
    let (first_ms, now) = (config.alert_retry_ms, now());
    let rests_until = rests_until(tried, first_ms, now);
    Ended { fate: after(tried, first_ms, now), rests_until, status, response }
}
