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
    pub calls: u64,
    pub ok: u64,
    pub client_errors: u64,
    pub upstream_errors: u64,
    pub timeouts: u64,
    pub gateway_errors: u64,
    pub denied: u64,
    pub limited: u64,
    /// Successful calls per thousand that reached an upstream; `None` if none did.
    pub success_permille: Option<u64>,
    pub mean_ms: Option<u64>,
    pub p50_ms: Option<u32>,
    pub p95_ms: Option<u32>,
    pub p99_ms: Option<u32>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Prompt tokens of AI calls.
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
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
    #[serde(flatten)]
    pub figures: Figures,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageStats {
    pub from: UnixMs,
    pub to: UnixMs,
    pub interval: Interval,
    /// The time zone of the days.
    pub tz: String,
    pub total: Figures,
    /// Intervals in ascending order; those without calls are left out.
    pub series: Vec<UsageBucket>,
    /// The busiest 50 tokens; [`ListTokenUsage`] has all.
    pub by_token: Vec<TokenUsage>,
    pub by_route: Vec<RouteUsage>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenUsage {
    pub token_id: TokenId,
    /// `None` for a token that is not in the database.
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<UnixMs>,
    #[serde(flatten)]
    pub figures: Figures,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteUsage {
    /// `None` for calls that matched no route.
    pub route_id: Option<RouteId>,
    /// `None` for a route that has been deleted.
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<UnixMs>,
    #[serde(flatten)]
    pub figures: Figures,
}
