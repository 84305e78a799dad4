//! The quantities that reports show, compare and rank by.

use super::report::Counts;
use super::rollup::Rollup;
use serde::{Deserialize, Serialize};

/// A quantity of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// All calls.
    #[default]
    Calls,
    /// Calls that were let through and failed.
    Errors,
    /// Calls that were denied or limited.
    Refused,
    /// Cost in micro-dollars.
    Cost,
    /// Prompt and completion tokens of AI calls.
    AiTokens,
    /// Median latency in ms.
    P50,
    /// Latency in ms below which 95 % of the calls lie.
    P95,
    /// Latency in ms below which 99 % of the calls lie.
    P99,
}

impl Metric {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Calls,
        Self::Errors,
        Self::Refused,
        Self::Cost,
        Self::AiTokens,
        Self::P50,
        Self::P95,
        Self::P99,
    ];

    /// Returns the name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Errors => "errors",
            Self::Refused => "refused",
            Self::Cost => "cost",
            Self::AiTokens => "ai_tokens",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    /// Returns its value in some sums; `None` for a latency if no call has one.
    pub fn of(self, sums: &Rollup) -> Option<u64> {
        let latency = |percent| sums.latency.percentile_ms(percent).map(u64::from);
        match self {
            Self::P50 => latency(50),
            Self::P95 => latency(95),
            Self::P99 => latency(99),
            _ => Some(self.rank(sums.into())),
        }
    }

    /// Returns the number that lines are ranked by. Latencies do not add up, so for them it is the number of calls.
    pub fn rank(self, counts: Counts) -> u64 {
        match self {
            Self::Calls | Self::P50 | Self::P95 | Self::P99 => counts.calls,
            Self::Errors => counts.calls.saturating_sub(counts.ok).saturating_sub(counts.refused),
            Self::Refused => counts.refused,
            Self::Cost => counts.cost_micros,
            Self::AiTokens => counts.ai_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_on_the_wire() {
        for metric in Metric::ALL {
            assert_eq!(serde_json::to_string(&metric).unwrap(), format!("\"{}\"", metric.as_str()));
        }
    }
}
