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
mod tests;
