use super::super::members::MAX_ITEMS;
use super::*;
use serde_json::{Map, Value, json};

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

#[test]
fn members_are_read_wherever_they_stand_and_nothing_else_is_held() {
    let text = br#" {"x":{"bytes":"no"},"b\u0079tes":"a\/b","y":[1,{"z":null}],"other":true} "#;
    assert_eq!(members(text, &["bytes", "absent"]).unwrap(), *json!({"bytes": "a/b"}).as_object().unwrap());
    for none in ["[]", "[1,2]", "5", "-1", "0.5", "null", "true", "\"bytes\"", "{}"] {
        assert_eq!(members(none.as_bytes(), &["bytes"]), Some(Map::new()), "{none}");
    }
    for unreadable in [
        r#"{"bytes":1,"bytes":1}"#,
        r#"{"bytes":{"a":1,"a":2}}"#,
        r#"{"bytes":1} x"#,
        r#"{"bytes":}"#,
        "",
        "{",
    ] {
        assert_eq!(members(unreadable.as_bytes(), &["bytes"]), None, "{unreadable}");
    }
    let (list, sized) =
        (json!({"generationConfig": [50]}), json!({"generationConfig": {"maxOutputTokens": 50}}));
    assert_eq!(ask("/v1/x", &list).most_completion(), None, "a list is no object");
    assert_eq!(ask("/v1/x", &sized).most_completion(), Some(50));
}

#[test]
fn no_member_takes_many_times_its_length_in_memory() {
    let of = |member: String| members(format!(r#"{{"options":{member}}}"#).as_bytes(), &["options"]);
    assert!(of(format!("[0{}]", ",0".repeat(MAX_ITEMS - 1))).is_some());
    assert!(of(format!("[0{}]", ",0".repeat(MAX_ITEMS))).is_none());
    let object = |count: usize| (0..count).map(|i| format!(r#""{i}":0"#)).collect::<Vec<_>>().join(",");
    assert!(
        of(format!("{{{}}}", object(MAX_ITEMS))).is_some()
            && of(format!("{{{}}}", object(MAX_ITEMS + 1))).is_none()
    );
    let deep = of(format!(r#"{{"a":[0{}],"b":{{"c":1}},"d":2}}"#, ",0".repeat(2 * MAX_ITEMS))).unwrap();
    assert_eq!(deep["options"], json!({"a": [], "b": {}, "d": 2}), "what lies deeper is skipped");
    let twice = br#"{"generationConfig":{"maxOutputTokens":1000000,"maxOutputTokens":1}}"#;
    assert_eq!(
        ask_of(Metering::Generates, "/v1/x", twice).most_completion(),
        None,
        "a vendor may read either"
    );
}

#[test]
fn each_model_that_a_vendor_may_choose_is_read() {
    let routed = ask("/v1/chat/completions", &json!({"model": "a", "models": ["b", 5, "c"]}));
    assert_eq!(
        (routed.model.as_deref(), routed.fallbacks),
        (Some("a"), vec!["b".to_owned(), "c".to_owned()])
    );
    for path in ["/v1/batches", "/v1/realtime/client_secrets", "/v1/realtime/calls", "/v1/evals/e/runs"] {
        let beside = ask_of(Metering::Submits, path, br#"{"model":"a","session":{"model":"b"}}"#);
        assert_eq!(beside.model, None, "{path} names it elsewhere");
        let form = b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--b--";
        assert_eq!(ask_of_form(Metering::Submits, path, form, "multipart/form-data; boundary=b").model, None);
    }
    let twice = ask_of(Metering::Generates, "/v1/chat/completions", br#"{"model":"a","model":"b"}"#);
    assert_eq!(twice.model, None, "a vendor may read either");
    let by_query = |query| {
        let mut socket = ask_of(Metering::Submits, "/v1/realtime", b"");
        socket.read_query(query);
        socket.model.map(|model| model.as_str().to_owned())
    };
    assert_eq!(by_query(Some("x=1&model=gpt%2D4o")).as_deref(), Some("gpt-4o"));
    assert_eq!((by_query(None), by_query(Some("model=a&model=b"))), (None, None));
}
