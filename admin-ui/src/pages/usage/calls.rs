use crate::api::use_api;
use crate::components::{AsyncView, CallErrorView, Column, DataTable, Pager, Row, Select, Time};
use crate::download;
use crate::format;
use crate::hooks::{use_action, use_interval_while_visible, use_paged};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use contract::Page as Items;
use contract::usage::{CallView, EventQuery, ExportEvents, ListEvents, StatusClass};
use domain::id::{RouteId, TokenId};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

const SHOWN: u32 = 20;
/// While calls are followed, from one answer to the next question.
const FOLLOW_MS: u32 = 2_000;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CallsProps {
    #[prop_or_default]
    pub token_id: Option<TokenId>,
    #[prop_or_default]
    pub route_id: Option<RouteId>,
}

/// What the calls are asked for by.
#[derive(Clone, PartialEq)]
struct Asked {
    token_id: Option<TokenId>,
    route_id: Option<RouteId>,
    status: Option<StatusClass>,
}

const CLASSES: [(StatusClass, &str); 4] = [
    (StatusClass::Success, "2xx"),
    (StatusClass::Redirect, "3xx"),
    (StatusClass::ClientError, "4xx"),
    (StatusClass::ServerError, "5xx"),
];

/// Single calls, newest first; the first page reads itself again, and often while its reader follows it.
#[component]
pub fn Calls(props: &CallsProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let status = use_state_eq(|| None::<StatusClass>);
    let is_followed = use_state_eq(|| false);
    let asked = Asked { token_id: props.token_id.clone(), route_id: props.route_id.clone(), status: *status };
    let query = |asked: &Asked, cursor, limit| EventQuery {
        token_id: asked.token_id.clone(),
        route_id: asked.route_id.clone(),
        status: asked.status,
        limit,
        cursor,
        ..EventQuery::default()
    };
    let calls = {
        let api = api.clone();
        use_paged(asked.clone(), move |asked: Asked, cursor| {
            let (api, query) = (api.clone(), query(&asked, cursor, Some(SHOWN)));
            async move {
                let page = api.request::<ListEvents>().query(&query).send().await?;
                Ok(Items { items: page.items, next_cursor: page.next_cursor })
            }
        })
    };
    let on_tick = {
        // One question at a time: asked again meanwhile, the earlier answer would be thrown away.
        let is_due = calls.number == 1 && !calls.remote.is_loading;
        use_callback((calls.remote.on_refresh.clone(), is_due), |(): (), (on_refresh, is_due)| {
            if *is_due {
                on_refresh.emit(());
            }
        })
    };
    use_interval_while_visible(if *is_followed { FOLLOW_MS } else { super::REFRESH_MS }, on_tick);
    let on_follow = {
        let is_followed = is_followed.clone();
        Callback::from(move |_: MouseEvent| is_followed.set(!*is_followed))
    };
    let export = use_action(
        move |asked: Asked| {
            let (api, query) = (api.clone(), query(&asked, None, None));
            async move { api.request::<ExportEvents>().query(&query).download().await }
        },
        Callback::from(|text: String| download::save_file("calls.csv", "text/csv", &text)),
    );
    let on_export = {
        let on_run = export.on_run.clone();
        Callback::from(move |_: MouseEvent| on_run.emit(asked.clone()))
    };
    let mut classes = vec![(AttrValue::Static(""), i18n.t("calls.any-status"))];
    classes.extend(CLASSES.map(|(_, name)| (AttrValue::Static(name), AttrValue::Static(name))));
    let chosen = CLASSES.iter().find(|(class, _)| Some(*class) == *status).map_or("", |(_, name)| *name);
    let on_status = {
        let status = status.setter();
        Callback::from(move |name: String| {
            status.set(CLASSES.iter().find(|(_, other)| *other == name).map(|(class, _)| *class));
        })
    };
    // The API looks through so many calls at a time.
    let goes_on = calls.on_next.is_some();
    let is_busy = calls.remote.is_loading && !*is_followed;
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |page: Rc<Items<CallView>>| {
            let rows: Vec<Row> = page.items.iter().map(|call| row(&i18n, call)).collect();
            html! { <DataTable label={i18n.t("calls.title")} columns={columns(&i18n)} {rows} {is_busy} /> }
        })
    };
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("calls.title") }</CardTitle>
            <CardBody>
                <div class="tm-toolbar">
                    <Select label={i18n.t("calls.status")} options={classes} value={chosen} on_change={on_status} />
                    <div class="tm-toolbar__end">
                        if *is_followed {
                            <span class="tm-live" role="status">{ i18n.t("calls.live") }</span>
                        }
                        if calls.number == 1 {
                            <Button
                                variant={ButtonVariant::Secondary}
                                label={if *is_followed { i18n.t("calls.pause") } else { i18n.t("calls.follow") }.to_string()}
                                icon={if *is_followed { Icon::Pause } else { Icon::Play }}
                                onclick={on_follow}
                            />
                        }
                        <Button variant={ButtonVariant::Secondary} label={i18n.t("app.csv").to_string()} icon={Icon::Download} loading={export.is_busy} disabled={export.is_busy} onclick={on_export} />
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
                <Pager number={calls.number} on_previous={calls.on_previous} on_next={calls.on_next} />
            </CardBody>
        </Card>
    }
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

fn row(i18n: &I18n, call: &CallView) -> Row {
    let color = match call.status {
        200..400 => Color::Green,
        400..500 => Color::Orange,
        _ => Color::Red,
    };
    let token = call.token_name.clone().unwrap_or_else(|| call.token_id.to_string());
    let client = call.client_ip.clone().unwrap_or_default();
    let cells = vec![
        html! { <Time at={call.at} /> },
        html! { <Link<Route> to={Route::Token { id: call.token_id.to_string() }}>{ token }</Link<Route>> },
        html! { <code>{ &call.method }{ " " }{ &call.path }</code> },
        html! {
            <span class="tm-labels">
                <Label label={call.status.to_string()} {color} compact=true />
                if call.outcome != "ok" {
                    <span class="tm-subtle">{ i18n.message(&call.outcome) }</span>
                }
            </span>
        },
        html! { format::milliseconds(i18n, u64::from(call.latency_ms)) },
        html! { <span title={call.user_agent.clone()}>{ client }</span> },
    ];
    (call.id.clone(), cells)
}
