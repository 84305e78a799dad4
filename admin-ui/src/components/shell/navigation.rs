//! The navigation in the sidebar, and the tabs of the parts that have several pages.

use super::sections::{Section, sections};
use crate::i18n::use_i18n;
use crate::route::Route;
use crate::state::preferences::{SetPreference, use_set_preference};
use crate::state::session::use_me;
use yew::prelude::*;
use yew_router::prelude::*;

/// Below this width the sidebar lies over the page, so it closes after each choice.
const NARROW: &str = "(max-width: 1199px)";

#[component]
pub fn Navigation() -> Html {
    let i18n = use_i18n();
    let me = use_me();
    let current = use_route::<Route>();
    let on_set = use_set_preference();
    let onclick = Callback::from(move |_: MouseEvent| {
        let narrow = gloo::utils::window().match_media(NARROW).ok().flatten();
        if narrow.is_some_and(|query| query.matches()) {
            on_set.emit(SetPreference::Sidebar(false));
        }
    });
    let item = |section: Section| {
        let is_current = current.as_ref().is_some_and(|current| section.has(current));
        let classes = classes!("pf-v6-c-nav__link", is_current.then_some("pf-m-current"));
        let to = section.pages.into_iter().next().map_or(Route::Dashboard, |(route, _)| route);
        html! {
            <li class="pf-v6-c-nav__item">
                // The router's link has no `aria-current`, so the item carries it.
                <span aria-current={is_current.then_some("page")} onclick={onclick.clone()} role="presentation">
                    <Link<Route> {to} {classes}>
                        <span class="pf-v6-c-nav__link-icon"><i class={section.icon} aria-hidden="true" /></span>
                        <span class="pf-v6-c-nav__link-text">{ section.name }</span>
                    </Link<Route>>
                </span>
            </li>
        }
    };
    html! {
        <nav class="pf-v6-c-nav" aria-label={i18n.t("nav.label")}>
            <ul class="pf-v6-c-nav__list" role="list">{ for sections(&i18n, &me).into_iter().map(item) }</ul>
        </nav>
    }
}

/// Links to the pages of the current part, if it has several.
#[component]
pub fn Tabs() -> Html {
    let i18n = use_i18n();
    let me = use_me();
    let Some(current) = use_route::<Route>() else { return html! {} };
    let section = sections(&i18n, &me).into_iter().find(|section| section.has(&current));
    let Some(Section { name, pages, .. }) = section.filter(|section| section.pages.len() > 1) else {
        return html! {};
    };
    let tab = |(to, name): (Route, AttrValue)| {
        let is_current = to.section() == current.section();
        html! {
            <li aria-current={is_current.then_some("page")}>
                <Link<Route> {to} classes="tm-tab">{ name }</Link<Route>>
            </li>
        }
    };
    html! {
        <nav class="tm-tabs" aria-label={name}>
            <ul role="list">{ for pages.into_iter().map(tab) }</ul>
        </nav>
    }
}
