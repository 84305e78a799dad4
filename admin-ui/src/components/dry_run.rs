//! A change tried on the recorded calls of the last 30 days, before it is saved. It never keeps anybody from saving.

use super::limits::label;
use super::{Button, Column, CopyButton, DataTable, Filtered, Notice, Row, Time};
use crate::api::{Api, CallError, use_api};
use crate::format;
use crate::hooks::{AsyncState, use_debounced, use_remote};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::state::toasts::Tone;
use contract::dry_run::{DryRun, RefusedStep, Untold, Workflow};
use contract::routes::{DeleteRoute, RouteView, UpdateRoute, UpdateRouteRequest};
use contract::teams::{TeamView, UpdateTeam, UpdateTeamRequest};
use contract::tokens::{DisableToken, RevokeToken, TokenView, UpdateToken, UpdateTokenRequest};
use domain::id::{RouteId, TokenId};
use domain::time::UnixMs;
use domain::upstream::address::AddressRules;
use patternfly_yew::prelude::{ButtonVariant, Spinner, SpinnerSize};
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

/// Time for which a form stays as it is before it is tried, in ms: each try reads up to 200,000 calls.
const SETTLE_MS: u32 = 800;

/// A change that can be tried.
#[derive(Clone, Debug, PartialEq)]
pub enum Trial {
    UpdateToken(Rc<TokenView>, Box<UpdateTokenRequest>),
    RevokeToken(TokenId),
    DisableToken(TokenId),
    UpdateRoute(Rc<RouteView>, Box<UpdateRouteRequest>),
    DeleteRoute(RouteId),
    UpdateTeam(Rc<TeamView>, Box<UpdateTeamRequest>),
}

impl Trial {
    /// Makes the trial of a token's change; `None` if it decides about no call, or cannot be saved.
    pub fn of_token(token: &Rc<TokenView>, request: UpdateTokenRequest, now: UnixMs) -> Option<Self> {
        let decides = request.scopes.is_some()
            || request.ip_allow.is_some()
            || request.limits.is_some()
            || request.may_derive.is_some();
        let is_valid = || request.clone().validate(now).is_ok();
        (decides && is_valid()).then(|| Self::UpdateToken(Rc::clone(token), Box::new(request)))
    }

    /// Makes the trial of a route's change; `None` if it decides about no call, or cannot be saved.
    pub fn of_route(route: &Rc<RouteView>, request: UpdateRouteRequest, rules: AddressRules) -> Option<Self> {
        let decides = request.tags.is_some()
            || request.methods.is_some()
            || request.enabled.is_some()
            || request.settings.is_some();
        let is_valid = || request.clone().validate(rules).is_ok();
        (decides && is_valid()).then(|| Self::UpdateRoute(Rc::clone(route), Box::new(request)))
    }

    /// Makes the trial of a team's change; `None` if it decides about no call, or cannot be saved.
    pub fn of_team(team: &Rc<TeamView>, request: UpdateTeamRequest) -> Option<Self> {
        let decides = request.scope_cap.is_some()
            || request.limits.is_some()
            || request.budget.is_some()
            || request.zone.is_some();
        let is_valid = || request.clone().validate().is_ok();
        (decides && is_valid()).then(|| Self::UpdateTeam(Rc::clone(team), Box::new(request)))
    }

    async fn send(self, api: Api) -> Result<DryRun, CallError> {
        match self {
            Self::UpdateToken(token, request) => {
                let call = api.request::<UpdateToken>().path(&[token.id.as_str()]).body(&request);
                call.try_out().await
            }
            Self::RevokeToken(id) => api.request::<RevokeToken>().path(&[id.as_str()]).try_out().await,
            Self::DisableToken(id) => api.request::<DisableToken>().path(&[id.as_str()]).try_out().await,
            Self::UpdateRoute(route, request) => {
                let call = api.request::<UpdateRoute>().path(&[route.id.as_str()]).body(&request);
                call.try_out().await
            }
            Self::DeleteRoute(id) => api.request::<DeleteRoute>().path(&[id.as_str()]).try_out().await,
            Self::UpdateTeam(team, request) => {
                let call = api.request::<UpdateTeam>().path(&[team.id.as_str()]).body(&request);
                call.try_out().await
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TrialViewProps {
    /// The change as it stands in the form; `None` while there is nothing to try.
    pub trial: Option<Trial>,
}

/// Tries a change once it has settled, and shows which calls it would refuse.
#[component]
pub fn TrialView(props: &TrialViewProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let trial = use_debounced(props.trial.clone(), SETTLE_MS);
    let tried = use_remote(trial.clone(), move |trial: Option<Trial>| {
        let api = api.clone();
        async move {
            match trial {
                Some(trial) => trial.send(api).await.map(Some),
                None => Ok(None),
            }
        }
    });
    if props.trial.is_none() {
        return html! {};
    }
    let is_waiting = tried.is_loading || props.trial != trial;
    let shown = match tried.state {
        _ if is_waiting => waiting(&i18n),
        AsyncState::Failed(_) => failed(&i18n, &tried.on_refresh),
        AsyncState::Ready(report) if report.is_some() => {
            report.as_ref().as_ref().map(|report| effect(&i18n, report)).unwrap_or_default()
        }
        AsyncState::Loading | AsyncState::Ready(_) => waiting(&i18n),
    };
    html! { <section class="tm-trial" aria-label={i18n.t("trial.title")} aria-live="polite" aria-busy={is_waiting.to_string()}>{ shown }</section> }
}

fn waiting(i18n: &I18n) -> Html {
    html! {
        <p class="tm-subtle">
            <Spinner size={SpinnerSize::Sm} aria_label={i18n.t("async.loading").to_string()} />
            { " " }{ i18n.t("trial.running") }
        </p>
    }
}

fn failed(i18n: &I18n, on_retry: &Callback<()>) -> Html {
    let action = html! {
        <Button variant={ButtonVariant::Link} label={i18n.t("async.retry").to_string()} onclick={on_retry.reform(|_| ())} />
    };
    html! { <Notice tone={Tone::Warning} title={i18n.t("trial.failed")} {action} /> }
}

/// Shows the effect of a change on calls.
fn effect(i18n: &I18n, report: &DryRun) -> Html {
    let (tone, title) = if report.refused > 0 {
        (Tone::Warning, format::count(i18n, "trial.refused-one", "trial.refused", report.refused))
    } else {
        (Tone::Success, if report.looked_at > 0 { i18n.t("trial.safe") } else { i18n.t("trial.unused") })
    };
    let steps = report.steps.iter().map(|step| html! { <li>{ step_of(i18n, step) }</li> });
    html! {
        <Notice {tone} {title}>
            <div class="tm-stack">
                { reach(i18n, report) }
                if !report.steps.is_empty() {
                    <ul>{ for steps }</ul>
                    <DataTable label={i18n.t("trial.workflows")} columns={columns(i18n)} rows={rows(i18n, &report.workflows)} />
                }
                { notes(i18n, report) }
            </div>
        </Notice>
    }
}

/// Says how many calls were looked at, and how far back.
fn reach(i18n: &I18n, report: &DryRun) -> Html {
    let Some(back_to) = report.back_to else { return html! {} };
    let calls = format::number(i18n, report.looked_at);
    let values = [("calls", calls.as_str()), ("time", &format::date_time(i18n, back_to))];
    let text = if report.is_whole {
        i18n.fill("trial.reach", &values)
    } else {
        i18n.fill("trial.reach-newest", &values)
    };
    html! { <p class="tm-subtle">{ text }</p> }
}

fn step_of(i18n: &I18n, step: &RefusedStep) -> Html {
    let limit = step.limit.map(|kind| format!(" ({})", label(i18n, kind)));
    html! {
        <>{ i18n.outcome(&step.outcome) }{ limit.unwrap_or_default() }{ " · " }{ format::number(i18n, step.calls) }</>
    }
}

fn columns(i18n: &I18n) -> Vec<Column> {
    vec![
        Column::new(i18n.t("calls.call")),
        Column::new(i18n.t("token.title")),
        Column::new(i18n.t("calls.client")),
        Column::number(i18n.t("trial.calls")),
        Column::new(i18n.t("trial.last-seen")),
    ]
}

fn rows(i18n: &I18n, workflows: &[Workflow]) -> Vec<Row> {
    let row = |one: &Workflow| {
        let name = if one.token_name.is_empty() { one.token_id.to_string() } else { one.token_name.clone() };
        let (token, whose) = (one.token_id.to_string(), one.token_id.to_string());
        let client = one.user_agent.clone().unwrap_or_default();
        let cells = vec![
            html! { <code>{ &one.method }{ " " }{ &one.path }</code> },
            html! { <Link<Route> to={Route::Token { id: token }}>{ name }</Link<Route>> },
            html! { client },
            html! { format::number(i18n, one.calls) },
            html! {
                <>
                    <Link<Route, Filtered> to={Route::Calls} query={Filtered { token: Some(whose), ..Filtered::default() }}><Time at={one.last_at} is_relative=true /></Link<Route, Filtered>>
                    <CopyButton text={one.request_id.clone()} label={i18n.t("error.copy-request-id")} />
                </>
            },
        ];
        (one.last_id.clone(), cells)
    };
    workflows.iter().map(row).collect()
}

/// Says what else the calls tell, and what they cannot tell.
fn notes(i18n: &I18n, report: &DryRun) -> Html {
    let untold = report.untold.iter().map(|untold| match untold {
        Untold::ConcurrentCalls => i18n.t("trial.untold-concurrent-calls"),
        Untold::EarlierUse => i18n.t("trial.untold-earlier-use"),
        Untold::TeamBudget => i18n.t("trial.untold-team-budget"),
    });
    let counted = [
        (report.admitted, "trial.admitted"),
        (report.restored, "trial.restored"),
        (report.already_refused, "trial.already-refused"),
    ];
    let counted = counted.into_iter().filter(|(calls, _)| *calls > 0);
    let counted = counted.map(|(calls, key)| i18n.fill(key, &[("calls", &format::number(i18n, calls))]));
    let notes: Vec<AttrValue> = counted.chain(untold).collect();
    html! {
        if !notes.is_empty() {
            <ul class="tm-subtle">{ for notes.into_iter().map(|note| html! { <li>{ note }</li> }) }</ul>
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_decides_about_no_call_is_not_tried() {
        let token: Rc<TokenView> = Rc::new(
            serde_json::from_value(serde_json::json!({
                "id":"tok_1","name":"n","team_id":"ops","description":null,"scopes":["*"],"ip_allow":[],"limits":{},"inject_faults":false,
                "state":"active","expires_at":null,"hint":null,"disabled_by":null,"created_by":null,
                "created_at":0,"updated_at":0,"last_used_at":null,"version":1}))
            .unwrap(),
        );
        let renamed = UpdateTokenRequest { name: Some("m".to_owned()), ..UpdateTokenRequest::default() };
        assert_eq!(Trial::of_token(&token, renamed.clone(), 0), None);
        let cut = UpdateTokenRequest { scopes: Some(vec!["x".to_owned()]), ..renamed };
        assert_eq!(Trial::of_token(&token, cut.clone(), 0), Some(Trial::UpdateToken(token, Box::new(cut))));
    }
}
