//! Settings that few routes have: AI, failover, further tries, maintenance.

use crate::error::FieldError;
use crate::id::RouteId;
use crate::problem::Invalid;
use crate::stored::{Unread, stored};
use crate::usage::{MAX_MODEL_LEN, is_zero};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The longest text of a maintenance notice, in characters.
pub const MAX_NOTICE_CHARS: usize = 500;
/// The longest `Retry-After` of a maintenance notice: a day.
pub const MAX_RETRY_AFTER_S: u32 = 86_400;

/// The most models that the second upstream may know by other names.
pub const MAX_RENAMES: usize = 50;
/// The longest time that a call may wait to be sent again, in seconds.
pub const MAX_RETRY_WITHIN_S: u32 = 30;

/// Settings of a route; by default none is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(remote = "Self")]
pub struct RouteSettings {
    /// The vendor's API, if usage is to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiSettings>,
    /// The second upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
    /// The notice that closes the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// The longest time that a call waits to be sent again, in seconds, at most 30; 0 is never. It is sent again, twice at
    /// most, if the upstream responds 429, 529, or 503 with `Retry-After`; a method that may be repeated (RFC 9110, section
    /// 9.2.2) also after 500, 502 to 504, and 520 to 530. It waits as long as `Retry-After` says, otherwise half a second, then
    /// a second; if that is longer, the client gets the response at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(feature = "schema", schemars(range(max = 30)))]
    pub retry_within_s: u32,
    /// Whether methods that change something are repeated after all of these responses. The upstream may have carried the
    /// call out before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_any_method: bool,
    /// Whether the beginning of responses with a status of 400 or more is kept with the call, without secrets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_errors: bool,
    /// Whether the token may be sent as `?key=`, as some of Google's clients do. It is taken out before the upstream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub key_in_query: bool,
    /// Settings of a newer version: kept, and without effect.
    #[serde(flatten, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub unread: Unread,
}

// A setting that closes a route or narrows who may call it belongs in `critical`.
stored!(RouteSettings, critical: [], |_| Ok(()));

/// The vendor whose API the upstream speaks, so that the use of a call can be read from its response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(remote = "Self")]
pub struct AiSettings {
    /// The vendor whose API the upstream speaks.
    #[serde(skip_deserializing)]
    #[cfg_attr(feature = "schema", schemars(!skip_deserializing))]
    pub provider: AiProvider,
    /// Whether `stream_options.include_usage` is added to streamed `OpenAI` calls that do not set it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_usage: bool,
    /// Fields of a newer version: kept, and without effect.
    #[serde(flatten, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub unread: Unread,
}

stored!(AiSettings, critical: [], |ai| {
    // A provider that this version does not know: its calls are metered as far as its responses can be read.
    let known = ai.unread.take_known("provider").unwrap_or(Some(AiProvider::OpenaiCompatible));
    ai.provider = known.ok_or("provider")?;
    Ok(())
});

/// An API of a vendor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AiProvider {
    /// `OpenAI` and Azure `OpenAI`.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Gemini, Vertex AI included.
    Gemini,
    /// Speaks `OpenAI`'s chat completions, such as Groq, Mistral, vLLM or Ollama.
    #[default]
    OpenaiCompatible,
}

/// A second upstream, called if the first cannot be reached or responds with 502, 503 or 504.
///
/// It is named by another route, so it has its own address and its own credential. The rest of the path is the same
/// as at the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(remote = "Self")]
pub struct Failover {
    /// The route whose upstream is the second one.
    pub route_id: RouteId,
    /// Whether methods that change something are tried again too; idempotent ones (RFC 9110, section
    /// 9.2.2) always are. A call with a body is tried again only if the body was not sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_method: bool,
    /// Whether the second is also called if the first refuses its credential (401) or has too many calls (429).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_refusal: bool,
    /// The names of models at the second upstream, by those that clients use, at most 50. They replace the model in a path,
    /// and `model` in a body of JSON or a form.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, String>"))]
    pub models: Renames,
    /// Fields of a newer version: kept, and without effect.
    #[serde(flatten, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub unread: Unread,
}

stored!(Failover, critical: [], |_| Ok(()));

/// The names of models at another upstream, by those that clients use. Values of a newer version are kept, and have no effect.
pub type Renames = BTreeMap<String, Value>;

/// The route is closed: 503 with this text and `Retry-After`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(remote = "Self")]
pub struct Maintenance {
    /// The notice, 1 to 500 characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 500)))]
    pub message: String,
    /// Seconds, 1 to 86400.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 86_400)))]
    pub retry_after_s: u32,
    /// Fields of a newer version: kept, and without effect.
    #[serde(flatten, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub unread: Unread,
}

stored!(Maintenance, critical: [], |_| Ok(()));

impl RouteSettings {
    /// Reports bad values by field below `settings.`. The caller checks whether the second
    /// route exists.
    pub fn check(&self, errors: &mut Vec<FieldError>) {
        for (prefix, unread) in self.parts() {
            unread.refuse(prefix, errors);
        }
        if let Some(ai) = &self.ai
            && ai.include_usage
            && matches!(ai.provider, AiProvider::Anthropic | AiProvider::Gemini)
        {
            errors.push(FieldError::new("settings.ai.include_usage", Invalid::OpenAiOnly));
        }
        if let Some(Failover { models, .. }) = &self.failover {
            check_renames(models, errors);
        }
        if self.retry_within_s > MAX_RETRY_WITHIN_S {
            let why = Invalid::Range { least: 0, most: MAX_RETRY_WITHIN_S.into() };
            errors.push(FieldError::new("settings.retry_within_s", why));
        }
        if let Some(Maintenance { message, retry_after_s, .. }) = &self.maintenance {
            if !(1..=MAX_NOTICE_CHARS).contains(&message.chars().count())
                || message.chars().any(char::is_control)
            {
                let reason = Invalid::PlainText { least: 1, most: MAX_NOTICE_CHARS };
                errors.push(FieldError::new("settings.maintenance.message", reason));
            }
            if !(1..=MAX_RETRY_AFTER_S).contains(retry_after_s) {
                errors.push(FieldError::new(
                    "settings.maintenance.retry_after_s",
                    Invalid::Range { least: 1, most: MAX_RETRY_AFTER_S.into() },
                ));
            }
        }
    }
}

/// Reports names that no model has, by the names that clients use.
fn check_renames(models: &Renames, errors: &mut Vec<FieldError>) {
    if models.len() > MAX_RENAMES {
        errors
            .push(FieldError::new("settings.failover.models", Invalid::TooManyModels { most: MAX_RENAMES }));
    }
    // One without a letter or a digit could be a step up in a path.
    let is_name = |name: &str| {
        name.len() <= MAX_MODEL_LEN
            && name.bytes().all(|byte| byte.is_ascii_graphic())
            && name.bytes().any(|byte| byte.is_ascii_alphanumeric())
    };
    for (model, there) in models {
        if !is_name(model) || !there.as_str().is_some_and(is_name) {
            let why = Invalid::VisibleAscii { most: MAX_MODEL_LEN };
            errors.push(FieldError::new(format!("settings.failover.models.{model}"), why));
        }
    }
}

impl RouteSettings {
    /// Fields of each part that this version does not know.
    fn parts(&self) -> impl Iterator<Item = (&'static str, &Unread)> {
        [
            Some(("settings.", &self.unread)),
            self.ai.as_ref().map(|ai| ("settings.ai.", &ai.unread)),
            self.failover.as_ref().map(|failover| ("settings.failover.", &failover.unread)),
            self.maintenance.as_ref().map(|notice| ("settings.maintenance.", &notice.unread)),
        ]
        .into_iter()
        .flatten()
    }

    /// Makes settings that every version refuses, in place of those that cannot be read.
    pub fn unreadable() -> Self {
        Self { unread: Unread::critical("unreadable"), ..Self::default() }
    }

    /// Whether a newer version has marked something as critical that this one does not know.
    pub fn forbid_use(&self) -> bool {
        self.parts().any(|(_, unread)| unread.forbids_use())
    }

    /// These settings, written over `stored`: what this version does not know stays as it was stored, in
    /// each part that both have.
    #[must_use]
    pub fn over(self, stored: &Self) -> Self {
        let ai = self.ai.map(|ai| match &stored.ai {
            Some(old) => AiSettings { unread: old.unread.without("provider"), ..ai },
            None => ai,
        });
        let failover = self.failover.map(|new| match &stored.failover {
            Some(old) => Failover { unread: old.unread.clone(), ..new },
            None => new,
        });
        let maintenance = self.maintenance.map(|new| match &stored.maintenance {
            Some(old) => Maintenance { unread: old.unread.clone(), ..new },
            None => new,
        });
        Self { ai, failover, maintenance, unread: stored.unread.clone(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(settings: Value) -> Vec<String> {
        let mut errors = Vec::new();
        serde_json::from_value::<RouteSettings>(settings).unwrap().check(&mut errors);
        errors.into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn each_bad_setting_is_named() {
        assert_eq!(fields(json!({})), [""; 0]);
        assert_eq!(
            fields(json!({"ai": {"provider": "anthropic", "include_usage": true},
                "maintenance": {"message": "", "retry_after_s": 0}})),
            [
                "settings.ai.include_usage",
                "settings.maintenance.message",
                "settings.maintenance.retry_after_s"
            ]
        );
        assert_eq!(
            fields(json!({"magic": 1, "ai": {"provider": "newer", "mode": 1}, "critical": [],
                "failover": {"route_id": "r", "x": 1}, "maintenance": {"message": "m", "retry_after_s": 1, "y": 1}})),
            [
                "settings.critical",
                "settings.magic",
                "settings.ai.mode",
                "settings.ai.provider",
                "settings.failover.x",
                "settings.maintenance.y"
            ]
        );
        assert_eq!(fields(json!({"retry_within_s": 30})), [""; 0]);
        assert_eq!(fields(json!({"retry_within_s": 31})), ["settings.retry_within_s"]);
        let many: BTreeMap<String, &str> = (0..51).map(|n| (n.to_string(), "x")).collect();
        for (models, named) in [
            (json!(many), "settings.failover.models"),
            (json!({"gpt-4o": "our 4o", "o3": "o3-eu"}), "settings.failover.models.gpt-4o"),
            (json!({"": "x"}), "settings.failover.models."),
            (json!({"o3": ""}), "settings.failover.models.o3"),
            (json!({"o3": ".."}), "settings.failover.models.o3"),
            (json!({"o3": 7}), "settings.failover.models.o3"),
        ] {
            assert_eq!(fields(json!({"failover": {"route_id": "r", "models": models}})), [named]);
        }
        assert!(serde_json::from_value::<RouteSettings>(json!({"ai": {}})).is_err(), "a provider is needed");
    }
}
