use super::*;
use AiProvider::{Anthropic, Gemini, Openai, OpenaiCompatible};

const PROVIDERS: [AiProvider; 4] = [Openai, Anthropic, Gemini, OpenaiCompatible];

fn check(provider: AiProvider, kind: Metering, calls: &[&str]) {
    for call in calls {
        let (method, path) = call.split_once(' ').unwrap();
        assert_eq!(metering(provider, method, path, false), kind, "{provider:?} {call}");
    }
}

#[test]
fn openais_generating_paths() {
    check(
        Openai,
        Generates,
        &[
            "POST /v1/chat/completions",
            "POST /v1/completions",
            "POST /v1/responses",
            "POST /v1/responses/compact",
            "POST /v1/images/generations",
            "POST /v1/images/edits",
            "POST /v1/images/variations",
            "POST /v1/audio/speech",
            "POST /v1/audio/transcriptions",
            "POST /v1/audio/translations",
            "POST /chat/completions",
            "POST /v1/chat/completions/",
            "POST /v1//chat/completions",
        ],
    );
    check(Openai, Reads, &["POST /v1/embeddings"]);
}

#[test]
fn openais_submitting_paths() {
    check(
        Openai,
        Submits,
        &[
            "POST /v1/batches",
            "POST /v1/fine_tuning/jobs",
            "POST /v1/threads/runs",
            "POST /v1/threads/t_1/runs",
            "POST /v1/threads/t_1/runs/r_1/submit_tool_outputs",
            "POST /v1/evals/e/runs",
            "POST /v1/videos",
            "POST /v1/videos/v/remix",
            "POST /v1/containers",
            "POST /v1/realtime/sessions",
            "POST /v1/realtime/client_secrets",
        ],
    );
}

#[test]
fn openais_stored_paths() {
    check(
        Openai,
        Stored,
        &[
            "GET /v1/chat/completions/chatcmpl-1",
            "GET /v1/chat/completions",
            "GET /v1/responses/resp_1",
            "HEAD /v1/responses/resp_1",
            "POST /v1/responses/resp_1/cancel",
            "GET /v1/responses/resp_1/input_items",
            "GET /v1/threads/t/runs/r",
            "GET /v1/batches/b",
            "GET /v1/videos/v",
            "GET /v1/evals/e/runs/r",
        ],
    );
}

#[test]
fn openais_free_paths() {
    check(
        Openai,
        Free,
        &[
            "GET /v1/models",
            "GET /models",
            "GET /v1/models/gpt-4o",
            "DELETE /v1/models/ft:x",
            "POST /v1/files",
            "GET /v1/files",
            "GET /v1/files/f/content",
            "DELETE /v1/files/f",
            "POST /v1/uploads",
            "POST /v1/uploads/u/parts",
            "POST /v1/uploads/u/complete",
            "POST /v1/moderations",
            "POST /v1/responses/input_tokens",
            "DELETE /v1/responses/r",
            "GET /v1/batches",
            "POST /v1/batches/b/cancel",
            "POST /v1/vector_stores",
            "POST /v1/vector_stores/v/files",
            "GET /v1/vector_stores/v/files",
            "GET /v1/fine_tuning/jobs",
            "POST /v1/fine_tuning/jobs/j/cancel",
            "POST /v1/assistants",
            "POST /v1/threads",
            "POST /v1/threads/t/messages",
            "POST /v1/conversations",
            "POST /v1/conversations/c/items",
            "GET /v1/containers",
            "POST /v1/containers/c/files",
            "POST /v1/evals",
            "GET /v1/videos/v/content",
            "POST /v1/chat/completions/chatcmpl-1",
            "OPTIONS /v1/chat/completions",
        ],
    );
}

#[test]
fn azures_paths_are_openais_behind_a_deployment() {
    check(
        Openai,
        Generates,
        &[
            "POST /openai/deployments/mine/chat/completions",
            "POST /openai/deployments/mine/completions",
            "POST /openai/deployments/mine/extensions/chat/completions",
            "POST /openai/v1/responses",
            "POST /openai/deployments/mine/images/generations",
            "POST /openai/deployments/mine/audio/speech",
        ],
    );
    check(Openai, Reads, &["POST /openai/deployments/mine/embeddings"]);
    check(
        Openai,
        Submits,
        &["POST /openai/images/generations:submit", "POST /openai/v1/video/generations/jobs"],
    );
    check(Openai, Stored, &["GET /openai/v1/responses/resp_1"]);
    check(
        Openai,
        Free,
        &[
            "GET /openai/models",
            "GET /openai/deployments",
            "POST /openai/files",
            "GET /openai/operations/images/i",
        ],
    );
}

#[test]
fn anthropics_free_stored_and_generating_paths() {
    check(
        Anthropic,
        Generates,
        &["POST /v1/messages", "POST /messages", "POST /v1/complete", "POST /v1/chat/completions"],
    );
    check(Anthropic, Submits, &["POST /v1/messages/batches"]);
    check(Anthropic, Stored, &["GET /v1/messages/batches/b/results", "GET /v1/messages/batches/b"]);
    check(
        Anthropic,
        Free,
        &[
            "POST /v1/messages/count_tokens",
            "GET /v1/models",
            "GET /v1/models/claude-sonnet-4",
            "POST /v1/files",
            "GET /v1/files/f/content",
            "DELETE /v1/files/f",
            "GET /v1/messages/batches",
            "POST /v1/messages/batches/b/cancel",
            "POST /v1/skills",
            "GET /v1/skills",
        ],
    );
}

#[test]
fn geminis_free_stored_and_generating_paths() {
    check(
        Gemini,
        Generates,
        &[
            "POST /v1beta/models/gemini-2.5-pro:generateContent",
            "POST /v1beta/models/gemini-2.5-pro:streamGenerateContent",
            "POST /v1beta/models/gemini-2.5-pro%3AgenerateContent",
            "POST /v1beta/tunedModels/mine:generateContent",
            "POST /v1beta/models/imagen-4:predict",
            "POST /v1beta/openai/chat/completions",
            "POST /v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent",
            "POST /v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4:streamRawPredict",
        ],
    );
    check(
        Gemini,
        Reads,
        &[
            "POST /v1beta/models/gemini-embedding-001:embedContent",
            "POST /v1beta/models/x:batchEmbedContents",
            "POST /v1beta/cachedContents",
            "POST /v1beta/openai/embeddings",
        ],
    );
    check(
        Gemini,
        Submits,
        &["POST /v1beta/models/veo-3:predictLongRunning", "POST /v1beta/models/x:batchGenerateContent"],
    );
    check(
        Gemini,
        Stored,
        &[
            "GET /v1beta/models/veo-3/operations/o",
            "GET /v1beta/operations/o",
            "POST /v1/x/models/veo-3:fetchPredictOperation",
        ],
    );
    check(
        Gemini,
        Free,
        &[
            "POST /v1beta/models/gemini-2.5-pro:countTokens",
            "GET /v1beta/models",
            "GET /v1beta/models/gemini-2.5-pro",
            "POST /upload/v1beta/files",
            "PUT /upload/v1beta/files",
            "GET /v1beta/files/f",
            "GET /v1beta/files/f:download",
            "GET /v1beta/cachedContents",
            "PATCH /v1beta/cachedContents/c",
            "DELETE /v1beta/cachedContents/c",
            "GET /v1beta/openai/models",
            "POST /v1beta/batches/b:cancel",
        ],
    );
}

#[test]
fn bedrocks_paths_are_known_under_every_provider() {
    for provider in PROVIDERS {
        check(
            provider,
            Generates,
            &[
                "POST /model/anthropic.claude-3-haiku-20240307-v1:0/invoke",
                "POST /model/amazon.nova-lite-v1%3A0/converse",
                "POST /model/m/converse-stream",
                "POST /model/m/invoke-with-response-stream",
                "POST /model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fx/invoke",
                "POST /openai/v1/chat/completions",
            ],
        );
        check(provider, Submits, &["POST /async-invoke", "POST /model-invocation-job"]);
        check(
            provider,
            Free,
            &["GET /foundation-models", "GET /inference-profiles", "POST /model/m/count-tokens"],
        );
    }
}

#[test]
fn other_vendors_free_stored_and_generating_paths() {
    check(
        OpenaiCompatible,
        Generates,
        &[
            "POST /api/v1/chat/completions",
            "POST /openai/v1/chat/completions",
            "POST /v2/chat",
            "POST /v1/chat",
            "POST /api/chat",
            "POST /api/generate",
            "POST /v2/rerank",
            "POST /v1/fim/completions",
            "POST /v1/ocr",
            "POST /v1/conversations",
            "POST /v1/moderations",
            "POST /v1/messages",
            "POST /openai/v1/audio/transcriptions",
            "POST /beta/completions",
        ],
    );
    check(
        OpenaiCompatible,
        Reads,
        &["POST /v2/embed", "POST /api/embed", "POST /v1/embeddings", "POST /api/embeddings"],
    );
    check(OpenaiCompatible, Submits, &["POST /v1/batch/jobs", "POST /v1/fine-tunes", "POST /v1/embed-jobs"]);
    check(OpenaiCompatible, Stored, &["GET /api/v1/generation", "GET /v1/chat/deferred-completion/r"]);
    check(
        OpenaiCompatible,
        Free,
        &[
            "GET /api/v1/key",
            "GET /api/v1/credits",
            "GET /api/v1/models",
            "GET /api/tags",
            "POST /api/show",
            "POST /v1/tokenize",
            "POST /v1/tokenize-text",
            "GET /user/balance",
            "POST /v1/files",
            "GET /v1/models",
            "GET /v1/language-models",
        ],
    );
}

#[test]
fn an_unknown_post_needs_a_budget_and_nothing_else_does() {
    for provider in PROVIDERS {
        check(
            provider,
            Generates,
            &[
                "POST /v9/new/thing",
                "POST /",
                "POST /v1/FILES",
                "POST /v1/files/%2e",
                "POST /v1/chat/completions/%2F",
            ],
        );
        check(
            provider,
            Free,
            &["GET /v9/new", "PUT /v9/new", "DELETE /v9/new", "PATCH /v9/new", "HEAD /v9/new"],
        );
        assert!(metering(provider, "GET", "/v1/realtime", true).is_metered());
        assert!(metering(provider, "GET", "/v1/responses/x", true).is_metered());
    }
}

/// A row that no call reaches, because an earlier row matches first, would be a silent mistake.
#[test]
fn each_row_is_reached() {
    for provider in PROVIDERS {
        let [own, ..] = tables(provider);
        let shared: &[&[Row]] = if provider == Openai { &[own, OPENAI_LIKE, BEDROCK] } else { &[own] };
        for (method, pattern, kind) in shared.iter().copied().flatten() {
            let path = format!("/v1/{}", pattern.trim_start_matches('/').replace('*', "x"));
            assert_eq!(metering(provider, method, &path, false), *kind, "{provider:?} {method} {pattern}");
        }
    }
}
