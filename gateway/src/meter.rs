//! Usage events: collected in the isolate, packed, sent after the response.
//!
//! Nothing here delays or fails a call. An isolate that dies loses at most the events of the last
//! `USAGE_FLUSH_MS`, or of two seconds if it is busy. Events that the queue refuses are tried again and then counted as dropped; the count
//! is sent with the next message that gets through.

use crate::metrics;
use crate::store::Store;
use domain::canary::CANARY_ID;
use domain::time::UnixMs;
use domain::usage::key::MessageKey;
use domain::usage::pace::Pace;
use domain::usage::{MAX_EVENTS_PER_MESSAGE, MAX_MESSAGE_BYTES, UsageEvent, UsageMessage};
use edge::clock::{now, sleep};
use edge::crypto::random;
use edge::log::{Source, log};
use edge::queue::{Packed, Queue};
use std::cell::RefCell;
use worker::Env;

/// Pauses between attempts to send, in ms.
const RETRY_PAUSES_MS: [u64; 3] = [100, 500, 2_000];

#[derive(Debug, Default)]
struct Buffer {
    events: Vec<UsageEvent>,
    dropped: u64,
    unknown_tokens: u64,
    /// The time at which the pending flush is due. The request that owns it may be cancelled, so another
    /// one takes over once it is overdue.
    flush_due: Option<UnixMs>,
    pace: Pace,
}

thread_local!(static BUFFER: RefCell<Buffer> = RefCell::default());

/// Records a call. Returns at once. With `at_once` the events are sent now: a request whose client has gone should not
/// live on, since the end of the request is what ends its work at the upstream.
pub fn record(event: UsageEvent, store: &Store<'_>, at_once: bool) {
    let Store { env, context, config, now, .. } = *store;
    if config.has_metrics && event.token_id.as_str() != CANARY_ID {
        metrics::write(&event, env);
    }
    let least_ms = config.usage_flush_ms;
    let (full, flush_ms) = BUFFER.with_borrow_mut(|buffer| {
        buffer.events.push(event);
        buffer.pace.note(now);
        let full = at_once || least_ms == 0 || buffer.events.len() >= MAX_EVENTS_PER_MESSAGE;
        let starts_flush = !full && buffer.flush_due.is_none_or(|due| due + 1_000 < now);
        let flush_ms = starts_flush.then(|| buffer.pace.flush_ms(least_ms.into()));
        if let Some(flush_ms) = flush_ms {
            buffer.flush_due = Some(now + flush_ms);
        }
        (full, flush_ms)
    });
    if full {
        let (message, env) = (take(), env.clone());
        context.wait_until(async move { send(message, &env).await });
    } else if let Some(flush_ms) = flush_ms {
        let env = env.clone();
        context.wait_until(async move {
            sleep(flush_ms.unsigned_abs()).await;
            BUFFER.with_borrow_mut(|buffer| buffer.flush_due = None);
            send(take(), &env).await;
        });
    }
}

/// Counts a call with an unknown token. This sends no message: a flood of forged tokens must not become a
/// flood of messages.
pub fn count_unknown_token() {
    BUFFER.with_borrow_mut(|buffer| buffer.unknown_tokens = buffer.unknown_tokens.saturating_add(1));
}

fn take() -> UsageMessage {
    BUFFER.with_borrow_mut(|buffer| UsageMessage {
        v: UsageMessage::VERSION,
        key: None,
        events: std::mem::take(&mut buffer.events),
        dropped: std::mem::take(&mut buffer.dropped),
        unknown_tokens: std::mem::take(&mut buffer.unknown_tokens),
    })
}

/// Sends the message, in parts if it is too long for the queue.
async fn send(mut message: UsageMessage, env: &Env) {
    if message.events.is_empty() {
        return give_back(0, &message);
    }
    message.key = new_key();
    match Packed::new(&message) {
        Ok(packed) if packed.size() <= MAX_MESSAGE_BYTES => return send_packed(&packed, &message, env).await,
        Ok(_) => {}
        Err(cause) => return drop_events(&message, &cause),
    }
    let (parts, lost) = message.split();
    BUFFER.with_borrow_mut(|buffer| buffer.dropped = buffer.dropped.saturating_add(lost));
    for mut part in parts {
        part.key = new_key();
        match Packed::new(&part) {
            Ok(packed) => send_packed(&packed, &part, env).await,
            Err(cause) => drop_events(&part, &cause),
        }
    }
}

/// Makes the key under which a message counts once. Without randomness it has none and is known by its text.
fn new_key() -> Option<MessageKey> {
    random().ok().map(|random| MessageKey::new(now(), random))
}

async fn send_packed(packed: &Packed<UsageMessage>, message: &UsageMessage, env: &Env) {
    let mut cause = String::new();
    for pause in std::iter::once(0).chain(RETRY_PAUSES_MS) {
        if pause > 0 {
            sleep(pause).await;
        }
        let sent = async { Queue::usage(env)?.send(packed).await };
        match sent.await {
            Ok(()) => return,
            Err(error) => cause = error,
        }
    }
    drop_events(message, &cause);
}

/// Counts the events of a message as dropped.
fn drop_events(message: &UsageMessage, cause: &str) {
    let lost = u64::try_from(message.events.len()).unwrap_or(u64::MAX);
    log(Source::Isolate, "usage events dropped", &format!("{lost} events: {cause}"));
    give_back(lost, message);
}

/// Keeps the counts of a message that was not sent, for the next one.
fn give_back(lost: u64, message: &UsageMessage) {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.dropped = buffer.dropped.saturating_add(message.dropped).saturating_add(lost);
        buffer.unknown_tokens = buffer.unknown_tokens.saturating_add(message.unknown_tokens);
    });
}
