//! How often a busy token meets its object, and how often that writes.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "small numbers of a simulation"
)]

use super::*;

/// How long a call lasts, in ms.
const CALL_MS: i64 = 300;

/// A response on its way to the isolate.
struct Response {
    arrives: UnixMs,
    asked_at: UnixMs,
    seq: u64,
    granted: Granted,
    call: Option<Ask>,
}

/// One token in one isolate.
struct Simulation<'a> {
    keeper: Keeper,
    pool: Pool,
    limits: &'a Limits,
    ask: Ask,
    latency_ms: i64,
    calls: u32,
    responses: Vec<Response>,
    /// Ends of calls: in the lease, or by their id at the object.
    ends: Vec<(UnixMs, Option<String>)>,
    /// Looks at whether something is to be reported.
    flushes: Vec<(UnixMs, u64)>,
}

impl Simulation<'_> {
    /// Lets everything happen that is due.
    fn advance(&mut self, now: UnixMs) {
        self.keeper.wake(now);
        let arrived: Vec<Response> = self.responses.extract_if(.., |sent| sent.arrives <= now).collect();
        for Response { asked_at, seq, granted, call, .. } in arrived {
            self.pool.granted((seq, asked_at), &granted, (1, [self.limits]), call);
            self.plan(now);
        }
        let used = Settlement { tokens: Some(self.ask.tokens / 2), micros: Some(self.ask.micros / 2) };
        let ended: Vec<_> = self.ends.extract_if(.., |(at, _)| *at <= now).collect();
        for (at, call) in ended {
            if let Some(call) = call {
                self.keeper.settle(&call, used, at);
            } else {
                self.pool.settle(self.ask, used);
                self.plan(now);
            }
        }
        let due: Vec<_> = self.flushes.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, seq) in due {
            if let Some(report) = self.pool.flush(seq, now) {
                self.keeper.report(&report, now);
            }
        }
    }

    fn plan(&mut self, now: UnixMs) {
        self.flushes.extend(self.pool.plan_flush(now).map(|(seq, ms)| (now + ms, seq)));
    }

    fn call(&mut self, now: UnixMs) {
        self.calls += 1;
        let is_leased = self.pool.take(1, self.ask, now).is_some();
        let wish = match is_leased {
            true if self.pool.is_due(now) => self.pool.wish(LEASE_MS, now),
            true => None,
            false => self.pool.wish_for_call(LEASE_MS, now),
        };
        if is_leased && self.pool.must_settle(self.ask) {
            self.ends.push((now + CALL_MS, None));
        }
        if is_leased && wish.is_none() {
            return;
        }
        let call = if is_leased { String::new() } else { self.calls.to_string() };
        let seq = wish.as_ref().map(|wish| wish.report.seq);
        let take =
            Take { call: call.clone(), limits: self.limits.clone(), ask: self.ask, wish, ..Take::default() };
        let granted = self.keeper.take(&take, now + self.latency_ms / 2).unwrap();
        let holds = !self.ask.is_zero() || self.limits.concurrent_calls.is_some();
        if granted.to_settle {
            self.ends.push((now + CALL_MS, Some(call)));
        } else if !is_leased && holds {
            self.ends.push((now + CALL_MS, None));
        }
        let arrives = now + self.latency_ms;
        let call = (!is_leased).then_some(self.ask);
        self.responses.extend(seq.map(|seq| Response { arrives, asked_at: now, seq, granted, call }));
    }
}

/// Returns object requests and rows written, a call, at a pace, after the first seconds.
fn cost_of(per_second: i64, limits: &Limits, ask: Ask, latency_ms: i64, at_random: bool) -> (f64, f64) {
    let (responses, ends, flushes) = (vec![], vec![], vec![]);
    let (keeper, pool) = (Keeper::new(), Pool::new("~1".to_owned()));
    let mut world = Simulation { keeper, pool, limits, ask, latency_ms, calls: 0, responses, ends, flushes };
    let (mut passed, mut seed, mut cold) = (0.0, 7_u64, None);
    let seconds = if per_second > 10 { 60.0 } else { 600.0 };
    while passed < seconds * 1_000.0 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = ((seed >> 33) as f64 + 1.0) / f64::from(1_u32 << 31);
        passed += 1_000.0 / per_second as f64 * if at_random { -random.min(1.0).ln() } else { 1.0 };
        let now = NOW + passed as i64;
        if cold.is_none() && passed > 5_000.0 {
            cold = Some((world.keeper.requests, world.keeper.rows, world.calls));
        }
        world.advance(now);
        world.call(now);
    }
    let (requests, rows, before) = cold.unwrap();
    let calls = f64::from(world.calls - before);
    ((world.keeper.requests - requests) as f64 / calls, (world.keeper.rows - rows) as f64 / calls)
}

#[test]
fn a_busy_token_seldom_meets_its_object() {
    let plenty = [
        Limits { calls_per_day: Some(100_000_000), ..Limits::default() },
        Limits { calls_per_second: Some(5_000), calls_per_month: Some(100_000_000), ..Limits::default() },
        Limits { calls_per_day: Some(100_000_000), concurrent_calls: Some(1_000), ..Limits::default() },
        Limits { cost_micros_per_month: Some(100_000_000_000), ..Limits::default() },
    ];
    let most = [(1, 0.6, 0.25), (10, 0.15, 0.06), (100, 0.04, 0.01), (1_000, 0.015, 0.001)];
    for (at, limits) in plenty.iter().enumerate() {
        let ask = Ask { tokens: 0, micros: if at == 3 { 10_000 } else { 0 } };
        for (per_second, requests, rows) in most {
            for (latency_ms, at_random) in [(10, false), (60, false), (10, true), (60, true)] {
                let (asked, written) = cost_of(per_second, limits, ask, latency_ms, at_random);
                // Calls that come at random cost a little more.
                let more = if at_random { 1.1 } else { 1.0 };
                assert!(
                    asked <= requests * more && written <= rows * more,
                    "limits {at}, {per_second} calls/s: {asked:.4} requests, {written:.5} rows"
                );
            }
        }
    }
}
