//! `/api/routes`: requests, responses, and the checks of requests.

use crate::Body;
use crate::tokens::{check_description, check_name, present};
use crate::{Page, Propagation, endpoint};
use domain::access::path::RoutePath;
use domain::access::scope::is_label;
use domain::credential::{Credential, CredentialKind};
use domain::error::FieldError;
use domain::id::RouteId;
use domain::method::Method;
use domain::object::{object, optional_object};
use domain::people::role::Action;
use domain::problem::Invalid;
use domain::secret::Reveal;
use domain::time::UnixMs;
use domain::upstream::address::UpstreamUrl;
use domain::upstream::behaviour::MAX_TIMEOUT_MS;
use domain::upstream::cors::is_origin;
use domain::upstream::settings::{Maintenance, RouteSettings};
use domain::usage::outcome::Outcome;
use serde::{Deserialize, Serialize};

pub const MAX_TAGS: usize = 20;
pub const MAX_METHODS: usize = 20;
pub const MAX_ORIGINS: usize = 20;

endpoint!(
    /// Makes a route. A credential in the same call requires the role that sets credentials.
    CreateRoute, "POST", "/api/routes", Some(Action::WriteRoute), 201, CreateRouteRequest => RouteChanged,
    example: Some(r#"{ "name": "Example", "path": "/api/example", "backend_url": "https://upstream.example/v1", "tags": ["ai"], "credential": { "kind": "bearer", "token": "the vendor's key" } }"#)
);
endpoint!(
    /// Lists routes in the order of their paths; see [`RouteQuery`].
    ListRoutes, "GET", "/api/routes", Some(Action::ReadRoute), 200, RouteQuery => Page<RouteView>);
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
    example: Some(r#"{ "description": "An example", "settings": { "maintenance": { "message": "Back at noon", "retry_after_s": 3600 } } }"#)
);
endpoint!(
    /// Deletes the route and its credential. Refused while another route names it as its second upstream.
    DeleteRoute, "DELETE", "/api/routes/{id}", Some(Action::DeleteRoute), 200, () => RouteChanged,
    if_match: true
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

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct CreateRouteRequest {
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    pub name: String,
    pub path: String,
    pub backend_url: String,
    #[cfg_attr(feature = "schema", schemars(length(max = 500)))]
    #[serde(default)]
    pub description: Option<String>,
    #[cfg_attr(feature = "schema", schemars(length(max = 20)))]
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub methods: Vec<String>,
    #[serde(default = "enabled_by_default")]
    pub enabled: bool,
    #[serde(default)]
    pub timeout_ms: Option<u32>,
    #[cfg_attr(feature = "schema", schemars(length(max = 20)))]
    #[serde(default)]
    pub cors_origins: Vec<String>,
    #[serde(default)]
    pub forward_cookies: bool,
    #[serde(default, deserialize_with = "object")]
    pub settings: RouteSettings,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Reveal::reveal")]
    pub credential: Option<Credential>,
}

domain::revealed!(CreateRouteRequest);

fn enabled_by_default() -> bool {
    true
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateRouteRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_url: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<Option<u32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors_origins: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_cookies: Option<bool>,
    /// Replaces all of the route's settings.
    #[serde(default, deserialize_with = "optional_object", skip_serializing_if = "Option::is_none")]
    pub settings: Option<RouteSettings>,
}

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteQuery {
    /// Part of the name or path, any case.
    pub search: Option<String>,
    pub tag: Option<String>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tag {
    pub tag: String,
    pub routes: u32,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TestRouteRequest {
    /// Path below the route's path, such as `/models`; if absent, the route's path itself is called. May
    /// contain a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default)]
    pub method: TestMethod,
}

/// Methods that change nothing (RFC 9110, section 9.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum TestMethod {
    #[default]
    Get,
    Head,
    Options,
}

impl TestMethod {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }
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

/// A request that has passed its checks.
#[derive(Clone, Debug)]
pub struct NewRoute {
    pub name: String,
    pub path: RoutePath,
    pub upstream: UpstreamUrl,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub methods: Vec<Method>,
    pub enabled: bool,
    pub timeout_ms: Option<u32>,
    pub cors_origins: Vec<String>,
    pub forward_cookies: bool,
    pub settings: RouteSettings,
    pub credential: Option<Credential>,
}

/// A change that has passed its checks; `None` leaves a field unchanged.
#[derive(Clone, Debug, Default)]
pub struct RouteChange {
    pub name: Option<String>,
    pub upstream: Option<UpstreamUrl>,
    pub description: Option<Option<String>>,
    pub tags: Option<Vec<String>>,
    pub methods: Option<Vec<Method>>,
    pub enabled: Option<bool>,
    pub timeout_ms: Option<Option<u32>>,
    pub cors_origins: Option<Vec<String>>,
    pub forward_cookies: Option<bool>,
    pub settings: Option<RouteSettings>,
}

impl CreateRouteRequest {
    pub fn validate(self, allow_insecure: bool) -> Result<NewRoute, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = check_name("name", &self.name, &mut errors);
        let path =
            self.path.parse::<RoutePath>().map_err(|why| errors.push(FieldError::new("path", why))).ok();
        let upstream = check_upstream(&self.backend_url, allow_insecure, &mut errors);
        let description = check_description(self.description, &mut errors);
        let tags = check_tags(self.tags, &mut errors);
        let methods = check_methods(&self.methods, &mut errors);
        let timeout_ms = check_timeout(self.timeout_ms, &mut errors);
        let cors_origins = check_origins(self.cors_origins, &mut errors);
        self.settings.check(&mut errors);
        if let Some(credential) = &self.credential {
            check_credential("credential.", credential, allow_insecure, &mut errors);
        }
        match (path, upstream) {
            (Some(path), Some(upstream)) if errors.is_empty() => Ok(NewRoute {
                name,
                path,
                upstream,
                description,
                tags,
                methods,
                enabled: self.enabled,
                timeout_ms,
                cors_origins,
                forward_cookies: self.forward_cookies,
                settings: self.settings,
                credential: self.credential,
            }),
            _ => Err(errors),
        }
    }
}

impl UpdateRouteRequest {
    pub fn validate(self, allow_insecure: bool) -> Result<RouteChange, Vec<FieldError>> {
        let mut errors = Vec::new();
        if let Some(settings) = &self.settings {
            settings.check(&mut errors);
        }
        let change = RouteChange {
            name: self.name.map(|name| check_name("name", &name, &mut errors)),
            upstream: self.backend_url.and_then(|url| check_upstream(&url, allow_insecure, &mut errors)),
            description: self.description.map(|text| check_description(text, &mut errors)),
            tags: self.tags.map(|tags| check_tags(tags, &mut errors)),
            methods: self.methods.map(|methods| check_methods(&methods, &mut errors)),
            enabled: self.enabled,
            timeout_ms: self.timeout_ms.map(|ms| check_timeout(ms, &mut errors)),
            cors_origins: self.cors_origins.map(|origins| check_origins(origins, &mut errors)),
            forward_cookies: self.forward_cookies,
            settings: self.settings,
        };
        if errors.is_empty() { Ok(change) } else { Err(errors) }
    }
}

/// Checks a credential. `prefix` goes before each field's name: `credential.` inside a route, empty otherwise.
pub fn check_credential(
    prefix: &str,
    credential: &Credential,
    allow_insecure: bool,
    errors: &mut Vec<FieldError>,
) {
    if let Err(invalid) = credential.validate(allow_insecure) {
        errors.push(FieldError::new(format!("{prefix}{}", invalid.field), invalid.reason.clone()));
    }
}

fn check_upstream(text: &str, allow_insecure: bool, errors: &mut Vec<FieldError>) -> Option<UpstreamUrl> {
    UpstreamUrl::parse(text, allow_insecure)
        .map_err(|why| errors.push(FieldError::new("backend_url", why)))
        .ok()
}

fn check_tags(tags: Vec<String>, errors: &mut Vec<FieldError>) -> Vec<String> {
    if tags.len() > MAX_TAGS {
        errors.push(FieldError::new("tags", Invalid::TooManyTags { most: MAX_TAGS }));
        return vec![];
    }
    for (i, tag) in tags.iter().enumerate() {
        if !is_label(tag) {
            errors.push(FieldError::new(format!("tags.{i}"), Invalid::Name { most: 64 }));
        }
    }
    tags
}

fn check_methods(texts: &[String], errors: &mut Vec<FieldError>) -> Vec<Method> {
    if texts.len() > MAX_METHODS {
        errors.push(FieldError::new("methods", Invalid::TooManyMethods { most: MAX_METHODS }));
        return vec![];
    }
    let mut methods = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        match text.parse::<Method>() {
            Ok(method) => methods.push(method),
            Err(why) => errors.push(FieldError::new(format!("methods.{i}"), why)),
        }
    }
    methods
}

fn check_timeout(ms: Option<u32>, errors: &mut Vec<FieldError>) -> Option<u32> {
    if ms.is_some_and(|ms| !(1..=MAX_TIMEOUT_MS).contains(&ms)) {
        errors.push(FieldError::new("timeout_ms", Invalid::Range { least: 1, most: MAX_TIMEOUT_MS.into() }));
    }
    ms
}

fn check_origins(origins: Vec<String>, errors: &mut Vec<FieldError>) -> Vec<String> {
    if origins.len() > MAX_ORIGINS {
        errors.push(FieldError::new("cors_origins", Invalid::TooManyOrigins { most: MAX_ORIGINS }));
        return vec![];
    }
    for (i, origin) in origins.iter().enumerate() {
        if !is_origin(origin) {
            errors.push(FieldError::new(format!("cors_origins.{i}"), Invalid::Origin));
        }
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_bad_field_is_named() {
        let request: CreateRouteRequest = serde_json::from_value(json!({
            "name":"", "path":"api/x", "backend_url":"http://127.0.0.1", "tags":["a b"], "methods":["G T"],
            "timeout_ms":0, "cors_origins":["https://a.example/"],
            "settings":{"maintenance":{"message":"","retry_after_s":1}}, "credential":{"kind":"bearer","token":""}}))
        .unwrap();
        let fields: Vec<_> = request.validate(false).unwrap_err().into_iter().map(|e| e.field).collect();
        assert_eq!(
            fields,
            [
                "name",
                "path",
                "backend_url",
                "tags.0",
                "methods.0",
                "timeout_ms",
                "cors_origins.0",
                "settings.maintenance.message",
                "credential.token"
            ]
        );
    }

    #[test]
    fn a_path_cannot_be_changed() {
        assert!(serde_json::from_value::<UpdateRouteRequest>(json!({"path":"/api/y"})).is_err());
    }
}
