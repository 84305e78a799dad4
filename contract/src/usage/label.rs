//! Which labels calls carried.

use domain::id::{TeamId, TokenId};
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

/// The labels of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LabelReport {
    /// Start of the first day (UTC) that is counted, unix ms: later than asked for if the period has too many labels.
    pub from: UnixMs,
    /// End of the last day (UTC) that is counted, exclusive, unix ms.
    pub to: UnixMs,
    /// The number of lines, of which `items` has the first.
    pub lines: u64,
    /// Tokens' labels, those with the most calls first, at most `limit`.
    pub items: Vec<LabelUsage>,
}

/// The calls of one token with one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LabelUsage {
    /// The token that called.
    pub token_id: TokenId,
    /// Current name of the token; `null` if it is not in the database.
    pub token_name: Option<String>,
    /// The team that the token belonged to.
    pub team_id: TeamId,
    /// The label; `null` for all labels after the first 500 of a token and day.
    pub label: Option<String>,
    /// All calls.
    pub calls: u64,
    /// Calls to which the upstream responded with a status below 400.
    pub ok: u64,
    /// Calls that failed, except those that were refused.
    pub errors: u64,
    /// Calls that were denied or met a limit.
    pub refused: u64,
    /// Prompt tokens of AI calls.
    pub prompt_tokens: u64,
    /// Completion tokens of AI calls.
    pub completion_tokens: u64,
    /// Cost in micro-dollars.
    pub cost_micros: u64,
    /// Time of the last call, unix ms.
    pub last_used_at: UnixMs,
}
