//! The third step: the call to copy, and the wait for it.

use crate::api::use_api;
use crate::components::{Button, CopyButton, SnippetTabs, StatusLabel};
use crate::config::use_config;
use crate::format;
use crate::hooks::{setter, use_interval_while_visible, use_remote};
use crate::i18n::use_i18n;
use crate::pages::routes::example_of;
use crate::route::Route;
use contract::routes::RouteView;
use contract::tokens::TokenCreated;
use contract::usage::{CallView, EventQuery, ListEvents};
use domain::id::TokenId;
use patternfly_yew::prelude::ButtonVariant;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

/// The time between two looks for the call.
const LOOK_MS: u32 = 1_500;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CallStepProps {
    pub route: Rc<RouteView>,
    pub created: TokenCreated,
    pub on_done: Callback<()>,
}

/// The token, once, the call with it, and that call's row.
#[component]
pub fn CallStep(props: &CallStepProps) -> Html {
    let i18n = use_i18n();
    let config = use_config();
    let is_kept = use_state_eq(|| false);
    let on_copied = setter(&is_kept).reform(|()| true);
    let (route, view) = (&props.route, &props.created.view);
    let token = AttrValue::from(props.created.token.clone().unwrap_or_default());
    html! {
        <div class="tm-form">
            <p>{ i18n.fill("reveal.advice", &[("name", &view.name)]) }</p>
            <div class="tm-secret">
                <code data-secret="true" oncopy={on_copied.reform(|_: Event| ())}>{ &token }</code>
                <CopyButton text={&token} label={i18n.t("reveal.copy")} caption={i18n.t("copy.copy")} on_copied={on_copied.clone()} />
            </div>
            <SnippetTabs name={route.name.clone()} url={format!("{}{}", config.gateway, route.path.as_str())} example={example_of(route)} {token} {on_copied} />
            <Waiting token_id={view.id.clone()} />
            <Button variant={ButtonVariant::Secondary} label={i18n.t("app.done").to_string()} disabled={!*is_kept} onclick={props.on_done.reform(|_| ())} class="tm-start" />
        </div>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct WaitingProps {
    token_id: TokenId,
}

/// Waits for the token's first call, and then shows its last one.
#[component]
fn Waiting(props: &WaitingProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let calls = use_remote(props.token_id.clone(), move |token_id: TokenId| {
        let api = api.clone();
        async move {
            let query = EventQuery { token_id: Some(token_id), limit: Some(1), ..EventQuery::default() };
            api.request::<ListEvents>().query(&query).send().await
        }
    });
    let last = calls.state.ready().and_then(|page| page.items.first().cloned());
    let is_due = !calls.is_loading && last.as_ref().is_none_or(|call| call.status >= 300);
    let on_tick = use_callback((calls.on_refresh, is_due), |(): (), (on_refresh, is_due)| {
        if *is_due {
            on_refresh.emit(());
        }
    });
    use_interval_while_visible(LOOK_MS, on_tick);
    let row = |call: &CallView| {
        html! {
            <>
                <StatusLabel status={call.status} />
                <span>{ format::clock_time(&i18n, call.at) }</span>
                <code class="tm-address">{ &call.method }{ " " }{ &call.path }</code>
                if call.outcome != "ok" {
                    <span>{ i18n.outcome(&call.outcome) }</span>
                }
                <span>{ format::milliseconds(&i18n, u64::from(call.latency_ms)) }</span>
                <Link<Route> to={Route::Calls}>{ i18n.t("first.see-calls") }</Link<Route>>
            </>
        }
    };
    html! {
        <p class="tm-labels" role="status">
            { last.as_ref().map_or_else(|| html! { <span class="tm-live">{ i18n.t("first.waiting") }</span> }, row) }
        </p>
    }
}
