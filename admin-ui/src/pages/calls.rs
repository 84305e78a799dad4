//! Single calls.

mod drawer;
mod filter;
mod filters;
mod more;
mod row;
mod why;

use crate::api::use_api;
use crate::components::{
    AsyncView, Button, CallErrorView, CardHead, DataTable, Page, Pager, Range, Row, SavedViews,
};
use crate::download;
use crate::hooks::{use_action, use_debounced, use_interval_while_visible, use_paged, use_part_of_query};
use crate::i18n::use_i18n;
use contract::Page as Items;
use contract::usage::{CallView, EventQuery, ExportEvents, ListEvents};
use drawer::{Drawer, key_of, use_opened};
use filter::CallFilter;
use filters::Filters;
use patternfly_yew::prelude::*;
use row::{columns, row};
use std::rc::Rc;
use yew::prelude::*;

const SHOWN: u32 = 50;
/// The time between two reads, and while calls are followed.
const REFRESH_MS: u32 = 30_000;
const FOLLOW_MS: u32 = 2_000;
const STILL_MS: u32 = 250;

/// `/calls`
#[component]
pub fn CallsPage() -> Html {
    let i18n = use_i18n();
    let (range, on_range) = use_part_of_query::<Range>();
    html! {
        <Page title={i18n.t("calls.page")} summary={i18n.t("calls.summary")} actions={html! { <SavedViews /> }}>
            <Calls {range} {on_range} />
        </Page>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct CallsProps {
    range: Range,
    on_range: Callback<Range>,
}

/// The calls that are asked for.
#[derive(Clone, PartialEq)]
struct Asked {
    filter: CallFilter,
    range: Range,
}

impl Asked {
    fn query(&self, cursor: Option<String>) -> EventQuery {
        EventQuery { limit: Some(SHOWN), cursor, ..self.filter.query(&self.range) }
    }
}

/// Single calls, newest first. The first page is reloaded at intervals, which are shorter while it is followed.
#[component]
fn Calls(props: &CallsProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (filter, on_filter) = use_part_of_query::<CallFilter>();
    let settled = use_debounced(filter.clone(), STILL_MS);
    let is_followed = use_state_eq(|| false);
    let asked = Asked { filter: settled, range: props.range.clone() };
    let calls = {
        let api = api.clone();
        use_paged("pages", asked.clone(), move |asked: Asked, cursor| {
            let (api, query) = (api.clone(), asked.query(cursor));
            async move {
                let page = api.request::<ListEvents>().query(&query).send().await?;
                Ok(Items { items: page.items, next_cursor: page.next_cursor, total: None })
            }
        })
    };
    let on_tick = {
        // One read at a time: a second read would throw the response of the first away.
        let is_due = calls.number == 1 && !calls.remote.is_loading;
        use_callback((calls.remote.on_refresh.clone(), is_due), |(): (), (on_refresh, is_due)| {
            if *is_due {
                on_refresh.emit(());
            }
        })
    };
    use_interval_while_visible(if *is_followed { FOLLOW_MS } else { REFRESH_MS }, on_tick);
    let on_follow = {
        let is_followed = is_followed.clone();
        Callback::from(move |()| is_followed.set(!*is_followed))
    };
    let on_follow = (calls.number == 1).then_some(on_follow);
    let (goes_on, items) = (calls.on_next.is_some(), calls.items());
    html! {
        <Card>
            <CardHead title={i18n.t("calls.title")}>
                <Tools {asked} is_followed={*is_followed} {on_follow} />
            </CardHead>
            <CardBody>
                <Filters {filter} {on_filter} range={props.range.clone()} on_range={props.on_range.clone()} />
                <List state={calls.remote.state.clone()} is_busy={calls.remote.is_loading && !*is_followed} on_retry={calls.remote.on_refresh} {goes_on} />
                <Pager number={calls.number} {items} limit={SHOWN} on_previous={calls.on_previous} on_next={calls.on_next} />
            </CardBody>
        </Card>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct ListProps {
    state: crate::hooks::AsyncState<Items<CallView>>,
    is_busy: bool,
    on_retry: Callback<()>,
    /// Whether there is a next page: the API searches a limited number of calls at a time.
    goes_on: bool,
}

/// The table, and the call that is open beside it.
#[component]
fn List(props: &ListProps) -> Html {
    let i18n = use_i18n();
    let (open, on_open) = use_opened();
    let render = {
        let (i18n, is_busy, current) = (i18n.clone(), props.is_busy, open.clone().map(AttrValue::from));
        let on_row = on_open.reform(|key: String| Some(key));
        Callback::from(move |page: Rc<Items<CallView>>| {
            let mut day = String::new();
            let rows: Vec<Row> = page.items.iter().map(|call| row(&i18n, call, &mut day, &on_row)).collect();
            html! { <DataTable label={i18n.t("calls.title")} columns={columns(&i18n)} {rows} {is_busy} on_row={on_row.clone()} current={current.clone()} /> }
        })
    };
    let items = props.state.ready().cloned();
    let keys: Vec<String> = items.iter().flat_map(|page| &page.items).map(key_of).collect();
    drawer::use_keys(keys, open.clone(), on_open.clone());
    let none = if props.goes_on { i18n.t("calls.none-yet") } else { i18n.t("calls.none") };
    html! {
        <>
            <AsyncView<Items<CallView>>
                state={props.state.clone()}
                on_retry={props.on_retry.clone()}
                {render}
                is_empty={Callback::from(|page: Rc<Items<CallView>>| page.items.is_empty())}
                empty={html! { <p class="tm-subtle">{ none }</p> }}
            />
            if let Some(open) = open {
                <Drawer {open} {items} {on_open} />
            }
        </>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct ToolsProps {
    asked: Asked,
    is_followed: bool,
    on_follow: Option<Callback<()>>,
}

/// Follows the calls live, and downloads them.
#[component]
fn Tools(props: &ToolsProps) -> Html {
    let (i18n, api) = (use_i18n(), use_api());
    let export = use_action(
        move |asked: Asked| {
            let (api, query) = (api.clone(), EventQuery { limit: None, ..asked.query(None) });
            async move { api.request::<ExportEvents>().query(&query).download().await }
        },
        Callback::from(|text: String| download::save_file("calls.csv", "text/csv", &text)),
    );
    let (label, icon) = if props.is_followed {
        (i18n.t("calls.pause"), Icon::Pause)
    } else {
        (i18n.t("calls.follow"), Icon::Play)
    };
    let asked = props.asked.clone();
    html! {
        <div class="tm-toolbar__end">
            if props.is_followed {
                <span class="tm-live" role="status">{ i18n.t("calls.live") }</span>
            }
            if let Some(on_follow) = &props.on_follow {
                <Button variant={ButtonVariant::Secondary} label={label.to_string()} {icon} onclick={on_follow.reform(|_| ())} />
            }
            <Button variant={ButtonVariant::Secondary} label={i18n.t("app.csv").to_string()} icon={Icon::Download} loading={export.is_busy} onclick={export.on_run.reform(move |_| asked.clone())} />
            if let Some(error) = export.error {
                <CallErrorView {error} />
            }
        </div>
    }
}
