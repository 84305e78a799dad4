//! The form for a route, new or not.

use super::credential::CredentialFields;
use super::draft::{Draft, FIELDS, kind_of, save};
use super::preview::Preview;
use super::settings::{SettingsDraft, SettingsFields};
use crate::api::use_api;
use crate::components::{
    CheckField, Form, FormDialog, Notice, TextAreaField, TextField, Trial, TrialView, use_conflict, use_form,
    use_saved,
};
use crate::config::use_config;
use crate::hooks::use_routes;
use crate::i18n::{I18n, use_i18n};
use crate::state::session::{can, use_me};
use crate::state::toasts::{Tone, use_toast};
use contract::routes::{GetRoute, RouteChanged, RouteView};
use domain::people::role::{Action, Subject};
use domain::upstream::settings::RouteSettings;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RouteFormProps {
    /// The route to change; without one the form makes a route.
    #[prop_or_default]
    pub route: Option<Rc<RouteView>>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// Makes or changes a route, with its credential.
#[component]
pub fn RouteForm(props: &RouteFormProps) -> Html {
    let i18n = use_i18n();
    let (api, me, toast) = (use_api(), use_me(), use_toast());
    let on_saved = use_saved(&props.on_changed, &props.on_close);
    let rules = use_config().addresses();
    let routes = use_routes().state.ready().cloned().unwrap_or_default();
    let on_done = {
        let i18n = i18n.clone();
        on_saved.reform(move |changed: RouteChanged| {
            if changed.credential_dropped {
                toast.emit((Tone::Warning, i18n.t("routes.credential-dropped")));
            }
            changed.propagation
        })
    };
    let opened = use_state(|| props.route.clone());
    let mut form = {
        let (checked, sent, api) = ((*opened).clone(), (*opened).clone(), api.clone());
        use_form(
            || Draft::of(props.route.as_deref()),
            move |draft: &Draft| {
                let errors = draft.errors(checked.as_deref(), rules);
                if errors.is_empty() { Ok(draft.clone()) } else { Err(errors) }
            },
            move |draft| save(api.clone(), sent.clone(), draft),
            on_done,
        )
    };
    let reread = {
        let id = props.route.as_ref().map(|route| route.id.to_string()).unwrap_or_default();
        move || {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<GetRoute>().path(&[&id]).send().await.map(|route| Some(Rc::new(route))) }
        }
    };
    use_conflict(&mut form, &opened, |route| Draft::of(route.as_deref()), FIELDS, reread, &props.on_changed);
    let draft = form.draft();
    let has_settings = *use_memo((), |()| draft.settings != SettingsDraft::of(&RouteSettings::default()));
    let route = opened.as_deref();
    let is_new = route.is_none();
    html! {
        <FormDialog
            title={if is_new { i18n.t("routes.create") } else { i18n.t("routes.edit") }}
            label={if is_new { i18n.t("routes.create") } else { i18n.t("app.save") }}
            submission={form.submission.clone()}
            on_close={props.on_close.clone()}
            is_wide=true
        >
            { address(&i18n, &form, is_new) }
            if can(&me, Action::SetCredential, Subject::default()) {
                <CredentialFields draft={draft.credential.clone()} on_change={form.set(|d, credential| d.credential = credential)} present={kind_of(route)} errors={form.errors.clone()} />
            } else {
                <p class="tm-subtle">{ i18n.t("credential.role") }</p>
            }
            if draft.drops_credential(route, rules) {
                <Notice tone={Tone::Warning} title={i18n.t("credential.will-drop")} />
            }
            { labels(&i18n, &form) }
            <details class="tm-details" open={has_settings}>
                <summary>{ i18n.t("routes.more-settings") }</summary>
                <div class="tm-form">
                    { behaviour(&i18n, &form) }
                    <SettingsFields
                        draft={draft.settings.clone()}
                        on_change={form.set(|d, settings| d.settings = settings)}
                        {routes}
                        itself={route.map(|route| route.id.clone())}
                        errors={form.errors.clone()}
                    />
                </div>
            </details>
            <CheckField label={i18n.t("route.enabled")} is_checked={draft.is_enabled} on_change={form.set(|d, is_on| d.is_enabled = is_on)} help={i18n.t("route.enabled-help")} />
            <TrialView trial={opened.as_ref().and_then(|route| Trial::of_route(route, draft.update(route), rules))} />
        </FormDialog>
    }
}

/// Name and path, the upstream's address, and where a call would go.
fn address(i18n: &I18n, form: &Form<Draft>, is_new: bool) -> Html {
    let draft = form.draft();
    html! {
        <>
            <div class="tm-form-row">
                <TextField label={i18n.t("route.name")} value={draft.name.clone()} on_change={form.set(|d, text| d.name = text)} error={form.error("name")} is_required=true is_first=true />
                <TextField
                    label={i18n.t("route.path")}
                    value={draft.path.clone()}
                    on_change={form.set(|d, text| d.path = text)}
                    error={form.error("path")}
                    help={i18n.t("route.path-help")}
                    is_required=true
                    is_disabled={!is_new}
                />
            </div>
            <TextField
                label={i18n.t("route.backend")}
                value={draft.backend_url.clone()}
                on_change={form.set(|d, text| d.backend_url = text)}
                error={form.error("backend_url")}
                placeholder="https://"
                help={i18n.t("route.backend-help")}
                is_required=true
            />
            <Preview path={draft.path.clone()} backend_url={draft.backend_url.clone()} />
        </>
    }
}

/// Tags, methods and description.
fn labels(i18n: &I18n, form: &Form<Draft>) -> Html {
    let draft = form.draft();
    html! {
        <>
            <div class="tm-form-row">
                <TextField label={i18n.t("route.tags")} value={draft.tags.clone()} on_change={form.set(|d, text| d.tags = text)} error={form.error_within("tags")} help={i18n.t("route.tags-help")} />
                <TextField label={i18n.t("route.methods")} value={draft.methods.clone()} on_change={form.set(|d, text| d.methods = text)} error={form.error_within("methods")} help={i18n.t("scope.methods-help")} />
            </div>
            <TextAreaField label={i18n.t("route.description")} value={draft.description.clone()} on_change={form.set(|d, text| d.description = text)} error={form.error("description")} />
        </>
    }
}

/// Time-out, CORS and cookies.
fn behaviour(i18n: &I18n, form: &Form<Draft>) -> Html {
    let draft = form.draft();
    html! {
        <>
            <TextField label={i18n.t("route.timeout")} value={draft.timeout_s.clone()} on_change={form.set(|d, text| d.timeout_s = text)} error={form.error("timeout_ms")} help={i18n.t("route.timeout-help")} />
            <TextField label={i18n.t("route.cors")} value={draft.cors_origins.clone()} on_change={form.set(|d, text| d.cors_origins = text)} error={form.error_within("cors_origins")} help={i18n.t("route.cors-help")} />
            <CheckField label={i18n.t("route.cookies")} is_checked={draft.forwards_cookies} on_change={form.set(|d, is_on| d.forwards_cookies = is_on)} help={i18n.t("route.cookies-help")} />
        </>
    }
}
