use super::*;
use AiProvider::{Anthropic, Gemini, Openai, OpenaiCompatible};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(provider: AiProvider, content_type: &str, pieces: &[&[u8]]) -> AiUsage {
    let mut reader = UsageReader::new(provider, content_type);
    for piece in pieces {
        reader.feed(piece);
    }
    reader.finish()
}

const JSON: &str = "application/json; charset=utf-8";
const EVENTS: &str = "text/event-stream";

/// Answers as the vendors' references show them (read on 2026-11-23), with what they say.
fn recorded() -> Vec<(AiProvider, &'static str, String, AiUsage)> {
    let usage = |model: &str, prompt, completion| AiUsage {
        model: Some(model.to_owned()),
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
        (Openai, JSON, chat.to_string(), details(8, 3, usage("gpt-4o-2024-08-06", 19, 10))),
        (
            Openai,
            JSON,
            serde_json::to_string_pretty(&chat).unwrap(),
            details(8, 3, usage("gpt-4o-2024-08-06", 19, 10)),
        ),
        (Openai, EVENTS, chat_stream, usage("gpt-4o-mini", 9, 6)),
        (Openai, EVENTS, responses_stream, details(4, 5, usage("gpt-5", 36, 87))),
        (Openai, JSON, embeddings.to_string(), usage("text-embedding-3-small", 8, 0)),
        (Openai, JSON, image.to_string(), AiUsage { model: None, ..usage("", 50, 50) }),
        (OpenaiCompatible, EVENTS, groq, usage("llama-3", 3, 4)),
        (
            Anthropic,
            JSON,
            anthropic.to_string(),
            AiUsage {
                cached_tokens: Some(2000),
                cache_write_tokens: Some(300),
                ..usage("claude-sonnet-4-20250514", 2310, 12)
            },
        ),
        (Anthropic, EVENTS, anthropic_stream.to_owned(), usage("claude-opus-4", 25, 15)),
        (Gemini, JSON, gemini.to_string(), details(2, 40, usage("gemini-2.5-flash", 8, 140))),
        (Gemini, JSON, gemini_array, usage("gemini-2.0", 4, 7)),
        (Gemini, EVENTS, gemini_events, usage("gemini-2.0", 4, 7)),
    ]
}

#[test]
fn the_vendors_answers_are_read() {
    for (provider, content_type, text, wanted) in recorded() {
        assert_eq!(read(provider, content_type, &[text.as_bytes()]), wanted, "{provider:?}: {text}");
    }
}

/// Inside a character, an escape, an event or a CRLF: each single byte is a piece, and each place is
/// tried as the only cut.
#[test]
fn any_split_reads_the_same() {
    for (provider, content_type, text, wanted) in recorded() {
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(provider, content_type, &bytes), wanted, "{text}");
        for at in 0..text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            assert_eq!(read(provider, content_type, &[a, b]), wanted, "at {at} of {text}");
        }
    }
}

#[test]
fn what_was_said_before_a_hang_up_counts() {
    let (provider, content_type, text, _) =
        recorded().into_iter().find(|(p, c, ..)| *p == Anthropic && *c == EVENTS).unwrap();
    let cut = text.find("event: message_delta").unwrap();
    let usage = read(provider, content_type, &[&text.as_bytes()[..cut]]);
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(25), Some(1)));
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
    ] {
        assert_eq!(read(Openai, JSON, &[text.as_bytes()]), AiUsage::default(), "{text}");
    }
    let audio = r#"{"text":"hi","usage":{"type":"duration","seconds":3}}"#;
    assert_eq!(read(Openai, JSON, &[audio.as_bytes()]), AiUsage::default());
}

#[test]
fn text_that_looks_like_usage_is_text() {
    for text in [
        r#"{"choices":[{"usage":{"prompt_tokens":7}}]}"#,
        r#"{"content":"{\"usage\":{\"prompt_tokens\":7}}"}"#,
        r#"{"content":"\\","x":{"usage":{"prompt_tokens":7}}}"#,
        r#"{"usage_of":{"prompt_tokens":7},"Usage":{"prompt_tokens":7}}"#,
    ] {
        assert_eq!(read(Openai, JSON, &[text.as_bytes()]), AiUsage::default(), "{text}");
    }
}

#[test]
fn memory_is_bounded_whatever_the_answer() {
    let mut reader = UsageReader::new(Openai, JSON);
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
    assert_eq!(reader.finish().prompt_tokens, Some(5));
}

#[test]
fn a_request_says_what_it_can_use() {
    let ask = |provider, path: &str, body: Value| ask_of(provider, path, body.to_string().as_bytes());
    let chat =
        ask(Openai, "/api/openai/v1/chat/completions", json!({"model": "gpt-4o", "max_tokens": 100, "n": 2}));
    assert_eq!((chat.model.as_deref(), chat.most_completion()), (Some("gpt-4o"), Some(200)));
    assert_eq!(chat.most_tokens(), Some(200 + chat.prompt_bytes));
    let gemini = ask(
        Gemini,
        "/api/gemini/v1beta/models/gemini-2.5-pro:streamGenerateContent",
        json!({"generationConfig": {"maxOutputTokens": 50, "candidateCount": 3}}),
    );
    assert_eq!((gemini.model.as_deref(), gemini.most_completion()), (Some("gemini-2.5-pro"), Some(150)));
    let azure = ask(Openai, "/openai/deployments/mine/chat/completions", json!({"max_completion_tokens": 7}));
    assert_eq!((azure.model.as_deref(), azure.most_completion()), (Some("mine"), Some(7)));
    let embeddings = ask(Openai, "/v1/embeddings", json!({"model": "e", "input": "x"}));
    assert_eq!(embeddings.most_completion(), Some(0));
    let open = ask(Anthropic, "/v1/messages", json!({"model": "c"}));
    assert_eq!(open.most_tokens(), None);
    assert_eq!(ask_of(Openai, "/v1/x", b"no json").model, None);
}

#[test]
fn usage_is_asked_for_without_touching_the_rest() {
    let path = "/v1/chat/completions";
    let body = b" {\"model\":\"m\", \"stream\" : true}\n";
    let asked = with_include_usage(path, body).unwrap();
    assert_eq!(
        String::from_utf8(asked.clone()).unwrap(),
        " {\"stream_options\":{\"include_usage\":true},\"model\":\"m\", \"stream\" : true}\n"
    );
    assert_eq!(with_include_usage(path, &asked), None);
    for other in
        [r#"{"stream":false}"#, r#"{"stream":true,"stream_options":null}"#, "[]", "", r#"{"model":"m"}"#]
    {
        assert_eq!(with_include_usage(path, other.as_bytes()), None, "{other}");
    }
    assert_eq!(with_include_usage("/v1/responses", body), None);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, events: bool, cut: prop::sample::Index) {
        let content_type = if events { EVENTS } else { JSON };
        let at = cut.index(bytes.len() + 1);
        let (a, b) = bytes.split_at(at);
        let whole = read(Gemini, content_type, &[&bytes]);
        prop_assert_eq!(read(Gemini, content_type, &[a, b]), whole);
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
        let read = read(Openai, JSON, &[document.as_bytes()]);
        prop_assert_eq!(read.prompt_tokens, Some(prompt));
    }
}
