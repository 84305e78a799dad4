//! `/api/usage`: which tokens and routes were called, how often and how fast.

mod call;
mod explore;
mod figures;
mod label;
mod log;
mod query;

pub use call::{CallPage, CallView, OwnUsage, RecentCall};
pub use explore::{
    Compare, Compared, ExploreQuery, Explored, GroupBy, Point, UsageGroup, buckets_of, total_of, value_of,
};
pub use figures::{Figures, RouteUsage, TokenUsage, UsageBucket, UsageStats};
pub use label::{LabelReport, LabelUsage};
pub use log::{LoggedAt, UsageLogRequest, UsageLogged};
pub use query::{EventQuery, LabelQuery, RoutePathQuery, SpanQuery, UsageListQuery, UsageQuery, UsageSort};

use crate::{Auth, Page, endpoint};
use domain::people::role::Action;

endpoint!(
    /// Returns sums over the teams that the caller may see; see [`UsageQuery`].
    GetUsageStats, "GET", "/api/usage/stats", Some(Action::ReadUsage), 200, UsageQuery => UsageStats
);
endpoint!(
    /// Returns one token's sums, split by route.
    GetTokenUsage, "GET", "/api/usage/token/{id}", Some(Action::ReadUsage), 200, SpanQuery => UsageStats
);
endpoint!(
    /// Returns one route's sums, split by token.
    GetRouteUsage, "GET", "/api/usage/route", Some(Action::ReadRoute), 200, RoutePathQuery => UsageStats
);
endpoint!(
    /// Returns one team's sums.
    GetTeamUsage, "GET", "/api/usage/team/{id}", Some(Action::ReadUsage), 200, SpanQuery => UsageStats
);
endpoint!(
    /// Returns the calls of a period, split by token, route or team, and compared with the time before; see
    /// [`ExploreQuery`].
    ExploreUsage, "GET", "/api/usage/explore", Some(Action::ReadUsage), 200, ExploreQuery => Explored
);
endpoint!(
    /// Lists every token that the caller may see, called or not, with its figures.
    ListTokenUsage, "GET", "/api/usage/tokens", Some(Action::ReadUsage), 200, UsageListQuery => Page<TokenUsage>
);
endpoint!(
    /// Lists every route, called or not, with its figures.
    ListRouteUsage, "GET", "/api/usage/routes", Some(Action::ReadRoute), 200, UsageListQuery => Page<RouteUsage>
);
endpoint!(
    /// Lists the labels that calls carried in `X-Workflow`, by token, those with the most calls first; see [`LabelQuery`].
    ListLabelUsage, "GET", "/api/usage/labels", Some(Action::ReadUsage), 200, LabelQuery => LabelReport
);
endpoint!(
    /// Lists single calls, newest first, as long as they are kept; see [`EventQuery`]. One request searches
    /// a bounded number of calls: follow `next_cursor` to search further.
    ListEvents, "GET", "/api/usage/events", Some(Action::ReadUsage), 200, EventQuery => CallPage
);
endpoint!(
    /// Exports single calls as CSV, up to some five million; if there are more, the last line says how to continue.
    /// `limit` and `cursor` are not accepted.
    ExportEvents, "GET", "/api/usage/export", Some(Action::ReadUsage), 200, EventQuery => String,
    media: "text/csv"
);
endpoint!(
    /// Returns a token's own usage; the token goes in `X-API-Key`.
    GetOwnUsage, "GET", "/api/usage/me", None, 200, () => OwnUsage,
    auth: Auth::ApiKey
);
endpoint!(
    /// Returns a token's own usage, on the earlier system's path.
    GetOwnRecentCalls, "GET", "/api/usage/test-data", None, 200, () => OwnUsage,
    auth: Auth::ApiKey
);
endpoint!(
    /// Records a call that another gateway served, in the earlier system's form; signed with
    /// `X-Signature` (see `domain::signature`). A repeat within 15 days counts once: calls with a
    /// `request_id` are compared by it, others by all their fields.
    LogUsage, "POST", "/api/usage-log", None, 202, UsageLogRequest => UsageLogged,
    is_change: false,
    auth: Auth::Signature,
    example: Some(r#"{ "token_hash": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "route": "/api/openai", "timestamp": "2026-11-01T00:00:00Z", "response_status": 200 }"#)
);
