//! A route as it is typed in, and its way to the API.

use super::credential::{Choice, CredentialDraft};
use super::settings::SettingsDraft;
use super::tested::Tested;
use super::vendor_of_route;
use crate::api::{Api, CallError};
use crate::components::{DraftField, changed, filled, switch};
use crate::vendors::{self, Vendor};
use contract::Propagation;
use contract::routes::{
    ClearCredential, CreateRoute, CreateRouteRequest, RouteChanged, RouteTested, RouteView, SetCredential,
    TestRoute, TestRouteRequest, UpdateRoute, UpdateRouteRequest, check_credential,
};
use domain::credential::CredentialKind;
use domain::credential::pool::ShownPool;
use domain::error::FieldError;
use domain::upstream::address::{AddressRules, UpstreamUrl};
use domain::upstream::settings::AiProvider;
use std::rc::Rc;
use url::Url;

/// The form as it is typed in; lists are separated by commas or spaces.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub name: String,
    pub path: String,
    pub backend_url: String,
    pub description: String,
    pub tags: String,
    pub methods: String,
    pub timeout_s: String,
    pub cors_origins: String,
    pub is_enabled: bool,
    pub forwards_cookies: bool,
    pub settings: SettingsDraft,
    pub credential: CredentialDraft,
    chosen: Chosen,
}

/// The fields that were chosen. Until then the path follows the name, and the AI provider the upstream's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    path: bool,
    provider: bool,
}

impl Draft {
    /// Returns the draft of a new route to a vendor.
    pub fn for_vendor(vendor: &Vendor) -> Self {
        let mut draft = Self::of(None);
        draft.set_name(vendor.name.to_owned());
        draft.path = format!("/api/{}", vendor.id);
        draft.set_backend_url(vendor.base_url.to_owned());
        // Another address, such as a proxy's, has the same vendor behind it.
        draft.chosen.provider = true;
        draft.credential = CredentialDraft::for_vendor(vendor);
        draft
    }

    /// Returns the draft of a route whose test call failed: its credential has to be entered again.
    pub fn of_failed(tested: &Tested) -> Self {
        Self { credential: tested.credential.clone(), ..Self::of(Some(&tested.route)) }
    }

    pub fn set_name(&mut self, name: String) {
        self.name = name;
        if !self.chosen.path {
            self.path = format!("/api/{}", slug(&self.name));
        }
    }

    pub fn set_path(&mut self, path: String) {
        self.path = path;
        self.chosen.path = true;
    }

    pub fn set_backend_url(&mut self, url: String) {
        self.backend_url = url;
        if !self.chosen.provider {
            let host = Url::parse(self.backend_url.trim()).ok();
            let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
            self.settings.provider = vendors::provider_of(host);
        }
    }

    pub fn choose_provider(&mut self, provider: Option<AiProvider>) {
        self.settings.provider = provider;
        self.chosen.provider = true;
    }

    pub fn of(route: Option<&RouteView>) -> Self {
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
            chosen: Chosen { path: route.is_some(), provider: route.is_some() },
        }
    }

    fn create(&self) -> CreateRouteRequest {
        CreateRouteRequest {
            name: self.name.clone(),
            path: whole_path(&self.path).to_owned(),
            backend_url: self.backend_url.trim().to_owned(),
            description: filled(&self.description),
            tags: words(&self.tags),
            methods: words(&self.methods.to_ascii_uppercase()),
            enabled: self.is_enabled,
            timeout_ms: milliseconds(&self.timeout_s),
            cors_origins: words(&self.cors_origins),
            forward_cookies: self.forwards_cookies,
            settings: self.settings.settings(),
            credential: self.credential.credential(None),
        }
    }

    /// Names only the fields that differ, so that another person's changes are not overwritten.
    pub fn update(&self, route: &RouteView) -> UpdateRouteRequest {
        let (old, new) = (Self::of(Some(route)).create(), self.create());
        UpdateRouteRequest {
            name: changed(&old.name, new.name),
            backend_url: changed(&old.backend_url, new.backend_url),
            description: changed(&old.description, new.description),
            tags: changed(&old.tags, new.tags),
            methods: changed(&old.methods, new.methods),
            enabled: changed(&old.enabled, new.enabled),
            timeout_ms: changed(&old.timeout_ms, new.timeout_ms),
            cors_origins: changed(&old.cors_origins, new.cors_origins),
            forward_cookies: changed(&old.forward_cookies, new.forward_cookies),
            settings: changed(&old.settings, new.settings),
        }
    }

    /// Finds errors by the API's own rules, before it is called.
    pub fn errors(&self, route: Option<&RouteView>, rules: AddressRules) -> Vec<FieldError> {
        let Some(route) = route else {
            return self.create().validate(rules).err().unwrap_or_default();
        };
        let mut errors = self.update(route).validate(rules).err().unwrap_or_default();
        if let Some(credential) = self.credential.credential(kind_of(Some(route))) {
            check_credential("credential.", &credential, rules, &mut errors);
            errors.retain(|error| !self.credential.keeps(&error.field));
        }
        errors
    }

    /// Whether the credential of `route` would be lost: it is sealed to another origin than the one typed in.
    pub fn drops_credential(&self, route: Option<&RouteView>, rules: AddressRules) -> bool {
        let credential = route.and_then(|route| route.upstream.as_ref()).and_then(|u| u.credential.as_ref());
        let origin = UpstreamUrl::parse(&self.backend_url, rules).ok().map(|url| url.origin());
        credential.zip(origin).is_some_and(|(credential, origin)| {
            credential.origin != origin && self.credential.credential(Some(credential.kind)).is_none()
        })
    }
}

/// The fields of a route that exists, but for its path, which never changes, and its credential, which is never shown.
pub const FIELDS: &[DraftField<Draft>] = &[
    DraftField {
        label: |i18n| i18n.t("route.name"),
        text: |_, draft| draft.name.clone(),
        take: |draft, from| draft.name.clone_from(&from.name),
    },
    DraftField {
        label: |i18n| i18n.t("route.backend"),
        text: |_, draft| draft.backend_url.clone(),
        take: |draft, from| draft.backend_url.clone_from(&from.backend_url),
    },
    DraftField {
        label: |i18n| i18n.t("route.tags"),
        text: |_, draft| words(&draft.tags).join(", "),
        take: |draft, from| draft.tags.clone_from(&from.tags),
    },
    DraftField {
        label: |i18n| i18n.t("route.methods"),
        text: |_, draft| words(&draft.methods.to_ascii_uppercase()).join(", "),
        take: |draft, from| draft.methods.clone_from(&from.methods),
    },
    DraftField {
        label: |i18n| i18n.t("route.description"),
        text: |_, draft| draft.description.clone(),
        take: |draft, from| draft.description.clone_from(&from.description),
    },
    DraftField {
        label: |i18n| i18n.t("route.timeout"),
        text: |_, draft| draft.timeout_s.clone(),
        take: |draft, from| draft.timeout_s.clone_from(&from.timeout_s),
    },
    DraftField {
        label: |i18n| i18n.t("route.cors"),
        text: |_, draft| words(&draft.cors_origins).join(", "),
        take: |draft, from| draft.cors_origins.clone_from(&from.cors_origins),
    },
    DraftField {
        label: |i18n| i18n.t("route.cookies"),
        text: |i18n, draft| switch(i18n, draft.forwards_cookies),
        take: |draft, from| draft.forwards_cookies = from.forwards_cookies,
    },
    DraftField {
        label: |i18n| i18n.t("routes.more-settings"),
        text: |i18n, draft| draft.settings.text(i18n),
        take: |draft, from| draft.settings.clone_from(&from.settings),
    },
    DraftField {
        label: |i18n| i18n.t("route.enabled"),
        text: |i18n, draft| switch(i18n, draft.is_enabled),
        take: |draft, from| draft.is_enabled = from.is_enabled,
    },
];

/// Returns the kind of the credential that a route has.
pub fn kind_of(route: Option<&RouteView>) -> Option<CredentialKind> {
    Some(route?.upstream.as_ref()?.credential.as_ref()?.kind)
}

/// Returns the pool of credentials that a route has.
pub fn pool_of(route: Option<&RouteView>) -> Option<ShownPool> {
    route?.upstream.as_ref()?.credential.as_ref()?.pool.clone()
}

/// A saved route, and its test call if it was tested.
pub struct Saved {
    pub changed: RouteChanged,
    pub tested: Option<Tested>,
}

/// Saves a route, and makes its test call if it `is_tested`.
pub async fn save(
    api: Api,
    route: Option<Rc<RouteView>>,
    draft: Draft,
    is_tested: bool,
) -> Result<Saved, CallError> {
    let credential = draft.credential.without_secrets();
    let changed = change(&api, route, draft).await?;
    let mut tested = None;
    if is_tested {
        let result = test(&api, &changed.route).await.map_err(Rc::new);
        tested = Some(Tested { route: Rc::new(changed.route.clone()), credential, result });
    }
    Ok(Saved { changed, tested })
}

/// Saves a route, then its credential: a new origin drops the credential that was set before.
async fn change(api: &Api, route: Option<Rc<RouteView>>, draft: Draft) -> Result<RouteChanged, CallError> {
    let Some(route) = route else {
        return api.request::<CreateRoute>().secret_body(&draft.create()).send().await;
    };
    let id = [route.id.as_str()];
    let present = kind_of(Some(&route));
    let update = draft.update(&route);
    let mut saved = None;
    if update != UpdateRouteRequest::default() {
        let call = api.request::<UpdateRoute>().path(&id).body(&update).if_match(route.version);
        saved = Some(call.send().await?);
    }
    if let Some(credential) = draft.credential.credential(present) {
        saved = Some(api.request::<SetCredential>().path(&id).secret_body(&credential).send().await?);
    } else if draft.credential.choice == Choice::Clear && present.is_some() {
        saved = Some(api.request::<ClearCredential>().path(&id).send().await?);
    }
    // If nothing differs, there is nothing to save.
    Ok(saved.unwrap_or_else(|| RouteChanged {
        route: (*route).clone(),
        propagation: Propagation::Published,
        credential_dropped: false,
    }))
}

/// Makes a call of a route that costs nothing, with its credential.
async fn test(api: &Api, route: &RouteView) -> Result<RouteTested, CallError> {
    let path = vendor_of_route(route).map(|(vendor, base)| vendor.probe_path(base.as_deref()));
    let request =
        TestRouteRequest { path: path.filter(|path| !path.is_empty()), ..TestRouteRequest::default() };
    api.request::<TestRoute>().path(&[route.id.as_str()]).body(&request).send().await
}

/// Returns a path as it is meant: without a slash at its end.
pub fn whole_path(path: &str) -> &str {
    let path = path.trim();
    path.strip_suffix('/').filter(|rest| !matches!(*rest, "" | "/api")).unwrap_or(path)
}

/// Returns a name as a segment of a path.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// Returns the words of a list that is typed in.
fn words(text: &str) -> Vec<String> {
    text.split([',', ' ', '\n']).filter_map(filled).collect()
}

fn seconds(ms: u32) -> String {
    let (whole, rest) = (ms / 1000, ms % 1000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:03}").trim_end_matches('0').to_owned() }
}

/// Unparsable input becomes an out-of-range value, so validation reports it.
fn milliseconds(seconds: &str) -> Option<u32> {
    let parse = |seconds: String| {
        let (whole, rest) = seconds.split_once('.').unwrap_or((&seconds, ""));
        let rest = format!("{rest:0<3}");
        let ms: u32 = rest.get(..3)?.parse().ok()?;
        whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(ms)
    };
    filled(seconds).map(|seconds| parse(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        let sent = |draft: &Draft| serde_json::to_value(draft.update(&route())).unwrap();
        let draft = Draft::of(Some(&route()));
        assert_eq!(sent(&draft), json!({}));
        let renamed = Draft { name: "AI".into(), tags: "ai beta".into(), timeout_s: String::new(), ..draft };
        assert_eq!(sent(&renamed), json!({"name":"AI","tags":["ai","beta"],"timeout_ms":null}));
        assert_eq!(renamed.errors(Some(&route()), false.into()), []);
    }

    #[test]
    fn a_new_route_is_checked_field_by_field() {
        let draft = Draft { path: "api".into(), timeout_s: "x".into(), ..Draft::of(None) };
        let fields: Vec<_> = draft.errors(None, false.into()).into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["name", "path", "backend_url", "timeout_ms"]);
    }

    #[test]
    fn the_path_follows_the_name_and_the_provider_the_host_until_they_are_chosen() {
        let mut draft = Draft::of(None);
        draft.set_name("My  OpenAI (EU)".into());
        assert_eq!(draft.create().path, "/api/my-openai-eu");
        draft.set_name("翻譯".into());
        assert_eq!(draft.create().path, "/api/", "which is refused");
        draft.set_path(" /api/mine/ ".into());
        draft.set_name("Other".into());
        assert_eq!(draft.create().path, "/api/mine");
        let provider = |draft: &Draft| draft.create().settings.ai.map(|ai| ai.provider);
        draft.set_backend_url("https://api.anthropic.com".into());
        assert_eq!(provider(&draft), Some(AiProvider::Anthropic));
        draft.set_backend_url("https://up.example".into());
        assert_eq!(provider(&draft), None);
        draft.choose_provider(Some(AiProvider::Gemini));
        draft.set_backend_url("https://api.openai.com/v1".into());
        assert_eq!(provider(&draft), Some(AiProvider::Gemini));
    }

    #[test]
    fn a_vendor_fills_in_all_but_the_secret() {
        for vendor in &vendors::VENDORS {
            let errors = Draft::for_vendor(vendor).errors(None, false.into());
            let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
            let is_credential = |field: &&str| field.starts_with("credential.");
            assert!(fields.len() == 1 && fields.iter().all(is_credential), "{} {fields:?}", vendor.name);
        }
    }

    #[test]
    fn another_origin_drops_the_credential_and_another_path_does_not() {
        let at = |url: &str| Draft { backend_url: url.into(), ..Draft::of(Some(&route())) };
        assert!(at("https://evil.example/v1").drops_credential(Some(&route()), false.into()));
        assert!(!at("https://api.openai.com/v2").drops_credential(Some(&route()), false.into()));
        assert!(!at("https://api.openai.com/v2").drops_credential(None, false.into()));
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
