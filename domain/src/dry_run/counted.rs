//! Limits, counted again over recorded calls.

use super::calls::Row;
use crate::access::record::TokenRecord;
use crate::limit::ledger::{Ask, Ledger};
use crate::limit::{DEFAULT_CEILING_MICROS, DEFAULT_CEILING_TOKENS, LimitKind, Limits};
use std::collections::HashMap;

/// The ledgers of one policy: one for each token, and the team's. Calls are counted in the order in which they came, each
/// as if it had ended before the next one.
#[derive(Debug, Default)]
pub(super) struct Counted {
    tokens: HashMap<u32, Ledger>,
    team: Ledger,
}

impl Counted {
    /// Counts a call of a token. Returns the limit that refuses it; then it is not counted.
    ///
    /// A call whose use is not known costs its reservation, as it does in the gateway. One that was refused when it came
    /// has used nothing.
    pub(super) fn refuses(
        &mut self,
        token: u32,
        record: &TokenRecord,
        with_team: bool,
        row: &Row,
        is_metered: bool,
    ) -> Option<LimitKind> {
        let costs = is_metered || row.used.is_some();
        let budget = &record.team_budget;
        let of_team = (with_team && costs && budget.has_budget()).then_some((&mut self.team, budget));
        let counts = record.limits.counts_calls() || (costs && record.limits.has_budget());
        let of_token = counts.then(|| (self.tokens.entry(token).or_default(), &record.limits));
        let mut ledgers: Vec<(&mut Ledger, &Limits)> = of_token.into_iter().chain(of_team).collect();
        let mut reached =
            ledgers.iter_mut().map(|(ledger, limits)| ledger.reaches(limits, record.zone, costs, row.at));
        if let Some(limit) = reached.find_map(|limit| limit) {
            return Some(limit);
        }
        for (ledger, limits) in ledgers {
            ledger.note(limits, used(row, &record.limits), row.at);
        }
        None
    }
}

fn used(row: &Row, limits: &Limits) -> Ask {
    row.used.map_or_else(Ask::default, |used| Ask {
        tokens: used.tokens.map_or(limits.ai_tokens_per_call.unwrap_or(DEFAULT_CEILING_TOKENS), u64::from),
        micros: used.micros.map_or(limits.cost_micros_per_call.unwrap_or(DEFAULT_CEILING_MICROS), u64::from),
    })
}
