//! The whole of one call, beside the list. Which call is open is in the address, so that it can be linked.

use super::why::Why;
use crate::api::{Api, CallError, use_api};
use crate::components::{AsyncView, Button, CopyButton, Dialog, StatusLabel, limit_name};
use crate::config::use_config;
use crate::format;
use crate::hooks::use_remote;
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::snippets;
use contract::Page as Items;
use contract::usage::{CallView, EventQuery, ListEvents};
use domain::time::UnixMs;
use domain::usage::Refused;
use gloo::events::EventListener;
use gloo::utils::document;
use patternfly_yew::prelude::{
    Breakpoint, ButtonVariant, DescriptionGroup, DescriptionList, DescriptionListMode, WithBreakpointExt,
};
use std::collections::BTreeMap;
use std::rc::Rc;
use web_sys::Element;
use web_sys::wasm_bindgen::JsCast;
use yew::prelude::*;
use yew_router::prelude::*;

/// The name in the address.
const OPEN: &str = "open";

/// Returns the text that names a call in the address: its time, which finds it quickly, and its id.
pub fn key_of(call: &CallView) -> String {
    format!("{}.{}", call.at, call.id)
}

fn parts_of(key: &str) -> Option<(UnixMs, &str)> {
    let (at, id) = key.split_once('.')?;
    Some((at.parse().ok()?, id))
}

/// Keeps which call is open in the address; everything else there stays.
#[hook]
pub fn use_opened() -> (Option<String>, Callback<Option<String>>) {
    let address = use_location().and_then(|location| location.query::<BTreeMap<String, String>>().ok());
    let address = address.unwrap_or_default();
    let open = address.get(OPEN).cloned();
    let (navigator, route) = (use_navigator(), use_route::<Route>());
    let on_open = Callback::from(move |open: Option<String>| {
        let (Some(navigator), Some(route)) = (&navigator, &route) else { return };
        let mut address = address.clone();
        address.remove(OPEN);
        address.extend(open.map(|open| (OPEN.to_owned(), open)));
        // This cannot fail: texts can be written as a query.
        let _ = navigator.replace_with_query(route, &address);
    });
    (open, on_open)
}

/// Returns the call before or after the open one; without an open one, the first.
fn neighbour(keys: &[String], open: Option<&str>, is_next: bool) -> Option<String> {
    let Some(open) = open else { return keys.first().filter(|_| is_next).cloned() };
    let at = keys.iter().position(|key| key == open)?;
    let other = if is_next { at.checked_add(1) } else { at.checked_sub(1) }?;
    keys.get(other).cloned()
}

/// Opens the next call with `j`, the one before with `k`, while one is open also with the arrows.
#[hook]
pub fn use_keys(keys: Vec<String>, open: Option<String>, on_open: Callback<Option<String>>) {
    use_effect_with((keys, open, on_open), |(keys, open, on_open)| {
        let (keys, open, on_open) = (keys.clone(), open.clone(), on_open.clone());
        let options = gloo::events::EventListenerOptions::enable_prevent_default();
        let listener = EventListener::new_with_options(&document(), "keydown", options, move |event| {
            let Some(event) = event.dyn_ref::<KeyboardEvent>() else { return };
            let is_typed_in =
                event.target().and_then(|target| target.dyn_into::<Element>().ok()).is_some_and(|element| {
                    element.closest("input, select, textarea").is_ok_and(|found| found.is_some())
                });
            if is_typed_in || event.ctrl_key() || event.meta_key() || event.alt_key() {
                return;
            }
            let is_next = match (event.key().as_str(), open.is_some()) {
                ("j", _) | ("ArrowDown", true) => true,
                ("k", _) | ("ArrowUp", true) => false,
                _ => return,
            };
            if let Some(other) = neighbour(&keys, open.as_deref(), is_next) {
                event.prevent_default();
                on_open.emit(Some(other));
            }
        });
        move || drop(listener)
    });
}

#[derive(Clone, PartialEq, Properties)]
pub struct DrawerProps {
    /// The call, as the address names it.
    pub open: String,
    /// The list's page, if it has been read.
    pub items: Option<Rc<Items<CallView>>>,
    pub on_open: Callback<Option<String>>,
}

/// Shows the call that is open: from the list, or, if a link leads here, read by itself.
#[component]
pub fn Drawer(props: &DrawerProps) -> Html {
    let (i18n, api) = (use_i18n(), use_api());
    let items = props.items.iter().flat_map(|page| &page.items);
    let keys: Vec<String> = items.clone().map(key_of).collect();
    let listed = items.into_iter().find(|call| key_of(call) == props.open).cloned();
    let read = use_remote((props.open.clone(), listed.is_some()), move |(open, is_listed)| {
        let api = api.clone();
        async move { if is_listed { Ok(None) } else { read_one(&api, &open).await } }
    });
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |call: Rc<Option<CallView>>| match &*call {
            Some(call) => html! { <Whole call={call.clone()} /> },
            None => html! { <p>{ i18n.t("calls.gone") }</p> },
        })
    };
    let go = |is_next| {
        let other = neighbour(&keys, Some(&props.open), is_next);
        let (disabled, on_open) = (other.is_none(), props.on_open.reform(move |_: MouseEvent| other.clone()));
        let label = if is_next { i18n.t("calls.next") } else { i18n.t("calls.previous") };
        html! { <Button variant={ButtonVariant::Secondary} label={label.to_string()} {disabled} onclick={on_open} /> }
    };
    let footer = html! {
        <>
            <Button variant={ButtonVariant::Primary} label={i18n.t("app.close").to_string()} onclick={props.on_open.reform(|_| None)} />
            { go(false) }{ go(true) }
        </>
    };
    html! {
        <Dialog title={i18n.t("calls.one")} {footer} on_close={props.on_open.reform(|()| None)} is_drawer=true>
            if let Some(call) = listed {
                <Whole {call} />
            } else {
                <AsyncView<Option<CallView>> state={read.state} on_retry={read.on_refresh} {render} />
            }
        </Dialog>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct WholeProps {
    call: CallView,
}

/// Everything about one call.
#[component]
fn Whole(props: &WholeProps) -> Html {
    let i18n = use_i18n();
    let call = &props.call;
    html! {
        <div class="tm-stack">
            <p class="tm-labels">
                <StatusLabel status={call.status} />
                <strong>{ if call.outcome == "ok" { i18n.t("calls.ok") } else { i18n.outcome(&call.outcome) } }</strong>
                <code class="tm-address">{ &call.method }{ " " }{ &call.path }</code>
            </p>
            <Why key={call.id.clone()} call={call.clone()} />
            <Said call={call.clone()} />
            { timeline(&i18n, call) }
            { details(&i18n, call) }
            <Again call={call.clone()} />
        </div>
    }
}

/// The vendor's words, if its response told of an error and the route keeps them.
#[component]
fn Said(props: &WholeProps) -> Html {
    let (i18n, api) = (use_i18n(), use_api());
    let call = &props.call;
    let may_have = matches!(call.outcome.as_str(), "client-error" | "upstream-error");
    let read = use_remote((key_of(call), may_have), move |(key, may_have)| {
        let api = api.clone();
        async move { if may_have { read_one(&api, &key).await } else { Ok(None) } }
    });
    let call = read.state.ready().and_then(|call| (**call).clone());
    let Some(error) = call.and_then(|call| call.error) else { return Html::default() };
    html! {
        <section>
            <h3 class="pf-v6-c-title pf-m-md">{ i18n.t("calls.said") }</h3>
            <pre class="tm-said" tabindex="0" aria-label={i18n.t("calls.said")}>{ error.body.as_str() }</pre>
            if error.is_cut {
                <p class="tm-subtle">{ i18n.t("calls.said-cut") }</p>
            }
        </section>
    }
}

/// Reads one call by its name in the address.
async fn read_one(api: &Api, key: &str) -> Result<Option<CallView>, CallError> {
    let Some((at, id)) = parts_of(key) else { return Ok(None) };
    let query = EventQuery {
        id: Some(id.to_owned()),
        from: Some(at.to_string()),
        to: Some((at + 1).to_string()),
        limit: Some(1),
        ..EventQuery::default()
    };
    let page = api.request::<ListEvents>().query(&query).send().await?;
    Ok(page.items.into_iter().next())
}

/// Returns the time in the gateway, at the upstream, and until the response's end; unknown if nobody watched for that.
fn steps_of(call: &CallView) -> (u32, u32, Option<u32>) {
    let upstream = call.latency_ms.saturating_sub(call.gateway_ms);
    (call.gateway_ms, upstream, call.duration_ms.map(|ms| ms.saturating_sub(call.latency_ms)))
}

/// The time of each step, as a bar and in words.
fn timeline(i18n: &I18n, call: &CallView) -> Html {
    let (gateway, upstream, stream) = steps_of(call);
    let whole = (gateway + upstream + stream.unwrap_or(0)).max(1);
    let width = |ms: u32| f64::from(ms) * 100.0 / f64::from(whole);
    let bar = |class: &'static str, from: f64, ms: u32| {
        html! { <rect {class} x={from.to_string()} y="0" width={width(ms).to_string()} height="8" /> }
    };
    let ms = |ms: u32| format::milliseconds(i18n, u64::from(ms));
    let stream_text = stream.map_or_else(|| i18n.t("calls.stream-unknown").to_string(), ms);
    let told = [
        (i18n.t("calls.gateway"), ms(gateway), "tm-bar--gateway"),
        (i18n.t("calls.upstream"), ms(upstream), "tm-bar--upstream"),
        (i18n.t("calls.stream"), stream_text, "tm-bar--stream"),
    ];
    let told = told.into_iter().map(|(name, time, class)| {
        html! { <li><span class={classes!("tm-bar__key", class)} aria-hidden="true" />{ name }{ " " }<strong>{ time }</strong></li> }
    });
    html! {
        <section aria-label={i18n.t("calls.timeline")}>
            <svg class="tm-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                { bar("tm-bar--gateway", 0.0, gateway) }
                { bar("tm-bar--upstream", width(gateway), upstream) }
                { bar("tm-bar--stream", width(gateway) + width(upstream), stream.unwrap_or(0)) }
            </svg>
            <ul class="tm-bar__keys" role="list">{ for told }</ul>
        </section>
    }
}

/// A link to the calls that share something with this one.
fn same(i18n: &I18n, name: &'static str, value: &str) -> Html {
    let query = Some(BTreeMap::from([(name, value.to_owned())]));
    html! { <Link<Route, BTreeMap<&'static str, String>> to={Route::Calls} {query}>{ i18n.t("calls.same") }</Link<Route, BTreeMap<&'static str, String>>> }
}

fn details(i18n: &I18n, call: &CallView) -> Html {
    let bytes = |count: Option<u64>| {
        count.map_or_else(
            || i18n.t("calls.unknown"),
            |n| i18n.fill("calls.bytes", &[("count", &format::number(i18n, n))]),
        )
    };
    let token = call.token_name.clone().unwrap_or_else(|| call.token_id.to_string());
    html! {
        <DescriptionList mode={[DescriptionListMode::Horizontal.on(Breakpoint::Medium)]}>
            <DescriptionGroup term={i18n.t("calls.time")}>{ format::date_time_exact(i18n, call.at) }</DescriptionGroup>
            <DescriptionGroup term={i18n.t("token.title")}>
                <Link<Route> to={Route::Token { id: call.token_id.to_string() }}>{ token }</Link<Route>>
                if let Some(nonce) = &call.derived {
                    { " " }{ i18n.fill("calls.derived", &[("nonce", nonce)]) }
                }
            </DescriptionGroup>
            if let Some(label) = &call.label {
                <DescriptionGroup term={i18n.t("workflows.name")}>{ label }{ " " }{ same(i18n, "label", label) }</DescriptionGroup>
            }
            <DescriptionGroup term={i18n.t("route.title")}>{ route(i18n, call) }</DescriptionGroup>
            if call.second {
                <DescriptionGroup term={i18n.t("calls.second")}>{ i18n.t("calls.second-used") }</DescriptionGroup>
            }
            if let Some(name) = &call.credential {
                <DescriptionGroup term={i18n.t("route.credential")}>{ name }</DescriptionGroup>
            }
            if call.retries > 0 {
                <DescriptionGroup term={i18n.t("calls.retries")}>{ call.retries }</DescriptionGroup>
            }
            if !call.refused.is_empty() {
                <DescriptionGroup term={i18n.t("calls.refused")}>{ refused(call) }</DescriptionGroup>
            }
            if let Some(limit) = &call.limit {
                <DescriptionGroup term={i18n.t("calls.limit")}>{ limit_name(i18n, limit) }</DescriptionGroup>
            }
            if let Some(id) = &call.upstream_request_id {
                <DescriptionGroup term={i18n.t("calls.upstream-id")}>
                    <code class="tm-address">{ id }</code>
                    <CopyButton text={id.clone()} label={i18n.t("calls.copy-upstream-id")} />
                </DescriptionGroup>
            }
            <DescriptionGroup term={i18n.t("calls.sizes")}>
                { i18n.fill("calls.sizes-text", &[("in", &bytes(call.bytes_in)), ("out", &bytes(call.bytes_out))]) }
            </DescriptionGroup>
            { ai(i18n, call) }
            <DescriptionGroup term={i18n.t("calls.client")}>{ client(i18n, call) }</DescriptionGroup>
            <DescriptionGroup term={i18n.t("calls.request-id")}>
                <code class="tm-address">{ &call.request_id }</code>
                <CopyButton text={call.request_id.clone()} label={i18n.t("calls.copy-id")} />
            </DescriptionGroup>
        </DescriptionList>
    }
}

/// Returns the credentials that were refused, with the upstream's statuses.
fn refused(call: &CallView) -> String {
    let one = |refused: &Refused| format!("{} ({})", &*refused.credential, refused.status);
    call.refused.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn route(i18n: &I18n, call: &CallView) -> Html {
    let path = call.route_path.clone().unwrap_or_else(|| i18n.t("usage.no-route").to_string());
    match &call.route_id {
        Some(id) => {
            html! { <Link<Route> to={Route::RouteDetail { id: id.to_string() }}><code>{ path }</code></Link<Route>> }
        }
        None => html! { { path } },
    }
}

/// Model, AI tokens and cost of an AI call.
fn ai(i18n: &I18n, call: &CallView) -> Html {
    let Some(model) = &call.model else { return Html::default() };
    let count =
        |n: Option<u64>| n.map_or_else(|| i18n.t("calls.unknown").to_string(), |n| format::number(i18n, n));
    let [prompt, cached, written, completion, reasoning] = [
        call.prompt_tokens,
        call.cached_tokens,
        call.cache_write_tokens,
        call.completion_tokens,
        call.reasoning_tokens,
    ]
    .map(count);
    let cost = call
        .cost_micros
        .map_or_else(|| i18n.t("calls.unknown").to_string(), |micros| format::dollars(i18n, micros));
    html! {
        <>
            <DescriptionGroup term={i18n.t("calls.model")}>{ model }{ " " }{ same(i18n, "model", model) }</DescriptionGroup>
            <DescriptionGroup term={i18n.t("usage.ai-tokens")}>
                { i18n.fill("calls.ai-text", &[("prompt", &prompt), ("cached", &cached), ("written", &written), ("completion", &completion), ("reasoning", &reasoning)]) }
            </DescriptionGroup>
            <DescriptionGroup term={i18n.t("calls.cost")}>{ cost }</DescriptionGroup>
        </>
    }
}

fn client(i18n: &I18n, call: &CallView) -> Html {
    let unknown = || i18n.t("calls.unknown").to_string();
    html! {
        <>
            { call.client_ip.clone().unwrap_or_else(unknown) }
            if let Some(country) = &call.country {
                { " · " }{ country }
            }
            if let Some(ip) = &call.client_ip {
                { " " }{ same(i18n, "client", ip) }
            }
            <div class="tm-subtle tm-address">{ call.user_agent.clone().unwrap_or_else(unknown) }</div>
        </>
    }
}

/// Shows the call as a command, with the token left out.
#[component]
fn Again(props: &WholeProps) -> Html {
    let (i18n, config) = (use_i18n(), use_config());
    let example = snippets::Example { method: props.call.method.clone(), ..snippets::Example::default() };
    let url = format!("{}{}", config.gateway, props.call.path);
    let command = AttrValue::from(snippets::curl(&example, &url, snippets::TOKEN_VARIABLE));
    html! {
        <section>
            <h3 class="pf-v6-c-title pf-m-md">{ i18n.t("calls.again") }</h3>
            <p class="tm-subtle">{ i18n.t("calls.again-note") }</p>
            <div class="tm-secret">
                <code>{ &command }</code>
                <CopyButton text={command.clone()} label={i18n.t("routes.copy-curl")} caption={i18n.t("copy.copy")} />
            </div>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_go_from_call_to_call_and_stop_at_the_ends() {
        let keys: Vec<String> = ["1.a", "2.b", "3.c"].map(ToOwned::to_owned).into();
        let go = |open: Option<&str>, is_next| neighbour(&keys, open, is_next);
        assert_eq!(go(None, true).as_deref(), Some("1.a"));
        assert_eq!(go(None, false), None);
        assert_eq!(go(Some("1.a"), true).as_deref(), Some("2.b"));
        assert_eq!(go(Some("1.a"), false), None);
        assert_eq!(go(Some("3.c"), true), None);
        assert_eq!(go(Some("9.z"), true), None, "a call that is not in the list");
        assert_eq!((parts_of("5.x"), parts_of("x.5"), parts_of("5")), (Some((5, "x")), None, None));
    }
}
