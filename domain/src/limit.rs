//! Limits: how much a token may use, and the ledger that decides call by call.
//!
//! Each limit is one row of `limits!`. Its field, its name on the wire, its bound and its measure follow
//! from the row; so do its check, its default, its counting, its error and its place in the UI.

use crate::error::{FieldError, GatewayError};
use crate::problem::Invalid;
use crate::stored::{Unread, stored, whole};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use serde::{Deserialize, Serialize, Serializer};

pub mod calendar;
pub mod ledger;
pub mod models;
pub mod pool;
mod window;
pub mod wire;
mod zone;

/// The most calls of any window, and of AI tokens.
pub const MAX_COUNT: u64 = 1_000_000_000_000;
/// The most calls at once.
pub const MAX_CONCURRENT: u64 = 1_000;
/// The most money of any window, in micro-dollars: a million dollars.
pub const MAX_MICROS: u64 = 1_000_000_000_000;
/// The largest body that a limit can name, in bytes: Cloudflare's largest plan takes 500 MB.
pub const MAX_BODY_BYTES: u64 = 500_000_000;

/// Reserved for a call whose price is not known beforehand, in micro-dollars.
pub const DEFAULT_CEILING_MICROS: u64 = 1_000_000;
/// Reserved for a call whose length is not known beforehand, in AI tokens.
pub const DEFAULT_CEILING_TOKENS: u64 = 200_000;

/// A period of the calendar, in the time zone of the token's team. Weeks begin on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Period {
    Day,
    Week,
    Month,
}

/// The quantity that a limit bounds, and how it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Calls in a sliding window of so many ms.
    Rate(i64),
    /// Calls in a calendar period.
    Calls(Period),
    /// Calls that have not ended.
    ConcurrentCalls,
    /// AI tokens in a sliding window of so many ms.
    AiTokenRate(i64),
    /// AI tokens in a calendar period.
    AiTokens(Period),
    /// Micro-dollars in a calendar period.
    CostMicros(Period),
    /// Bounds what is reserved for one call; counts nothing.
    AiTokensPerCall,
    /// Micro-dollars that are reserved for a call of unknown cost.
    CostMicrosPerCall,
    /// Bounds one request; counts nothing.
    BodyBytes,
}

impl Measure {
    /// Whether it bounds AI tokens or money. A call that costs neither passes it. For one that does, an amount is
    /// reserved before sending and settled afterwards.
    pub fn is_budget(self) -> bool {
        self.bounds_ai_tokens() || self.bounds_cost()
    }

    /// Whether it bounds AI tokens.
    pub fn bounds_ai_tokens(self) -> bool {
        matches!(self, Self::AiTokenRate(_) | Self::AiTokens(_))
    }

    /// Whether it bounds money.
    pub fn bounds_cost(self) -> bool {
        matches!(self, Self::CostMicros(_))
    }

    /// Returns the length of its sliding window in ms; `None` for a limit without one.
    pub fn window_ms(self) -> Option<i64> {
        match self {
            Self::Rate(ms) | Self::AiTokenRate(ms) => Some(ms),
            _ => None,
        }
    }

    /// Whether it counts calls, including those that cost nothing.
    pub fn counts_calls(self) -> bool {
        matches!(self, Self::Rate(_) | Self::Calls(_) | Self::ConcurrentCalls)
    }

    /// Returns the reservation for a call if the limit is not set; `None` for a limit that reserves nothing.
    pub fn ceiling(self) -> Option<u64> {
        match self {
            Self::AiTokensPerCall => Some(DEFAULT_CEILING_TOKENS),
            Self::CostMicrosPerCall => Some(DEFAULT_CEILING_MICROS),
            _ => None,
        }
    }

    /// Returns the error for a client that has reached the limit.
    pub fn error(self) -> GatewayError {
        match self {
            Self::Rate(_) | Self::AiTokenRate(_) => GatewayError::RateLimitExceeded,
            Self::Calls(_) => GatewayError::QuotaExceeded,
            Self::ConcurrentCalls => GatewayError::TooManyConcurrentCalls,
            Self::AiTokens(_) | Self::AiTokensPerCall => GatewayError::AiTokenQuotaExceeded,
            Self::CostMicros(_) | Self::CostMicrosPerCall => GatewayError::CostQuotaExceeded,
            Self::BodyBytes => GatewayError::PayloadTooLarge,
        }
    }

    /// Returns the seconds that it counts over; `None` for a limit without a span of time.
    pub fn window_s(self) -> Option<u64> {
        match self {
            Self::Rate(ms) | Self::AiTokenRate(ms) => u64::try_from(ms / 1_000).ok(),
            Self::Calls(period) | Self::AiTokens(period) | Self::CostMicros(period) => Some(match period {
                Period::Day => 86_400,
                Period::Week => 7 * 86_400,
                Period::Month => 30 * 86_400,
            }),
            Self::ConcurrentCalls | Self::AiTokensPerCall | Self::CostMicrosPerCall | Self::BodyBytes => None,
        }
    }
}

/// Declares the limits: `field = Kind, "name-on-the-wire", measure, most`.
macro_rules! limits {
    ($($(#[doc = $doc:literal])* $field:ident = $kind:ident, $name:literal, $measure:expr, $most:expr;)+) => {
        /// Limits of a token, or of every token of a team that has none of its own; absent is unlimited.
        ///
        /// Calls per second, minute, hour and day, and AI tokens per minute, are counted in sliding windows. The
        /// others are counted by calendar day, week (from Monday) and month, in the team's time zone.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
        #[serde(remote = "Self", default)]
        pub struct Limits {
            $(
                $(#[doc = $doc])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<u64>,
            )+
            /// The fate of calls while the counter cannot be reached. Default: `deny` if AI tokens or money are
            /// limited, else `allow`.
            #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "schema", schemars(!skip_deserializing))]
            pub on_limit_failure: Option<OnLimitFailure>,
            /// Models that AI calls may name: 1 to 100 characters each, `*` for any, such as `gpt-4o*`; at most 100.
            /// Empty allows every model. Other calls are not bound.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub models: Vec<String>,
            /// Limits of a newer version: kept, and not counted.
            #[serde(flatten, skip_serializing)]
            #[cfg_attr(feature = "schema", schemars(skip))]
            pub unread: Unread,
        }

        /// One limit, by its name on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "kebab-case")]
        #[expect(missing_docs, reason = "named after the fields of `Limits`, which are described")]
        pub enum LimitKind {
            $($kind,)+
        }

        impl LimitKind {
            /// All limits, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Returns the name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// Returns the field of [`Limits`] that holds it.
            pub fn field(self) -> &'static str {
                match self { $(Self::$kind => stringify!($field),)+ }
            }

            /// Returns how it is counted.
            pub fn measure(self) -> Measure {
                match self { $(Self::$kind => $measure,)+ }
            }

            /// Returns the largest value that is accepted; the smallest is 1.
            pub fn most(self) -> u64 {
                match self { $(Self::$kind => $most,)+ }
            }
        }

        impl Limits {
            /// Returns the value of one limit; `None` is unlimited.
            pub fn get(&self, kind: LimitKind) -> Option<u64> {
                match kind { $(LimitKind::$kind => self.$field,)+ }
            }

            /// Sets one limit; `None` is unlimited.
            pub fn set(&mut self, kind: LimitKind, value: Option<u64>) {
                match kind { $(LimitKind::$kind => self.$field = value,)+ }
            }
        }
    };
}

limits! {
    /// Calls in any second.
    calls_per_second = CallsPerSecond, "calls-per-second", Measure::Rate(1_000), MAX_COUNT;
    /// Calls in any minute.
    calls_per_minute = CallsPerMinute, "calls-per-minute", Measure::Rate(MINUTE_MS), MAX_COUNT;
    /// Calls in any hour.
    calls_per_hour = CallsPerHour, "calls-per-hour", Measure::Rate(HOUR_MS), MAX_COUNT;
    /// Calls in any 24 hours.
    calls_per_day = CallsPerDay, "calls-per-day", Measure::Rate(DAY_MS), MAX_COUNT;
    /// Calls in a calendar month.
    calls_per_month = CallsPerMonth, "calls-per-month", Measure::Calls(Period::Month), MAX_COUNT;
    /// Calls at once, 1 to 1000. A call lasts until the last byte of its response.
    concurrent_calls = ConcurrentCalls, "concurrent-calls", Measure::ConcurrentCalls, MAX_CONCURRENT;
    /// Prompt and completion tokens together, in any minute.
    ai_tokens_per_minute = AiTokensPerMinute, "ai-tokens-per-minute", Measure::AiTokenRate(MINUTE_MS), MAX_COUNT;
    /// Prompt and completion tokens together.
    ai_tokens_per_day = AiTokensPerDay, "ai-tokens-per-day", Measure::AiTokens(Period::Day), MAX_COUNT;
    /// Prompt and completion tokens together.
    ai_tokens_per_week = AiTokensPerWeek, "ai-tokens-per-week", Measure::AiTokens(Period::Week), MAX_COUNT;
    /// Prompt and completion tokens together.
    ai_tokens_per_month = AiTokensPerMonth, "ai-tokens-per-month", Measure::AiTokens(Period::Month), MAX_COUNT;
    /// Micro-dollars.
    cost_micros_per_day = CostMicrosPerDay, "cost-micros-per-day", Measure::CostMicros(Period::Day), MAX_MICROS;
    /// Micro-dollars.
    cost_micros_per_week = CostMicrosPerWeek, "cost-micros-per-week", Measure::CostMicros(Period::Week), MAX_MICROS;
    /// Micro-dollars.
    cost_micros_per_month = CostMicrosPerMonth, "cost-micros-per-month", Measure::CostMicros(Period::Month), MAX_MICROS;
    /// Micro-dollars reserved for a call whose price is not known beforehand; default 1,000,000. They stay spent
    /// if the call's cost is never known.
    cost_micros_per_call = CostMicrosPerCall, "cost-micros-per-call", Measure::CostMicrosPerCall, MAX_MICROS;
    /// AI tokens reserved for a call whose length is not known beforehand; default 200,000. They stay spent if
    /// the call's use is never known.
    ai_tokens_per_call = AiTokensPerCall, "ai-tokens-per-call", Measure::AiTokensPerCall, MAX_COUNT;
    /// Largest request body, in bytes.
    body_bytes = BodyBytes, "body-bytes", Measure::BodyBytes, MAX_BODY_BYTES;
}

// A new limit that counts is not critical: a gateway that does not know it yet bounds the token as before for some minutes,
// and no call fails for it. A limit that replaces a stricter one would be critical, as the models are that it may not call.
stored!(Limits, critical: [models], |limits| {
    limits.on_limit_failure =
        limits.unread.take_known("on_limit_failure").unwrap_or(Some(OnLimitFailure::Deny));
    Ok(())
});

/// For `serialize_with`: limits in a response, without the mark of fields that an older version must not ignore.
pub fn unmarked<S: Serializer>(limits: &Limits, serializer: S) -> Result<S::Ok, S::Error> {
    let known =
        Limits::serialize(limits, serde_json::value::Serializer).map_err(serde::ser::Error::custom)?;
    whole(known, &limits.unread, &[]).serialize(serializer)
}

/// The fate of a limited token's calls while its counter cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum OnLimitFailure {
    Allow,
    Deny,
}

impl Limits {
    /// Returns the limits that are set, each with its value.
    pub fn iter(&self) -> impl Iterator<Item = (LimitKind, u64)> {
        LimitKind::ALL.iter().filter_map(|kind| Some((*kind, self.get(*kind)?)))
    }

    /// Reports each value that is out of range, by field below `prefix`, such as `limits.`.
    pub fn check(&self, prefix: &str, errors: &mut Vec<FieldError>) {
        for (kind, value) in self.iter() {
            let most = kind.most();
            if !(1..=most).contains(&value) {
                errors.push(FieldError::new(
                    format!("{prefix}{}", kind.field()),
                    Invalid::Range { least: 1, most },
                ));
            }
        }
        models::check(&self.models, &format!("{prefix}models"), errors);
        self.unread.refuse(prefix, errors);
    }

    /// Returns these limits, with the team's for each that is not set.
    #[must_use]
    pub fn or(&self, team: &Self) -> Self {
        let mut all = self.clone();
        for (kind, value) in team.iter().filter(|(kind, _)| self.get(*kind).is_none()) {
            all.set(kind, Some(value));
        }
        all.on_limit_failure = self.on_limit_failure.or(team.on_limit_failure);
        if all.models.is_empty() {
            all.models.clone_from(&team.models);
        }
        all.unread = self.unread.or(&team.unread);
        all
    }

    /// Whether AI tokens or money are limited.
    pub fn has_budget(&self) -> bool {
        self.iter().any(|(kind, _)| kind.measure().is_budget())
    }

    /// Whether calls are counted, including those that cost nothing.
    pub fn counts_calls(&self) -> bool {
        self.iter().any(|(kind, _)| kind.measure().counts_calls())
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns these limits written over `stored`; fields that this version does not know stay as they were stored.
    #[must_use]
    pub fn over(self, stored: &Self) -> Self {
        Self { unread: stored.unread.without("on_limit_failure"), ..self }
    }

    /// Returns the fate of calls while the counter cannot be reached, by default if none is set.
    pub fn on_failure(&self) -> OnLimitFailure {
        self.on_limit_failure.unwrap_or(if self.has_budget() {
            OnLimitFailure::Deny
        } else {
            OnLimitFailure::Allow
        })
    }

    /// Whether `after` allows more than these limits, both with the team's defaults.
    ///
    /// A smaller reservation for a call of unknown cost lets a budget be passed by more calls, so it is
    /// looser; without a budget it makes no difference.
    pub fn loosened_by(&self, after: &Self) -> bool {
        LimitKind::ALL.iter().any(|kind| {
            let (was, is) = (self.get(*kind), after.get(*kind));
            match kind.measure().ceiling() {
                Some(default) => self.has_budget() && is.unwrap_or(default) < was.unwrap_or(default),
                None => was.is_some_and(|was| is.is_none_or(|is| is > was)),
            }
        }) || (self.on_failure() == OnLimitFailure::Deny && after.on_failure() == OnLimitFailure::Allow)
            || models::are_widened(&self.models, &after.models)
    }
}

#[cfg(test)]
mod tests;
