use super::create::lines;
use super::saved;
use crate::api::{if_match, use_api};
use crate::components::{
    CallErrorView, CheckField, Dialog, LimitsDraft, LimitsFields, ScopePicker, TextAreaField, TextField,
    error_of, error_within,
};
use crate::format;
use crate::hooks::use_action;
use crate::i18n::use_i18n;
use crate::state::toasts::use_toast;
use contract::routes::RouteView;
use contract::tokens::{TokenChanged, TokenView, UpdateToken, UpdateTokenRequest};
use domain::error::FieldError;
use domain::limit::Limits;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct EditTokenProps {
    pub token: Rc<TokenView>,
    pub routes: Rc<Vec<RouteView>>,
    /// The team's bound.
    pub cap: Option<Vec<String>>,
    /// The team's.
    pub defaults: Limits,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

#[derive(Clone, Debug, PartialEq)]
struct Draft {
    name: String,
    description: String,
    scopes: Vec<String>,
    ip_allow: String,
    limits: LimitsDraft,
    injects_faults: bool,
}

impl Draft {
    fn of(token: &TokenView) -> Self {
        Self {
            name: token.name.clone(),
            description: token.description.clone().unwrap_or_default(),
            scopes: token.scopes.clone(),
            ip_allow: token.ip_allow.join("\n"),
            limits: LimitsDraft::of(&token.limits),
            injects_faults: token.inject_faults,
        }
    }

    /// Only what differs.
    fn request(&self, token: &TokenView) -> UpdateTokenRequest {
        let before = Self::of(token);
        let description = Some(self.description.trim().to_owned()).filter(|text| !text.is_empty());
        UpdateTokenRequest {
            name: (self.name != before.name).then(|| self.name.clone()),
            description: (self.description != before.description).then_some(description),
            scopes: (self.scopes != before.scopes).then(|| self.scopes.clone()),
            ip_allow: (self.ip_allow != before.ip_allow).then(|| lines(&self.ip_allow)),
            limits: (self.limits != before.limits)
                .then(|| Some(self.limits.limits()).filter(|limits| !limits.is_empty())),
            inject_faults: (self.injects_faults != before.injects_faults).then_some(self.injects_faults),
            ..UpdateTokenRequest::default()
        }
    }
}

#[component]
pub fn EditToken(props: &EditTokenProps) -> Html {
    let i18n = use_i18n();
    let (api, toast) = (use_api(), use_toast());
    let draft = use_state_eq(|| Draft::of(&props.token));
    let errors = use_state_eq(Vec::<FieldError>::new);
    let token = Rc::clone(&props.token);
    let on_done = {
        let (i18n, on_changed, on_close) = (i18n.clone(), props.on_changed.clone(), props.on_close.clone());
        Callback::from(move |changed: TokenChanged| {
            toast.emit(saved(&i18n, changed.propagation));
            on_changed.emit(());
            on_close.emit(());
        })
    };
    let action = use_action(
        move |request: UpdateTokenRequest| {
            let (api, token) = (api.clone(), Rc::clone(&token));
            async move {
                let body = serde_json::to_value(&request).unwrap_or_default();
                api.send_value::<UpdateToken>(&[token.id.as_str()], &body, &[if_match(token.version)]).await
            }
        },
        on_done,
    );
    let on_submit = {
        let (draft, errors, token, on_run) =
            (draft.clone(), errors.setter(), Rc::clone(&props.token), action.on_run.clone());
        Callback::from(move |()| match draft.request(&token).validate(format::now()) {
            Ok(_) => {
                errors.set(vec![]);
                on_run.emit(draft.request(&token));
            }
            Err(found) => errors.set(found),
        })
    };
    let refused = action.error.as_ref().map_or(&**errors, |error| error.fields());
    let set = |change: fn(&mut Draft, String)| {
        let draft = draft.clone();
        Callback::from(move |text: String| {
            let mut next = (*draft).clone();
            change(&mut next, text);
            draft.set(next);
        })
    };
    let on_scopes = {
        let draft = draft.clone();
        Callback::from(move |scopes| draft.set(Draft { scopes, ..(*draft).clone() }))
    };
    let on_limits = {
        let draft = draft.clone();
        Callback::from(move |limits| draft.set(Draft { limits, ..(*draft).clone() }))
    };
    let on_faults = {
        let draft = draft.clone();
        Callback::from(move |injects_faults| draft.set(Draft { injects_faults, ..(*draft).clone() }))
    };
    let footer = html! {
        <>
            <Button
                r#type={ButtonType::Submit}
                variant={ButtonVariant::Primary}
                label={i18n.t("app.save").to_string()}
                loading={action.is_busy}
                disabled={action.is_busy || draft.scopes.is_empty() || *draft == Draft::of(&props.token)}
            />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog title={i18n.t("tokens.edit")} {footer} on_close={props.on_close.clone()} {on_submit} is_wide=true>
            <div class="tm-form">
                <TextField
                    label={i18n.t("token.name")}
                    value={draft.name.clone()}
                    on_change={set(|draft, text| draft.name = text)}
                    error={error_of(refused, "name")}
                    is_required=true
                    is_first=true
                />
                <ScopePicker
                    label={i18n.t("token.scopes")}
                    routes={Rc::clone(&props.routes)}
                    scopes={draft.scopes.clone()}
                    on_change={on_scopes}
                    cap={props.cap.clone()}
                    error={error_within(refused, "scopes")}
                />
                <TextAreaField
                    label={i18n.t("token.description")}
                    value={draft.description.clone()}
                    on_change={set(|draft, text| draft.description = text)}
                    error={error_of(refused, "description")}
                />
                <TextAreaField
                    label={i18n.t("token.ip-allow")}
                    value={draft.ip_allow.clone()}
                    on_change={set(|draft, text| draft.ip_allow = text)}
                    help={i18n.t("token.ip-allow-help")}
                    error={error_within(refused, "ip_allow")}
                />
                <LimitsFields draft={draft.limits.clone()} on_change={on_limits} defaults={props.defaults.clone()} help={i18n.t("limit.token-help")} errors={refused.to_vec()} />
                <CheckField label={i18n.t("token.faults")} is_checked={draft.injects_faults} on_change={on_faults} help={i18n.t("token.faults-help")} />
                if let Some(error) = action.error.filter(|error| error.fields().is_empty()) {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
    }
}
