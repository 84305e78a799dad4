//! Calls to AI routes: the budget reserved for them, and their usage once the response has ended.

use crate::arrival::Arrival;
use crate::body::Body;
use domain::access::Permit;
use domain::ai::price::PriceList;
use domain::ai::{self, AiAsk, MeteredAt, Metering, UsageReader, ask_of, with_include_usage};
use domain::limit::ledger::{Ask, Settlement};
use domain::limit::{DEFAULT_CEILING_MICROS, DEFAULT_CEILING_TOKENS, Limits};
use domain::route::RouteTable;
use domain::upstream::build_url;
use domain::upstream::settings::AiSettings;
use domain::usage::{AiUsage, Clipped, MAX_MODEL_LEN};
use js_sys::Uint8Array;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use web_sys::Response;

/// Everything required to price a metered call once its response has ended.
#[derive(Debug)]
pub struct AiCall {
    pub at: MeteredAt,
    pub prices: Rc<PriceList>,
    /// The model as the request names it, if the request was read.
    pub model: Option<Clipped<MAX_MODEL_LEN>>,
}

/// A call that is metered at one of its upstreams.
#[derive(Debug)]
pub struct Metered {
    pub at: MeteredAt,
    /// Kind, upstream's path and AI settings at the first upstream that meters it.
    pub kind: Metering,
    pub path: String,
    pub settings: AiSettings,
}

/// Returns the call as its upstreams meter it; `None` if it costs nothing at any of them.
pub fn metered(permit: &Permit, arrival: &Arrival, table: &RouteTable) -> Option<Metered> {
    let on = |permit: &Permit| {
        let settings = permit.ai().cloned()?;
        // A path without a URL is refused later.
        let path = build_url(permit.mount(), &arrival.path, None).ok()?.path().to_owned();
        let kind = ai::metering(settings.provider, &arrival.method, &path, arrival.is_websocket);
        kind.is_metered().then_some((kind, path, settings))
    };
    let first = on(permit);
    let second = permit.failover(&arrival.method, table).and_then(|second| on(&second));
    let at = MeteredAt { first: first.is_some(), second: second.is_some() };
    let (kind, path, settings) = first.or(second)?;
    Some(Metered { at, kind, path, settings })
}

/// Reads the request of a call, with its whole body, if a budget must be reserved or usage must be asked for.
pub async fn read_ask(
    metered: &Metered,
    has_budget: bool,
    arrival: &Arrival,
    body: &mut Body,
) -> Result<Option<AiAsk>, JsValue> {
    let Metered { kind, path, settings, .. } = metered;
    // A form with a file states nothing that bounds the call.
    let is_form = arrival.header("content-type").is_some_and(|form| form.starts_with("multipart/"));
    if is_form || (!has_budget && !settings.include_usage) {
        return Ok(None);
    }
    body.take_in(arrival).await?;
    let Some(bytes) = body.bytes() else { return Ok(None) };
    if settings.include_usage
        && let Some(asking) = with_include_usage(path, &bytes)
    {
        *body = Body::Whole(Uint8Array::from(asking.as_slice()));
    }
    Ok(Some(ask_of(*kind, path, &bytes)))
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

/// Makes a reader of the response. `None` if it holds nothing that can be read.
pub fn reader(response: &Response) -> Option<UsageReader> {
    let headers = response.headers();
    UsageReader::of(|name| headers.get(name).ok().flatten())
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

/// Returns the settlement of the call. If an amount is unknown, its reservation stays spent.
pub fn settlement(usage: &AiUsage) -> Settlement {
    let tokens = usage.prompt_tokens.zip(usage.completion_tokens);
    Settlement {
        tokens: tokens.map(|(prompt, completion)| prompt.saturating_add(completion)),
        micros: usage.cost_micros,
    }
}
