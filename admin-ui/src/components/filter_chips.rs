//! The token and the route that a page is narrowed to, each with a way to its own page and a way out.

use crate::api::use_api;
use crate::hooks::use_remote;
use crate::i18n::use_i18n;
use crate::route::Route;
use contract::routes::GetRoute;
use contract::tokens::GetToken;
use serde::{Deserialize, Serialize};
use yew::prelude::*;
use yew_router::prelude::*;

/// The part of the address that names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filtered {
    pub token: Option<String>,
    pub route: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct FilterChipsProps {
    pub filter: Filtered,
    pub on_filter: Callback<Filtered>,
}

#[component]
pub fn FilterChips(props: &FilterChipsProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    // Names are a courtesy: without them, the ids are shown.
    let names = use_remote(props.filter.clone(), move |filter: Filtered| {
        let api = api.clone();
        async move {
            let token = match &filter.token {
                Some(id) => api.request::<GetToken>().path(&[id]).send().await.ok().map(|token| token.name),
                None => None,
            };
            let route = match &filter.route {
                Some(id) => {
                    let route = api.request::<GetRoute>().path(&[id]).send().await.ok();
                    route.map(|route| route.path.as_str().to_owned())
                }
                None => None,
            };
            Ok((token, route))
        }
    });
    let names = names.state.ready().map(|names| (**names).clone()).unwrap_or_default();
    let chip = |kind: AttrValue, name: String, to: Route, without: Filtered| {
        let onclick = props.on_filter.reform(move |_: MouseEvent| without.clone());
        let label = i18n.fill("filter.clear", &[("name", &name)]);
        html! {
            <span class="tm-filter">
                <span class="tm-subtle">{ kind }</span>
                <Link<Route> {to}>{ name }</Link<Route>>
                <button type="button" class="tm-filter__clear" aria-label={label.clone()} title={label} {onclick}>
                    <i class="fas fa-times" aria-hidden="true" />
                </button>
            </span>
        }
    };
    let filter = props.filter.clone();
    if filter == Filtered::default() {
        return html! {};
    }
    html! {
        <div class="tm-filters">
            if let Some(id) = filter.token.clone() {
                { chip(i18n.t("token.title"), names.0.unwrap_or_else(|| id.clone()), Route::Token { id }, Filtered { token: None, ..filter.clone() }) }
            }
            if let Some(id) = filter.route.clone() {
                { chip(i18n.t("route.title"), names.1.unwrap_or_else(|| id.clone()), Route::RouteDetail { id }, Filtered { route: None, ..filter }) }
            }
        </div>
    }
}
