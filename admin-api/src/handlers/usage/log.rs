//! Calls that another gateway served, reported in the earlier system's form.

use crate::db::tokens;
use crate::db::usage::intake;
use crate::error::Failure;
use crate::intake::Loss;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contract::error::ApiError;
use contract::usage::{UsageLogRequest, UsageLogged};
use domain::access::path::RequestPath;
use domain::error::FieldError;
use domain::problem::Invalid;
use domain::time::{DAY_MS, UnixMs};
use domain::usage::key::MessageKey;
use domain::usage::outcome::Outcome;
use domain::usage::{UsageEvent, UsageMessage};
use domain::{id::TokenId, method::Method, signature};
use edge::log::{Source, log};
use edge::queue::{Packed, Queue};
use sha2::{Digest, Sha256};

/// The greatest age of a call. The key of an older one may be forgotten, so that a repeat would count twice.
const MAX_AGE_MS: i64 = 14 * DAY_MS;
const MAX_ID_CHARS: usize = 128;
/// The furthest that a call may be in the future, because clocks differ.
const MAX_AHEAD_MS: i64 = 5 * domain::time::MINUTE_MS;

/// `POST /api/usage-log`
///
/// 1. Check the signature over the unchanged body. If no key is configured, there is no such endpoint.
/// 2. Check the fields. A call of an unknown token is counted as such, and only once if it is repeated.
/// 3. Send it to the same queue as the gateway's events, under an id that every repeat shares.
pub async fn log_usage(call: &Call, asked: Asked<UsageLogRequest>) -> Answer<UsageLogged> {
    let keys = call.config.usage_log_keys.clone().ok_or(ApiError::NotFound)?;
    let header = call.header("x-signature").ok_or(ApiError::BadSignature)?;
    if let Err(error) = signature::verify(&header, call.body(), &keys, call.now) {
        log(Source::Request(&call.request_id), "usage log refused", &error.to_string());
        return Err(ApiError::BadSignature.into());
    }
    let request = asked.read(call)?;
    let id = id_of(&request);
    let db = call.db()?;
    let found = tokens::find_by_secret(&db, &request.token_hash).await?;
    let event = event_of(&request, &id, &call.request_id, call.now)?;
    let Some(holder) = found else {
        let loss = Loss { message: id.clone(), dropped: 0, unknown_tokens: 1, undecodable: 0 };
        intake::add_losses(&db.usage(&call.env)?, &[loss], call.now).await?;
        return respond(UsageLogged { recorded: false, id });
    };
    let message = UsageMessage {
        v: UsageMessage::VERSION,
        key: Some(key_of(call, &request, &id, event.at).await?),
        events: vec![UsageEvent { token_id: holder.id, team: holder.team_id, ..event }],
        dropped: 0,
        unknown_tokens: 0,
    };
    let message = Packed::new(&message).map_err(Failure::Internal)?;
    let queue = Queue::usage(&call.env).map_err(Failure::Unavailable)?;
    queue.send(&message).await.map_err(Failure::Unavailable)?;
    respond(UsageLogged { recorded: true, id })
}

/// Returns the key of a call's message. With the sender's own id, a repeat has the key of the first message, whatever its
/// timestamp.
async fn key_of(call: &Call, request: &UsageLogRequest, id: &str, at: UnixMs) -> Result<MessageKey, Failure> {
    if request.request_id.is_none() {
        return Ok(MessageKey::of_text(at, id));
    }
    let [new, earlier] = MessageKey::of_id(id, call.now);
    let is_repeat = intake::is_taken(&call.db()?.usage(&call.env)?, &earlier).await?;
    Ok(if is_repeat { earlier } else { new })
}

/// Computes the identity of a call: from the sender's id, or otherwise from all of its fields.
fn id_of(request: &UsageLogRequest) -> String {
    let text = match &request.request_id {
        Some(id) => format!("{} {id}", request.token_hash.as_str()),
        None => serde_json::to_string(request).unwrap_or_default(),
    };
    let digest = Sha256::digest(text.as_bytes());
    format!("log_{}", URL_SAFE_NO_PAD.encode(digest))
}

fn event_of(
    request: &UsageLogRequest,
    id: &str,
    request_id: &str,
    now: UnixMs,
) -> Result<UsageEvent, Vec<FieldError>> {
    let at = request.timestamp.unix_ms();
    let mut errors = check_time(at, now);
    let path = RequestPath::parse(&request.route);
    if path.is_none() {
        errors.push(FieldError::new("route", Invalid::Slash));
    }
    let method: Result<Method, _> = request.request_method.as_deref().unwrap_or("GET").parse();
    if method.is_err() {
        errors.push(FieldError::new("request_method", Invalid::Method));
    }
    let latency_ms = request.response_time_ms.unwrap_or(0.0);
    errors.extend(check_measures(request, latency_ms));
    let (Some(at), Some(path), Ok(method), true) = (at, path, method, errors.is_empty()) else {
        return Err(errors);
    };
    Ok(UsageEvent {
        id: id.to_owned(),
        at,
        token_id: TokenId::from(""),
        team: "".into(),
        route_id: None,
        route_path: Some(path.as_str().into()),
        path: path.as_str().into(),
        method: method.as_str().into(),
        status: request.response_status,
        outcome: Outcome::of_status(request.response_status),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        latency_ms: latency_ms as u32,
        gateway_ms: 0,
        duration_ms: None,
        secret: None,
        derived: None,
        bytes_in: None,
        bytes_out: None,
        label: None,
        second: false,
        limit: None,
        retries: 0,
        credential: None,
        refused: vec![],
        upstream_request_id: None,
        error: None,
        client_ip: request.ip_address.as_deref().map(Into::into),
        user_agent: request.user_agent.as_deref().map(Into::into),
        country: None,
        trace: None,
        request_id: request_id.into(),
        ai: None,
    })
}

fn check_time(at: Option<UnixMs>, now: UnixMs) -> Vec<FieldError> {
    let why = match at {
        None => Invalid::Time,
        Some(at) if at < now - MAX_AGE_MS || at > now + MAX_AHEAD_MS => {
            Invalid::LastDays { days: MAX_AGE_MS / DAY_MS }
        }
        Some(_) => return vec![],
    };
    vec![FieldError::new("timestamp", why)]
}

/// Checks the fields that are taken over as they are.
fn check_measures(request: &UsageLogRequest, latency_ms: f64) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !(100..=599).contains(&request.response_status) {
        errors.push(FieldError::new("response_status", Invalid::Range { least: 100, most: 599 }));
    }
    if !(0.0..=86_400_000.0).contains(&latency_ms) {
        errors.push(FieldError::new("response_time_ms", Invalid::Range { least: 0, most: 86_400_000 }));
    }
    let is_id = |id: &String| (1..=MAX_ID_CHARS).contains(&id.chars().count());
    if !request.request_id.as_ref().is_none_or(is_id) {
        errors.push(FieldError::new("request_id", Invalid::Characters { least: 1, most: MAX_ID_CHARS }));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(more: &serde_json::Value) -> UsageLogRequest {
        let mut whole = json!({"token_hash": "a".repeat(64), "route": "/api/x", "timestamp": "2025-11-01T00:00:00", "response_status": 200});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    const NOW: UnixMs = 1_761_955_200_000 + DAY_MS; // 2025-11-02T00:00Z

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let event = event_of(&request(&json!({})), "i", "r", NOW).unwrap();
        assert_eq!(event.at, NOW - DAY_MS);
    }

    #[test]
    fn each_bad_field_is_named() {
        let bad = json!({"route":"x","timestamp":"2020-01-01T00:00:00","response_status":42,"request_method":"G T","response_time_ms":-1,"request_id":""});
        let fields: Vec<String> =
            event_of(&request(&bad), "i", "r", NOW).unwrap_err().into_iter().map(|e| e.field).collect();
        assert_eq!(
            fields,
            ["timestamp", "route", "request_method", "response_status", "response_time_ms", "request_id"]
        );
    }

    #[test]
    fn a_repeat_has_the_same_id_and_another_call_a_different_one() {
        let id = |more: serde_json::Value| id_of(&request(&more));
        assert_eq!(id(json!({})), id(json!({})));
        assert_ne!(id(json!({})), id(json!({"response_time_ms": 5})));
        assert!(id(json!({})).len() <= 64);
    }

    #[test]
    fn equal_calls_are_distinguished_by_their_request_ids() {
        let id = |more: serde_json::Value| id_of(&request(&more));
        assert_ne!(id(json!({"request_id": "a"})), id(json!({"request_id": "b"})));
        assert_eq!(id(json!({"request_id": "a"})), id(json!({"request_id": "a", "response_time_ms": 5})));
        let other = json!({"request_id": "a", "token_hash": "b".repeat(64)});
        assert_ne!(id(json!({"request_id": "a"})), id(other), "another token's call");
    }

    /// Calls that an earlier version has counted keep their ids.
    #[test]
    fn an_absent_id_does_not_change_the_identity() {
        let without = serde_json::to_value(request(&json!({}))).unwrap();
        assert!(without.get("request_id").is_none());
    }
}
