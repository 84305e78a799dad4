//! Continues publication in further invocations when one is not enough.
//!
//! A run of the cron may write some 700 entries, so a republication of 100,000 tokens would take over two hours.
//! Therefore a run that leaves rows unpublished sends up to [`CHAINS`] messages to the publication queue. Each starts
//! a separate invocation, which publishes as many rows as one invocation may and sends the next message. The chains
//! are bounded: a message states when its minute ends, and leads to at most one other message before then and to
//! none later. If it is delivered twice, there is one more chain for the rest of the minute. No work is done twice,
//! because each row belongs to the invocation that has claimed it.

use super::{KvError, Writer, drain_all};
use crate::db::{Db, StoreError, outbox};
use domain::json;
use domain::time::{SECOND_MS, UnixMs};
use edge::clock::now;
use edge::log::{Source, log};
use edge::queue::{Packed, Queue};
use serde::{Deserialize, Serialize};
use worker::{Env, MessageBatch, MessageExt};

const QUEUE: &str = "PUBLISH";
/// The name of the publication queue, without the suffix for a stage.
const QUEUE_NAME: &str = "token-manager-publish";
/// The most invocations that publish in parallel.
const CHAINS: u32 = 8;
/// The most rows that one invocation publishes.
const ROWS: u32 = 800;
/// The time for which a chain continues after the cron's run; the next run begins new chains.
const CHAIN_MS: i64 = 50 * SECOND_MS;
const DRAIN_MS: i64 = 25 * SECOND_MS;
/// The operations that an invocation keeps in reserve.
const RESERVE: u32 = 20;

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    until: UnixMs,
}

pub fn is_ours(queue: &str) -> bool {
    queue.starts_with(QUEUE_NAME)
}

/// Begins as many chains as the due rows can use.
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
        // Acknowledge it even if publication fails: the next run of the cron begins again.
        message.ack();
        let link = message.body().as_string().and_then(|text| json::from_text::<Link>(&text).ok());
        let Some(link) = link.filter(|link| now() < link.until) else { continue };
        match publish(env).await {
            Ok(true) if now() < link.until => send(env, &link).await,
            Ok(_) => {}
            Err(error) => log(Source::Publish, "chain broke off", &error),
        }
    }
}

/// Publishes due rows. Returns whether some are left that another invocation could publish.
async fn publish(env: &Env) -> Result<bool, String> {
    let text = |error: StoreError| error.to_string();
    let db = Db::open(env).map_err(text)?;
    let writer = Writer::begin(env, &db).await.map_err(|error: KvError| error.to_string())?;
    writer.bound(RESERVE, now() + DRAIN_MS);
    let is_left = drain_all(&writer, &db, Source::Publish).await.map_err(text)?;
    Ok(is_left && !writer.is_away())
}

async fn send(env: &Env, link: &Link) {
    // A stage without the queue publishes only by the cron.
    let Ok(queue) = Queue::open(env, QUEUE) else { return };
    let sent = async { queue.send(&Packed::new(link)?).await };
    if let Err(error) = sent.await {
        log(Source::Publish, "chain not continued", &error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_distinguished_from_the_usage_queue() {
        assert!(is_ours("token-manager-publish") && is_ours("token-manager-publish-staging"));
        assert!(!is_ours("token-manager-usage") && !is_ours("token-manager-usage-dlq"));
    }
}
