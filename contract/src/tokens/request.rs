//! Requests and queries of `/api/tokens`.

use domain::id::TeamId;
use domain::limit::Limits;
use domain::time::UnixMs;
use domain::token::TokenHash;
use serde::{Deserialize, Deserializer, Serialize};

/// A new token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateTokenRequest {
    /// 1 to 255 characters after trimming, without control characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    pub name: String,
    /// The team that the token belongs to. It never changes.
    pub team_id: TeamId,
    /// At most 500 characters; an empty text counts as `null`.
    #[cfg_attr(feature = "schema", schemars(length(max = 500)))]
    #[serde(default)]
    pub description: Option<String>,
    /// 1 to 100 rules for the calls that the token may make, such as `openai`, `tag:ai`, `GET /api/echo/*` or
    /// `*`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))]
    pub scopes: Vec<String>,
    /// 1 to 3650 days from now; null or absent means that the token never expires.
    #[serde(default)]
    pub expires_days: Option<i64>,
    /// End of the token, unix ms. Give this or `expires_days`, not both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMs>,
    /// Client networks in CIDR form or single addresses, at most 50; empty admits every address.
    #[cfg_attr(feature = "schema", schemars(length(max = 50)))]
    #[serde(default)]
    pub ip_allow: Vec<String>,
    /// Limits of the token. Callers who may not loosen limits can set none that is looser than the team's.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// Whether calls may ask the gateway to inject faults, to test a workflow.
    #[serde(default)]
    pub inject_faults: bool,
    /// Whether other tokens may be derived from it, narrower and for an hour at most, by those who hold it.
    #[serde(default)]
    pub may_derive: bool,
}

/// Only the fields that are present change; `null` clears a field that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateTokenRequest {
    /// 1 to 255 characters after trimming, without control characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most 500 characters; an empty text counts as `null`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
    /// 1 to 100 scopes, which replace all earlier ones.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// 1 to 3650 days from now; `null` means that the token never expires.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub expires_days: Option<Option<i64>>,
    /// End of the token, unix ms. Give this or `expires_days`, not both.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Option<UnixMs>>,
    /// Client networks, at most 50, which replace all earlier ones; an empty list admits every address.
    #[cfg_attr(feature = "schema", schemars(length(max = 50)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_allow: Option<Vec<String>>,
    /// Replaces all of the token's limits. Loosening one requires MANAGER.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub limits: Option<Option<Limits>>,
    /// Whether calls may ask the gateway to inject faults, to test a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject_faults: Option<bool>,
    /// Whether other tokens may be derived from it, narrower and for an hour at most, by those who hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_derive: Option<bool>,
}

/// Distinguishes `null` (`Some(None)`) from absent (`None`).
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// The conditions of a rotation; an empty body means the defaults.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateTokenRequest {
    /// Hours for which the current secrets keep working: 0 to 720, default 24.
    #[serde(default)]
    pub grace_hours: Option<i64>,
}

/// The extension of a token's expiry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExtendTokenRequest {
    /// 1 to 3650; null means that the token never expires.
    pub days: Option<i64>,
}

/// A call to explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// HTTP method of the call: 1 to 16 letters, any case.
    pub method: String,
    /// A path such as `/api/openai/models`; a query is ignored.
    pub path: String,
    /// IPv4 or IPv6 address of the caller. If absent or empty, an allow-list denies the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
}

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenQuery {
    /// Only tokens of this team.
    pub team_id: Option<TeamId>,
    /// Part of the name, any case; or a whole id; or up to 12 characters that a secret begins with, from `ntk_` on. Never
    /// send a whole secret: it would be in a URL. `POST /api/tokens/find` takes its hash.
    pub search: Option<String>,
    /// Only tokens in this state; all if absent.
    pub state: Option<StateFilter>,
    /// The order; newest first if absent.
    pub sort: Option<TokenSort>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// The hash of a secret, such as one that has leaked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FindTokenRequest {
    /// Lower-case hex SHA-256 of the whole secret.
    pub hash: TokenHash,
}

/// A state to filter by. Each token is in exactly one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StateFilter {
    /// Neither revoked, disabled nor expired.
    Active,
    /// Disabled and not revoked, whether expired or not.
    Disabled,
    /// Revoked permanently.
    Revoked,
    /// Expired, and neither disabled nor revoked.
    Expired,
}

/// A leading `-` means descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TokenSort {
    /// By creation, newest first.
    #[default]
    #[serde(rename = "-created_at")]
    NewestFirst,
    /// By creation, oldest first.
    #[serde(rename = "created_at")]
    OldestFirst,
    /// By name, ascending, any case.
    #[serde(rename = "name")]
    Name,
    /// By name, descending, any case.
    #[serde(rename = "-name")]
    NameDescending,
}
