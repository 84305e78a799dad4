//! The token and the route that a page is narrowed to, each with a way to its own page and a way out.

use crate::hooks::{Named, use_name};
use crate::i18n::use_i18n;
use crate::route::Route;
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
    let FilterChipsProps { filter, on_filter } = props;
    if *filter == Filtered::default() {
        return html! {};
    }
    let without = |without: Filtered| on_filter.reform(move |()| without.clone());
    html! {
        <div class="tm-filters">
            if let Some(id) = filter.token.clone() {
                <NamedChip kind={i18n.t("token.title")} named={Named::Token(id)} on_clear={without(Filtered { token: None, ..filter.clone() })} />
            }
            if let Some(id) = filter.route.clone() {
                <NamedChip kind={i18n.t("route.title")} named={Named::Route(id)} on_clear={without(Filtered { route: None, ..filter.clone() })} />
            }
        </div>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct NamedChipProps {
    pub kind: AttrValue,
    pub named: Named,
    pub on_clear: Callback<()>,
}

/// A chip of a thing that is known by its id.
#[component]
pub fn NamedChip(props: &NamedChipProps) -> Html {
    let name = use_name(Some(&props.named));
    let to = match props.named.clone() {
        Named::Token(id) => Route::Token { id },
        Named::Route(id) => Route::RouteDetail { id },
        Named::Team(id) => Route::Team { id },
    };
    let children = html! { <Link<Route> {to}>{ &name }</Link<Route>> };
    html! { <Chip kind={props.kind.clone()} {name} on_clear={props.on_clear.clone()}>{ children }</Chip> }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ChipProps {
    pub kind: AttrValue,
    /// Names the filter to screen readers.
    pub name: AttrValue,
    pub on_clear: Callback<()>,
    pub children: Html,
}

/// One filter, and a button that removes it.
#[component]
pub fn Chip(props: &ChipProps) -> Html {
    let label = use_i18n().fill("filter.clear", &[("name", &props.name)]);
    html! {
        <span class="tm-filter">
            <span class="tm-subtle">{ &props.kind }</span>
            { props.children.clone() }
            <button type="button" class="tm-filter__clear" aria-label={label.clone()} title={label} onclick={props.on_clear.reform(|_| ())}>
                <i class="fas fa-times" aria-hidden="true" />
            </button>
        </span>
    }
}
