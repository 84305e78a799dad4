//! The navigation in the sidebar.

use crate::i18n::use_i18n;
use crate::route::Route;
use crate::state::preferences::{SetPreference, use_set_preference};
use crate::state::session::{can, may_audit, use_me};
use domain::people::role::{Action, Subject};
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
    let item = |to: Route, text: AttrValue, icon: &'static str| {
        let is_current = current.as_ref().is_some_and(|current| current.section() == to.section());
        let classes = classes!("pf-v6-c-nav__link", is_current.then_some("pf-m-current"));
        html! {
            <li class="pf-v6-c-nav__item">
                // The router's link has no `aria-current`, so the item carries it.
                <span aria-current={is_current.then_some("page")} onclick={onclick.clone()} role="presentation">
                    <Link<Route> {to} {classes}>
                        <span class="pf-v6-c-nav__link-icon"><i class={icon} aria-hidden="true" /></span>
                        <span class="pf-v6-c-nav__link-text">{ text }</span>
                    </Link<Route>>
                </span>
            </li>
        }
    };
    let group = |title: AttrValue, id: &'static str, items: Html| {
        html! {
            <section class="pf-v6-c-nav__section" aria-labelledby={id}>
                <h2 class="pf-v6-c-nav__section-title" {id}>{ title }</h2>
                <ul class="pf-v6-c-nav__list" role="list">{ items }</ul>
            </section>
        }
    };
    html! {
        <nav class="pf-v6-c-nav" aria-label={i18n.t("nav.label")}>
            { group(i18n.t("nav.overview"), "nav-overview", html! {
                <>
                    { item(Route::Dashboard, i18n.t("dashboard.title"), "fas fa-tachometer-alt") }
                    { item(Route::UsageAnalytics, i18n.t("analytics.title"), "fas fa-chart-line") }
                    { item(Route::Calls, i18n.t("calls.page"), "fas fa-list") }
                    { item(Route::TokenUsageList, i18n.t("token-usage.title"), "fas fa-chart-bar") }
                    { item(Route::RouteUsageList, i18n.t("route-usage.title"), "fas fa-project-diagram") }
                    { item(Route::Stats, i18n.t("stats.title"), "fas fa-list-ol") }
                </>
            }) }
            { group(i18n.t("nav.access"), "nav-access", html! {
                <>
                    { item(Route::Tokens, i18n.t("tokens.title"), "fas fa-key") }
                    { item(Route::Routes, i18n.t("routes.title"), "fas fa-route") }
                    { item(Route::Teams, i18n.t("teams.title"), "fas fa-users") }
                    { item(Route::Users, i18n.t("users.title"), "fas fa-user") }
                    { item(Route::Keys, i18n.t("keys.title"), "fas fa-lock") }
                </>
            }) }
            { group(i18n.t("nav.operation"), "nav-operation", html! {
                <>
                    if may_audit(&me) {
                        { item(Route::AuditLogs, i18n.t("audit.title"), "fas fa-history") }
                    }
                    if can(&me, Action::Import, Subject::default()) {
                        { item(Route::Import, i18n.t("import.title"), "fas fa-file-import") }
                    }
                    { item(Route::SystemHealth, i18n.t("health.title"), "fas fa-heartbeat") }
                </>
            }) }
        </nav>
    }
}
