//! Requests and queries of `/api/routes`.

use crate::tokens::present;
use domain::credential::Credential;
use domain::secret::Reveal;
use domain::upstream::settings::RouteSettings;
use serde::{Deserialize, Serialize};

/// A new route.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct CreateRouteRequest {
    /// 1 to 255 characters after trimming, without control characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    pub name: String,
    /// The path that calls to the route begin with, such as `/api/openai`; at most 200 bytes. It never
    /// changes.
    pub path: String,
    /// Address of the upstream, such as `https://api.openai.com/v1`; at most 2,000 bytes.
    pub backend_url: String,
    /// At most 500 characters; an empty text counts as `null`.
    #[cfg_attr(feature = "schema", schemars(length(max = 500)))]
    #[serde(default)]
    pub description: Option<String>,
    /// At most 20 names of 1 to 64 letters, digits, `-`, `_` and `.`, which scopes may name.
    #[cfg_attr(feature = "schema", schemars(length(max = 20)))]
    #[serde(default)]
    pub tags: Vec<String>,
    /// Methods that the route takes, at most 20; empty or absent means all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Whether the gateway takes calls to it; `true` if absent.
    #[serde(default = "enabled_by_default")]
    pub enabled: bool,
    /// Time for the upstream's first byte: 1 to 600,000 ms; null or absent means 100,000.
    #[serde(default)]
    pub timeout_ms: Option<u32>,
    /// Origins of browser applications that may call, such as `https://app.example`, at most 20; empty or
    /// absent means no CORS.
    #[cfg_attr(feature = "schema", schemars(length(max = 20)))]
    #[serde(default)]
    pub cors_origins: Vec<String>,
    /// Whether the client's `Cookie` reaches the upstream; `false` if absent.
    #[serde(default)]
    pub forward_cookies: bool,
    /// AI, failover and maintenance; none if absent.
    #[serde(default)]
    pub settings: RouteSettings,
    /// The credential for the upstream. It is sealed and never shown again; absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Reveal::reveal")]
    pub credential: Option<Credential>,
}

domain::revealed!(CreateRouteRequest);

fn enabled_by_default() -> bool {
    true
}

/// Only the fields that are present change; `null` clears a field that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateRouteRequest {
    /// 1 to 255 characters after trimming, without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address of the upstream, at most 2,000 bytes. Another origin drops the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_url: Option<String>,
    /// At most 500 characters; an empty text counts as `null`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
    /// At most 20 names of 1 to 64 letters, digits, `-`, `_` and `.`. Replaces all tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Methods that the route takes, at most 20; an empty list means all. Replaces all methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// Whether the gateway takes calls to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Time for the upstream's first byte: 1 to 600,000 ms; `null` means 100,000.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<Option<u32>>,
    /// Origins of browser applications that may call, at most 20; an empty list means no CORS. Replaces all
    /// origins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors_origins: Option<Vec<String>>,
    /// Whether the client's `Cookie` reaches the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_cookies: Option<bool>,
    /// Replaces all of the route's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<RouteSettings>,
}

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteQuery {
    /// Part of the name or path, any case.
    pub search: Option<String>,
    /// Only routes that carry this tag.
    pub tag: Option<String>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// A test call; an empty body calls the route's own path with `GET`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TestRouteRequest {
    /// Path below the route's path, such as `/models`; if absent, the route's path itself is called. May
    /// contain a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Method of the test call; `GET` if absent.
    #[serde(default)]
    pub method: TestMethod,
    /// The credential of a pool to test, by its name; the first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// Methods that change nothing (RFC 9110, section 9.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum TestMethod {
    /// `GET`.
    #[default]
    Get,
    /// `HEAD`.
    Head,
    /// `OPTIONS`.
    Options,
}

impl TestMethod {
    /// Returns the name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }
}
