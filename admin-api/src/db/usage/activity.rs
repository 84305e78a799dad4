//! The recent calls of routes and tokens, for notifications and alerts: read once a minute, in one transaction.

use super::report::{pending_in, pending_statements};
use crate::db::{Columns, MAX_SAFE, StoreError, UsageDb, columns_of, object, params, to_json, usage_sql};
use domain::alert::watch::{Hour, Served, failing};
use domain::time::{HOUR_MS, UnixMs, bucket_start};
use domain::usage::report::{Kind, Pending};
use domain::usage::rollup::Rollup;
use domain::usage::sheet::Sheet;
use domain::usage::span::{FINE_MS, Granularity};
use serde_json::Value;
use std::collections::BTreeMap;

/// The recent calls of routes and tokens. Both are in one map, since each further type of a map is compiled again.
#[derive(Debug, Default)]
pub struct Activity(BTreeMap<String, Used>);

/// The keys of routes begin with this, those of tokens (team and token) with a letter or digit.
const ROUTE: &str = " ";

#[derive(Debug, Default)]
struct Used {
    /// The last hour of a route, in five minutes.
    served: Vec<Served>,
    /// The current hour of a token.
    hour: Hour,
    /// Whether the token was used within the last ten minutes.
    is_active: bool,
}

fn count(row: &Columns, name: &str) -> u64 {
    row.number(name).unsigned_abs()
}

impl Activity {
    pub async fn read(db: &UsageDb, now: UnixMs) -> Result<Self, StoreError> {
        let times = Times::at(now);
        let since = now - HOUR_MS;
        let all = Pending { granularity: Granularity::FiveMinutes.as_str(), from: since, to: MAX_SAFE };
        let mut statements = vec![
            db.statement(usage_sql!("routes_failing"), params![since])?,
            db.statement(usage_sql!("tokens_active"), params![times.active_from.min(times.hour)])?,
        ];
        statements.extend(pending_statements(db, &[all], &Kind::Any)?);
        let results = db.batch(statements).await?;
        let mut results = results.iter();
        let mut activity = Self::default();
        for row in results.next().map(columns_of).transpose()?.unwrap_or_default() {
            let served =
                Served { at: row.number("at"), calls: count(&row, "calls"), failed: count(&row, "failed") };
            activity.note_route(row.text("id"), served);
        }
        for row in results.next().map(columns_of).transpose()?.unwrap_or_default() {
            let used = Hour { calls: count(&row, "calls"), micros: count(&row, "micros") };
            activity.note_token(row.text("key"), row.number("at"), used, times);
        }
        let pending = pending_in(&mut results)?;
        for bucket in pending.iter().flat_map(Sheet::buckets).filter(|bucket| bucket.at >= since) {
            bucket.each(|line, sums| {
                let Rollup { calls, upstream_errors, timeouts, gateway_errors, cost_micros, .. } =
                    sums.rollup;
                let failed = upstream_errors.saturating_add(timeouts).saturating_add(gateway_errors);
                let at = bucket.at;
                activity.note_route(line.route, Served { at, calls: sums.rollup.served(), failed });
                let key = [line.team, " ", line.token].concat();
                activity.note_token(&key, at, Hour { calls, micros: cost_micros }, times);
            });
        }
        Ok(activity)
    }

    fn note_route(&mut self, id: &str, served: Served) {
        self.0.entry([ROUTE, id].concat()).or_default().served.push(served);
    }

    fn note_token(&mut self, key: &str, at: UnixMs, Hour { calls, micros }: Hour, times: Times) {
        let used = self.0.entry(key.to_owned()).or_default();
        used.is_active |= at >= times.active_from;
        if at >= times.hour {
            used.hour.calls = used.hour.calls.saturating_add(calls);
            used.hour.micros = used.hour.micros.saturating_add(micros);
        }
    }

    /// Returns the routes that fail, as JSON for `notify_failing`.
    pub fn failing(&self, now: UnixMs) -> String {
        let fails = |(key, used): (&String, &Used)| {
            let (id, failing) = (key.strip_prefix(ROUTE)?, failing(&used.served, now)?);
            Some(object(vec![
                ("id", id.into()),
                ("calls", failing.calls.into()),
                ("failed", failing.failed.into()),
                ("is_steady", failing.is_steady.into()),
            ]))
        };
        self.0.iter().filter_map(fails).collect::<Value>().to_string()
    }

    /// Lists the tokens that were used within the last ten minutes.
    pub fn active_tokens(&self) -> Vec<&str> {
        self.0.iter().filter(|(_, used)| used.is_active).map(|(key, _)| token_of(key)).collect()
    }

    /// Lists the tokens whose hour is large enough to be looked at, by team and token: the largest, at most `most`.
    pub fn large_hours(&self, most: usize) -> Vec<(&str, Hour)> {
        let mut large: Vec<(&str, Hour)> = Vec::new();
        for (key, used) in self.0.iter().filter(|(_, used)| used.hour.is_large()) {
            large.push((key, used.hour));
            if large.len() > most {
                let size = |at: &usize| large.get(*at).map(|(_, hour)| (hour.micros, hour.calls));
                let smallest = (0..large.len()).min_by_key(size).unwrap_or(0);
                large.swap_remove(smallest);
            }
        }
        large
    }
}

/// Returns the token of a key of team and token.
pub fn token_of(key: &str) -> &str {
    key.split_once(' ').map_or(key, |(_, token)| token)
}

#[derive(Clone, Copy, Debug)]
struct Times {
    active_from: UnixMs,
    hour: UnixMs,
}

impl Times {
    fn at(now: UnixMs) -> Self {
        Self { active_from: bucket_start(now, FINE_MS) - FINE_MS, hour: bucket_start(now, HOUR_MS) }
    }
}

/// The use of a token, by team and token, in one hour.
#[derive(Debug)]
pub struct Past {
    pub key: String,
    pub at: UnixMs,
    pub hour: Hour,
}

/// Reads what tokens have used in some hours: `wanted` are keys of team and token, and starts of hours.
pub async fn hours(db: &UsageDb, wanted: &[(&str, UnixMs)]) -> Result<Vec<Past>, StoreError> {
    let results =
        db.batch(vec![db.statement(usage_sql!("tokens_usual"), params![&to_json(wanted)?])?]).await?;
    let rows = results.first().map(columns_of).transpose()?.unwrap_or_default();
    let past = |row: &Columns| Past {
        key: row.text("key").to_owned(),
        at: row.number("at"),
        hour: Hour { calls: count(row, "calls"), micros: count(row, "micros") },
    };
    Ok(rows.iter().map(past).collect())
}
