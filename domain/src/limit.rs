//! What a token may use up, and the ledger that decides call by call.

use crate::error::FieldError;
use crate::stored::{Unread, stored};
use serde::{Deserialize, Serialize};

pub mod ledger;

/// The most calls of any window, and of AI tokens.
pub const MAX_COUNT: u64 = 1_000_000_000_000;
/// The most calls at once.
pub const MAX_CONCURRENT: u32 = 1_000;
/// The most money of any window, in micro-dollars: a million dollars.
pub const MAX_MICROS: u64 = 1_000_000_000_000;
/// The largest body that a limit can name, in bytes: Cloudflare's largest plan takes 500 MB.
pub const MAX_BODY_BYTES: u64 = 500_000_000;

/// Limits of a token, or of every token of a team that has none of its own; absent is unlimited.
///
/// Calls per second, minute, hour and day are counted in sliding windows. Calls per month, AI tokens
/// and money are counted by calendar day and month, UTC, so that everybody knows when they begin anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(remote = "Self", default)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_hour: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_month: Option<u64>,
    /// Calls at once, 1 to 1000. A call lasts until its answer's last byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_calls: Option<u32>,
    /// Prompt and completion tokens together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_tokens_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_tokens_per_month: Option<u64>,
    /// Micro-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micros_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micros_per_month: Option<u64>,
    /// What is reserved for a call whose price or length is not known beforehand, in micro-dollars;
    /// default [`DEFAULT_CEILING_MICROS`]. It stays spent where the call's cost is never known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micros_per_call: Option<u64>,
    /// The same for AI tokens; default [`DEFAULT_CEILING_TOKENS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_tokens_per_call: Option<u64>,
    /// Largest request body, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// What becomes of calls while the counter cannot be reached. Default: `deny` where AI tokens or
    /// money are limited, else `allow`.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(!skip_deserializing))]
    pub on_limit_failure: Option<OnLimitFailure>,
    /// Limits of a newer version: kept, and not counted.
    #[serde(flatten, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub unread: Unread,
}

// A limit bounds use; for the minutes in which a gateway does not know it yet, the token is bounded as it
// was the day before. So a new limit is not critical, and no call fails for it. A limit that takes the
// place of a stricter one would be.
stored!(Limits, critical: [], |limits| {
    limits.on_limit_failure =
        limits.unread.take_known("on_limit_failure").unwrap_or(Some(OnLimitFailure::Deny));
    Ok(())
});

pub const DEFAULT_CEILING_MICROS: u64 = 1_000_000;
pub const DEFAULT_CEILING_TOKENS: u64 = 200_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OnLimitFailure {
    Allow,
    Deny,
}

impl Limits {
    /// What is wrong, by field below `prefix`, such as `limits.`.
    pub fn check(&self, prefix: &str, errors: &mut Vec<FieldError>) {
        let fields = [
            ("calls_per_second", self.calls_per_second, MAX_COUNT),
            ("calls_per_minute", self.calls_per_minute, MAX_COUNT),
            ("calls_per_hour", self.calls_per_hour, MAX_COUNT),
            ("calls_per_day", self.calls_per_day, MAX_COUNT),
            ("calls_per_month", self.calls_per_month, MAX_COUNT),
            ("concurrent_calls", self.concurrent_calls.map(u64::from), MAX_CONCURRENT.into()),
            ("ai_tokens_per_day", self.ai_tokens_per_day, MAX_COUNT),
            ("ai_tokens_per_month", self.ai_tokens_per_month, MAX_COUNT),
            ("cost_micros_per_day", self.cost_micros_per_day, MAX_MICROS),
            ("cost_micros_per_month", self.cost_micros_per_month, MAX_MICROS),
            ("cost_micros_per_call", self.cost_micros_per_call, MAX_MICROS),
            ("ai_tokens_per_call", self.ai_tokens_per_call, MAX_COUNT),
            ("body_bytes", self.body_bytes, MAX_BODY_BYTES),
        ];
        for (field, value, most) in fields {
            if value.is_some_and(|value| !(1..=most).contains(&value)) {
                let reason = match most {
                    1_000 => "must be 1 to 1000",
                    500_000_000 => "must be 1 to 500000000",
                    _ => "must be 1 to 1000000000000",
                };
                errors.push(FieldError::new(format!("{prefix}{field}"), reason));
            }
        }
        self.unread.refuse(prefix, errors);
    }

    /// These limits where they say something, else the team's.
    #[must_use]
    pub fn or(&self, team: &Self) -> Self {
        Self {
            calls_per_second: self.calls_per_second.or(team.calls_per_second),
            calls_per_minute: self.calls_per_minute.or(team.calls_per_minute),
            calls_per_hour: self.calls_per_hour.or(team.calls_per_hour),
            calls_per_day: self.calls_per_day.or(team.calls_per_day),
            calls_per_month: self.calls_per_month.or(team.calls_per_month),
            concurrent_calls: self.concurrent_calls.or(team.concurrent_calls),
            ai_tokens_per_day: self.ai_tokens_per_day.or(team.ai_tokens_per_day),
            ai_tokens_per_month: self.ai_tokens_per_month.or(team.ai_tokens_per_month),
            cost_micros_per_day: self.cost_micros_per_day.or(team.cost_micros_per_day),
            cost_micros_per_month: self.cost_micros_per_month.or(team.cost_micros_per_month),
            cost_micros_per_call: self.cost_micros_per_call.or(team.cost_micros_per_call),
            ai_tokens_per_call: self.ai_tokens_per_call.or(team.ai_tokens_per_call),
            body_bytes: self.body_bytes.or(team.body_bytes),
            on_limit_failure: self.on_limit_failure.or(team.on_limit_failure),
            unread: self.unread.or(&team.unread),
        }
    }

    /// Whether AI tokens or money are limited: then a call is reserved for and settled.
    pub fn has_budget(&self) -> bool {
        self.ai_tokens_per_day.is_some()
            || self.ai_tokens_per_month.is_some()
            || self.cost_micros_per_day.is_some()
            || self.cost_micros_per_month.is_some()
    }

    /// Whether calls are counted, whatever they cost.
    pub fn counts_calls(&self) -> bool {
        self.concurrent_calls.is_some()
            || self.calls_per_second.is_some()
            || self.calls_per_minute.is_some()
            || self.calls_per_hour.is_some()
            || self.calls_per_day.is_some()
            || self.calls_per_month.is_some()
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These limits, written over `stored`: what this version does not know stays as it was stored.
    #[must_use]
    pub fn over(self, stored: &Self) -> Self {
        Self { unread: stored.unread.without("on_limit_failure"), ..self }
    }

    pub fn on_failure(&self) -> OnLimitFailure {
        self.on_limit_failure.unwrap_or(if self.has_budget() {
            OnLimitFailure::Deny
        } else {
            OnLimitFailure::Allow
        })
    }
}
