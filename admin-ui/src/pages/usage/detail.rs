//! One token's usage split by route, and one route's split by token.

use super::figures::{cards, route_name, routes_table, series_chart, share_chart, tokens_table};
use crate::api::use_api;
use crate::components::{AsyncView, Page, Range, RangePicker};
use crate::hooks::{use_interval_while_visible, use_query, use_remote, use_routes};
use crate::i18n::use_i18n;
use crate::pages::calls::Calls;
use crate::route::Route;
use contract::tokens::GetToken;
use contract::usage::{GetRouteUsage, GetTokenUsage, RoutePathQuery, UsageStats};
use domain::id::TokenId;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TokenUsagePageProps {
    pub id: String,
}

/// `/token-usage/:id`
#[component]
pub fn TokenUsagePage(props: &TokenUsagePageProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (range, on_range) = use_query::<Range>();
    let token = {
        let api = api.clone();
        use_remote(props.id.clone(), move |id| {
            let api = api.clone();
            async move { api.request::<GetToken>().path(&[&id]).send().await }
        })
    };
    let stats = use_remote((props.id.clone(), range.clone()), move |(id, range): (String, Range)| {
        let api = api.clone();
        async move { api.request::<GetTokenUsage>().path(&[&id]).query(&range.query()).send().await }
    });
    use_interval_while_visible(super::REFRESH_MS, stats.on_refresh.clone());
    let id = TokenId::from(props.id.as_str());
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |stats: Rc<UsageStats>| {
            let shares: Vec<_> =
                stats.by_route.iter().map(|route| (route_name(&i18n, route), route.figures.calls)).collect();
            html! {
                <div class="tm-stack">
                    { cards(&i18n, &stats.total) }
                    { series_chart(&i18n, &stats) }
                    { share_chart(&i18n, i18n.t("usage.by-route"), &shares) }
                    { routes_table(&i18n, i18n.t("routes.title"), &stats.by_route) }
                    <Calls token_id={id.clone()} />
                </div>
            }
        })
    };
    let name = token.state.ready().map_or_else(|| props.id.clone(), |token| token.name.clone());
    let parent =
        html! { <Link<Route> to={Route::TokenUsageList}>{ i18n.t("token-usage.title") }</Link<Route>> };
    let actions = html! {
        <Link<Route> to={Route::Token { id: props.id.clone() }} classes="pf-v6-c-button pf-m-secondary">{ i18n.t("usage.see-token") }</Link<Route>>
    };
    html! {
        <Page title={i18n.fill("usage.of", &[("name", &name)])} {parent} {actions}>
            <div class="tm-toolbar"><RangePicker {range} on_change={on_range} /></div>
            <AsyncView<UsageStats> state={stats.state} on_retry={stats.on_refresh} {render} />
        </Page>
    }
}

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Asked {
    #[serde(default)]
    path: String,
    #[serde(flatten)]
    range: Range,
}

/// `/route-usage?path=`
#[component]
pub fn RouteUsagePage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (asked, on_asked) = use_query::<Asked>();
    let routes = use_routes();
    let stats = use_remote(asked.clone(), move |asked: Asked| {
        let api = api.clone();
        async move {
            let span = asked.range.query();
            let query = RoutePathQuery {
                route_path: asked.path,
                from: span.from,
                to: span.to,
                interval: span.interval,
                tz: span.tz,
            };
            api.request::<GetRouteUsage>().query(&query).send().await
        }
    });
    use_interval_while_visible(super::REFRESH_MS, stats.on_refresh.clone());
    let route = routes
        .state
        .ready()
        .and_then(|routes| routes.iter().find(|r| r.path.as_str() == asked.path).cloned());
    let render = {
        let (i18n, id) = (i18n.clone(), route.as_ref().map(|route| route.id.clone()));
        Callback::from(move |stats: Rc<UsageStats>| {
            let name = |token: &contract::usage::TokenUsage| {
                token.name.clone().unwrap_or_else(|| token.token_id.to_string())
            };
            let shares: Vec<_> =
                stats.by_token.iter().map(|token| (name(token), token.figures.calls)).collect();
            html! {
                <div class="tm-stack">
                    { cards(&i18n, &stats.total) }
                    { series_chart(&i18n, &stats) }
                    { share_chart(&i18n, i18n.t("usage.by-token"), &shares) }
                    { tokens_table(&i18n, i18n.t("tokens.title"), &stats.by_token) }
                    if let Some(route_id) = id.clone() {
                        <Calls {route_id} />
                    }
                </div>
            }
        })
    };
    let parent =
        html! { <Link<Route> to={Route::RouteUsageList}>{ i18n.t("route-usage.title") }</Link<Route>> };
    let actions = route.map(|route| {
        html! {
            <Link<Route> to={Route::RouteDetail { id: route.id.to_string() }} classes="pf-v6-c-button pf-m-secondary">{ i18n.t("usage.see-route") }</Link<Route>>
        }
    });
    let on_range = {
        let asked = asked.clone();
        on_asked.reform(move |range| Asked { range, ..asked.clone() })
    };
    html! {
        <Page title={i18n.fill("usage.of", &[("name", &asked.path)])} {parent} actions={actions.unwrap_or_default()}>
            <div class="tm-toolbar"><RangePicker range={asked.range.clone()} on_change={on_range} /></div>
            <AsyncView<UsageStats> state={stats.state} on_retry={stats.on_refresh} {render} />
        </Page>
    }
}
