mod recorded;

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

#[test]
fn reasoning_is_counted_once_in_every_vendors_form() {
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
fn counts_that_are_not_told_are_unknown() {
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
fn memory_is_bounded_for_any_response() {
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
