//! How calls ended, as a table.

use crate::components::{Column, DataTable, Row, Share};
use crate::format;
use crate::i18n::I18n;
use contract::usage::{Explored, Figures};
use patternfly_yew::prelude::*;
use yew::prelude::*;

type Count = fn(&Figures) -> u64;

pub fn table(i18n: &I18n, report: &Explored) -> Html {
    let kinds: [(AttrValue, &'static str, Count); 7] = [
        (i18n.t("usage.ok"), "tm-fill-ok", |figures| figures.ok),
        (i18n.t("usage.client-errors"), "tm-fill-error", |figures| figures.client_errors),
        (i18n.t("usage.upstream-errors"), "tm-fill-error", |figures| figures.upstream_errors),
        (i18n.t("usage.timeouts"), "tm-fill-error", |figures| figures.timeouts),
        (i18n.t("usage.gateway-errors"), "tm-fill-error", |figures| figures.gateway_errors),
        (i18n.t("usage.denied"), "tm-fill-denied", |figures| figures.denied),
        (i18n.t("usage.limited"), "tm-fill-limited", |figures| figures.limited),
    ];
    let mut columns = vec![
        Column::new(i18n.t("calls.outcome")),
        Column::number(i18n.t("usage.calls")),
        Column::number(i18n.t("usage.share")),
    ];
    if report.previous.is_some() {
        columns.push(Column::number(i18n.t("usage.previous")));
    }
    let all = report.total.calls;
    let rows = kinds.into_iter().map(|(name, class, of)| {
        let count = of(&report.total);
        let share = if all == 0 { "–".to_owned() } else { format::share(i18n, count, all) };
        let mut cells = vec![
            html! { <><Share part={count} whole={all} {class} />{ &name }</> },
            html! { format::number(i18n, count) },
            html! { share },
        ];
        if let Some(before) = &report.previous {
            cells.push(html! { format::number(i18n, of(&before.total)) });
        }
        (name.to_string(), cells)
    });
    let rows: Vec<Row> = rows.collect();
    let label = i18n.t("usage.by-outcome");
    html! {
        <Card>
            <CardTitle component="h2">{ &label }</CardTitle>
            <CardBody><DataTable {label} {columns} {rows} /></CardBody>
        </Card>
    }
}
