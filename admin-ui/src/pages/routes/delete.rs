use crate::api::use_api;
use crate::components::{AsyncView, CallErrorView, Dialog};
use crate::format;
use crate::hooks::{use_action, use_remote};
use crate::i18n::use_i18n;
use crate::route::Route;
use crate::state::toasts::{Tone, use_toast};
use contract::routes::{DeleteRoute as Endpoint, RouteChanged, RouteView};
use contract::usage::{GetUsageStats, UsageQuery, UsageStats};
use domain::time::HOUR_MS;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct DeleteRouteProps {
    pub route: Rc<RouteView>,
    pub on_close: Callback<()>,
}

/// Says first who would be refused.
#[component]
pub fn DeleteRoute(props: &DeleteRouteProps) -> Html {
    let i18n = use_i18n();
    let (api, toast, navigator) = (use_api(), use_toast(), use_navigator());
    let id = props.route.id.clone();
    let usage = {
        let api = api.clone();
        use_remote(id.clone(), move |id| {
            let api = api.clone();
            async move {
                let from = Some((format::now() - HOUR_MS).to_string());
                api.read::<GetUsageStats>(
                    &[],
                    &UsageQuery { route_id: Some(id), from, ..UsageQuery::default() },
                )
                .await
            }
        })
    };
    let on_done = {
        let i18n = i18n.clone();
        Callback::from(move |_: RouteChanged| {
            toast.emit((Tone::Success, i18n.t("routes.deleted")));
            if let Some(navigator) = &navigator {
                navigator.push(&Route::Routes);
            }
        })
    };
    let action = use_action(
        move |()| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.call::<Endpoint>(&[id.as_str()]).await }
        },
        on_done,
    );
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |stats: Rc<UsageStats>| {
            let since = format::time(&i18n, stats.from);
            if stats.total.calls == 0 {
                return html! { <p>{ i18n.fill("revoke.unused", &[("since", &since)]) }</p> };
            }
            let calls = format::number(&i18n, stats.total.calls);
            let tokens = stats.by_token.iter().map(|token| {
                let name = token.name.clone().unwrap_or_else(|| token.token_id.to_string());
                html! { <li>{ name }{ " · " }{ format::number(&i18n, token.figures.calls) }</li> }
            });
            html! {
                <div class="pf-v6-c-alert pf-m-inline pf-m-warning">
                    <div class="pf-v6-c-alert__icon"><i class="fas fa-exclamation-triangle" aria-hidden="true" /></div>
                    <p class="pf-v6-c-alert__title">{ i18n.fill("routes.delete-used", &[("calls", &calls), ("since", &since)]) }</p>
                    <div class="pf-v6-c-alert__description"><ul>{ for tokens }</ul></div>
                </div>
            }
        })
    };
    let footer = html! {
        <>
            <Button r#type={ButtonType::Submit} variant={ButtonVariant::Danger} label={i18n.t("routes.delete").to_string()} loading={action.is_busy} disabled={action.is_busy} />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog title={i18n.t("routes.delete")} {footer} on_close={props.on_close.clone()} on_submit={action.on_run.clone()}>
            <div class="tm-form">
                <p>{ i18n.fill("routes.delete-advice", &[("path", props.route.path.as_str())]) }</p>
                <AsyncView<UsageStats> state={usage.state} on_retry={usage.on_refresh} {render} />
                if let Some(error) = action.error {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
    }
}
