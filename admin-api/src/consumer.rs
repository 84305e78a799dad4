//! The queue's consumer. Delivery is at least once and in any order; the result is exactly once.
//!
//! Await by await, what a death there would mean:
//!
//! 1. Each chunk of events is one D1 batch, that is, one transaction: rollups of the ids that
//!    `usage_events` does not hold, then the events. Died before: nothing is there. Died after, or
//!    the answer lost: the message comes again, every id is found, nothing is added.
//! 2. Lost counts (`dropped`, `unknown_tokens`) are inserted under their message's id, so a repeat of
//!    the message adds nothing. What cannot be seen here is a sender that sent the same counts in two
//!    messages because it held the first for lost: its own retry is a new message. Such a count is
//!    high by at most one message and never low.
//! 3. What cannot be read is sent to the dead letters after that. Died before its acknowledgement:
//!    the letter is there twice, which whoever reads it can see; `usage_losses` has it once.
//! 4. An id is known as long as its raw row is kept. What comes later than that is dropped and counted
//!    as such (`intake::drop_late`), as it could not be told from a repeat.
//! 5. A letter that is read after all counts as any message does: its events' ids are looked for.
//! 6. Messages are acknowledged last. Two consumers with the same event at once are put one after the
//!    other by D1, which runs one transaction at a time.

use crate::config::Config;
use crate::db::{Db, StoreError, to_json, usage};
use crate::intake::{Loss, chunks, decode, drop_late};
use crate::publish::now;
use domain::time::UnixMs;
use domain::usage::UsageMessage;
use edge::log::log;
use js_sys::JSON;
use wasm_bindgen::JsValue;
use worker::{
    Env, MessageBatch, MessageExt, QueueContentType, QueueRetryOptionsBuilder, RawMessage, RawMessageBuilder,
};

/// Where messages go that can never be read.
const DEAD_LETTERS: &str = "USAGE_DLQ";
/// What the name of that queue holds on every stage. An operator who makes this Worker its consumer has
/// the letters read again, as a newer build may understand them.
const DEAD_LETTERS_NAME: &str = "-dlq";
const FIRST_RETRY_S: u32 = 2;
const MAX_RETRY_S: u32 = 300;

pub async fn consume(batch: &MessageBatch<serde_json::Value>, env: &Env) {
    let kept_since = match Config::get(env) {
        Ok(config) => now() - config.events_retention_ms,
        Err(error) => {
            log("queue", "nothing stored, to be tried again", &error.to_string());
            return batch.raw_iter().for_each(|message| finish(&message, false));
        }
    };
    let mut good: Vec<(RawMessage, UsageMessage)> = Vec::new();
    let mut bad: Vec<RawMessage> = Vec::new();
    for message in batch.raw_iter() {
        match decode(&text_of(&message.body())) {
            Ok(mut decoded) => {
                decoded.dropped = decoded.dropped.saturating_add(drop_late(&mut decoded, kept_since));
                good.push((message, decoded));
            }
            Err(why) => {
                log(&message.id(), "queue message cannot be read", &why.to_string());
                bad.push(message);
            }
        }
    }
    let sent_at = good.iter().map(|(message, _)| sent_at(message)).min();
    // A letter that still cannot be read is counted already, and stays where it is.
    let are_letters = batch.queue().contains(DEAD_LETTERS_NAME);
    let (bad, kept) = if are_letters { (vec![], bad) } else { (bad, vec![]) };
    for message in &kept {
        finish(message, false);
    }
    // How old a letter is says nothing of the queue.
    let sent_at = if are_letters { None } else { sent_at };
    let stored = match Db::open(env) {
        Ok(db) => store(&db, &good, &bad, sent_at).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &stored {
        log("queue", "usage events not stored, to be tried again", &error.to_string());
    }
    for (message, _) in &good {
        finish(message, stored.is_ok());
    }
    for message in &bad {
        // Only once it is counted, so that a D1 outage does not make a letter of each retry.
        let is_done = stored.is_ok() && bury(env, message).await;
        finish(message, is_done);
    }
}

async fn store(
    db: &Db,
    good: &[(RawMessage, UsageMessage)],
    bad: &[RawMessage],
    oldest: Option<UnixMs>,
) -> Result<(), StoreError> {
    let events = good.iter().flat_map(|(_, message)| &message.events);
    let chunks = chunks(events).map_err(|e| StoreError::Value(e.to_string()))?;
    for chunk in &chunks {
        usage::take_in(db, chunk).await?;
    }
    let counted =
        good.iter().filter(|(_, m)| m.dropped > 0 || m.unknown_tokens > 0).map(|(message, m)| Loss {
            message_id: message.id(),
            dropped: m.dropped,
            unknown_tokens: m.unknown_tokens,
            undecodable: 0,
        });
    let unread = bad.iter().map(|message| Loss {
        message_id: message.id(),
        dropped: 0,
        unknown_tokens: 0,
        undecodable: 1,
    });
    let losses: Vec<Loss> = counted.chain(unread).collect();
    if !losses.is_empty() {
        usage::add_losses(db, &to_json(&losses)?, now()).await?;
    }
    if let Some(oldest) = oldest {
        usage::note_lag(db, now().saturating_sub(oldest).max(0), now()).await?;
    }
    Ok(())
}

fn finish(message: &RawMessage, is_done: bool) {
    if is_done {
        message.ack();
    } else {
        let delay_s = retry_delay_s(now().saturating_sub(sent_at(message)));
        message.retry_with_options(&QueueRetryOptionsBuilder::new().with_delay_seconds(delay_s).build());
    }
}

fn sent_at(message: &RawMessage) -> UnixMs {
    i64::try_from(message.timestamp().as_millis()).unwrap_or(i64::MAX)
}

/// Sends the message to the dead letters as it is. Where no such queue is bound, the log line is all
/// that is kept, and trying again would not change that.
async fn bury(env: &Env, message: &RawMessage) -> bool {
    let Ok(queue) = env.queue(DEAD_LETTERS) else { return true };
    let letter = RawMessageBuilder::new(message.body());
    let sent = queue.send_raw(letter.build_with_content_type(QueueContentType::V8)).await;
    if let Err(error) = &sent {
        log(&message.id(), "dead letter not sent", &error.to_string());
    }
    sent.is_ok()
}

/// A body that was sent as text, or as an object; anything else is no JSON and so not decoded.
fn text_of(body: &JsValue) -> String {
    body.as_string()
        .or_else(|| JSON::stringify(body).ok().and_then(|json| json.as_string()))
        .unwrap_or_default()
}

/// As long again as the message is old, 2 s to 5 min: each retry doubles the pause, with no count of
/// attempts (which `worker` does not hand out).
fn retry_delay_s(age_ms: i64) -> u32 {
    let seconds = u32::try_from(age_ms.max(0) / 1_000).unwrap_or(u32::MAX);
    seconds.clamp(FIRST_RETRY_S, MAX_RETRY_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_come_later_and_later() {
        let delays: Vec<u32> = [-5, 0, 2_000, 4_000, 8_500, i64::MAX].map(retry_delay_s).to_vec();
        assert_eq!(delays, [2, 2, 2, 4, 8, 300]);
    }
}
