//! The prices of AI models.

mod edit;
mod used;

use crate::api::use_api;
use crate::clock;
use crate::components::{AsyncView, Button, Column, DataTable, Empty, Page, Row, SearchField, Time};
use crate::format;
use crate::hooks::{setter, use_query, use_remote};
use crate::i18n::{I18n, use_i18n};
use crate::pages::usage::figures::UNKNOWN;
use crate::state::session::{can, use_me};
use contract::prices::{ListPrices, ModelPrice, PriceQuery};
use contract::upkeep::{ListNotifications, NotificationKind, NotificationQuery};
use contract::usage::ExploreUsage;
use domain::people::role::{Action, Subject};
use edit::{DeletePriceDialog, EditPrice};
use patternfly_yew::prelude::*;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use yew::prelude::*;

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filter {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    search: String,
}

/// A model, its price if it has one, and its calls of 30 days.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Priced {
    /// Empty for all models that are counted together.
    pub model: String,
    pub price: Option<ModelPrice>,
    /// Calls and cost of 30 days; `None` if they are not known.
    pub used: Option<(u64, u64)>,
    /// Whether a price would tell the cost of its calls.
    pub is_unknown: bool,
}

/// The dialog that is open.
#[derive(Clone, Debug, PartialEq)]
enum Open {
    Edit(Priced),
    Delete(String),
}

/// `/models`
#[component]
pub fn PricesPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let may_set = can(&use_me(), Action::SetPrices, Subject::default());
    let (filter, on_filter) = use_query::<Filter>();
    let models = use_remote((), move |()| {
        let api = api.clone();
        async move {
            let notices = api.read_all::<ListNotifications, _>(&NotificationQuery::default()).await?;
            let unpriced =
                notices.into_iter().filter(|notice| notice.kind == NotificationKind::ModelUnpriced);
            let unpriced: Vec<String> = unpriced.map(|notice| notice.subject).collect();
            let prices = api.read_all::<ListPrices, _>(&PriceQuery::default()).await?;
            // Prices can be set without knowing what was called.
            let used = api.request::<ExploreUsage>().query(&used::query(clock::now())).send().await;
            let all = used.ok().filter(|report| report.groups_called <= report.groups.len());
            Ok(used::joined(unpriced, prices, all.map(|report| report.groups).as_deref()))
        }
    });
    let open = use_state_eq(|| None::<Open>);
    let set_open = setter(&open);
    let render = {
        let (i18n, set_open, search) = (i18n.clone(), set_open.clone(), filter.search.to_lowercase());
        Callback::from(move |models: Rc<Vec<Priced>>| {
            let found = models.iter().filter(|one| one.model.to_lowercase().contains(search.trim()));
            let rows: Vec<Row> = found.map(|one| row(&i18n, one, may_set, &set_open)).collect();
            html! {
                if rows.is_empty() {
                    <Empty title={i18n.t("prices.none")} />
                } else {
                    <DataTable label={i18n.t("prices.title")} columns={columns(&i18n, may_set)} {rows} />
                }
            }
        })
    };
    let on_new = set_open.reform(|_: MouseEvent| Some(Open::Edit(Priced::default())));
    let actions = html! {
        if may_set {
            <Button variant={ButtonVariant::Primary} icon={Icon::PlusCircle} label={i18n.t("prices.add").to_string()} onclick={on_new} />
        }
    };
    let on_close = set_open.reform(|()| None);
    let on_changed = models.on_refresh.clone();
    html! {
        <Page title={i18n.t("prices.title")} summary={i18n.t("prices.summary")} {actions}>
            <div class="tm-toolbar" role="search" aria-label={i18n.t("filter.label")}>
                <SearchField label={i18n.t("prices.search")} value={filter.search.clone()} on_change={on_filter.reform(|search| Filter { search })} />
            </div>
            <AsyncView<Vec<Priced>>
                state={models.state}
                on_retry={models.on_refresh}
                {render}
                is_empty={Callback::from(|models: Rc<Vec<Priced>>| models.is_empty())}
                empty={html! { <Empty title={i18n.t("prices.none")}>{ i18n.t("prices.none-advice") }</Empty> }}
            />
            if let Some(Open::Edit(priced)) = (*open).clone() {
                <EditPrice {priced} on_close={on_close.clone()} on_changed={on_changed.clone()} />
            }
            if let Some(Open::Delete(model)) = (*open).clone() {
                <DeletePriceDialog {model} {on_close} {on_changed} />
            }
        </Page>
    }
}

fn columns(i18n: &I18n, may_set: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::new(i18n.t("prices.model")),
        Column::number(i18n.t("prices.calls")),
        Column::number(i18n.t("prices.spend")),
        Column::number(i18n.t("prices.prompt")),
        Column::number(i18n.t("prices.completion")),
        Column::number(i18n.t("prices.cached")),
        Column::number(i18n.t("prices.cache-write")).minor(),
        Column::new(i18n.t("prices.source")).minor(),
        Column::new(i18n.t("prices.since")),
    ];
    if may_set {
        columns.push(Column::new(i18n.t("app.actions")));
    }
    columns
}

fn row(i18n: &I18n, priced: &Priced, may_set: bool, on_open: &Callback<Option<Open>>) -> Row {
    let Priced { model, price, used, is_unknown } = priced;
    let name = if model.is_empty() {
        html! { i18n.t("usage.other-models") }
    } else {
        html! { <span class="tm-clip tm-mono" title={model.clone()}>{ model }</span> }
    };
    let mark = html! {
        if *is_unknown {
            <Label label={i18n.t("prices.unknown").to_string()} color={Color::Orange} icon={Icon::ExclamationTriangle} compact=true />
        }
    };
    let called = used.map_or_else(|| UNKNOWN.to_owned(), |(called, _)| format::number(i18n, called));
    let cost = used.map(|(_, micros)| micros).filter(|_| !is_unknown);
    let spend = cost.map_or_else(|| UNKNOWN.to_owned(), |micros| format::dollars(i18n, micros));
    let mut cells = vec![html! { <>{ name }{ mark }</> }, html! { called }, html! { spend }];
    if let Some(ModelPrice { price, source, effective_at, .. }) = price {
        let dollars = |micros: u64| html! { format::exact_dollars(i18n, micros) };
        let or_prompt = |micros: Option<u64>| match micros {
            Some(micros) => dollars(micros),
            None => html! { <span class="tm-subtle">{ i18n.t("prices.as-prompt") }</span> },
        };
        cells.extend([
            dollars(price.prompt),
            dollars(price.completion),
            or_prompt(price.cached),
            or_prompt(price.cache_write),
            html! { <span class="tm-clip" title={source.clone()}>{ source }</span> },
            html! { <Time at={*effective_at} is_relative=true /> },
        ]);
    } else {
        cells.extend(std::iter::repeat_n(html! { UNKNOWN }, 6));
    }
    if may_set {
        cells.push(if model.is_empty() { Html::default() } else { actions(i18n, priced, on_open) });
    }
    (model.clone(), cells)
}

fn actions(i18n: &I18n, priced: &Priced, on_open: &Callback<Option<Open>>) -> Html {
    let Priced { model, price, .. } = priced;
    let button = |label: AttrValue, open: Open| {
        let onclick = on_open.reform(move |_: MouseEvent| Some(open.clone()));
        html! {
            <Button variant={ButtonVariant::Secondary} class="pf-m-small" label={label.to_string()} aria_label={format!("{label} · {model}")} {onclick} />
        }
    };
    html! {
        <span class="tm-labels tm-actions">
            if price.is_some() {
                { button(i18n.t("prices.edit"), Open::Edit(priced.clone())) }
                { button(i18n.t("prices.delete"), Open::Delete(model.clone())) }
            } else {
                { button(i18n.t("prices.set"), Open::Edit(priced.clone())) }
            }
        </span>
    }
}
