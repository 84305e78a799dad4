//! The dialog that deletes a route.

use crate::api::use_api;
use crate::components::{FormDialog, RecentUse, Submission, Trial, TrialView};
use crate::format;
use crate::hooks::use_action;
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::state::toasts::{Tone, use_toast};
use contract::routes::{DeleteRoute as Endpoint, RouteChanged, RouteView};
use contract::usage::UsageStats;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct DeleteRouteProps {
    pub route: Rc<RouteView>,
    pub on_close: Callback<()>,
}

/// Deletes a route, after showing whose calls will be refused.
#[component]
pub fn DeleteRoute(props: &DeleteRouteProps) -> Html {
    let i18n = use_i18n();
    let (api, toast, navigator) = (use_api(), use_toast(), use_navigator());
    let id = props.route.id.clone();
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
            async move { api.request::<Endpoint>().path(&[id.as_str()]).send().await }
        },
        on_done,
    );
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |stats: Rc<UsageStats>| used(&i18n, &stats))
    };
    html! {
        <FormDialog label={i18n.t("routes.delete")} title={i18n.fill("routes.delete-title", &[("name", &props.route.name)])} submission={Submission::from(action)} on_close={props.on_close.clone()} is_danger=true is_wide=true>
            <p>{ i18n.fill("routes.delete-advice", &[("path", props.route.path.as_str())]) }</p>
            <RecentUse route_id={props.route.id.clone()} {render} />
            <TrialView trial={Trial::DeleteRoute(props.route.id.clone())} />
        </FormDialog>
    }
}

fn used(i18n: &I18n, stats: &UsageStats) -> Html {
    let tokens = stats.by_token.iter().map(|token| {
        let name = token.name.clone().unwrap_or_else(|| token.token_id.to_string());
        html! { <li>{ name }{ " · " }{ format::number(i18n, token.figures.calls) }</li> }
    });
    html! {
        <>
            <p>{ i18n.t("routes.delete-used") }</p>
            <ul>{ for tokens }</ul>
        </>
    }
}
