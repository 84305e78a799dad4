//! Responses of `/api/routes`.

use crate::Propagation;
use domain::access::path::RoutePath;
use domain::credential::CredentialKind;
use domain::credential::pool::ShownPool;
use domain::id::RouteId;
use domain::time::UnixMs;
use domain::upstream::settings::{Maintenance, RouteSettings};
use domain::usage::outcome::Outcome;
use serde::{Deserialize, Serialize};

/// A tag that at least one route carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tag {
    /// The tag, as scopes name it.
    pub tag: String,
    /// Routes that carry it.
    pub routes: u32,
}

/// The result of a test call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteTested {
    /// Address that was called; a credential in the query is left out.
    pub url: String,
    /// The upstream's status; `null` if it sent none.
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
    /// Unique id of the route.
    pub id: RouteId,
    /// 1 to 255 characters, for display.
    pub name: String,
    /// The path that calls to the route begin with. It never changes.
    pub path: RoutePath,
    /// At most 500 characters; `null` if there is none.
    pub description: Option<String>,
    /// Tags that scopes may name, at most 20.
    pub tags: Vec<String>,
    /// Methods that the route takes, in upper case; empty means all.
    pub methods: Vec<String>,
    /// Whether the gateway takes calls to it.
    pub enabled: bool,
    /// The text for its callers; present while the route is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// Upstream and behaviour. Absent for callers outside the core team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamView>,
    /// Fields whose stored value this version cannot read; they show as empty. The route is closed, and
    /// an edit is refused unless it sets each of them. A credential is set by its own endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Unix ms.
    pub created_at: UnixMs,
    /// Time of the last change, unix ms.
    pub updated_at: UnixMs,
    /// Version of the row, which is also the `ETag`.
    pub version: u64,
}

/// The part of a route that only the core team sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpstreamView {
    /// Address of the upstream.
    pub backend_url: String,
    /// Time for the upstream's first byte, in ms; `null` means 100,000.
    pub timeout_ms: Option<u32>,
    /// Origins of browser applications that may call; empty means no CORS.
    pub cors_origins: Vec<String>,
    /// Whether the client's `Cookie` reaches the upstream.
    pub forward_cookies: bool,
    /// AI, failover and maintenance.
    pub settings: RouteSettings,
    /// The credential without its secret; `null` if none is set.
    pub credential: Option<CredentialView>,
}

/// A credential without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CredentialView {
    /// The form in which it is sent.
    pub kind: CredentialKind,
    /// The origin to which it is sealed.
    pub origin: String,
    /// Time at which it was last set, unix ms.
    pub updated_at: UnixMs,
    /// The credentials of a pool; absent for other kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<ShownPool>,
}

/// The response to a change of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteChanged {
    /// The route after the change.
    #[serde(flatten)]
    pub route: RouteView,
    /// Whether KV has taken the change.
    pub propagation: Propagation,
    /// Whether the change of origin dropped a credential that must be set again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub credential_dropped: bool,
}
