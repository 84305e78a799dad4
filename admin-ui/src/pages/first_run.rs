//! The way to the first call: an upstream, a token, a call of it.

#![expect(clippy::unnecessary_wraps, reason = "a part that cannot be loaded is an error; the steps are none")]

mod call;
mod token;

use crate::api::{CallError, use_api};
use crate::hooks::{Remote, setter, use_remote, use_routes};
use crate::i18n::use_i18n;
use crate::pages::routes::{RouteForm, Tested, VendorTiles};
use crate::route::Route;
use crate::state::session::{can, use_me};
use crate::vendors::Vendor;
use contract::routes::RouteView;
use contract::usage::{EventQuery, ListEvents};
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use token::TokenStep;
use wasm_split_helpers::wasm_split;
use yew::prelude::*;
use yew_router::prelude::*;

/// A card that leads to the first call; nothing once a call has succeeded, or for people who may make no token.
#[component]
pub fn FirstRun() -> Html {
    let (api, me) = (use_api(), use_me());
    let is_over = use_state_eq(|| false);
    let calls = use_remote((), move |()| {
        let api = api.clone();
        async move {
            let query = EventQuery {
                from: Some("0".to_owned()),
                status: Some("2xx".to_owned()),
                limit: Some(1),
                ..EventQuery::default()
            };
            api.request::<ListEvents>().query(&query).send().await
        }
    });
    let may_create =
        me.memberships.iter().any(|one| can(&me, Action::CreateToken, Subject::team(&one.team_id)));
    let is_shown = !*is_over && may_create && calls.state.ready().is_some_and(|page| page.items.is_empty());
    html! {
        if is_shown {
            <Steps on_done={setter(&is_over).reform(|()| true)} />
        }
    }
}

/// Draws the form that a tile opens. It comes with the part of tokens and routes, which the first page does without.
#[wasm_split(access, fallible)]
fn route_form(
    vendor: Option<&'static Vendor>,
    on_close: Callback<()>,
    on_changed: Callback<()>,
    on_tested: Callback<Tested>,
) -> Result<Html, CallError> {
    Ok(html! { <RouteForm {vendor} {on_close} {on_changed} {on_tested} /> })
}

/// Draws the steps that follow once there is a route, from the same part.
#[wasm_split(access, fallible)]
fn token_step(route: Rc<RouteView>, on_done: Callback<()>) -> Result<Html, CallError> {
    Ok(html! { <TokenStep key={route.id.to_string()} route={Rc::clone(&route)} {on_done} /> })
}

/// Returns what a part of the program draws, once it is there.
fn drawn(remote: &Remote<Html>) -> Html {
    remote.state.ready().map(|html| (**html).clone()).unwrap_or_default()
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct StepsProps {
    on_done: Callback<()>,
}

/// The three steps.
#[component]
fn Steps(props: &StepsProps) -> Html {
    let i18n = use_i18n();
    let routes = use_routes();
    let tested = use_state_eq(|| None::<Tested>);
    let newest = routes.state.ready().and_then(|routes| {
        let enabled = routes.iter().filter(|route| route.enabled);
        enabled.max_by_key(|route| route.created_at).cloned().map(Rc::new)
    });
    let route = tested.as_ref().map(|tested| Rc::clone(&tested.route)).or(newest);
    let has_route = route.is_some();
    let next = {
        let on_done = props.on_done.clone();
        use_remote(route.clone(), move |route: Option<Rc<RouteView>>| {
            let on_done = on_done.clone();
            async move {
                match route {
                    Some(route) => token_step(route, on_done).await,
                    None => Ok(Html::default()),
                }
            }
        })
    };
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("first.title") }</CardTitle>
            <CardBody>
                <ol class="tm-steps">
                    <li>
                        <h3 class="tm-heading">{ i18n.t("first.connect") }</h3>
                        <Connect
                            {route}
                            tested={(*tested).clone()}
                            on_tested={setter(&tested).reform(Some)}
                            on_changed={routes.on_refresh}
                        />
                    </li>
                    if has_route {
                        { drawn(&next) }
                    } else {
                        <li class="tm-subtle"><h3 class="tm-heading">{ i18n.t("first.token") }</h3></li>
                        <li class="tm-subtle"><h3 class="tm-heading">{ i18n.t("first.call") }</h3></li>
                    }
                </ol>
            </CardBody>
        </Card>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct ConnectProps {
    /// The upstream that is connected, if one is.
    route: Option<Rc<RouteView>>,
    tested: Option<Tested>,
    on_tested: Callback<Tested>,
    on_changed: Callback<()>,
}

/// The first step: the tiles, and the form that a tile opens.
#[component]
fn Connect(props: &ConnectProps) -> Html {
    let (i18n, me) = (use_i18n(), use_me());
    // The inner one is none for a service without a tile.
    let opened = use_state_eq(|| None::<Option<&'static Vendor>>);
    let may_connect = can(&me, Action::WriteRoute, Subject::default());
    let tiles = html! {
        <VendorTiles on_choose={setter(&opened).reform(|vendor| Some(Some(vendor)))}>
            <button type="button" class="tm-choice" onclick={setter(&opened).reform(|_: MouseEvent| Some(None))}>
                { i18n.t("first.own-service") }
            </button>
            if can(&me, Action::Import, Subject::default()) {
                <Link<Route> to={Route::Import} classes="tm-choice">{ i18n.t("first.import") }</Link<Route>>
            }
        </VendorTiles>
    };
    let form = {
        let on_close = setter(&opened).reform(|()| None);
        let (on_changed, on_tested) = (props.on_changed.clone(), props.on_tested.clone());
        use_remote(*opened, move |opened: Option<Option<&'static Vendor>>| {
            let (on_close, on_changed, on_tested) = (on_close.clone(), on_changed.clone(), on_tested.clone());
            async move {
                match opened {
                    Some(vendor) => route_form(vendor, on_close, on_changed, on_tested).await,
                    None => Ok(Html::default()),
                }
            }
        })
    };
    html! {
        <>
            if let Some(route) = &props.route {
                <p>
                    <i class="fas fa-check-circle" aria-hidden="true" />{ " " }
                    <Link<Route> to={Route::RouteDetail { id: route.id.to_string() }}>{ &route.name }</Link<Route>>{ " " }
                    <code>{ route.path.as_str() }</code>{ " " }
                    <span role="status">{ props.tested.as_ref().map(|tested| tested.text(&i18n)).unwrap_or_default() }</span>
                </p>
                if may_connect {
                    <details class="tm-details">
                        <summary>{ i18n.t("first.another") }</summary>
                        { tiles }
                    </details>
                }
            } else if may_connect {
                <p>{ i18n.t("first.connect-advice") }</p>
                { tiles }
            } else {
                <p>{ i18n.t("first.no-route") }</p>
            }
            { drawn(&form) }
        </>
    }
}
