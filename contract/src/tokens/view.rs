//! Responses of `/api/tokens`.

use crate::Propagation;
use domain::access::StepResult;
use domain::access::record::TokenState;
use domain::id::{RouteId, TeamId, TokenId, UserId};
use domain::limit::{LimitKind, Limits, unmarked};
use domain::time::UnixMs;
use domain::token::TokenHint;
use serde::{Deserialize, Serialize};

/// The decision that the gateway would make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explanation {
    /// Whether every step passed, and no limit refuses the call now.
    pub allowed: bool,
    /// All steps, including those after the first denial.
    pub steps: Vec<StepResult>,
    /// The route that matches the path; `null` if none does.
    pub route_id: Option<RouteId>,
    /// Path of that route; `null` if no route matches.
    pub route_path: Option<String>,
    /// The first scope that covers the call; `null` if none does.
    pub scope: Option<String>,
    /// Status of the gateway's response if it denies; `null` if the call is allowed.
    pub status: Option<u16>,
    /// Error code of the gateway's response, such as `permission-denied`; `null` if the call is allowed.
    pub code: Option<String>,
    /// Limits, of the token or of its team's budget, that are used up and refuse the call now; empty too if a counter
    /// cannot be reached.
    #[serde(default)]
    pub limited: Vec<LimitKind>,
    /// Whether the data behind this decision has reached KV.
    pub propagation: Propagation,
}

/// A token as people see it. Times are unix ms, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenView {
    /// Unique id of the token. It is no secret.
    pub id: TokenId,
    /// 1 to 255 characters, for display.
    pub name: String,
    /// The team that the token belongs to.
    pub team_id: TeamId,
    /// At most 500 characters; `null` if there is none.
    pub description: Option<String>,
    /// Rules for the calls that the token may make.
    pub scopes: Vec<String>,
    /// Client networks in CIDR form; empty admits every address.
    pub ip_allow: Vec<String>,
    /// The token's own limits; the team's apply for each that is not set.
    #[serde(serialize_with = "unmarked")]
    pub limits: Limits,
    /// Whether calls may ask the gateway to inject faults, to test a workflow.
    pub inject_faults: bool,
    /// Whether other tokens may be derived from it, narrower and for an hour at most, by those who hold it.
    #[serde(default)]
    pub may_derive: bool,
    /// Fields whose stored value this version cannot read; they show as empty. An edit
    /// is refused unless it sets each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Whether it is active, disabled or revoked. An expired token is `active` here; see `expires_at`.
    pub state: TokenState,
    /// End of its validity; `null` means that it never expires.
    pub expires_at: Option<UnixMs>,
    /// Hint of the newest secret, for display.
    pub hint: Option<TokenHint>,
    /// Id of the person who disabled it; `null` while it is not disabled.
    pub disabled_by: Option<UserId>,
    /// Id of the person who made or imported it.
    pub created_by: Option<UserId>,
    /// Time at which it was made.
    pub created_at: UnixMs,
    /// Time of the last change.
    pub updated_at: UnixMs,
    /// Time of the last call whose usage event has arrived; `null` if there was none.
    pub last_used_at: Option<UnixMs>,
    /// Version of the row, which is also the `ETag`.
    pub version: u64,
}

/// The token that a secret belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FoundToken {
    /// The token; `null` if there is none, or if the caller may not see it.
    pub token: Option<TokenView>,
}

/// The response to a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenChanged {
    /// The token after the change.
    #[serde(flatten)]
    pub token: TokenView,
    /// Whether KV has taken the change.
    pub propagation: Propagation,
}

/// The only response that shows a secret. A repeat under the same `Idempotency-Key` has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenCreated {
    /// The plain text, shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The token that the secret belongs to.
    #[serde(flatten)]
    pub view: TokenView,
    /// Whether KV has taken the secret. The gateway refuses it until then.
    pub propagation: Propagation,
}

/// One secret of a token, without the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretView {
    /// The first 12 hex digits of its hash. Usage events carry the same, so calls can be filtered by it.
    pub id: String,
    /// Its first and last characters, for display.
    pub hint: TokenHint,
    /// Unix ms.
    pub created_at: UnixMs,
    /// End of its validity after a rotation, unix ms; `null` if it works as long as the token does.
    pub ends_at: Option<UnixMs>,
    /// Time of the last call whose usage event has arrived; `null` if there was none since these times are kept.
    pub last_used_at: Option<UnixMs>,
    /// Whether it has the earlier system's form, which has no check.
    pub legacy: bool,
}
