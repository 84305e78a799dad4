//! The first page: whether one has to act, and what the last day was like.

mod attention;
mod changes;
mod lists;

use crate::api::{Api, Request, use_api};
use crate::components::{AsyncView, Button, CardHead, Chart, Page};
use crate::format;
use crate::hooks::{use_interval_while_visible, use_remote, use_teams};
use crate::i18n::{I18n, use_i18n};
use crate::pages::FirstRun;
use crate::pages::usage::UsageFilter;
use crate::pages::usage::figures::{by_outcome, tiles};
use crate::route::Route;
use attention::Attention;
use changes::{Changes, marks};
use contract::dashboard::{GetHome, Home, HomeQuery, Month};
use contract::teams::TeamView;
use contract::usage::Compare;
use domain::usage::span::Interval;
use lists::{failing, spenders};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

const REFRESH_MS: u32 = 30_000;

/// The call for all that the page shows.
pub fn home(api: &Api) -> Request<'_, GetHome> {
    let tz = Some(crate::clock::zone()).filter(|zone| !zone.is_empty());
    api.request().query(&HomeQuery { tz })
}

/// `/dashboard`
#[component]
pub fn HomePage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let teams = use_teams();
    let home = use_remote((), move |()| {
        let api = api.clone();
        async move { home(&api).send().await }
    });
    use_interval_while_visible(REFRESH_MS, home.on_refresh.clone());
    let teams = teams.state.ready().cloned().unwrap_or_default();
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |home: Rc<Home>| ready(&i18n, &home, &teams))
    };
    let actions = html! {
        <>
            if let Some(at) = home.finished_at {
                <span class="tm-subtle">{ i18n.fill("usage.read-at", &[("time", &format::time(&i18n, at))]) }</span>
            }
            <Button variant={ButtonVariant::Secondary} icon={Icon::SyncAlt} label={i18n.t("health.refresh").to_string()} loading={home.is_loading} onclick={home.on_refresh.reform(|_| ())} />
        </>
    };
    html! {
        <Page title={i18n.t("home.title")} summary={i18n.t("dashboard.summary")} {actions}>
            <FirstRun />
            <AsyncView<Home> state={home.state} on_retry={home.on_refresh} {render} />
        </Page>
    }
}

fn ready(i18n: &I18n, home: &Rc<Home>, teams: &[TeamView]) -> Html {
    let before = home.previous.as_ref().map(|before| &before.total);
    html! {
        <div class="tm-stack">
            <Attention home={Rc::clone(home)} />
            <section aria-labelledby="home-day">
                <h2 class="tm-section" id="home-day">
                    { i18n.t("range.day") }
                    if home.previous.is_some() {
                        <span class="tm-subtle">{ i18n.t("home.compared") }</span>
                    }
                </h2>
                { tiles(i18n, &home.total, &home.series, before, Some(spent(i18n, &home.month))) }
            </section>
            { calls(i18n, home) }
            <div class="tm-halves">
                { spenders(i18n, &home.spenders, teams) }
                { failing(i18n, &home.failing) }
            </div>
            <Changes changes={home.changes.clone()} />
        </div>
    }
}

/// The month's cost, and where it leads.
fn spent(i18n: &I18n, month: &Month) -> AttrValue {
    let cost = format::dollars(i18n, month.cost_micros);
    match month.projected_micros {
        Some(projected) => i18n.fill(
            "home.month-projected",
            &[("cost", &cost), ("projected", &format::dollars(i18n, projected))],
        ),
        None => i18n.fill("home.month", &[("cost", &cost)]),
    }
}

/// Calls by outcome, with marks where something was changed.
fn calls(i18n: &I18n, home: &Home) -> Html {
    let plot = by_outcome(i18n, &home.series, Interval::Hour);
    let total = format::number(i18n, home.total.calls);
    let label = i18n.fill("usage.chart-label", &[("metric", &i18n.t("usage.calls")), ("total", &total)]);
    let query = UsageFilter { compare: Some(Compare::Previous), ..UsageFilter::default() };
    html! {
        <Card>
            <CardHead title={i18n.t("usage.over-time")}>
                <Link<Route, UsageFilter> to={Route::Usage} query={Some(query)} classes="tm-more">{ i18n.t("home.explore") }</Link<Route, UsageFilter>>
            </CardHead>
            <CardBody>
                if home.total.calls == 0 {
                    <p class="tm-subtle">{ i18n.t("usage.none") }</p>
                } else {
                    { marks(i18n, home) }
                    <Chart {label} options={plot.options()} />
                }
            </CardBody>
        </Card>
    }
}
