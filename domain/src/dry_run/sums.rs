//! The sums of a dry run.

use super::calls::{Calls, Case, Row};
use super::change::Change;
use super::report::{Refusal, RefusedStep, Report, Workflow};
use crate::id::TokenId;
use std::cmp::Reverse;
use std::collections::HashMap;

/// The most workflows in a report.
const MOST_WORKFLOWS: usize = 10;

/// Calls that are refused, of one step or one workflow.
#[derive(Clone, Copy, Debug)]
struct Group {
    calls: u64,
    /// The newest of them, and why it is refused.
    last: Row,
    refusal: Refusal,
}

impl Group {
    /// Counts a call that is newer than the others.
    fn add(&mut self, row: &Row, refusal: Refusal) {
        (self.last, self.refusal) = (*row, refusal);
        self.calls += 1;
    }
}

/// The difference between two policies.
#[derive(Default)]
pub(super) struct Sums {
    report: Report,
    steps: Vec<Group>,
    /// By token, method, path and client program.
    workflows: HashMap<[u32; 4], Group>,
}

impl Sums {
    /// Counts a call with why each policy refuses it; calls come oldest first.
    pub(super) fn add(&mut self, row: &Row, case: &Case, [before, after]: [Option<Refusal>; 2]) {
        let report = &mut self.report;
        report.back_to = report.back_to.or(Some(row.at));
        report.looked_at += 1;
        match (row.was_let_in, before, after) {
            (true, None, Some(refusal)) => {
                report.refused += 1;
                let first = Group { calls: 0, last: *row, refusal };
                match self.steps.iter_mut().find(|step| step.refusal == refusal) {
                    Some(step) => step.add(row, refusal),
                    None => self.steps.push(Group { calls: 1, ..first }),
                }
                let workflow = [case.token, case.method, case.path, case.user_agent];
                self.workflows.entry(workflow).or_insert(first).add(row, refusal);
            }
            (true, Some(_), Some(_)) => report.already_refused += 1,
            (true, Some(_), None) => report.restored += 1,
            (false, Some(_), None) => report.admitted += 1,
            (_, None, None) | (false, _, Some(_)) => {}
        }
    }

    pub(super) fn report(self, calls: &Calls, change: &Change) -> Report {
        let Self { report, mut steps, workflows } = self;
        steps.sort_by_key(|step| (Reverse(step.calls), step.refusal.error().code()));
        let step = |Group { calls, last, refusal }: Group| RefusedStep {
            code: refusal.error().code().to_owned(),
            status: refusal.error().status(),
            outcome: refusal.outcome().as_str().to_owned(),
            limit: refusal.limit(),
            calls,
            last_at: last.at,
        };
        let mut workflows: Vec<([u32; 4], Group)> = workflows.into_iter().collect();
        workflows.sort_by_key(|(key, group)| {
            let [token, method, path, agent] = key.map(|number| calls.text(number));
            (Reverse((group.calls, group.last.at)), path, method, token, agent)
        });
        workflows.truncate(MOST_WORKFLOWS);
        Report {
            from: change.from,
            steps: steps.into_iter().map(step).collect(),
            workflows: workflows
                .into_iter()
                .map(|(key, group)| workflow(calls, key, group, change))
                .collect(),
            ..report
        }
    }
}

fn workflow(calls: &Calls, key: [u32; 4], group: Group, change: &Change) -> Workflow {
    let [token, method, path, agent] = key.map(|number| calls.text(number));
    let token_id = TokenId::from(token);
    let (last_id, request_id) = calls.ids_of(&group.last);
    Workflow {
        token_name: change.after.tokens.get(&token_id).map(|token| token.name.clone()).unwrap_or_default(),
        token_id,
        method: method.to_owned(),
        path: path.to_owned(),
        user_agent: Some(agent.to_owned()).filter(|agent| !agent.is_empty()),
        code: group.refusal.error().code().to_owned(),
        outcome: group.refusal.outcome().as_str().to_owned(),
        calls: group.calls,
        last_at: group.last.at,
        last_id: last_id.to_owned(),
        request_id: request_id.to_owned(),
    }
}
