//! The canary's calls among the queue's events: they go the way of all events and are stored with none, so that no list
//! and no sum shows them.

use domain::canary::CANARY_ID;
use domain::time::UnixMs;
use domain::usage::UsageMessage;

const PREFIX: &str = "canary-";

/// Makes the request id of a run's calls.
pub fn request_id(run: UnixMs) -> String {
    format!("{PREFIX}{run}")
}

/// A call of the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// When its run began.
    pub run: UnixMs,
    pub at: UnixMs,
}

impl Called {
    /// Returns the first call of the newest run.
    pub fn first(calls: impl Iterator<Item = Self>) -> Option<Self> {
        calls.max_by_key(|call| (call.run, std::cmp::Reverse(call.at)))
    }
}

/// Takes the canary's calls out of a message, and returns the first of the newest run.
pub fn take_out(message: &mut UsageMessage) -> Option<Called> {
    let mut calls = Vec::new();
    message.events.retain(|event| {
        let is_canary = event.token_id.as_str() == CANARY_ID;
        if is_canary && let Some(run) = event.request_id.strip_prefix(PREFIX) {
            calls.extend(run.parse().ok().map(|run| Called { run, at: event.at }));
        }
        !is_canary
    });
    Called::first(calls.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(events: &[(&str, &str, UnixMs)]) -> UsageMessage {
        let event = |(token, request, at): &(&str, &str, UnixMs)| {
            serde_json::json!({
                "id": "e", "at": at, "token_id": token, "team": "core-team", "path": "/", "method": "GET",
                "status": 200, "outcome": "ok", "latency_ms": 1, "gateway_ms": 1, "request_id": request,
            })
        };
        let events: Vec<_> = events.iter().map(event).collect();
        serde_json::from_value(serde_json::json!({ "v": 1, "events": events })).unwrap()
    }

    #[test]
    fn the_canarys_calls_leave_a_message_and_no_others_do() {
        let mut mixed = message(&[
            ("tok_1", "canary-5", 1),
            (CANARY_ID, &request_id(7), 12),
            (CANARY_ID, &request_id(7), 11),
            (CANARY_ID, &request_id(6), 3),
            (CANARY_ID, "made-up", 1),
            ("tok_2", "r", 1),
        ]);
        assert_eq!(take_out(&mut mixed), Some(Called { run: 7, at: 11 }));
        let left: Vec<&str> = mixed.events.iter().map(|event| event.token_id.as_str()).collect();
        assert_eq!(left, ["tok_1", "tok_2"]);
        assert_eq!(take_out(&mut mixed), None);
    }
}
