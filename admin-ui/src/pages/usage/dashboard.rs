//! The start page.

use super::figures::{card, cards, routes_table, tokens_table};
use crate::api::use_api;
use crate::clock;
use crate::components::{
    AsyncView, Chart, Column, DataTable, Page, Range, RangePicker, Series, Time, over_time, shares,
};
use crate::format;
use crate::hooks::{team_name, use_interval_while_visible, use_query, use_remote, use_teams};
use crate::i18n::{I18n, use_i18n};
use crate::pages::audit::action_name;
use crate::route::Route;
use contract::audit::AuditEntry;
use contract::dashboard::{Expiring, GetOverview, Overview, OverviewQuery};
use contract::teams::TeamView;
use domain::time::{DAY_MS, UnixMs, bucket_start};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

/// Days of the chart of tokens created, in UTC.
const DAYS_SHOWN: i64 = 30;

/// `/dashboard`
#[component]
pub fn DashboardPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (range, on_range) = use_query::<Range>();
    let teams = use_teams();
    let overview = use_remote(range.clone(), move |range: Range| {
        let api = api.clone();
        async move {
            let span = range.query();
            api.request::<GetOverview>().query(&OverviewQuery { from: span.from, to: span.to }).send().await
        }
    });
    use_interval_while_visible(super::REFRESH_MS, overview.on_refresh.clone());
    let render = {
        let (i18n, teams) = (i18n.clone(), teams.state.ready().cloned().unwrap_or_default());
        Callback::from(move |overview: Rc<Overview>| ready(&i18n, &overview, &teams))
    };
    let actions = html! { <div class="tm-toolbar"><RangePicker {range} on_change={on_range} has_interval=false /></div> };
    html! {
        <Page title={i18n.t("dashboard.title")} summary={i18n.t("dashboard.summary")} {actions}>
            <AsyncView<Overview> state={overview.state} on_retry={overview.on_refresh} {render} />
        </Page>
    }
}

fn ready(i18n: &I18n, overview: &Overview, teams: &[TeamView]) -> Html {
    let counts = &overview.counts;
    let count = |title: AttrValue, count: u32| card(title, format::number(i18n, u64::from(count)), None);
    html! {
        <div class="tm-stack">
            <div class="tm-cards">
                { count(i18n.t("tokens.title"), counts.tokens) }
                { count(i18n.t("routes.title"), counts.routes) }
                { count(i18n.t("teams.title"), counts.teams) }
                { count(i18n.t("users.title"), counts.people) }
            </div>
            <h2 class="pf-v6-c-title pf-m-lg">{ i18n.t("dashboard.calls") }</h2>
            { cards(i18n, &overview.total) }
            <div class="tm-halves">
                { created(i18n, overview) }
                { by_team(i18n, overview) }
            </div>
            { tokens_table(i18n, i18n.t("usage.busiest-tokens"), &overview.busiest_tokens) }
            { routes_table(i18n, i18n.t("usage.busiest-routes"), &overview.busiest_routes) }
            <div class="tm-halves">
                { expiring(i18n, &overview.expiring, teams) }
                { changes(i18n, &overview.recent_changes) }
            </div>
        </div>
    }
}

fn panel(title: AttrValue, is_empty: bool, nothing: AttrValue, body: Html) -> Html {
    html! {
        <Card>
            <CardTitle component="h2">{ title }</CardTitle>
            <CardBody>
                if is_empty {
                    <p class="tm-subtle">{ nothing }</p>
                } else {
                    { body }
                }
            </CardBody>
        </Card>
    }
}

fn created(i18n: &I18n, overview: &Overview) -> Html {
    let known = &overview.tokens_created;
    let first = clock::now() - DAYS_SHOWN * DAY_MS;
    let days: Vec<UnixMs> = (1..=DAYS_SHOWN).map(|n| bucket_start(first + n * DAY_MS, DAY_MS)).collect();
    let tokens = |day: &UnixMs| {
        known.iter().find(|known| known.day == *day).map_or(0, |known| u64::from(known.tokens))
    };
    let labels: Vec<String> = days.iter().map(|day| format::bucket(i18n, *day, true)).collect();
    let series = Series {
        name: i18n.t("dashboard.tokens-created").to_string(),
        values: days.iter().map(|day| Some(tokens(day))).collect(),
        is_line: false,
        is_latency: false,
        color: None,
    };
    let options = over_time(&labels, &[series], &i18n.t("tokens.title"), None, true);
    let title = i18n.t("dashboard.tokens-created");
    let chart = html! { <Chart label={title.clone()} {options} /> };
    panel(title, known.is_empty(), i18n.t("dashboard.none-created"), chart)
}

fn by_team(i18n: &I18n, overview: &Overview) -> Html {
    let teams: Vec<_> = overview.tokens_by_team.iter().filter(|team| team.tokens > 0).collect();
    let slices: Vec<_> = teams.iter().map(|team| (team.name.clone(), u64::from(team.tokens))).collect();
    let title = i18n.t("dashboard.tokens-by-team");
    let chart = html! { <Chart label={title.clone()} options={shares(&slices)} /> };
    panel(title, teams.is_empty(), i18n.t("tokens.none"), chart)
}

fn expiring(i18n: &I18n, tokens: &[Expiring], teams: &[TeamView]) -> Html {
    let columns = [i18n.t("token.title"), i18n.t("token.team"), i18n.t("token.expires")].map(Column::new);
    let row = |token: &Expiring| {
        let cells = vec![
            html! {
                <span class="tm-clip" title={token.name.clone()}>
                    <Link<Route> to={Route::Token { id: token.id.to_string() }}>{ &token.name }</Link<Route>>
                </span>
            },
            html! { <span title={token.team_id.to_string()}>{ team_name(teams, &token.team_id) }</span> },
            html! { <Time at={token.expires_at} is_end=true /> },
        ];
        (token.id.to_string(), cells)
    };
    let title = i18n.t("dashboard.expiring");
    let rows: Vec<_> = tokens.iter().map(row).collect();
    let table = html! { <DataTable label={title.clone()} columns={columns.to_vec()} {rows} /> };
    panel(title, tokens.is_empty(), i18n.t("dashboard.none-expiring"), table)
}

fn changes(i18n: &I18n, entries: &[AuditEntry]) -> Html {
    let columns = [i18n.t("audit.time"), i18n.t("audit.actor"), i18n.t("audit.action")].map(Column::new);
    let row = |entry: &AuditEntry| {
        let cells = vec![
            html! { <Time at={entry.at} is_relative=true /> },
            html! { entry.actor_name.clone().unwrap_or_else(|| entry.actor.clone()) },
            html! { action_name(i18n, &entry.action) },
        ];
        (entry.id.clone(), cells)
    };
    let title = i18n.t("dashboard.changes");
    let rows: Vec<_> = entries.iter().map(row).collect();
    let table = html! { <DataTable label={title.clone()} columns={columns.to_vec()} {rows} /> };
    panel(title, entries.is_empty(), i18n.t("dashboard.none-changed"), table)
}
