//! The prices of AI models.

mod edit;

use crate::api::use_api;
use crate::components::{AsyncView, Button, Column, DataTable, Empty, Page, Row, SearchField, Time};
use crate::format;
use crate::hooks::{setter, use_query, use_remote};
use crate::i18n::{I18n, use_i18n};
use crate::state::session::{can, use_me};
use contract::prices::{ListPrices, ModelPrice, PriceQuery};
use contract::upkeep::{ListNotifications, NotificationKind, NotificationQuery};
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

/// A model, and its price if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Priced {
    pub model: String,
    pub price: Option<ModelPrice>,
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
            let mut models: Vec<Priced> =
                unpriced.map(|notice| Priced { model: notice.subject, price: None }).collect();
            let prices = api.read_all::<ListPrices, _>(&PriceQuery::default()).await?;
            models.retain(|one| prices.iter().all(|price| price.model != one.model));
            models.extend(
                prices.into_iter().map(|price| Priced { model: price.model.clone(), price: Some(price) }),
            );
            Ok(models)
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
    let on_new =
        set_open.reform(|_: MouseEvent| Some(Open::Edit(Priced { model: String::new(), price: None })));
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
    let Priced { model, price } = priced;
    let name = html! { <span class="tm-clip tm-mono" title={model.clone()}>{ model }</span> };
    let mut cells = if let Some(ModelPrice { price, source, effective_at, .. }) = price {
        let dollars = |micros: u64| html! { format::exact_dollars(i18n, micros) };
        let or_prompt = |micros: Option<u64>| match micros {
            Some(micros) => dollars(micros),
            None => html! { <span class="tm-subtle">{ i18n.t("prices.as-prompt") }</span> },
        };
        vec![
            name,
            dollars(price.prompt),
            dollars(price.completion),
            or_prompt(price.cached),
            or_prompt(price.cache_write),
            html! { <span class="tm-clip" title={source.clone()}>{ source }</span> },
            html! { <Time at={*effective_at} is_relative=true /> },
        ]
    } else {
        let unknown = html! { "–" };
        let mark = html! { <>{ name }<Label label={i18n.t("prices.unknown").to_string()} color={Color::Orange} icon={Icon::ExclamationTriangle} compact=true /></> };
        let mut cells = vec![mark];
        cells.extend(std::iter::repeat_n(unknown, 6));
        cells
    };
    if may_set {
        cells.push(actions(i18n, priced, on_open));
    }
    (model.clone(), cells)
}

fn actions(i18n: &I18n, priced: &Priced, on_open: &Callback<Option<Open>>) -> Html {
    let Priced { model, price } = priced;
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
