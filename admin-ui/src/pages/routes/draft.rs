//! A route as it is typed in, and its way to the API.

use super::credential::{Choice, CredentialDraft};
use super::settings::SettingsDraft;
use crate::api::{Api, CallError};
use crate::components::{DraftField, changed, filled, switch};
use contract::Propagation;
use contract::routes::{
    ClearCredential, CreateRoute, CreateRouteRequest, RouteChanged, RouteView, SetCredential, UpdateRoute,
    UpdateRouteRequest, check_credential,
};
use domain::credential::CredentialKind;
use domain::error::FieldError;
use domain::upstream::address::{AddressRules, UpstreamUrl};
use std::rc::Rc;

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
}

impl Draft {
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
        }
    }

    fn create(&self) -> CreateRouteRequest {
        CreateRouteRequest {
            name: self.name.clone(),
            path: self.path.trim().to_owned(),
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

/// Saves a route, then its credential: a new origin drops the credential that was set before.
pub async fn save(api: Api, route: Option<Rc<RouteView>>, draft: Draft) -> Result<RouteChanged, CallError> {
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
