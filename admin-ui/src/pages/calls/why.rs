//! Why a call was refused, and what would fix it: in words, by the gateway's own decision.

use crate::api::use_api;
use crate::clock;
use crate::components::{CopyButton, Notice, limit_name, name_of};
use crate::hooks::{rule_of, use_remote, use_routes, use_teams};
use crate::i18n::{I18n, use_i18n};
use crate::pages::tokens::{may_change, tester};
use crate::route::Route;
use crate::state::session::use_me;
use crate::state::toasts::Tone;
use contract::routes::RouteView;
use contract::tokens::{ExplainRequest, GetToken, TokenView};
use contract::usage::CallView;
use domain::access::path::RequestPath;
use domain::access::remedy::scopes_for;
use domain::access::scope::Scope;
use domain::access::{Denial, Step};
use domain::route::RouteTable;
use domain::usage::outcome::Outcome;
use serde::Serialize;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, PartialEq, Properties)]
pub struct WhyProps {
    pub call: CallView,
}

/// The query that opens a dialog of a token's page.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Act {
    act: &'static str,
}

/// The reason of a refusal, and what to change; nothing for a call that was let in.
#[component]
pub fn Why(props: &WhyProps) -> Html {
    let i18n = use_i18n();
    let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == props.call.outcome);
    let Some((reason, fix)) = outcome.and_then(|outcome| texts(&i18n, outcome, &props.call)) else {
        return Html::default();
    };
    html! {
        <Notice tone={Tone::Warning} title={i18n.t("why.title")}>
            <p>{ reason }</p>
            <p>{ fix }</p>
            <Now call={props.call.clone()} />
        </Notice>
    }
}

/// Returns the reason and the remedy of a refusal.
fn texts(i18n: &I18n, outcome: Outcome, call: &CallView) -> Option<(AttrValue, AttrValue)> {
    let ip = call.client_ip.clone().unwrap_or_else(|| "–".to_owned());
    let limit = call.limit.as_deref().map_or_else(|| "–".into(), |limit| limit_name(i18n, limit));
    Some(match outcome {
        Outcome::DeniedRevoked => (i18n.t("why.revoked"), i18n.t("why.revoked-fix")),
        Outcome::DeniedDisabled => (i18n.t("why.disabled"), i18n.t("why.disabled-fix")),
        Outcome::DeniedExpired => (i18n.t("why.expired"), i18n.t("why.expired-fix")),
        Outcome::DeniedIp => (i18n.fill("why.ip", &[("ip", &ip)]), i18n.fill("why.ip-fix", &[("ip", &ip)])),
        Outcome::DeniedRoute => (i18n.t("why.route"), i18n.t("why.route-fix")),
        Outcome::DeniedMethod => {
            (i18n.fill("why.method", &[("method", &call.method)]), i18n.t("why.method-fix"))
        }
        Outcome::DeniedScope => (i18n.t("why.scope"), i18n.t("why.scope-fix")),
        Outcome::LimitedRate => (i18n.fill("why.rate", &[("limit", &limit)]), i18n.t("why.rate-fix")),
        Outcome::LimitedQuota => (i18n.fill("why.quota", &[("limit", &limit)]), i18n.t("why.quota-fix")),
        Outcome::LimitedSize => (i18n.t("why.size"), i18n.t("why.size-fix")),
        Outcome::Maintenance => (i18n.t("why.maintenance"), i18n.t("why.maintenance-fix")),
        Outcome::CredentialUnavailable => (i18n.t("why.credential"), i18n.t("why.credential-fix")),
        _ => return None,
    })
}

/// The dialog that fixes a refusal.
fn act_of(call: &CallView) -> Option<&'static str> {
    match call.outcome.as_str() {
        "denied-expired" => Some("extend"),
        "denied-ip" | "denied-scope" | "limited-rate" | "limited-quota" | "limited-size" => Some("edit"),
        _ => None,
    }
}

/// Decides the same call by the policy in force, and leads to what can be changed.
#[component]
fn Now(props: &WhyProps) -> Html {
    let (i18n, api, me) = (use_i18n(), use_api(), use_me());
    let call = &props.call;
    let token = use_remote(call.token_id.clone(), move |id| {
        let api = api.clone();
        async move { api.request::<GetToken>().path(&[id.as_str()]).send().await }
    });
    let (routes, teams) = (use_routes(), use_teams());
    let (Some(token), Some(routes), Some(teams)) =
        (token.state.ready().cloned(), routes.state.ready().cloned(), teams.state.ready())
    else {
        return Html::default();
    };
    let cap = teams.iter().find(|team| team.id == token.team_id).and_then(|team| team.scope_cap.clone());
    let request = ExplainRequest {
        method: call.method.clone(),
        path: call.path.clone(),
        client_ip: call.client_ip.clone(),
    };
    let steps = tester::decide(&token, cap.as_deref(), &routes, &request, clock::now()).unwrap_or_default();
    let denial = steps.iter().find_map(|step| step.denial);
    let lacks_scope = steps.iter().any(|step| step.step == Step::Scope && step.denial.is_some());
    let is_of_token = call.outcome.starts_with("denied-");
    html! {
        <>
            if lacks_scope {
                { scopes(&i18n, &token, cap.as_deref(), &routes, call) }
            }
            if is_of_token {
                <p>{ now_text(&i18n, denial) }</p>
            }
            <p class="tm-labels">
                if let Some(act) = act_of(call).filter(|_| may_change(&me, &token)) {
                    <Link<Route, Act> to={Route::Token { id: token.id.to_string() }} query={Some(Act { act })} classes="pf-v6-c-button pf-m-primary pf-m-small">{ if act == "extend" { i18n.t("tokens.extend") } else { i18n.t("why.edit") } }</Link<Route, Act>>
                } else {
                    <Link<Route> to={Route::Token { id: token.id.to_string() }} classes="pf-v6-c-button pf-m-secondary pf-m-small">{ i18n.t("usage.see-token") }</Link<Route>>
                }
                if let Some(id) = &call.route_id {
                    <Link<Route> to={Route::RouteDetail { id: id.to_string() }} classes="pf-v6-c-button pf-m-secondary pf-m-small">{ i18n.t("usage.see-route") }</Link<Route>>
                }
            </p>
        </>
    }
}

fn now_text(i18n: &I18n, denial: Option<Denial>) -> AttrValue {
    let Some(denial) = denial else { return i18n.t("why.now-allowed") };
    i18n.fill("why.now-refused", &[("why", &i18n.problem(&denial.into()))])
}

/// The scopes of which one would admit the call, each to be copied into the token's form.
fn scopes(
    i18n: &I18n,
    token: &Rc<TokenView>,
    cap: Option<&[String]>,
    routes: &[RouteView],
    call: &CallView,
) -> Html {
    let found = remedies(token, cap, routes, call);
    if found.is_empty() {
        return html! { <p>{ i18n.t("why.scope-cap") }</p> };
    }
    let items = found.into_iter().map(|scope| {
        let text = String::from(scope);
        html! {
            <li>
                <code class="tm-address">{ name_of(&text, routes) }</code>
                <CopyButton text={text.clone()} label={i18n.fill("why.copy-scope", &[("scope", &text)])} />
            </li>
        }
    });
    html! { <><p>{ i18n.t("why.scopes") }</p><ol>{ for items }</ol></> }
}

fn remedies(token: &TokenView, cap: Option<&[String]>, routes: &[RouteView], call: &CallView) -> Vec<Scope> {
    let parse = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect::<Vec<Scope>>();
    let rules = routes.iter().filter(|view| view.enabled).filter_map(rule_of);
    let table = RouteTable::new(rules, false, 0);
    let path = RequestPath::parse(&call.path);
    let found = path.as_ref().and_then(|path| Some((path, table.find(path)?)));
    let Some((path, rule)) = found else { return vec![] };
    scopes_for(&parse(&token.scopes), cap.map(parse).as_deref(), rule, &call.method, path)
}
