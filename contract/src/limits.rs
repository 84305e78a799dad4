//! `/api/tokens/{id}/limits`: what a token may use up, and how far it has; and who may change it.

use crate::endpoint;
use domain::error::FieldError;
use domain::limit::ledger::LimitUse;
use domain::limit::{DEFAULT_CEILING_MICROS, DEFAULT_CEILING_TOKENS, Limits, OnLimitFailure};
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

/// Whether more is allowed after the change than before, both with the team's defaults.
///
/// A smaller reservation for a call of unknown cost lets a budget be passed by more calls, so it is
/// looser; without a budget it means nothing.
pub fn loosens(before: &Limits, after: &Limits) -> bool {
    let most = |limits: &Limits| {
        [
            limits.calls_per_second,
            limits.calls_per_minute,
            limits.calls_per_hour,
            limits.calls_per_day,
            limits.calls_per_month,
            limits.concurrent_calls.map(u64::from),
            limits.ai_tokens_per_day,
            limits.ai_tokens_per_month,
            limits.cost_micros_per_day,
            limits.cost_micros_per_month,
            limits.body_bytes,
        ]
    };
    let reserved = |limits: &Limits| {
        [
            limits.cost_micros_per_call.unwrap_or(DEFAULT_CEILING_MICROS),
            limits.ai_tokens_per_call.unwrap_or(DEFAULT_CEILING_TOKENS),
        ]
    };
    let rises = |(before, after): (Option<u64>, Option<u64>)| {
        before.is_some_and(|before| after.is_none_or(|after| after > before))
    };
    most(before).into_iter().zip(most(after)).any(rises)
        || (before.has_budget() && reserved(before).iter().zip(reserved(after)).any(|(b, a)| a < *b))
        || (before.on_failure() == OnLimitFailure::Deny && after.on_failure() == OnLimitFailure::Allow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn is_looser(before: Value, after: Value) -> bool {
        let limits = |value| serde_json::from_value::<Limits>(value).unwrap();
        loosens(&limits(before), &limits(after))
    }

    #[test]
    fn more_none_at_all_and_a_smaller_reservation_are_looser() {
        let budget = json!({"cost_micros_per_day": 5});
        for (before, after) in [
            (json!({"calls_per_day": 5}), json!({"calls_per_day": 6})),
            (json!({"calls_per_day": 5}), json!({})),
            (
                json!({"concurrent_calls": 5, "body_bytes": 9}),
                json!({"concurrent_calls": 5, "body_bytes": 10}),
            ),
            (budget.clone(), json!({"cost_micros_per_day": 5, "cost_micros_per_call": 1})),
            (budget.clone(), json!({"cost_micros_per_day": 5, "on_limit_failure": "allow"})),
        ] {
            assert!(is_looser(before.clone(), after.clone()), "{before} to {after}");
        }
        for (before, after) in [
            (json!({}), json!({"calls_per_day": 6, "cost_micros_per_day": 1, "cost_micros_per_call": 1})),
            (json!({"calls_per_day": 5}), json!({"calls_per_day": 5})),
            (json!({"calls_per_day": 5}), json!({"calls_per_day": 4, "calls_per_hour": 9})),
            (budget.clone(), budget),
        ] {
            assert!(!is_looser(before.clone(), after.clone()), "{before} to {after}");
        }
    }
}
