//! What is done to a token after it was asked for once more: rotate, extend, revoke.

use super::create::ExpiryField;
use super::reveal::Reveal;
use super::saved;
use crate::api::use_api;
use crate::components::{AsyncView, CallErrorView, Dialog, SelectField, Time, error_of};
use crate::format;
use crate::hooks::{use_action, use_remote};
use crate::i18n::use_i18n;
use crate::state::toasts::{Tone, use_toast};
use contract::routes::RouteView;
use contract::tokens::{
    ExtendToken, ExtendTokenRequest, RevokeToken, RotateToken, RotateTokenRequest, TokenChanged,
    TokenCreated, TokenView,
};
use contract::usage::{GetUsageStats, UsageQuery, UsageStats};
use domain::time::HOUR_MS;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TokenDialogProps {
    pub token: Rc<TokenView>,
    pub routes: Rc<Vec<RouteView>>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// Says so, and has the page read it again.
#[hook]
fn use_changed(props: &TokenDialogProps) -> Callback<TokenChanged> {
    let (i18n, toast) = (use_i18n(), use_toast());
    let (on_changed, on_close) = (props.on_changed.clone(), props.on_close.clone());
    Callback::from(move |changed: TokenChanged| {
        toast.emit(saved(&i18n, changed.propagation));
        on_changed.emit(());
        on_close.emit(());
    })
}

/// A new secret; the present ones go on for the grace.
#[component]
pub fn Rotate(props: &TokenDialogProps) -> Html {
    let i18n = use_i18n();
    let (api, toast) = (use_api(), use_toast());
    let hours = use_state_eq(|| "24".to_owned());
    let made = use_state_eq(|| None::<TokenCreated>);
    let key = use_memo((), |()| {
        gloo::utils::window().crypto().map(|crypto| crypto.random_uuid()).unwrap_or_default()
    });
    let id = props.token.id.clone();
    let on_done = {
        let (i18n, made) = (i18n.clone(), made.setter());
        let (on_changed, on_close) = (props.on_changed.clone(), props.on_close.clone());
        Callback::from(move |created: TokenCreated| {
            on_changed.emit(());
            toast.emit(saved(&i18n, created.propagation));
            if created.token.is_some() {
                made.set(Some(created));
            } else {
                toast.emit((Tone::Warning, i18n.t("tokens.made-before")));
                on_close.emit(());
            }
        })
    };
    let action = use_action(
        move |grace_hours: i64| {
            let (api, id, key) = (api.clone(), id.clone(), (*key).clone());
            async move {
                let request = RotateTokenRequest { grace_hours: Some(grace_hours) };
                let body = serde_json::to_value(&request).unwrap_or_default();
                api.send_value::<RotateToken>(&[id.as_str()], &body, &[("Idempotency-Key", key)]).await
            }
        },
        on_done,
    );
    if let Some(created) = (*made).clone() {
        return html! { <Reveal {created} routes={Rc::clone(&props.routes)} on_close={props.on_close.clone()} /> };
    }
    let on_submit = {
        let (hours, on_run) = (hours.clone(), action.on_run.clone());
        Callback::from(move |()| on_run.emit(hours.parse().unwrap_or_default()))
    };
    let on_hours = {
        let hours = hours.setter();
        Callback::from(move |text| hours.set(text))
    };
    let options = vec![
        (AttrValue::Static("0"), i18n.t("rotate.none")),
        (AttrValue::Static("1"), i18n.t("rotate.hour")),
        (AttrValue::Static("24"), i18n.t("rotate.day")),
        (AttrValue::Static("168"), i18n.t("rotate.week")),
        (AttrValue::Static("720"), i18n.t("rotate.month")),
    ];
    let footer = html! {
        <>
            <Button r#type={ButtonType::Submit} variant={ButtonVariant::Primary} label={i18n.t("tokens.rotate").to_string()} loading={action.is_busy} disabled={action.is_busy} />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog title={i18n.t("tokens.rotate")} {footer} on_close={props.on_close.clone()} {on_submit}>
            <div class="tm-form">
                <p>{ i18n.fill("rotate.advice", &[("name", &props.token.name)]) }</p>
                <SelectField
                    label={i18n.t("rotate.grace")}
                    {options}
                    value={(*hours).clone()}
                    on_change={on_hours}
                    help={(*hours == "0").then(|| i18n.t("rotate.none-advice"))}
                />
                if let Some(error) = action.error {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
    }
}

/// A later end.
#[component]
pub fn Extend(props: &TokenDialogProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let days = use_state_eq(|| "90".to_owned());
    let id = props.token.id.clone();
    let on_done = use_changed(props);
    let action = use_action(
        move |days: Option<i64>| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.send::<ExtendToken>(&[id.as_str()], &ExtendTokenRequest { days }).await }
        },
        on_done,
    );
    let request = ExtendTokenRequest { days: days.parse().ok() };
    let end = request.validate(props.token.expires_at, format::now());
    let on_submit = {
        let (on_run, days) = (action.on_run.clone(), request.days);
        Callback::from(move |()| on_run.emit(days))
    };
    let on_days = {
        let days = days.setter();
        Callback::from(move |text| days.set(text))
    };
    let refused = action.error.as_ref().map(|error| error.fields().to_vec()).or_else(|| end.clone().err());
    let footer = html! {
        <>
            <Button r#type={ButtonType::Submit} variant={ButtonVariant::Primary} label={i18n.t("tokens.extend").to_string()} loading={action.is_busy} disabled={action.is_busy || end.is_err()} />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog title={i18n.t("tokens.extend")} {footer} on_close={props.on_close.clone()} {on_submit}>
            <div class="tm-form">
                <ExpiryField days={(*days).clone()} on_change={on_days} error={refused.and_then(|errors| error_of(&errors, "days"))} />
                if let Ok(Some(at)) = end {
                    <p>{ i18n.t("extend.new-end") }{ " " }<Time {at} /></p>
                }
                if let Some(error) = action.error.filter(|error| error.fields().is_empty()) {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
    }
}

/// For ever; says first what will stop working.
#[component]
pub fn Revoke(props: &TokenDialogProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let id = props.token.id.clone();
    let usage = {
        let api = api.clone();
        use_remote(id.clone(), move |id| {
            let api = api.clone();
            async move {
                let from = format::now() - HOUR_MS;
                let query =
                    UsageQuery { token_id: Some(id), from: Some(from.to_string()), ..UsageQuery::default() };
                api.read::<GetUsageStats>(&[], &query).await
            }
        })
    };
    let on_done = use_changed(props);
    let action = use_action(
        move |()| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.call::<RevokeToken>(&[id.as_str()]).await }
        },
        on_done,
    );
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |stats: Rc<UsageStats>| {
            let since = format::time(&i18n, stats.from);
            let calls = format::number(&i18n, stats.total.calls);
            if stats.total.calls == 0 {
                return html! { <p>{ i18n.fill("revoke.unused", &[("since", &since)]) }</p> };
            }
            let routes = stats.by_route.iter().map(|route| {
                let path = route.path.clone().unwrap_or_else(|| i18n.t("usage.no-route").to_string());
                html! { <li><code>{ path }</code>{ " · " }{ format::number(&i18n, route.figures.calls) }</li> }
            });
            html! {
                <div class="pf-v6-c-alert pf-m-inline pf-m-warning">
                    <div class="pf-v6-c-alert__icon"><i class="fas fa-exclamation-triangle" aria-hidden="true" /></div>
                    <p class="pf-v6-c-alert__title">{ i18n.fill("revoke.used", &[("calls", &calls), ("since", &since)]) }</p>
                    <div class="pf-v6-c-alert__description"><ul>{ for routes }</ul></div>
                </div>
            }
        })
    };
    let footer = html! {
        <>
            <Button r#type={ButtonType::Submit} variant={ButtonVariant::Danger} label={i18n.t("tokens.revoke").to_string()} loading={action.is_busy} disabled={action.is_busy} />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog title={i18n.t("tokens.revoke")} {footer} on_close={props.on_close.clone()} on_submit={action.on_run.clone()}>
            <div class="tm-form">
                <p>{ i18n.fill("revoke.advice", &[("name", &props.token.name)]) }</p>
                <AsyncView<UsageStats> state={usage.state} on_retry={usage.on_refresh} {render} />
                if let Some(error) = action.error {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
    }
}
