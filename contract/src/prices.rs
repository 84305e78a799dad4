//! `/api/prices`: the prices of AI models.

use crate::{Page, Propagation, endpoint};
use domain::ai::price::{MAX_PRICE_MICROS, Price};
use domain::error::FieldError;
use domain::people::role::Action;
use domain::problem::Invalid;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

/// The longest name of a model, in bytes.
pub const MAX_MODEL_LEN: usize = 100;
/// The longest note on the source of a price, in characters.
pub const MAX_SOURCE_CHARS: usize = 200;

endpoint!(
    /// Lists the prices in force, by model; see [`PriceQuery`]. Calls to a model without a price have an unknown cost.
    ListPrices, "GET", "/api/prices", Some(Action::ReadRoute), 200, PriceQuery => Page<ModelPrice>
);
endpoint!(
    /// Sets a model's price from now on. The cost of earlier calls does not change.
    SetPrice, "PUT", "/api/prices/{model}", Some(Action::SetPrices), 200, SetPriceRequest => PriceChanged,
    example: Some(r#"{ "prompt": 2500000, "completion": 10000000, "cached": 1250000, "source": "openai.com/api/pricing, 2026-11-01" }"#)
);
endpoint!(
    /// Deletes a model's price. Its calls have an unknown cost from now on.
    DeletePrice, "DELETE", "/api/prices/{model}", Some(Action::SetPrices), 200, () => PriceChanged
);

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PriceQuery {
    /// Part of the model's name.
    pub search: Option<String>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// A price in micro-dollars for a million tokens: `2500000` is $2.50.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetPriceRequest {
    /// Micro-dollars for a million tokens of the prompt, at most 1,000,000,000,000.
    pub prompt: u64,
    /// Micro-dollars for a million tokens of the completion, at most 1,000,000,000,000.
    pub completion: u64,
    /// Price of prompt tokens read from the vendor's cache; if null or absent, `prompt` applies.
    #[serde(default)]
    pub cached: Option<u64>,
    /// Price of prompt tokens written to the cache; if null or absent, `prompt` applies.
    #[serde(default)]
    pub cache_write: Option<u64>,
    /// Source of the price, such as `openai.com/api/pricing, 2026-11-01`.
    #[cfg_attr(feature = "schema", schemars(length(max = 200)))]
    #[serde(default)]
    pub source: String,
}

/// A model's price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelPrice {
    /// Name of the model, as its vendor's API reports it.
    pub model: String,
    /// Micro-dollars for a million tokens.
    pub price: Price,
    /// Source of the price; empty if none was given.
    pub source: String,
    /// Start of its validity, unix ms.
    pub effective_at: UnixMs,
}

/// The response to a change of a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PriceChanged {
    /// `null` after a deletion.
    pub price: Option<ModelPrice>,
    /// Whether KV has taken the change.
    pub propagation: Propagation,
}

impl SetPriceRequest {
    /// Checks the request and the name of the model. Returns the price and its source.
    pub fn validate(self, model: &str) -> Result<(Price, String), Vec<FieldError>> {
        let mut errors = Vec::new();
        let is_name = (1..=MAX_MODEL_LEN).contains(&model.len())
            && model.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/@".contains(&b));
        if !is_name {
            let reason = Invalid::ModelName { most: MAX_MODEL_LEN };
            errors.push(FieldError::new("model", reason));
        }
        let prices = [
            ("prompt", Some(self.prompt)),
            ("completion", Some(self.completion)),
            ("cached", self.cached),
            ("cache_write", self.cache_write),
        ];
        for (field, price) in prices {
            if price.is_some_and(|price| price > MAX_PRICE_MICROS) {
                errors.push(FieldError::new(field, Invalid::Range { least: 0, most: MAX_PRICE_MICROS }));
            }
        }
        if self.source.chars().count() > MAX_SOURCE_CHARS || self.source.chars().any(char::is_control) {
            let reason = Invalid::PlainText { least: 0, most: MAX_SOURCE_CHARS };
            errors.push(FieldError::new("source", reason));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let Self { prompt, completion, cached, cache_write, source } = self;
        Ok((Price { prompt, completion, cached, cache_write }, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_bad_field_is_named() {
        let request: SetPriceRequest = serde_json::from_value(
            json!({"prompt": 1_000_000_000_001_u64, "completion": 0, "cached": 1_000_000_000_001_u64, "source": "a\nb"}),
        )
        .unwrap();
        let fields: Vec<_> = request.validate("a b").unwrap_err().into_iter().map(|e| e.field).collect();
        assert_eq!(fields, ["model", "prompt", "cached", "source"]);
    }
}
