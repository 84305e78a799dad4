//! `/api/tokens/{id}/limits`: the limits of a token, how much of each is used, and who may change them.

use crate::endpoint;
use domain::error::FieldError;
use domain::limit::ledger::LimitUse;
use domain::limit::{Limits, unmarked};
use domain::people::role::Action;
use domain::problem::Invalid;
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
    #[serde(serialize_with = "unmarked")]
    pub limits: Limits,
    /// One entry for each limit that is counted; `null` if the counter cannot be reached.
    pub uses: Option<Vec<LimitUse>>,
    /// Limits of the AI tokens and money that the team's tokens use together.
    #[serde(default)]
    pub team_budget: Limits,
    /// One entry for each limit of the team's budget; `null` if its counter cannot be reached.
    #[serde(default)]
    pub team_uses: Option<Vec<LimitUse>>,
}

/// Checks limits and returns them; `null` and an empty object mean none.
pub(crate) fn check_limits(limits: Option<Limits>, errors: &mut Vec<FieldError>) -> Limits {
    let limits = limits.unwrap_or_default();
    limits.check("limits.", errors);
    limits
}

/// Checks a team's budget and returns it: limits that are spent by all of its tokens together.
pub(crate) fn check_budget(budget: Option<Limits>, errors: &mut Vec<FieldError>) -> Limits {
    let budget = budget.unwrap_or_default();
    budget.check("budget.", errors);
    let others = budget.iter().filter(|(kind, _)| !kind.measure().is_budget());
    errors.extend(
        others.map(|(kind, _)| FieldError::new(format!("budget.{}", kind.field()), Invalid::Unknown)),
    );
    if budget.on_limit_failure.is_some() {
        errors.push(FieldError::new("budget.on_limit_failure", Invalid::Unknown));
    }
    if !budget.models.is_empty() {
        errors.push(FieldError::new("budget.models", Invalid::Unknown));
    }
    budget
}
