//! The report over all calls, or those of a team.

use super::figures::{cards, route_name, routes_table, series_chart, share_chart, tokens_table};
use crate::api::use_api;
use crate::components::{AsyncView, Button, Empty, Page, Range, RangePicker, Select};
use crate::format;
use crate::hooks::{use_interval_while_visible, use_query, use_remote, use_teams};
use crate::i18n::use_i18n;
use crate::pages::calls::Calls;
use contract::usage::{GetUsageStats, UsageQuery, UsageStats};
use patternfly_yew::prelude::*;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use yew::prelude::*;

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filter {
    team: Option<String>,
    #[serde(flatten)]
    range: Range,
}

/// `/usage-analytics`
#[component]
pub fn UsageAnalyticsPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (filter, on_filter) = use_query::<Filter>();
    let teams = use_teams();
    let stats = use_remote(filter.clone(), move |filter: Filter| {
        let api = api.clone();
        async move {
            let span = filter.range.query();
            let query = UsageQuery {
                from: span.from,
                to: span.to,
                interval: span.interval,
                tz: span.tz,
                team_id: filter.team.map(Into::into),
                ..UsageQuery::default()
            };
            api.request::<GetUsageStats>().query(&query).send().await
        }
    });
    use_interval_while_visible(super::REFRESH_MS, stats.on_refresh.clone());
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |stats: Rc<UsageStats>| {
            if stats.total.calls == 0 {
                return html! {
                    <Empty title={i18n.t("usage.empty")}>
                        <p>{ i18n.t("usage.empty-advice") }</p>
                    </Empty>
                };
            }
            let shares: Vec<_> =
                stats.by_route.iter().map(|route| (route_name(&i18n, route), route.figures.calls)).collect();
            html! {
                <div class="tm-stack">
                    { cards(&i18n, &stats.total) }
                    { series_chart(&i18n, &stats) }
                    { share_chart(&i18n, i18n.t("usage.by-route"), &shares) }
                    { routes_table(&i18n, i18n.t("usage.busiest-routes"), &stats.by_route) }
                    { tokens_table(&i18n, i18n.t("usage.busiest-tokens"), &stats.by_token) }
                    <Calls />
                </div>
            }
        })
    };
    let on_range = {
        let filter = filter.clone();
        on_filter.reform(move |range| Filter { range, ..filter.clone() })
    };
    let on_team = {
        let filter = filter.clone();
        on_filter.reform(move |team: String| Filter {
            team: Some(team).filter(|t| !t.is_empty()),
            ..filter.clone()
        })
    };
    let mut options = vec![(AttrValue::Static(""), i18n.t("filter.any-team"))];
    if let Some(teams) = teams.state.ready() {
        options.extend(teams.iter().map(|team| (team.id.to_string().into(), team.name.clone().into())));
    }
    html! {
        <Page title={i18n.t("analytics.title")} summary={i18n.t("analytics.summary")}>
            <div class="tm-toolbar">
                <RangePicker range={filter.range.clone()} on_change={on_range} />
                <Select label={i18n.t("filter.team")} {options} value={filter.team.clone().unwrap_or_default()} on_change={on_team} />
                <div class="tm-toolbar__end">
                    if let Some(at) = stats.finished_at {
                        <span class="tm-subtle">{ i18n.fill("usage.read-at", &[("time", &format::time(&i18n, at))]) }</span>
                    }
                    <Button variant={ButtonVariant::Secondary} icon={Icon::SyncAlt} label={i18n.t("health.refresh").to_string()} loading={stats.is_loading} onclick={stats.on_refresh.reform(|_| ())} />
                </div>
            </div>
            <AsyncView<UsageStats> state={stats.state} on_retry={stats.on_refresh} {render} />
        </Page>
    }
}
