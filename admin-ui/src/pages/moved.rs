//! Addresses of earlier versions, which people have bookmarked.

use crate::components::{AsyncView, settings};
use crate::hooks::use_routes;
use crate::i18n::use_i18n;
use crate::route::Route;
use crate::state::session::use_me;
use contract::routes::RouteView;
use serde_json::{Map, Value};
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

type Query = Map<String, Value>;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct MovedPageProps {
    /// The earlier address.
    pub from: Route,
}

/// Leads to the page in place of an earlier one, with its filters.
#[component]
pub fn MovedPage(props: &MovedPageProps) -> Html {
    let i18n = use_i18n();
    let me = use_me();
    let query = use_location().and_then(|location| location.query::<Query>().ok()).unwrap_or_default();
    match &props.from {
        Route::Settings => {
            let first = settings(&i18n, &me).into_iter().next().map_or(Route::NotFound, |(route, _)| route);
            html! { <Redirect<Route> to={first} /> }
        }
        Route::RouteUsage => html! { <OfRoute {query} /> },
        Route::TokenUsage { id } => html! { <ToUsage query={with(query, "token", id)} /> },
        Route::TokenUsageList => html! { <ToUsage query={with(query, "by", "token")} /> },
        Route::RouteUsageList => html! { <ToUsage query={with(query, "by", "route")} /> },
        _ => html! { <ToUsage {query} /> },
    }
}

fn with(mut query: Query, name: &str, value: &str) -> Query {
    query.insert(name.to_owned(), value.into());
    query
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct ToUsageProps {
    query: Query,
}

/// Opens the explorer in place of this address.
#[component]
fn ToUsage(props: &ToUsageProps) -> Html {
    let navigator = use_navigator();
    use_effect_with(props.query.clone(), move |query| {
        if let Some(navigator) = navigator {
            // This cannot fail: texts can be written as a query.
            let _ = navigator.replace_with_query(&Route::Usage, query);
        }
    });
    html! {}
}

/// Finds the route that `?path=` names, and shows its calls by token.
#[component]
fn OfRoute(props: &ToUsageProps) -> Html {
    let routes = use_routes();
    let query = props.query.clone();
    let render = Callback::from(move |routes: Rc<Vec<RouteView>>| {
        let mut query = query.clone();
        let path = query.remove("path");
        let path = path.as_ref().and_then(Value::as_str);
        let found = routes.iter().find(|route| Some(route.path.as_str()) == path);
        let query = match found {
            Some(route) => with(with(query, "route", route.id.as_str()), "by", "token"),
            None => with(query, "by", "route"),
        };
        html! { <ToUsage {query} /> }
    });
    html! { <AsyncView<Vec<RouteView>> state={routes.state} on_retry={routes.on_refresh} {render} /> }
}
