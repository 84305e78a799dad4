//! The report as a file: its groups, or its intervals if it is not split.

use super::chart::name_of;
use super::filter::By;
use crate::i18n::I18n;
use contract::usage::{Explored, Figures, value_of};
use domain::csv::push_row;
use domain::time::to_rfc3339;
use domain::usage::metric::Metric;

/// Names as on the wire, so that a file of either language can be read by the same program.
const FIGURES: [&str; 14] = [
    "calls",
    "ok",
    "client_errors",
    "upstream_errors",
    "timeouts",
    "gateway_errors",
    "denied",
    "limited",
    "cost_micros",
    "prompt_tokens",
    "completion_tokens",
    "p50_ms",
    "p95_ms",
    "p99_ms",
];

fn figures(figures: &Figures) -> [String; 14] {
    let latency = |metric| value_of(metric, figures).map(|ms| ms.to_string()).unwrap_or_default();
    [
        figures.calls.to_string(),
        figures.ok.to_string(),
        figures.client_errors.to_string(),
        figures.upstream_errors.to_string(),
        figures.timeouts.to_string(),
        figures.gateway_errors.to_string(),
        figures.denied.to_string(),
        figures.limited.to_string(),
        figures.cost_micros.to_string(),
        figures.prompt_tokens.to_string(),
        figures.completion_tokens.to_string(),
        latency(Metric::P50),
        latency(Metric::P95),
        latency(Metric::P99),
    ]
}

/// Returns the text, with the mark that makes spreadsheets read it as UTF-8.
pub fn of(i18n: &I18n, report: &Explored, by: By) -> String {
    let mut out = String::from('\u{feff}');
    let mut push = |first: [&str; 2], rest: &[String]| {
        push_row(&mut out, first.into_iter().chain(rest.iter().map(String::as_str)));
    };
    let names = FIGURES.map(ToOwned::to_owned);
    if report.groups.is_empty() {
        push(["at", "until"], &names);
        for (n, bucket) in report.series.iter().enumerate() {
            let until = report.series.get(n + 1).map_or(report.to, |next| next.at);
            let [at, until] = [bucket.at, until].map(|at| to_rfc3339(at).unwrap_or_default());
            push([&at, &until], &figures(&bucket.figures));
        }
    } else {
        push(["name", "id"], &names);
        for group in &report.groups {
            let id = group.id.as_deref().unwrap_or_default();
            push([&name_of(i18n, group, by), id], &figures(&group.figures));
        }
    }
    out
}
