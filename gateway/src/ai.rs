//! Calls to AI routes: the budget reserved for them, and their usage once the response has ended.

use domain::ai::price::PriceList;
use domain::ai::{AiAsk, MeteredAt};
use domain::limit::ledger::{Ask, Settlement};
use domain::limit::{DEFAULT_CEILING_MICROS, DEFAULT_CEILING_TOKENS, Limits};
use domain::usage::{AiUsage, Clipped, MAX_MODEL_LEN};
use std::rc::Rc;

/// Everything required to price a metered call once its response has ended.
#[derive(Debug)]
pub struct AiCall {
    pub at: MeteredAt,
    pub prices: Rc<PriceList>,
    /// The model as the request names it, if the request was read.
    pub model: Option<Clipped<MAX_MODEL_LEN>>,
}

/// Returns the most that the call can use, or the token's ceiling if nothing bounds the call.
pub fn most(ask: Option<&AiAsk>, limits: &Limits, prices: &PriceList) -> Ask {
    let tokens = ask.and_then(AiAsk::most_tokens);
    let micros = ask
        .and_then(|ask| prices.worst_case(ask.model.as_deref()?, ask.prompt_bytes, ask.most_completion()?));
    Ask {
        tokens: tokens.unwrap_or(limits.ai_tokens_per_call.unwrap_or(DEFAULT_CEILING_TOKENS)),
        micros: micros.unwrap_or(limits.cost_micros_per_call.unwrap_or(DEFAULT_CEILING_MICROS)),
    }
}

/// Adds the request's model to the usage, and the cost if it can be known.
pub fn priced(mut usage: AiUsage, call: AiCall) -> AiUsage {
    // The request may name an alias and the response the exact version. Either may have a price.
    let models = [usage.model.clone(), call.model];
    usage.cost_micros = models.iter().flatten().find_map(|model| call.prices.cost_micros(model, &usage));
    let [said, asked] = models;
    usage.model = said.or(asked);
    usage
}

/// Returns the usage of a call that the upstream has refused or failed: it cost nothing.
pub fn free(call: AiCall) -> AiUsage {
    AiUsage { model: call.model, cost_micros: Some(0), ..AiUsage::default() }
}

/// Returns the settlement of the call. If an amount is unknown, its reservation stays spent.
pub fn settlement(usage: &AiUsage) -> Settlement {
    let tokens = usage.prompt_tokens.zip(usage.completion_tokens);
    Settlement {
        tokens: tokens.map(|(prompt, completion)| prompt.saturating_add(completion)),
        micros: usage.cost_micros,
    }
}
