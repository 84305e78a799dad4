//! The admin API's contract: every endpoint with its request and response. The API and the UI both
//! use it.

#![warn(missing_docs)]

#[cfg(feature = "schema")]
pub use endpoint::Visitor;
pub(crate) use endpoint::endpoint;
pub use endpoint::{Auth, Body, Endpoint, Row, Terms};
use serde::{Deserialize, Serialize};

pub mod audit;
pub mod canary;
pub mod channels;
pub mod config;
pub mod dashboard;
pub mod dry_run;
pub mod endpoint;
pub mod error;
pub mod import;
pub mod invitations;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod people;
pub mod prices;
pub mod routes;
pub mod teams;
pub mod tokens;
pub mod upkeep;
pub mod usage;

/// One page of a list. Pass `next_cursor` back as `cursor` for the next page; it is absent on the last page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PageOf{T}"))]
pub struct Page<T> {
    /// Items of this page, at most `limit`.
    pub items: Vec<T>,
    /// Position of the next page. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The number of items on all pages; absent in lists that are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// Returns the number of items if this first page is the only one.
    pub fn only(&self, is_first: bool) -> Option<u64> {
        let is_only = is_first && self.next_cursor.is_none();
        is_only.then(|| u64::try_from(self.items.len()).unwrap_or(u64::MAX))
    }
}

/// The number of items on a page if `limit` is absent.
pub const DEFAULT_LIMIT: u32 = 50;
/// The largest `limit` accepted.
pub const MAX_LIMIT: u32 = 200;

/// Whether a change has reached KV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Propagation {
    /// KV has taken it; every location shows it within about a minute.
    Published,
    /// KV has not taken it yet; it is retried until it does. The response's status is 202.
    Pending,
}

endpoint!(
    /// Reports that the Worker runs. It touches no store.
    GetHealth, "GET", "/health", None, 200, () => domain::health::Health
);

endpoint!(
    /// Returns this document (OpenAPI 3.1).
    GetOpenApi, "GET", "/openapi.json", None, 200, () => serde_json::Value
);
endpoint!(
    /// Returns this document as a page for people.
    GetDocs, "GET", "/docs", None, 200, () => String,
    media: "text/html"
);

macro_rules! endpoints {
    ($($endpoint:ty),+ $(,)?) => {
        /// Every endpoint. The router is checked against this list.
        pub const ENDPOINTS: &[Row] = &[$(Row::of::<$endpoint>()),+];

        /// Visits every endpoint with its types.
        #[cfg(feature = "schema")]
        pub fn visit(visitor: &mut impl Visitor) {
            $(visitor.visit::<$endpoint>();)+
        }
    };
}

endpoints!(
    GetHealth,
    tokens::CreateToken,
    tokens::ListTokens,
    tokens::GetToken,
    tokens::UpdateToken,
    tokens::RevokeToken,
    tokens::DisableToken,
    tokens::EnableToken,
    tokens::RotateToken,
    tokens::EndTokenSecrets,
    tokens::ExtendToken,
    tokens::ExplainToken,
    tokens::FindToken,
    tokens::ListTokenSecrets,
    limits::GetTokenLimits,
    routes::CreateRoute,
    routes::ListRoutes,
    routes::ListTags,
    routes::TestRoute,
    routes::GetRoute,
    routes::UpdateRoute,
    routes::DeleteRoute,
    routes::SetCredential,
    routes::ClearCredential,
    teams::CreateTeam,
    teams::ListTeams,
    teams::GetTeam,
    teams::UpdateTeam,
    teams::DeleteTeam,
    teams::ListMembers,
    people::GetMe,
    people::ListPeople,
    people::SetTeamRole,
    people::AddMembership,
    people::RemoveMembership,
    people::SyncPeople,
    invitations::CreateInvitation,
    invitations::ListInvitations,
    invitations::RevokeInvitation,
    invitations::ResendInvitation,
    invitations::TakeWebhook,
    keys::CreateKey,
    keys::ListKeys,
    keys::GetKey,
    keys::RotateKey,
    keys::RevokeKey,
    import::Import,
    audit::ListAudit,
    audit::ExportAudit,
    upkeep::GetHealthDetailed,
    metrics::GetMetrics,
    upkeep::ListNotifications,
    upkeep::SnoozeNotification,
    upkeep::GetPublication,
    upkeep::Reconcile,
    canary::GetCanary,
    prices::ListPrices,
    prices::SetPrice,
    prices::DeletePrice,
    channels::CreateChannel,
    channels::ListChannels,
    channels::GetChannel,
    channels::UpdateChannel,
    channels::DeleteChannel,
    channels::TestChannel,
    channels::ListDeliveries,
    dashboard::GetOverview,
    dashboard::GetCounts,
    dashboard::GetHome,
    usage::GetUsageStats,
    usage::GetTokenUsage,
    usage::GetRouteUsage,
    usage::GetTeamUsage,
    usage::ExploreUsage,
    usage::ListTokenUsage,
    usage::ListRouteUsage,
    usage::ListLabelUsage,
    usage::ListEvents,
    usage::ExportEvents,
    usage::LogUsage,
    usage::GetOwnUsage,
    usage::GetOwnRecentCalls,
    config::GetConfig,
    config::SendConfig,
    config::GetConfigSchema,
    GetOpenApi,
    GetDocs,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_filled_in_and_escaped() {
        assert_eq!(tokens::GetToken::path(&["a b/c"]), "/api/tokens/a%20b%2Fc");
        assert_eq!(GetHealth::path(&[]), "/health");
    }

    #[test]
    fn no_two_endpoints_share_method_and_pattern() {
        for (i, Row { method, pattern, .. }) in ENDPOINTS.iter().enumerate() {
            let is_same = |row: &Row| row.method == *method && row.pattern == *pattern;
            assert!(!ENDPOINTS.iter().skip(i + 1).any(is_same), "{method} {pattern}");
        }
    }

    #[test]
    fn a_restore_refuses_every_change_but_these() {
        let others = ENDPOINTS.iter().filter(|row| row.method != "GET" && !row.terms.is_change);
        let others: Vec<_> = others.map(|row| row.pattern).collect();
        assert_eq!(
            others,
            [
                "/api/tokens/{id}/explain",
                "/api/tokens/find",
                "/api/routes/{id}/test",
                "/api/notifications/snooze",
                "/api/publication/reconcile",
                "/api/channels/{id}/test",
                "/api/usage-log"
            ]
        );
        assert!(ENDPOINTS.iter().all(|row| row.method != "GET" || !row.terms.is_change));
    }

    #[test]
    fn a_session_is_required_exactly_when_there_is_an_action() {
        for Row { pattern, action, terms, .. } in ENDPOINTS {
            assert_eq!(terms.auth == Auth::Session, action.is_some(), "{pattern}");
        }
    }
}
