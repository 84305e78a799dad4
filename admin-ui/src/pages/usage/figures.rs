//! Figures of reports as tiles and as charts.

use crate::clock;
use crate::components::{Bar, Delta, Look, Plot, Series, Sparkline, Tile, Unit};
use crate::format;
use crate::i18n::I18n;
use contract::usage::{Figures, UsageBucket, value_of};
use domain::usage::metric::Metric;
use domain::usage::span::Interval;
use yew::prelude::*;

/// Stands for what is not known.
pub const UNKNOWN: &str = "–";

pub fn errors_of(figures: &Figures) -> u64 {
    value_of(Metric::Errors, figures).unwrap_or_default()
}

pub fn refused_of(figures: &Figures) -> u64 {
    value_of(Metric::Refused, figures).unwrap_or_default()
}

/// Calls that were let through; the others were denied or limited.
pub fn admitted(figures: &Figures) -> u64 {
    figures.ok + errors_of(figures)
}

/// The failed part of the calls that were let through.
pub fn error_rate(i18n: &I18n, figures: &Figures) -> String {
    let admitted = admitted(figures);
    if admitted == 0 { UNKNOWN.to_owned() } else { format::share(i18n, errors_of(figures), admitted) }
}

/// A metric's value as text.
pub fn shown(i18n: &I18n, metric: Metric, value: Option<u64>) -> String {
    let Some(value) = value else { return UNKNOWN.to_owned() };
    match metric {
        Metric::Cost => format::dollars(i18n, value),
        Metric::P50 | Metric::P95 | Metric::P99 => format::about_ms(i18n, value),
        _ => format::number(i18n, value),
    }
}

pub fn metric_name(i18n: &I18n, metric: Metric) -> AttrValue {
    match metric {
        Metric::Calls => i18n.t("usage.calls"),
        Metric::Errors => i18n.t("usage.errors"),
        Metric::Refused => i18n.t("usage.refused"),
        Metric::Cost => i18n.t("usage.cost"),
        Metric::AiTokens => i18n.t("usage.ai-tokens"),
        Metric::P50 => i18n.t("usage.p50"),
        Metric::P95 => i18n.t("usage.p95"),
        Metric::P99 => i18n.t("usage.p99"),
    }
}

/// More of it is worse.
fn is_bad(metric: Metric) -> bool {
    !matches!(metric, Metric::Calls | Metric::Cost | Metric::AiTokens)
}

/// How a metric has changed; `None` if there is nothing to compare with.
pub fn delta(i18n: &I18n, metric: Metric, now: &Figures, before: Option<&Figures>) -> Option<Delta> {
    let before = before?;
    let (was, is) = (value_of(metric, before), value_of(metric, now));
    let text = was.zip(is).and_then(|(was, is)| format::change(i18n, is, was));
    Some(Delta {
        is_bad: is_bad(metric) && is > was && text.is_some(),
        text: text.unwrap_or_else(|| UNKNOWN.to_owned()),
        before: in_words(i18n, was.map(|_| shown(i18n, metric, was))),
    })
}

/// How the failed part has changed, in percentage points.
fn rate_delta(i18n: &I18n, now: &Figures, before: Option<&Figures>) -> Option<Delta> {
    let before = before?;
    let permille = |figures: &Figures| {
        let (errors, admitted) = (errors_of(figures), admitted(figures));
        (errors * 1_000 + admitted / 2).checked_div(admitted)
    };
    let (was, is) = (permille(before), permille(now));
    let text =
        was.zip(is).map(|(was, is)| i18n.fill("usage.points", &[("points", &format::points(i18n, is, was))]));
    Some(Delta {
        is_bad: was.zip(is).is_some_and(|(was, is)| is > was),
        text: text.map_or_else(|| UNKNOWN.to_owned(), |text| text.to_string()),
        before: in_words(i18n, was.map(|_| error_rate(i18n, before))),
    })
}

fn in_words(i18n: &I18n, before: Option<String>) -> AttrValue {
    before.map_or_else(
        || i18n.t("usage.none-before"),
        |figure| i18n.fill("usage.before", &[("figure", &figure)]),
    )
}

fn course(series: &[UsageBucket], label: AttrValue, of: impl Fn(&Figures) -> Bar) -> Html {
    let bars: Vec<Bar> = series.iter().map(|bucket| of(&bucket.figures)).collect();
    html! { <Sparkline {bars} {label} /> }
}

/// Calls, the failed part, money and latency, each with its change and its course.
pub fn tiles(
    i18n: &I18n,
    total: &Figures,
    series: &[UsageBucket],
    before: Option<&Figures>,
    spend_note: Option<AttrValue>,
) -> Html {
    let tile =
        |title: AttrValue, figure: String, delta: Option<Delta>, note: Option<AttrValue>, course: Html| {
            html! { <Tile {title} {figure} {delta} {note}>{ course }</Tile> }
        };
    let plain = |metric: Metric| {
        course(series, i18n.t("usage.course"), move |figures| Bar {
            plain: value_of(metric, figures).unwrap_or_default(),
            ..Bar::default()
        })
    };
    let refused = refused_of(total);
    let denied = i18n.fill(
        "usage.errors-note",
        &[("admitted", &format::number(i18n, admitted(total))), ("denied", &format::number(i18n, refused))],
    );
    let value = |metric| shown(i18n, metric, value_of(metric, total));
    let p99 = i18n.fill("usage.p99-note", &[("p99", &shown(i18n, Metric::P99, total.p99_ms.map(u64::from)))]);
    html! {
        <dl class="tm-tiles">
            { tile(i18n.t("usage.calls"), value(Metric::Calls), delta(i18n, Metric::Calls, total, before), None, course(series, i18n.t("usage.course"), |figures| Bar {
                ok: figures.ok,
                errors: errors_of(figures),
                refused: refused_of(figures),
                ..Bar::default()
            })) }
            { tile(i18n.t("usage.error-rate"), error_rate(i18n, total), rate_delta(i18n, total, before), Some(denied), course(series, i18n.t("usage.course"), |figures| Bar {
                errors: errors_of(figures),
                ..Bar::default()
            })) }
            { tile(i18n.t("usage.cost"), value(Metric::Cost), delta(i18n, Metric::Cost, total, before), spend_note, plain(Metric::Cost)) }
            { tile(i18n.t("usage.p95"), value(Metric::P95), delta(i18n, Metric::P95, total, before), Some(p99), plain(Metric::P95)) }
        </dl>
    }
}

/// The beginnings of intervals as an axis shows them, and whether the last one has not ended.
pub fn axis(i18n: &I18n, series: &[UsageBucket], interval: Interval) -> (Vec<String>, bool) {
    let labels =
        series.iter().map(|bucket| format::bucket(i18n, bucket.at, interval == Interval::Day)).collect();
    let is_unfinished = series.last().is_some_and(|last| last.at + interval.width_ms() > clock::now());
    (labels, is_unfinished)
}

/// Calls by outcome: one colour for each on every page.
pub fn by_outcome(i18n: &I18n, series: &[UsageBucket], interval: Interval) -> Plot {
    let (labels, is_unfinished) = axis(i18n, series, interval);
    let bars = |name: AttrValue, color: &'static str, value: fn(&Figures) -> u64| Series {
        name: name.to_string(),
        values: series.iter().map(|bucket| Some(value(&bucket.figures))).collect(),
        look: Look::Bars,
        color: Some(color),
    };
    let series = vec![
        bars(i18n.t("usage.ok"), "var(--tm-ok)", |figures| figures.ok),
        bars(i18n.t("usage.errors"), "var(--tm-error)", errors_of),
        bars(i18n.t("usage.denied"), "var(--tm-denied)", |figures| figures.denied),
        bars(i18n.t("usage.limited"), "var(--tm-limited)", |figures| figures.limited),
    ];
    Plot { labels, series, unit: Unit::Count, is_unfinished }
}

/// Latencies as lines.
pub fn latencies(i18n: &I18n, series: &[UsageBucket], interval: Interval) -> Plot {
    let (labels, is_unfinished) = axis(i18n, series, interval);
    let line = |name: AttrValue, color: &'static str, metric: Metric| Series {
        name: name.to_string(),
        values: series.iter().map(|bucket| value_of(metric, &bucket.figures)).collect(),
        look: Look::Line,
        color: Some(color),
    };
    let series = vec![
        line(i18n.t("usage.p50"), "var(--tm-p50)", Metric::P50),
        line(i18n.t("usage.p95"), "var(--tm-p95)", Metric::P95),
    ];
    Plot { labels, series, unit: Unit::Milliseconds, is_unfinished }
}
