//! `/api/tokens/{id}/limits`: the limits of a token, how much of each is used, and who may change them.

use crate::endpoint;
use domain::error::FieldError;
use domain::limit::Limits;
use domain::limit::ledger::LimitUse;
use domain::people::role::Action;
use serde::{Deserialize, Serialize};

endpoint!(
    /// Returns the limits in force, including the team's defaults, and how much of each is used now.
    GetTokenLimits, "GET", "/api/tokens/{id}/limits", Some(Action::ReadToken), 200, () => TokenLimits
);

/// The limits in force for a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenLimits {
    /// The token's own limits, and its team's for each that the token does not set.
    pub limits: Limits,
    /// One entry for each limit that is counted; `null` if the counter cannot be reached.
    pub uses: Option<Vec<LimitUse>>,
}

/// Checks limits and returns them; `null` and an empty object mean none.
pub(crate) fn check_limits(limits: Option<Limits>, errors: &mut Vec<FieldError>) -> Limits {
    let limits = limits.unwrap_or_default();
    limits.check("limits.", errors);
    limits
}
