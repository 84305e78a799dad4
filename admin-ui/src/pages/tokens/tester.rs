//! Would this call be allowed? Decided in the browser by the gateway's own function, beside what the
//! server says.

use crate::api::use_api;
use crate::clock;
use crate::components::{CallErrorView, SelectField, TextField, as_field_error};
use crate::hooks::{as_decided_on, use_action};
use crate::i18n::{I18n, use_i18n};
use contract::routes::RouteView;
use contract::tokens::{ExplainRequest, ExplainToken, Explanation, TokenView};
use domain::access::network;
use domain::access::path::RequestPath;
use domain::access::record::TokenRecord;
use domain::access::scope::{Scope, cap_to_check, within_cap};
use domain::access::{Call, Denial, Step, StepResult, explain};
use domain::route::{Route, RouteTable};
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
}

#[component]
pub fn Tester(props: &TesterProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let method = use_state_eq(|| "GET".to_owned());
    let path =
        use_state_eq(|| props.routes.first().map(|route| route.path.as_str().to_owned()).unwrap_or_default());
    let client_ip = use_state_eq(String::new);
    let answer = use_state_eq(|| None::<(ExplainRequest, Explanation)>);
    let id = props.token.id.clone();
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
    let request = ExplainRequest {
        method: (*method).clone(),
        path: path.trim().to_owned(),
        client_ip: Some(client_ip.trim().to_owned()).filter(|ip| !ip.is_empty()),
    };
    let decided = decide(&props.token, props.cap.as_deref(), &props.routes, &request, clock::now());
    let set = |state: &UseStateHandle<String>| {
        let state = state.setter();
        Callback::from(move |text| state.set(text))
    };
    let (path_error, ip_error) = match &decided {
        Err(Unreadable::Path) => {
            (Some(as_field_error("must begin with '/', such as /api/openai/models")), None)
        }
        Err(Unreadable::ClientIp) => (None, Some(as_field_error("must be an IPv4 or IPv6 address"))),
        Err(Unreadable::Token) | Ok(_) => (None, None),
    };
    let on_ask = {
        let (on_run, request) = (action.on_run.clone(), request.clone());
        Callback::from(move |_: MouseEvent| on_run.emit(request.clone()))
    };
    // An answer to another question is not shown.
    let said = (*answer).clone().filter(|(asked, _)| *asked == request);
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("tester.title") }</CardTitle>
            <CardBody>
                <div class="tm-form-row">
                    <SelectField
                        label={i18n.t("tester.method")}
                        options={METHODS.map(|m| (AttrValue::Static(m), AttrValue::Static(m))).to_vec()}
                        value={(*method).clone()}
                        on_change={set(&method)}
                    />
                    <TextField
                        label={i18n.t("tester.path")}
                        value={(*path).clone()}
                        on_change={set(&path)}
                        error={path_error}
                        suggestions={props.routes.iter().map(|route| AttrValue::from(route.path.as_str().to_owned())).collect::<Vec<_>>()}
                    />
                    <TextField
                        label={i18n.t("tester.client-ip")}
                        value={(*client_ip).clone()}
                        on_change={set(&client_ip)}
                        help={i18n.t("tester.client-ip-help")}
                        error={ip_error}
                    />
                </div>
                if let Ok(steps) = &decided {
                    <Steps steps={steps.clone()} />
                }
                <div class="tm-server-answer">
                    <Button
                        variant={ButtonVariant::Secondary}
                        label={i18n.t("tester.ask").to_string()}
                        loading={action.is_busy}
                        disabled={action.is_busy || decided.is_err()}
                        onclick={on_ask}
                    />
                    <div aria-live="polite">
                        if let Some((_, said)) = said {
                            { server_said(&i18n, &said, decided.as_ref().is_ok_and(|steps| *steps == said.steps)) }
                        }
                    </div>
                </div>
                if let Some(error) = action.error {
                    <CallErrorView {error} />
                }
            </CardBody>
        </Card>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct StepsProps {
    steps: Vec<StepResult>,
}

#[component]
fn Steps(props: &StepsProps) -> Html {
    let i18n = use_i18n();
    let denial = props.steps.iter().find_map(|step| step.denial);
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
                if let Some(denial) = denial {
                    <Label label={i18n.t("tester.denied").to_string()} color={Color::Red} icon={Icon::TimesCircle} />
                    { " " }
                    { i18n.fill("tester.would-answer", &[("status", &denial.error().status().to_string()), ("error", denial.error().error())]) }
                } else {
                    <Label label={i18n.t("tester.allowed").to_string()} color={Color::Green} icon={Icon::CheckCircle} />
                }
            </p>
            <ol class="tm-steps" role="list">{ for items }</ol>
        </div>
    }
}

fn server_said(i18n: &I18n, said: &Explanation, agrees: bool) -> Html {
    let verdict = if said.allowed { i18n.t("tester.server-allows") } else { i18n.t("tester.server-denies") };
    let remark = if agrees { i18n.t("tester.agrees") } else { i18n.t("tester.differs") };
    let pending = said.propagation == contract::Propagation::Pending;
    html! {
        <p>
            { verdict }{ " " }{ remark }
            if let Some(scope) = &said.scope {
                { " " }{ i18n.fill("tester.by-scope", &[("scope", scope)]) }
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
    i18n.message(&denial.to_string())
}

/// Why a question cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unreadable {
    Path,
    ClientIp,
    Token,
}

/// The gateway's steps for a call, on what this page knows of token and routes.
fn decide(
    token: &TokenView,
    cap: Option<&[String]>,
    routes: &[RouteView],
    request: &ExplainRequest,
    now: i64,
) -> Result<Vec<StepResult>, Unreadable> {
    let record = record_of(token, cap).ok_or(Unreadable::Token)?;
    let routes: Vec<Route> = routes.iter().filter(|view| view.enabled).filter_map(as_decided_on).collect();
    let path = RequestPath::parse(&request.path).ok_or(Unreadable::Path)?;
    let client_ip: Option<IpAddr> =
        request.client_ip.as_ref().map(|ip| ip.parse()).transpose().map_err(|_| Unreadable::ClientIp)?;
    let call = Call { method: &request.method, path: &path, client_ip, now };
    Ok(explain(&record, &RouteTable::new(routes, false, 0), &call))
}

/// What the gateway is told of a token: its scopes inside the team's bound.
fn record_of(token: &TokenView, cap: Option<&[String]>) -> Option<TokenRecord> {
    let parse = |texts: &[String]| texts.iter().map(|text| text.parse().ok()).collect::<Option<Vec<Scope>>>();
    // Stored earlier, an entry may be in a form that is refused today.
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
        // The newest secret is asked about, which has no end of its own.
        secret_ends_at: None,
        ip_allow: token.ip_allow.iter().map(network).collect::<Option<_>>()?,
        limits: token.limits.clone(),
        inject_faults: token.inject_faults,
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
