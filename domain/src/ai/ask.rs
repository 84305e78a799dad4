//! What a call asks for, so that its most can be reserved.

use crate::settings::AiProvider;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// What a request says of its own size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AiAsk {
    pub model: Option<String>,
    /// The most tokens of one answer.
    pub max_completion_tokens: Option<u64>,
    /// Answers asked for.
    pub choices: u64,
    /// Length of the request's body; a token is at least one byte.
    pub prompt_bytes: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    model: Option<String>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    n: Option<u64>,
    #[serde(rename = "generationConfig")]
    generation_config: GenerationConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GenerationConfig {
    max_output_tokens: Option<u64>,
    candidate_count: Option<u64>,
}

/// Reads a request. What it does not say is `None`; a body that is no such JSON says nothing.
///
/// Gemini's model stands in the path (`…/models/<model>:generateContent`), and so may another's
/// (`…/deployments/<model>/…`).
pub fn ask_of(provider: AiProvider, path: &str, body: &[u8]) -> AiAsk {
    let request: Request = serde_json::from_slice(body).unwrap_or_default();
    let in_path = |before: &str| {
        let name = path.split_once(before)?.1.split(['/', ':']).next()?;
        (!name.is_empty()).then(|| name.to_owned())
    };
    let config = request.generation_config;
    let embeds = path.ends_with("/embeddings");
    AiAsk {
        model: match provider {
            AiProvider::Gemini => in_path("/models/"),
            _ => request.model.or_else(|| in_path("/deployments/")),
        },
        max_completion_tokens: request
            .max_completion_tokens
            .or(request.max_output_tokens)
            .or(request.max_tokens)
            .or(config.max_output_tokens)
            .or(embeds.then_some(0)),
        choices: request.n.or(config.candidate_count).unwrap_or(1).max(1),
        prompt_bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
    }
}

impl AiAsk {
    /// The most tokens that the call can use.
    pub fn most_tokens(&self) -> Option<u64> {
        Some(self.prompt_bytes.saturating_add(self.most_completion()?))
    }

    pub fn most_completion(&self) -> Option<u64> {
        Some(self.max_completion_tokens?.saturating_mul(self.choices))
    }
}

/// A streamed request to `OpenAI`'s completions that does not say whether it wants usage, asking for
/// it: one member inserted at the front, everything else byte for byte. `None` where nothing is to be
/// changed.
pub fn with_include_usage(path: &str, body: &[u8]) -> Option<Vec<u8>> {
    /// Said, be it `null`.
    fn said<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
        IgnoredAny::deserialize(value).map(|_| true)
    }
    #[derive(Deserialize)]
    struct Request {
        #[serde(default)]
        stream: bool,
        #[serde(default, rename = "stream_options", deserialize_with = "said")]
        says_options: bool,
    }
    if !path.ends_with("/completions") {
        return None;
    }
    let request: Request = serde_json::from_slice(body).ok()?;
    if !request.stream || request.says_options {
        return None;
    }
    let brace = body.iter().position(|b| *b == b'{')?;
    let (before, after) = body.split_at_checked(brace + 1)?;
    Some([before, br#""stream_options":{"include_usage":true},"#, after].concat())
}
