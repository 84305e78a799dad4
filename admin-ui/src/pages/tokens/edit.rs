//! The form for a token that exists.

use super::draft::{Draft, FIELDS, more_fields};
use crate::api::use_api;
use crate::clock;
use crate::components::{
    FormDialog, ScopePicker, TextField, Trial, TrialView, use_conflict, use_form, use_saved,
};
use crate::i18n::use_i18n;
use contract::routes::RouteView;
use contract::tokens::{GetToken, TokenChanged, TokenView, UpdateToken, UpdateTokenRequest};
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
    let opened = use_state(|| Rc::clone(&props.token));
    let mut form = {
        let (checked, sent) = (Rc::clone(&opened), Rc::clone(&opened));
        let api = api.clone();
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
    let reread = {
        let id = props.token.id.clone();
        move || {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<GetToken>().path(&[id.as_str()]).send().await.map(Rc::new) }
        }
    };
    use_conflict(&mut form, &opened, |token| Draft::of(token), FIELDS, reread, &props.on_changed);
    let draft = form.draft();
    let is_disabled = *draft == Draft::of(&opened);
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
            <TrialView trial={Trial::of_token(&opened, draft.update(&opened), clock::now())} />
        </FormDialog>
    }
}
