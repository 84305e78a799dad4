//! The list of routes.

use super::form::RouteForm;
use super::{SnippetButtons, credential_label};
use crate::api::use_api;
use crate::components::{
    AsyncView, Button, Column, CopyButton, DataTable, Empty, Page, Pager, SearchField, Select, course_cell,
    edit, filled,
};
use crate::hooks::{Courses, use_courses, use_creating, use_debounced, use_paged, use_query, use_remote};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::state::session::{can, use_me};
use contract::Page as Items;
use contract::routes::{ListRoutes, ListTags, RouteQuery, RouteView, Tag};
use contract::usage::GroupBy;
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::*;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

const STILL_MS: u32 = 250;

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filter {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    search: String,
    tag: Option<String>,
}

impl Filter {
    fn query(self, cursor: Option<String>) -> RouteQuery {
        let search = filled(&self.search);
        RouteQuery { search, tag: self.tag, limit: None, cursor }
    }
}

/// `/routes`
#[component]
pub fn RoutesPage() -> Html {
    let i18n = use_i18n();
    let (api, me) = (use_api(), use_me());
    let (filter, on_filter) = use_query::<Filter>();
    let asked = use_debounced(filter.clone(), STILL_MS);
    let routes = {
        let api = api.clone();
        use_paged("pages", asked, move |filter: Filter, cursor| {
            let api = api.clone();
            async move { api.request::<ListRoutes>().query(&filter.query(cursor)).send().await }
        })
    };
    let tags = use_remote((), move |()| {
        let api = api.clone();
        async move { api.request::<ListTags>().send().await }
    });
    let may_create = can(&me, Action::WriteRoute, Subject::default());
    let is_creating = use_creating(may_create);
    let set_creating = |value: bool| {
        let is_creating = is_creating.setter();
        Callback::from(move |()| is_creating.set(value))
    };
    let sees_upstream = can(&me, Action::ReadUpstream, Subject::default());
    let actions = html! {
        if may_create {
            <Button
                variant={ButtonVariant::Primary}
                icon={Icon::PlusCircle}
                label={i18n.t("routes.create").to_string()}
                onclick={set_creating(true).reform(|_| ())}
            />
        }
    };
    let (is_busy, items, total) = (routes.remote.is_loading, routes.items(), routes.total());
    let ids =
        routes.remote.state.ready().map(|page| page.items.iter().map(|route| route.id.to_string()).collect());
    let courses = use_courses(GroupBy::Route, ids.unwrap_or_default());
    let on_tag = edit(&filter, &on_filter, |filter: &mut Filter, tag: String| filter.tag = Some(tag));
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |page: Rc<Items<RouteView>>| {
            let rows: Vec<_> = page
                .items
                .iter()
                .map(|route| row(&i18n, route, sees_upstream, &on_tag, courses.as_deref()))
                .collect();
            html! { <DataTable label={i18n.t("routes.title")} columns={columns(&i18n, sees_upstream)} {rows} {is_busy} /> }
        })
    };
    let empty = html! {
        if filter == Filter::default() {
            <Empty title={i18n.t("routes.none")}>{ i18n.t("routes.none-advice") }</Empty>
        } else {
            <Empty title={i18n.t("routes.none-found")} />
        }
    };
    let on_changed = {
        let (routes, tags) = (routes.remote.on_refresh.clone(), tags.on_refresh.clone());
        Callback::from(move |()| {
            routes.emit(());
            tags.emit(());
        })
    };
    html! {
        <Page title={i18n.t("routes.title")} summary={i18n.t("routes.summary")} {actions}>
            <Filters {filter} {on_filter} tags={tags.state.ready().map(|page| page.items.clone()).unwrap_or_default()} />
            <AsyncView<Items<RouteView>>
                state={routes.remote.state}
                on_retry={routes.remote.on_refresh}
                {render}
                is_empty={Callback::from(|page: Rc<Items<RouteView>>| page.items.is_empty())}
                {empty}
            />
            <Pager number={routes.number} {items} {total} on_previous={routes.on_previous} on_next={routes.on_next} />
            if *is_creating {
                <RouteForm on_close={set_creating(false)} {on_changed} />
            }
        </Page>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct FiltersProps {
    filter: Filter,
    on_filter: Callback<Filter>,
    tags: Vec<Tag>,
}

#[component]
fn Filters(props: &FiltersProps) -> Html {
    let i18n = use_i18n();
    let FiltersProps { filter, on_filter, tags } = props;
    let mut options = vec![(AttrValue::Static(""), i18n.t("routes.any-tag"))];
    options.extend(
        tags.iter().map(|tag| (tag.tag.clone().into(), format!("{} ({})", tag.tag, tag.routes).into())),
    );
    html! {
        <div class="tm-toolbar" role="search" aria-label={i18n.t("filter.label")}>
            <SearchField label={i18n.t("routes.search")} value={filter.search.clone()} on_change={edit(filter, on_filter, |filter: &mut Filter, text| filter.search = text)} />
            <Select
                label={i18n.t("routes.tag")}
                {options}
                value={filter.tag.clone().unwrap_or_default()}
                on_change={edit(filter, on_filter, |filter: &mut Filter, tag: String| filter.tag = filled(&tag))}
            />
        </div>
    }
}

fn columns(i18n: &I18n, sees_upstream: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::new(i18n.t("route.name")),
        Column::new(i18n.t("route.path")),
        Column::new(i18n.t("usage.last-day")),
    ];
    if sees_upstream {
        columns.push(Column::new(i18n.t("route.backend")).minor());
        columns.push(Column::new(i18n.t("route.credential")));
    }
    columns.push(Column::new(i18n.t("route.tags")).minor());
    columns.push(Column::new(i18n.t("route.use")).minor());
    columns
}

fn row(
    i18n: &I18n,
    route: &RouteView,
    sees_upstream: bool,
    on_tag: &Callback<String>,
    courses: Option<&Courses>,
) -> (String, Vec<Html>) {
    let tags = route.tags.iter().map(|tag| {
        let on_choose = {
            let tag = tag.clone();
            on_tag.reform(move |()| tag.clone())
        };
        html! { <Label label={tag.clone()} color={Color::Blue} compact=true onclick={on_choose} /> }
    });
    let mut cells = vec![
        html! {
            <>
                <span class="tm-clip" title={route.name.clone()}>
                    <Link<Route> to={Route::RouteDetail { id: route.id.to_string() }}>{ &route.name }</Link<Route>>
                </span>
                if !route.enabled {
                    { " " }<Label label={i18n.t("standing.disabled").to_string()} compact=true />
                }
                if route.maintenance.is_some() {
                    { " " }<Label label={i18n.t("route.closed").to_string()} color={Color::Orange} compact=true />
                }
            </>
        },
        copyable(i18n.t("route.copy-path"), route.path.as_str()),
        course_cell(i18n, courses, route.id.as_str()),
    ];
    if sees_upstream {
        let backend =
            route.upstream.as_ref().map(|upstream| upstream.backend_url.as_str()).unwrap_or_default();
        cells.push(copyable(i18n.t("route.copy-backend"), backend));
        cells.push(credential_label(i18n, route));
    }
    cells.push(html! { <span class="tm-labels">{ for tags }</span> });
    cells.push(html! { <SnippetButtons route={route.clone()} /> });
    (route.id.to_string(), cells)
}

fn copyable(label: AttrValue, text: &str) -> Html {
    html! {
        <span class="tm-copyable">
            <code>{ text }</code>
            <CopyButton text={text.to_owned()} {label} />
        </span>
    }
}
