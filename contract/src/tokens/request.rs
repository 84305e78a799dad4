//! Requests and queries of `/api/tokens`.

use domain::id::TeamId;
use domain::limit::Limits;
use domain::object::{optional_object, present_object};
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateTokenRequest {
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    pub name: String,
    pub team_id: TeamId,
    #[cfg_attr(feature = "schema", schemars(length(max = 500)))]
    #[serde(default)]
    pub description: Option<String>,
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))]
    pub scopes: Vec<String>,
    /// 1 to 3650 days from now; null or absent means that the token never expires.
    #[serde(default)]
    pub expires_days: Option<i64>,
    #[cfg_attr(feature = "schema", schemars(length(max = 50)))]
    #[serde(default)]
    pub ip_allow: Vec<String>,
    /// Limits of the token. Callers who may not loosen limits can set none that is looser than the team's.
    #[serde(default, deserialize_with = "optional_object")]
    pub limits: Option<Limits>,
    /// Whether calls may ask the gateway to inject faults, to test a workflow.
    #[serde(default)]
    pub inject_faults: bool,
}

/// Only the fields that are present change; `null` clears a field that may be empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateTokenRequest {
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Days from now; `null` means that the token never expires.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub expires_days: Option<Option<i64>>,
    #[cfg_attr(feature = "schema", schemars(length(max = 50)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_allow: Option<Vec<String>>,
    /// Replaces all of the token's limits. Loosening one requires MANAGER.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    pub limits: Option<Option<Limits>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject_faults: Option<bool>,
}

/// Distinguishes `null` (`Some(None)`) from absent (`None`).
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateTokenRequest {
    /// Hours for which the current secrets keep working: 0 to 720, default 24.
    #[serde(default)]
    pub grace_hours: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExtendTokenRequest {
    /// 1 to 3650; null means that the token never expires.
    pub days: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    pub method: String,
    /// A path such as `/api/openai/models`; a query is ignored.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
}

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenQuery {
    pub team_id: Option<TeamId>,
    /// Part of the name, any case.
    pub search: Option<String>,
    pub state: Option<StateFilter>,
    pub sort: Option<TokenSort>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StateFilter {
    Active,
    Disabled,
    Revoked,
    Expired,
}

/// A leading `-` means descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TokenSort {
    #[default]
    #[serde(rename = "-created_at")]
    NewestFirst,
    #[serde(rename = "created_at")]
    OldestFirst,
    #[serde(rename = "name")]
    Name,
    #[serde(rename = "-name")]
    NameDescending,
}
