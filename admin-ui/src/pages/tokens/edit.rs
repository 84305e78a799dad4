//! The form for a token that exists.

use super::draft::{Draft, more_fields};
use crate::api::use_api;
use crate::clock;
use crate::components::{FormDialog, ScopePicker, TextField, use_form, use_saved};
use crate::i18n::use_i18n;
use contract::routes::RouteView;
use contract::tokens::{TokenChanged, TokenView, UpdateToken, UpdateTokenRequest};
use domain::limit::Limits;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct EditTokenProps {
    pub token: Rc<TokenView>,
    pub routes: Rc<Vec<RouteView>>,
    /// The team's scope cap.
    pub cap: Option<Vec<String>>,
    /// The team's limits.
    pub defaults: Limits,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// Changes a token; sends only the fields that differ.
#[component]
pub fn EditToken(props: &EditTokenProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let on_saved = use_saved(&props.on_changed, &props.on_close);
    let form = {
        let (checked, sent) = (Rc::clone(&props.token), Rc::clone(&props.token));
        use_form(
            || Draft::of(&props.token),
            move |draft: &Draft| {
                let request = draft.update(&checked);
                request.clone().validate(clock::now()).map(|_| request)
            },
            move |request: UpdateTokenRequest| {
                let (api, token) = (api.clone(), Rc::clone(&sent));
                async move {
                    let call = api.request::<UpdateToken>().path(&[token.id.as_str()]);
                    call.body(&request).if_match(token.version).send().await
                }
            },
            on_saved.reform(|changed: TokenChanged| changed.propagation),
        )
    };
    let draft = form.draft();
    let is_disabled = draft.scopes.is_empty() || *draft == Draft::of(&props.token);
    html! {
        <FormDialog
            title={i18n.t("tokens.edit")}
            label={i18n.t("app.save")}
            submission={form.submission.clone()}
            on_close={props.on_close.clone()}
            {is_disabled}
            is_wide=true
        >
            <TextField
                label={i18n.t("token.name")}
                value={draft.name.clone()}
                on_change={form.set(|draft, text| draft.name = text)}
                error={form.error("name")}
                is_required=true
                is_first=true
            />
            <ScopePicker
                label={i18n.t("token.scopes")}
                routes={Rc::clone(&props.routes)}
                scopes={draft.scopes.clone()}
                on_change={form.set(|draft, scopes| draft.scopes = scopes)}
                cap={props.cap.clone()}
                error={form.error_within("scopes")}
            />
            { more_fields(&i18n, &form, props.defaults.clone()) }
        </FormDialog>
    }
}
