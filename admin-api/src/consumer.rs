//! The queue's consumer. Delivery is at least once and in any order; the result is exactly once.
//!
//! If the consumer dies at an await, this happens:
//!
//! 1. A batch of messages is one D1 batch, that is, one transaction: a row of the inbox with the raw calls and their
//!    sums, the messages' keys, and their losses. Death before it: nothing is stored. Death after it, or a lost
//!    response: the messages come again, their keys are found, nothing is added.
//! 2. Of two consumers that store at once, D1 refuses the second, because both made the same next id of the inbox. It
//!    looks again which messages are new.
//! 3. The last use of tokens, and where they are used from, is noted after that, in the other database. Death before it:
//!    the next use is noted.
//! 4. Messages that cannot be read are sent to the dead letters after that. Death before the acknowledgement:
//!    the letter exists twice, which its reader can see; `losses` has it once.
//! 5. A letter that can be read after all counts like any message. One that still cannot is sent to the letters again
//!    and acknowledged, because that queue has no dead letters of its own: after a hundred tries the platform would drop
//!    it.
//! 6. Messages are acknowledged last.

use crate::alerts::places;
use crate::canary::usage::{Called, take_out};
use crate::config::Config;
use crate::db::canary as canary_store;
use crate::db::usage::{self, folding, intake};
use crate::db::{Db, StoreError, UsageDb, to_json};
use crate::intake::{Keyed, Loss, decode, last_uses, unpriced};
use crate::telemetry;
use domain::time::{DAY_MS, UnixMs};
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
/// The messages of a batch.
#[derive(Default)]
struct Sorted {
    good: Vec<RawMessage>,
    /// Those of `good`, decoded.
    messages: Vec<Keyed>,
    bad: Vec<RawMessage>,
    /// The canary's calls, which are left out of `messages`.
    canary: Option<Called>,
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
    let sorted = sort(batch);
    let stored = store(env, &sorted, are_letters).await;
    if let Err(error) = &stored {
        log(Source::Queue, "usage events not stored, to be tried again", &error.to_string());
    }
    let stored_at = now();
    let Sorted { good, messages, bad, canary } = sorted;
    let (stored_now, mut old): (Vec<_>, Vec<_>) =
        good.into_iter().partition(|message| stored.is_ok() || age_ms(message) < GIVE_UP_MS);
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
    if let Ok(stored) = stored {
        after(env, &stored, &messages).await;
        if let Some(telemetry) = &config.telemetry {
            telemetry::send(telemetry, &messages).await;
        }
        if let Some(Called { run, at }) = canary {
            let note = canary_store::Noted { run, called_at: at, stored_at };
            let noted = async { canary_store::note_stored(&Db::open(env)?, &note).await };
            if let Err(error) = noted.await {
                log(Source::Queue, "call of the canary not noted", &error.to_string());
            }
        }
    }
}

/// Does what may wait, or fail, once the messages are acknowledged.
async fn after(env: &Env, stored: &Stored, messages: &[Keyed]) {
    let Stored { db, waiting } = stored;
    let noted = async { note_uses(&Db::open(env)?, messages).await };
    if let Err(error) = noted.await {
        log(Source::Queue, "last use of tokens not noted", &error.to_string());
    }
    if let Err(error) = folding::run_if_due(db, waiting.bytes, waiting.folded_at, now()).await {
        log(Source::Queue, "usage not folded", &error.to_string());
    }
}

fn sort(batch: &MessageBatch<serde_json::Value>) -> Sorted {
    let mut sorted = Sorted::default();
    for message in batch.raw_iter() {
        match decode(&text_of(&message.body())) {
            Ok(mut decoded) => {
                let called = take_out(&mut decoded.message);
                sorted.canary = Called::first(sorted.canary.into_iter().chain(called));
                sorted.good.push(message);
                sorted.messages.push(decoded);
            }
            Err(why) => {
                log(Source::Message(&message.id()), "queue message cannot be read", &why.to_string());
                sorted.bad.push(message);
            }
        }
    }
    sorted
}

/// The database that a batch was stored in, and what it held then.
struct Stored {
    db: UsageDb,
    waiting: intake::Waiting,
}

async fn store(env: &Env, sorted: &Sorted, are_letters: bool) -> Result<Stored, StoreError> {
    let db = UsageDb::open(env)?;
    // A letter that still cannot be read was already counted, under its earlier id.
    let unreadable: Vec<Loss> = sorted.bad.iter().filter(|_| !are_letters).map(unread).collect();
    // A letter's age says nothing about the queue's lag.
    let oldest = sorted.good.iter().map(sent_at).min().filter(|_| !are_letters);
    let lag_ms = oldest.map_or(0, |oldest| now().saturating_sub(oldest).max(0));
    let waiting = intake::take_in(&db, &sorted.messages, &unreadable, lag_ms, now()).await?;
    Ok(Stored { db, waiting })
}

/// Notes when and where tokens were used, and which models have no price.
async fn note_uses(db: &Db, messages: &[Keyed]) -> Result<(), StoreError> {
    let events = || messages.iter().flat_map(|keyed| &keyed.message.events);
    let uses = last_uses(events());
    if !uses.is_empty() {
        usage::note_last_uses(db, &to_json(&uses)?).await?;
    }
    places::note(db, events(), now()).await?;
    let unpriced = unpriced(events());
    if !unpriced.is_empty() {
        usage::note_unpriced(db, &to_json(&unpriced)?, now()).await?;
    }
    Ok(())
}

fn unread(message: &RawMessage) -> Loss {
    Loss { message: message.id(), dropped: 0, unknown_tokens: 0, undecodable: 1 }
}

async fn count(env: &Env, messages: &[RawMessage]) -> Result<(), StoreError> {
    let losses: Vec<Loss> = messages.iter().map(unread).collect();
    intake::add_losses(&UsageDb::open(env)?, &losses, now()).await
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
