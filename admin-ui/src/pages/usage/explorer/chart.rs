//! The chart of the chosen figure, and the latencies below it.

use super::filter::{By, UsageFilter};
use crate::components::{Chart, Look, Plot, Range, Series, Unit};
use crate::format;
use crate::i18n::I18n;
use crate::pages::usage::figures::{axis, by_outcome, latencies, metric_name, shown};
use contract::usage::{Explored, UsageGroup, value_of};
use domain::usage::metric::Metric;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

/// Charts of one time share a crosshair.
const GROUP: &str = "usage";

/// Whether the values of groups add up to that of all.
fn adds_up(metric: Metric) -> bool {
    !matches!(metric, Metric::P50 | Metric::P95 | Metric::P99)
}

/// Returns a group's name; its id if it has none any more.
pub fn name_of(i18n: &I18n, group: &UsageGroup, by: By) -> String {
    let unnamed = || if by == By::Model { i18n.t("usage.other-models") } else { i18n.t("usage.no-route") };
    let name = group.name.as_ref().or(group.id.as_ref());
    name.cloned().unwrap_or_else(|| unnamed().to_string())
}

pub fn charts(
    i18n: &I18n,
    report: &Rc<Explored>,
    filter: &UsageFilter,
    on_filter: &Callback<UsageFilter>,
) -> Html {
    let (metric, by) = (filter.metric.unwrap_or_default(), filter.by.unwrap_or_default());
    let mut plot = match (by, metric) {
        (By::Outcome, Metric::Calls) => by_outcome(i18n, &report.series, report.interval),
        (By::Outcome, _) => of_all(i18n, report, metric),
        _ => of_groups(i18n, report, metric, by),
    };
    if let Some(before) = &report.previous {
        plot.series.push(Series {
            name: i18n.t("usage.previous").to_string(),
            values: before.series.iter().map(|bucket| value_of(metric, &bucket.figures)).collect(),
            look: Look::Dashed,
            color: Some("var(--tm-previous)"),
        });
    }
    let name = metric_name(i18n, metric);
    let total = shown(i18n, metric, value_of(metric, &report.total));
    let label = i18n.fill("usage.chart-label", &[("metric", &name), ("total", &total)]);
    let on_range = narrowed(report, filter, on_filter);
    let has_latency = by == By::Outcome && adds_up(metric) && report.total.p50_ms.is_some();
    html! {
        <Card>
            <CardTitle component="h2">{ name }</CardTitle>
            <CardBody>
                <Chart {label} options={plot.options()} group={GROUP} on_range={on_range.clone()} />
                if has_latency {
                    <h3 class="tm-heading">{ i18n.t("usage.latency") }</h3>
                    <Chart label={i18n.t("usage.latency-label")} options={latencies(i18n, &report.series, report.interval).options()} group={GROUP} {on_range} />
                }
                <p class="tm-subtle">
                    { i18n.t("usage.drag") }{ " · " }
                    { i18n.fill("usage.zone", &[("zone", &report.tz)]) }
                    if plot.is_unfinished {
                        { " · " }{ i18n.t("usage.unfinished") }
                    }
                    if let Some(before) = &report.previous {
                        { " · " }
                        { i18n.fill("usage.compared", &[
                            ("from", &format::date_time(i18n, before.from)),
                            ("to", &format::date_time(i18n, before.to)),
                        ]) }
                    }
                </p>
            </CardBody>
        </Card>
    }
}

/// Returns a callback that narrows the time to the intervals that were dragged over.
fn narrowed(
    report: &Rc<Explored>,
    filter: &UsageFilter,
    on_filter: &Callback<UsageFilter>,
) -> Callback<(usize, usize)> {
    let (report, filter, on_filter) = (Rc::clone(report), filter.clone(), on_filter.clone());
    Callback::from(move |(first, last): (usize, usize)| {
        let Some(from) = report.series.get(first).map(|bucket| bucket.at) else { return };
        let to = report.series.get(last + 1).map_or(report.to, |next| next.at);
        on_filter.emit(UsageFilter { range: Range::between(from, to), ..filter.clone() });
    })
}

fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::Cost => Unit::Dollars,
        Metric::P50 | Metric::P95 | Metric::P99 => Unit::Milliseconds,
        _ => Unit::Count,
    }
}

/// One series of all calls.
fn of_all(i18n: &I18n, report: &Explored, metric: Metric) -> Plot {
    let (labels, is_unfinished) = axis(i18n, &report.series, report.interval);
    let color = match metric {
        Metric::Errors => "var(--tm-error)",
        Metric::Refused => "var(--tm-denied)",
        _ => "var(--tm-share)",
    };
    let series = Series {
        name: metric_name(i18n, metric).to_string(),
        values: report.series.iter().map(|bucket| value_of(metric, &bucket.figures)).collect(),
        look: if adds_up(metric) { Look::Bars } else { Look::Line },
        color: Some(color),
    };
    Plot { labels, series: vec![series], unit: unit(metric), is_unfinished }
}

/// A series for each of the first groups, and one for the rest if they add up.
fn of_groups(i18n: &I18n, report: &Explored, metric: Metric, by: By) -> Plot {
    let (labels, is_unfinished) = axis(i18n, &report.series, report.interval);
    let look = if adds_up(metric) { Look::Bars } else { Look::Line };
    let drawn: Vec<&UsageGroup> = report.groups.iter().filter(|group| !group.series.is_empty()).collect();
    let values = |group: &UsageGroup| group.series.iter().map(|point| point.value).collect();
    let mut series: Vec<Series> = drawn
        .iter()
        .map(|group| Series { name: name_of(i18n, group, by), values: values(group), look, color: None })
        .collect();
    if adds_up(metric) {
        let rest = report.series.iter().enumerate().map(|(n, bucket)| {
            let of_drawn = drawn.iter().filter_map(|group| group.series.get(n)?.value).sum();
            value_of(metric, &bucket.figures).map(|all| all.saturating_sub(of_drawn))
        });
        let rest: Vec<Option<u64>> = rest.collect();
        if rest.iter().flatten().any(|value| *value > 0) {
            let name = i18n.t("usage.others").to_string();
            series.push(Series { name, values: rest, look, color: Some("var(--tm-others)") });
        }
    }
    Plot { labels, series, unit: unit(metric), is_unfinished }
}
