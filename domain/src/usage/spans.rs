//! Spans in the JSON form of OTLP 1.x (<https://opentelemetry.io/docs/specs/otlp/>): ids are hex, 64-bit integers are texts.
//!
//! Attributes have the names of OpenTelemetry's semantic conventions (HTTP, and `gen_ai` for calls of models); those that
//! it has no names for begin with `token_manager.`.

use crate::id::RouteId;
use crate::time::UnixMs;
use crate::trace::Place;
use crate::usage::outcome::OutcomeClass;
use crate::usage::{Clipped, UsageEvent};
use serde_json::{Value, json};

/// The most spans of one request. Each takes at most some 3 KB.
pub const MOST_SPANS: usize = 500;

/// Kind of a span: the server's side of a call.
const SERVER: u8 = 2;
/// Status of a span whose call failed.
const ERROR: u8 = 2;

/// Makes the body of a request to `/v1/traces`: a span for each call, unless its client's trace is not recorded. `None` if
/// there is none.
pub fn traces<'a>(service: &str, calls: impl IntoIterator<Item = &'a UsageEvent>) -> Option<Value> {
    let spans: Vec<Value> = calls.into_iter().filter_map(span).collect();
    let resource = json!({"attributes": [attribute("service.name", service.into())]});
    let scope = json!({"name": "token-manager"});
    (!spans.is_empty())
        .then(|| json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}))
}

fn span(call: &UsageEvent) -> Option<Value> {
    let given = call.trace.as_ref().map(Clipped::as_str);
    let place = Place::of_call(&call.id, given);
    if !place.is_sampled {
        return None;
    }
    let parent = given.and_then(Place::parse).map(|parent| parent.span);
    let ends_at = call.at.saturating_add(call.duration_ms.unwrap_or(call.latency_ms).into());
    let method = call.method.as_str();
    let name = call.route_path.as_ref().map_or(method.to_owned(), |route| [method, route.as_str()].join(" "));
    // A refusal is the client's fault, which is no error of a server's span.
    let is_error = matches!(
        call.outcome.class(),
        OutcomeClass::UpstreamError | OutcomeClass::Timeout | OutcomeClass::GatewayError
    );
    let status = is_error.then(|| json!({"code": ERROR, "message": call.outcome.as_str()}));
    let mut span = json!({
        "traceId": place.trace,
        "spanId": place.span,
        "parentSpanId": parent,
        "flags": 1,
        "name": name,
        "kind": SERVER,
        "startTimeUnixNano": nanos(call.at),
        "endTimeUnixNano": nanos(ends_at),
        "attributes": attributes(call),
        "status": status,
    });
    if let Value::Object(fields) = &mut span {
        fields.retain(|_, value| !value.is_null());
    }
    Some(span)
}

fn attributes(call: &UsageEvent) -> Vec<Value> {
    let text = |text: Option<&str>| text.map(Value::from);
    let ai = call.ai.as_ref();
    let count = |count: Option<u64>| count.map(Value::from);
    [
        ("http.request.method", text(Some(call.method.as_str()))),
        ("url.path", text(Some(call.path.as_str()))),
        ("http.route", text(call.route_path.as_ref().map(Clipped::as_str))),
        ("http.response.status_code", Some(call.status.into())),
        ("http.request.body.size", count(call.bytes_in)),
        ("http.response.body.size", count(call.bytes_out)),
        ("client.address", text(call.client_ip.as_ref().map(Clipped::as_str))),
        ("user_agent.original", text(call.user_agent.as_ref().map(Clipped::as_str))),
        ("gen_ai.response.model", text(ai.and_then(|ai| ai.model.as_ref()).map(Clipped::as_str))),
        ("gen_ai.usage.input_tokens", count(ai.and_then(|ai| ai.prompt_tokens))),
        ("gen_ai.usage.output_tokens", count(ai.and_then(|ai| ai.completion_tokens))),
        ("token_manager.cost_micros", count(ai.and_then(|ai| ai.cost_micros))),
        ("token_manager.outcome", text(Some(call.outcome.as_str()))),
        ("token_manager.token_id", text(Some(call.token_id.as_str()))),
        ("token_manager.team", text(Some(call.team.as_str()))),
        ("token_manager.route_id", text(call.route_id.as_ref().map(RouteId::as_str))),
        ("token_manager.label", text(call.label.as_ref().map(Clipped::as_str))),
        ("token_manager.limit", text(call.limit.as_ref().map(Clipped::as_str))),
        ("token_manager.gateway_ms", Some(call.gateway_ms.into())),
        ("token_manager.request_id", text(Some(call.request_id.as_str()))),
        ("token_manager.upstream_request_id", text(call.upstream_request_id.as_ref().map(Clipped::as_str))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(attribute(name, value?)))
    .collect()
}

fn attribute(name: &str, value: Value) -> Value {
    let value = match value {
        Value::Number(number) => json!({"intValue": number.to_string()}),
        value => json!({"stringValue": value}),
    };
    json!({"key": name, "value": value})
}

fn nanos(at: UnixMs) -> String {
    format!("{at}000000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::outcome::Outcome;
    use crate::usage::tests::event;
    use crate::usage::{AiUsage, UsageEvent};

    #[test]
    fn the_form_is_pinned() {
        let ai = AiUsage { model: Some("m".into()), prompt_tokens: Some(7), ..AiUsage::default() };
        let trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
        let call =
            UsageEvent { at: 1_790_000_000_000, outcome: Outcome::Timeout, ai: Some(ai), trace, ..event() };
        let body = traces("s", [&call]).unwrap();
        let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        let head = ["traceId", "parentSpanId", "name", "startTimeUnixNano", "endTimeUnixNano"]
            .map(|name| &span[name]);
        let wanted = [
            "0af7651916cd43dd8448eb211c80319c",
            "b7ad6b7169203331",
            "GET /api/x",
            "1790000000000000000",
            "1790000000005000000",
        ];
        assert_eq!(head, wanted);
        assert_eq!(span["status"], json!({"code": 2, "message": "timeout"}));
        let attributes = span["attributes"].as_array().unwrap();
        for wanted in [
            json!({"key": "http.response.status_code", "value": {"intValue": "200"}}),
            json!({"key": "gen_ai.response.model", "value": {"stringValue": "m"}}),
            json!({"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}}),
        ] {
            assert!(attributes.contains(&wanted), "{wanted}");
        }
        let is_absent = |name: &str| attributes.iter().all(|attribute| attribute["key"] != name);
        assert!(is_absent("gen_ai.usage.output_tokens"), "unknown is not 0");
    }

    #[test]
    fn a_call_that_its_client_does_not_record_is_no_span() {
        let trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".into());
        assert_eq!(traces("s", [&UsageEvent { trace, ..event() }]), None);
        assert_eq!(traces("s", []), None);
    }

    #[test]
    fn a_full_request_stays_below_four_megabytes() {
        let one = traces("s", [&crate::usage::tests::largest()]).unwrap().to_string().len();
        assert!(one * MOST_SPANS < 4_000_000, "{one} bytes");
    }
}
