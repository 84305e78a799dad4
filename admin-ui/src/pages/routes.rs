//! Routes: the list, the form, and the actions on one.

mod credential;
mod delete;
mod detail;
mod draft;
mod form;
mod list;
mod preview;
mod settings;
mod test_call;

pub use detail::RoutePage;
pub use list::RoutesPage;

use crate::components::{Button, use_copy};
use crate::config::use_config;
use crate::i18n::{I18n, use_i18n};
use crate::snippets;
use contract::routes::RouteView;
use credential::kind_name;
use patternfly_yew::prelude::*;
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
    let (method, url) =
        (first_method(route).to_owned(), format!("{}{}", config.gateway, route.path.as_str()));
    let on_curl = {
        let (method, url) = (method.clone(), url.clone());
        on_copy.reform(move |_: MouseEvent| snippets::curl(&method, &url, snippets::TOKEN_VARIABLE).into())
    };
    let on_node = {
        let name = route.name.clone();
        on_copy.reform(move |_: MouseEvent| {
            let id = gloo::utils::window().crypto().map(|crypto| crypto.random_uuid()).unwrap_or_default();
            snippets::n8n_node(&id, &name, &method, &url).into()
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
        <span class="tm-labels tm-snippets">
            { button(i18n.t("routes.copy-curl"), "fas fa-terminal", on_curl) }
            { button(i18n.t("routes.copy-n8n"), "fas fa-project-diagram", on_node) }
        </span>
    }
}
