//! `/api/tokens/{id}/limits`: what a token may use up, and how far it has; and who may change it.

use crate::endpoint;
use domain::error::FieldError;
use domain::limit::Limits;
use domain::limit::ledger::LimitUse;
use domain::people::role::Action;
use serde::{Deserialize, Serialize};

endpoint!(
    /// The limits in force, the team's defaults included, and how far each is used up now.
    GetTokenLimits, "GET", "/api/tokens/{id}/limits", Some(Action::ReadToken), 200, () => TokenLimits
);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenLimits {
    /// The token's own, and its team's where it has none.
    pub limits: Limits,
    /// One for each limit that is counted; `null` where the counter cannot be asked.
    pub uses: Option<Vec<LimitUse>>,
}

/// Limits that were found acceptable; `null` and an empty object are none.
pub(crate) fn check_limits(limits: Option<Limits>, errors: &mut Vec<FieldError>) -> Limits {
    let limits = limits.unwrap_or_default();
    limits.check("limits.", errors);
    limits
}
