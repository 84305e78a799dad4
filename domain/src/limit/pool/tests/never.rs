//! Whatever happens, no limit is passed.

use super::*;
use crate::time::MINUTE_MS;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Calls one after the other. What they send waits for `Arrive` and `Return` unless `prompt`.
    Calls {
        isolate: usize,
        calls: usize,
        gap: i64,
        micros: u64,
        prompt: bool,
    },
    /// The n-th request arrives at the object.
    Arrive {
        nth: usize,
    },
    /// The n-th response arrives at its isolate.
    Return {
        nth: usize,
    },
    /// The n-th request or response is lost, and the call is given up.
    Lose {
        nth: usize,
    },
    /// The n-th open call ends at so many percent of what it reserved; above 100 it is unknown.
    End {
        nth: usize,
        percent: u64,
    },
    Wait {
        ms: i64,
    },
    /// An isolate sends what it has to report.
    Flush {
        isolate: usize,
    },
    /// The object begins anew from what was saved, on a machine whose clock is behind.
    Crash {
        behind: i64,
    },
    /// The isolate goes with all its calls, each of which may have used all that it reserved.
    Kill {
        isolate: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_usize..3, 1_usize..60, 0_i64..60, 1_u64..50, any::<bool>())
            .prop_map(|(isolate, calls, gap, micros, prompt)| Step::Calls { isolate, calls, gap, micros, prompt }),
        4 => (0_usize..50).prop_map(|nth| Step::Arrive { nth }),
        4 => (0_usize..50).prop_map(|nth| Step::Return { nth }),
        1 => (0_usize..50).prop_map(|nth| Step::Lose { nth }),
        6 => (0_usize..50, 0_u64..130).prop_map(|(nth, percent)| Step::End { nth, percent }),
        3 => (1_i64..6_000).prop_map(|ms| Step::Wait { ms }),
        1 => (0_usize..3).prop_map(|isolate| Step::Flush { isolate }),
        1 => (0_i64..500).prop_map(|behind| Step::Crash { behind }),
        1 => (0_usize..3).prop_map(|isolate| Step::Kill { isolate }),
    ];
    proptest::collection::vec(step, 1..120)
}

fn limits() -> impl Strategy<Value = Limits> {
    let some = |range: std::ops::Range<u64>| proptest::option::of(range);
    (some(1..60), some(10..600), some(10..2_000), some(1..60), some(1..20_000)).prop_map(
        |(second, minute, month, at_once, micros)| Limits {
            calls_per_second: second,
            calls_per_minute: minute,
            calls_per_month: month,
            concurrent_calls: at_once,
            cost_micros_per_month: micros,
            ..Limits::default()
        },
    )
}

struct Isolate {
    pool: Pool,
    clock: i64,
    generation: usize,
}

/// A call that runs: in its isolate's lease, or by itself at the object.
struct Running {
    isolate: usize,
    ask: Ask,
    call: Option<String>,
}

enum Message {
    Take(Box<Take>),
    Report(Report),
    Settle(String, Settlement),
}

/// Something on its way to the object, or back from it with its verdict.
struct Sent {
    isolate: usize,
    generation: usize,
    asked_at: UnixMs,
    message: Message,
    verdict: Option<Result<Granted, Box<Limited>>>,
}

struct World {
    limits: Limits,
    keeper: Keeper,
    behind: i64,
    isolates: Vec<Isolate>,
    sent: Vec<Sent>,
    running: Vec<Running>,
    now: UnixMs,
    calls: u64,
    let_in: Vec<UnixMs>,
    spent: u64,
    largest: u64,
    leases: u64,
}

impl World {
    fn new(limits: Limits) -> Self {
        let isolate = |at: usize| Isolate {
            pool: Pool::new(format!("~{at}")),
            clock: [-3_000, 0, 700][at],
            generation: at,
        };
        Self {
            limits,
            keeper: Keeper::new(),
            behind: 0,
            isolates: (0..3).map(isolate).collect(),
            sent: vec![],
            running: vec![],
            now: NOW,
            calls: 0,
            let_in: vec![],
            spent: 0,
            largest: 0,
            leases: 0,
        }
    }

    fn object_now(&self) -> UnixMs {
        self.now - self.behind
    }

    fn call(&mut self, at: usize, micros: u64) {
        self.calls += 1;
        self.largest = self.largest.max(micros);
        // Every third call costs nothing.
        let costs = self.limits.cost_micros_per_month.is_some() && !self.calls.is_multiple_of(3);
        let ask = Ask { tokens: 0, micros: if costs { micros } else { 0 } };
        let now = self.now + self.isolates[at].clock;
        let pool = &mut self.isolates[at].pool;
        let is_leased = pool.take(1, ask, now).is_some();
        if is_leased {
            self.leases += 1;
            self.let_in.push(self.now);
            if pool.must_settle(ask) {
                self.running.push(Running { isolate: at, ask, call: None });
            }
        }
        let wish = match is_leased {
            true if !pool.is_due(now) => return,
            true => pool.wish(LEASE_MS, now),
            false => pool.wish_for_call(LEASE_MS, now),
        };
        if is_leased && wish.is_none() {
            return;
        }
        let call = if is_leased { String::new() } else { self.calls.to_string() };
        let take = Take { call, limits: self.limits.clone(), ask, wish, ..Take::default() };
        self.send(at, Message::Take(Box::new(take)));
    }

    fn send(&mut self, isolate: usize, message: Message) {
        let Isolate { clock, generation, .. } = self.isolates[isolate];
        let asked_at = self.now + clock;
        self.sent.push(Sent { isolate, generation, asked_at, message, verdict: None });
    }

    fn arrive(&mut self, nth: usize) {
        let now = self.object_now();
        self.keeper.wake(now);
        let Some(sent) = self.sent.get_mut(nth) else { return };
        match &sent.message {
            Message::Take(take) => {
                let verdict = self.keeper.take(take, now);
                if verdict.is_ok() && !take.call.is_empty() {
                    self.let_in.push(self.now);
                }
                sent.verdict = Some(verdict);
            }
            Message::Report(report) => {
                self.keeper.report(report, now);
                self.sent.remove(nth);
            }
            Message::Settle(call, settlement) => {
                self.keeper.settle(call, *settlement, now);
                self.sent.remove(nth);
            }
        }
    }

    fn arrive_back(&mut self, nth: usize) {
        let Sent { isolate, generation, asked_at, message, verdict } = self.sent.remove(nth);
        let (Message::Take(take), Some(verdict)) = (message, verdict) else { return };
        if self.isolates[isolate].generation != generation {
            return;
        }
        let pool = &mut self.isolates[isolate].pool;
        let granted = verdict.unwrap_or_default();
        let call = (!take.call.is_empty()).then_some(take.ask);
        let is_leased = take.wish.as_ref().is_some_and(|wish| {
            pool.granted((wish.report.seq, asked_at), &granted, (1, [&self.limits]), call)
        });
        if call.is_some() && ((is_leased && pool.must_settle(take.ask)) || granted.to_settle) {
            let call = granted.to_settle.then_some(take.call);
            self.running.push(Running { isolate, ask: take.ask, call });
        }
    }

    /// The isolate hears nothing, and lets its call hold nothing.
    fn lose(&mut self, nth: usize) {
        let Sent { isolate, generation, message, .. } = self.sent.remove(nth);
        if self.isolates[isolate].generation != generation {
            return;
        }
        match message {
            Message::Take(take) => {
                if let Some(wish) = &take.wish {
                    self.isolates[isolate].pool.failed(wish.report.seq);
                }
                if !take.call.is_empty() {
                    self.send(isolate, Message::Settle(take.call, Settlement::NOTHING));
                }
            }
            // What is told again and again arrives at last.
            Message::Settle(call, settlement) => self.send(isolate, Message::Settle(call, settlement)),
            Message::Report(report) => self.isolates[isolate].pool.failed(report.seq),
        }
    }

    fn end(&mut self, nth: usize, percent: u64) {
        let Running { isolate, ask, call } = self.running.remove(nth);
        let micros = (percent <= 100).then(|| ask.micros * percent / 100);
        let settlement = Settlement { tokens: None, micros };
        self.spent += micros.unwrap_or(ask.micros);
        match call {
            Some(call) => self.send(isolate, Message::Settle(call, settlement)),
            None => self.isolates[isolate].pool.settle(ask, settlement),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Calls { isolate, calls, gap, micros, prompt } => {
                for _ in 0..calls {
                    let before = self.sent.len();
                    self.call(isolate, micros);
                    if prompt && self.sent.len() > before {
                        self.arrive(before);
                        self.arrive_back(before);
                    }
                    self.now += gap;
                    self.check();
                }
            }
            Step::Arrive { nth } if !self.sent.is_empty() => {
                let nth = nth % self.sent.len();
                if self.sent[nth].verdict.is_none() {
                    self.arrive(nth);
                }
            }
            Step::Return { nth } if !self.sent.is_empty() => {
                let nth = nth % self.sent.len();
                if self.sent[nth].verdict.is_some() {
                    self.arrive_back(nth);
                }
            }
            Step::Lose { nth } if !self.sent.is_empty() => self.lose(nth % self.sent.len()),
            Step::End { nth, percent } if !self.running.is_empty() => {
                self.end(nth % self.running.len(), percent);
            }
            Step::Wait { ms } => {
                self.now += ms;
                self.keeper.wake(self.object_now());
            }
            Step::Flush { isolate } => {
                let now = self.now + self.isolates[isolate].clock;
                let pool = &mut self.isolates[isolate].pool;
                if let Some(report) = pool.flush(pool.seq, now) {
                    self.send(isolate, Message::Report(report));
                }
            }
            Step::Crash { behind } => {
                self.behind += behind;
                self.keeper.crash();
            }
            Step::Kill { isolate } => {
                self.calls += 1;
                let generation = usize::try_from(self.calls).unwrap() + 10;
                self.isolates[isolate].pool = Pool::new(format!("~{generation}"));
                self.isolates[isolate].generation = generation;
                for gone in self.running.extract_if(.., |running| running.isolate == isolate) {
                    self.spent += gone.ask.micros;
                }
            }
            _ => {}
        }
    }

    fn check(&mut self) {
        let within = |ms: i64| self.let_in.iter().rev().take_while(|at| **at > self.now - ms).count() as u64;
        let counts = [
            (self.limits.calls_per_second, within(1_000)),
            (self.limits.calls_per_minute, within(MINUTE_MS)),
            (self.limits.calls_per_month, self.let_in.len() as u64),
        ];
        for (limit, count) in counts {
            assert!(limit.is_none_or(|limit| count <= limit), "{counts:?}");
        }
        if let Some(at_once) = self.limits.concurrent_calls {
            assert!(self.running.len() as u64 <= at_once, "{} of {at_once} at once", self.running.len());
        }
        if let Some(cap) = self.limits.cost_micros_per_month {
            let most = cap + self.largest;
            assert!(self.spent < most.max(1), "{} of {cap} spent, largest {}", self.spent, self.largest);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Three isolates with clocks of their own, messages that come late, in any order or never, crashes of the object
    /// and of isolates at each step: no window ever holds more than its limit, no more calls run at once than may, and
    /// what is spent never passes a budget by a whole reservation.
    #[test]
    fn no_limit_is_ever_passed(limits in limits(), steps in steps()) {
        let mut world = World::new(limits);
        for step in &steps {
            world.step(step);
            world.check();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Calls that come ever faster when a window turns: as leases are used until their last moment, none holds more than
    /// its limit.
    #[test]
    fn no_window_is_passed_under_constant_load(limit in 100_u64..800, gap in 5_i64..60, crash in 0_i64..75_000) {
        let mut world = World::new(Limits { calls_per_minute: Some(limit), ..Limits::default() });
        let mut has_crashed = false;
        while world.now < NOW + 75_000 {
            let gap = if world.now < NOW + 55_000 { gap } else { 5 };
            world.step(&Step::Calls { isolate: 0, calls: 1, gap, micros: 1, prompt: true });
            if !has_crashed && world.now > NOW + crash {
                has_crashed = true;
                world.step(&Step::Crash { behind: 0 });
            }
        }
        prop_assert!(world.leases > limit / 4, "{} leases", world.leases);
        prop_assert!(world.let_in.len() as u64 > limit, "a second window was used");
    }
}

/// A crash makes a block of calls unknown, which counts in a later slot. The calls after it count in their own.
#[test]
fn calls_after_a_crash_count_no_longer_than_a_window() {
    let mut world = World::new(Limits { calls_per_minute: Some(585), ..Limits::default() });
    let calls_until = |world: &mut World, ms: i64| {
        while world.now < NOW + ms {
            world.step(&Step::Calls { isolate: 0, calls: 1, gap: 5, micros: 1, prompt: true });
        }
        world.let_in.len()
    };
    calls_until(&mut world, 10);
    world.step(&Step::Crash { behind: 0 });
    let in_the_first = calls_until(&mut world, 55_000);
    assert!((550..=585).contains(&in_the_first), "{in_the_first}");
    assert!(calls_until(&mut world, 70_000) > in_the_first + 500, "{}", world.let_in.len());
}

#[test]
fn the_random_worlds_do_lease() {
    let mut world = World::new(Limits { calls_per_minute: Some(1_000), ..Limits::default() });
    for _ in 0..5 {
        world.step(&Step::Calls { isolate: 0, calls: 40, gap: 40, micros: 1, prompt: true });
    }
    assert!(world.leases > 150, "{}", world.leases);
}
