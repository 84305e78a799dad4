//! Intake of the queue's messages: decodes and checks them, leaves out those that are stored already, and makes the
//! row that stores the others.

use domain::json;
use domain::time::{DAY_MS, UnixMs};
use domain::usage::errors::Errors;
use domain::usage::key::{KEY_LEN, MessageKey};
use domain::usage::label::LabelTallies;
use domain::usage::model;
use domain::usage::outcome::Outcome;
use domain::usage::segment::{RawCall, bound_refused, sort};
use domain::usage::tally::Tallies;
use domain::usage::{UsageEvent, UsageMessage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The largest integer that is exact in JSON and JavaScript.
const MAX_SAFE: u64 = (1 << 53) - 1;
/// How long a key is known: longer than twice the 14 days that a queue keeps a message.
pub const KEYS_KEPT_MS: i64 = 31 * DAY_MS;
/// The age from which a message is not stored any more: its key may be forgotten.
const MAX_AGE_MS: i64 = KEYS_KEPT_MS - DAY_MS;
/// Raw calls of a token that are kept if they are refused, for each hour.
pub const REFUSED_KEPT: u64 = 100;

/// A message, and the key under which it counts once.
#[derive(Clone, Debug)]
pub struct Keyed {
    pub key: MessageKey,
    pub message: UsageMessage,
}

/// The reason why a message can never be stored. Such a message goes to the dead letters at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("is not the JSON of a usage message")]
    Syntax,
    #[error("has a version that this build does not know")]
    Version,
    #[error("holds an event whose id or numbers are out of range")]
    Range,
}

/// Reads a message. Values that the schema would refuse are refused here, so that one bad event cannot fail
/// the batch of all the others. Implausible counts are clamped.
///
/// A newer gateway's unknown outcome is counted by its status, so that its call is not missing.
pub fn decode(text: &str) -> Result<Keyed, Undecodable> {
    let mut message: Value = serde_json::from_str(text).map_err(|_| Undecodable::Syntax)?;
    make_outcomes_known(&mut message);
    let mut message: UsageMessage = json::read(message).map_err(|_| Undecodable::Syntax)?;
    if message.v != UsageMessage::VERSION {
        return Err(Undecodable::Version);
    }
    let counts_fit = message.dropped <= MAX_SAFE && message.unknown_tokens <= MAX_SAFE;
    if !counts_fit || !message.events.iter().all(is_in_range) {
        return Err(Undecodable::Range);
    }
    message.events.iter_mut().for_each(UsageEvent::cap_counts);
    let first = message.events.iter().map(|event| event.at).min().unwrap_or(0);
    let key = message.key.clone().unwrap_or_else(|| MessageKey::of_text(first, text));
    Ok(Keyed { key, message })
}

fn make_outcomes_known(message: &mut Value) {
    for event in message.get_mut("events").and_then(Value::as_array_mut).into_iter().flatten() {
        let status =
            event.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        if let (Some(status), Some(outcome)) = (status, event.get_mut("outcome"))
            && outcome.is_string()
            && json::read::<Outcome>(outcome.clone()).is_err()
        {
            *outcome = Outcome::of_status(status).as_str().into();
        }
    }
}

fn is_in_range(event: &UsageEvent) -> bool {
    (1..=64).contains(&event.id.chars().count()) && u64::try_from(event.at).is_ok_and(|at| at <= MAX_SAFE)
}

/// The keys of a slot that were stored.
#[derive(Debug, Deserialize)]
pub struct TakenKeys {
    pub slot: i64,
    /// One after the other, without a separator.
    pub keys: String,
}

impl TakenKeys {
    /// Returns its keys.
    pub fn each(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.keys.as_str();
        std::iter::from_fn(move || {
            let (key, after) = rest.split_at_checked(KEY_LEN)?;
            rest = after;
            Some(key)
        })
    }
}

/// Returns the messages that are not stored yet, each once.
pub fn fresh<'a>(messages: &'a [Keyed], taken: &'a [TakenKeys]) -> Vec<&'a Keyed> {
    let mut known = BTreeSet::new();
    known.extend(taken.iter().flat_map(TakenKeys::each));
    messages.iter().filter(|keyed| known.insert(keyed.key.as_str())).collect()
}

/// The parts of the row that stores some messages.
#[derive(Debug, Default)]
pub struct Entry {
    pub sums: Tallies,
    pub labels: LabelTallies,
    /// By AI model.
    pub models: Tallies,
    pub errors: Errors,
    /// Newest first.
    pub calls: Vec<RawCall>,
    /// Keys to remember, by slot.
    pub keys: Vec<TakenSlot>,
    pub losses: Vec<Loss>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct TakenSlot {
    slot: i64,
    keys: String,
}

impl Entry {
    /// Makes the entry of messages that are not stored yet. One that is too old is counted as dropped.
    pub fn of(fresh: &[&Keyed], now: UnixMs) -> Self {
        let (old, fresh): (Vec<&Keyed>, Vec<&Keyed>) =
            fresh.iter().partition(|keyed| keyed.counts_anything() && keyed.key.at() < now - MAX_AGE_MS);
        let events = || fresh.iter().flat_map(|keyed| &keyed.message.events);
        let mut keys: Vec<TakenSlot> = Vec::new();
        for Keyed { key, .. } in fresh.iter().filter(|keyed| keyed.counts_anything()) {
            match keys.iter_mut().find(|taken| taken.slot == key.slot()) {
                Some(taken) => taken.keys.push_str(key.as_str()),
                None => keys.push(TakenSlot { slot: key.slot(), keys: key.as_str().to_owned() }),
            }
        }
        let mut calls = RawCall::all_of(events());
        bound_refused(&mut calls, REFUSED_KEPT, |_, _| 0);
        Self {
            sums: Tallies::of(events(), now),
            labels: LabelTallies::of(events()),
            models: model::tallies_of(events(), now),
            errors: Errors::of(events()),
            calls,
            keys,
            losses: fresh
                .iter()
                .filter_map(|k| k.loss(0))
                .chain(old.iter().filter_map(|k| k.loss(k.events())))
                .collect(),
        }
    }
}

impl Entry {
    /// Makes the entry of imported calls, however old they are.
    pub fn of_past(events: &[UsageEvent], now: UnixMs) -> Self {
        let mut calls = RawCall::all_of(events);
        sort(&mut calls);
        let (sums, models) = (Tallies::of(events, now), model::tallies_of(events, now));
        Self { sums, models, calls, ..Self::default() }
    }
}

impl Keyed {
    fn events(&self) -> u64 {
        u64::try_from(self.message.events.len()).unwrap_or(u64::MAX)
    }

    fn counts_anything(&self) -> bool {
        let UsageMessage { events, dropped, unknown_tokens, .. } = &self.message;
        !events.is_empty() || *dropped > 0 || *unknown_tokens > 0
    }

    /// Returns what the message reports as lost, with `more` dropped events.
    fn loss(&self, more: u64) -> Option<Loss> {
        let dropped = self.message.dropped.saturating_add(more).min(MAX_SAFE);
        let unknown_tokens = self.message.unknown_tokens;
        let message = self.key.as_str().to_owned();
        (dropped > 0 || unknown_tokens > 0).then_some(Loss {
            message,
            dropped,
            unknown_tokens,
            undecodable: 0,
        })
    }
}

/// When tokens, and their secrets, were last used, as the SQL takes it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LastUse<'a> {
    pub token_id: &'a str,
    /// Beginning of the secret's hash.
    pub secret: Option<&'a str>,
    pub at: UnixMs,
}

/// Finds the last use of each token and secret.
pub fn last_uses<'a>(events: impl IntoIterator<Item = &'a UsageEvent>) -> Vec<LastUse<'a>> {
    let use_of = |event: &'a UsageEvent| LastUse {
        token_id: event.token_id.as_str(),
        secret: event.secret.as_deref(),
        at: event.at,
    };
    let mut uses: Vec<LastUse> = events.into_iter().map(use_of).collect();
    uses.sort_unstable();
    // The last of each is the latest.
    uses.reverse();
    uses.dedup_by(|earlier, last| (earlier.token_id, earlier.secret) == (last.token_id, last.secret));
    uses
}

/// Counts the successful calls of each model that has no price.
pub fn unpriced<'a>(events: impl IntoIterator<Item = &'a UsageEvent>) -> Vec<Unpriced<'a>> {
    let mut calls: BTreeMap<&str, u32> = BTreeMap::new();
    for event in events {
        if let Some(ai) = &event.ai
            && let Some(model) = &ai.model
            && ai.prompt_tokens.is_some()
            && ai.completion_tokens.is_some()
            && ai.cost_micros.is_none()
            && event.outcome == Outcome::Ok
        {
            *calls.entry(model).or_default() += 1;
        }
    }
    calls.into_iter().map(|(model, calls)| Unpriced { model, calls }).collect()
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Unpriced<'a> {
    pub model: &'a str,
    pub calls: u32,
}

/// Losses that a message reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Key of the message, or its id if it could not be read.
    pub message: String,
    pub dropped: u64,
    pub unknown_tokens: u64,
    /// 1 if the message itself could not be read.
    pub undecodable: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"id":"e","at":1,"token_id":"t","team":"x","path":"/","method":"GET","status":403,"outcome":"OUTCOME","latency_ms":1,"gateway_ms":1,"request_id":"r","ai":{"model":"m","prompt_tokens":1,"completion_tokens":2}}"#;

    fn message(outcome: &str) -> UsageMessage {
        let event = EVENT.replace("OUTCOME", outcome);
        decode(&format!(
            r#"{{"v":1,"heartbeat":true,"events":[{event},{}]}}"#,
            event.replace("\"e\"", "\"f\"")
        ))
        .unwrap()
        .message
    }

    const NOW: UnixMs = 1_763_870_461_000;

    #[test]
    fn of_a_token_and_secret_the_latest_use_is_noted() {
        let use_of = |token: &str, secret: Option<&str>, at| {
            let mut event = message("ok").events.remove(0);
            (event.token_id, event.secret, event.at) = (token.into(), secret.map(Into::into), at);
            event
        };
        let events = [
            use_of("a", Some("s"), 5),
            use_of("b", None, 1),
            use_of("a", Some("s"), 9),
            use_of("a", None, 2),
        ];
        let found: Vec<_> =
            last_uses(&events).iter().map(|used| (used.token_id, used.secret, used.at)).collect();
        assert_eq!(found, [("b", None, 1), ("a", Some("s"), 9), ("a", None, 2)]);
    }

    fn keyed(at: UnixMs, random: u8, dropped: u64) -> Keyed {
        let mut message = message("ok");
        message.dropped = dropped;
        message.events.iter_mut().for_each(|event| event.at = at);
        Keyed { key: MessageKey::new(at, [random; 10]), message }
    }

    #[test]
    fn a_message_that_is_stored_or_comes_twice_is_left_out() {
        let messages = [keyed(NOW, 1, 0), keyed(NOW, 2, 0), keyed(NOW, 2, 0), keyed(NOW, 3, 0)];
        let entry = Entry::of(&fresh(&messages[..2], &[]), NOW);
        assert_eq!(entry.keys.len(), 1);
        let taken = [TakenKeys { slot: entry.keys[0].slot, keys: entry.keys[0].keys.clone() }];
        let left: Vec<_> = fresh(&messages, &taken).iter().map(|keyed| &keyed.key).collect();
        assert_eq!(left, [&messages[3].key]);
        assert_eq!(fresh(&messages, &[]).len(), 3);
    }

    #[test]
    fn a_message_whose_key_may_be_forgotten_is_counted_as_dropped() {
        let old = keyed(NOW - MAX_AGE_MS - 1, 1, 3);
        let entry = Entry::of(&[&old], NOW);
        assert_eq!((entry.calls.len(), entry.keys.len()), (0, 0));
        assert_eq!(entry.losses[0].dropped, 5);
        assert_eq!(Entry::of(&[&keyed(NOW - MAX_AGE_MS, 1, 0)], NOW).calls.len(), 2);
    }

    #[test]
    fn a_heartbeat_leaves_no_key() {
        let heartbeat = decode(r#"{"v":1,"events":[]}"#).unwrap();
        let entry = Entry::of(&[&heartbeat], NOW);
        assert!(entry.keys.is_empty() && entry.losses.is_empty() && entry.calls.is_empty());
    }

    #[test]
    fn a_message_without_a_key_is_known_by_its_text() {
        let text = format!(r#"{{"v":1,"events":[{}]}}"#, EVENT.replace("OUTCOME", "ok"));
        assert_eq!(decode(&text).unwrap().key, decode(&text).unwrap().key);
        assert_ne!(decode(&text).unwrap().key, decode(&text.replace("\"r\"", "\"s\"")).unwrap().key);
    }

    #[test]
    fn a_newer_gateways_outcome_is_counted_by_its_status() {
        let outcomes: Vec<_> =
            message("denied-moon-phase").events.iter().map(|event| event.outcome).collect();
        assert_eq!(outcomes, [Outcome::ClientError; 2]);
        assert_eq!(message("denied-scope").events[0].outcome, Outcome::DeniedScope);
    }

    #[test]
    fn models_without_a_price_are_listed_with_their_calls() {
        assert_eq!(unpriced(&message("ok").events), [Unpriced { model: "m", calls: 2 }]);
        assert_eq!(unpriced(&message("client-error").events), []);
        let mut priced = message("ok");
        for event in &mut priced.events {
            event.ai.as_mut().unwrap().cost_micros = Some(0);
        }
        assert_eq!(unpriced(&priced.events), []);
    }
}
