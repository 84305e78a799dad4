//! The report of a dry run, as it is sent.

use crate::error::GatewayError;
use crate::id::TokenId;
use crate::limit::{LimitKind, Measure};
use crate::problem::Denial;
use crate::time::UnixMs;
use crate::usage::outcome::Outcome;
use serde::{Deserialize, Serialize};

/// The step at which the gateway refuses a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The access decision.
    Denied(Denial),
    /// The route is closed for maintenance.
    Maintenance,
    /// The body is longer than the token allows.
    BodySize,
    /// A limit is reached.
    Limited(LimitKind),
}

impl Refusal {
    /// Returns the gateway's error.
    pub fn error(self) -> GatewayError {
        match self {
            Self::Denied(denial) => denial.error(),
            Self::Maintenance => GatewayError::UnderMaintenance,
            Self::BodySize => GatewayError::PayloadTooLarge,
            Self::Limited(kind) => kind.measure().error(),
        }
    }

    /// Returns the outcome under which the gateway would record the call.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Denied(denial) => denial.outcome(),
            Self::Maintenance => Outcome::Maintenance,
            Self::BodySize => Outcome::LimitedSize,
            Self::Limited(kind) => match kind.measure() {
                Measure::Rate(_) | Measure::AiTokenRate(_) | Measure::ConcurrentCalls => Outcome::LimitedRate,
                _ => Outcome::LimitedQuota,
            },
        }
    }

    /// Returns the limit that is reached.
    pub fn limit(self) -> Option<LimitKind> {
        match self {
            Self::BodySize => Some(LimitKind::BodyBytes),
            Self::Limited(kind) => Some(kind),
            Self::Denied(_) | Self::Maintenance => None,
        }
    }
}

/// The effect that a change would have had on recorded calls. Nothing was changed.
///
/// Each call is decided twice with the gateway's own function, by the policy in force and by the changed one, both as of
/// now. So a token that ends tomorrow breaks none of last week's calls, and a call that the policy in force refuses
/// already is not counted as broken by the change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "DryRun"))]
pub struct Report {
    /// Start of the period that was looked at, unix ms: 30 days ago.
    pub from: UnixMs,
    /// Time of the oldest call that was looked at, unix ms; `null` if there was none.
    pub back_to: Option<UnixMs>,
    /// Whether these are all recorded calls of the period. Otherwise there are older ones, which were not looked at.
    pub is_whole: bool,
    /// Calls that were looked at, at most 200,000, the newest.
    pub looked_at: u64,
    /// Calls that were let in, that the policy in force lets in, and that the change would refuse.
    pub refused: u64,
    /// Calls that were let in, and that the policy in force refuses as the changed one does.
    pub already_refused: u64,
    /// Calls that were refused, that the policy in force refuses, and that would pass. Of refused calls only the first
    /// 100 of each token and hour are recorded.
    pub admitted: u64,
    /// Calls that were let in, that the policy in force refuses, and that would pass again.
    pub restored: u64,
    /// The calls of `refused` by the step that refuses them, most frequent first.
    pub steps: Vec<RefusedStep>,
    /// The ten most frequent workflows of `refused`.
    pub workflows: Vec<Workflow>,
    /// The gaps that recorded calls leave about this change.
    pub untold: Vec<Untold>,
}

/// Calls that one step would refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusedStep {
    /// The gateway's error code, such as `permission-denied`.
    pub code: String,
    /// Status of the gateway's response.
    pub status: u16,
    /// The outcome under which such calls are recorded, such as `denied-scope`.
    pub outcome: String,
    /// The limit that is reached; `null` for another step.
    pub limit: Option<LimitKind>,
    /// Number of calls.
    pub calls: u64,
    /// When one was last seen, unix ms.
    pub last_at: UnixMs,
}

/// Calls that would be refused, of one token to one path from one client program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Workflow {
    /// The token that called.
    pub token_id: TokenId,
    /// Its name.
    pub token_name: String,
    /// HTTP method, in upper case.
    pub method: String,
    /// Path without its query.
    pub path: String,
    /// The client's `User-Agent`; `null` if it sent none.
    pub user_agent: Option<String>,
    /// The gateway's error code for the newest of these calls.
    pub code: String,
    /// The outcome under which it would be recorded.
    pub outcome: String,
    /// Number of calls.
    pub calls: u64,
    /// When it was last seen, unix ms.
    pub last_at: UnixMs,
    /// Id of the newest of these calls, as `/api/usage/events` lists it.
    pub last_id: String,
    /// Request id of that call.
    pub request_id: String,
}

/// Something that recorded calls cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Untold {
    /// How many calls ran at once: limits are counted as if each call had ended before the next one came.
    ConcurrentCalls,
    /// The use of limits before the oldest call that was looked at: they are counted from zero there.
    EarlierUse,
    /// The use of the team's budget by its other tokens.
    TeamBudget,
}
