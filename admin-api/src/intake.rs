//! Intake of the queue's messages: decodes and checks them, removes repeated events, and cuts chunks.

use domain::time::{DAY_MS, HOUR_MS, UnixMs};
use domain::usage::outcome::{Outcome, OutcomeClass};
use domain::usage::rollup::bin_of;
use domain::usage::span::{FINE_KEPT_MS, HOURLY_KEPT_MS};
use domain::usage::{UsageEvent, UsageMessage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// The most events in one D1 batch.
pub const MAX_CHUNK_EVENTS: usize = 2_000;
/// The most bytes of one JSON parameter; D1 accepts 2 MB.
pub const MAX_CHUNK_BYTES: usize = 900_000;
/// The largest integer that is exact in JSON and JavaScript.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// An event in the form that the SQL reads: flat, with its class and bin, and '' for no route.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: &'a str,
    at: UnixMs,
    token_id: &'a str,
    team_id: &'a str,
    secret: Option<&'a str>,
    route_id: &'a str,
    route_path: Option<&'a str>,
    path: &'a str,
    method: &'a str,
    status: u16,
    outcome: &'static str,
    class: &'static str,
    bin: u32,
    latency_ms: u32,
    gateway_ms: u32,
    duration_ms: Option<u32>,
    bytes_in: Option<u64>,
    bytes_out: Option<u64>,
    client_ip: Option<&'a str>,
    user_agent: Option<&'a str>,
    country: Option<&'a str>,
    request_id: &'a str,
    model: Option<&'a str>,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    cost_micros: Option<u64>,
    /// Width of the finest rollup that is still kept for a call of that time; absent means all rollups.
    #[serde(skip_serializing_if = "Option::is_none")]
    finest_ms: Option<i64>,
}

/// Returns the finest rollup in which a call counts: an old one counts in no rollup that retention would delete at
/// once.
fn finest_ms(at: UnixMs, now: UnixMs) -> Option<i64> {
    let age = now - at;
    if age > HOURLY_KEPT_MS {
        return Some(DAY_MS);
    }
    (age > FINE_KEPT_MS).then_some(HOUR_MS)
}

fn class_of(event: &UsageEvent) -> &'static str {
    match event.outcome.class() {
        OutcomeClass::Ok => "ok",
        OutcomeClass::ClientError => "client-error",
        OutcomeClass::UpstreamError => "upstream-error",
        OutcomeClass::Timeout => "timeout",
        OutcomeClass::GatewayError => "gateway-error",
        OutcomeClass::Denied => "denied",
        OutcomeClass::Limited => "limited",
    }
}

impl<'a> From<&'a UsageEvent> for Row<'a> {
    fn from(event: &'a UsageEvent) -> Self {
        let ai = event.ai.as_ref();
        Self {
            id: &event.id,
            at: event.at,
            token_id: event.token_id.as_str(),
            team_id: event.team.as_str(),
            secret: event.secret.as_deref(),
            route_id: event.route_id.as_ref().map_or("", |id| id.as_str()),
            route_path: event.route_path.as_deref(),
            path: &event.path,
            method: &event.method,
            status: event.status,
            outcome: event.outcome.as_str(),
            class: class_of(event),
            bin: bin_of(event.latency_ms),
            latency_ms: event.latency_ms,
            gateway_ms: event.gateway_ms,
            duration_ms: event.duration_ms,
            bytes_in: event.bytes_in,
            bytes_out: event.bytes_out,
            client_ip: event.client_ip.as_deref(),
            user_agent: event.user_agent.as_deref(),
            country: event.country.as_deref(),
            request_id: &event.request_id,
            model: ai.and_then(|ai| ai.model.as_deref()),
            prompt_tokens: ai.and_then(|ai| ai.prompt_tokens),
            completion_tokens: ai.and_then(|ai| ai.completion_tokens),
            cached_tokens: ai.and_then(|ai| ai.cached_tokens),
            cache_write_tokens: ai.and_then(|ai| ai.cache_write_tokens),
            reasoning_tokens: ai.and_then(|ai| ai.reasoning_tokens),
            cost_micros: ai.and_then(|ai| ai.cost_micros),
            finest_ms: None,
        }
    }
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
pub fn decode(text: &str) -> Result<UsageMessage, Undecodable> {
    let read: Result<UsageMessage, _> = serde_json::from_str(text);
    let mut message = read.or_else(|_| with_known_outcomes(text)).map_err(|_| Undecodable::Syntax)?;
    if message.v != UsageMessage::VERSION {
        return Err(Undecodable::Version);
    }
    let counts_fit = message.dropped <= MAX_SAFE && message.unknown_tokens <= MAX_SAFE;
    if !counts_fit || !message.events.iter().all(is_in_range) {
        return Err(Undecodable::Range);
    }
    message.events.iter_mut().for_each(UsageEvent::cap_counts);
    Ok(message)
}

fn with_known_outcomes(text: &str) -> serde_json::Result<UsageMessage> {
    let mut message: Value = serde_json::from_str(text)?;
    for event in message.get_mut("events").and_then(Value::as_array_mut).into_iter().flatten() {
        let status =
            event.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        if let (Some(status), Some(outcome)) = (status, event.get_mut("outcome"))
            && outcome.is_string()
            && Outcome::deserialize(&*outcome).is_err()
        {
            *outcome = Outcome::of_status(status).as_str().into();
        }
    }
    serde_json::from_value(message)
}

fn is_in_range(event: &UsageEvent) -> bool {
    (1..=64).contains(&event.id.chars().count()) && u64::try_from(event.at).is_ok_and(|at| at <= MAX_SAFE)
}

/// Removes the events before `since`, whose raw rows retention deletes: without its row, a second
/// delivery would count again. Returns their number; they are counted as dropped.
///
/// The gateway sends none that late: a queue holds a message for at most 14 days, and raw events are kept for
/// at least 15 (`config`).
pub fn drop_late(message: &mut UsageMessage, since: UnixMs) -> u64 {
    let before = message.events.len();
    message.events.retain(|event| event.at >= since);
    u64::try_from(before - message.events.len()).unwrap_or(u64::MAX)
}

/// Makes JSON arrays of events, in which each id occurs once: the SQL counts events that are not in the table
/// yet, and two with one id in one statement would both count.
pub fn chunks<'a>(events: impl IntoIterator<Item = &'a UsageEvent>) -> serde_json::Result<Vec<String>> {
    cut(events.into_iter().map(Row::from))
}

/// Makes [`chunks`] of calls that may be old.
pub fn chunks_of_past<'a>(
    events: impl IntoIterator<Item = &'a UsageEvent>,
    now: UnixMs,
) -> serde_json::Result<Vec<String>> {
    cut(events.into_iter().map(|event| Row { finest_ms: finest_ms(event.at, now), ..Row::from(event) }))
}

fn cut<'a>(rows: impl Iterator<Item = Row<'a>>) -> serde_json::Result<Vec<String>> {
    let mut seen = HashSet::new();
    let mut chunks = Vec::new();
    let mut chunk = String::new();
    let mut count = 0;
    for row in rows {
        if !seen.insert(row.id) {
            continue;
        }
        let row = serde_json::to_string(&row)?;
        if count == MAX_CHUNK_EVENTS || chunk.len() + row.len() > MAX_CHUNK_BYTES {
            chunks.push(format!("[{}]", std::mem::take(&mut chunk)));
            count = 0;
        }
        if count > 0 {
            chunk.push(',');
        }
        chunk.push_str(&row);
        count += 1;
    }
    if count > 0 {
        chunks.push(format!("[{chunk}]"));
    }
    Ok(chunks)
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
    pub message_id: String,
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
