//! Each recorded call as a data point of the `METRICS` dataset (Workers Analytics Engine), for dashboards
//! beyond our own reports. Optional: without the binding nothing is written.
//!
//! | column | is |
//! |---|---|
//! | `index1` | token id |
//! | `blob1` … `blob6` | team, route id, method, outcome, country, AI model |
//! | `double1` … `double7` | status, latency in ms, gateway's part in ms, bytes in, bytes out, AI tokens, cost in micro-dollars |

use domain::usage::UsageEvent;
use edge::env::METRICS;
use edge::log::log;
use worker::{AnalyticsEngineDataPointBuilder, Env};

/// Writes the call. Never fails it; nothing waits for it.
pub fn write(event: &UsageEvent, env: &Env) {
    let ai = event.ai.as_ref();
    #[expect(clippy::cast_precision_loss, reason = "a dashboard needs no more than 2^53")]
    let number = |value: Option<u64>| value.unwrap_or(0) as f64;
    let tokens = ai.map(|ai| ai.prompt_tokens.unwrap_or(0).saturating_add(ai.completion_tokens.unwrap_or(0)));
    let written = env.analytics_engine(METRICS).and_then(|dataset| {
        AnalyticsEngineDataPointBuilder::new()
            .indexes([event.token_id.as_str()])
            .add_blob(event.team.as_str())
            .add_blob(event.route_id.as_ref().map_or("", |id| id.as_str()))
            .add_blob(event.method.as_str())
            .add_blob(event.outcome.as_str())
            .add_blob(event.country.as_deref().unwrap_or_default())
            .add_blob(ai.and_then(|ai| ai.model.as_deref()).unwrap_or_default())
            .add_double(event.status)
            .add_double(event.latency_ms)
            .add_double(event.gateway_ms)
            .add_double(number(event.bytes_in))
            .add_double(number(event.bytes_out))
            .add_double(number(tokens))
            .add_double(number(ai.and_then(|ai| ai.cost_micros)))
            .write_to(&dataset)
    });
    if let Err(cause) = written {
        log(&event.request_id, "metrics not written", &cause);
    }
}
