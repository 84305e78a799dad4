//! Workflows that used a token: the labels that its calls carried.

use super::{AsyncView, Column, DataTable, Row, Time};
use crate::api::use_api;
use crate::clock;
use crate::format;
use crate::hooks::{Remote, use_remote};
use crate::i18n::{I18n, use_i18n};
use contract::usage::{LabelQuery, LabelReport, LabelUsage, ListLabelUsage};
use domain::id::TokenId;
use domain::time::{DAY_MS, HOUR_MS};
use patternfly_yew::prelude::{Card, CardBody, CardTitle};
use std::rc::Rc;
use yew::prelude::*;

/// Labels that are shown by name.
const NAMED: usize = 5;
const DAYS: i64 = 30;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct WorkflowsProps {
    pub token_id: TokenId,
}

#[hook]
fn use_labels(token_id: &TokenId, within_ms: i64) -> Remote<LabelReport> {
    let api = use_api();
    use_remote(token_id.clone(), move |token_id: TokenId| {
        let api = api.clone();
        let query = LabelQuery {
            token_id: Some(token_id),
            from: Some((clock::now() - within_ms).to_string()),
            ..LabelQuery::default()
        };
        async move { api.request::<ListLabelUsage>().query(&query).send().await }
    })
}

/// Names the workflows that used a token in the last hour; nothing if no call said which one it was.
#[component]
pub fn RecentWorkflows(props: &WorkflowsProps) -> Html {
    let i18n = use_i18n();
    let labels = use_labels(&props.token_id, HOUR_MS);
    let render = Callback::from(move |report: Rc<LabelReport>| {
        let named: Vec<&str> = report.items.iter().filter_map(|line| line.label.as_deref()).collect();
        let others = u64::from(named.len() < report.items.len());
        let count = report.lines - others;
        if count == 0 {
            return Html::default();
        }
        let names = named.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let is_more = others > 0 || named.len() > NAMED;
        html! {
            <p>
                { format::count(&i18n, "workflows.hour-one", "workflows.hour", count) }{ " " }
                <strong class="tm-address">{ names }{ if is_more { "…" } else { "" } }</strong>
            </p>
        }
    });
    html! { <AsyncView<LabelReport> state={labels.state} on_retry={labels.on_refresh} {render} /> }
}

/// The workflows of the last month with their calls, errors and cost; nothing if no call said which one it was.
#[component]
pub fn Workflows(props: &WorkflowsProps) -> Html {
    let i18n = use_i18n();
    let labels = use_labels(&props.token_id, DAYS * DAY_MS);
    let Some(report) = labels.state.ready().filter(|report| !report.items.is_empty()) else {
        return Html::default();
    };
    let columns = vec![
        Column::new(i18n.t("workflows.name")),
        Column::number(i18n.t("usage.calls")),
        Column::number(i18n.t("usage.errors")),
        Column::number(i18n.t("calls.cost")),
        Column::new(i18n.t("token.last-used")),
    ];
    let rows: Vec<Row> = report.items.iter().map(|line| row(&i18n, line)).collect();
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("workflows.title") }</CardTitle>
            <CardBody>
                <DataTable label={i18n.t("workflows.title")} {columns} {rows} />
            </CardBody>
        </Card>
    }
}

fn row(i18n: &I18n, line: &LabelUsage) -> Row {
    let name = line.label.clone().map_or_else(|| i18n.t("workflows.other"), AttrValue::from);
    let cells = vec![
        html! { { name } },
        html! { { format::number(i18n, line.calls) } },
        html! { { format::number(i18n, line.errors + line.refused) } },
        html! { { format::dollars(i18n, line.cost_micros) } },
        html! { <Time at={line.last_used_at} /> },
    ];
    (line.label.clone().unwrap_or_default(), cells)
}
