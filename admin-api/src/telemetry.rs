//! Spans of calls, sent to a receiver of OTLP after they are stored.
//!
//! Telemetry is no record: a batch that the receiver does not take is logged and not sent again, and one that the queue
//! delivers twice is sent twice, with the same ids. The record is the database's.

use crate::config::Telemetry;
use crate::intake::Keyed;
use domain::usage::UsageEvent;
use domain::usage::spans::{MOST_SPANS, traces};
use edge::log::{Source, log};
use worker::{AbortSignal, Fetch, Headers, Method, Request, RequestInit, RequestRedirect};

const TIMEOUT_MS: u32 = 5_000;

/// Sends the spans of a batch. A receiver that fails once is not tried with the rest.
pub async fn send(telemetry: &Telemetry, messages: &[Keyed]) {
    let calls: Vec<&UsageEvent> = messages.iter().flat_map(|keyed| &keyed.message.events).collect();
    for part in calls.chunks(MOST_SPANS) {
        let Some(body) = traces(&telemetry.service, part.iter().copied()) else { continue };
        let cause = match post(telemetry, &body.to_string()).await {
            Ok(200..300) => continue,
            Ok(status) => format!("the receiver responded with {status}"),
            // The platform's message could repeat a header.
            Err(_) => "the receiver cannot be reached".to_owned(),
        };
        return log(Source::Queue, "spans not sent", &cause);
    }
}

async fn post(telemetry: &Telemetry, body: &str) -> worker::Result<u16> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    for (name, value) in &telemetry.headers {
        headers.set(name, value.expose())?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(body.into()))
        .with_redirect(RequestRedirect::Manual);
    let request = Request::new_with_init(&format!("{}/v1/traces", telemetry.endpoint), &init)?;
    let signal = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(TIMEOUT_MS));
    let mut response = Fetch::Request(request).send_with_signal(&signal).await?;
    // Read to its end: connections with unread bodies would be missing to the next.
    response.bytes().await?;
    Ok(response.status_code())
}
