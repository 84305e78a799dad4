//! The model of a rollup: how one call counts. The consumer's SQL is tested against it.

use domain::usage::UsageEvent;
use domain::usage::outcome::OutcomeClass;
use domain::usage::rollup::{Rollup, bin_of};

/// Adds one call to `rollup`.
pub fn fold(rollup: &mut Rollup, event: &UsageEvent) {
    let add = |sum: &mut u64, n: u64| *sum = sum.saturating_add(n);
    add(&mut rollup.calls, 1);
    let class = event.outcome.class();
    let counter = match class {
        OutcomeClass::Ok => &mut rollup.ok,
        OutcomeClass::ClientError => &mut rollup.client_errors,
        OutcomeClass::UpstreamError => &mut rollup.upstream_errors,
        OutcomeClass::Timeout => &mut rollup.timeouts,
        OutcomeClass::GatewayError => &mut rollup.gateway_errors,
        OutcomeClass::Denied => &mut rollup.denied,
        OutcomeClass::Limited => &mut rollup.limited,
    };
    add(counter, 1);
    if !matches!(class, OutcomeClass::Denied | OutcomeClass::Limited) {
        add(&mut rollup.latency_sum_ms, u64::from(event.latency_ms));
        add(&mut rollup.gateway_sum_ms, u64::from(event.gateway_ms));
        rollup.latency.add(bin_of(event.latency_ms), 1);
    }
    add(&mut rollup.bytes_in, event.bytes_in.unwrap_or(0));
    add(&mut rollup.bytes_out, event.bytes_out.unwrap_or(0));
    if let Some(ai) = &event.ai {
        add(&mut rollup.prompt_tokens, ai.prompt_tokens.unwrap_or(0));
        add(&mut rollup.completion_tokens, ai.completion_tokens.unwrap_or(0));
        add(&mut rollup.cached_tokens, ai.cached_tokens.unwrap_or(0));
        add(&mut rollup.cost_micros, ai.cost_micros.unwrap_or(0));
    }
}
