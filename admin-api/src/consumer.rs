//! The queue's consumer. Delivery is at least once and in any order; the result is exactly once.
//!
//! If the consumer dies at an await, this happens:
//!
//! 1. Each chunk of events is one D1 batch, that is, one transaction: rollups of the ids that
//!    `usage_events` does not hold, then the events. Death before it: nothing is stored. Death after it, or
//!    a lost response: the message comes again, every id is found, nothing is added.
//! 2. Lost counts (`dropped`, `unknown_tokens`) are inserted under their message's id, so a repeat of
//!    the message adds nothing. One case cannot be seen here: a sender that took its first message for lost
//!    sends the same counts in a new message. Such a count is
//!    high by at most one message and never low.
//! 3. Messages that cannot be read are sent to the dead letters after that. Death before the acknowledgement:
//!    the letter exists twice, which its reader can see; `usage_losses` has it once.
//! 4. An id is known as long as its raw row is kept. A later event is dropped and counted
//!    as such (`intake::drop_late`), because it could not be told from a repeat. Retention may differ
//!    between versions, so each purge notes how far it deleted, and that is checked before old events count.
//! 5. A letter that can be read after all counts like any message: its events' ids are looked up. One that
//!    still cannot is sent to the letters again and acknowledged, because that queue has no dead letters of its
//!    own: after a hundred tries the platform would drop it.
//! 6. Messages are acknowledged last. If two consumers have the same event at once, D1 runs one after the
//!    other, because it runs one transaction at a time.

use crate::config::Config;
use crate::db::{Db, StoreError, to_json, usage};
use crate::intake::{Loss, chunks, decode, drop_late, unpriced};
use domain::time::{DAY_MS, UnixMs};
use domain::usage::UsageMessage;
use edge::clock::now;
use edge::log::{Source, log};
use js_sys::JSON;
use wasm_bindgen::JsValue;
use worker::{
    Env, MessageBatch, MessageExt, QueueContentType, QueueRetryOptionsBuilder, RawMessage, RawMessageBuilder,
};

/// The queue for messages that can never be read.
const DEAD_LETTERS: &str = "USAGE_DLQ";
const FIRST_RETRY_S: u32 = 2;
/// The longest pause before a retry. A hundred tries, the last of them four hours apart, take 14.5 days, which is
/// longer than a queue keeps a message.
const MAX_RETRY_S: u32 = 4 * 3_600;
/// The age at which a message is counted and sent to the dead letters here: the platform would soon move it (or
/// drop it) uncounted.
const GIVE_UP_MS: i64 = 13 * DAY_MS;
/// The longest delay that a queue accepts. An unreadable letter is out of the way for that long.
const LETTER_DELAY_S: u32 = 12 * 3_600;
/// The message age up to which every event is certainly known by its raw row.
const SURELY_KEPT_MS: i64 = 14 * DAY_MS;

/// The messages of a batch.
#[derive(Default)]
struct Sorted {
    good: Vec<(RawMessage, UsageMessage)>,
    bad: Vec<RawMessage>,
}

pub async fn consume(batch: &MessageBatch<serde_json::Value>, env: &Env) {
    let config = match Config::get(env) {
        Ok(config) => config,
        Err(error) => {
            log(Source::Queue, "nothing stored, to be tried again", &error.to_string());
            return batch.raw_iter().for_each(|message| retry(&message));
        }
    };
    // An operator can make this Worker the consumer of the dead letters, so that a newer build, which
    // may understand them, reads them again.
    let are_letters = batch.queue() == config.dead_letters_queue;
    let mut sorted = sort(batch);
    let stored = match Db::open(env) {
        Ok(db) => store(&db, &mut sorted, config.events_retention_ms, are_letters).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &stored {
        log(Source::Queue, "usage events not stored, to be tried again", &error.to_string());
    }
    let Sorted { good, bad } = sorted;
    let (stored_now, mut old): (Vec<_>, Vec<_>) = good
        .into_iter()
        .map(|(message, _)| message)
        .partition(|message| stored.is_ok() || age_ms(message) < GIVE_UP_MS);
    for message in &stored_now {
        if stored.is_ok() { message.ack() } else { retry(message) }
    }
    // Send them only once they are counted, so that during a D1 outage not every retry makes a letter.
    let mut is_counted = stored.is_ok() || are_letters;
    if !is_counted && !old.is_empty() {
        is_counted = count(env, &old).await.is_ok();
    }
    let unreadable_counted = stored.is_ok() || are_letters;
    for (message, is_counted) in old
        .drain(..)
        .map(|message| (message, is_counted))
        .chain(bad.into_iter().map(|message| (message, unreadable_counted)))
    {
        let delay_s = if are_letters { LETTER_DELAY_S } else { 0 };
        if is_counted && bury(env, &message, delay_s).await { message.ack() } else { retry(&message) }
    }
}

fn sort(batch: &MessageBatch<serde_json::Value>) -> Sorted {
    let mut sorted = Sorted::default();
    for message in batch.raw_iter() {
        match decode(&text_of(&message.body())) {
            Ok(decoded) => sorted.good.push((message, decoded)),
            Err(why) => {
                log(Source::Message(&message.id()), "queue message cannot be read", &why.to_string());
                sorted.bad.push(message);
            }
        }
    }
    sorted
}

/// Returns the time since which a second delivery is recognised: the current retention's, or a later one if
/// another version with a shorter retention has purged more.
async fn kept_since(
    db: &Db,
    good: &[(RawMessage, UsageMessage)],
    retention_ms: i64,
) -> Result<UnixMs, StoreError> {
    let kept_since = now() - retention_ms;
    let oldest = good.iter().flat_map(|(_, message)| &message.events).map(|event| event.at).min();
    if oldest.is_some_and(|at| at < now() - SURELY_KEPT_MS) {
        return Ok(kept_since.max(usage::whole_since(db).await?));
    }
    Ok(kept_since)
}

async fn store(db: &Db, sorted: &mut Sorted, retention_ms: i64, are_letters: bool) -> Result<(), StoreError> {
    let since = kept_since(db, &sorted.good, retention_ms).await?;
    for (_, message) in &mut sorted.good {
        message.dropped = message.dropped.saturating_add(drop_late(message, since));
    }
    let Sorted { good, bad } = &*sorted;
    let events = || good.iter().flat_map(|(_, message)| &message.events);
    let chunks = chunks(events()).map_err(|e| StoreError::Value(e.to_string()))?;
    for chunk in &chunks {
        usage::take_in(db, chunk).await?;
    }
    let unpriced = unpriced(events());
    if !unpriced.is_empty() {
        usage::note_unpriced(db, &to_json(&unpriced)?, now()).await?;
    }
    let counted =
        good.iter().filter(|(_, m)| m.dropped > 0 || m.unknown_tokens > 0).map(|(message, m)| Loss {
            message_id: message.id(),
            dropped: m.dropped,
            unknown_tokens: m.unknown_tokens,
            undecodable: 0,
        });
    // A letter that still cannot be read was already counted, under its earlier id.
    let unread = bad.iter().filter(|_| !are_letters).map(unread);
    let losses: Vec<Loss> = counted.chain(unread).collect();
    if !losses.is_empty() {
        usage::add_losses(db, &to_json(&losses)?, now()).await?;
    }
    // A letter's age says nothing about the queue's lag.
    let oldest = good.iter().map(|(message, _)| sent_at(message)).min().filter(|_| !are_letters);
    if let Some(oldest) = oldest {
        usage::note_lag(db, now().saturating_sub(oldest).max(0), now()).await?;
    }
    Ok(())
}

fn unread(message: &RawMessage) -> Loss {
    Loss { message_id: message.id(), dropped: 0, unknown_tokens: 0, undecodable: 1 }
}

async fn count(env: &Env, messages: &[RawMessage]) -> Result<(), StoreError> {
    let losses: Vec<Loss> = messages.iter().map(unread).collect();
    usage::add_losses(&Db::open(env)?, &to_json(&losses)?, now()).await
}

fn retry(message: &RawMessage) {
    let delay_s = retry_delay_s(age_ms(message));
    message.retry_with_options(&QueueRetryOptionsBuilder::new().with_delay_seconds(delay_s).build());
}

fn age_ms(message: &RawMessage) -> i64 {
    now().saturating_sub(sent_at(message))
}

fn sent_at(message: &RawMessage) -> UnixMs {
    i64::try_from(message.timestamp().as_millis()).unwrap_or(i64::MAX)
}

/// Sends the message to the dead letters unchanged. If no such queue is bound, only the log line is
/// kept; trying again would not change that.
async fn bury(env: &Env, message: &RawMessage, delay_s: u32) -> bool {
    let Ok(queue) = env.queue(DEAD_LETTERS) else { return true };
    let letter = RawMessageBuilder::new(message.body()).delay_seconds(delay_s);
    let sent = queue.send_raw(letter.build_with_content_type(QueueContentType::V8)).await;
    if let Err(error) = &sent {
        log(Source::Message(&message.id()), "dead letter not sent", &error.to_string());
    }
    sent.is_ok()
}

/// Returns the text of a body that was sent as text or as an object. Anything else is not JSON and is not decoded.
fn text_of(body: &JsValue) -> String {
    body.as_string()
        .or_else(|| JSON::stringify(body).ok().and_then(|json| json.as_string()))
        .unwrap_or_default()
}

/// Returns the pause before a retry: the message's age, within 2 s to 4 h. So each retry doubles the pause without
/// a count of attempts (which `worker` does not provide).
fn retry_delay_s(age_ms: i64) -> u32 {
    let seconds = u32::try_from(age_ms.max(0) / 1_000).unwrap_or(u32::MAX);
    seconds.clamp(FIRST_RETRY_S, MAX_RETRY_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_retry_waits_longer() {
        let delays: Vec<u32> = [-5, 0, 2_000, 4_000, 8_500, i64::MAX].map(retry_delay_s).to_vec();
        assert_eq!(delays, [2, 2, 2, 4, 8, 14_400]);
    }

    #[test]
    fn a_message_is_given_up_before_the_queue_drops_it() {
        let (mut age_ms, mut given_up_at) = (0, None);
        for attempt in 1..=100 {
            if age_ms >= GIVE_UP_MS {
                given_up_at.get_or_insert(attempt);
            }
            age_ms += i64::from(retry_delay_s(age_ms)) * 1_000;
        }
        assert!(age_ms > 14 * DAY_MS, "{} days", age_ms / DAY_MS);
        assert!(given_up_at.is_some(), "the platform would have moved it uncounted");
    }
}
