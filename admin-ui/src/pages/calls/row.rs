//! A call as a row of the table.

use super::drawer::key_of;
use crate::components::{Column, Row, StatusLabel};
use crate::format;
use crate::i18n::I18n;
use crate::route::Route;
use contract::usage::CallView;
use domain::time::to_rfc3339;
use patternfly_yew::prelude::Label;
use yew::prelude::*;
use yew_router::prelude::*;

pub fn columns(i18n: &I18n) -> Vec<Column> {
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
pub fn row(i18n: &I18n, call: &CallView, day: &mut String, on_open: &Callback<String>) -> Row {
    let date = format::date(i18n, call.at);
    let is_new_day = *day != date;
    day.clone_from(&date);
    let key = key_of(call);
    let onclick = {
        let key = key.clone();
        on_open.reform(move |event: MouseEvent| {
            event.stop_propagation();
            key.clone()
        })
    };
    let when = format::date_time_exact(i18n, call.at);
    let cells = vec![
        html! {
            <button type="button" class="tm-call" aria-haspopup="dialog" aria-label={i18n.fill("calls.open", &[("when", &when)])} {onclick}>
                <time datetime={to_rfc3339(call.at)} title={when.clone()}>
                    if is_new_day {
                        <span class="tm-subtle">{ date }{ " " }</span>
                    }
                    { format::clock_time(i18n, call.at) }
                </time>
            </button>
        },
        caller(i18n, call),
        html! {
            <>
                <code>{ &call.method }{ " " }{ &call.path }</code>
                if let Some(model) = &call.model {
                    <div class="tm-subtle">{ model }{ cost(i18n, call) }</div>
                }
            </>
        },
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
    (key, cells)
}

/// The token, the derived token, and the workflow.
fn caller(i18n: &I18n, call: &CallView) -> Html {
    let token = call.token_name.clone().unwrap_or_else(|| call.token_id.to_string());
    html! {
        <>
            <Link<Route> to={Route::Token { id: call.token_id.to_string() }}>{ token }</Link<Route>>
            if let Some(nonce) = &call.derived {
                { " " }<Label label={i18n.fill("calls.derived", &[("nonce", nonce.as_str())]).to_string()} compact=true />
            }
            if let Some(label) = &call.label {
                <div class="tm-subtle tm-clip" title={label.clone()}>{ label }</div>
            }
        </>
    }
}

/// The cost behind the model's name, if it is known.
fn cost(i18n: &I18n, call: &CallView) -> Html {
    call.cost_micros
        .map_or_else(Html::default, |micros| html! { { format!(" · {}", format::dollars(i18n, micros)) } })
}
