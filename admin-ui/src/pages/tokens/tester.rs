//! The tester: whether a token may make a call. The browser decides by the gateway's own function, and the
//! server can be asked too.

use crate::api::use_api;
use crate::clock;
use crate::components::{
    Button, CallErrorView, SelectField, TextField, edit, filled, limit_label, name_of, opened, shown,
};
use crate::format;
use crate::hooks::{rule_of, setter, use_action};
use crate::i18n::{I18n, use_i18n};
use contract::limits::TokenLimits;
use contract::routes::RouteView;
use contract::tokens::{ExplainRequest, ExplainToken, Explanation, TokenView};
use domain::access::network;
use domain::access::path::RequestPath;
use domain::access::record::TokenRecord;
use domain::access::scope::{Scope, cap_to_check, within_cap};
use domain::access::{Call, Denial, Step, StepResult, explain};
use domain::id::TokenId;
use domain::limit::Limits;
use domain::limit::ledger::{LimitUse, Zone};
use domain::problem::Invalid;
use domain::route::RouteTable;
use ipnet::IpNet;
use patternfly_yew::prelude::*;
use std::net::IpAddr;
use std::rc::Rc;
use yew::prelude::*;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TesterProps {
    pub token: Rc<TokenView>,
    pub routes: Rc<Vec<RouteView>>,
    pub cap: Option<Vec<String>>,
    pub limits: TokenLimits,
}

/// Asks whether the token may make a call, and shows each step of the decision.
#[component]
pub fn Tester(props: &TesterProps) -> Html {
    let i18n = use_i18n();
    let typed = use_state_eq(|| sample(props, clock::now()));
    let request = ExplainRequest {
        method: typed.method.clone(),
        path: typed.path.trim().to_owned(),
        client_ip: typed.client_ip.as_deref().and_then(filled),
    };
    let on_change = setter(&typed);
    let decided = decide(&props.token, props.cap.as_deref(), &props.routes, &request, clock::now());
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("tester.title") }</CardTitle>
            <CardBody>
                <Question
                    typed={(*typed).clone()}
                    {on_change}
                    routes={Rc::clone(&props.routes)}
                    unreadable={decided.as_ref().err().copied()}
                />
                if let Ok(steps) = &decided {
                    <Steps steps={steps.clone()} uses={uses_of(&props.limits)} costs={costs(&props.routes, &request.path)} />
                }
                <ServerAnswer id={props.token.id.clone()} routes={Rc::clone(&props.routes)} {request} steps={decided.ok()} />
            </CardBody>
        </Card>
    }
}

/// Returns a call that the token may make, if one of the first routes that it reaches has one.
fn sample(props: &TesterProps, now: i64) -> ExplainRequest {
    let TesterProps { token, routes, cap, .. } = props;
    let get = |path: String| ExplainRequest { method: "GET".to_owned(), path, client_ip: None };
    let reached = opened(&token.scopes, routes).into_iter().take(3);
    let mut calls = reached.flat_map(|(route, _)| {
        let path = route.path.as_str();
        [get(path.to_owned()), get(format!("{path}/example"))]
    });
    let is_allowed = |call: &ExplainRequest| {
        decide(token, cap.as_deref(), routes, call, now)
            .is_ok_and(|steps| steps.iter().all(|step| step.denial.is_none()))
    };
    let first = || routes.first().map(|route| get(route.path.as_str().to_owned()));
    calls.find(is_allowed).or_else(first).unwrap_or_else(|| get(String::new()))
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct QuestionProps {
    typed: ExplainRequest,
    on_change: Callback<ExplainRequest>,
    routes: Rc<Vec<RouteView>>,
    unreadable: Option<Unreadable>,
}

/// The call in question.
#[component]
fn Question(props: &QuestionProps) -> Html {
    let i18n = use_i18n();
    let (path_error, ip_error) = match props.unreadable {
        Some(Unreadable::Path) => (Some(Invalid::CallPath.into()), None),
        Some(Unreadable::ClientIp) => (None, Some(Invalid::Address.into())),
        Some(Unreadable::Token) | None => (None, None),
    };
    let set = |change: fn(&mut ExplainRequest, String)| edit(&props.typed, &props.on_change, change);
    let suggestions: Vec<_> =
        props.routes.iter().map(|route| AttrValue::from(route.path.as_str().to_owned())).collect();
    html! {
        <div class="tm-form-row">
            <SelectField
                label={i18n.t("tester.method")}
                options={METHODS.map(|m| (AttrValue::Static(m), AttrValue::Static(m))).to_vec()}
                value={props.typed.method.clone()}
                on_change={set(|typed, text| typed.method = text)}
            />
            <TextField
                label={i18n.t("tester.path")}
                value={props.typed.path.clone()}
                on_change={set(|typed, text| typed.path = text)}
                error={path_error}
                {suggestions}
            />
            <TextField
                label={i18n.t("tester.client-ip")}
                value={props.typed.client_ip.clone().unwrap_or_default()}
                on_change={set(|typed, text| typed.client_ip = Some(text))}
                help={i18n.t("tester.client-ip-help")}
                error={ip_error}
            />
        </div>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct ServerAnswerProps {
    id: TokenId,
    routes: Rc<Vec<RouteView>>,
    request: ExplainRequest,
    /// The browser's own decision, unless the call cannot be read.
    steps: Option<Vec<StepResult>>,
}

/// Asks the server too, and shows whether it decides the same.
#[component]
fn ServerAnswer(props: &ServerAnswerProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let answer = use_state_eq(|| None::<(ExplainRequest, Explanation)>);
    let id = props.id.clone();
    let on_done = {
        let answer = answer.setter();
        Callback::from(move |said| answer.set(Some(said)))
    };
    let action = use_action(
        move |request: ExplainRequest| {
            let (api, id) = (api.clone(), id.clone());
            async move {
                let said = api.request::<ExplainToken>().path(&[id.as_str()]).body(&request).send().await?;
                Ok((request, said))
            }
        },
        on_done,
    );
    let request = props.request.clone();
    let on_ask = action.on_run.reform(move |_: MouseEvent| request.clone());
    // A response to another question is not shown.
    let said = (*answer).clone().filter(|(asked, _)| *asked == props.request);
    html! {
        <>
            <div class="tm-server-answer">
                <Button
                    variant={ButtonVariant::Secondary}
                    label={i18n.t("tester.ask").to_string()}
                    loading={action.is_busy}
                    disabled={props.steps.is_none()}
                    onclick={on_ask}
                />
                <div aria-live="polite">
                    if let Some((_, said)) = said {
                        { server_said(&i18n, &said, props.steps.as_ref() == Some(&said.steps), &props.routes) }
                    }
                </div>
            </div>
            if let Some(error) = action.error {
                <CallErrorView {error} />
            }
        </>
    }
}

/// The limits that are counted, of the token and of its team.
fn uses_of(limits: &TokenLimits) -> Vec<LimitUse> {
    limits.uses.iter().chain(&limits.team_uses).flatten().copied().collect()
}

/// Whether a call may cost something, as calls of AI vendors do. If the upstream cannot be seen, it may.
fn costs(routes: &[RouteView], path: &str) -> bool {
    let rules = routes.iter().filter(|view| view.enabled).filter_map(rule_of);
    let table = RouteTable::new(rules, false, 0);
    let id = RequestPath::parse(path).and_then(|path| table.find(&path).map(|rule| rule.id.clone()));
    let upstream =
        routes.iter().find(|route| Some(&route.id) == id.as_ref()).and_then(|route| route.upstream.as_ref());
    upstream.is_none_or(|upstream| upstream.settings.ai.is_some())
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct StepsProps {
    steps: Vec<StepResult>,
    uses: Vec<LimitUse>,
    costs: bool,
}

/// Each step, and the verdict.
#[component]
fn Steps(props: &StepsProps) -> Html {
    let i18n = use_i18n();
    let denial = props.steps.iter().find_map(|step| step.denial);
    let limited = props.uses.iter().find(|one| one.refuses(props.costs));
    let refusal = denial.map(Denial::error).or_else(|| limited.map(|one| one.kind.measure().error()));
    let limits = props.uses.iter().map(|one| {
        let is_refused = one.refuses(props.costs);
        let (class, icon) = if is_refused {
            ("tm-step tm-step--denied", "fas fa-times-circle")
        } else {
            ("tm-step tm-step--passed", "fas fa-check-circle")
        };
        let when = format::relative(&i18n, one.resets_at);
        let [left, limit] = [one.remaining(), one.limit].map(|value| shown(&i18n, value, one.kind));
        html! {
            <li {class}>
                <i class={icon} aria-hidden="true" />
                <span class="tm-step__name">{ limit_label(&i18n, one.kind) }</span>
                <span>
                    if is_refused {
                        { i18n.fill("limit.used-up", &[("limit", &limit), ("when", &when)]) }
                    } else {
                        { i18n.fill("limit.left", &[("left", &left), ("limit", &limit)]) }
                    }
                </span>
            </li>
        }
    });
    let items = props.steps.iter().map(|step| {
        let (class, icon, verdict) = match step.denial {
            None => ("tm-step tm-step--passed", "fas fa-check-circle", i18n.t("tester.passed")),
            Some(denial) => ("tm-step tm-step--denied", "fas fa-times-circle", denial_text(&i18n, denial)),
        };
        html! {
            <li {class}>
                <i class={icon} aria-hidden="true" />
                <span class="tm-step__name">{ step_name(&i18n, step.step) }</span>
                <span>{ verdict }</span>
            </li>
        }
    });
    html! {
        <div aria-live="polite">
            <p class="tm-verdict">
                if let Some(error) = refusal {
                    <Label label={i18n.t("tester.denied").to_string()} color={Color::Red} icon={Icon::TimesCircle} />
                    { " " }
                    { i18n.fill("tester.would-answer", &[("status", &error.status().to_string()), ("error", error.error())]) }
                } else {
                    <Label label={i18n.t("tester.allowed").to_string()} color={Color::Green} icon={Icon::CheckCircle} />
                }
            </p>
            <ol class="tm-checks" role="list">{ for items }{ for limits }</ol>
        </div>
    }
}

fn server_said(i18n: &I18n, said: &Explanation, agrees: bool, routes: &[RouteView]) -> Html {
    let verdict = if said.allowed { i18n.t("tester.server-allows") } else { i18n.t("tester.server-denies") };
    let remark = if agrees { i18n.t("tester.agrees") } else { i18n.t("tester.differs") };
    let pending = said.propagation == contract::Propagation::Pending;
    html! {
        <p>
            { verdict }{ " " }{ remark }
            if let Some(scope) = &said.scope {
                { " " }{ i18n.fill("tester.by-scope", &[("scope", &name_of(scope, routes))]) }
            }
            if pending {
                { " " }{ i18n.t("saved.pending") }
            }
        </p>
    }
}

fn step_name(i18n: &I18n, step: Step) -> AttrValue {
    match step {
        Step::State => i18n.t("step.state"),
        Step::Expiry => i18n.t("step.expiry"),
        Step::ClientIp => i18n.t("step.client-ip"),
        Step::Route => i18n.t("step.route"),
        Step::Method => i18n.t("step.method"),
        Step::Scope => i18n.t("step.scope"),
    }
}

fn denial_text(i18n: &I18n, denial: Denial) -> AttrValue {
    i18n.problem(&denial.into())
}

/// The part of a question that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Path,
    ClientIp,
    Token,
}

/// Decides a call by the gateway's steps, with this page's data on token and routes.
pub fn decide(
    token: &TokenView,
    cap: Option<&[String]>,
    routes: &[RouteView],
    request: &ExplainRequest,
    now: i64,
) -> Result<Vec<StepResult>, Unreadable> {
    let record = record_of(token, cap).ok_or(Unreadable::Token)?;
    let rules = routes.iter().filter(|view| view.enabled).filter_map(rule_of);
    let path = RequestPath::parse(&request.path).ok_or(Unreadable::Path)?;
    let client_ip: Option<IpAddr> =
        request.client_ip.as_ref().map(|ip| ip.parse()).transpose().map_err(|_| Unreadable::ClientIp)?;
    let call = Call { method: &request.method, path: &path, client_ip, now };
    Ok(explain(&record, &RouteTable::new(rules, false, 0), &call))
}

/// Returns the token as the gateway knows it: with its scopes inside the team's cap.
fn record_of(token: &TokenView, cap: Option<&[String]>) -> Option<TokenRecord> {
    let parse = |texts: &[String]| texts.iter().map(|text| text.parse().ok()).collect::<Option<Vec<Scope>>>();
    // An entry that was stored earlier may have a form that is refused today.
    let network = |text: &String| text.parse::<IpNet>().ok().or_else(|| network::parse(text).ok());
    let cap = cap.map(parse).map_or(Some(None), |cap| cap.map(Some))?;
    let scopes = parse(&token.scopes)?;
    let inside = within_cap(&scopes, cap.as_deref());
    Some(TokenRecord {
        v: TokenRecord::VERSION,
        id: token.id.clone(),
        name: token.name.clone(),
        team: token.team_id.clone(),
        cap: cap_to_check(&scopes, cap.as_deref(), &inside),
        scopes: inside,
        expires_at: token.expires_at,
        state: token.state,
        // The question is about the newest secret, which has no end of its own.
        secret_ends_at: None,
        ip_allow: token.ip_allow.iter().map(network).collect::<Option<_>>()?,
        limits: token.limits.clone(),
        team_budget: Limits::default(),
        zone: Zone::default(),
        inject_faults: token.inject_faults,
        may_derive: token.may_derive,
        version: token.version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn denial(cap: Option<&[String]>, path: &str, ip: Option<&str>) -> Result<Option<Denial>, Unreadable> {
        let token: TokenView = serde_json::from_value(json!({
            "id":"tok_1","name":"n","team_id":"ops","description":null,"scopes":["*"],"ip_allow":["10.0.0.0/8"],"limits":{},"inject_faults":false,
            "state":"active","expires_at":null,"hint":null,"disabled_by":null,"created_by":null,
            "created_at":0,"updated_at":0,"last_used_at":null,"version":1}))
        .unwrap();
        let route = |path: &str, enabled: bool| {
            json!({"id":path,"name":"r","path":path,"description":null,"tags":[],"methods":["GET"],
                "enabled":enabled,"created_at":0,"updated_at":0,"version":1})
        };
        let routes: Vec<RouteView> =
            serde_json::from_value(json!([route("/api/x", true), route("/api/off", false)])).unwrap();
        let request =
            ExplainRequest { method: "GET".into(), path: path.into(), client_ip: ip.map(ToOwned::to_owned) };
        let steps = decide(&token, cap, &routes, &request, 5)?;
        Ok(steps.iter().find_map(|step| step.denial))
    }

    #[test]
    fn the_browser_decides_as_the_gateway_does() {
        assert_eq!(denial(None, "/api/x/1", Some("10.1.1.1")), Ok(None));
        assert_eq!(denial(None, "/api/x/1", Some("11.1.1.1")), Ok(Some(Denial::IpNotAllowed)));
        assert_eq!(denial(None, "/api/x/1", None), Ok(Some(Denial::IpNotAllowed)));
        assert_eq!(
            denial(None, "/api/off", Some("10.1.1.1")),
            Ok(Some(Denial::NoRoute)),
            "disabled is not published"
        );
        assert_eq!(denial(Some(&["y".to_owned()]), "/api/x", Some("10.1.1.1")), Ok(Some(Denial::Scope)));
        assert_eq!(denial(None, "api/x", None), Err(Unreadable::Path));
        assert_eq!(denial(None, "/api/x", Some("ten")), Err(Unreadable::ClientIp));
    }
}
