//! The test call of a route.

use super::draft::pool_of;
use super::first_method;
use crate::api::use_api;
use crate::components::{Button, CallErrorView, SelectField, StatusLabel, TextField, error_of};
use crate::format;
use crate::hooks::{setter, use_action};
use crate::i18n::{I18n, use_i18n};
use contract::routes::{RouteTested, RouteView, TestMethod, TestRoute, TestRouteRequest};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TestCallProps {
    pub route: Rc<RouteView>,
}

const METHODS: [TestMethod; 3] = [TestMethod::Get, TestMethod::Head, TestMethod::Options];

/// The choice among the credentials of a pool; nothing for other routes.
fn member_field(i18n: &I18n, route: &RouteView, chosen: &UseStateHandle<String>) -> Html {
    let Some(pool) = pool_of(Some(route)) else { return Html::default() };
    let names = pool.members.into_iter().map(|member| AttrValue::from(member.name));
    let options: Vec<_> = names.map(|name| (name.clone(), name)).collect();
    let first = options.first().map(|(name, _)| name.to_string()).unwrap_or_default();
    let value = if chosen.is_empty() { first } else { (**chosen).clone() };
    html! { <SelectField label={i18n.t("route.credential")} {options} {value} on_change={setter(chosen)} /> }
}

/// Makes one harmless call to the upstream, with the credential.
#[component]
pub fn TestCall(props: &TestCallProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let path = use_state_eq(String::new);
    let first = METHODS.into_iter().find(|method| method.as_str() == first_method(&props.route));
    let method = use_state_eq(|| first.unwrap_or_default());
    let credential = use_state_eq(String::new);
    let answer = use_state_eq(|| None::<RouteTested>);
    let id = props.route.id.clone();
    let on_done = {
        let answer = answer.setter();
        Callback::from(move |tested| answer.set(Some(tested)))
    };
    let action = use_action(
        move |request: TestRouteRequest| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<TestRoute>().path(&[id.as_str()]).body(&request).send().await }
        },
        on_done,
    );
    let on_test = {
        let (on_run, path, method) = (action.on_run.clone(), path.clone(), *method);
        let credential = credential.clone();
        Callback::from(move |_: MouseEvent| {
            let path = Some(path.trim().to_owned()).filter(|path| !path.is_empty());
            let credential = Some((*credential).clone()).filter(|name| !name.is_empty());
            on_run.emit(TestRouteRequest { path, method, credential });
        })
    };
    let on_path = setter(&path);
    let on_method = {
        let method = method.setter();
        Callback::from(move |name: String| {
            method.set(METHODS.into_iter().find(|method| method.as_str() == name).unwrap_or_default());
        })
    };
    let fields = action.error.as_ref().map(|error| error.fields().to_vec()).unwrap_or_default();
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("test.title") }</CardTitle>
            <CardBody>
                <p>{ i18n.t("test.advice") }</p>
                <div class="tm-form-row">
                    <SelectField
                        label={i18n.t("tester.method")}
                        options={METHODS.map(|m| (AttrValue::Static(m.as_str()), AttrValue::Static(m.as_str()))).to_vec()}
                        value={method.as_str()}
                        on_change={on_method}
                    />
                    { member_field(&i18n, &props.route, &credential) }
                    <TextField label={i18n.t("test.path")} value={(*path).clone()} on_change={on_path} help={i18n.t("test.path-help")} error={error_of(&fields, "path")} />
                </div>
                <div class="tm-server-answer">
                    <Button variant={ButtonVariant::Secondary} label={i18n.t("test.go").to_string()} loading={action.is_busy} onclick={on_test} />
                    <div aria-live="polite">
                        if let Some(tested) = (*answer).clone().filter(|_| !action.is_busy && action.error.is_none()) {
                            <p class="tm-address">
                                if let Some(status) = tested.status {
                                    <StatusLabel {status} />
                                } else {
                                    <Label label={i18n.outcome(tested.outcome.as_str()).to_string()} color={Color::Red} compact=true />
                                }
                                { " " }{ format::milliseconds(&i18n, u64::from(tested.latency_ms)) }{ " · " }<code>{ &tested.url }</code>
                            </p>
                        }
                    </div>
                </div>
                if let Some(error) = action.error.filter(|error| error_of(error.fields(), "path").is_none()) {
                    <CallErrorView {error} />
                }
            </CardBody>
        </Card>
    }
}
