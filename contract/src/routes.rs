//! `/api/routes`: requests, responses, and the checks of requests.

mod check;
mod request;
mod view;

pub use check::{NewRoute, RouteChange, check_credential};
pub use request::{CreateRouteRequest, RouteQuery, TestMethod, TestRouteRequest, UpdateRouteRequest};
pub use view::{CredentialView, RouteChanged, RouteTested, RouteView, Tag, UpstreamView};

use crate::{Body, Page, endpoint};
use domain::credential::Credential;
use domain::people::role::Action;

/// The most tags of a route.
pub const MAX_TAGS: usize = 20;
/// The most methods of a route.
pub const MAX_METHODS: usize = 20;
/// The most origins that a route may admit by CORS.
pub const MAX_ORIGINS: usize = 20;

endpoint!(
    /// Makes a route. A credential in the same call requires the role that sets credentials.
    CreateRoute, "POST", "/api/routes", Some(Action::WriteRoute), 201, CreateRouteRequest => RouteChanged,
    example: Some(r#"{ "name": "Example", "path": "/api/example", "backend_url": "https://upstream.example/v1", "tags": ["ai"], "credential": { "kind": "bearer", "token": "the vendor's key" } }"#)
);
endpoint!(
    /// Lists routes in the order of their paths; see [`RouteQuery`].
    ListRoutes, "GET", "/api/routes", Some(Action::ReadRoute), 200, RouteQuery => Page<RouteView>
);
endpoint!(
    /// Lists every tag with the number of routes that carry it, by name.
    ListTags, "GET", "/api/routes/tags", Some(Action::ReadRoute), 200, () => Page<Tag>
);
endpoint!(
    /// Makes one harmless call to the upstream with the route's credential. Shows status and time, but
    /// neither headers nor body.
    TestRoute, "POST", "/api/routes/{id}/test", Some(Action::TestRoute), 200, TestRouteRequest => RouteTested,
    is_change: false,
    body: Body::Optional,
    example: Some(r#"{ "path": "/models", "method": "GET" }"#)
);
endpoint!(
    /// Returns one route.
    GetRoute, "GET", "/api/routes/{id}", Some(Action::ReadRoute), 200, () => RouteView,
    etag: true
);
endpoint!(
    /// Changes the fields that are given; `path` never changes. A change of origin drops the
    /// credential, which is sealed to the old origin. Honours `If-Match`.
    UpdateRoute, "PUT", "/api/routes/{id}", Some(Action::WriteRoute), 200, UpdateRouteRequest => RouteChanged,
    if_match: true,
    dry_run: true,
    example: Some(r#"{ "description": "An example", "settings": { "maintenance": { "message": "Back at noon", "retry_after_s": 3600 } } }"#)
);
endpoint!(
    /// Deletes the route and its credential. Refused while another route names it as its second upstream.
    DeleteRoute, "DELETE", "/api/routes/{id}", Some(Action::DeleteRoute), 200, () => RouteChanged,
    if_match: true,
    dry_run: true
);
endpoint!(
    /// Sets the credential, sealed to the route and its origin. It is never shown again.
    SetCredential, "PUT", "/api/routes/{id}/credential", Some(Action::SetCredential), 200, Credential => RouteChanged,
    if_match: true,
    example: Some(r#"{ "kind": "header", "name": "x-api-key", "value": "the vendor's key" }"#)
);
endpoint!(
    /// Removes the credential; calls then go out without one.
    ClearCredential, "DELETE", "/api/routes/{id}/credential", Some(Action::SetCredential), 200, () => RouteChanged,
    if_match: true
);
