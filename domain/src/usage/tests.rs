use super::*;

pub fn event() -> UsageEvent {
    UsageEvent {
        id: "e1".into(),
        at: 1,
        token_id: "tok_1".into(),
        team: "ops".into(),
        secret: None,
        derived: None,
        route_id: Some("rte_1".into()),
        route_path: Some("/api/x".into()),
        path: "/api/x/1".into(),
        method: "GET".into(),
        status: 200,
        outcome: Outcome::Ok,
        latency_ms: 5,
        gateway_ms: 1,
        duration_ms: None,
        bytes_in: None,
        bytes_out: Some(9),
        label: None,
        second: false,
        limit: None,
        retries: 0,
        credential: None,
        refused: vec![],
        upstream_request_id: None,
        error: None,
        client_ip: Some("10.0.0.1".into()),
        user_agent: None,
        country: None,
        trace: None,
        request_id: "req_1".into(),
        ai: None,
    }
}

#[test]
fn the_message_is_pinned() {
    let message = UsageMessage { v: 1, key: None, events: vec![event()], dropped: 0, unknown_tokens: 0 };
    let json = serde_json::to_string(&message).unwrap();
    assert_eq!(
        json,
        r#"{"v":1,"events":[{"id":"e1","at":1,"token_id":"tok_1","team":"ops","route_id":"rte_1","route_path":"/api/x","path":"/api/x/1","method":"GET","status":200,"outcome":"ok","latency_ms":5,"gateway_ms":1,"bytes_out":9,"client_ip":"10.0.0.1","request_id":"req_1"}]}"#
    );
    assert_eq!(serde_json::from_str::<UsageMessage>(&json).unwrap(), message);
}

/// An event whose every text is as long as its type lets it be.
pub fn largest() -> UsageEvent {
    let text = "\u{1}\"\\é".repeat(100_000);
    UsageEvent {
        id: "e".repeat(MAX_ID_LEN),
        token_id: "t".repeat(MAX_ID_LEN).as_str().into(),
        team: "t".repeat(MAX_ID_LEN).as_str().into(),
        secret: Some(text.as_str().into()),
        derived: Some(text.as_str().into()),
        route_id: Some("r".repeat(MAX_ID_LEN).as_str().into()),
        route_path: Some(text.as_str().into()),
        path: text.as_str().into(),
        method: text.as_str().into(),
        client_ip: Some(text.as_str().into()),
        user_agent: Some(text.as_str().into()),
        country: Some(text.as_str().into()),
        trace: Some(text.as_str().into()),
        request_id: text.as_str().into(),
        label: Some(text.as_str().into()),
        second: true,
        retries: u8::MAX,
        credential: Some(text.as_str().into()),
        refused: vec![Refused { credential: text.as_str().into(), status: 429 }; 8],
        limit: Some(text.as_str().into()),
        upstream_request_id: Some(text.as_str().into()),
        error: Some(VendorError { body: text.as_str().into(), is_cut: true }),
        ai: Some(AiUsage {
            model: Some(text.as_str().into()),
            prompt_tokens: Some(u64::MAX),
            completion_tokens: Some(u64::MAX),
            cached_tokens: Some(u64::MAX),
            cache_write_tokens: Some(u64::MAX),
            reasoning_tokens: Some(u64::MAX),
            cost_micros: Some(u64::MAX),
        }),
        at: i64::MAX,
        status: u16::MAX,
        latency_ms: u32::MAX,
        gateway_ms: u32::MAX,
        duration_ms: Some(u32::MAX),
        bytes_in: Some(u64::MAX),
        bytes_out: Some(u64::MAX),
        ..event()
    }
}

#[test]
fn fifty_events_fit_the_queue_in_four_messages_for_any_input() {
    let events = vec![largest(); MAX_EVENTS_PER_MESSAGE];
    let message = UsageMessage { v: 1, key: None, events, dropped: u64::MAX, unknown_tokens: u64::MAX };
    let fits = |message: UsageMessage| {
        let (parts, lost) = message.split();
        let size = |part: &UsageMessage| serde_json::to_string(part).unwrap().len();
        parts.len() <= 4 && lost == 0 && parts.iter().all(|part| size(part) <= MAX_MESSAGE_BYTES)
    };
    assert!(fits(message.clone()));
    // The same from a sender that bounds nothing.
    let long =
        serde_json::to_string(&message).unwrap().replace("\"GET", &format!("\"{}", "x".repeat(300_000)));
    assert!(fits(serde_json::from_str(&long).unwrap()));
}

#[test]
fn an_event_that_is_too_long_takes_no_other_along() {
    let huge = UsageEvent { id: "e".repeat(MAX_MESSAGE_BYTES), ..event() };
    let long = UsageEvent { id: "e".repeat(50_000), ..event() };
    let events = vec![event(), huge, long.clone(), long.clone(), long, event()];
    let message = UsageMessage { v: 1, key: None, events, dropped: 3, unknown_tokens: 4 };
    let (parts, lost) = message.clone().split();
    assert_eq!((parts.len(), lost), (2, 1));
    assert_eq!(parts.iter().map(|part| part.events.len()).sum::<usize>(), 5);
    assert_eq!(
        parts.iter().map(|part| (part.dropped, part.unknown_tokens)).collect::<Vec<_>>(),
        [(3, 4), (0, 0)]
    );
    assert!(parts.iter().all(|part| serde_json::to_string(part).unwrap().len() <= MAX_MESSAGE_BYTES));
    let (parts, lost) = UsageMessage { events: vec![event()], ..message.clone() }.split();
    assert_eq!((parts, lost), (vec![UsageMessage { events: vec![event()], ..message }], 0));
}

#[test]
fn counts_that_an_upstream_claims_are_capped() {
    let mut event = event();
    event.bytes_in = Some(u64::MAX);
    event.ai =
        Some(AiUsage { prompt_tokens: Some(u64::MAX), completion_tokens: Some(7), ..AiUsage::default() });
    event.cap_counts();
    let ai = event.ai.unwrap();
    assert_eq!((event.bytes_in, event.bytes_out), (Some(MAX_BYTES), Some(9)));
    assert_eq!((ai.prompt_tokens, ai.completion_tokens), (Some(MAX_AI_COUNT), Some(7)));
    assert_eq!(ai.cached_tokens, None, "unknown stays unknown");
}
