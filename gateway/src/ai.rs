//! Calls to AI routes: what is reserved for them, and what they turn out to have used.

use crate::arrival::Arrival;
use crate::body::Body;
use domain::ai::{AiAsk, UsageReader, ask_of, with_include_usage};
use domain::limit::ledger::{Ask, Settlement};
use domain::limit::{DEFAULT_CEILING_MICROS, DEFAULT_CEILING_TOKENS, Limits};
use domain::price::PriceList;
use domain::settings::AiSettings;
use domain::usage::AiUsage;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::Response;

/// What a request asks for, its body taken in where somebody has to look at it: where a budget is to
/// be reserved for, or usage to be asked for.
pub async fn read_ask(
    ai: &AiSettings,
    limits: &Limits,
    arrival: &Arrival,
    body: &mut Body,
) -> Result<Option<AiAsk>, JsValue> {
    if !limits.has_budget() && !ai.include_usage {
        return Ok(None);
    }
    body.take_in(arrival).await?;
    let Some(bytes) = body.bytes() else { return Ok(None) };
    if ai.include_usage
        && let Some(asking) = with_include_usage(arrival.path.as_str(), &bytes)
    {
        *body = Body::Whole(Uint8Array::from(asking.as_slice()));
    }
    Ok(Some(ask_of(ai.provider, arrival.path.as_str(), &bytes)))
}

/// The most that the call can use; the token's ceiling where that cannot be told.
pub fn most(ask: Option<&AiAsk>, limits: &Limits, prices: &PriceList) -> Ask {
    let tokens = ask.and_then(AiAsk::most_tokens);
    let micros = ask
        .and_then(|ask| prices.worst_case(ask.model.as_deref()?, ask.prompt_bytes, ask.most_completion()?));
    Ask {
        tokens: tokens.unwrap_or(limits.ai_tokens_per_call.unwrap_or(DEFAULT_CEILING_TOKENS)),
        micros: micros.unwrap_or(limits.cost_micros_per_call.unwrap_or(DEFAULT_CEILING_MICROS)),
    }
}

/// A reader of the answer; `None` where it is a failure, which costs nothing.
pub fn reader(ai: &AiSettings, response: &Response) -> Option<UsageReader> {
    let content_type = response.headers().get("content-type").ok().flatten().unwrap_or_default();
    response.ok().then(|| UsageReader::new(ai.provider, &content_type))
}

/// The usage with what is known from the request, and its cost. Of an answer that was broken off the
/// cost is unknown: the vendor may have gone on, and charges for it.
pub fn priced(
    mut usage: AiUsage,
    asked_model: Option<String>,
    prices: &PriceList,
    is_whole: bool,
) -> AiUsage {
    // The request may name an alias where the answer names the issue; either may have the price.
    let models = [usage.model.clone(), asked_model];
    let price = |model| prices.cost_micros(model, &usage).filter(|_| is_whole);
    usage.cost_micros = models.iter().flatten().find_map(|model| price(model));
    let [said, asked] = models;
    usage.model = said.or(asked);
    usage
}

/// What is settled for it; what is not known stays spent as it was reserved.
pub fn settlement(usage: &AiUsage, is_whole: bool) -> Settlement {
    let tokens = usage.prompt_tokens.zip(usage.completion_tokens).filter(|_| is_whole);
    Settlement {
        tokens: tokens.map(|(prompt, completion)| prompt.saturating_add(completion)),
        micros: usage.cost_micros,
    }
}
