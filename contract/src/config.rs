//! `/api/config`: configuration as a file.

mod channel;
mod items;
mod token;

pub use channel::ConfigChannel;
pub use items::{
    CREDENTIAL, TARGET, item_of_channel, item_of_price, item_of_route, item_of_team, item_of_token,
    reference, reference_of_target,
};
pub use token::ConfigToken;

use crate::endpoint;
use crate::error::ApiError;
use crate::prices::SetPriceRequest;
use crate::routes::CreateRouteRequest;
use crate::teams::CreateTeamRequest;
use domain::config::{Fields, Kind, Step};
use domain::people::role::Action;
use serde::{Deserialize, Serialize};

/// The most bytes of a configuration.
pub const MAX_CONFIG_BYTES: usize = 8 * 1_024 * 1_024;

endpoint!(
    /// Exports teams, routes, tokens' policies, prices and channels. A credential is not exported, nor is a channel's
    /// receiver: a reference to a variable stands for it.
    GetConfig, "GET", "/api/config", Some(Action::ReadUpstream), 200, () => ConfigFile
);
endpoint!(
    /// Plans what makes the system equal to a configuration, or does the first part of it. Each step is one change, with
    /// the permission that it requires and its own entry in the audit log. Repeat it with the `digest` of the response
    /// until `left` is 0.
    SendConfig, "POST", "/api/config", Some(Action::ReadUpstream), 200, ConfigRequest => ConfigReport,
    max_body: MAX_CONFIG_BYTES,
    errors: &[ApiError::PreconditionFailed],
    example: Some(r#"{ "mode": "plan", "config": { "version": 1, "teams": [{ "id": "finance", "name": "Finance" }] } }"#)
);
endpoint!(
    /// Returns the JSON Schema of a configuration file, for editors.
    GetConfigSchema, "GET", "/config.schema.json", None, 200, () => serde_json::Value,
    media: "application/schema+json"
);

/// An exported configuration. Fields with their default are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigFile {
    /// Version of the form: 1.
    pub version: u32,
    /// Teams, by id.
    pub teams: Vec<Fields>,
    /// Routes, by path.
    pub routes: Vec<Fields>,
    /// Tokens that are not revoked, by team and name.
    pub tokens: Vec<Fields>,
    /// Prices, by model.
    pub prices: Vec<Fields>,
    /// Channels that the caller may read, by team and name.
    pub channels: Vec<Fields>,
    /// Tokens and channels that are left out because others in their team have the same name, as `team/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A configuration.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the form: 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1)))]
    pub version: u32,
    /// Teams.
    #[serde(default)]
    pub teams: Vec<CreateTeamRequest>,
    /// Routes. The second upstream of one (`settings.failover.route_id`) is named by its path.
    #[serde(default)]
    pub routes: Vec<CreateRouteRequest>,
    /// Tokens, each under a name that no other token of its team has.
    #[serde(default)]
    pub tokens: Vec<ConfigToken>,
    /// Prices of AI models.
    #[serde(default)]
    pub prices: Vec<ConfigPrice>,
    /// Channels of alerts, each under a name that no other channel of its team has.
    #[serde(default)]
    pub channels: Vec<ConfigChannel>,
}

fn enabled_by_default() -> bool {
    true
}

/// The price of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigPrice {
    /// Name of the model, as its vendor's API reports it.
    pub model: String,
    /// Micro-dollars for a million tokens of the prompt.
    pub prompt: u64,
    /// Micro-dollars for a million tokens of the completion.
    pub completion: u64,
    /// Price of prompt tokens read from the vendor's cache; `prompt` if absent.
    #[serde(default)]
    pub cached: Option<u64>,
    /// Price of prompt tokens written to the cache; `prompt` if absent.
    #[serde(default)]
    pub cache_write: Option<u64>,
    /// Source of the price.
    #[serde(default)]
    pub source: String,
}

impl ConfigPrice {
    /// Returns the request that sets it.
    pub fn request(&self) -> SetPriceRequest {
        let Self { prompt, completion, cached, cache_write, source, .. } = self.clone();
        SetPriceRequest { prompt, completion, cached, cache_write, source }
    }
}

/// Whether a configuration is only compared, or applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ConfigMode {
    /// Changes nothing.
    Plan,
    /// Does the first steps.
    Apply,
}

/// A configuration, and what to do with it.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigRequest {
    /// Whether to apply it.
    pub mode: ConfigMode,
    /// The configuration, with the credentials themselves.
    pub config: Config,
    /// Paths of routes that keep the credential that they have.
    #[serde(default)]
    pub kept: Vec<String>,
    /// Whether what an earlier apply has made, and the configuration does not name, is deleted.
    #[serde(default)]
    pub prune: bool,
    /// The `digest` of the plan that is to be carried out. If the plan is another one now, nothing is changed (412).
    #[serde(default)]
    pub digest: Option<String>,
}

/// A step that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepDone {
    /// The kind of its item.
    pub kind: Kind,
    /// The stable name of its item.
    pub key: String,
    /// Why it failed; absent if it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The secret of a token that was made. No other response shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The plan, and what was done of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigReport {
    /// The steps before this request.
    pub steps: Vec<Step>,
    /// The steps that were tried, in their order. The last one may have failed; then none was tried after it.
    pub done: Vec<StepDone>,
    /// Number of steps that are left.
    pub left: usize,
    /// Digest of the steps that are left, for the next request.
    pub digest: String,
}
