//! The tokens that cost most and the routes that fail most.

use crate::components::{Column, DataTable, Delta, Row, Share};
use crate::format;
use crate::hooks::team_name;
use crate::i18n::I18n;
use crate::pages::usage::UsageFilter;
use crate::pages::usage::figures::{delta, error_rate, errors_of};
use crate::route::Route;
use contract::teams::TeamView;
use contract::usage::{Figures, UsageGroup};
use domain::usage::metric::Metric;
use patternfly_yew::prelude::*;
use yew::prelude::*;
use yew_router::prelude::*;

fn panel(i18n: &I18n, title: AttrValue, columns: Vec<Column>, rows: Vec<Row>) -> Html {
    html! {
        <Card>
            <CardTitle component="h2">{ &title }</CardTitle>
            <CardBody>
                if rows.is_empty() {
                    <p class="tm-subtle">{ i18n.t("home.none") }</p>
                } else {
                    <DataTable label={title} {columns} {rows} />
                }
            </CardBody>
        </Card>
    }
}

fn change(i18n: &I18n, metric: Metric, group: &UsageGroup) -> Html {
    let delta = delta(i18n, metric, &group.figures, group.previous.as_ref());
    match delta {
        Some(Delta { text, is_bad, before }) => {
            html! { <span class={is_bad.then_some("tm-danger")} title={before}>{ text }</span> }
        }
        None => html! { "–" },
    }
}

/// The tokens that cost most; those that are called most if none costs anything.
pub fn spenders(i18n: &I18n, tokens: &[UsageGroup], teams: &[TeamView]) -> Html {
    let has_cost = tokens.iter().any(|token| token.figures.cost_micros > 0);
    let (title, metric) = if has_cost {
        (i18n.t("home.spenders"), Metric::Cost)
    } else {
        (i18n.t("usage.busiest-tokens"), Metric::Calls)
    };
    let value = |figures: &Figures| if has_cost { figures.cost_micros } else { figures.calls };
    let text = |figures: &Figures| {
        if has_cost {
            format::dollars(i18n, figures.cost_micros)
        } else {
            format::number(i18n, figures.calls)
        }
    };
    let most: u64 = tokens.iter().map(|token| value(&token.figures)).max().unwrap_or_default();
    let shown = tokens.iter().filter(|token| value(&token.figures) > 0);
    let row = |token: &UsageGroup| {
        let id = token.id.clone().unwrap_or_default();
        let name = token.name.clone().unwrap_or_else(|| id.clone());
        let cells = vec![
            html! {
                <>
                    <Share part={value(&token.figures)} whole={most} />
                    <span class="tm-clip" title={name.clone()}>
                        <Link<Route> to={Route::Token { id: id.clone() }}>{ name }</Link<Route>>
                    </span>
                </>
            },
            html! { <>{ token.team_id.as_ref().map(|team| team_name(teams, team)) }</> },
            html! { text(&token.figures) },
            change(i18n, metric, token),
        ];
        (id, cells)
    };
    let amount = if has_cost { i18n.t("usage.cost") } else { i18n.t("usage.calls") };
    let columns = vec![
        Column::new(i18n.t("token.title")),
        Column::new(i18n.t("token.team")),
        Column::number(amount),
        Column::number(i18n.t("usage.change")),
    ];
    panel(i18n, title, columns, shown.map(row).collect())
}

/// The routes that fail most.
pub fn failing(i18n: &I18n, routes: &[UsageGroup]) -> Html {
    let most = routes.iter().map(|route| errors_of(&route.figures)).max().unwrap_or_default();
    let row = |route: &UsageGroup| {
        let id = route.id.clone();
        let name =
            route.name.clone().or_else(|| id.clone()).unwrap_or_else(|| i18n.t("usage.no-route").to_string());
        let query = UsageFilter { route: id.clone(), ..UsageFilter::default() };
        let cells = vec![
            html! {
                <>
                    <Share part={errors_of(&route.figures)} whole={most} class="tm-fill-error" />
                    <span class="tm-clip" title={name.clone()}>
                        if id.is_some() {
                            <Link<Route, UsageFilter> to={Route::Usage} query={Some(query)}>{ name }</Link<Route, UsageFilter>>
                        } else {
                            { name }
                        }
                    </span>
                </>
            },
            html! { format::number(i18n, errors_of(&route.figures)) },
            html! { error_rate(i18n, &route.figures) },
            html! { reason(i18n, &route.figures) },
        ];
        (id.unwrap_or_default(), cells)
    };
    let columns = vec![
        Column::new(i18n.t("route.title")),
        Column::number(i18n.t("usage.errors")),
        Column::number(i18n.t("usage.error-rate")),
        Column::new(i18n.t("home.reason")),
    ];
    panel(i18n, i18n.t("home.failing"), columns, routes.iter().map(row).collect())
}

/// The most frequent kind of error.
fn reason(i18n: &I18n, figures: &Figures) -> AttrValue {
    let kinds = [
        (figures.client_errors, i18n.t("usage.client-errors")),
        (figures.upstream_errors, i18n.t("usage.upstream-errors")),
        (figures.timeouts, i18n.t("usage.timeouts")),
        (figures.gateway_errors, i18n.t("usage.gateway-errors")),
    ];
    kinds.into_iter().max_by_key(|(calls, _)| *calls).map(|(_, name)| name).unwrap_or_default()
}
