//! Reports: sums over many calls.

use domain::id::{RouteId, TeamId, TokenId};
use domain::time::UnixMs;
use domain::usage::rollup::Rollup;
use domain::usage::span::Interval;
use serde::{Deserialize, Serialize};

/// The figures that a report shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figures {
    /// All calls.
    pub calls: u64,
    /// Calls to which the upstream responded with a status below 400.
    pub ok: u64,
    /// Calls to which the upstream responded with 4xx.
    pub client_errors: u64,
    /// Calls to which the upstream responded with 5xx.
    pub upstream_errors: u64,
    /// Calls for which the upstream's first byte did not arrive in time.
    pub timeouts: u64,
    /// Calls that ended with an error of the gateway itself, such as an unusable credential or maintenance.
    pub gateway_errors: u64,
    /// Calls that were denied: token, address, route, method or scope.
    pub denied: u64,
    /// Calls that met a limit.
    pub limited: u64,
    /// Successful calls per thousand of those that were neither denied nor limited; `null` if there are none of those.
    pub success_permille: Option<u64>,
    /// Mean latency in ms of calls that were neither denied nor limited; `null` if there are none.
    pub mean_ms: Option<u64>,
    /// Median latency in ms of the same calls, within 6.25 %; `null` if there are none.
    pub p50_ms: Option<u32>,
    /// Latency in ms below which 95 % of the same calls lie, within 6.25 %.
    pub p95_ms: Option<u32>,
    /// Latency in ms below which 99 % of the same calls lie, within 6.25 %.
    pub p99_ms: Option<u32>,
    /// Bytes of request bodies whose length was announced.
    pub bytes_in: u64,
    /// Bytes of response bodies whose length was announced.
    pub bytes_out: u64,
    /// Prompt tokens of AI calls.
    pub prompt_tokens: u64,
    /// Completion tokens of AI calls.
    pub completion_tokens: u64,
    /// The part of the prompt tokens that vendors read from their caches.
    pub cached_tokens: u64,
    /// Cost in micro-dollars.
    pub cost_micros: u64,
}

impl From<&Rollup> for Figures {
    fn from(r: &Rollup) -> Self {
        let served = r.served();
        Self {
            calls: r.calls,
            ok: r.ok,
            client_errors: r.client_errors,
            upstream_errors: r.upstream_errors,
            timeouts: r.timeouts,
            gateway_errors: r.gateway_errors,
            denied: r.denied,
            limited: r.limited,
            success_permille: r.ok.saturating_mul(1000).checked_div(served),
            mean_ms: r.latency_sum_ms.checked_div(served),
            p50_ms: r.latency.percentile_ms(50),
            p95_ms: r.latency.percentile_ms(95),
            p99_ms: r.latency.percentile_ms(99),
            bytes_in: r.bytes_in,
            bytes_out: r.bytes_out,
            prompt_tokens: r.prompt_tokens,
            completion_tokens: r.completion_tokens,
            cached_tokens: r.cached_tokens,
            cost_micros: r.cost_micros,
        }
    }
}

/// Figures of one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageBucket {
    /// Start of the interval, unix ms.
    pub at: UnixMs,
    /// Figures of the calls that came in during the interval.
    #[serde(flatten)]
    pub figures: Figures,
}

/// A report on a period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageStats {
    /// Start of the period, unix ms, rounded down to the start of an interval.
    pub from: UnixMs,
    /// End of the period, exclusive, unix ms.
    pub to: UnixMs,
    /// Width of the intervals in `series`.
    pub interval: Interval,
    /// The time zone of the days.
    pub tz: String,
    /// Figures of the whole period.
    pub total: Figures,
    /// Intervals in ascending order; those without calls are left out.
    pub series: Vec<UsageBucket>,
    /// The busiest 50 tokens; `GET /api/usage/tokens` has all.
    pub by_token: Vec<TokenUsage>,
    /// The busiest 50 routes; `GET /api/usage/routes` has all.
    pub by_route: Vec<RouteUsage>,
}

/// Figures of one token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenUsage {
    /// Id of the token.
    pub token_id: TokenId,
    /// Current name of the token; `null` if it is not in the database.
    pub name: Option<String>,
    /// The team that it belongs to; absent in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// Time of its last call, unix ms; absent in reports, and if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<UnixMs>,
    /// Figures of its calls in the period.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Figures of one route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteUsage {
    /// Id of the route; `null` for calls that matched no route.
    pub route_id: Option<RouteId>,
    /// Path of the route; `null` if it has been deleted, and for calls that matched none.
    pub path: Option<String>,
    /// Time of its last call, unix ms; absent in reports, and if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<UnixMs>,
    /// Figures of its calls in the period.
    #[serde(flatten)]
    pub figures: Figures,
}
