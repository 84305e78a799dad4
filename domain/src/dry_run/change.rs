//! A change of a policy, and the decisions by both.

use super::calls::{Calls, Case, Row};
use super::report::{Refusal, Untold};
use crate::access::path::{EXCHANGE_PATH, RequestPath};
use crate::access::record::{TokenRecord, TokenState};
use crate::access::{Call, decide};
use crate::call::plan::{Request, metered};
use crate::id::{RouteId, TokenId};
use crate::limit::{LimitKind, Limits};
use crate::problem::Denial;
use crate::route::RouteTable;
use crate::time::UnixMs;
use std::collections::HashMap;
use std::sync::Arc;

/// A policy: everything but the call itself that decides about a call.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The routes.
    pub table: Arc<RouteTable>,
    /// Tokens by their id. Calls of others are not looked at.
    pub tokens: HashMap<TokenId, Arc<TokenRecord>>,
}

/// The subject of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One token, all of whose calls are taken in.
    Token,
    /// A team, all of whose tokens' calls are taken in.
    Team,
    /// A route. Calls that neither policy leads to it do not count, unless the change leads them elsewhere.
    Route(RouteId),
}

/// A change to try.
#[derive(Clone, Debug)]
pub struct Change {
    /// The subject.
    pub subject: Subject,
    /// The policy in force.
    pub before: Policy,
    /// The changed one.
    pub after: Policy,
    /// The time of the decisions, unix ms.
    pub now: UnixMs,
    /// Start of the period that is looked at, unix ms.
    pub from: UnixMs,
}

impl Change {
    /// Returns the limits that a token's calls are counted by.
    fn limits<'a>(&self, token: &'a TokenRecord) -> [Option<&'a Limits>; 2] {
        [Some(&token.limits), (self.subject == Subject::Team).then_some(&token.team_budget)]
    }

    /// Whether the change is one of limits. Otherwise the calls that they refuse stay about the same, and are not counted
    /// again.
    pub(super) fn changes_limits(&self) -> bool {
        let is_active = |token: &TokenRecord| token.state == TokenState::Active;
        let is_other = |before: &TokenRecord, after: &TokenRecord| {
            self.limits(before) != self.limits(after) || before.zone != after.zone
        };
        let changes = |(id, after): (&TokenId, &Arc<TokenRecord>)| {
            let before = self.before.tokens.get(id);
            before.is_some_and(|before| is_active(before) && is_active(after) && is_other(before, after))
        };
        !matches!(self.subject, Subject::Route(_)) && self.after.tokens.iter().any(changes)
    }

    /// Returns what recorded calls cannot tell about a change of limits.
    pub(super) fn untold(&self) -> Vec<Untold> {
        let any = |is: fn(&TokenRecord) -> bool| self.after.tokens.values().any(|token| is(token));
        let is_at_once = any(|token| token.limits.get(LimitKind::ConcurrentCalls).is_some());
        let is_shared = self.subject == Subject::Token && any(|token| token.team_budget.has_budget());
        [
            is_at_once.then_some(Untold::ConcurrentCalls),
            Some(Untold::EarlierUse),
            is_shared.then_some(Untold::TeamBudget),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Decides a case by both policies; `None` if it does not count.
    pub(super) fn decide(&self, calls: &Calls, case: &Case) -> Option<[Verdict; 2]> {
        // The exchange itself goes to no route.
        if case.is_derived && calls.text(case.path) == EXCHANGE_PATH {
            return None;
        }
        let path = RequestPath::recorded(calls.text(case.path));
        if let Subject::Route(id) = &self.subject {
            let [before, after] = [&self.before, &self.after]
                .map(|policy| policy.table.find(&path).map(|route| &route.rule.id));
            if before == after && before != Some(id) {
                return None;
            }
        }
        let token = TokenId::from(calls.text(case.token));
        let call = Call {
            method: calls.text(case.method),
            path: &path,
            client_ip: calls.text(case.client_ip).parse().ok(),
            now: self.now,
        };
        let by = |policy: &Policy| Some(Verdict::new(policy, policy.tokens.get(&token)?, &call, case));
        Some([by(&self.before)?, by(&self.after)?])
    }
}

/// The decision about a case, before anything is counted.
pub(super) struct Verdict {
    pub token: Arc<TokenRecord>,
    refusal: Option<Refusal>,
    /// Whether the call would be metered.
    pub is_metered: bool,
}

impl Verdict {
    fn new(policy: &Policy, token: &Arc<TokenRecord>, call: &Call, case: &Case) -> Self {
        let verdict = |refusal, is_metered| Self { token: Arc::clone(token), refusal, is_metered };
        let permit = match decide(token, &policy.table, call) {
            Ok(permit) => permit,
            Err(denial) => return verdict(Some(Refusal::Denied(denial)), false),
        };
        if case.is_derived && !token.may_derive {
            return verdict(Some(Refusal::Denied(Denial::Disabled)), false);
        }
        if permit.route().behaviour.settings.maintenance.is_some() {
            return verdict(Some(Refusal::Maintenance), false);
        }
        let request = Request { method: call.method, path: call.path, is_socket: case.is_socket };
        let second = permit.failover(call.method, &policy.table);
        let is_metered = token.has_budget() && metered(&permit, second.as_ref(), &request).is_some();
        verdict(None, is_metered)
    }

    /// Returns why a call of the case is refused, limits that are counted aside. A body of unknown length passes, since
    /// nothing tells it from none.
    pub(super) fn of(&self, row: &Row) -> Option<Refusal> {
        let is_long = self.token.limits.body_bytes.is_some_and(|most| u64::from(row.bytes_in) > most);
        self.refusal.or(is_long.then_some(Refusal::BodySize))
    }
}
