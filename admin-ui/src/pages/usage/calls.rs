//! The recent calls of everything, of one token or of one route.

use crate::api::use_api;
use crate::components::{
    AsyncView, Button, CallErrorView, Column, DataTable, Pager, Row, SearchField, Select, StatusLabel, edit,
    filled,
};
use crate::download;
use crate::format;
use crate::hooks::{use_action, use_debounced, use_interval_while_visible, use_paged, use_part_of_query};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use contract::Page as Items;
use contract::usage::{CallView, EventQuery, ExportEvents, ListEvents, StatusClass};
use domain::id::{RouteId, TokenId};
use domain::time::to_rfc3339;
use domain::usage::outcome::Outcome;
use patternfly_yew::prelude::*;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

const SHOWN: u32 = 20;
/// The time between two reads while calls are followed.
const FOLLOW_MS: u32 = 2_000;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CallsProps {
    #[prop_or_default]
    pub token_id: Option<TokenId>,
    #[prop_or_default]
    pub route_id: Option<RouteId>,
}

/// The filter in the address, beside the page's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// Beginning of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
}

/// The calls that are asked for.
#[derive(Clone, PartialEq)]
struct Asked {
    token_id: Option<TokenId>,
    route_id: Option<RouteId>,
    filter: CallFilter,
}

impl Asked {
    fn query(self, cursor: Option<String>, limit: Option<u32>) -> EventQuery {
        let Self { token_id, route_id, filter: CallFilter { status, outcome, method, call } } = self;
        EventQuery {
            token_id,
            route_id,
            status,
            outcome,
            method,
            path: call,
            limit,
            cursor,
            ..EventQuery::default()
        }
    }
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const STILL_MS: u32 = 250;

const CLASSES: [(StatusClass, &str); 4] = [
    (StatusClass::Success, "2xx"),
    (StatusClass::Redirect, "3xx"),
    (StatusClass::ClientError, "4xx"),
    (StatusClass::ServerError, "5xx"),
];

/// Single calls, newest first. The first page is reloaded at intervals, which are shorter while it is followed.
#[component]
pub fn Calls(props: &CallsProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (filter, on_filter) = use_part_of_query::<CallFilter>();
    let settled = use_debounced(filter.clone(), STILL_MS);
    let is_followed = use_state_eq(|| false);
    let asked = Asked { token_id: props.token_id.clone(), route_id: props.route_id.clone(), filter: settled };
    let calls = {
        let api = api.clone();
        use_paged("pages", asked.clone(), move |asked: Asked, cursor| {
            let (api, query) = (api.clone(), asked.query(cursor, Some(SHOWN)));
            async move {
                let page = api.request::<ListEvents>().query(&query).send().await?;
                Ok(Items { items: page.items, next_cursor: page.next_cursor })
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
    use_interval_while_visible(if *is_followed { FOLLOW_MS } else { super::REFRESH_MS }, on_tick);
    let export = use_action(
        move |asked: Asked| {
            let (api, query) = (api.clone(), asked.query(None, None));
            async move { api.request::<ExportEvents>().query(&query).download().await }
        },
        Callback::from(|text: String| download::save_file("calls.csv", "text/csv", &text)),
    );
    let on_follow = {
        let is_followed = is_followed.clone();
        Callback::from(move |()| is_followed.set(!*is_followed))
    };
    // The API searches a limited number of calls at a time.
    let (goes_on, items) = (calls.on_next.is_some(), calls.items());
    let is_busy = calls.remote.is_loading && !*is_followed;
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |page: Rc<Items<CallView>>| {
            let mut day = String::new();
            let rows: Vec<Row> = page.items.iter().map(|call| row(&i18n, call, &mut day)).collect();
            html! { <DataTable label={i18n.t("calls.title")} columns={columns(&i18n)} {rows} {is_busy} /> }
        })
    };
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("calls.title") }</CardTitle>
            <CardBody>
                <div class="tm-toolbar">
                    <Filters {filter} {on_filter} />
                    <div class="tm-toolbar__end">
                        if *is_followed {
                            <span class="tm-live" role="status">{ i18n.t("calls.live") }</span>
                        }
                        if calls.number == 1 {
                            <FollowButton is_followed={*is_followed} {on_follow} />
                        }
                        <Button variant={ButtonVariant::Secondary} label={i18n.t("app.csv").to_string()} icon={Icon::Download} loading={export.is_busy} onclick={export.on_run.reform(move |_| asked.clone())} />
                    </div>
                </div>
                if let Some(error) = export.error {
                    <CallErrorView {error} />
                }
                <AsyncView<Items<CallView>>
                    state={calls.remote.state}
                    on_retry={calls.remote.on_refresh}
                    {render}
                    is_empty={Callback::from(|page: Rc<Items<CallView>>| page.items.is_empty())}
                    empty={html! { <p class="tm-subtle">{ if goes_on { i18n.t("calls.none-yet") } else { i18n.t("calls.none") } }</p> }}
                />
                <Pager number={calls.number} {items} limit={SHOWN} on_previous={calls.on_previous} on_next={calls.on_next} />
            </CardBody>
        </Card>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct FiltersProps {
    filter: CallFilter,
    on_filter: Callback<CallFilter>,
}

/// Status, outcome, method and path.
#[component]
fn Filters(props: &FiltersProps) -> Html {
    let i18n = use_i18n();
    let FiltersProps { filter, on_filter } = props;
    let any = |text: AttrValue| vec![(AttrValue::Static(""), text)];
    let mut statuses = any(i18n.t("calls.any-status"));
    statuses.extend(CLASSES.map(|(_, name)| (AttrValue::Static(name), AttrValue::Static(name))));
    let status =
        CLASSES.iter().find(|(class, _)| Some(*class) == filter.status).map_or("", |(_, name)| *name);
    let on_status = edit(filter, on_filter, |filter: &mut CallFilter, name: String| {
        filter.status = CLASSES.iter().find(|(_, other)| *other == name).map(|(class, _)| *class);
    });
    let mut outcomes = any(i18n.t("calls.any-outcome"));
    outcomes.extend(
        Outcome::ALL
            .iter()
            .map(|outcome| (AttrValue::Static(outcome.as_str()), i18n.outcome(outcome.as_str()))),
    );
    let on_outcome = edit(filter, on_filter, |filter: &mut CallFilter, name: String| {
        filter.outcome = Outcome::ALL.iter().find(|outcome| outcome.as_str() == name).copied();
    });
    let mut methods = any(i18n.t("calls.any-method"));
    methods.extend(METHODS.map(|method| (AttrValue::Static(method), AttrValue::Static(method))));
    let on_method =
        edit(filter, on_filter, |filter: &mut CallFilter, name: String| filter.method = filled(&name));
    let on_call =
        edit(filter, on_filter, |filter: &mut CallFilter, text: String| filter.call = filled(&text));
    html! {
        <>
            <Select label={i18n.t("calls.status")} options={statuses} value={status} on_change={on_status} />
            <Select label={i18n.t("calls.outcome")} options={outcomes} value={filter.outcome.map_or("", Outcome::as_str)} on_change={on_outcome} />
            <Select label={i18n.t("tester.method")} options={methods} value={filter.method.clone().unwrap_or_default()} on_change={on_method} />
            <SearchField label={i18n.t("calls.path")} value={filter.call.clone().unwrap_or_default()} on_change={on_call} />
        </>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct FollowButtonProps {
    is_followed: bool,
    on_follow: Callback<()>,
}

/// Follows the calls live, or stops.
#[component]
fn FollowButton(props: &FollowButtonProps) -> Html {
    let i18n = use_i18n();
    let (label, icon) = if props.is_followed {
        (i18n.t("calls.pause"), Icon::Pause)
    } else {
        (i18n.t("calls.follow"), Icon::Play)
    };
    html! { <Button variant={ButtonVariant::Secondary} label={label.to_string()} {icon} onclick={props.on_follow.reform(|_| ())} /> }
}

fn columns(i18n: &I18n) -> Vec<Column> {
    vec![
        Column::new(i18n.t("calls.time")),
        Column::new(i18n.t("token.title")),
        Column::new(i18n.t("calls.call")),
        Column::new(i18n.t("calls.status")),
        Column::number(i18n.t("calls.latency")),
        Column::new(i18n.t("calls.client")),
    ]
}

/// Returns a call's row, with its day if that differs from `day`, which is the row before's.
fn row(i18n: &I18n, call: &CallView, day: &mut String) -> Row {
    let date = format::date(i18n, call.at);
    let is_new_day = *day != date;
    day.clone_from(&date);
    let token = call.token_name.clone().unwrap_or_else(|| call.token_id.to_string());
    let cells = vec![
        html! {
            <time datetime={to_rfc3339(call.at)} title={format::date_time_exact(i18n, call.at)}>
                if is_new_day {
                    <div class="tm-subtle">{ date }</div>
                }
                { format::clock_time(i18n, call.at) }
            </time>
        },
        html! {
            <>
                <Link<Route> to={Route::Token { id: call.token_id.to_string() }}>{ token }</Link<Route>>
                if let Some(nonce) = &call.derived {
                    { " " }<Label label={i18n.fill("calls.derived", &[("nonce", nonce.as_str())]).to_string()} compact=true />
                }
            </>
        },
        html! { <code>{ &call.method }{ " " }{ &call.path }</code> },
        html! {
            <span class="tm-labels">
                <StatusLabel status={call.status} />
                if call.outcome != "ok" {
                    <span class="tm-subtle">{ i18n.outcome(&call.outcome) }</span>
                }
            </span>
        },
        html! { format::milliseconds(i18n, u64::from(call.latency_ms)) },
        html! {
            <>
                { call.client_ip.clone().unwrap_or_default() }
                if let Some(agent) = &call.user_agent {
                    <div class="tm-subtle tm-clip" title={agent.clone()}>{ agent }</div>
                }
            </>
        },
    ];
    (call.id.clone(), cells)
}
