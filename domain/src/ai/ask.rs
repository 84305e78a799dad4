//! The upper bound of what a call can use, from its request.

use super::form::model_in_form;
use super::members::{PROMPT, members};
use super::metering::{Metering, plain};
use super::named::names_more;
use crate::json;
use crate::stored::readable;
use crate::usage::{Clipped, MAX_MODEL_LEN};
use serde::Deserialize;
use serde_json::Value;
use std::ops::Range;

/// The size of a call, as its request tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AiAsk {
    /// The model, by the path or the body; `None` if neither names one.
    pub model: Option<Clipped<MAX_MODEL_LEN>>,
    /// Further models that a vendor may turn to: `models` of `OpenRouter`.
    pub fallbacks: Vec<String>,
    /// The most tokens of one completion.
    pub max_completion_tokens: Option<u64>,
    /// Completions asked for.
    pub choices: u64,
    /// Length of the request's body; a token is at least one byte.
    pub prompt_bytes: u64,
    /// Whether the request refers to content or tools at the vendor, which no length bounds.
    pub names_more: bool,
}

/// The members that are read of a request.
const MEMBERS: [&str; 13] = [
    "model",
    "models",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens_to_sample",
    "n",
    "best_of",
    PROMPT,
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "options",
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    model: Option<String>,
    #[serde(deserialize_with = "readable")]
    models: Vec<String>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    max_tokens_to_sample: Option<u64>,
    n: Option<u64>,
    best_of: Option<u64>,
    /// How many there are.
    prompt: u64,
    #[serde(rename = "generationConfig", alias = "generation_config")]
    generation_config: Option<GenerationConfig>,
    #[serde(rename = "inferenceConfig")]
    inference_config: Option<InferenceConfig>,
    options: Option<OllamaOptions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<u64>,
    #[serde(alias = "candidate_count")]
    candidate_count: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct InferenceConfig {
    max_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OllamaOptions {
    num_predict: Option<i64>,
}

/// Reads a request. Members that it lacks are `None`, as they all are for a body that is no such JSON.
///
/// The model in the path comes first, since a vendor whose path names one (Gemini's `/models/`, Azure's
/// `/deployments/`, Bedrock's `/model/`) ignores the body's.
pub fn ask_of(kind: Metering, path: &str, body: &[u8]) -> AiAsk {
    let request = members(body, &MEMBERS).and_then(|members| json::read(members.into()).ok());
    let request: Request = request.unwrap_or_default();
    let model = named_in_path(path).or(request.model.filter(|_| !names_within(kind, path)).map(Into::into));
    let config = request.generation_config.unwrap_or_default();
    let most = [
        request.max_completion_tokens,
        request.max_output_tokens,
        request.max_tokens,
        request.max_tokens_to_sample,
        config.max_output_tokens,
        request.inference_config.unwrap_or_default().max_tokens,
        request.options.unwrap_or_default().num_predict.and_then(|most| u64::try_from(most).ok()),
    ];
    let choices = [request.n, request.best_of, config.candidate_count].into_iter().flatten().max();
    AiAsk {
        model,
        fallbacks: request.models,
        max_completion_tokens: match kind {
            Metering::Reads => Some(0),
            _ => most.into_iter().flatten().max(),
        },
        choices: choices.unwrap_or(1).max(1).saturating_mul(request.prompt.max(1)),
        prompt_bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
        names_more: kind == Metering::Submits || names_more(body),
    }
}

/// Whether a call names its models within parts of its body, so that one beside them says nothing: a batch, an evaluation,
/// a session whose media pass the gateway by.
fn names_within(kind: Metering, path: &str) -> bool {
    let path = plain(path);
    let ends = ["/batches", "/client_secrets", "/realtime/calls"];
    kind == Metering::Submits && (ends.iter().any(|end| path.ends_with(end)) || path.contains("/evals/"))
}

/// Reads a request whose body is a form: its model alone, since nothing in a form bounds the call. A form that starts work
/// may name it elsewhere.
pub fn ask_of_form(kind: Metering, path: &str, body: &[u8], content_type: &str) -> AiAsk {
    let field = || str::from_utf8(body.get(model_in_form(body, content_type)?)?).ok();
    let field = || field().filter(|_| kind == Metering::Generates);
    AiAsk {
        model: named_in_path(path).or_else(|| field().map(Into::into)),
        choices: 1,
        prompt_bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
        names_more: true,
        ..AiAsk::default()
    }
}

fn named_in_path(path: &str) -> Option<Clipped<MAX_MODEL_LEN>> {
    let path = plain(path);
    path.get(model_in_path(&path)?).map(Into::into)
}

/// Finds the model that a path names, with its colons as they are.
pub(super) fn model_in_path(path: &str) -> Option<Range<usize>> {
    let named = |before: &str, after: char| {
        let from = path.find(before)? + before.len();
        let name = path.get(from..)?.split_once(after)?.0;
        let last = name.rsplit('/').next().unwrap_or(name);
        let to = from + name.len();
        Some(to - last.len()..to).filter(|at| !at.is_empty())
    };
    named("/deployments/", '/').or_else(|| named("/model/", '/')).or_else(|| named("odels/", ':'))
}

impl AiAsk {
    /// Takes the model from the query of a WebSocket's request (`?model=`, as `OpenAI`'s realtime API), if nothing else names
    /// one. A query that names two names none.
    pub fn read_query(&mut self, query: Option<&str>) {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let mut models = pairs.filter(|(name, _)| name == "model").map(|(_, model)| model.into_owned());
        if let (None, Some(model), None) = (&self.model, models.next(), models.next()) {
            self.model = Some(model.into());
        }
    }

    /// Returns the most tokens that the call can use; `None` if nothing bounds it.
    pub fn most_tokens(&self) -> Option<u64> {
        Some(self.prompt_bytes.saturating_add(self.most_completion()?))
    }

    /// Returns the most tokens of all its completions; `None` if nothing bounds the call.
    pub fn most_completion(&self) -> Option<u64> {
        let each = self.max_completion_tokens.filter(|_| !self.names_more)?;
        Some(each.saturating_mul(self.choices))
    }
}

/// Makes a streamed request to `OpenAI`'s completions ask for usage: one member is inserted, and everything else stays
/// byte for byte. `None` if nothing is to be changed; a client's own `false` is respected.
pub fn with_include_usage(path: &str, body: &[u8]) -> Option<Vec<u8>> {
    if !path.trim_end_matches('/').ends_with("/completions") {
        return None;
    }
    let request = members(body, &["stream", "stream_options"])?;
    if request.get("stream") != Some(&Value::Bool(true)) {
        return None;
    }
    let (from, to, member): (usize, usize, &[u8]) = match request.get("stream_options") {
        None => {
            let at = body.iter().position(|b| *b == b'{')? + 1;
            (at, at, br#""stream_options":{"include_usage":true},"#)
        }
        Some(Value::Null) => {
            let at = member_at(body, b"stream_options")?;
            (at, at + 4, br#"{"include_usage":true}"#)
        }
        Some(Value::Object(options)) if options.get("include_usage").is_none_or(Value::is_null) => {
            let at = member_at(body, b"stream_options")? + 1;
            (
                at,
                at,
                if options.is_empty() { br#""include_usage":true"# } else { br#""include_usage":true,"# },
            )
        }
        Some(_) => return None,
    };
    Some([body.get(..from)?, member, body.get(to..)?].concat())
}

/// Finds the place of a top-level member's value, in bytes, in an object that has been parsed before.
pub(super) fn member_at(body: &[u8], name: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = body.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => {
                let text = body.get(at + 1..)?;
                let length = end_of_string(text)?;
                at += length + 1;
                let rest = body.get(at + 1..)?;
                let space = rest.len() - rest.trim_ascii_start().len();
                if depth == 1 && text.get(..length) == Some(name) && rest.get(space) == Some(&b':') {
                    let value = rest.get(space + 1..)?;
                    return Some(body.len() - value.trim_ascii_start().len());
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Finds the quote that ends a string.
pub(super) fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    })
}

#[cfg(test)]
mod tests;
