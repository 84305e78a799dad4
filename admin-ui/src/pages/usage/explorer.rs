//! The explorer: any figure of calls, split as one likes, beside the time before. Everything is in the address.

mod chart;
mod controls;
mod csv;
mod filter;
mod outcomes;
mod table;

use super::REFRESH_MS;
use super::figures::tiles;
use crate::api::use_api;
use crate::components::{AsyncView, Button, Chip, Empty, FilterChips, Filtered, Page, Range, SavedViews};
use crate::download;
use crate::format;
use crate::hooks::{use_interval_while_visible, use_query, use_remote};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use chart::charts;
use contract::usage::{ExploreUsage, Explored};
use controls::Controls;
pub use filter::{By, UsageFilter};
use patternfly_yew::prelude::*;
use serde::Serialize;
use std::rc::Rc;
use table::Groups;
use yew::prelude::*;
use yew_router::prelude::*;

/// The filter as the page of single calls takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct CallsFilter {
    team: Option<String>,
    token: Option<String>,
    route: Option<String>,
    model: Option<String>,
    #[serde(flatten)]
    range: Range,
}

/// `/usage`
#[component]
pub fn ExplorerPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (filter, on_filter) = use_query::<UsageFilter>();
    let report = use_remote(filter.asked(), move |filter: UsageFilter| {
        let api = api.clone();
        async move { api.request::<ExploreUsage>().query(&filter.query()).send().await }
    });
    use_interval_while_visible(REFRESH_MS, report.on_refresh.clone());
    let render = {
        let (i18n, filter, on_filter) = (i18n.clone(), filter.clone(), on_filter.clone());
        Callback::from(move |report: Rc<Explored>| ready(&i18n, report, &filter, &on_filter))
    };
    let calls = CallsFilter {
        team: filter.team.clone(),
        token: filter.token.clone(),
        route: filter.route.clone(),
        model: filter.model.clone(),
        range: Range { interval: None, ..filter.range.clone() },
    };
    let on_csv = report.state.ready().cloned().map(|report| {
        let (i18n, by) = (i18n.clone(), filter.by.unwrap_or_default());
        Callback::from(move |_: MouseEvent| {
            download::save_file("usage.csv", "text/csv", &csv::of(&i18n, &report, by));
        })
    });
    let actions = html! {
        <>
            if let Some(at) = report.finished_at {
                <span class="tm-subtle">{ i18n.fill("usage.read-at", &[("time", &format::time(&i18n, at))]) }</span>
            }
            <SavedViews />
            <Button variant={ButtonVariant::Secondary} icon={Icon::SyncAlt} label={i18n.t("health.refresh").to_string()} loading={report.is_loading} onclick={report.on_refresh.reform(|_| ())} />
            if let Some(onclick) = on_csv {
                <Button variant={ButtonVariant::Secondary} icon={Icon::Download} label={i18n.t("app.csv").to_string()} {onclick} />
            }
            <Link<Route, CallsFilter> to={Route::Calls} query={Some(calls)} classes="pf-v6-c-button pf-m-secondary">{ i18n.t("usage.view-calls") }</Link<Route, CallsFilter>>
        </>
    };
    let chips = Filtered { token: filter.token.clone(), route: filter.route.clone() };
    let on_chips = {
        let filter = filter.clone();
        on_filter.reform(move |Filtered { token, route }| UsageFilter { token, route, ..filter.clone() })
    };
    html! {
        <Page title={i18n.t("usage.title")} summary={i18n.t("usage.summary")} {actions}>
            <Controls filter={filter.clone()} on_filter={on_filter.clone()} />
            <FilterChips filter={chips} on_filter={on_chips} />
            if let Some(model) = filter.model.clone() {
                <div class="tm-filters">
                    <Chip kind={i18n.t("calls.model")} name={model.clone()} on_clear={on_filter.reform(move |()| UsageFilter { model: None, ..filter.clone() })}>{ model }</Chip>
                </div>
            }
            <AsyncView<Explored> state={report.state} on_retry={report.on_refresh} {render} />
        </Page>
    }
}

fn ready(i18n: &I18n, report: Rc<Explored>, filter: &UsageFilter, on_filter: &Callback<UsageFilter>) -> Html {
    if report.total.calls == 0 && report.previous.as_ref().is_none_or(|before| before.total.calls == 0) {
        return html! {
            <Empty title={if filter.is_of_ai() { i18n.t("usage.no-ai") } else { i18n.t("usage.empty") }}>
                <p>{ i18n.t("usage.empty-advice") }</p>
            </Empty>
        };
    }
    let before = report.previous.as_ref().map(|before| &before.total);
    html! {
        <div class="tm-stack">
            if filter.is_of_ai() {
                <p class="tm-subtle">{ i18n.t("usage.ai-only") }</p>
            }
            { tiles(i18n, &report.total, &report.series, before, None) }
            { charts(i18n, &report, filter, on_filter) }
            if filter.by.unwrap_or_default() == By::Outcome {
                { outcomes::table(i18n, &report) }
            } else {
                <Groups {report} filter={filter.clone()} {on_filter} />
            }
        </div>
    }
}
