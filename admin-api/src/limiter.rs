//! Reads the gateway's counters, one Durable Object for each limited token and for each team with a budget.

use crate::db::limits::InForce;
use crate::request::Call;
use contract::limits::TokenLimits;
use domain::id::TokenId;
use domain::limit::Limits;
use domain::limit::ledger::{Command, LimitUse, Zone};
use edge::limiter::{ask, team_object};
use edge::log::{Source, log};
use worker::Env;

/// Returns how much of a token's limits and of its team's budget is used.
pub async fn standing(env: &Env, source: Source<'_>, token: &TokenId, in_force: InForce) -> TokenLimits {
    let InForce { limits, team, team_budget, zone } = in_force;
    let uses = uses(env, source, token.as_str(), &limits, zone).await;
    let team_uses = self::uses(env, source, &team_object(&team), &team_budget, zone).await;
    TokenLimits { limits, uses, team_budget, team_uses }
}

/// Asks a counter, if there is anything to count.
async fn uses(
    env: &Env,
    source: Source<'_>,
    object: &str,
    limits: &Limits,
    zone: Zone,
) -> Option<Vec<LimitUse>> {
    if !limits.counts_calls() && !limits.has_budget() {
        return Some(vec![]);
    }
    let asked = ask(env, object, &Command::Uses { limits: Box::new(limits.clone()), zone }).await;
    asked.map_err(|cause: String| log(source, "limits' counter cannot be asked", &cause)).ok()
}

/// Empties the counter of a token that is revoked. If that fails, it stays as it is, which allows nothing.
pub async fn forget(call: &Call, token: &TokenId) {
    let asked: Result<bool, String> = ask(&call.env, token.as_str(), &Command::Forget).await;
    if let Err(cause) = asked {
        log(Source::Request(&call.request_id), "limits' counter cannot be emptied", &cause);
    }
}
