//! Calls of the canary to the gateway, by a service binding: without a way through the internet, and without a charge.

use super::usage::request_id;
use domain::access::path::CANARY_PATH;
use domain::canary::{Echo, MOST_CALLS};
use domain::error::GatewayError;
use domain::json::from_text;
use domain::time::UnixMs;
use domain::token::TokenSecret;
use domain::upstream::headers::REQUEST_ID;
use edge::service::Service;
use edge::timeout::within;
use std::cell::Cell;
use worker::Env;

const GATEWAY: &str = "GATEWAY";
/// A call that takes longer has failed.
const TIMEOUT_MS: u64 = 5_000;

/// The reason why a call has told nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It failed.
    Away(String),
    /// The gateway is of a version that knows no canary.
    Older,
    /// This run has made as many calls as it may.
    NoCallsLeft,
}

pub struct Gateway {
    service: Service,
    calls: Cell<u32>,
}

impl Gateway {
    /// `None` without a binding.
    pub fn open(env: &Env) -> Option<Self> {
        Service::open(env, GATEWAY).map(|service| Self { service, calls: Cell::new(0) })
    }

    /// Makes a call of the run that began at `run`, which its request id names.
    pub async fn call(&self, secret: &TokenSecret, run: UnixMs) -> Result<Echo, Trouble> {
        if self.calls.get() >= MOST_CALLS {
            return Err(Trouble::NoCallsLeft);
        }
        self.calls.set(self.calls.get() + 1);
        let url = ["https://gateway", CANARY_PATH].concat();
        let id = request_id(run);
        let headers = [("x-api-key", secret.expose()), (REQUEST_ID, id.as_str())];
        let called = within(TIMEOUT_MS, self.service.get(&url, &headers)).await;
        let (status, text) = called.unwrap_or_else(|late| Err(late.to_string())).map_err(Trouble::Away)?;
        read(status, &text)
    }
}

/// Reads a response. An older gateway treats the canary's path as any other, which it refuses, or for which it has no
/// routes yet.
fn read(status: u16, text: &str) -> Result<Echo, Trouble> {
    let has_no_routes = || text.contains(GatewayError::RoutesNotConfigured.code());
    from_text(text).map_err(|_| match status {
        500.. if !has_no_routes() => Trouble::Away(format!("the gateway responded {status}")),
        _ => Trouble::Older,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::canary::{FeedState, Seen};

    #[test]
    fn a_gateway_that_knows_no_canary_is_told_from_one_that_cannot_respond() {
        let echo = Echo { canary: Seen::Refused, feed: FeedState::Away };
        assert_eq!(read(401, &serde_json::to_string(&echo).unwrap()), Ok(echo));
        assert_eq!(read(401, r#"{"error":"Invalid API Key","code":"invalid-api-key"}"#), Err(Trouble::Older));
        assert_eq!(read(404, "Not Found"), Err(Trouble::Older));
        assert_eq!(read(503, r#"{"code":"routes-not-configured"}"#), Err(Trouble::Older));
        assert!(matches!(read(503, r#"{"error":"Store Unavailable"}"#), Err(Trouble::Away(_))));
    }
}
