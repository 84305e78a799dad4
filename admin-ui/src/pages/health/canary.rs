//! How soon changes are seen, as the canary measures it.

use crate::api::use_api;
use crate::components::{AsyncView, Chart, Column, DataTable, Look, Plot, Series, Unit};
use crate::format;
use crate::hooks::{use_interval_while_visible, use_remote};
use crate::i18n::{I18n, use_i18n};
use contract::canary::{Canary, CanaryFigures, CanaryHour, GetCanary, MeasureFigures};
use domain::canary::Measure;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

/// The card of the canary.
#[component]
pub fn CanaryCard() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let canary = use_remote((), move |()| {
        let api = api.clone();
        async move { api.request::<GetCanary>().send().await }
    });
    use_interval_while_visible(super::REFRESH_S * 1000, canary.on_refresh.clone());
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |canary: Rc<Canary>| ready(&i18n, &canary))
    };
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("canary.title") }</CardTitle>
            <CardBody>
                <AsyncView<Canary> state={canary.state} on_retry={canary.on_refresh} {render} />
            </CardBody>
        </Card>
    }
}

fn ready(i18n: &I18n, canary: &Canary) -> Html {
    let about = match (canary.every_min, &canary.last) {
        (0, _) => i18n.t("canary.off"),
        (every, last) => {
            let minutes = format::number(i18n, every.into());
            let at = last.as_ref().map_or_else(|| "–".to_owned(), |run| format::time(i18n, run.at));
            i18n.fill("canary.about", &[("minutes", &minutes), ("time", &at)])
        }
    };
    html! {
        <div class="tm-stack">
            <p class="tm-subtle">{ about }</p>
            { table(i18n, &canary.measures) }
            if !canary.hours.is_empty() {
                { chart(i18n, &canary.hours) }
            }
        </div>
    }
}

fn name(i18n: &I18n, measure: Measure) -> AttrValue {
    match measure {
        Measure::NewToken => i18n.t("canary.new-token"),
        Measure::Revoked => i18n.t("canary.revoked"),
        Measure::Usage => i18n.t("canary.usage"),
    }
}

fn table(i18n: &I18n, measures: &[MeasureFigures]) -> Html {
    let ms = |ms: u32| format::milliseconds(i18n, ms.into());
    let all = |figures: Option<CanaryFigures>| {
        figures.map_or_else(
            || "–".to_owned(),
            |CanaryFigures { p50_ms, p99_ms, worst_ms, .. }| [p50_ms, p99_ms, worst_ms].map(ms).join(" · "),
        )
    };
    let columns = vec![
        Column::new(i18n.t("canary.measure")),
        Column::number(i18n.t("canary.last")),
        Column::number(i18n.t("canary.day")),
        Column::number(i18n.t("canary.month")),
        Column::number(i18n.t("canary.limit")),
    ];
    let rows = measures.iter().map(|measure| {
        let last = measure.last_ms.map_or_else(|| "–".to_owned(), ms);
        let limit = measure.limit_ms.map_or_else(|| i18n.t("canary.no-limit").to_string(), ms);
        let is_over = measure.last_ms.zip(measure.limit_ms).is_some_and(|(last, limit)| last > limit);
        let cells = vec![
            html! { name(i18n, measure.measure) },
            html! { <span class={classes!(is_over.then_some("tm-danger"))}>{ last }</span> },
            html! { all(measure.day) },
            html! { all(measure.month) },
            html! { limit },
        ];
        (measure.measure.as_str().to_owned(), cells)
    });
    html! { <DataTable label={i18n.t("canary.title")} {columns} rows={rows.collect::<Vec<_>>()} /> }
}

/// The longest time of each hour.
fn chart(i18n: &I18n, hours: &[CanaryHour]) -> Html {
    let labels: Vec<String> = hours.iter().map(|hour| format::bucket(i18n, hour.at, false)).collect();
    let line = |measure, color, of: fn(&CanaryHour) -> Option<CanaryFigures>| Series {
        name: name(i18n, measure).to_string(),
        values: hours.iter().map(|hour| of(hour).map(|figures| figures.worst_ms.into())).collect(),
        look: Look::Line,
        color: Some(color),
    };
    let series = vec![
        line(Measure::NewToken, "#3f8f3f", |hour| hour.new_token),
        line(Measure::Revoked, "#c9550a", |hour| hour.revoked),
        line(Measure::Usage, "#2b7fd4", |hour| hour.usage),
    ];
    let options = Plot { labels, series, unit: Unit::Milliseconds, is_unfinished: false }.options();
    html! {
        <>
            <h3 class="pf-v6-c-title pf-m-md">{ i18n.t("canary.chart") }</h3>
            <Chart label={i18n.t("canary.chart")} {options} />
        </>
    }
}
