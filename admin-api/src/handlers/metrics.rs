//! `/metrics`

use super::health;
use super::usage::period_of;
use crate::db::usage::report;
use crate::db::{outbox, upkeep};
use crate::error::Failure;
use crate::request::{Asked, Call};
use crate::respond::{Answer, ready};
use contract::upkeep::{HealthDetailed, HealthStatus};
use contract::usage::{Figures, RouteUsage, SpanQuery};
use domain::id::RouteId;
use domain::metrics::{Kind, Metrics};
use domain::people::role::{Action, Subject, authorize};
use domain::time::{DAY_MS, SECOND_MS, bucket_start};
use domain::usage::report::{Question, Whose};
use worker::Response;

/// The most routes that have samples of their own: the busiest of the day.
const MOST_ROUTES: usize = 500;

/// `GET /metrics`
pub async fn get(call: &Call, _: Asked<()>) -> Answer<String> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadPublication, Subject::default())?;
    let mut metrics = Metrics::default();
    write_health(&mut metrics, &health::known(call).await);
    write_publication(&mut metrics, call).await?;
    write_calls(&mut metrics, &today(call).await?);
    let response = Response::ok(metrics.text())?;
    let headers = response.headers();
    headers.set("content-type", "text/plain; version=0.0.4; charset=utf-8")?;
    headers.set("cache-control", "no-store")?;
    Ok(ready(response))
}

fn write_health(metrics: &mut Metrics, health: &HealthDetailed) {
    metrics.begin("token_manager_health", Kind::Gauge, "2 is ok, 1 degraded, 0 down.");
    for check in &health.checks {
        let value = match check.status {
            HealthStatus::Ok => 2,
            HealthStatus::Degraded => 1,
            HealthStatus::Down => 0,
        };
        metrics.add(&[("check", &check.name)], value);
    }
}

async fn write_publication(metrics: &mut Metrics, call: &Call) -> Result<(), Failure> {
    let db = call.db()?;
    let pending = outbox::summary(&db).await?;
    metrics.begin("token_manager_publication_pending", Kind::Gauge, "Changes that KV has not taken yet.");
    metrics.add(&[], pending.pending);
    metrics.begin("token_manager_publication_age_seconds", Kind::Gauge, "Age of the oldest of them.");
    metrics.add(&[], pending.oldest_at.map_or(0, |at| (call.now - at).max(0) / SECOND_MS));
    metrics.begin("token_manager_kv_drift", Kind::Gauge, "Entries of KV that differ from the database.");
    metrics.add(&[], upkeep::drift_count(&db).await?);
    Ok(())
}

/// Reads the calls since 00:00 UTC by route.
async fn today(call: &Call) -> Result<Vec<RouteUsage>, Failure> {
    let from = bucket_start(call.now, DAY_MS);
    let query = SpanQuery { from: Some(from.to_string()), ..SpanQuery::default() };
    let period = period_of(&query, call.now)?;
    let whose = Whose::default();
    let question = Question { whose: &whose, series: &period.series, sums: &period.sums };
    let db = call.db()?;
    Ok(report::report(&db, &db.usage(&call.env)?, question, MOST_ROUTES).await?.routes)
}

/// A family of counters: its name, its help, and its samples of a route, each with the label that tells it apart.
type Family = (&'static str, &'static str, fn(&Figures) -> Vec<(&'static str, &'static str, f64)>);

#[expect(clippy::cast_precision_loss, reason = "a day's counts stay far below 2^53")]
const FAMILIES: [Family; 3] = [
    ("token_manager_calls_total", "Calls since 00:00 UTC.", |f| {
        let sample = |result, count: u64| ("result", result, count as f64);
        vec![
            sample("ok", f.ok),
            sample("client-error", f.client_errors),
            sample("upstream-error", f.upstream_errors),
            sample("timeout", f.timeouts),
            sample("gateway-error", f.gateway_errors),
            sample("denied", f.denied),
            sample("limited", f.limited),
        ]
    }),
    ("token_manager_ai_tokens_total", "AI tokens since 00:00 UTC.", |f| {
        vec![("kind", "prompt", f.prompt_tokens as f64), ("kind", "completion", f.completion_tokens as f64)]
    }),
    ("token_manager_cost_dollars_total", "Known cost since 00:00 UTC.", |f| {
        vec![("currency", "usd", f.cost_micros as f64 / 1e6)]
    }),
];

fn write_calls(metrics: &mut Metrics, routes: &[RouteUsage]) {
    for (family, help, samples) in FAMILIES {
        metrics.begin(family, Kind::Counter, help);
        for route in routes {
            // Calls that matched no route have an empty path.
            let path =
                route.path.as_deref().or(route.route_id.as_ref().map(RouteId::as_str)).unwrap_or_default();
            for (label, value, count) in samples(&route.figures) {
                metrics.add(&[("route", path), (label, value)], count);
            }
        }
    }
}
