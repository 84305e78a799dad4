//! Routes: the list, the form, and the actions on one.

mod credential;
mod delete;
mod detail;
mod draft;
mod form;
mod list;
mod pool;
mod preview;
mod settings;
mod test_call;
mod tested;
mod tiles;

pub use detail::RoutePage;
pub use form::RouteForm;
pub use list::RoutesPage;
pub use tested::Tested;
pub use tiles::VendorTiles;

use crate::api::use_api;
use crate::components::{Button, use_copy};
use crate::config::use_config;
use crate::i18n::{I18n, use_i18n};
use crate::snippets::{self, Example};
use crate::vendors::{self, Vendor};
use contract::routes::RouteView;
use contract::usage::{EventQuery, ListEvents};
use credential::kind_name;
use patternfly_yew::prelude::*;
use url::Url;
use yew::platform::spawn_local;
use yew::prelude::*;

/// Returns a method to test a route with: its first, or GET if it accepts all.
fn first_method(route: &RouteView) -> &str {
    route.methods.first().map_or("GET", String::as_str)
}

/// Shows whether the upstream gets a credential, to those who may know.
fn credential_label(i18n: &I18n, route: &RouteView) -> Html {
    let Some(upstream) = &route.upstream else { return html! {} };
    match &upstream.credential {
        Some(credential) => {
            html! { <Label label={kind_name(i18n, credential.kind).to_string()} color={Color::Green} icon={Icon::Lock} compact=true /> }
        }
        None => html! { <Label label={i18n.t("credential.none").to_string()} compact=true /> },
    }
}

/// Returns the vendor of a route if it is known or can be guessed, and the path of the upstream's address.
pub fn vendor_of_route(route: &RouteView) -> Option<(&'static Vendor, Option<String>)> {
    let upstream = route.upstream.as_ref();
    let provider = upstream.and_then(|upstream| upstream.settings.ai.as_ref()).map(|ai| ai.provider);
    let url = upstream.and_then(|upstream| Url::parse(&upstream.backend_url).ok());
    let host = url.as_ref().and_then(Url::host_str);
    let vendor = vendors::vendor_of(host, route.path.as_str(), provider)?;
    Some((vendor, url.map(|url| url.path().to_owned())))
}

/// Returns the vendor's call if the vendor is known or can be guessed.
fn known_example(route: &RouteView) -> Option<Example> {
    vendor_of_route(route).map(|(vendor, base)| vendor.example(base.as_deref()))
}

/// Returns the vendor's call, or else a call of the route itself, which is all that is known of an upstream that nobody
/// has called.
pub fn example_of(route: &RouteView) -> Example {
    known_example(route).unwrap_or_else(|| Example::root(first_method(route)))
}

/// Returns a callback that passes on a call of the route that works: the vendor's, else the last that succeeded, else one
/// of the route itself.
#[hook]
fn use_last_good_call(route: &RouteView) -> Callback<Callback<Example>> {
    let api = use_api();
    let route = route.clone();
    Callback::from(move |on_example: Callback<Example>| {
        if let Some(example) = known_example(&route) {
            on_example.emit(example);
            return;
        }
        let (api, route) = (api.clone(), route.clone());
        spawn_local(async move {
            let query = EventQuery {
                route_id: Some(route.id.clone()),
                status: Some("2xx".to_owned()),
                limit: Some(1),
                ..EventQuery::default()
            };
            let page = api.request::<ListEvents>().query(&query).send().await;
            let call = page.ok().and_then(|page| page.items.into_iter().next());
            // A call with a body cannot be repeated: its body is not kept.
            let good = call.filter(|call| call.method == "GET").and_then(|call| {
                let path = call.path.strip_prefix(route.path.as_str())?.to_owned();
                Some(Example { path, ..Example::root(&call.method) })
            });
            on_example.emit(good.unwrap_or_else(|| example_of(&route)));
        });
    })
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct SnippetButtonsProps {
    route: RouteView,
}

/// The buttons Copy cURL and Copy n8n node.
#[component]
fn SnippetButtons(props: &SnippetButtonsProps) -> Html {
    let i18n = use_i18n();
    let config = use_config();
    let on_copy = use_copy();
    let route = &props.route;
    let url = format!("{}{}", config.gateway, route.path.as_str());
    let last = use_last_good_call(route);
    let on_curl = {
        let (last, url, on_copy) = (last.clone(), url.clone(), on_copy.clone());
        Callback::from(move |_: MouseEvent| {
            let (url, on_copy) = (url.clone(), on_copy.clone());
            last.emit(Callback::from(move |example: Example| {
                on_copy.emit(snippets::curl(&example, &url, snippets::TOKEN_VARIABLE).into());
            }));
        })
    };
    let on_node = {
        let name = route.name.clone();
        Callback::from(move |_: MouseEvent| {
            let (name, url, on_copy) = (name.clone(), url.clone(), on_copy.clone());
            last.emit(Callback::from(move |example: Example| {
                let id =
                    gloo::utils::window().crypto().map(|crypto| crypto.random_uuid()).unwrap_or_default();
                on_copy.emit(snippets::n8n_node(&id, &name, &example, &url).into());
            }));
        })
    };
    let button = |text: AttrValue, icon: &'static str, onclick: Callback<MouseEvent>| {
        html! {
            <Button
                variant={ButtonVariant::InlineLink}
                size={ButtonSize::Small}
                icon={html! { <i class={icon} aria-hidden="true" /> }}
                label={text.to_string()}
                aria_label={format!("{text}: {}", route.name)}
                {onclick}
            />
        }
    };
    html! {
        <span class="tm-labels tm-snippets tm-actions">
            { button(i18n.t("routes.copy-curl"), "fas fa-terminal", on_curl) }
            { button(i18n.t("routes.copy-n8n"), "fas fa-project-diagram", on_node) }
        </span>
    }
}
