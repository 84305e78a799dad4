//! Figures as cards, as columns of tables and as charts.

use crate::clock;
use crate::components::{Chart, Column, DataTable, Row, Series, over_time, shares};
use crate::format;
use crate::i18n::I18n;
use crate::route::Route;
use contract::usage::{Figures, RouteUsage, TokenUsage, UsageBucket, UsageStats};
use domain::time::UnixMs;
use domain::usage::span::Interval;
use patternfly_yew::prelude::*;
use serde::Serialize;
use yew::prelude::*;
use yew_router::prelude::*;

/// Slices of a chart; the rest is one more.
const SLICES: usize = 7;

/// The query of `/route-usage`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfPath {
    pub path: String,
}

pub fn card(title: AttrValue, figure: String, remark: Option<AttrValue>) -> Html {
    html! {
        <Card>
            <CardBody>
                <dl>
                    <dt class="tm-subtle">{ title }</dt>
                    <dd class="tm-figure">{ figure }</dd>
                    if let Some(remark) = remark {
                        <dd class="tm-subtle">{ remark }</dd>
                    }
                </dl>
            </CardBody>
        </Card>
    }
}

pub fn errors_of(figures: &Figures) -> u64 {
    figures.client_errors + figures.upstream_errors + figures.timeouts + figures.gateway_errors
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

/// Calls that were let through; the others were denied or limited.
fn admitted(figures: &Figures) -> u64 {
    figures.ok + errors_of(figures)
}

pub fn success(i18n: &I18n, figures: &Figures) -> String {
    let admitted = admitted(figures);
    or_dash((admitted > 0).then(|| format::share(i18n, figures.ok, admitted)))
}

/// A percentile, which is known within some percent.
pub fn percentile(i18n: &I18n, ms: Option<u32>) -> String {
    or_dash(ms.map(|ms| format::about_ms(i18n, ms.into())))
}

fn mean(i18n: &I18n, ms: Option<u64>) -> String {
    or_dash(ms.map(|ms| format::milliseconds(i18n, ms)))
}

/// The cards of a report.
pub fn cards(i18n: &I18n, figures: &Figures) -> Html {
    let errors = errors_of(figures);
    html! {
        <div class="tm-cards">
            { card(i18n.t("usage.calls"), format::number(i18n, figures.calls), None) }
            { card(i18n.t("usage.success"), success(i18n, figures), Some(i18n.fill("usage.success-note", &[
                ("admitted", &format::number(i18n, admitted(figures))),
            ]))) }
            { card(i18n.t("usage.errors"), format::number(i18n, errors), Some(i18n.fill("usage.denied-note", &[
                ("denied", &format::number(i18n, figures.denied + figures.limited)),
            ]))) }
            { card(i18n.t("usage.p50"), percentile(i18n, figures.p50_ms), Some(i18n.fill("usage.mean-note", &[
                ("mean", &mean(i18n, figures.mean_ms)),
            ]))) }
            { card(i18n.t("usage.p95"), percentile(i18n, figures.p95_ms), Some(i18n.fill("usage.p99-note", &[
                ("p99", &percentile(i18n, figures.p99_ms)),
            ]))) }
            if figures.prompt_tokens + figures.completion_tokens > 0 {
                { card(i18n.t("usage.ai-tokens"), format::number(i18n, figures.prompt_tokens + figures.completion_tokens), Some(i18n.fill("usage.cost-note", &[
                    ("cost", &format::dollars(i18n, figures.cost_micros)),
                ]))) }
            }
        </div>
    }
}

/// Returns the columns that every list of figures has.
pub fn columns(i18n: &I18n) -> Vec<Column> {
    vec![
        Column::number(i18n.t("usage.calls")),
        Column::number(i18n.t("usage.success")),
        Column::number(i18n.t("usage.errors")),
        Column::number(i18n.t("usage.denied")),
        Column::number(i18n.t("usage.p50")),
        Column::number(i18n.t("usage.p95")),
        Column::number(i18n.t("usage.p99")),
    ]
}

pub fn cells(i18n: &I18n, figures: &Figures) -> Vec<Html> {
    [
        format::number(i18n, figures.calls),
        success(i18n, figures),
        format::number(i18n, errors_of(figures)),
        format::number(i18n, figures.denied + figures.limited),
        percentile(i18n, figures.p50_ms),
        percentile(i18n, figures.p95_ms),
        percentile(i18n, figures.p99_ms),
    ]
    .into_iter()
    .map(|text| html! { text })
    .collect()
}

pub fn token_link(token: &TokenUsage) -> Html {
    let name = token.name.clone().unwrap_or_else(|| token.token_id.to_string());
    html! {
        <span class="tm-clip" title={name.clone()}>
            <Link<Route> to={Route::TokenUsage { id: token.token_id.to_string() }}>{ name }</Link<Route>>
        </span>
    }
}

pub fn route_name(i18n: &I18n, route: &RouteUsage) -> String {
    match (&route.path, &route.route_id) {
        (Some(path), _) => path.clone(),
        (None, Some(id)) => id.to_string(),
        (None, None) => i18n.t("usage.no-route").to_string(),
    }
}

pub fn route_link(i18n: &I18n, route: &RouteUsage) -> Html {
    let name = route_name(i18n, route);
    match &route.path {
        Some(path) => {
            let query = OfPath { path: path.clone() };
            html! {
                <span class="tm-clip" title={name.clone()}>
                    <Link<Route, OfPath> to={Route::RouteUsage} {query}>{ name }</Link<Route, OfPath>>
                </span>
            }
        }
        None => html! { name },
    }
}

fn table(i18n: &I18n, label: AttrValue, first: AttrValue, rows: Vec<Row>) -> Html {
    let mut all = vec![Column::new(first)];
    all.extend(columns(i18n));
    html! {
        <Card>
            <CardTitle component="h2">{ &label }</CardTitle>
            <CardBody>
                if rows.is_empty() {
                    <p class="tm-subtle">{ i18n.t("usage.none") }</p>
                } else {
                    <DataTable {label} columns={all} {rows} />
                }
            </CardBody>
        </Card>
    }
}

pub fn tokens_table(i18n: &I18n, label: AttrValue, tokens: &[TokenUsage]) -> Html {
    let row = |token: &TokenUsage| {
        let mut row = vec![token_link(token)];
        row.extend(cells(i18n, &token.figures));
        (token.token_id.to_string(), row)
    };
    table(i18n, label, i18n.t("token.title"), tokens.iter().map(row).collect())
}

pub fn routes_table(i18n: &I18n, label: AttrValue, routes: &[RouteUsage]) -> Html {
    let row = |route: &RouteUsage| {
        let mut row = vec![route_link(i18n, route)];
        row.extend(cells(i18n, &route.figures));
        (route_name(i18n, route), row)
    };
    table(i18n, label, i18n.t("route.title"), routes.iter().map(row).collect())
}

/// Returns every interval of a period, from `from` on; those without calls have no figures. `next` gives the start of
/// the interval after another. A day may begin an hour later than by the clock.
fn filled(
    known: &[UsageBucket],
    from: UnixMs,
    to: UnixMs,
    next: impl Fn(UnixMs) -> UnixMs,
) -> Vec<(UnixMs, Figures)> {
    /// The most intervals that the API gives.
    const MOST: usize = 600;
    let mut known = known.iter().peekable();
    let starts = std::iter::successors(Some(from), |at| Some(next(*at))).take_while(|at| *at < to).take(MOST);
    let interval = |at: UnixMs| {
        let bucket = known.next_if(|bucket| bucket.at < next(at));
        (at, bucket.map(|bucket| bucket.figures.clone()).unwrap_or_default())
    };
    starts.map(interval).collect()
}

/// A chart over time: successful, failed and denied calls as bars, latencies as lines.
pub fn series_chart(i18n: &I18n, stats: &UsageStats) -> Html {
    let is_day = stats.interval == Interval::Day;
    let next = |at| if is_day { clock::next_day(at) } else { at + stats.interval.width_ms() };
    let intervals = filled(&stats.series, stats.from, stats.to, next);
    let is_unfinished = intervals.last().is_some_and(|(at, _)| next(*at) > clock::now());
    let labels: Vec<String> = intervals.iter().map(|(at, _)| format::bucket(i18n, *at, is_day)).collect();
    let counts = |name: AttrValue, color: &'static str, value: fn(&Figures) -> u64| Series {
        name: name.to_string(),
        values: intervals.iter().map(|(_, figures)| Some(value(figures))).collect(),
        is_line: false,
        is_latency: false,
        color: Some(color),
    };
    let latencies = |name: AttrValue, color: &'static str, value: fn(&Figures) -> Option<u32>| Series {
        name: name.to_string(),
        values: intervals.iter().map(|(_, figures)| value(figures).map(u64::from)).collect(),
        is_line: true,
        is_latency: true,
        color: Some(color),
    };
    let series = [
        counts(i18n.t("usage.ok"), "#3f8f3f", |figures| figures.ok),
        counts(i18n.t("usage.errors"), "#c9550a", errors_of),
        counts(i18n.t("usage.denied"), "#7d6a5c", |figures| figures.denied + figures.limited),
        latencies(i18n.t("usage.p50-ms"), "#2b7fd4", |figures| figures.p50_ms),
        latencies(i18n.t("usage.p95-ms"), "#a05fc4", |figures| figures.p95_ms),
    ];
    let (counted, timed) = (i18n.t("usage.calls"), i18n.t("usage.latency-ms"));
    let options = over_time(&labels, &series, &counted, Some(&timed), is_unfinished);
    let label = i18n.fill("usage.chart-label", &[("calls", &format::number(i18n, stats.total.calls))]);
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("usage.over-time") }</CardTitle>
            <CardBody>
                if stats.series.is_empty() {
                    <p class="tm-subtle">{ i18n.t("usage.none") }</p>
                } else {
                    <Chart {label} {options} />
                    <p class="tm-subtle">
                        { i18n.fill("usage.zone", &[("zone", &stats.tz)]) }
                        if is_unfinished {
                            { " · " }{ i18n.t("usage.unfinished") }
                        }
                    </p>
                }
            </CardBody>
        </Card>
    }
}

/// A chart of each name's share of the calls; the smallest are one slice.
pub fn share_chart(i18n: &I18n, title: AttrValue, calls: &[(String, u64)]) -> Html {
    let mut slices: Vec<(String, u64)> =
        calls.iter().filter(|(_, calls)| *calls > 0).take(SLICES).cloned().collect();
    let rest: u64 = calls.iter().skip(SLICES).map(|(_, calls)| calls).sum();
    if rest > 0 {
        slices.push((i18n.t("usage.others").to_string(), rest));
    }
    html! {
        <Card>
            <CardTitle component="h2">{ &title }</CardTitle>
            <CardBody>
                if slices.is_empty() {
                    <p class="tm-subtle">{ i18n.t("usage.none") }</p>
                } else {
                    <Chart label={title} options={shares(&slices)} />
                }
            </CardBody>
        </Card>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(at: UnixMs, calls: u64) -> UsageBucket {
        UsageBucket { at, figures: Figures { calls, ..Figures::default() } }
    }

    #[test]
    fn intervals_without_calls_are_in_the_series_with_zero() {
        // A day that begins at whole hours only, as in a zone with an offset of half an hour.
        let known = [bucket(0, 1), bucket(25, 2), bucket(40, 3)];
        let series = filled(&known, 0, 45, |at| at + 10);
        let calls: Vec<_> = series.iter().map(|(at, figures)| (*at, figures.calls)).collect();
        assert_eq!(calls, [(0, 1), (10, 0), (20, 2), (30, 0), (40, 3)]);
        assert!(series[1].1.p50_ms.is_none(), "no calls have no latency");
    }
}
