//! The upper bound of what a call can use, from its request.

use super::metering::{Metering, plain};
use super::named::{Key, names_more};
use crate::json::{self, from_request};
use crate::stored::readable;
use crate::usage::{Clipped, MAX_MODEL_LEN};
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt::{self, Formatter};

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
const PROMPT: &str = "prompt";
/// The longest member that is read, in bytes, unless it is a text: as values it takes a dozen times as much.
const MAX_MEMBER_LEN: usize = 256 << 10;

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

/// The number of prompts of a completions request, each of which gets a completion of its own. A list of numbers is
/// the tokens of one prompt. Nothing of them is held: there may be millions.
struct Prompts(u64);

/// One of several prompts, skipped.
struct Prompt {
    is_token: bool,
}

macro_rules! visits {
    ($($visit:ident: $kind:ty => $value:expr),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> { Ok($value) })*
    };
}

impl<'de> Deserialize<'de> for Prompts {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct Count;
        impl<'de> Visitor<'de> for Count {
            type Value = Prompts;
            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("prompts")
            }
            visits!(visit_str: &str => Prompts(1), visit_bool: bool => Prompts(1), visit_i64: i64 => Prompts(1), visit_u64: u64 => Prompts(1), visit_f64: f64 => Prompts(1));
            fn visit_unit<E>(self) -> Result<Prompts, E> {
                Ok(Prompts(1))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Prompts, A::Error> {
                let mut count = 0_u64;
                while let Some(item) = items.next_element::<Prompt>()? {
                    count = count.saturating_add(u64::from(!item.is_token));
                }
                Ok(Prompts(count))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Prompts, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Prompts(1))
            }
        }
        value.deserialize_any(Count)
    }
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct Look;
        const TEXT: Prompt = Prompt { is_token: false };
        const TOKEN: Prompt = Prompt { is_token: true };
        impl<'de> Visitor<'de> for Look {
            type Value = Prompt;
            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a prompt")
            }
            visits!(visit_str: &str => TEXT, visit_bool: bool => TEXT, visit_i64: i64 => TOKEN, visit_u64: u64 => TOKEN, visit_f64: f64 => TOKEN);
            fn visit_unit<E>(self) -> Result<Prompt, E> {
                Ok(TEXT)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Prompt, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(TEXT)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Prompt, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(TEXT)
            }
        }
        value.deserialize_any(Look)
    }
}

/// Reads members of a JSON object by their names, and skips the others, however large they are; anything else has none.
/// `None` if it is no JSON, has one of them twice, at whatever depth, or a longer one than [`MAX_MEMBER_LEN`].
pub(super) fn members(object: &[u8], names: &[&str]) -> Option<Map<String, Value>> {
    let mut object = serde_json::Deserializer::from_str(str::from_utf8(object).ok()?);
    let read = object.deserialize_any(Members(names)).ok()?;
    object.end().ok().map(|()| read)
}

struct Members<'a>(&'a [&'a str]);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    // Not the defaults: their errors write out the number that is found.
    visits!(visit_str: &str => Map::new(), visit_bool: bool => Map::new(), visit_i64: i64 => Map::new(), visit_u64: u64 => Map::new(), visit_f64: f64 => Map::new());

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Map::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Map::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut read = Map::new();
        while let Some(Key(name)) = members.next_key()? {
            let value = match &*name {
                name if !self.0.contains(&name) => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
                PROMPT => members.next_value::<Prompts>()?.0.into(),
                _ => {
                    let text = members.next_value::<&RawValue>()?.get();
                    if text.len() > MAX_MEMBER_LEN && !text.starts_with('"') {
                        return Err(Error::custom("long"));
                    }
                    from_request(text.as_bytes()).map_err(|_| Error::custom("twice"))?
                }
            };
            if read.insert(name.into_owned(), value).is_some() {
                return Err(Error::custom("twice"));
            }
        }
        Ok(read)
    }
}

/// Reads a request. Members that it lacks are `None`, as they all are for a body that is no such JSON.
///
/// The model in the path comes first, since a vendor whose path names one (Gemini's `/models/`, Azure's
/// `/deployments/`, Bedrock's `/model/`) ignores the body's.
pub fn ask_of(kind: Metering, path: &str, body: &[u8]) -> AiAsk {
    let request = members(body, &MEMBERS).and_then(|members| json::read(members.into()).ok());
    let request: Request = request.unwrap_or_default();
    let path = plain(path);
    let in_path = |before: &str, after: char| {
        let (name, _) = path.split_once(before)?.1.split_once(after)?;
        Some(name.rsplit('/').next().unwrap_or(name).to_owned()).filter(|name| !name.is_empty())
    };
    let model = in_path("/deployments/", '/')
        .or_else(|| in_path("/model/", '/'))
        .or_else(|| in_path("odels/", ':'))
        .or(request.model);
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
        model: model.map(Into::into),
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
fn member_at(body: &[u8], name: &[u8]) -> Option<usize> {
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
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    })
}

#[cfg(test)]
mod tests;
