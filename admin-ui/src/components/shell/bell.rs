//! The bell: notifications that need attention.

use crate::api::use_api;
use crate::components::{Menu, Time, limit_label};
use crate::format;
use crate::hooks::{AsyncState, use_action, use_interval_while_visible, use_remote};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use contract::upkeep::{
    ListNotifications, Notification, NotificationKind, NotificationQuery, SnoozeNotification, SnoozeRequest,
    Snoozed,
};
use serde_json::Value;
use yew::prelude::*;
use yew_router::prelude::*;

const REFRESH_MS: u32 = 60_000;

/// The notifications, with their number on the button: the gravest first, and tokens that expire in one line.
#[component]
pub fn Bell() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let notes = {
        let api = api.clone();
        use_remote((), move |()| {
            let api = api.clone();
            async move { api.read_all::<ListNotifications, _>(&NotificationQuery::default()).await }
        })
    };
    use_interval_while_visible(REFRESH_MS, notes.on_refresh.clone());
    let snooze = use_action(
        move |request: SnoozeRequest| {
            let api = api.clone();
            async move { api.request::<SnoozeNotification>().body(&request).send().await }
        },
        notes.on_refresh.reform(|_: Snoozed| ()),
    );
    let count = notes.state.ready().map_or(0, |notes| notes.len());
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
        AsyncState::Ready(notes) if notes.is_empty() => {
            html! { <p class="tm-search__note">{ i18n.t("bell.empty") }</p> }
        }
        AsyncState::Ready(notes) => list(&i18n, notes, &snooze.on_run),
    };
    html! {
        <Menu {label} {toggle} class="tm-bell-toggle">
            <h2 class="tm-search__group">{ i18n.t("bell.title") }</h2>
            if snooze.error.is_some() {
                <p class="tm-search__note tm-danger" role="alert">{ i18n.t("bell.not-snoozed") }</p>
            }
            { body }
        </Menu>
    }
}

/// How grave a notification is; the gravest is 0.
pub fn gravity(kind: NotificationKind) -> u8 {
    match kind {
        NotificationKind::RouteFailing
        | NotificationKind::QueueStalled
        | NotificationKind::Canary
        | NotificationKind::PublicationLate
        | NotificationKind::BudgetUsed => 0,
        NotificationKind::EventsDropped
        | NotificationKind::DatabaseFull
        | NotificationKind::ChannelFailing
        | NotificationKind::TokenElsewhere
        | NotificationKind::TokenSpike
        | NotificationKind::DeadLetters
        | NotificationKind::UsageShed
        | NotificationKind::KvDrift => 1,
        NotificationKind::ModelUnpriced | NotificationKind::TokenUnattended => 2,
        NotificationKind::TokenExpiring => 3,
    }
}

fn list(i18n: &I18n, notes: &[Notification], on_snooze: &Callback<SnoozeRequest>) -> Html {
    let mut notes: Vec<&Notification> = notes.iter().collect();
    notes.sort_by_key(|note| (gravity(note.kind), std::cmp::Reverse(note.created_at)));
    let (mut expiring, others): (Vec<_>, Vec<_>) =
        notes.into_iter().partition(|note| note.kind == NotificationKind::TokenExpiring);
    expiring.sort_by_key(|note| note.details.get("expires_at").and_then(Value::as_i64));
    let items = |notes: Vec<&Notification>| -> Html {
        notes.into_iter().map(|note| item(i18n, note, on_snooze)).collect()
    };
    let count = u64::try_from(expiring.len()).unwrap_or_default();
    html! {
        <>
            <ul role="list">{ items(others) }</ul>
            if count == 1 {
                <ul role="list">{ items(expiring) }</ul>
            } else if count > 1 {
                <details class="tm-details">
                    <summary class="tm-menu__item">
                        <i class="fas fa-hourglass-half" aria-hidden="true" />
                        { i18n.fill("bell.expiring", &[("count", &format::number(i18n, count))]) }
                    </summary>
                    <ul role="list">{ items(expiring) }</ul>
                </details>
            }
        </>
    }
}

/// The hours for which a notification that is put off stays away.
const SNOOZE_HOURS: i64 = 24;

fn item(i18n: &I18n, notice: &Notification, on_snooze: &Callback<SnoozeRequest>) -> Html {
    let to = notice_route(notice);
    let icon = match notice.kind {
        NotificationKind::TokenExpiring
        | NotificationKind::TokenUnattended
        | NotificationKind::TokenSpike
        | NotificationKind::TokenElsewhere => "fas fa-hourglass-half",
        NotificationKind::RouteFailing | NotificationKind::BudgetUsed => "fas fa-exclamation-triangle",
        _ => "fas fa-exclamation-circle",
    };
    let text = notice_text(i18n, notice);
    let hide = |hours: Option<i64>, name: AttrValue, icon: &'static str| {
        let request = SnoozeRequest {
            kind: notice.kind,
            subject: notice.subject.clone(),
            opened_at: notice.created_at,
            hours,
        };
        let onclick = on_snooze.reform(move |_: MouseEvent| request.clone());
        html! {
            <button type="button" class="pf-v6-c-button pf-m-plain pf-m-small" aria-label={format!("{name}: {text}")} title={name} {onclick}>
                <span class="pf-v6-c-button__icon"><i class={icon} aria-hidden="true" /></span>
            </button>
        }
    };
    html! {
        <li class="tm-note">
            <span data-closes="true">
                <Link<Route> {to} classes="tm-menu__item">
                    <i class={icon} aria-hidden="true" />
                    <span>
                        { &text }
                        <span class="tm-subtle tm-search__more"><Time at={notice.updated_at} is_relative=true /></span>
                    </span>
                </Link<Route>>
            </span>
            { hide(Some(SNOOZE_HOURS), i18n.t("bell.snooze"), "fas fa-history") }
            { hide(None, i18n.t("app.dismiss"), "fas fa-times") }
        </li>
    }
}

/// Returns what the canary has found.
fn canary(i18n: &I18n, note: &Notification) -> AttrValue {
    let ms = |name: &str| {
        let ms = note.details.get(name).and_then(Value::as_u64);
        ms.map(|ms| format::milliseconds(i18n, ms)).unwrap_or_default()
    };
    let (ms, limit) = (ms("ms"), ms("limit_ms"));
    let late: [(&str, &str); 2] = [("ms", &ms), ("limit", &limit)];
    match note.subject.as_str() {
        "new-token" => i18n.fill("bell.canary-new-token", &late),
        "revoked" => i18n.fill("bell.canary-revoked", &late),
        "usage" => i18n.fill("bell.canary-usage", &late),
        "gateway" => i18n.t("bell.canary-gateway"),
        _ => i18n.t("bell.canary-publication"),
    }
}

/// Returns the page that a notification is about.
pub fn notice_route(notice: &Notification) -> Route {
    let id = notice.subject.clone();
    match notice.kind {
        NotificationKind::TokenExpiring
        | NotificationKind::TokenUnattended
        | NotificationKind::TokenSpike
        | NotificationKind::TokenElsewhere => Route::Token { id },
        NotificationKind::RouteFailing => Route::RouteDetail { id },
        NotificationKind::BudgetUsed => budget_route(notice),
        NotificationKind::ChannelFailing => Route::Channels,
        NotificationKind::ModelUnpriced => Route::Prices,
        _ => Route::SystemHealth,
    }
}

/// Returns the page of the token, or else of the team, whose limit is used up.
fn budget_route(notice: &Notification) -> Route {
    match (notice.details.get("token").and_then(Value::as_str), &notice.team_id) {
        (Some(token), _) => Route::Token { id: token.to_owned() },
        (None, Some(team)) => Route::Team { id: team.to_string() },
        (None, None) => Route::Teams,
    }
}

/// Returns the name of the limit that a notification is about.
fn limit_of(i18n: &I18n, note: &Notification) -> AttrValue {
    let kind = note.details.get("kind").cloned().and_then(|kind| serde_json::from_value(kind).ok());
    kind.map(|kind| limit_label(i18n, kind)).unwrap_or_default()
}

/// Returns the text of a notification, from its details.
pub fn notice_text(i18n: &I18n, note: &Notification) -> AttrValue {
    let detail = |name: &str| match note.details.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.as_u64().map(|n| format::number(i18n, n)).unwrap_or_default(),
        _ => note.subject.clone(),
    };
    let of_count = |name: &str, one: &'static str, other: &'static str| {
        if note.details.get(name).and_then(Value::as_u64) == Some(1) { one } else { other }
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
        NotificationKind::KvDrift => i18n.fill("bell.kv-drift", &[("entry", &note.subject)]),
        NotificationKind::DeadLetters => {
            let key = of_count("messages", "bell.dead-letters-one", "bell.dead-letters");
            i18n.fill(key, &[("messages", &detail("messages"))])
        }
        NotificationKind::EventsDropped => {
            let key = of_count("events", "bell.events-dropped-one", "bell.events-dropped");
            i18n.fill(key, &[("events", &detail("events"))])
        }
        NotificationKind::QueueStalled => {
            let since = note.details.get("since").and_then(Value::as_i64);
            let since = since.map(|at| format::relative(i18n, at)).unwrap_or_default();
            i18n.fill("bell.queue-stalled", &[("since", &since)])
        }
        NotificationKind::UsageShed => i18n.fill("bell.usage-shed", &[("calls", &detail("calls"))]),
        NotificationKind::Canary => canary(i18n, note),
        NotificationKind::BudgetUsed => i18n.fill(
            "bell.budget-used",
            &[("name", &detail("name")), ("percent", &detail("step")), ("limit", &limit_of(i18n, note))],
        ),
        NotificationKind::TokenSpike => i18n.fill("bell.token-spike", &[("name", &detail("name"))]),
        NotificationKind::TokenElsewhere => {
            i18n.fill("bell.token-elsewhere", &[("name", &detail("name")), ("place", &detail("place"))])
        }
        NotificationKind::PublicationLate => {
            let key = of_count("pending", "bell.publication-late-one", "bell.publication-late");
            i18n.fill(key, &[("pending", &detail("pending"))])
        }
        NotificationKind::DatabaseFull => {
            i18n.fill("bell.database-full", &[("name", &note.subject), ("percent", &detail("step"))])
        }
        NotificationKind::ChannelFailing => i18n.fill("bell.channel-failing", &[("name", &detail("name"))]),
        NotificationKind::ModelUnpriced => {
            let key = of_count("calls", "bell.model-unpriced-one", "bell.model-unpriced");
            i18n.fill(key, &[("model", &note.subject), ("calls", &detail("calls"))])
        }
        NotificationKind::TokenUnattended => {
            i18n.fill("bell.token-unattended", &[("name", &detail("name")), ("person", &detail("person"))])
        }
    }
}
