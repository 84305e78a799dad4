//! Everything that somebody has to look at, the gravest first, each with one way to act.

use crate::api::use_api;
use crate::components::{gravity, limit_label, notice_route, notice_text, shown};
use crate::format;
use crate::hooks::use_remote;
use crate::i18n::{I18n, use_i18n};
use crate::pages::health::name_of as health_name;
use crate::route::Route;
use contract::dashboard::{BudgetUse, ExpiringInUse, Home};
use contract::upkeep::{GetHealthDetailed, HealthDetailed, HealthStatus, Notification, NotificationKind};
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct AttentionProps {
    pub home: Rc<Home>,
}

/// One matter.
#[derive(Clone, Debug, PartialEq)]
struct Matter {
    /// The gravest is 0.
    gravity: u8,
    text: AttrValue,
    more: Option<AttrValue>,
    act: AttrValue,
    to: Route,
}

#[component]
pub fn Attention(props: &AttentionProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let health = use_remote(props.home.to, move |_| {
        let api = api.clone();
        async move { api.request::<GetHealthDetailed>().send_or(503).await }
    });
    let home = &props.home;
    let mut matters: Vec<Matter> = home.notices.iter().map(|notice| of_notice(&i18n, notice)).collect();
    matters.extend(home.budgets.iter().map(|budget| of_budget(&i18n, budget)));
    matters.extend(home.expiring.iter().map(|token| of_expiring(&i18n, token)));
    if let Some(health) = health.state.ready() {
        matters.extend(of_health(&i18n, health));
    }
    matters.sort_by_key(|matter| matter.gravity);
    if matters.is_empty() {
        return html! {
            <p class="tm-calm"><i class="fas fa-check-circle" aria-hidden="true" />{ i18n.t("bell.empty") }</p>
        };
    }
    let count = format::number(&i18n, u64::try_from(matters.len()).unwrap_or_default());
    html! {
        <section aria-labelledby="home-attention">
            <h2 class="tm-section" id="home-attention">
                { i18n.t("home.attention") }
                <span class="tm-count">{ count }</span>
            </h2>
            <ul class="tm-attention" role="list">{ for matters.iter().map(line) }</ul>
        </section>
    }
}

fn line(matter: &Matter) -> Html {
    let (class, icon) = match matter.gravity {
        0 => ("tm-attention__item tm-attention__item--grave", "fas fa-exclamation-circle"),
        1 => ("tm-attention__item tm-attention__item--near", "fas fa-exclamation-triangle"),
        _ => ("tm-attention__item", "fas fa-info-circle"),
    };
    html! {
        <li {class}>
            <i class={icon} aria-hidden="true" />
            <span class="tm-attention__text">
                { &matter.text }
                if let Some(more) = &matter.more {
                    <span class="tm-subtle">{ " " }{ more }</span>
                }
            </span>
            <Link<Route> to={matter.to.clone()} classes="pf-v6-c-button pf-m-secondary pf-m-small">{ &matter.act }</Link<Route>>
        </li>
    }
}

fn of_notice(i18n: &I18n, notice: &Notification) -> Matter {
    let act = match notice.kind {
        NotificationKind::RouteFailing => i18n.t("usage.see-route"),
        NotificationKind::ModelUnpriced => i18n.t("prices.set"),
        NotificationKind::TokenExpiring
        | NotificationKind::TokenUnattended
        | NotificationKind::TokenSpike
        | NotificationKind::TokenElsewhere => i18n.t("usage.see-token"),
        NotificationKind::ChannelFailing => i18n.t("channels.title"),
        _ => i18n.t("home.see-system"),
    };
    Matter {
        gravity: gravity(notice.kind),
        text: notice_text(i18n, notice),
        more: Some(i18n.fill("home.since", &[("when", &format::relative(i18n, notice.created_at))])),
        act,
        to: notice_route(notice),
    }
}

fn of_budget(i18n: &I18n, budget: &BudgetUse) -> Matter {
    let BudgetUse { used, most, kind, .. } = budget;
    let text = i18n.fill(
        if used >= most { "home.over-budget" } else { "home.near-budget" },
        &[
            ("name", &budget.name),
            ("used", &shown(i18n, *used, *kind)),
            ("most", &shown(i18n, *most, *kind)),
            ("limit", &limit_label(i18n, *kind)),
            ("share", &format::share(i18n, *used, *most)),
        ],
    );
    let to = match &budget.token_id {
        Some(id) => Route::Token { id: id.to_string() },
        None => Route::Team { id: budget.team_id.to_string() },
    };
    Matter {
        gravity: u8::from(used < most),
        text,
        more: Some(i18n.fill("limit.resets", &[("when", &format::relative(i18n, budget.resets_at))])),
        act: i18n.t("home.see-limit"),
        to,
    }
}

fn of_expiring(i18n: &I18n, token: &ExpiringInUse) -> Matter {
    let when = format::relative(i18n, token.expires_at);
    let used = format::relative(i18n, token.last_used_at);
    Matter {
        gravity: 1,
        text: i18n.fill("bell.token-expiring", &[("name", &token.name), ("when", &when)]),
        more: Some(i18n.fill("home.last-used", &[("when", &used)])),
        act: i18n.t("tokens.extend"),
        to: Route::Token { id: token.id.to_string() },
    }
}

/// Parts that do not work as they should; one tells of changes that are not published yet.
fn of_health(i18n: &I18n, health: &HealthDetailed) -> Vec<Matter> {
    let matter = |check: &contract::upkeep::HealthCheck| Matter {
        gravity: u8::from(check.status != HealthStatus::Down),
        text: health_name(i18n, &check.name),
        more: check.problem().map(|problem| i18n.problem(&problem)),
        act: i18n.t("home.see-system"),
        to: Route::SystemHealth,
    };
    health.checks.iter().filter(|check| check.status != HealthStatus::Ok).map(matter).collect()
}
