//! The bell: notifications that need attention.

use crate::api::use_api;
use crate::components::{Menu, Time};
use crate::format;
use crate::hooks::{AsyncState, use_interval_while_visible, use_remote};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use contract::upkeep::{ListNotifications, Notification, NotificationKind, NotificationQuery};
use serde_json::Value;
use yew::prelude::*;
use yew_router::prelude::*;

const REFRESH_MS: u32 = 60_000;
const SHOWN: u32 = 20;

/// The notifications, with their number on the button.
#[component]
pub fn Bell() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let notes = use_remote((), move |()| {
        let api = api.clone();
        let query = NotificationQuery { limit: Some(SHOWN), cursor: None };
        async move { api.request::<ListNotifications>().query(&query).send().await }
    });
    use_interval_while_visible(REFRESH_MS, notes.on_refresh.clone());
    let count = notes.state.ready().map_or(0, |page| page.items.len());
    let label = i18n.fill("bell.label", &[("count", &count.to_string())]);
    let toggle = html! {
        <span class="tm-bell">
            <i class="fas fa-bell" aria-hidden="true" />
            if count > 0 {
                <span class="tm-bell__count" aria-hidden="true">{ count }</span>
            }
        </span>
    };
    let body = match &notes.state {
        AsyncState::Loading => html! { <p class="tm-search__note">{ i18n.t("async.loading") }</p> },
        AsyncState::Failed(_) => html! { <p class="tm-search__note">{ i18n.t("bell.failed") }</p> },
        AsyncState::Ready(page) if page.items.is_empty() => {
            html! { <p class="tm-search__note">{ i18n.t("bell.empty") }</p> }
        }
        AsyncState::Ready(page) => {
            html! { <ul role="list">{ for page.items.iter().map(|note| item(&i18n, note)) }</ul> }
        }
    };
    html! {
        <Menu {label} {toggle} class="tm-bell-toggle">
            <h2 class="tm-search__group">{ i18n.t("bell.title") }</h2>
            { body }
        </Menu>
    }
}

fn item(i18n: &I18n, notice: &Notification) -> Html {
    let (to, icon) = match notice.kind {
        NotificationKind::TokenExpiring | NotificationKind::TokenUnattended => {
            (Route::Token { id: notice.subject.clone() }, "fas fa-hourglass-half")
        }
        NotificationKind::RouteFailing => {
            (Route::RouteDetail { id: notice.subject.clone() }, "fas fa-exclamation-triangle")
        }
        _ => (Route::SystemHealth, "fas fa-exclamation-circle"),
    };
    html! {
        <li data-closes="true">
            <Link<Route> {to} classes="tm-menu__item">
                <i class={icon} aria-hidden="true" />
                <span>
                    { text(i18n, notice) }
                    <span class="tm-subtle tm-search__more"><Time at={notice.updated_at} is_relative=true /></span>
                </span>
            </Link<Route>>
        </li>
    }
}

/// Returns the text of a notification, from its details.
fn text(i18n: &I18n, note: &Notification) -> AttrValue {
    let detail = |name: &str| match note.details.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.as_u64().map(|n| format::number(i18n, n)).unwrap_or_default(),
        _ => note.subject.clone(),
    };
    match note.kind {
        NotificationKind::TokenExpiring => {
            let end = note.details.get("expires_at").and_then(Value::as_i64);
            let when = end.map(|end| format::relative(i18n, end)).unwrap_or_default();
            i18n.fill("bell.token-expiring", &[("name", &detail("name")), ("when", &when)])
        }
        NotificationKind::RouteFailing => i18n.fill(
            "bell.route-failing",
            &[("path", &detail("path")), ("failed", &detail("failed")), ("calls", &detail("calls"))],
        ),
        NotificationKind::KvDrift => i18n.fill("bell.kv-drift", &[("entries", &detail("entries"))]),
        NotificationKind::DeadLetters => i18n.fill("bell.dead-letters", &[("messages", &detail("messages"))]),
        NotificationKind::EventsDropped => i18n.fill("bell.events-dropped", &[("events", &detail("events"))]),
        NotificationKind::QueueStalled => {
            let since = note.details.get("since").and_then(Value::as_i64);
            let since = since.map(|at| format::relative(i18n, at)).unwrap_or_default();
            i18n.fill("bell.queue-stalled", &[("since", &since)])
        }
        NotificationKind::UsageShed => i18n.fill("bell.usage-shed", &[("calls", &detail("calls"))]),
        NotificationKind::ModelUnpriced => {
            i18n.fill("bell.model-unpriced", &[("model", &note.subject), ("calls", &detail("calls"))])
        }
        NotificationKind::TokenUnattended => {
            i18n.fill("bell.token-unattended", &[("name", &detail("name")), ("person", &detail("person"))])
        }
    }
}
