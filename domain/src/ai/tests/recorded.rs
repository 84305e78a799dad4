//! Responses as the vendors' references show them (read on 2026-11-23), with what they say.

use super::*;

/// Content type, body, usage.
type Recorded = (&'static str, String, AiUsage);

fn recorded() -> Vec<Recorded> {
    [openai(), openais_responses(), anthropic(), gemini(), groq()].concat()
}

fn usage(model: &str, prompt: u64, completion: u64) -> AiUsage {
    AiUsage {
        model: Some(model.into()),
        prompt_tokens: Some(prompt),
        completion_tokens: Some(completion),
        ..AiUsage::default()
    }
}

fn details(cached: u64, reasoning: u64, usage: AiUsage) -> AiUsage {
    AiUsage { cached_tokens: Some(cached), reasoning_tokens: Some(reasoning), ..usage }
}

fn openai() -> Vec<Recorded> {
    let chat = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "\"usage\": {\"prompt_tokens\": 1}", "model": "x"}}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 3}}});
    let chunk = |choices: Value, usage: Value| {
        json!({"object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": choices, "usage": usage})
            .to_string()
    };
    let chat_stream = format!(
        ": comment\r\ndata: {}\r\n\r\ndata: {}\r\n\r\ndata: [DONE]\r\n\r\n",
        chunk(json!([{"delta": {"content": "é \u{2028} data: {\"usage\":1}"}}]), json!(null)),
        chunk(json!([]), json!({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15})),
    );
    let embeddings = json!({"object": "list", "data": [{"embedding": [0.1, -2e-3], "index": 0}],
        "model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}});
    let image = json!({"created": 1, "data": [{"b64_json": "AAAA"}], "usage": {"total_tokens": 100, "input_tokens": 50, "output_tokens": 50}});
    vec![
        (JSON, chat.to_string(), details(8, 3, usage("gpt-4o-2024-08-06", 19, 10))),
        (
            JSON,
            serde_json::to_string_pretty(&chat).unwrap(),
            details(8, 3, usage("gpt-4o-2024-08-06", 19, 10)),
        ),
        (EVENTS, chat_stream, usage("gpt-4o-mini", 9, 6)),
        (JSON, embeddings.to_string(), usage("text-embedding-3-small", 8, 0)),
        (JSON, image.to_string(), AiUsage { model: None, ..usage("", 50, 50) }),
    ]
}

fn openais_responses() -> Vec<Recorded> {
    let responses = json!({"type": "response.completed", "response": {"id": "resp_1", "model": "gpt-5",
        "output": [{"content": [{"text": "hi"}], "usage": {"input_tokens": 999}}],
        "usage": {"input_tokens": 36, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 87,
            "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 123}}});
    let responses_stream = format!(
        "event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{{\"model\":\"gpt-5\",\"usage\":null}}}}\n\n\
         event: response.completed\ndata: {responses}\n\n"
    );
    vec![(EVENTS, responses_stream, details(4, 5, usage("gpt-5", 36, 87)))]
}

fn anthropic() -> Vec<Recorded> {
    let anthropic = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-20250514",
        "content": [{"type": "text", "text": "Hi!"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 2000, "output_tokens": 12}});
    let anthropic_stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"claude-opus-4\",\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n\
        event: ping\ndata: {\"type\": \"ping\"}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let cached = AiUsage {
        cached_tokens: Some(2000),
        cache_write_tokens: Some(300),
        ..usage("claude-sonnet-4-20250514", 2310, 12)
    };
    vec![
        (JSON, anthropic.to_string(), cached),
        (EVENTS, anthropic_stream.to_owned(), usage("claude-opus-4", 25, 15)),
    ]
}

fn gemini() -> Vec<Recorded> {
    let gemini = json!({"candidates": [{"content": {"parts": [{"text": "x"}], "role": "model"}}],
        "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 100, "thoughtsTokenCount": 40,
            "cachedContentTokenCount": 2, "totalTokenCount": 148}, "modelVersion": "gemini-2.5-flash"});
    let gemini_part = |n: u64| json!({"candidates": [{"content": {"role": "model"}}], "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": n, "totalTokenCount": 4 + n}, "modelVersion": "gemini-2.0"});
    let gemini_array = format!("[{},\r\n{}]", gemini_part(1), gemini_part(7));
    let gemini_events = format!("data: {}\r\rdata: {}\r\r", gemini_part(1), gemini_part(7));
    vec![
        (JSON, gemini.to_string(), details(2, 40, usage("gemini-2.5-flash", 8, 140))),
        (JSON, gemini_array, usage("gemini-2.0", 4, 7)),
        (EVENTS, gemini_events, usage("gemini-2.0", 4, 7)),
    ]
}

fn groq() -> Vec<Recorded> {
    let groq = format!(
        "data: {}\n\ndata: [DONE]\n\n",
        json!({"model": "llama-3", "choices": [], "x_groq": {"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}})
    );
    vec![(EVENTS, groq, usage("llama-3", 3, 4))]
}

#[test]
fn the_vendors_responses_are_read() {
    for (content_type, text, wanted) in recorded() {
        assert_eq!(read(content_type, &[text.as_bytes()]), wanted, "{text}");
    }
}

/// Inside a character, an escape, an event or a CRLF: each single byte is a piece, and each place is
/// tried as the only cut.
#[test]
fn any_split_reads_the_same() {
    for (content_type, text, wanted) in recorded() {
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(content_type, &bytes), wanted, "{text}");
        for at in 0..text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            assert_eq!(read(content_type, &[a, b]), wanted, "at {at} of {text}");
        }
    }
}

/// Each stream is broken off at every byte: before its last word it used an unknown amount, after it the
/// whole is known. The end of the connection adds nothing.
#[test]
fn a_broken_response_is_unknown_until_it_has_said_its_last_word() {
    let chat = |usage: &str| {
        format!(
            "data: {{\"model\":\"m\",\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"stop\"}}]{usage}}}\n\n"
        )
    };
    let streams = [
        (EVENTS, chat(""), "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":6}}\n\n", "data: [DONE]\n\n"),
        (EVENTS, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n".to_owned(), "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":6}}\n\n", "data: [DONE]\n\n"),
        (EVENTS, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n".to_owned(), "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":6}}\n\n", "data: {\"type\":\"message_stop\"}\n\n"),
        (EVENTS, "data: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n".to_owned(), "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":6}}}\n\n", ""),
        (EVENTS, "data: {\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":2}}\n\n".to_owned(), "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":6}}\n\n", ""),
        (LINES, "{\"message\":{\"content\":\"x\"},\"done\":false}\n".to_owned(), "{\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":9,\"eval_count\":6}\n", ""),
        (JSON, "{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":6},\"choices\":[".to_owned(), "]}", "\n"),
    ];
    for (content_type, before, last, after) in streams {
        let text = format!("{before}{last}{after}");
        for at in 0..=text.len() {
            let usage = read_until(false, content_type, &[&text.as_bytes()[..at]]);
            let seen = (usage.prompt_tokens, usage.completion_tokens);
            if at >= before.len() + last.len() {
                assert_eq!(seen, (Some(9), Some(6)), "at {at} of {text}");
            } else if at < before.len() + last.trim_end().len() {
                // The last event's counts may have ended some bytes before the event.
                assert!([(None, None), (Some(9), Some(6))].contains(&seen), "at {at} of {text}: {seen:?}");
                if at <= before.len() {
                    assert_eq!(seen, (None, None), "at {at} of {text}");
                }
            }
        }
        let usage = read(content_type, &[text.as_bytes()]);
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(9), Some(6)), "{text}");
    }
}

/// Anthropic's first event says one token for the answer. A connection that ends in order after it has
/// ended the response no more than one that breaks.
#[test]
fn a_placeholder_is_not_counted() {
    let start = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"c\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
    let usage = read(EVENTS, &[start.as_bytes()]);
    assert_eq!(
        (usage.prompt_tokens, usage.completion_tokens, usage.model.as_deref()),
        (None, None, Some("c"))
    );
}
