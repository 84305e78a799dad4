//! The canary: how soon changes are seen, as each of its runs measures it.

use crate::endpoint;
use domain::canary::{Measure, Run, Timings};
use domain::people::role::Action;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

endpoint!(
    /// Shows how soon changes are seen: the canary makes a token, revokes it and calls the gateway until it has seen both.
    GetCanary, "GET", "/api/canary", Some(Action::ReadPublication), 200, () => Canary
);

/// The times that the canary has measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Canary {
    /// Minutes between two runs; 0 if it is switched off.
    pub every_min: u32,
    /// The last run; `null` before the first.
    pub last: Option<Run>,
    /// Each measure, in a fixed order.
    pub measures: Vec<MeasureFigures>,
    /// The last 24 hours, oldest first, in UTC; hours without a run are left out.
    pub hours: Vec<CanaryHour>,
}

/// The figures of one measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MeasureFigures {
    /// The measure.
    pub measure: Measure,
    /// Its bound in ms, above which the bell rings; `null` while the change feed is switched off.
    pub limit_ms: Option<u32>,
    /// Milliseconds in the last run; `null` if that did not come so far.
    pub last_ms: Option<u32>,
    /// The last 24 hours; `null` without any.
    pub day: Option<CanaryFigures>,
    /// The last 30 days; `null` without any.
    pub month: Option<CanaryFigures>,
}

/// Times of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CanaryFigures {
    /// Number of runs.
    pub runs: u64,
    /// Half of the runs took at most this long, in ms.
    pub p50_ms: u32,
    /// 99 % of the runs did.
    pub p99_ms: u32,
    /// The longest time, in ms.
    pub worst_ms: u32,
}

impl From<&Timings> for CanaryFigures {
    fn from(timings: &Timings) -> Self {
        let percentile = |percent| timings.percentile_ms(percent).unwrap_or(0);
        Self {
            runs: timings.count(),
            p50_ms: percentile(50),
            p99_ms: percentile(99),
            worst_ms: timings.worst_ms(),
        }
    }
}

/// One hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CanaryHour {
    /// Its beginning, unix ms.
    pub at: UnixMs,
    /// Times until a new token was accepted.
    pub new_token: Option<CanaryFigures>,
    /// Times until a revoked token was refused.
    pub revoked: Option<CanaryFigures>,
    /// Times until a call was in usage.
    pub usage: Option<CanaryFigures>,
}
