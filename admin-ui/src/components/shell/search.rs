//! The search in the masthead.

use crate::api::{CallError, use_api};
use crate::components::{Leaked, looks_secret};
use crate::hooks::{AsyncState, use_debounced, use_id, use_remote};
use crate::i18n::use_i18n;
use crate::route::Route;
use contract::routes::{ListRoutes, RouteQuery, RouteView};
use contract::tokens::{ListTokens, TokenQuery, TokenView};
use web_sys::wasm_bindgen::JsCast;
use web_sys::{HtmlInputElement, Node};
use yew::prelude::*;
use yew_router::prelude::*;

/// Tokens shown, and routes.
const SHOWN: u32 = 5;
const STILL_MS: u32 = 250;

type Found = (Vec<TokenView>, Vec<RouteView>);

/// Finds tokens and routes by name from every page.
#[component]
pub fn Search() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (text, is_open) = (use_state_eq(String::new), use_state_eq(|| false));
    let settled = use_debounced((*text).clone(), STILL_MS);
    // A secret is never sent: its token is looked for by its hash.
    let is_secret = looks_secret(&text);
    let asked = if looks_secret(&settled) { String::new() } else { settled.trim().to_owned() };
    let found = use_remote(asked, move |search| {
        let api = api.clone();
        async move { find(&api, search).await }
    });
    let (node, panel) = (use_node_ref(), use_id());

    let oninput = {
        let (text, is_open) = (text.setter(), is_open.setter());
        Callback::from(move |event: InputEvent| {
            text.set(event.target_unchecked_into::<HtmlInputElement>().value());
            is_open.set(true);
        })
    };
    let onkeydown = {
        let (text, is_open) = (text.setter(), is_open.setter());
        Callback::from(move |event: KeyboardEvent| {
            if event.key() == "Escape" {
                text.set(String::new());
                is_open.set(false);
            }
        })
    };
    let onfocusout = {
        let (is_open, node) = (is_open.setter(), node.clone());
        Callback::from(move |event: FocusEvent| {
            let next = event.related_target().and_then(|target| target.dyn_into::<Node>().ok());
            if !node.cast::<Node>().is_some_and(|node| node.contains(next.as_ref())) {
                is_open.set(false);
            }
        })
    };
    let onfocusin = {
        let is_open = is_open.setter();
        Callback::from(move |_: FocusEvent| is_open.set(true))
    };
    let on_choose = {
        let (text, is_open) = (text.setter(), is_open.setter());
        Callback::from(move |()| {
            text.set(String::new());
            is_open.set(false);
        })
    };
    let is_shown = *is_open && !text.trim().is_empty();
    html! {
        <div class="tm-search" role="search" ref={node} {onfocusout} {onfocusin} {onkeydown}>
            <span class="pf-v6-c-form-control tm-search__field">
                <input
                    type="search"
                    value={(*text).clone()}
                    {oninput}
                    placeholder={i18n.t("search.label")}
                    aria-label={i18n.t("search.label")}
                    aria-controls={is_shown.then(|| panel.clone())}
                    autocomplete="off"
                />
            </span>
            if is_shown {
                <div class="tm-menu__panel pf-v6-c-menu tm-search__panel" id={panel} aria-live="polite">
                    if is_secret {
                        <Leaked secret={(*text).clone()} {on_choose} />
                    } else {
                        <Results text={text.trim().to_owned()} found={found.state} {on_choose} />
                    }
                </div>
            }
        </div>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct ResultsProps {
    text: String,
    found: AsyncState<Found>,
    on_choose: Callback<()>,
}

/// The tokens and routes that were found.
#[component]
fn Results(props: &ResultsProps) -> Html {
    let i18n = use_i18n();
    let note = |text: AttrValue| html! { <p class="tm-search__note">{ text }</p> };
    let (tokens, routes) = match &props.found {
        AsyncState::Loading => return note(i18n.t("async.loading")),
        AsyncState::Failed(_) => return note(i18n.t("search.failed")),
        AsyncState::Ready(found) if found.0.is_empty() && found.1.is_empty() => {
            return note(i18n.fill("search.nothing", &[("text", &props.text)]));
        }
        AsyncState::Ready(found) => (&found.0, &found.1),
    };
    let link = |to: Route, name: &str, more: &str, icon: &'static str| {
        html! {
            <li onclick={props.on_choose.reform(|_| ())} role="presentation">
                <Link<Route> {to} classes="tm-menu__item">
                    <i class={icon} aria-hidden="true" />
                    <span>{ name }<span class="tm-subtle tm-search__more">{ more }</span></span>
                </Link<Route>>
            </li>
        }
    };
    html! {
        <>
            if !tokens.is_empty() {
                <h2 class="tm-search__group">{ i18n.t("tokens.title") }</h2>
                <ul role="list">{ for tokens.iter().map(|token| {
                    link(Route::Token { id: token.id.to_string() }, &token.name, token.team_id.as_str(), "fas fa-key")
                }) }</ul>
            }
            if !routes.is_empty() {
                <h2 class="tm-search__group">{ i18n.t("routes.title") }</h2>
                <ul role="list">{ for routes.iter().map(|route| {
                    link(Route::RouteDetail { id: route.id.to_string() }, &route.name, route.path.as_str(), "fas fa-route")
                }) }</ul>
            }
        </>
    }
}

async fn find(api: &crate::api::Api, search: String) -> Result<Found, CallError> {
    if search.is_empty() {
        return Ok((vec![], vec![]));
    }
    let (limit, search) = (Some(SHOWN), Some(search));
    let tokens = TokenQuery { search: search.clone(), limit, ..TokenQuery::default() };
    let routes = RouteQuery { search, limit, ..RouteQuery::default() };
    let tokens = api.request::<ListTokens>().query(&tokens).send().await?;
    let routes = api.request::<ListRoutes>().query(&routes).send().await?;
    Ok((tokens.items, routes.items))
}
