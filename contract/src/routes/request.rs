//! Requests and queries of `/api/routes`.

use crate::tokens::present;
use domain::credential::Credential;
use domain::object::{object, optional_object};
use domain::secret::Reveal;
use domain::upstream::settings::RouteSettings;
use serde::{Deserialize, Serialize};

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
