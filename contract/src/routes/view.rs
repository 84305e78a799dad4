//! Responses of `/api/routes`.

use crate::Propagation;
use domain::access::path::RoutePath;
use domain::credential::CredentialKind;
use domain::id::RouteId;
use domain::time::UnixMs;
use domain::upstream::settings::{Maintenance, RouteSettings};
use domain::usage::outcome::Outcome;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tag {
    pub tag: String,
    pub routes: u32,
}

/// The result of a test call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteTested {
    /// Address that was called; a credential in the query is left out.
    pub url: String,
    /// The upstream's status; `None` if it sent none.
    pub status: Option<u16>,
    /// Time to the first byte, or to the failure.
    pub latency_ms: u32,
    /// `ok`, `client-error`, `upstream-error`, `unreachable`, `timeout` or
    /// `credential-unavailable`, as in usage reports.
    pub outcome: Outcome,
}

/// A route as people see it. Parts that only the core team may see are absent for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteView {
    pub id: RouteId,
    pub name: String,
    pub path: RoutePath,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub methods: Vec<String>,
    pub enabled: bool,
    /// The text for its callers; present while the route is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamView>,
    /// Fields whose stored value this version cannot read; they show as empty. The route is closed, and
    /// an edit is refused unless it sets each of them. A credential is set by its own endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
    /// Version of the row, which is also the `ETag`.
    pub version: u64,
}

/// The part of a route that only the core team sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpstreamView {
    pub backend_url: String,
    pub timeout_ms: Option<u32>,
    pub cors_origins: Vec<String>,
    pub forward_cookies: bool,
    pub settings: RouteSettings,
    /// `None` if no credential is set.
    pub credential: Option<CredentialView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CredentialView {
    pub kind: CredentialKind,
    /// The origin to which it is sealed.
    pub origin: String,
    pub updated_at: UnixMs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteChanged {
    #[serde(flatten)]
    pub route: RouteView,
    pub propagation: Propagation,
    /// Whether the change of origin dropped a credential that must be set again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub credential_dropped: bool,
}
