use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn read_until(has_ended: bool, content_type: &str, pieces: &[&[u8]]) -> AiUsage {
    let mut reader = UsageReader::new(content_type).unwrap();
    for piece in pieces {
        reader.feed(piece);
    }
    reader.finish(has_ended)
}

fn read(content_type: &str, pieces: &[&[u8]]) -> AiUsage {
    read_until(true, content_type, pieces)
}

fn read_usage(usage: &Value) -> AiUsage {
    read(JSON, &[json!({"usage": usage}).to_string().as_bytes()])
}

/// Prompt, completion, cached, written to the cache, reasoning.
fn counts(usage: &AiUsage) -> [Option<u64>; 5] {
    let AiUsage {
        prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, ..
    } = usage;
    [*prompt_tokens, *completion_tokens, *cached_tokens, *cache_write_tokens, *reasoning_tokens]
}

const JSON: &str = "application/json; charset=utf-8";
const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";
const FRAMES: &str = "application/vnd.amazon.eventstream";

/// Answers as the vendors' references show them (read on 2026-11-23), with what they say.
fn recorded() -> Vec<(&'static str, String, AiUsage)> {
    let usage = |model: &str, prompt, completion| AiUsage {
        model: Some(model.into()),
        prompt_tokens: Some(prompt),
        completion_tokens: Some(completion),
        ..AiUsage::default()
    };
    let details = |cached, reasoning, usage| AiUsage {
        cached_tokens: Some(cached),
        reasoning_tokens: Some(reasoning),
        ..usage
    };
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
    let responses = json!({"type": "response.completed", "response": {"id": "resp_1", "model": "gpt-5",
        "output": [{"content": [{"text": "hi"}], "usage": {"input_tokens": 999}}],
        "usage": {"input_tokens": 36, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 87,
            "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 123}}});
    let responses_stream = format!(
        "event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{{\"model\":\"gpt-5\",\"usage\":null}}}}\n\n\
         event: response.completed\ndata: {responses}\n\n"
    );
    let anthropic = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-20250514",
        "content": [{"type": "text", "text": "Hi!"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 2000, "output_tokens": 12}});
    let anthropic_stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"claude-opus-4\",\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n\
        event: ping\ndata: {\"type\": \"ping\"}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let gemini = json!({"candidates": [{"content": {"parts": [{"text": "x"}], "role": "model"}}],
        "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 100, "thoughtsTokenCount": 40,
            "cachedContentTokenCount": 2, "totalTokenCount": 148}, "modelVersion": "gemini-2.5-flash"});
    let gemini_part = |n: u64| json!({"candidates": [{"content": {"role": "model"}}], "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": n, "totalTokenCount": 4 + n}, "modelVersion": "gemini-2.0"});
    let gemini_array = format!("[{},\r\n{}]", gemini_part(1), gemini_part(7));
    let gemini_events = format!("data: {}\r\rdata: {}\r\r", gemini_part(1), gemini_part(7));
    let embeddings = json!({"object": "list", "data": [{"embedding": [0.1, -2e-3], "index": 0}],
        "model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}});
    let groq = format!(
        "data: {}\n\ndata: [DONE]\n\n",
        json!({"model": "llama-3", "choices": [], "x_groq": {"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}})
    );
    let image = json!({"created": 1, "data": [{"b64_json": "AAAA"}], "usage": {"total_tokens": 100, "input_tokens": 50, "output_tokens": 50}});
    vec![
        (JSON, chat.to_string(), details(8, 3, usage("gpt-4o-2024-08-06", 19, 10))),
        (
            JSON,
            serde_json::to_string_pretty(&chat).unwrap(),
            details(8, 3, usage("gpt-4o-2024-08-06", 19, 10)),
        ),
        (EVENTS, chat_stream, usage("gpt-4o-mini", 9, 6)),
        (EVENTS, responses_stream, details(4, 5, usage("gpt-5", 36, 87))),
        (JSON, embeddings.to_string(), usage("text-embedding-3-small", 8, 0)),
        (JSON, image.to_string(), AiUsage { model: None, ..usage("", 50, 50) }),
        (EVENTS, groq, usage("llama-3", 3, 4)),
        (
            JSON,
            anthropic.to_string(),
            AiUsage {
                cached_tokens: Some(2000),
                cache_write_tokens: Some(300),
                ..usage("claude-sonnet-4-20250514", 2310, 12)
            },
        ),
        (EVENTS, anthropic_stream.to_owned(), usage("claude-opus-4", 25, 15)),
        (JSON, gemini.to_string(), details(2, 40, usage("gemini-2.5-flash", 8, 140))),
        (JSON, gemini_array, usage("gemini-2.0", 4, 7)),
        (EVENTS, gemini_events, usage("gemini-2.0", 4, 7)),
    ]
}

#[test]
fn the_vendors_answers_are_read() {
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
fn a_placeholder_is_no_count() {
    let start = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"c\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
    let usage = read(EVENTS, &[start.as_bytes()]);
    assert_eq!(
        (usage.prompt_tokens, usage.completion_tokens, usage.model.as_deref()),
        (None, None, Some("c"))
    );
}

#[test]
fn reasoning_is_counted_once_wherever_the_vendor_puts_it() {
    // Gemini behind OpenAI's shape: only the total has it.
    assert_eq!(
        counts(&read_usage(&json!({"prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 89}))),
        [Some(21), Some(68), None, None, None]
    );
    for streamed in [
        "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":21,\"completion_tokens\":8,\"total_tokens\":89}}\n\ndata: [DONE]\n\n",
        "data: {\"usage\":{\"prompt_tokens\":21,\"completion_tokens\":3,\"total_tokens\":24}}\n\ndata: {\"usage\":{\"prompt_tokens\":21,\"completion_tokens\":8,\"total_tokens\":89}}\n\n",
    ] {
        assert_eq!(read(EVENTS, &[streamed.as_bytes()]).completion_tokens, Some(68));
    }
    let within = json!({"prompt_tokens": 21, "completion_tokens": 68, "total_tokens": 89, "completion_tokens_details": {"reasoning_tokens": 60}});
    assert_eq!(counts(&read_usage(&within)), [Some(21), Some(68), None, None, Some(60)]);
    // xAI: beside the completion, in the total.
    let beside = json!({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135, "completion_tokens_details": {"reasoning_tokens": 94}});
    assert_eq!(read_usage(&beside).completion_tokens, Some(103));
    let no_total = json!({"prompt_tokens": 32, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 94}});
    assert_eq!(read_usage(&no_total).completion_tokens, Some(103));
}

#[test]
fn tokens_of_the_cache_are_found_under_every_name() {
    for (usage, wanted) in [
        (
            json!({"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 60}),
            [Some(100), Some(5), Some(60), None, None],
        ),
        (
            json!({"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 60, "prompt_cache_miss_tokens": 40}),
            [Some(100), Some(5), Some(60), None, None],
        ),
        (
            json!({"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 20}}),
            [Some(100), Some(5), Some(60), Some(20), None],
        ),
        (
            json!({"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_input_tokens": 20}}),
            [Some(100), Some(5), Some(60), Some(20), None],
        ),
        (
            json!({"input_tokens": 100, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 60}}),
            [Some(100), Some(5), Some(60), None, None],
        ),
        (
            json!({"prompt_tokens": 100, "completion_tokens": 5, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 20, "total_tokens": 105}),
            [Some(100), Some(5), Some(60), Some(20), None],
        ),
        // Beside the prompt: Anthropic's and Bedrock's, and whatever is more than the prompt.
        (
            json!({"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 20}),
            [Some(90), Some(5), Some(60), Some(20), None],
        ),
        (
            json!({"inputTokens": 10, "outputTokens": 5, "totalTokens": 95, "cacheReadInputTokens": 60, "cacheWriteInputTokens": 20}),
            [Some(90), Some(5), Some(60), Some(20), None],
        ),
        (
            json!({"prompt_tokens": 10, "completion_tokens": 5, "cache_read_input_tokens": 60}),
            [Some(70), Some(5), Some(60), None, None],
        ),
        (
            json!({"prompt_tokens": 70, "completion_tokens": 5, "cache_read_input_tokens": 60, "total_tokens": 135}),
            [Some(130), Some(5), Some(60), None, None],
        ),
    ] {
        assert_eq!(counts(&read_usage(&usage)), wanted, "{usage}");
    }
}

#[test]
fn bedrocks_coheres_and_ollamas_counts_are_read() {
    let converse = json!({"output": {"message": {"role": "assistant", "content": [{"text": "x"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 30, "outputTokens": 6, "totalTokens": 36}, "metrics": {"latencyMs": 9}});
    let cohere = json!({"id": "1", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": []},
        "usage": {"billed_units": {"input_tokens": 5.0, "output_tokens": 18.0}, "tokens": {"input_tokens": 71, "output_tokens": 18}}});
    let embed = json!({"embeddings": {"float": [[0.1]]}, "meta": {"billed_units": {"input_tokens": 4}}});
    let ollama = json!({"model": "llama3", "message": {"content": "x"}, "done": true, "prompt_eval_count": 11, "eval_count": 18});
    for (body, wanted) in [
        (converse, (Some(30), Some(6))),
        (cohere, (Some(5), Some(18))),
        (embed, (Some(4), None)),
        (ollama, (Some(11), Some(18))),
    ] {
        let usage = read(JSON, &[body.to_string().as_bytes()]);
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), wanted, "{body}");
    }
    let cohere_stream = "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":5,\"output_tokens\":18}}}}\n\n";
    assert_eq!(read_until(false, EVENTS, &[cohere_stream.as_bytes()]).completion_tokens, Some(18));
    let old_cohere = "{\"event_type\":\"text-generation\",\"text\":\"x\"}\n{\"is_finished\":true,\"event_type\":\"stream-end\",\"finish_reason\":\"COMPLETE\",\"response\":{\"meta\":{\"billed_units\":{\"input_tokens\":5,\"output_tokens\":18}}}}\n";
    assert_eq!(read_until(false, "application/stream+json", &[old_cohere.as_bytes()]).prompt_tokens, Some(5));
}

fn frame(payload: &str) -> Vec<u8> {
    let headers = b"\x0b:event-type\x07\x00\x05chunk";
    let total = u32::try_from(12 + headers.len() + payload.len() + 4).unwrap();
    let length = u32::try_from(headers.len()).unwrap();
    [&total.to_be_bytes()[..], &length.to_be_bytes(), &[0; 4], headers, payload.as_bytes(), &[0; 4]].concat()
}

#[test]
fn bedrocks_frames_are_read_at_any_cut() {
    let wrapped =
        |json: &str| format!("{{\"bytes\":\"{}\",\"p\":\"abc\"}}", crate::encoding::base64(json.as_bytes()));
    let invoke = [
        wrapped(
            "{\"type\":\"message_start\",\"message\":{\"model\":\"c\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}",
        ),
        wrapped(
            "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}",
        ),
        wrapped(
            "{\"type\":\"message_stop\",\"amazon-bedrock-invocationMetrics\":{\"inputTokenCount\":25,\"outputTokenCount\":15}}",
        ),
    ];
    let converse = [
        format!("{{\"delta\":{{\"text\":\"{}\"}}}}", "x".repeat(300_000)),
        "{\"stopReason\":\"end_turn\"}".to_owned(),
        "{\"usage\":{\"inputTokens\":25,\"outputTokens\":15,\"totalTokens\":40},\"p\":\"abc\"}".to_owned(),
    ];
    for events in [&invoke, &converse] {
        let bytes: Vec<u8> = events.iter().flat_map(|event| frame(event)).collect();
        for size in [1, 7, 1_000, bytes.len()] {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let usage = read_until(false, FRAMES, &pieces);
            assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(25), Some(15)), "{size}");
        }
        let cut = read_until(false, FRAMES, &[&bytes[..bytes.len() - 1]]);
        assert!(cut.prompt_tokens.is_none() || events[2].contains("bytes"));
    }
}

#[test]
fn a_byte_order_mark_hides_nothing() {
    let mark = "\u{feff}";
    let event = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":6}}";
    for end in ["\n\n", "\r\n\r\n", "\r\r"] {
        let text = format!("{mark}{event}{end}data: [DONE]{end}");
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(EVENTS, &bytes).prompt_tokens, Some(9), "{text:?}");
        assert_eq!(read(EVENTS, &[text.as_bytes()]).prompt_tokens, Some(9), "{text:?}");
    }
    let json = format!("{mark}{{\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":6}}}}");
    assert_eq!(read(JSON, &[json.as_bytes()]).prompt_tokens, Some(9));
}

#[test]
fn events_that_are_called_json_are_read() {
    for before in ["", "\u{feff}", "\r\n", ": ping\n\n", "event: x\n"] {
        let text = format!(
            "{before}data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":6}}}}\n\ndata: [DONE]\n\n"
        );
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(JSON, &bytes).prompt_tokens, Some(9), "{text:?}");
    }
}

#[test]
fn only_what_can_hold_usage_is_looked_at() {
    let with = |content_type: &str, encoding: &str| {
        UsageReader::of(|name| match name {
            "content-type" => Some(content_type.to_owned()),
            "content-encoding" => Some(encoding.to_owned()),
            _ => None,
        })
        .is_some()
    };
    for read in [
        JSON,
        EVENTS,
        "Application/JSON",
        "application/vnd.api+json",
        LINES,
        FRAMES,
        "text/event-stream;charset=utf-8",
    ] {
        assert!(with(read, ""), "{read}");
    }
    for other in [
        "application/octet-stream",
        "audio/mpeg",
        "image/png",
        "video/mp4",
        "text/plain",
        "text/html",
        "application/pdf",
        "multipart/mixed",
        "",
    ] {
        assert!(!with(other, ""), "{other}");
    }
    for readable in ["gzip", "br", "identity"] {
        assert!(with(JSON, readable), "{readable}");
    }
    for opaque in ["zstd", "deflate", "compress", "gzip, gzip", "aws-chunked"] {
        assert!(!with(JSON, opaque), "{opaque}");
    }
    assert!(UsageReader::of(|_| None).is_none());
}

#[test]
fn bedrocks_headers_count_for_bodies_that_say_nothing() {
    let reader = UsageReader::of(|name| match name {
        "content-type" => Some(JSON.to_owned()),
        "x-amzn-bedrock-input-token-count" => Some("25".to_owned()),
        "x-amzn-bedrock-output-token-count" => Some("15".to_owned()),
        _ => None,
    });
    let mut reader = reader.unwrap();
    reader.feed(b"{\"generation\":\"x\",\"stop_reason\":\"stop\"}");
    let usage = reader.finish(true);
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(25), Some(15)));
}

#[test]
fn what_is_not_said_is_unknown() {
    for text in [
        "",
        "{}",
        "null",
        "<html>",
        r#"{"usage":null}"#,
        r#"{"usage":"12"}"#,
        r#"{"usage":{"prompt_tokens":-1}}"#,
        r#"{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#,
    ] {
        assert_eq!(read(JSON, &[text.as_bytes()]), AiUsage::default(), "{text}");
    }
    let audio = r#"{"text":"hi","usage":{"type":"duration","seconds":3}}"#;
    assert_eq!(read(JSON, &[audio.as_bytes()]), AiUsage::default());
}

#[test]
fn text_that_looks_like_usage_is_text() {
    for text in [
        r#"{"choices":[{"usage":{"prompt_tokens":7}}]}"#,
        r#"{"content":"{\"usage\":{\"prompt_tokens\":7}}"}"#,
        r#"{"content":"\\","x":{"usage":{"prompt_tokens":7}}}"#,
        r#"{"usage_of":{"prompt_tokens":7},"Usage":{"prompt_tokens":7}}"#,
    ] {
        assert_eq!(read(JSON, &[text.as_bytes()]), AiUsage::default(), "{text}");
    }
}

#[test]
fn memory_is_bounded_whatever_the_answer() {
    let mut reader = UsageReader::new(JSON).unwrap();
    reader.feed(br#"{"data":["#);
    for _ in 0..200_000 {
        reader.feed(br#"{"embedding":[0.1,0.2],"text":"some text"},"#);
    }
    reader.feed(br#"null],"usage":{"junk":""#);
    for _ in 0..10_000 {
        reader.feed(b"junk junk junk junk ");
    }
    reader.feed(br#""},"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}"#);
    assert!(reader.held() < 40_000, "{}", reader.held());
    assert_eq!(reader.finish(true).prompt_tokens, Some(5));
}

fn ask(path: &str, body: &Value) -> AiAsk {
    ask_of(Metering::Generates, path, body.to_string().as_bytes())
}

#[test]
fn a_request_says_what_it_can_use() {
    let chat = ask("/v1/chat/completions", &json!({"model": "gpt-4o", "max_tokens": 100, "n": 2}));
    assert_eq!((chat.model.as_deref(), chat.most_completion()), (Some("gpt-4o"), Some(200)));
    assert_eq!(chat.most_tokens(), Some(200 + chat.prompt_bytes));
    let embeddings = ask_of(Metering::Reads, "/v1/embeddings", br#"{"model":"e","input":"x"}"#);
    assert_eq!(embeddings.most_completion(), Some(0));
    assert_eq!(ask("/v1/messages", &json!({"model": "c"})).most_tokens(), None);
    assert_eq!(ask_of(Metering::Generates, "/v1/x", b"no json").model, None);
    let submitted = ask_of(Metering::Submits, "/v1/batches", br#"{"max_tokens":5}"#);
    assert_eq!(submitted.most_tokens(), None);
}

#[test]
fn the_largest_bound_of_a_request_counts() {
    for (body, most) in [
        (json!({"max_tokens": 1, "max_completion_tokens": 9, "max_output_tokens": 5}), 9),
        (json!({"max_tokens": 9, "max_completion_tokens": 1}), 9),
        (json!({"max_output_tokens": 9, "max_tokens": null}), 9),
        (json!({"max_tokens": 3, "n": 1, "best_of": 5}), 15),
        (json!({"max_tokens": 3, "n": 2, "prompt": ["a", "b", "c"]}), 18),
        (json!({"max_tokens": 3, "prompt": [[1, 2], [3]]}), 6),
        (json!({"max_tokens": 3, "prompt": [1, 2, 3]}), 3),
        (json!({"generationConfig": {"maxOutputTokens": 50, "candidateCount": 3}}), 150),
        (json!({"generation_config": {"max_output_tokens": 50}}), 50),
        (json!({"inferenceConfig": {"maxTokens": 7}}), 7),
        (json!({"options": {"num_predict": 7}}), 7),
    ] {
        assert_eq!(ask("/v1/x", &body).most_completion(), Some(most), "{body}");
    }
    assert_eq!(ask("/api/chat", &json!({"options": {"num_predict": -1}})).most_completion(), None);
    assert_eq!(
        ask("/v1/x", &json!({"max_tokens": 5, "previous_response_id": "resp_1"})).most_completion(),
        None
    );
}

#[test]
fn the_model_in_the_path_comes_before_the_bodys() {
    for (path, model) in [
        ("/openai/deployments/mine/chat/completions", "mine"),
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", "gemini-2.5-pro"),
        ("/v1beta/models/gemini-2.5-pro%3AgenerateContent", "gemini-2.5-pro"),
        ("/v1beta/tunedModels/mine:generateContent", "mine"),
        ("/v1/projects/p/publishers/google/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro"),
        ("/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke", "anthropic.claude-3-haiku-20240307-v1:0"),
        ("/v1beta/openai/chat/completions", "body"),
        ("/openai/v1/responses", "body"),
    ] {
        assert_eq!(ask(path, &json!({"model": "body"})).model.as_deref(), Some(model), "{path}");
    }
    let long = json!({"model": "A".repeat(300_000)});
    assert_eq!(ask("/v1/x", &long).model.unwrap().len(), MAX_MODEL_LEN);
    let path = format!("/openai/deployments/{}/chat/completions", "x".repeat(16_000));
    assert_eq!(ask(&path, &json!({})).model.unwrap().len(), MAX_MODEL_LEN);
}

#[test]
fn usage_is_asked_for_without_touching_the_rest() {
    let path = "/v1/chat/completions";
    for (body, wanted) in [
        (
            " {\"model\":\"m\", \"stream\" : true}\n",
            " {\"stream_options\":{\"include_usage\":true},\"model\":\"m\", \"stream\" : true}\n",
        ),
        (
            "{\"stream\":true,\"stream_options\":{\"include_obfuscation\":false}}",
            "{\"stream\":true,\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false}}",
        ),
        (
            "{\"stream\":true,\"stream_options\" : { } ,\"n\":1}",
            "{\"stream\":true,\"stream_options\" : {\"include_usage\":true } ,\"n\":1}",
        ),
        (
            "{\"stream_options\":null,\"stream\":true}",
            "{\"stream_options\":{\"include_usage\":true},\"stream\":true}",
        ),
        // A member of that name within another, or in text, is not the one.
        (
            "{\"x\":{\"stream_options\":{}},\"y\":\"\\\"stream_options\\\":{\",\"stream\":true,\"stream_options\":{}}",
            "{\"x\":{\"stream_options\":{}},\"y\":\"\\\"stream_options\\\":{\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
        ),
    ] {
        let asked = with_include_usage(path, body.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(asked.clone()).unwrap(), wanted);
        serde_json::from_slice::<Value>(&asked).unwrap();
        assert_eq!(with_include_usage(path, &asked), None);
    }
    // The client's own word stands.
    for other in [
        r#"{"stream":false}"#,
        r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":[]}"#,
        "[]",
        "",
        r#"{"model":"m"}"#,
    ] {
        assert_eq!(with_include_usage(path, other.as_bytes()), None, "{other}");
    }
    assert_eq!(with_include_usage("/v1/responses", br#"{"stream":true}"#), None);
}

/// Growing counts of one call, as vendors repeat them, with zeros, nulls and unknown members between.
fn usages() -> impl Strategy<Value = (Vec<Value>, u64, u64)> {
    let noise = prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})),
        Just(json!({"prompt_tokens": null, "completion_tokens": null})),
        Just(json!({"cost": 0.1, "prompt_tokens_details": null, "new_field": {"prompt_tokens": "x"}})),
    ];
    (1_u64..1 << 30, proptest::collection::vec(1_u64..1 << 30, 1..6), proptest::collection::vec(noise, 0..6))
        .prop_map(|(prompt, mut said, noise)| {
            said.sort_unstable();
            let most = said.last().copied().unwrap_or_default();
            let counted = said.into_iter().map(
                |n| json!({"prompt_tokens": prompt, "completion_tokens": n, "total_tokens": prompt + n, "later": [1, {"a": n}]}),
            );
            (counted.chain(noise).collect(), prompt, most)
        })
}

proptest! {
    /// The largest value stands, so neither order nor repetition nor a last zero changes the result.
    #[test]
    fn repeated_counts_are_one_in_any_order(
        (usages, prompt, most) in usages().prop_flat_map(|(all, prompt, most)| (Just(all).prop_shuffle(), Just(prompt), Just(most))),
    ) {
        let event = |usage| format!("data: {}\n\n", json!({"choices": [], "usage": usage}));
        let events = usages.iter().map(event).collect::<Vec<_>>().concat();
        let usage = read(EVENTS, &[events.as_bytes(), b"data: [DONE]\n\n"]);
        prop_assert_eq!(counts(&usage), [Some(prompt), Some(most), None, None, None]);
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, events: bool, cut: prop::sample::Index) {
        let content_type = if events { EVENTS } else { JSON };
        let at = cut.index(bytes.len() + 1);
        let (a, b) = bytes.split_at(at);
        let whole = read(content_type, &[&bytes]);
        prop_assert_eq!(read(content_type, &[a, b]), whole);
    }

    /// Against a parser that reads the whole: any JSON around the usage.
    #[test]
    fn usage_is_found_in_any_json(
        text in "\\PC{0,30}", key in "[a-z\"\\\\]{1,9}", prompt in 0_u64..1 << 40, depth in 0_usize..5, after: bool,
    ) {
        prop_assume!(!["usage", "model", "response", "message"].contains(&key.as_str()));
        let mut inner = json!({"usage": {"prompt_tokens": 1}, "text": text});
        for _ in 0..depth {
            inner = json!([{key.clone(): inner, "t": text}]);
        }
        let usage = json!({"prompt_tokens": prompt, "completion_tokens": 2}).to_string();
        let other = format!("{}:{}", json!(key), json!([inner]));
        let document = if after { format!("{{{other},\"usage\":{usage}}}") } else { format!("{{\"usage\":{usage},{other}}}") };
        let read = read(JSON, &[document.as_bytes()]);
        prop_assert_eq!(read.prompt_tokens, Some(prompt));
    }
}
