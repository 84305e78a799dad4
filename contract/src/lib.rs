//! The admin API's contract: every endpoint with its request and response, used by the API and the
//! UI alike.

use domain::people::role::Action;
use serde::{Deserialize, Serialize};

pub mod audit;
pub mod dashboard;
pub mod error;
pub mod import;
pub mod invitations;
pub mod limits;
pub mod people;
pub mod prices;
pub mod routes;
pub mod teams;
pub mod tokens;
pub mod upkeep;
pub mod usage;

/// One endpoint. The API registers [`Endpoint::PATTERN`], clients call [`Endpoint::path`].
pub trait Endpoint {
    const METHOD: &'static str;
    /// Segments in braces are parameters: `/api/tokens/{id}`.
    const PATTERN: &'static str;
    /// The action that the caller must be allowed; `None` if the endpoint asks for no session.
    const ACTION: Option<Action>;
    /// The status of success.
    const STATUS: u16 = 200;
    /// Its description, for people.
    const ABOUT: &'static str;
    type Request;
    type Response;

    /// The pattern with its parameters filled in, in order.
    fn path(parameters: &[&str]) -> String {
        let mut parameters = parameters.iter();
        let fill = |segment: &str| {
            if segment.starts_with('{') {
                let value = parameters.next().copied().unwrap_or_default();
                url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
            } else {
                segment.to_owned()
            }
        };
        Self::PATTERN.split('/').map(fill).collect::<Vec<_>>().join("/")
    }
}

macro_rules! endpoint {
    ($(#[doc = $doc:literal])* $name:ident, $method:literal, $pattern:literal, $action:expr, $status:literal, $request:ty => $response:ty) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $crate::Endpoint for $name {
            const METHOD: &'static str = $method;
            const PATTERN: &'static str = $pattern;
            const ACTION: Option<domain::people::role::Action> = $action;
            const STATUS: u16 = $status;
            const ABOUT: &'static str = concat!($($doc, "\n"),*);
            type Request = $request;
            type Response = $response;
        }
    };
}
pub(crate) use endpoint;

/// One page of a list. `next_cursor` is handed back as `cursor` for the next; absent at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PageOf{T}"))]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The number of items on a page unless `limit` says otherwise, and the most it may say.
pub const DEFAULT_LIMIT: u32 = 50;
pub const MAX_LIMIT: u32 = 200;

/// Whether KV has a change already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Propagation {
    /// KV has taken it; every location shows it within about a minute.
    Published,
    /// KV has not taken it yet; it is retried until it does. The answer's status is 202.
    Pending,
}

endpoint!(
    /// Says that the Worker runs. Touches nothing.
    GetHealth, "GET", "/health", None, 200, () => domain::health::Health
);

endpoint!(
    /// This document (OpenAPI 3.1).
    GetOpenApi, "GET", "/openapi.json", None, 200, () => serde_json::Value
);
endpoint!(
    /// This document, for people.
    GetDocs, "GET", "/docs", None, 200, () => String
);

/// Method, pattern and action of one endpoint, for tables over all of them.
pub type EndpointRow = (&'static str, &'static str, Option<Action>);

const fn row<E: Endpoint>() -> EndpointRow {
    (E::METHOD, E::PATTERN, E::ACTION)
}

/// Is shown every endpoint with its types.
#[cfg(feature = "schema")]
pub trait Visitor {
    fn visit<E: Endpoint>(&mut self)
    where
        E::Request: schemars::JsonSchema + serde::de::DeserializeOwned,
        E::Response: schemars::JsonSchema;
}

/// Whether an endpoint changes something that a restore of the database could lose, and refuses it meanwhile. A
/// reconciliation looks for a restore by itself; logged usage goes into the queue, as the gateway's does.
pub fn is_a_change(method: &str, pattern: &str) -> bool {
    let changes_nothing = pattern.ends_with("/explain")
        || pattern.ends_with("/test")
        || matches!(pattern, "/api/publication/reconcile" | "/api/usage-log");
    method != "GET" && !changes_nothing
}

macro_rules! endpoints {
    ($($endpoint:ty),+ $(,)?) => {
        /// Every endpoint there is. The router is checked against it.
        pub const ENDPOINTS: &[EndpointRow] = &[$(row::<$endpoint>()),+];

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
    tokens::ExtendToken,
    tokens::ExplainToken,
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
    import::Import,
    audit::ListAudit,
    audit::ExportAudit,
    upkeep::GetHealthDetailed,
    upkeep::ListNotifications,
    upkeep::GetPublication,
    upkeep::Reconcile,
    prices::ListPrices,
    prices::SetPrice,
    prices::DeletePrice,
    dashboard::GetOverview,
    dashboard::GetCounts,
    usage::GetUsageStats,
    usage::GetTokenUsage,
    usage::GetRouteUsage,
    usage::GetTeamUsage,
    usage::ListTokenUsage,
    usage::ListRouteUsage,
    usage::ListEvents,
    usage::ExportEvents,
    usage::LogUsage,
    usage::GetOwnUsage,
    usage::GetOwnRecentCalls,
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
        for (i, (method, pattern, _)) in ENDPOINTS.iter().enumerate() {
            assert!(
                !ENDPOINTS.iter().skip(i + 1).any(|(m, p, _)| m == method && p == pattern),
                "{method} {pattern}"
            );
        }
    }
}
