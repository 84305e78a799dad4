//! Tokens of one team at the team's budget.

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Call {
        token: usize,
        micros: u64,
    },
    /// Settles the n-th open call at so many percent of what it reserved.
    Settle {
        nth: usize,
        percent: u64,
    },
    Wait {
        ms: i64,
    },
    /// A token reports what is due.
    Report {
        token: usize,
    },
    /// A token, or the team, begins anew from what was saved.
    Crash {
        token: usize,
    },
    CrashTeam,
    /// A token asks for a slice, and the response is lost.
    Lose {
        token: usize,
        micros: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_usize..10, 1_u64..200).prop_map(|(token, micros)| Step::Call { token, micros }),
        5 => (0_usize..50, 0_u64..=100).prop_map(|(nth, percent)| Step::Settle { nth, percent }),
        2 => (1_i64..12_000).prop_map(|ms| Step::Wait { ms }),
        2 => (0_usize..10).prop_map(|token| Step::Report { token }),
        1 => (0_usize..10).prop_map(|token| Step::Crash { token }),
        1 => Just(Step::CrashTeam),
        1 => (0_usize..10, 1_u64..200).prop_map(|(token, micros)| Step::Lose { token, micros }),
    ];
    proptest::collection::vec(step, 1..200)
}

/// A ledger and what is saved of it.
#[derive(Clone, Default)]
struct Kept(Ledger, Option<String>);

impl Kept {
    fn keep(&mut self, now: UnixMs) {
        if self.0.needs_saving(now) {
            self.0.go_ahead(now);
            self.1 = Some(serde_json::to_string(&self.0).unwrap());
        }
    }

    fn crash(&mut self) {
        self.0 = self.1.as_ref().map(|saved| serde_json::from_str(saved).unwrap()).unwrap_or_default();
    }
}

struct World {
    team: Kept,
    tokens: Vec<Kept>,
    budget: Limits,
    now: UnixMs,
}

impl World {
    fn take(&self, token: usize, call: String, micros: u64) -> Take {
        let team = TeamBudget {
            id: "ops".into(),
            token: format!("tok_{token}").as_str().into(),
            limits: self.budget.clone(),
        };
        Take { call, ask: Ask { tokens: 0, micros }, team: Some(team), ..Take::default() }
    }

    /// Asks the team as the token's object does. Returns whether the token has room now.
    fn ask_team(&mut self, token: usize, take: &Take, is_lost: bool) -> bool {
        let ledger = &mut self.tokens[token].0;
        if !ledger.needs_team(take, self.now) {
            return true;
        }
        let budget = take.team.as_ref().unwrap();
        let report = ledger.report_to(budget, self.now);
        self.tokens[token].keep(self.now);
        let (limits, seq) = (budget.limits.clone(), report.seq);
        let slice = Slice { report, limits, ask: take.ask, need: take.ask, zone: Zone::default() };
        let granted = self.team.0.slice(&slice, self.now);
        self.team.keep(self.now);
        let Ok(granted) = granted else { return false };
        if !is_lost {
            self.tokens[token].0.lent_by_team(seq, &granted, self.now);
        }
        !self.tokens[token].0.needs_team(take, self.now)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Ten tokens, crashes and lost responses: what the team's calls spend never passes its budget by a whole
    /// reservation, and in the end the team has heard of everything.
    #[test]
    fn a_teams_budget_is_passed_by_less_than_one_reservation(steps in steps(), cap in 1_u64..5_000) {
        let budget = Limits { cost_micros_per_month: Some(cap), ..Limits::default() };
        let mut world =
            World { team: Kept::default(), tokens: vec![Kept::default(); 10], budget, now: NOW };
        let (mut open, mut spent, mut largest, mut calls) = (Vec::new(), 0, 0, 0);
        for step in steps {
            match step {
                Step::Call { token, micros } => {
                    calls += 1;
                    let take = world.take(token, calls.to_string(), micros);
                    if world.ask_team(token, &take, false) {
                        let now = world.now;
                        prop_assert!(world.tokens[token].0.take(&take, now).is_ok());
                        world.tokens[token].keep(now);
                        largest = largest.max(micros);
                        open.push((token, take.call, micros));
                    }
                }
                Step::Lose { token, micros } => {
                    let take = world.take(token, String::new(), micros);
                    world.ask_team(token, &take, true);
                }
                Step::Settle { nth, percent } if !open.is_empty() => {
                    let (token, call, micros) = open.remove(nth % open.len());
                    let actual = micros * percent / 100;
                    let settlement = Settlement { tokens: Some(0), micros: Some(actual) };
                    let now = world.now;
                    world.tokens[token].0.settle(&call, settlement, now);
                    world.tokens[token].keep(now);
                    spent += actual;
                }
                Step::Settle { .. } => {}
                Step::Wait { ms } => world.now += ms,
                Step::Report { token } => {
                    let now = world.now;
                    if let Some((_, report)) = world.tokens[token].0.report_due(now) {
                        world.tokens[token].keep(now);
                        world.team.0.report(&report, now);
                        world.team.keep(now);
                    }
                }
                Step::Crash { token } => world.tokens[token].crash(),
                Step::CrashTeam => world.team.crash(),
            }
            prop_assert!(spent < cap + largest.max(1), "{spent} of {cap}, largest {largest}");
        }
        for token in 0..10 {
            let take = world.take(token, String::new(), 0);
            let report = world.tokens[token].0.report_to(take.team.as_ref().unwrap(), world.now);
            world.team.0.report(&report, world.now);
        }
        let held: u64 = open.iter().map(|(_, _, micros)| micros).sum();
        let uses = world.team.0.uses(&world.budget.clone(), Zone::default(), world.now);
        prop_assert!(uses[0].used >= spent && uses[0].used + uses[0].reserved >= spent + held, "{:?}, spent {spent}, held {held}", uses[0]);
    }
}
