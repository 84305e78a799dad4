//! Decides, before a call is sent, whether it can cost anything.
//!
//! The vendors' paths are data: method, the end of the upstream's path, and the kind of call. A route's
//! address may hold part of the path (`https://api.openai.com/v1`), so only the end is compared. A path
//! that no row knows is metered if it is a `POST`, and free otherwise.

use crate::upstream::settings::AiProvider;

/// Kinds of calls to an AI's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metering {
    /// Generates, and is charged by what its response says.
    Generates,
    /// Reads a prompt and generates nothing: embeddings, explicit caches.
    Reads,
    /// Starts work that its response does not account for. Charged at the per-call ceiling, unless the
    /// response says more.
    Submits,
    /// Returns what another call was charged for, usage included. Never charged again.
    Stored,
    /// Costs no tokens: lists, uploads, administration.
    Free,
}

use Metering::{Free, Generates, Reads, Stored, Submits};

impl Metering {
    /// Whether the call needs a budget, and its response is read for usage.
    pub fn is_metered(self) -> bool {
        matches!(self, Generates | Reads | Submits)
    }
}

/// Method, end of the path, kind. `*` is one segment, `*:verb` a segment with that ending.
type Row = (&'static str, &'static str, Metering);

/// `OpenAI` and Azure `OpenAI` alone.
const OPENAI: &[Row] = &[
    ("POST", "/moderations", Free),
    ("POST", "/images/generations:submit", Submits),
    ("POST", "/video/generations/jobs", Submits),
];

/// The API of `OpenAI`, which most vendors and gateways copy in part.
const OPENAI_LIKE: &[Row] = &[
    ("POST", "/chat/completions", Generates),
    ("GET", "/chat/completions", Stored),
    ("GET", "/chat/completions/*", Stored),
    ("GET", "/chat/completions/*/messages", Stored),
    ("POST", "/chat/completions/*", Free),
    ("POST", "/completions", Generates),
    ("POST", "/responses", Generates),
    ("POST", "/responses/compact", Generates),
    ("POST", "/responses/input_tokens", Free),
    ("POST", "/responses/*/cancel", Stored),
    ("GET", "/responses/*", Stored),
    ("GET", "/responses/*/input_items", Stored),
    ("POST", "/embeddings", Reads),
    ("POST", "/images/generations", Generates),
    ("POST", "/images/edits", Generates),
    ("POST", "/images/variations", Generates),
    ("POST", "/audio/speech", Generates),
    ("POST", "/audio/transcriptions", Generates),
    ("POST", "/audio/translations", Generates),
    ("POST", "/files", Free),
    ("POST", "/uploads", Free),
    ("POST", "/uploads/*/parts", Free),
    ("POST", "/uploads/*/complete", Free),
    ("POST", "/uploads/*/cancel", Free),
    ("POST", "/batches", Submits),
    ("POST", "/batches/*/cancel", Free),
    ("GET", "/batches/*", Stored),
    ("POST", "/vector_stores", Free),
    ("POST", "/vector_stores/*", Free),
    ("POST", "/vector_stores/*/search", Free),
    ("POST", "/vector_stores/*/files", Free),
    ("POST", "/vector_stores/*/files/*", Free),
    ("POST", "/vector_stores/*/file_batches", Free),
    ("POST", "/vector_stores/*/file_batches/*/cancel", Free),
    ("POST", "/fine_tuning/jobs", Submits),
    ("POST", "/fine_tuning/jobs/*/cancel", Free),
    ("POST", "/fine_tuning/jobs/*/pause", Free),
    ("POST", "/fine_tuning/jobs/*/resume", Submits),
    ("POST", "/fine_tuning/checkpoints/*/permissions", Free),
    ("POST", "/fine_tuning/alpha/graders/validate", Free),
    ("POST", "/fine_tuning/alpha/graders/run", Generates),
    ("POST", "/assistants", Free),
    ("POST", "/assistants/*", Free),
    ("POST", "/threads", Free),
    ("POST", "/threads/runs", Submits),
    ("POST", "/threads/*", Free),
    ("POST", "/threads/*/messages", Free),
    ("POST", "/threads/*/messages/*", Free),
    ("POST", "/threads/*/runs", Submits),
    ("POST", "/threads/*/runs/*/cancel", Stored),
    ("POST", "/threads/*/runs/*/submit_tool_outputs", Submits),
    ("POST", "/threads/*/runs/*", Stored),
    ("GET", "/threads/*/runs", Stored),
    ("GET", "/threads/*/runs/*", Stored),
    ("GET", "/threads/*/runs/*/steps", Stored),
    ("GET", "/threads/*/runs/*/steps/*", Stored),
    // Their bearer talks to the vendor past the gateway.
    ("POST", "/realtime/sessions", Submits),
    ("POST", "/realtime/transcription_sessions", Submits),
    ("POST", "/realtime/client_secrets", Submits),
    ("POST", "/realtime/calls", Submits),
    ("POST", "/realtime/calls/*/accept", Submits),
    ("POST", "/realtime/calls/*/reject", Free),
    ("POST", "/realtime/calls/*/refer", Free),
    ("POST", "/realtime/calls/*/hangup", Free),
    ("POST", "/conversations", Free),
    ("POST", "/conversations/*", Free),
    ("POST", "/conversations/*/items", Free),
    // Charged by the session.
    ("POST", "/containers", Submits),
    ("POST", "/containers/*/files", Free),
    ("POST", "/evals", Free),
    ("POST", "/evals/*", Free),
    ("POST", "/evals/*/runs", Submits),
    ("POST", "/evals/*/runs/*", Free),
    ("GET", "/evals/*/runs/*", Stored),
    ("POST", "/videos", Submits),
    ("POST", "/videos/*/remix", Submits),
    ("GET", "/videos/*", Stored),
    ("POST", "/skills", Free),
    ("POST", "/skills/*/versions", Free),
];

const ANTHROPIC: &[Row] = &[
    ("POST", "/messages", Generates),
    ("POST", "/messages/count_tokens", Free),
    ("POST", "/messages/batches", Submits),
    ("POST", "/messages/batches/*/cancel", Free),
    ("GET", "/messages/batches/*", Stored),
    ("GET", "/messages/batches/*/results", Stored),
    ("POST", "/complete", Generates),
];

/// Gemini's own API, Vertex AI included.
const GEMINI: &[Row] = &[
    ("POST", "*:generateContent", Generates),
    ("POST", "*:streamGenerateContent", Generates),
    ("POST", "*:generateAnswer", Generates),
    ("POST", "*:predict", Generates),
    ("POST", "*:rawPredict", Generates),
    ("POST", "*:streamRawPredict", Generates),
    ("POST", "/interactions", Generates),
    ("GET", "/interactions/*", Stored),
    ("POST", "*:embedContent", Reads),
    ("POST", "*:batchEmbedContents", Reads),
    ("POST", "/cachedContents", Reads),
    ("POST", "*:uploadToFileSearchStore", Reads),
    ("POST", "*:importFile", Submits),
    ("POST", "*:predictLongRunning", Submits),
    ("POST", "*:batchGenerateContent", Submits),
    ("POST", "*:asyncBatchEmbedContent", Submits),
    ("POST", "/batchPredictionJobs", Submits),
    ("POST", "/tunedModels", Submits),
    // Its bearer talks to the vendor past the gateway.
    ("POST", "/auth_tokens", Submits),
    ("POST", "*:fetchPredictOperation", Stored),
    ("GET", "/operations/*", Stored),
    ("POST", "*:countTokens", Free),
    ("POST", "*:computeTokens", Free),
    ("POST", "*:cancel", Free),
    ("POST", "/files:register", Free),
    ("POST", "/fileSearchStores", Free),
];

const BEDROCK: &[Row] = &[
    ("POST", "/model/*/invoke", Generates),
    ("POST", "/model/*/invoke-with-response-stream", Generates),
    ("POST", "/model/*/converse", Generates),
    ("POST", "/model/*/converse-stream", Generates),
    ("POST", "/model/*/count-tokens", Free),
    // An agent's session is named by the client, who could write a free path there.
    ("POST", "/sessions/*/text", Generates),
    ("POST", "/guardrail/*/version/*/apply", Generates),
    ("POST", "/async-invoke", Submits),
    ("GET", "/async-invoke/*", Stored),
    ("POST", "/model-invocation-job", Submits),
    ("POST", "/model-invocation-job/*/stop", Free),
];

/// Paths of Cohere, `DeepSeek`, Groq, Mistral, Ollama, `OpenRouter`, Together and xAI that are not, or do
/// not mean, those of `OpenAI`.
const COMPATIBLE: &[Row] = &[
    ("POST", "/chat", Generates),
    ("POST", "/generate", Generates),
    ("POST", "/embed", Reads),
    ("POST", "/api/embeddings", Reads),
    ("POST", "/rerank", Generates),
    ("POST", "/classify", Generates),
    ("POST", "/embed-jobs", Submits),
    ("POST", "/embed-jobs/*/cancel", Free),
    ("POST", "/tokenize", Free),
    ("POST", "/detokenize", Free),
    ("POST", "/check-api-key", Free),
    ("POST", "/tokenize-text", Free),
    ("GET", "/chat/deferred-completion/*", Stored),
    // Mistral charges for these.
    ("POST", "/moderations", Generates),
    ("POST", "/conversations", Generates),
    ("POST", "/conversations/*", Generates),
    ("POST", "/conversations/*/restart", Generates),
    ("POST", "/fim/completions", Generates),
    ("POST", "/agents/completions", Generates),
    ("POST", "/ocr", Generates),
    ("POST", "/batch/jobs", Submits),
    ("POST", "/batch/jobs/*/cancel", Free),
    ("POST", "/fine_tuning/jobs/*/start", Submits),
    ("POST", "/fine-tunes", Submits),
    ("POST", "/fine-tunes/*/cancel", Free),
    ("POST", "/files/upload", Free),
    ("GET", "/generation", Stored),
    ("POST", "/keys", Free),
    ("POST", "/auth/keys", Free),
    ("POST", "/api/show", Free),
    ("POST", "/api/pull", Free),
    ("POST", "/api/push", Free),
    ("POST", "/api/create", Free),
    ("POST", "/api/copy", Free),
    ("POST", "/api/blobs/*", Free),
];

/// Tables in the order in which they are asked: the provider's own, then the others', since routes serve
/// several dialects (Gemini has `/openai/chat/completions`, Bedrock is behind any of them).
fn tables(provider: AiProvider) -> [&'static [Row]; 5] {
    let own = match provider {
        AiProvider::Openai => OPENAI,
        AiProvider::Anthropic => ANTHROPIC,
        AiProvider::Gemini => GEMINI,
        AiProvider::OpenaiCompatible => COMPATIBLE,
    };
    [own, BEDROCK, OPENAI_LIKE, ANTHROPIC, GEMINI]
}

/// Decides what kind of call this is. `path` is the upstream's, without its query.
pub fn metering(provider: AiProvider, method: &str, path: &str, is_socket: bool) -> Metering {
    if is_socket {
        return Submits;
    }
    let method = if method == "HEAD" { "GET" } else { method };
    let path = plain(path);
    let rows = tables(provider).into_iter().flatten();
    let row = rows.copied().find(|(of, end, _)| *of == method && ends_with(&path, end));
    match row {
        Some((_, _, kind)) => kind,
        None if method == "POST" => Generates,
        None => Free,
    }
}

/// The path with colons as they are: some clients encode the one before Gemini's verb.
pub(super) fn plain(path: &str) -> String {
    path.replace("%3A", ":").replace("%3a", ":")
}

fn ends_with(path: &str, pattern: &str) -> bool {
    let mut given = path.rsplit('/').filter(|segment| !segment.is_empty());
    pattern
        .rsplit('/')
        .filter(|segment| !segment.is_empty())
        .all(|wanted| given.next().is_some_and(|segment| is_segment(segment, wanted)))
}

fn is_segment(given: &str, wanted: &str) -> bool {
    match wanted.strip_prefix('*') {
        // A segment that an upstream may read as several, or as none, is not one.
        Some("") => !given.contains(['%', ';', '\\']),
        Some(verb) => given.ends_with(verb),
        None => given == wanted,
    }
}

#[cfg(test)]
mod tests {
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
    fn openais_free_stored_and_generating_paths() {
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
    fn bedrocks_paths_are_known_whatever_the_routes_dialect() {
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
        check(
            OpenaiCompatible,
            Submits,
            &["POST /v1/batch/jobs", "POST /v1/fine-tunes", "POST /v1/embed-jobs"],
        );
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

    /// A row that an earlier one hides would be a silent mistake.
    #[test]
    fn each_row_is_reached() {
        for provider in PROVIDERS {
            let [own, ..] = tables(provider);
            let shared: &[&[Row]] = if provider == Openai { &[own, OPENAI_LIKE, BEDROCK] } else { &[own] };
            for (method, pattern, kind) in shared.iter().copied().flatten() {
                let path = format!("/v1/{}", pattern.trim_start_matches('/').replace('*', "x"));
                assert_eq!(
                    metering(provider, method, &path, false),
                    *kind,
                    "{provider:?} {method} {pattern}"
                );
            }
        }
    }
}
