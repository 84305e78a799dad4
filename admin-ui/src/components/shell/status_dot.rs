//! The state of the system, in the masthead.

use crate::api::use_api;
use crate::hooks::{AsyncState, use_interval_while_visible, use_remote};
use crate::i18n::use_i18n;
use crate::route::Route;
use contract::upkeep::{GetHealthDetailed, HealthStatus};
use yew::prelude::*;
use yew_router::prelude::*;

const REFRESH_MS: u32 = 30_000;

/// A dot in the colour of the system's state. It leads to the page with the details.
#[component]
pub fn StatusDot() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let health = use_remote((), move |()| {
        let api = api.clone();
        async move { api.request::<GetHealthDetailed>().send_or(503).await }
    });
    use_interval_while_visible(REFRESH_MS, health.on_refresh.clone());
    let (class, text) = match &health.state {
        AsyncState::Loading => ("tm-dot", i18n.t("health.status-unknown")),
        AsyncState::Failed(_) => ("tm-dot tm-dot--down", i18n.t("health.status-unreachable")),
        AsyncState::Ready(health) => match health.status {
            HealthStatus::Ok => ("tm-dot tm-dot--ok", i18n.t("health.status-ok")),
            HealthStatus::Degraded => ("tm-dot tm-dot--degraded", i18n.t("health.status-degraded")),
            HealthStatus::Down => ("tm-dot tm-dot--down", i18n.t("health.status-down")),
        },
    };
    html! {
        <Link<Route> to={Route::SystemHealth} classes="tm-status">
            <span {class} title={text.clone()} aria-hidden="true" />
            <span class="pf-v6-screen-reader">{ i18n.fill("health.status-of", &[("status", &text)]) }</span>
        </Link<Route>>
    }
}
