//! A token's policy in a configuration.

use crate::tokens::CreateTokenRequest;
use domain::id::TeamId;
use domain::limit::Limits;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

/// A token's policy. Its name is unique in its team.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigToken {
    /// 1 to 255 characters after trimming, without control characters.
    pub name: String,
    /// The team that the token belongs to.
    pub team_id: TeamId,
    /// At most 500 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// 1 to 100 rules for the calls that the token may make.
    pub scopes: Vec<String>,
    /// Its end, unix ms; it never expires if absent.
    #[serde(default)]
    pub expires_at: Option<UnixMs>,
    /// Client networks in CIDR form or single addresses, at most 50; empty admits every address.
    #[serde(default)]
    pub ip_allow: Vec<String>,
    /// Limits of the token.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// Whether calls may ask the gateway to inject faults.
    #[serde(default)]
    pub inject_faults: bool,
    /// Whether other tokens may be derived from it.
    #[serde(default)]
    pub may_derive: bool,
    /// Whether it works; `true` if absent.
    #[serde(default = "super::enabled_by_default")]
    pub enabled: bool,
}

impl ConfigToken {
    /// Returns the request that makes it, apart from whether it works.
    pub fn request(&self) -> CreateTokenRequest {
        let token = self.clone();
        CreateTokenRequest {
            name: token.name,
            team_id: token.team_id,
            description: token.description,
            scopes: token.scopes,
            expires_days: None,
            expires_at: token.expires_at,
            ip_allow: token.ip_allow,
            limits: token.limits,
            inject_faults: token.inject_faults,
            may_derive: token.may_derive,
        }
    }
}
