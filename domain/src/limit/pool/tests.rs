//! Leases as they are used: pools of several isolates at one ledger, with lost and late messages, crashes at each step,
//! and clocks that differ.

use super::*;
use crate::limit::ledger::{Ledger, Take};
use crate::limit::wire::Limited;

mod cost;
mod never;

const NOW: UnixMs = 1_780_000_000_000;
const LEASE_MS: i64 = 2_000;

/// A ledger with what is saved of it.
struct Keeper {
    ledger: Ledger,
    saved: String,
    alarm: Option<UnixMs>,
    requests: u64,
    rows: u64,
}

impl Keeper {
    fn new() -> Self {
        let ledger = Ledger::default();
        let saved = serde_json::to_string(&ledger).unwrap();
        Self { ledger, saved, alarm: None, requests: 0, rows: 0 }
    }

    /// Does what the object does after each command.
    fn keep(&mut self, now: UnixMs) {
        if self.ledger.needs_saving(now) {
            self.save(now);
        }
    }

    fn save(&mut self, now: UnixMs) {
        self.ledger.go_ahead(now);
        self.saved = serde_json::to_string(&self.ledger).unwrap();
        self.rows += 1;
        if self.alarm.is_none() && self.ledger.alarm_at().is_some() {
            self.alarm = self.ledger.alarm_at();
            self.rows += 1;
        }
    }

    /// The alarm, if its time has come.
    fn wake(&mut self, now: UnixMs) {
        if self.alarm.is_some_and(|at| at <= now) {
            self.alarm = self.ledger.alarm_at().filter(|at| *at > now);
            self.rows += u64::from(self.alarm.is_some());
            if self.alarm.is_none() {
                self.save(now);
            }
        }
    }

    fn crash(&mut self) {
        self.ledger = serde_json::from_str(&self.saved).unwrap();
    }

    fn take(&mut self, take: &Take, now: UnixMs) -> Result<Granted, Box<Limited>> {
        self.requests += 1;
        let verdict = self.ledger.take(take, now);
        self.keep(now);
        verdict
    }

    fn report(&mut self, report: &Report, now: UnixMs) {
        self.requests += 1;
        self.ledger.report(report, now);
        self.keep(now);
    }

    fn settle(&mut self, call: &str, settlement: Settlement, now: UnixMs) {
        self.requests += 1;
        self.ledger.settle(call, settlement, now);
        self.keep(now);
    }
}
