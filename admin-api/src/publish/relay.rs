//! Goes on publishing in further invocations when one is not enough.
//!
//! A run of the cron may write some 700 entries, which a republication of 100,000 tokens needs for over two hours. So
//! a run that leaves rows behind sends up to [`CHAINS`] messages to a queue of ours; each brings an invocation of its
//! own, which publishes as much as one may and sends the next. What bounds it: a message carries the end of its minute
//! and brings at most one other, and after that end none. Delivered twice it is one chain more for the rest of the
//! minute. No work is done twice, because a row belongs to whoever has claimed it.

use super::{KvError, Writer, drain_all};
use crate::db::{Db, StoreError, outbox};
use domain::time::{SECOND_MS, UnixMs};
use edge::clock::now;
use edge::log::{Source, log};
use edge::queue::{Packed, Queue};
use serde::{Deserialize, Serialize};
use worker::{Env, MessageBatch, MessageExt};

const QUEUE: &str = "PUBLISH";
/// The end of that queue's name, before the stage's.
const QUEUE_NAME: &str = "token-manager-publish";
/// Invocations that publish side by side.
const CHAINS: u32 = 8;
/// Rows that one invocation publishes.
const ROWS: u32 = 800;
/// How long after the cron's run a chain goes on; the next run begins others.
const CHAIN_MS: i64 = 50 * SECOND_MS;
const DRAIN_MS: i64 = 25 * SECOND_MS;
/// Operations that an invocation leaves unused.
const RESERVE: u32 = 20;

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    until: UnixMs,
}

pub fn is_ours(queue: &str) -> bool {
    queue.starts_with(QUEUE_NAME)
}

/// Begins as many chains as what is due can use.
pub async fn begin(env: &Env, db: &Db) {
    let due = match outbox::count_due(db, now(), ROWS * CHAINS).await {
        Ok(due) => due,
        Err(error) => return log(Source::Publish, "chains not begun", &error.to_string()),
    };
    for _ in 0..due.div_ceil(ROWS) {
        send(env, &Link { until: now() + CHAIN_MS }).await;
    }
}

/// Publishes for each message of the batch, and sends the next link if something is left.
pub async fn go_on(batch: &MessageBatch<serde_json::Value>, env: &Env) {
    for message in batch.raw_iter() {
        // Also if it fails: the next run of the cron begins anew.
        message.ack();
        let link = message.body().as_string().and_then(|text| serde_json::from_str::<Link>(&text).ok());
        let Some(link) = link.filter(|link| now() < link.until) else { continue };
        match publish(env).await {
            Ok(true) if now() < link.until => send(env, &link).await,
            Ok(_) => {}
            Err(error) => log(Source::Publish, "chain broke off", &error),
        }
    }
}

/// Whether something is left that another invocation could publish.
async fn publish(env: &Env) -> Result<bool, String> {
    let text = |error: StoreError| error.to_string();
    let db = Db::open(env).map_err(text)?;
    let writer = Writer::begin(env, &db).await.map_err(|error: KvError| error.to_string())?;
    writer.bound(RESERVE, now() + DRAIN_MS);
    let is_left = drain_all(&writer, &db, Source::Publish).await.map_err(text)?;
    Ok(is_left && !writer.is_away())
}

async fn send(env: &Env, link: &Link) {
    // A stage without the queue publishes by the cron alone.
    let Ok(queue) = Queue::open(env, QUEUE) else { return };
    let sent = async { queue.send(&Packed::new(link)?).await };
    if let Err(error) = sent.await {
        log(Source::Publish, "chain not gone on with", &error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_told_from_that_of_usage() {
        assert!(is_ours("token-manager-publish") && is_ours("token-manager-publish-staging"));
        assert!(!is_ours("token-manager-usage") && !is_ours("token-manager-usage-dlq"));
    }
}
