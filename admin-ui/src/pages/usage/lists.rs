//! All tokens and all routes with their figures, not only the busiest.

use super::figures::{cells, columns, route_link, route_name, token_link};
use crate::api::use_api;
use crate::components::{
    AsyncView, Column, DataTable, Page, Pager, Range, RangePicker, Row, SearchField, Select, Time,
};
use crate::hooks::{Paged, use_debounced, use_paged, use_query};
use crate::i18n::{I18n, use_i18n};
use contract::Page as Items;
use contract::usage::{ListRouteUsage, ListTokenUsage, RouteUsage, TokenUsage, UsageListQuery, UsageSort};
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use yew::prelude::*;

const STILL_MS: u32 = 250;

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filter {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    search: String,
    sort: Option<UsageSort>,
    #[serde(flatten)]
    range: Range,
}

impl Filter {
    fn query(self, cursor: Option<String>) -> UsageListQuery {
        let span = self.range.query();
        UsageListQuery {
            from: span.from,
            to: span.to,
            search: Some(self.search.trim().to_owned()).filter(|text| !text.is_empty()),
            sort: self.sort,
            cursor,
            ..UsageListQuery::default()
        }
    }
}

const SORTS: [(UsageSort, &str); 4] = [
    (UsageSort::Calls, "calls"),
    (UsageSort::Errors, "errors"),
    (UsageSort::LastUsed, "last_used"),
    (UsageSort::Name, "name"),
];

/// `/token-usage`
#[component]
pub fn TokenUsageListPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (filter, on_filter) = use_query::<Filter>();
    let asked = use_debounced(filter.clone(), STILL_MS);
    let tokens = use_paged("pages", asked, move |filter: Filter, cursor| {
        let api = api.clone();
        async move { api.request::<ListTokenUsage>().query(&filter.query(cursor)).send().await }
    });
    let to_row = {
        let i18n = i18n.clone();
        Callback::from(move |token: TokenUsage| {
            let mut row = vec![token_link(&token)];
            row.extend(cells(&i18n, &token.figures));
            row.push(last_used(&i18n, token.last_used_at));
            (token.token_id.to_string(), row)
        })
    };
    html! {
        <Page title={i18n.t("token-usage.title")} summary={i18n.t("token-usage.summary")}>
            <Filters {filter} {on_filter} />
            { list(&i18n, i18n.t("token.title"), i18n.t("token-usage.title"), tokens, to_row) }
        </Page>
    }
}

/// `/route-usage-list`
#[component]
pub fn RouteUsageListPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (filter, on_filter) = use_query::<Filter>();
    let asked = use_debounced(filter.clone(), STILL_MS);
    let routes = use_paged("pages", asked, move |filter: Filter, cursor| {
        let api = api.clone();
        async move { api.request::<ListRouteUsage>().query(&filter.query(cursor)).send().await }
    });
    let to_row = {
        let i18n = i18n.clone();
        Callback::from(move |route: RouteUsage| {
            let mut row = vec![route_link(&i18n, &route)];
            row.extend(cells(&i18n, &route.figures));
            row.push(last_used(&i18n, route.last_used_at));
            (route_name(&i18n, &route), row)
        })
    };
    html! {
        <Page title={i18n.t("route-usage.title")} summary={i18n.t("route-usage.summary")}>
            <Filters {filter} {on_filter} />
            { list(&i18n, i18n.t("route.title"), i18n.t("route-usage.title"), routes, to_row) }
        </Page>
    }
}

fn last_used(i18n: &I18n, at: Option<UnixMs>) -> Html {
    match at {
        Some(at) => html! { <Time {at} is_relative=true /> },
        None => html! { <span class="tm-subtle">{ i18n.t("token.never-used") }</span> },
    }
}

fn list<T: Clone + PartialEq + 'static>(
    i18n: &I18n,
    first: AttrValue,
    label: AttrValue,
    paged: Paged<T>,
    to_row: Callback<T, Row>,
) -> Html {
    let mut all = vec![Column::new(first)];
    all.extend(columns(i18n));
    all.push(Column::new(i18n.t("token.last-used")));
    let is_busy = paged.remote.is_loading;
    let items = paged.items();
    let render = Callback::from(move |page: Rc<Items<T>>| {
        let rows: Vec<Row> = page.items.iter().map(|item| to_row.emit(item.clone())).collect();
        html! { <DataTable label={label.clone()} columns={all.clone()} {rows} {is_busy} /> }
    });
    html! {
        <>
            <AsyncView<Items<T>>
                state={paged.remote.state}
                on_retry={paged.remote.on_refresh}
                {render}
                is_empty={Callback::from(|page: Rc<Items<T>>| page.items.is_empty())}
            />
            <Pager number={paged.number} {items} on_previous={paged.on_previous} on_next={paged.on_next} />
        </>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct FiltersProps {
    filter: Filter,
    on_filter: Callback<Filter>,
}

#[component]
fn Filters(props: &FiltersProps) -> Html {
    let i18n = use_i18n();
    let filter = &props.filter;
    let on_search = {
        let filter = filter.clone();
        props.on_filter.reform(move |search: String| Filter { search, ..filter.clone() })
    };
    let on_range = {
        let filter = filter.clone();
        props.on_filter.reform(move |range| Filter { range, ..filter.clone() })
    };
    let on_sort = {
        let filter = filter.clone();
        props.on_filter.reform(move |chosen: String| Filter {
            sort: SORTS.iter().find(|(_, name)| *name == chosen).map(|(sort, _)| *sort),
            ..filter.clone()
        })
    };
    let sorts = SORTS.map(|(sort, name)| {
        let text = match sort {
            UsageSort::Calls => i18n.t("sort.calls"),
            UsageSort::Errors => i18n.t("sort.errors"),
            UsageSort::LastUsed => i18n.t("sort.last-used"),
            UsageSort::Name => i18n.t("sort.name"),
        };
        (AttrValue::Static(name), text)
    });
    let sort = filter.sort.unwrap_or_default();
    let sort = SORTS.iter().find(|(other, _)| *other == sort).map_or("", |(_, name)| *name);
    html! {
        <div class="tm-toolbar" role="search" aria-label={i18n.t("filter.label")}>
            <SearchField label={i18n.t("usage.search")} value={filter.search.clone()} on_change={on_search} />
            <RangePicker range={filter.range.clone()} on_change={on_range} has_interval=false />
            <Select label={i18n.t("sort.label")} options={sorts.to_vec()} value={sort} on_change={on_sort} />
        </div>
    }
}
