//! The form for a route, new or not.

use super::credential::CredentialFields;
use super::draft::{Draft, FIELDS, Saved, kind_of, pool_of, save, whole_path};
use super::preview::Preview;
use super::settings::{ProviderField, SettingsFields};
use super::tested::{Tested, TestedNotice};
use super::tiles::VendorTiles;
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
use crate::vendors::Vendor;
use contract::routes::{GetRoute, RouteView};
use domain::people::role::{Action, Subject};
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RouteFormProps {
    /// The route to change; without one the form makes a route.
    #[prop_or_default]
    pub route: Option<Rc<RouteView>>,
    /// The vendor to begin with.
    #[prop_or_default]
    pub vendor: Option<&'static Vendor>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
    /// Emits each result of a new route's test call.
    #[prop_or_default]
    pub on_tested: Callback<Tested>,
    /// The test call that failed, whose route the form changes.
    #[prop_or_default]
    failed: Option<Tested>,
}

/// Makes or changes a route, with its credential. A new route is tested at once; if that fails, the form stays open as the
/// form of that route.
#[component]
pub fn RouteForm(props: &RouteFormProps) -> Html {
    let failed = use_state_eq(|| None::<Tested>);
    let on_tested = {
        let (failed, on_tested) = (failed.setter(), props.on_tested.clone());
        Callback::from(move |tested: Tested| {
            failed.set(Some(tested.clone()).filter(|tested| !tested.is_accepted()));
            on_tested.emit(tested);
        })
    };
    let props = RouteFormProps { on_tested, failed: (*failed).clone(), ..props.clone() };
    match &*failed {
        None => html! { <Fields ..props /> },
        Some(Tested { route, .. }) => {
            html! { <Fields key={route.version.to_string()} ..RouteFormProps { route: Some(Rc::clone(route)), ..props } /> }
        }
    }
}

/// Returns a callback that reports what was saved: it closes the dialog unless a test call failed.
#[hook]
fn use_reported(props: &RouteFormProps) -> Callback<Saved> {
    let (i18n, toast) = (use_i18n(), use_toast());
    let on_saved = use_saved(&props.on_changed, &props.on_close);
    let (on_changed, on_tested) = (props.on_changed.clone(), props.on_tested.clone());
    Callback::from(move |Saved { changed, tested }: Saved| {
        if changed.credential_dropped {
            toast.emit((Tone::Warning, i18n.t("routes.credential-dropped")));
        }
        match tested {
            Some(tested) if !tested.is_accepted() => {
                on_changed.emit(());
                on_tested.emit(tested);
            }
            tested => {
                on_saved.emit(changed.propagation);
                if let Some(tested) = tested {
                    toast.emit((Tone::Success, tested.text(&i18n)));
                    on_tested.emit(tested);
                }
            }
        }
    })
}

fn first_draft(props: &RouteFormProps) -> Draft {
    match (&props.failed, props.vendor) {
        (Some(tested), _) => Draft::of_failed(tested),
        (None, Some(vendor)) => Draft::for_vendor(vendor),
        (None, None) => Draft::of(props.route.as_deref()),
    }
}

/// The form itself.
#[component]
fn Fields(props: &RouteFormProps) -> Html {
    let i18n = use_i18n();
    let (api, me) = (use_api(), use_me());
    let rules = use_config().addresses();
    let routes = use_routes().state.ready().cloned().unwrap_or_default();
    let opened = use_state(|| props.route.clone());
    let on_done = use_reported(props);
    let is_tested = opened.is_none() || props.failed.is_some();
    let mut form = {
        let (checked, sent, api) = ((*opened).clone(), (*opened).clone(), api.clone());
        use_form(
            || first_draft(props),
            move |draft: &Draft| {
                let errors = draft.errors(checked.as_deref(), rules);
                if errors.is_empty() { Ok(draft.clone()) } else { Err(errors) }
            },
            move |draft| save(api.clone(), sent.clone(), draft, is_tested),
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
    let has_settings = *use_memo((), |()| draft.settings.has_more());
    let route = opened.as_deref();
    let (title, label) = match (route, is_tested) {
        (None, _) => (i18n.t("routes.create"), i18n.t("routes.create-and-test")),
        (_, true) => (i18n.t("routes.edit"), i18n.t("routes.save-and-test")),
        (_, false) => (i18n.t("routes.edit"), i18n.t("app.save")),
    };
    html! {
        <FormDialog {title} {label} submission={form.submission.clone()} on_close={props.on_close.clone()} is_wide=true>
            if let Some(tested) = props.failed.clone() {
                <TestedNotice {tested} />
            } else if route.is_none() && props.vendor.is_none() {
                <VendorTiles on_choose={form.set(|draft, vendor| *draft = Draft::for_vendor(vendor))} />
            }
            { address(&i18n, &form, route.is_none(), props.vendor.is_none()) }
            if can(&me, Action::SetCredential, Subject::default()) {
                <CredentialFields
                    draft={draft.credential.clone()}
                    on_change={form.set(|d, credential| d.credential = credential)}
                    present={kind_of(route)}
                    pool={pool_of(route)}
                    errors={form.errors.clone()}
                    is_first={props.vendor.is_some() || props.failed.is_some()}
                />
            } else {
                <p class="tm-subtle">{ i18n.t("credential.role") }</p>
            }
            if draft.drops_credential(route, rules) {
                <Notice tone={Tone::Warning} title={i18n.t("credential.will-drop")} />
            }
            { more(&i18n, &form, has_settings, routes, route) }
            <CheckField label={i18n.t("route.enabled")} is_checked={draft.is_enabled} on_change={form.set(|d, is_on| d.is_enabled = is_on)} help={i18n.t("route.enabled-help")} />
            <TrialView trial={opened.as_ref().and_then(|route| Trial::of_route(route, draft.update(route), rules))} />
        </FormDialog>
    }
}

/// Labels, and the settings that few routes have.
fn more(
    i18n: &I18n,
    form: &Form<Draft>,
    has_settings: bool,
    routes: Rc<Vec<RouteView>>,
    route: Option<&RouteView>,
) -> Html {
    html! {
        <>
            { labels(i18n, form) }
            <details class="tm-details" open={has_settings}>
                <summary>{ i18n.t("routes.more-settings") }</summary>
                <div class="tm-form">
                    { behaviour(i18n, form) }
                    <SettingsFields
                        draft={form.draft().settings.clone()}
                        on_change={form.set(|d, settings| d.settings = settings)}
                        {routes}
                        itself={route.map(|route| route.id.clone())}
                        errors={form.errors.clone()}
                    />
                </div>
            </details>
        </>
    }
}

/// Name and path, the upstream's address, and where a call would go.
fn address(i18n: &I18n, form: &Form<Draft>, is_new: bool, is_first: bool) -> Html {
    let draft = form.draft();
    html! {
        <>
            <div class="tm-form-row">
                <TextField label={i18n.t("route.name")} value={draft.name.clone()} on_change={form.set(Draft::set_name)} error={form.error("name")} is_required=true {is_first} />
                <TextField
                    label={i18n.t("route.path")}
                    value={draft.path.clone()}
                    on_change={form.set(Draft::set_path)}
                    error={form.error("path")}
                    help={i18n.t("route.path-help")}
                    is_required=true
                    is_disabled={!is_new}
                />
            </div>
            <TextField
                label={i18n.t("route.backend")}
                value={draft.backend_url.clone()}
                on_change={form.set(Draft::set_backend_url)}
                error={form.error("backend_url")}
                placeholder="https://"
                help={i18n.t("route.backend-help")}
                is_required=true
            />
            <Preview path={whole_path(&draft.path).to_owned()} backend_url={draft.backend_url.clone()} />
            <ProviderField
                provider={draft.settings.provider}
                on_change={form.set(Draft::choose_provider)}
                error={form.error("settings.ai.provider")}
            />
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
