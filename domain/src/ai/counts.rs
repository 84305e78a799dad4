//! The counts of a response, recognised by their names, whichever provider the route is set to.
//!
//! Vendors repeat their counts, first in part and last in full, or end with zeros. So the largest value of each name
//! counts, in any order. The sums are then checked against the vendor's own total.

use crate::usage::{AiUsage, Clipped, MAX_MODEL_LEN};
use serde_json::Value;

/// Meanings of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The prompt, cached parts included.
    Prompt,
    /// The completion, usually with its reasoning.
    Completion,
    /// The prompt; its cached parts are beside it if they are counted as [`Slot::CacheRead`].
    Input,
    Output,
    Total,
    /// Parts of the prompt.
    Cached,
    CacheWritten,
    /// Parts of the prompt that are counted beside `Input`.
    CacheRead,
    CacheCreated,
    Reasoning,
    /// Gemini's parts, which add up.
    PromptPart,
    ToolPromptPart,
    AnswerPart,
    ThoughtsPart,
    /// Cohere's, as charged and as seen.
    BilledInput,
    BilledOutput,
    SeenInput,
    SeenOutput,
}

const SLOTS: usize = Slot::SeenOutput as usize + 1;

/// Objects within the counts; the empty name is the counts themselves.
const TOP: &[&str] = &[""];
const PROMPT_DETAILS: &[&str] =
    &["prompt_tokens_details", "input_tokens_details", "input_token_details", "prompt_token_details"];
const COMPLETION_DETAILS: &[&str] =
    &["completion_tokens_details", "output_tokens_details", "output_token_details"];

/// Names of counts: the objects that may hold them, the vendors' names, the meaning.
const NAMES: &[(&[&str], &[&str], Slot)] = &[
    (TOP, &["prompt_tokens"], Slot::Prompt),
    (TOP, &["completion_tokens"], Slot::Completion),
    (TOP, &["input_tokens", "inputTokens", "inputTokenCount"], Slot::Input),
    (TOP, &["output_tokens", "outputTokens", "outputTokenCount"], Slot::Output),
    (TOP, &["total_tokens", "totalTokens", "totalTokenCount"], Slot::Total),
    // Moonshot's, DeepSeek's, Gemini's
    (TOP, &["cached_tokens", "prompt_cache_hit_tokens", "cachedContentTokenCount"], Slot::Cached),
    (PROMPT_DETAILS, &["cached_tokens", "cache_read_tokens", "cache_read_input_tokens"], Slot::Cached),
    (TOP, &["cache_write_tokens"], Slot::CacheWritten),
    (
        PROMPT_DETAILS,
        &[
            "cache_write_tokens",
            "cache_creation_tokens",
            "cache_creation_input_tokens",
            "cached_creation_tokens",
        ],
        Slot::CacheWritten,
    ),
    (TOP, &["cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount"], Slot::CacheRead),
    (
        TOP,
        &["cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount"],
        Slot::CacheCreated,
    ),
    (COMPLETION_DETAILS, &["reasoning_tokens"], Slot::Reasoning),
    (TOP, &["reasoning_tokens"], Slot::Reasoning),
    (TOP, &["promptTokenCount"], Slot::PromptPart),
    (TOP, &["toolUsePromptTokenCount"], Slot::ToolPromptPart),
    (TOP, &["candidatesTokenCount", "responseTokenCount"], Slot::AnswerPart),
    (TOP, &["thoughtsTokenCount"], Slot::ThoughtsPart),
    (&["billed_units"], &["input_tokens"], Slot::BilledInput),
    (&["billed_units"], &["output_tokens"], Slot::BilledOutput),
    (&["tokens"], &["input_tokens"], Slot::SeenInput),
    (&["tokens"], &["output_tokens"], Slot::SeenOutput),
];

/// The largest value of each meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts([Option<u64>; SLOTS]);

impl Counts {
    pub fn get(&self, slot: Slot) -> Option<u64> {
        self.0.get(slot as usize).copied().flatten()
    }

    /// Keeps the larger of this value and the one before.
    pub fn put(&mut self, slot: Slot, count: Option<u64>) {
        if let Some(kept) = self.0.get_mut(slot as usize) {
            *kept = count.max(*kept);
        }
    }

    /// Reads one object of counts.
    pub fn take(&mut self, usage: &Value) {
        for (places, names, slot) in NAMES {
            for place in *places {
                let Some(object) = (if place.is_empty() { Some(usage) } else { usage.get(place) }) else {
                    continue;
                };
                for name in *names {
                    self.put(*slot, object.get(name).and_then(whole));
                }
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (kept, count) in self.0.iter_mut().zip(other.0) {
            *kept = count.max(*kept);
        }
    }

    /// Forgets the size of the completion, which the first event of a stream cannot know.
    pub fn forget_answer(&mut self) {
        for slot in [Slot::Completion, Slot::Output] {
            if let Some(kept) = self.0.get_mut(slot as usize) {
                *kept = None;
            }
        }
    }

    /// Translates the counts into one meaning for all vendors: prompt tokens with those of the cache,
    /// completion tokens with those of the reasoning.
    pub fn usage(&self, model: Option<Clipped<MAX_MODEL_LEN>>) -> AiUsage {
        let get = |slot| self.get(slot);
        let cached = get(Slot::Cached).max(get(Slot::CacheRead));
        let written = get(Slot::CacheWritten).max(get(Slot::CacheCreated));
        let reasoning = get(Slot::Reasoning).max(get(Slot::ThoughtsPart));
        let said = get(Slot::Completion).max(get(Slot::Output));
        let total = get(Slot::Total);

        let beside = sum(get(Slot::CacheRead), get(Slot::CacheCreated));
        // Parts that are larger than the whole, or that the total adds, are not included in it.
        let adds_up = |prompt: u64, apart: u64| {
            apart > prompt
                || (apart > 0
                    && total == Some(prompt.saturating_add(apart).saturating_add(said.unwrap_or(0))))
        };
        let whole = get(Slot::Prompt).map(|prompt| match sum(cached, written) {
            Some(apart) if adds_up(prompt, apart) => prompt.saturating_add(apart),
            _ => prompt,
        });
        let input = get(Slot::Input).map(|input| match beside {
            Some(apart) if get(Slot::Cached).is_none_or(|cached| cached == 0) => input.saturating_add(apart),
            _ => input,
        });
        let parts =
            get(Slot::PromptPart).map(|prompt| prompt.saturating_add(get(Slot::ToolPromptPart).unwrap_or(0)));
        let billed = get(Slot::BilledInput).or(get(Slot::SeenInput));
        let prompt = whole.max(input).max(parts).max(billed);

        let apart = |answer: u64| match get(Slot::Reasoning) {
            Some(reasoning) if reasoning > answer => answer.saturating_add(reasoning),
            _ => answer,
        };
        let answer_parts = sum(get(Slot::AnswerPart), get(Slot::ThoughtsPart));
        let billed = get(Slot::BilledOutput).or(get(Slot::SeenOutput));
        // Embeddings name the prompt and the total alone; some leave the reasoning to the total.
        let rest = total.and_then(|total| total.checked_sub(prompt?));
        let completion = said.map(apart).max(answer_parts).max(billed).max(rest);

        // No generation uses zero tokens: such counts are of a vendor that does not count.
        let is_counted = (prompt, completion) != (Some(0), Some(0));
        let known = |count: Option<u64>| count.filter(|_| is_counted);
        AiUsage {
            model,
            prompt_tokens: known(prompt),
            completion_tokens: known(completion),
            cached_tokens: known(cached),
            cache_write_tokens: known(written),
            reasoning_tokens: known(reasoning),
            cost_micros: None,
        }
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    }
}

/// A count; some vendors write whole numbers with a fraction.
fn whole(value: &Value) -> Option<u64> {
    let of_fraction = |number: f64| {
        let is_whole = number.fract() == 0.0 && (0.0..9e15).contains(&number);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in this range every whole number is exact"
        )]
        is_whole.then_some(number as u64)
    };
    value.as_u64().or_else(|| of_fraction(value.as_f64()?))
}
