use super::credential::{Choice, CredentialDraft, CredentialFields};
use super::preview::Preview;
use super::settings::{SettingsDraft, SettingsFields};
use crate::api::{Api, CallError, if_match, use_api};
use crate::components::{
    CallErrorView, CheckField, Dialog, TextAreaField, TextField, error_of, error_within,
};
use crate::config::use_config;
use crate::hooks::{use_action, use_routes};
use crate::i18n::use_i18n;
use crate::state::session::{can, use_me};
use crate::state::toasts::{Tone, use_toast};
use contract::Propagation;
use contract::routes::{
    ClearCredential, CreateRoute, CreateRouteRequest, RouteChanged, RouteView, SetCredential, UpdateRoute,
    UpdateRouteRequest,
};
use domain::credential::CredentialKind;
use domain::error::FieldError;
use domain::people::role::{Action, Subject};
use domain::upstream::address::{origin_of, parse_base};
use domain::upstream::settings::RouteSettings;
use patternfly_yew::prelude::*;
use serde_json::{Map, Value, json};
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RouteFormProps {
    /// Changed where there is one, else one is made.
    #[prop_or_default]
    pub route: Option<Rc<RouteView>>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// What is typed in; lists are separated by commas or spaces.
#[derive(Clone, Debug, PartialEq)]
struct Draft {
    name: String,
    path: String,
    backend_url: String,
    description: String,
    tags: String,
    methods: String,
    timeout_s: String,
    cors_origins: String,
    is_enabled: bool,
    forwards_cookies: bool,
    settings: SettingsDraft,
    credential: CredentialDraft,
}

impl Draft {
    fn of(route: Option<&RouteView>) -> Self {
        let upstream = route.and_then(|route| route.upstream.as_ref());
        let text = |get: fn(&RouteView) -> String| route.map(get).unwrap_or_default();
        Self {
            name: text(|route| route.name.clone()),
            path: route.map_or_else(|| "/api/".to_owned(), |route| route.path.as_str().to_owned()),
            backend_url: upstream.map(|upstream| upstream.backend_url.clone()).unwrap_or_default(),
            description: text(|route| route.description.clone().unwrap_or_default()),
            tags: text(|route| route.tags.join(", ")),
            methods: text(|route| route.methods.join(", ")),
            timeout_s: upstream.and_then(|u| u.timeout_ms).map(seconds).unwrap_or_default(),
            cors_origins: upstream.map(|upstream| upstream.cors_origins.join(", ")).unwrap_or_default(),
            is_enabled: route.is_none_or(|route| route.enabled),
            forwards_cookies: upstream.is_some_and(|upstream| upstream.forward_cookies),
            settings: SettingsDraft::of(&upstream.map(|u| u.settings.clone()).unwrap_or_default()),
            credential: CredentialDraft::default(),
        }
    }

    /// Every field but path and credential, as the API takes it.
    fn fields(&self) -> Map<String, Value> {
        let description = Some(self.description.trim()).filter(|text| !text.is_empty());
        let fields = json!({
            "name": self.name,
            "backend_url": self.backend_url.trim(),
            "description": description,
            "tags": words(&self.tags),
            "methods": words(&self.methods).iter().map(|m| m.to_ascii_uppercase()).collect::<Vec<_>>(),
            "timeout_ms": milliseconds(&self.timeout_s),
            "cors_origins": words(&self.cors_origins),
            "enabled": self.is_enabled,
            "forward_cookies": self.forwards_cookies,
            "settings": self.settings.settings(),
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    fn create(&self) -> Value {
        let mut fields = self.fields();
        fields.insert("path".to_owned(), self.path.trim().into());
        if let Some(credential) = self.credential.value(None) {
            fields.insert("credential".to_owned(), credential);
        }
        Value::Object(fields)
    }

    /// Only what differs, so that nothing is written over that somebody else changed.
    fn update(&self, route: &RouteView) -> Value {
        let before = Self::of(Some(route)).fields();
        Value::Object(
            self.fields().into_iter().filter(|(name, value)| before.get(name) != Some(value)).collect(),
        )
    }

    /// By `domain`'s own rules, before the API is asked.
    fn errors(
        &self,
        route: Option<&RouteView>,
        present: Option<CredentialKind>,
        is_local: bool,
    ) -> Vec<FieldError> {
        let unreadable = |why: serde_json::Error| vec![FieldError::new("name", why.to_string())];
        let mut errors = match route {
            None => serde_json::from_value::<CreateRouteRequest>(self.create())
                .map_err(unreadable)
                .and_then(|request| request.validate(is_local).map(|_| ())),
            Some(route) => serde_json::from_value::<UpdateRouteRequest>(self.update(route))
                .map_err(unreadable)
                .and_then(|request| request.validate(is_local).map(|_| ())),
        }
        .err()
        .unwrap_or_default();
        errors.extend(self.credential.errors(present, is_local));
        errors
    }
}

/// The words of a list that is typed in.
fn words(text: &str) -> Vec<&str> {
    text.split([',', ' ', '\n']).map(str::trim).filter(|word| !word.is_empty()).collect()
}

fn seconds(ms: u32) -> String {
    let (whole, rest) = (ms / 1000, ms % 1000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:03}").trim_end_matches('0').to_owned() }
}

/// What is no number is refused like one out of range.
fn milliseconds(seconds: &str) -> Option<u32> {
    let seconds = seconds.trim();
    (!seconds.is_empty()).then(|| {
        let (whole, rest) = seconds.split_once('.').unwrap_or((seconds, ""));
        let rest = format!("{rest:0<3}");
        let ms = rest.get(..3).and_then(|rest| rest.parse::<u32>().ok());
        whole
            .parse::<u32>()
            .ok()
            .zip(ms)
            .and_then(|(s, ms)| s.checked_mul(1000)?.checked_add(ms))
            .unwrap_or(0)
    })
}

/// What a save does, in order: the route first, since a new origin drops the credential.
async fn save(api: Api, route: Option<Rc<RouteView>>, draft: Draft) -> Result<RouteChanged, CallError> {
    let Some(route) = route else { return api.send_value::<CreateRoute>(&[], &draft.create(), &[]).await };
    let id = route.id.as_str();
    let present = present_kind(Some(&route));
    let update = draft.update(&route);
    let mut changed = None;
    if update.as_object().is_some_and(|fields| !fields.is_empty()) {
        changed = Some(api.send_value::<UpdateRoute>(&[id], &update, &[if_match(route.version)]).await?);
    }
    if let Some(credential) = draft.credential.value(present) {
        changed = Some(api.send_value::<SetCredential>(&[id], &credential, &[]).await?);
    } else if draft.credential.choice == Choice::Clear && present.is_some() {
        changed = Some(api.call::<ClearCredential>(&[id]).await?);
    }
    // Nothing differed: as good as saved.
    Ok(changed.unwrap_or_else(|| RouteChanged {
        route: (*route).clone(),
        propagation: Propagation::Published,
        credential_dropped: false,
    }))
}

fn present_kind(route: Option<&RouteView>) -> Option<CredentialKind> {
    Some(route?.upstream.as_ref()?.credential.as_ref()?.kind)
}

/// Whether the credential is sealed to another origin than the one typed in.
fn drops_credential(route: Option<&RouteView>, backend_url: &str, is_local: bool) -> bool {
    let credential = route.and_then(|route| route.upstream.as_ref()).and_then(|u| u.credential.as_ref());
    let origin = parse_base(backend_url, is_local).ok().map(|url| origin_of(&url));
    credential.zip(origin).is_some_and(|(credential, origin)| credential.origin != origin)
}

#[component]
pub fn RouteForm(props: &RouteFormProps) -> Html {
    let i18n = use_i18n();
    let (api, me, toast, config) = (use_api(), use_me(), use_toast(), use_config());
    let route = props.route.clone();
    let draft = use_state_eq(|| Draft::of(route.as_deref()));
    let routes = use_routes().state.ready().cloned().unwrap_or_default();
    let errors = use_state_eq(Vec::<FieldError>::new);
    let present = present_kind(route.as_deref());
    let is_local = config.is_local();
    let has_settings = *use_memo((), |()| draft.settings != SettingsDraft::of(&RouteSettings::default()));
    let on_done = {
        let (i18n, on_changed, on_close) = (i18n.clone(), props.on_changed.clone(), props.on_close.clone());
        Callback::from(move |changed: RouteChanged| {
            let (tone, text) = match changed.propagation {
                Propagation::Published => (Tone::Success, i18n.t("saved.published")),
                Propagation::Pending => (Tone::Warning, i18n.t("saved.pending")),
            };
            toast.emit((tone, text));
            if changed.credential_dropped {
                toast.emit((Tone::Warning, i18n.t("routes.credential-dropped")));
            }
            on_changed.emit(());
            on_close.emit(());
        })
    };
    let action = {
        let route = route.clone();
        use_action(move |draft: Draft| save(api.clone(), route.clone(), draft), on_done)
    };
    let on_submit = {
        let (draft, errors, route, on_run) =
            (draft.clone(), errors.setter(), route.clone(), action.on_run.clone());
        Callback::from(move |()| {
            let found = draft.errors(route.as_deref(), present, is_local);
            if found.is_empty() {
                on_run.emit((*draft).clone());
            }
            errors.set(found);
        })
    };
    let refused = action.error.as_ref().filter(|e| !e.fields().is_empty()).map_or(&**errors, |e| e.fields());
    let set = |change: fn(&mut Draft, String)| {
        let draft = draft.clone();
        Callback::from(move |text: String| {
            let mut next = (*draft).clone();
            change(&mut next, text);
            draft.set(next);
        })
    };
    let switch = |change: fn(&mut Draft, bool)| {
        let draft = draft.clone();
        Callback::from(move |value: bool| {
            let mut next = (*draft).clone();
            change(&mut next, value);
            draft.set(next);
        })
    };
    let on_credential = {
        let draft = draft.clone();
        Callback::from(move |credential| draft.set(Draft { credential, ..(*draft).clone() }))
    };
    let on_settings = {
        let draft = draft.clone();
        Callback::from(move |settings| draft.set(Draft { settings, ..(*draft).clone() }))
    };
    let title = if route.is_some() { i18n.t("routes.edit") } else { i18n.t("routes.create") };
    let footer = html! {
        <>
            <Button
                r#type={ButtonType::Submit}
                variant={ButtonVariant::Primary}
                label={if route.is_some() { i18n.t("app.save") } else { i18n.t("routes.create") }.to_string()}
                loading={action.is_busy}
                disabled={action.is_busy}
            />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog {title} {footer} on_close={props.on_close.clone()} {on_submit} is_wide=true>
            <div class="tm-form">
                <div class="tm-form-row">
                    <TextField label={i18n.t("route.name")} value={draft.name.clone()} on_change={set(|d, text| d.name = text)} error={error_of(refused, "name")} is_required=true is_first=true />
                    <TextField
                        label={i18n.t("route.path")}
                        value={draft.path.clone()}
                        on_change={set(|d, text| d.path = text)}
                        error={error_of(refused, "path")}
                        help={i18n.t("route.path-help")}
                        is_required=true
                        is_disabled={route.is_some()}
                    />
                </div>
                <TextField
                    label={i18n.t("route.backend")}
                    value={draft.backend_url.clone()}
                    on_change={set(|d, text| d.backend_url = text)}
                    error={error_of(refused, "backend_url")}
                    placeholder="https://"
                    help={i18n.t("route.backend-help")}
                    is_required=true
                />
                <Preview path={draft.path.clone()} backend_url={draft.backend_url.clone()} />
                if can(&me, Action::SetCredential, Subject::default()) {
                    <CredentialFields draft={draft.credential.clone()} on_change={on_credential} {present} errors={refused.to_vec()} />
                } else {
                    <p class="tm-subtle">{ i18n.t("credential.role") }</p>
                }
                if drops_credential(route.as_deref(), &draft.backend_url, is_local) && draft.credential.value(present).is_none() {
                    <div class="pf-v6-c-alert pf-m-inline pf-m-warning">
                        <div class="pf-v6-c-alert__icon"><i class="fas fa-exclamation-triangle" aria-hidden="true" /></div>
                        <p class="pf-v6-c-alert__title">{ i18n.t("credential.will-drop") }</p>
                    </div>
                }
                <div class="tm-form-row">
                    <TextField label={i18n.t("route.tags")} value={draft.tags.clone()} on_change={set(|d, text| d.tags = text)} error={error_within(refused, "tags")} help={i18n.t("route.tags-help")} />
                    <TextField label={i18n.t("route.methods")} value={draft.methods.clone()} on_change={set(|d, text| d.methods = text)} error={error_within(refused, "methods")} help={i18n.t("scope.methods-help")} />
                </div>
                <TextAreaField label={i18n.t("route.description")} value={draft.description.clone()} on_change={set(|d, text| d.description = text)} error={error_of(refused, "description")} />
                <details class="tm-details" open={has_settings || error_within(refused, "settings").is_some()}>
                    <summary>{ i18n.t("routes.more-settings") }</summary>
                    <div class="tm-form">
                        <TextField label={i18n.t("route.timeout")} value={draft.timeout_s.clone()} on_change={set(|d, text| d.timeout_s = text)} error={error_of(refused, "timeout_ms")} help={i18n.t("route.timeout-help")} />
                        <TextField label={i18n.t("route.cors")} value={draft.cors_origins.clone()} on_change={set(|d, text| d.cors_origins = text)} error={error_within(refused, "cors_origins")} help={i18n.t("route.cors-help")} />
                        <CheckField label={i18n.t("route.cookies")} is_checked={draft.forwards_cookies} on_change={switch(|d, value| d.forwards_cookies = value)} help={i18n.t("route.cookies-help")} />
                        <SettingsFields draft={draft.settings.clone()} on_change={on_settings} {routes} itself={route.as_ref().map(|route| route.id.clone())} errors={refused.to_vec()} />
                    </div>
                </details>
                <CheckField label={i18n.t("route.enabled")} is_checked={draft.is_enabled} on_change={switch(|d, value| d.is_enabled = value)} help={i18n.t("route.enabled-help")} />
                if let Some(error) = action.error.filter(|error| error.fields().is_empty()) {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> RouteView {
        serde_json::from_value(json!({
            "id":"rte_1","name":"OpenAI","path":"/api/openai","description":null,"tags":["ai"],"methods":["GET"],
            "enabled":true,"created_at":0,"updated_at":0,"version":3,
            "upstream":{"backend_url":"https://api.openai.com/v1","timeout_ms":2500,"cors_origins":[],
                "forward_cookies":false,"settings":{},"credential":{"kind":"bearer","origin":"https://api.openai.com","updated_at":0}}}))
        .unwrap()
    }

    #[test]
    fn a_draft_of_a_route_changes_nothing_until_something_is_typed() {
        let draft = Draft::of(Some(&route()));
        assert_eq!(draft.update(&route()), json!({}));
        let renamed = Draft { name: "AI".into(), tags: "ai beta".into(), ..draft };
        assert_eq!(renamed.update(&route()), json!({"name":"AI","tags":["ai","beta"]}));
        assert_eq!(renamed.errors(Some(&route()), Some(CredentialKind::Bearer), false), []);
    }

    #[test]
    fn a_new_route_is_checked_by_the_domain_field_by_field() {
        let draft = Draft { path: "api".into(), timeout_s: "x".into(), ..Draft::of(None) };
        let fields: Vec<_> = draft.errors(None, None, false).into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["name", "path", "backend_url", "timeout_ms"]);
    }

    #[test]
    fn another_origin_drops_the_credential_and_another_path_does_not() {
        assert!(drops_credential(Some(&route()), "https://evil.example/v1", false));
        assert!(!drops_credential(Some(&route()), "https://api.openai.com/v2", false));
        assert!(!drops_credential(None, "https://api.openai.com/v2", false));
    }

    #[test]
    fn seconds_survive_the_way_there_and_back() {
        for ms in [1, 500, 2_500, 100_000] {
            assert_eq!(milliseconds(&seconds(ms)), Some(ms));
        }
        assert_eq!(milliseconds(" "), None);
        assert_eq!(milliseconds("soon"), Some(0), "refused as out of range");
    }
}
