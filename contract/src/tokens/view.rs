//! Responses of `/api/tokens`.

use crate::Propagation;
use domain::access::StepResult;
use domain::access::record::TokenState;
use domain::id::{RouteId, TeamId, TokenId, UserId};
use domain::limit::Limits;
use domain::time::UnixMs;
use domain::token::TokenHint;
use serde::{Deserialize, Serialize};

/// The decision that the gateway would make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explanation {
    pub allowed: bool,
    /// All steps, including those after the first denial.
    pub steps: Vec<StepResult>,
    /// The route that matches the path.
    pub route_id: Option<RouteId>,
    pub route_path: Option<String>,
    /// The first scope that covers the call.
    pub scope: Option<String>,
    /// Status of the gateway's response if it denies.
    pub status: Option<u16>,
    pub code: Option<String>,
    /// Whether the data behind this decision has reached KV.
    pub propagation: Propagation,
}

/// A token as people see it. Times are unix ms, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenView {
    pub id: TokenId,
    pub name: String,
    pub team_id: TeamId,
    pub description: Option<String>,
    pub scopes: Vec<String>,
    pub ip_allow: Vec<String>,
    /// The token's own limits; the team's apply for each that is not set.
    pub limits: Limits,
    pub inject_faults: bool,
    /// Fields whose stored value this version cannot read; they show as empty. An edit
    /// is refused unless it sets each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    pub state: TokenState,
    pub expires_at: Option<UnixMs>,
    /// Hint of the newest secret, for display.
    pub hint: Option<TokenHint>,
    pub disabled_by: Option<UserId>,
    pub created_by: Option<UserId>,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
    pub last_used_at: Option<UnixMs>,
    /// Version of the row, which is also the `ETag`.
    pub version: u64,
}

/// The response to a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenChanged {
    #[serde(flatten)]
    pub token: TokenView,
    pub propagation: Propagation,
}

/// The only response that shows a secret. A repeat under the same `Idempotency-Key` has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenCreated {
    /// The plain text, shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(flatten)]
    pub view: TokenView,
    pub propagation: Propagation,
}

/// One secret of a token, without the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretView {
    pub hint: TokenHint,
    pub created_at: UnixMs,
    pub ends_at: Option<UnixMs>,
    /// Time of the last call whose usage event has arrived; `null` if there was none since these times are kept.
    pub last_used_at: Option<UnixMs>,
    /// Whether it has the earlier system's form, which has no check.
    pub legacy: bool,
}
