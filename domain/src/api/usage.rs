//! `/api/usage`: what was called, how often, how fast.

use super::endpoint;
use crate::id::{RouteId, TeamId, TokenId};
use crate::role::Action;
use crate::rollup::Rollup;
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

endpoint!(
    /// Sums over the teams that the caller may see; see [`UsageQuery`].
    GetUsageStats, "GET", "/api/usage/stats", Some(Action::ReadUsage), 200, UsageQuery => UsageStats
);
endpoint!(
    /// A token's own usage, with the token in `X-API-Key`.
    GetOwnUsage, "GET", "/api/usage/me", None, 200, () => OwnUsage
);
endpoint!(
    /// The same, on the path of the earlier system.
    GetOwnRecentCalls, "GET", "/api/usage/test-data", None, 200, () => OwnUsage
);

/// All optional. Times are unix ms or RFC 3339; the default is the last 24 hours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    pub from: Option<String>,
    pub to: Option<String>,
    pub interval: Option<Interval>,
    pub team_id: Option<TeamId>,
    pub token_id: Option<TokenId>,
    pub route_id: Option<RouteId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interval {
    #[default]
    Hour,
    Day,
}

/// The figures that a report shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub calls: u64,
    pub ok: u64,
    pub client_errors: u64,
    pub upstream_errors: u64,
    pub timeouts: u64,
    pub gateway_errors: u64,
    pub denied: u64,
    pub limited: u64,
    /// Calls that ended well per thousand that reached an upstream; `None` where none did.
    pub success_permille: Option<u64>,
    pub mean_ms: Option<u64>,
    pub p50_ms: Option<u32>,
    pub p95_ms: Option<u32>,
    pub p99_ms: Option<u32>,
    pub bytes_in: u64,
    pub bytes_out: u64,
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
        }
    }
}

/// Figures of one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageBucket {
    /// Where it begins.
    pub at: UnixMs,
    #[serde(flatten)]
    pub figures: Figures,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageStats {
    pub from: UnixMs,
    pub to: UnixMs,
    pub interval: Interval,
    pub total: Figures,
    /// Ascending; intervals without calls are left out.
    pub series: Vec<UsageBucket>,
    /// Busiest first.
    pub by_token: Vec<TokenUsage>,
    pub by_route: Vec<RouteUsage>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenUsage {
    pub token_id: TokenId,
    pub name: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteUsage {
    /// `None` for calls that matched no route.
    pub route_id: Option<RouteId>,
    pub path: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
}

/// What a token's holder may see of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnUsage {
    pub token_id: TokenId,
    pub name: String,
    pub expires_at: Option<UnixMs>,
    /// Since the token was made.
    pub total: Figures,
    /// The last ten calls, newest first.
    pub recent: Vec<RecentCall>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentCall {
    pub id: String,
    pub at: UnixMs,
    pub method: String,
    pub path: String,
    pub route_path: Option<String>,
    pub status: u16,
    pub outcome: String,
    pub latency_ms: u32,
    pub request_id: String,
}
