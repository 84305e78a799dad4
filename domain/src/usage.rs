//! The record of a call, and the queue message that carries it.

mod clipped;
pub mod errors;
pub mod fold;
pub mod key;
pub mod label;
pub mod metric;
pub mod model;
pub mod numbers;
pub mod outcome;
pub mod pace;
pub mod period;
pub mod report;
pub mod rollup;
pub mod segment;
pub mod sheet;
pub mod span;
pub mod spans;
pub mod tally;

pub use clipped::Clipped;

use crate::access::derived::NONCE_LEN;
use crate::id::{RouteId, TeamId, TokenId};
use crate::time::UnixMs;
use crate::trace::TRACEPARENT_LEN;
use errors::VendorError;
use key::MessageKey;
use label::Label;
use outcome::Outcome;
use serde::{Deserialize, Serialize};

/// The most events in one queue message. Their texts are bounded, so full messages of usual calls stay below
/// [`MAX_MESSAGE_BYTES`]; others are split.
pub const MAX_EVENTS_PER_MESSAGE: usize = 50;
/// The longest message that is sent, in bytes; the queue takes 128 KB.
pub const MAX_MESSAGE_BYTES: usize = 126_000;
/// Longest request path that is recorded, in bytes.
pub const MAX_PATH_LEN: usize = 512;
/// Longest user agent that is recorded, in bytes.
pub const MAX_USER_AGENT_LEN: usize = 200;
/// Longest name of a model that is recorded, in bytes.
pub const MAX_MODEL_LEN: usize = 100;
/// Longest id that is recorded, in bytes: more than any real one has.
pub const MAX_ID_LEN: usize = 64;
/// Longest method that is recorded, in bytes.
pub const MAX_METHOD_LEN: usize = 20;
/// Longest country that is recorded, in bytes.
pub const MAX_COUNTRY_LEN: usize = 8;
/// Longest name of a limit that is recorded, in bytes.
pub const MAX_LIMIT_LEN: usize = 32;
/// Longest address that is recorded, in bytes.
pub const MAX_IP_LEN: usize = 64;

/// The longest body that is counted, in bytes (256 GiB). A longer one would be an attack on the sums: 2^38 fits 2^25
/// times, 33 million calls, into D1's 64-bit integers.
pub const MAX_BYTES: u64 = 1 << 38;
/// The most AI tokens of one call that are counted, and the most micro-dollars (about $1,000): an
/// upstream can claim any number. 2^30 fits 2^33 times, 8 thousand million calls.
pub const MAX_AI_COUNT: u64 = 1 << 30;

/// Hex digits of a secret's hash that a usage event carries.
pub const SECRET_HEAD: usize = 12;

/// Tokens of an AI call; `None` is unknown, never 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AiUsage {
    /// The model that responded, else the one that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Clipped<MAX_MODEL_LEN>>,
    /// Tokens of the prompt, those of the cache included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the completion, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Part of the prompt tokens: those that the vendor read from its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Part of the prompt tokens, as `cached_tokens` are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Part of the completion tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Micro-dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
}

impl AiUsage {
    /// Returns this usage and `more`, of the same call.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
        Self {
            model: more.model.or(self.model),
            prompt_tokens: sum(self.prompt_tokens, more.prompt_tokens),
            completion_tokens: sum(self.completion_tokens, more.completion_tokens),
            cached_tokens: sum(self.cached_tokens, more.cached_tokens),
            cache_write_tokens: sum(self.cache_write_tokens, more.cache_write_tokens),
            reasoning_tokens: sum(self.reasoning_tokens, more.reasoning_tokens),
            cost_micros: sum(self.cost_micros, more.cost_micros),
        }
    }
}

/// A credential that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refused {
    /// Its name in the pool.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub credential: Clipped<MAX_ID_LEN>,
    /// The upstream's status: 401 or 429; 502 if no token could be fetched for it.
    pub status: u16,
}

/// One call, version 1 on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEvent {
    /// Unique; a second delivery carries the same.
    pub id: String,
    /// When the call came in, unix ms.
    pub at: UnixMs,
    /// The token that called.
    pub token_id: TokenId,
    /// The team that it belonged to.
    pub team: TeamId,
    /// The head of the secret's hash, [`SECRET_HEAD`] hex digits: enough to tell a token's few secrets
    /// apart, and of no use to anybody who would guess the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Clipped<MAX_ID_LEN>>,
    /// The nonce of the token derived from it that made the call, or that the call derived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived: Option<Clipped<NONCE_LEN>>,
    /// `None` if no route matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_id: Option<RouteId>,
    /// The route's path at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_path: Option<Clipped<MAX_PATH_LEN>>,
    /// Without its query.
    pub path: Clipped<MAX_PATH_LEN>,
    /// In upper case.
    pub method: Clipped<MAX_METHOD_LEN>,
    /// Status of the response that the client got.
    pub status: u16,
    /// How the call ended.
    pub outcome: Outcome,
    /// Time from the call's arrival to the upstream's first byte, or to the call's end if no byte came.
    pub latency_ms: u32,
    /// The part of it that was the gateway's own.
    pub gateway_ms: u32,
    /// Duration of the whole call, if the gateway saw its end. It watches for the end of web sockets, AI calls
    /// and calls with a reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u32>,
    /// Length of the request's body; `None` if it was not announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    /// Length of the response's body; `None` if it was not announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
    /// The label that the client gave it, such as its workflow's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Whether the response came from the route's second upstream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second: bool,
    /// How often it was sent again after a wait.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u8,
    /// The credential of a pool that served it, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Clipped<MAX_ID_LEN>>,
    /// The credentials of a pool that were refused before, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// The limit that refused the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Clipped<MAX_LIMIT_LEN>>,
    /// The upstream's own id of the call, if it responded with a status of 400 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<Clipped<MAX_ID_LEN>>,
    /// The beginning of that response, if the route keeps it. It is stored apart from the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<VendorError>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<Clipped<MAX_IP_LEN>>,
    /// The client's `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Clipped<MAX_USER_AGENT_LEN>>,
    /// ISO 3166-1 alpha-2, as the edge says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Clipped<MAX_COUNTRY_LEN>>,
    /// The `traceparent` that the client sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Clipped<TRACEPARENT_LEN>>,
    /// The call's id, as the client was told.
    pub request_id: Clipped<MAX_ID_LEN>,
    /// Tokens and cost, if the call was metered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiUsage>,
}

impl UsageEvent {
    /// Clamps implausible counts, so that rollup sums cannot overflow.
    pub fn cap_counts(&mut self) {
        let cap = |count: &mut Option<u64>, most: u64| *count = count.map(|n| n.min(most));
        cap(&mut self.bytes_in, MAX_BYTES);
        cap(&mut self.bytes_out, MAX_BYTES);
        if let Some(ai) = &mut self.ai {
            let AiUsage {
                model: _,
                prompt_tokens,
                completion_tokens,
                cached_tokens,
                cache_write_tokens,
                reasoning_tokens,
                cost_micros,
            } = ai;
            for count in [
                prompt_tokens,
                completion_tokens,
                cached_tokens,
                cache_write_tokens,
                reasoning_tokens,
                cost_micros,
            ] {
                cap(count, MAX_AI_COUNT);
            }
        }
    }
}

/// A queue message: several events, so that one call does not cost one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageMessage {
    /// Version of the format, [`UsageMessage::VERSION`].
    pub v: u8,
    /// Kept over the sender's own retries. Earlier versions send none.
    #[serde(default, deserialize_with = "key::known", skip_serializing_if = "Option::is_none")]
    pub key: Option<MessageKey>,
    /// Calls, in no order.
    pub events: Vec<UsageEvent>,
    /// Events the sender had to give up since its last message, so that a drop is visible.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Calls refused since then because their token is unknown; they are counted and no more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_tokens: u64,
}

pub(crate) fn is_zero<N: Default + PartialEq>(n: &N) -> bool {
    *n == N::default()
}

impl UsageMessage {
    /// The version that is written.
    pub const VERSION: u8 = 1;

    /// Splits a message without a key into parts of at most [`MAX_MESSAGE_BYTES`] of JSON. An event that is too long
    /// by itself is left out, so that it takes no other along; their number comes second. Counts stay with the first
    /// part.
    pub fn split(self) -> (Vec<Self>, u64) {
        // Room for the braces, the key and the counts.
        const FRAME: usize = 300;
        let (mut parts, mut room, mut lost) =
            (vec![Self { events: vec![], ..self }], MAX_MESSAGE_BYTES - FRAME, 0);
        for event in self.events {
            let size = serde_json::to_string(&event).map_or(usize::MAX, |text| text.len() + 1);
            if size > MAX_MESSAGE_BYTES - FRAME {
                lost += 1;
                continue;
            }
            if size > room {
                parts.push(Self {
                    v: Self::VERSION,
                    key: None,
                    events: vec![],
                    dropped: 0,
                    unknown_tokens: 0,
                });
                room = MAX_MESSAGE_BYTES - FRAME;
            }
            room -= size;
            if let Some(part) = parts.last_mut() {
                part.events.push(event);
            }
        }
        (parts, lost)
    }
}

/// Cuts `text` to at most `max` bytes, at a character's border.
pub fn clip(text: &str, max: usize) -> String {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(crate) mod tests;
