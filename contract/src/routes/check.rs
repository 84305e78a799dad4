//! The checks of requests to `/api/routes`.

use super::{CreateRouteRequest, MAX_METHODS, MAX_ORIGINS, MAX_TAGS, UpdateRouteRequest};
use crate::tokens::{check_description, check_name};
use domain::access::path::RoutePath;
use domain::access::scope::is_label;
use domain::credential::Credential;
use domain::error::FieldError;
use domain::method::Method;
use domain::problem::Invalid;
use domain::upstream::address::{AddressRules, UpstreamUrl};
use domain::upstream::behaviour::MAX_TIMEOUT_MS;
use domain::upstream::cors::is_origin;
use domain::upstream::settings::RouteSettings;

/// A request that has passed its checks.
#[derive(Clone, Debug)]
pub struct NewRoute {
    /// Trimmed, 1 to 255 characters.
    pub name: String,
    /// The path that calls to the route begin with.
    pub path: RoutePath,
    /// The address that calls are sent to.
    pub upstream: UpstreamUrl,
    /// At most 500 characters; `None` if it was empty.
    pub description: Option<String>,
    /// At most 20 names.
    pub tags: Vec<String>,
    /// At most 20; empty means every method.
    pub methods: Vec<Method>,
    /// Whether the gateway takes calls to it.
    pub enabled: bool,
    /// `None` means the default of 100 s.
    pub timeout_ms: Option<u32>,
    /// Origins of browser applications; empty means no CORS.
    pub cors_origins: Vec<String>,
    /// Whether `Cookie` reaches the upstream.
    pub forward_cookies: bool,
    /// AI, failover and maintenance.
    pub settings: RouteSettings,
    /// The credential for the upstream, not sealed yet.
    pub credential: Option<Credential>,
}

/// A change that has passed its checks; `None` leaves a field unchanged.
#[derive(Clone, Debug, Default)]
pub struct RouteChange {
    /// Trimmed, 1 to 255 characters.
    pub name: Option<String>,
    /// The address that calls are sent to. Another origin drops the credential.
    pub upstream: Option<UpstreamUrl>,
    /// `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// At most 20 names, which replace all earlier ones.
    pub tags: Option<Vec<String>>,
    /// At most 20, which replace all earlier ones; empty means every method.
    pub methods: Option<Vec<Method>>,
    /// Whether the gateway takes calls to it.
    pub enabled: Option<bool>,
    /// `Some(None)` restores the default of 100 s.
    pub timeout_ms: Option<Option<u32>>,
    /// Origins of browser applications, which replace all earlier ones.
    pub cors_origins: Option<Vec<String>>,
    /// Whether `Cookie` reaches the upstream.
    pub forward_cookies: Option<bool>,
    /// AI, failover and maintenance, which replace all earlier settings.
    pub settings: Option<RouteSettings>,
}

impl CreateRouteRequest {
    /// Checks every field and returns the route.
    pub fn validate(self, rules: impl Into<AddressRules>) -> Result<NewRoute, Vec<FieldError>> {
        let rules = rules.into();
        let mut errors = Vec::new();
        let name = check_name("name", &self.name, &mut errors);
        let path =
            self.path.parse::<RoutePath>().map_err(|why| errors.push(FieldError::new("path", why))).ok();
        let upstream = check_upstream(&self.backend_url, rules, &mut errors);
        let description = check_description(self.description, &mut errors);
        let tags = check_tags(self.tags, &mut errors);
        let methods = check_methods(&self.methods, &mut errors);
        let timeout_ms = check_timeout(self.timeout_ms, &mut errors);
        let cors_origins = check_origins(self.cors_origins, &mut errors);
        self.settings.check(&mut errors);
        if let Some(credential) = &self.credential {
            check_credential("credential.", credential, rules, &mut errors);
        }
        match (path, upstream) {
            (Some(path), Some(upstream)) if errors.is_empty() => Ok(NewRoute {
                name,
                path,
                upstream,
                description,
                tags,
                methods,
                enabled: self.enabled,
                timeout_ms,
                cors_origins,
                forward_cookies: self.forward_cookies,
                settings: self.settings,
                credential: self.credential,
            }),
            _ => Err(errors),
        }
    }
}

impl UpdateRouteRequest {
    /// Checks the fields that are given and returns the change.
    pub fn validate(self, rules: impl Into<AddressRules>) -> Result<RouteChange, Vec<FieldError>> {
        let rules = rules.into();
        let mut errors = Vec::new();
        if let Some(settings) = &self.settings {
            settings.check(&mut errors);
        }
        let change = RouteChange {
            name: self.name.map(|name| check_name("name", &name, &mut errors)),
            upstream: self.backend_url.and_then(|url| check_upstream(&url, rules, &mut errors)),
            description: self.description.map(|text| check_description(text, &mut errors)),
            tags: self.tags.map(|tags| check_tags(tags, &mut errors)),
            methods: self.methods.map(|methods| check_methods(&methods, &mut errors)),
            enabled: self.enabled,
            timeout_ms: self.timeout_ms.map(|ms| check_timeout(ms, &mut errors)),
            cors_origins: self.cors_origins.map(|origins| check_origins(origins, &mut errors)),
            forward_cookies: self.forward_cookies,
            settings: self.settings,
        };
        if errors.is_empty() { Ok(change) } else { Err(errors) }
    }
}

/// Checks a credential. `prefix` goes before each field's name: `credential.` inside a route, empty otherwise.
pub fn check_credential(
    prefix: &str,
    credential: &Credential,
    rules: impl Into<AddressRules>,
    errors: &mut Vec<FieldError>,
) {
    if let Credential::Pool(pool) = credential {
        pool.check(prefix, rules.into(), errors);
    } else if let Err(invalid) = credential.validate(rules) {
        errors.push(FieldError::new(format!("{prefix}{}", invalid.field), invalid.reason.clone()));
    }
}

fn check_upstream(text: &str, rules: AddressRules, errors: &mut Vec<FieldError>) -> Option<UpstreamUrl> {
    UpstreamUrl::parse(text, rules).map_err(|why| errors.push(FieldError::new("backend_url", why))).ok()
}

fn check_tags(tags: Vec<String>, errors: &mut Vec<FieldError>) -> Vec<String> {
    if tags.len() > MAX_TAGS {
        errors.push(FieldError::new("tags", Invalid::TooManyTags { most: MAX_TAGS }));
        return vec![];
    }
    for (i, tag) in tags.iter().enumerate() {
        if !is_label(tag) {
            errors.push(FieldError::new(format!("tags.{i}"), Invalid::Name { most: 64 }));
        }
    }
    tags
}

fn check_methods(texts: &[String], errors: &mut Vec<FieldError>) -> Vec<Method> {
    if texts.len() > MAX_METHODS {
        errors.push(FieldError::new("methods", Invalid::TooManyMethods { most: MAX_METHODS }));
        return vec![];
    }
    let mut methods = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        match text.parse::<Method>() {
            Ok(method) => methods.push(method),
            Err(why) => errors.push(FieldError::new(format!("methods.{i}"), why)),
        }
    }
    methods
}

fn check_timeout(ms: Option<u32>, errors: &mut Vec<FieldError>) -> Option<u32> {
    if ms.is_some_and(|ms| !(1..=MAX_TIMEOUT_MS).contains(&ms)) {
        errors.push(FieldError::new("timeout_ms", Invalid::Range { least: 1, most: MAX_TIMEOUT_MS.into() }));
    }
    ms
}

fn check_origins(origins: Vec<String>, errors: &mut Vec<FieldError>) -> Vec<String> {
    if origins.len() > MAX_ORIGINS {
        errors.push(FieldError::new("cors_origins", Invalid::TooManyOrigins { most: MAX_ORIGINS }));
        return vec![];
    }
    for (i, origin) in origins.iter().enumerate() {
        if !is_origin(origin) {
            errors.push(FieldError::new(format!("cors_origins.{i}"), Invalid::Origin));
        }
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_bad_field_is_named() {
        let request: CreateRouteRequest = serde_json::from_value(json!({
            "name":"", "path":"api/x", "backend_url":"http://127.0.0.1", "tags":["a b"], "methods":["G T"],
            "timeout_ms":0, "cors_origins":["https://a.example/"],
            "settings":{"maintenance":{"message":"","retry_after_s":1}}, "credential":{"kind":"bearer","token":""}}))
        .unwrap();
        let fields: Vec<_> = request.validate(false).unwrap_err().into_iter().map(|e| e.field).collect();
        assert_eq!(
            fields,
            [
                "name",
                "path",
                "backend_url",
                "tags.0",
                "methods.0",
                "timeout_ms",
                "cors_origins.0",
                "settings.maintenance.message",
                "credential.token"
            ]
        );
    }

    #[test]
    fn a_path_cannot_be_changed() {
        assert!(serde_json::from_value::<UpdateRouteRequest>(json!({"path":"/api/y"})).is_err());
    }
}
