//! Prices of AI calls.
//!
//! Money is counted in micro-dollars, whole numbers; a price is micro-dollars for a million tokens,
//! as vendors publish it. The list is the value of `prices` in KV, version 1:
//! `{"v":1,"prices":{"gpt-4o":{"prompt":2500000,"completion":10000000,"cached":1250000}}}`.

use crate::json::from_text;
use crate::stored::KvError;
use crate::usage::AiUsage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of the price list in KV.
pub const PRICES_KEY: &str = "prices";
/// The highest price that is taken: a thousand dollars for a thousand tokens.
pub const MAX_PRICE_MICROS: u64 = 1_000_000_000_000;
const MILLION: u128 = 1_000_000;

/// Prices of one model, in micro-dollars for a million tokens. Prices of a newer version's kinds are
/// ignored: for some minutes, a cost that is too low is better than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Price {
    /// Micro-dollars for a million tokens of the prompt.
    pub prompt: u64,
    /// Micro-dollars for a million tokens of the completion.
    pub completion: u64,
    /// Price of prompt tokens read from the vendor's cache; the same as `prompt` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Price of prompt tokens written to the cache; the same as `prompt` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
}

/// Prices by model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceList {
    /// Version of the format, [`PriceList::VERSION`].
    pub v: u8,
    /// Version of the list in D1, which grows with each change of a price; 0 if an older version wrote it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: u64,
    /// Prices by model.
    #[serde(deserialize_with = "crate::stored::readable_values")]
    pub prices: BTreeMap<String, Price>,
}

impl PriceList {
    /// The version that is written.
    pub const VERSION: u8 = 1;

    /// Makes a list of prices by model.
    pub fn new(prices: impl IntoIterator<Item = (String, Price)>) -> Self {
        Self { v: Self::VERSION, version: 0, prices: crate::collect::map(prices) }
    }

    /// Reads a list from KV. A price of a newer form is left out; a list of a newer version is an error.
    pub fn parse(text: &str) -> Result<Self, KvError> {
        let list: Self = from_text(text).map_err(|_| KvError::Syntax)?;
        if list.v == Self::VERSION { Ok(list) } else { Err(KvError::Version) }
    }

    /// Finds the price of a model as a request or response names it: by the whole name, else without a release
    /// (`-2024-08-06`, `-20250219`, `-002`, `-latest`) or an owner (`models/`, `openai/`). A part of a name is not
    /// enough: `gpt-4o` has no price for `gpt-4o-mini`.
    pub fn find(&self, model: &str) -> Option<&Price> {
        self.entry(model).map(|(_, price)| price)
    }

    /// Finds the name under which the list has the price of a model.
    pub fn name_of(&self, model: &str) -> Option<&str> {
        self.entry(model).map(|(name, _)| name.as_str())
    }

    fn entry(&self, model: &str) -> Option<(&String, &Price)> {
        let own = model.rsplit('/').next().unwrap_or(model);
        [model, own, without_issue(own)].iter().find_map(|name| self.prices.get_key_value(*name))
    }

    /// Computes the cost of a call in micro-dollars, rounded up. `None` if the model has no price or the counts are
    /// unknown.
    pub fn cost_micros(&self, model: &str, usage: &AiUsage) -> Option<u64> {
        let (price, prompt) = (self.find(model)?, usage.prompt_tokens?);
        let cached = usage.cached_tokens.unwrap_or(0).min(prompt);
        let written = usage.cache_write_tokens.unwrap_or(0).min(prompt - cached);
        sum(&[
            (prompt - cached - written, price.prompt),
            (cached, price.cached.unwrap_or(price.prompt)),
            (written, price.cache_write.unwrap_or(price.prompt)),
            (usage.completion_tokens?, price.completion),
        ])
    }

    /// Computes the most that a call can cost, in micro-dollars: each byte of its prompt counts as a token of the
    /// most expensive kind.
    pub fn worst_case(&self, model: &str, prompt_bytes: u64, completion: u64) -> Option<u64> {
        let price = self.find(model)?;
        let prompt = price.prompt.max(price.cache_write.unwrap_or(0));
        sum(&[(prompt_bytes, prompt), (completion, price.completion)])
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn sum(parts: &[(u64, u64)]) -> Option<u64> {
    let whole: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(*price)).sum();
    u64::try_from(whole.div_ceil(MILLION)).ok()
}

/// `gpt-4o` of `gpt-4o-2024-08-06`.
fn without_issue(model: &str) -> &str {
    if let Some(name) = model.strip_suffix("-latest") {
        return name;
    }
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let Some((name, last)) = model.rsplit_once('-') else { return model };
    match last.len() {
        8 | 3 if digits(last) => name,
        2 if digits(last) => {
            let date = name.rsplit_once('-').and_then(|(rest, month)| {
                let (rest, year) = rest.rsplit_once('-')?;
                (month.len() == 2 && year.len() == 4 && digits(month) && digits(year)).then_some(rest)
            });
            date.unwrap_or(model)
        }
        _ => model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list() -> PriceList {
        let price = |prompt, completion| Price { prompt, completion, cached: None, cache_write: None };
        let dear =
            Price { cached: Some(300_000), cache_write: Some(3_750_000), ..price(3_000_000, 15_000_000) };
        PriceList::new([
            ("gpt-4o".to_owned(), Price { cached: Some(1_250_000), ..price(2_500_000, 10_000_000) }),
            ("gpt-4o-mini".to_owned(), price(150_000, 600_000)),
            ("claude-sonnet-4".to_owned(), dear),
            ("meta-llama/llama-3".to_owned(), price(1, 1)),
        ])
    }

    fn usage(prompt: u64, completion: u64) -> AiUsage {
        AiUsage { prompt_tokens: Some(prompt), completion_tokens: Some(completion), ..AiUsage::default() }
    }

    #[test]
    fn a_model_is_found_by_its_name_and_never_by_another_ones() {
        let list = list();
        let found = |model: &str| list.find(model).map(|p| p.prompt);
        for name in ["gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o", "gpt-4o-latest", "models/gpt-4o-002"] {
            assert_eq!(found(name), Some(2_500_000), "{name}");
        }
        assert_eq!(found("gpt-4o-mini-2024-07-18"), Some(150_000));
        assert_eq!(found("claude-sonnet-4-20250514"), Some(3_000_000));
        assert_eq!(found("meta-llama/llama-3"), Some(1));
        for unknown in ["gpt-4", "gpt-4o-audio", "gpt-4o-2024-08", "", "-", "gpt-4o-99"] {
            assert_eq!(found(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price_and_the_sum_is_rounded_up() {
        let list = list();
        assert_eq!(list.cost_micros("gpt-4o", &usage(1_000, 100)), Some(3_500));
        assert_eq!(list.cost_micros("gpt-4o-mini", &usage(1, 0)), Some(1));
        let cached = AiUsage { cached_tokens: Some(600), cache_write_tokens: Some(300), ..usage(1_000, 10) };
        assert_eq!(list.cost_micros("claude-sonnet-4", &cached), Some(300 + 180 + 1_125 + 150));
        assert_eq!(list.cost_micros("unknown", &usage(1, 1)), None);
        assert_eq!(
            list.cost_micros("gpt-4o", &AiUsage { prompt_tokens: Some(1), ..AiUsage::default() }),
            None
        );
    }

    #[test]
    fn the_list_in_kv_is_pinned() {
        let text = r#"{"v":1,"prices":{"gpt-4o":{"prompt":2500000,"completion":10000000,"cached":1250000}}}"#;
        let list = PriceList::parse(text).unwrap();
        assert_eq!(serde_json::to_string(&list).unwrap(), text);
        assert_eq!(PriceList::parse(r#"{"v":2,"prices":{}}"#), Err(KvError::Version));
        assert_eq!(PriceList::parse("[]"), Err(KvError::Syntax));
    }

    proptest! {
        #[test]
        fn no_call_costs_more_than_was_reserved(
            prompt in 0_u64..1 << 30, cached in 0_u64..1 << 30, written in 0_u64..1 << 30,
            completion in 0_u64..1 << 30, model in "gpt-4o|claude-sonnet-4",
        ) {
            let list = list();
            let usage = AiUsage { cached_tokens: Some(cached), cache_write_tokens: Some(written), ..usage(prompt, completion) };
            prop_assert!(list.cost_micros(&model, &usage) <= list.worst_case(&model, prompt, completion));
        }

        #[test]
        fn looking_up_any_name_does_not_panic(model in "\\PC{0,40}") {
            let _ = list().find(&model);
        }
    }
}
