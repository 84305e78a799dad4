//! One operation: an endpoint's parameters, request, responses and access rule.

use super::Builder;
use contract::dry_run::DryRun;
use contract::error::ApiError;
use contract::{Auth, Body, Endpoint};
use domain::people::key::ByKey;
use domain::people::role::{Action, Rule};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

impl Builder {
    /// Makes an endpoint's operation.
    pub(super) fn operation<E: Endpoint>(&mut self) -> Value
    where
        E::Request: JsonSchema,
        E::Response: JsonSchema,
    {
        let parameters = self.parameters::<E>();
        let takes_query = parameters.iter().any(|p| p["in"] == "query");
        let responses = self.responses::<E>(takes_query);
        // Links between Rust types lead nowhere in this document.
        let about = E::ABOUT.trim().replace("[`", "`").replace("`]", "`");
        let security = match E::TERMS.auth {
            Auth::Session if E::ACTION.map(Action::by_key) == Some(ByKey::Never) => {
                json!([{ "session": [] }])
            }
            Auth::Session => json!([{ "session": [] }, { "key": [] }]),
            Auth::ApiKey => json!([{ "token": [] }]),
            Auth::Signature => json!([{ "signature": [] }]),
            Auth::Svix => json!([{ "svix": [] }]),
            Auth::Open => json!([]),
        };
        let mut operation = json!({
            "operationId": std::any::type_name::<E>().rsplit("::").next(),
            "tags": [tag_of(E::PATTERN)],
            "summary": about.split(['.', ';', ':']).next().unwrap_or_default().trim(),
            "description": about.lines().map(str::trim).collect::<Vec<_>>().join(" "),
            "parameters": parameters,
            "responses": responses,
            "security": security,
        });
        if E::TERMS.body != Body::None {
            operation["requestBody"] = json!({
                "required": E::TERMS.body == Body::Required,
                "content": { "application/json": {
                    "schema": self.schemas.subschema_for::<E::Request>(),
                    "example": example::<E>(),
                } },
            });
        }
        if let Some(action) = E::ACTION {
            operation["x-access"] = json!({
                "action": action,
                "may": rule_json(action.rule()),
                "sees": rule_json(action.visible_by()),
                "by_key": by_key(action),
            });
        }
        operation
    }

    fn parameters<E: Endpoint>(&mut self) -> Vec<Value>
    where
        E::Request: JsonSchema,
    {
        let mut parameters: Vec<Value> = E::PATTERN
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }))
            .collect();
        if E::METHOD == "GET" {
            let schema = E::Request::json_schema(&mut self.schemas).to_value();
            let required: Vec<&str> =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let mut property = property.clone();
                not_null(&mut property);
                let about = property.as_object_mut().and_then(|p| p.remove("description"));
                let mut parameter = json!({
                    "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": property,
                });
                if let Some(about) = about {
                    parameter["description"] = about;
                }
                parameters.push(parameter);
            }
        }
        if E::TERMS.if_match {
            parameters.push(json!({ "$ref": "#/components/parameters/if-match" }));
        }
        if E::TERMS.dry_run {
            parameters.push(json!({ "$ref": "#/components/parameters/dry-run" }));
        }
        if E::TERMS.idempotent {
            parameters.push(json!({ "$ref": "#/components/parameters/idempotency-key" }));
        }
        parameters
    }

    fn responses<E: Endpoint>(&mut self, takes_query: bool) -> Map<String, Value>
    where
        E::Response: JsonSchema,
    {
        let mut responses = Map::new();
        let mut success = self.success::<E>();
        if E::TERMS.if_match || E::TERMS.etag {
            success["headers"]["etag"] = json!({ "$ref": "#/components/headers/etag" });
        }
        if self.propagates::<E>() {
            let mut pending = success.clone();
            pending["description"] =
                json!("The change is made; KV has not taken it yet (`propagation` is `pending`).");
            responses.insert("202".to_owned(), pending);
        }
        if E::TERMS.idempotent {
            let mut repeat = success.clone();
            repeat["description"] =
                json!("A repeat under the same Idempotency-Key: the same token, without its secret.");
            responses.insert("200".to_owned(), repeat);
        }
        if let Some(status) = E::TERMS.other_status {
            responses.insert(status.to_string(), success.clone());
        }
        if E::TERMS.dry_run {
            let schema = success["content"][E::TERMS.media]["schema"].take();
            let tried = self.schemas.subschema_for::<DryRun>();
            success["content"][E::TERMS.media]["schema"] = json!({ "anyOf": [schema, tried] });
            success["description"] = json!("Success; with `dry_run=true` a `DryRun`.");
        }
        responses.insert(E::STATUS.to_string(), success);
        for status in errors::<E>(takes_query) {
            let error = json!({ "$ref": format!("#/components/responses/{status}") });
            responses.entry(status.to_string()).or_insert(error);
        }
        responses
    }

    fn success<E: Endpoint>(&mut self) -> Value
    where
        E::Response: JsonSchema,
    {
        let schema = self.schemas.subschema_for::<E::Response>();
        json!({
            "description": "Success.",
            "headers": { "x-request-id": { "$ref": "#/components/headers/x-request-id" } },
            "content": { E::TERMS.media: { "schema": schema } },
        })
    }

    /// Returns whether a response says if its change has reached KV.
    fn propagates<E: Endpoint>(&mut self) -> bool
    where
        E::Response: JsonSchema,
    {
        let schema = E::Response::json_schema(&mut self.schemas).to_value();
        E::METHOD != "GET" && schema["properties"].get("propagation").is_some()
    }
}

/// Returns an endpoint's example request.
pub(super) fn example<E: Endpoint>() -> Option<Value> {
    E::TERMS.example.and_then(|text| serde_json::from_str(text).ok())
}

fn rule_json(rule: Rule) -> Value {
    json!({ "core": rule.core, "team": rule.team, "own": rule.own, "maker": rule.maker, "any_team": rule.any_team, "anyone": rule.anyone })
}

/// Returns what a key needs besides its roles: nothing, a power, or that it is not read-only.
fn by_key(action: Action) -> Value {
    match action.by_key() {
        ByKey::Read => json!("read"),
        ByKey::Change => json!("change"),
        ByKey::Named(power) => json!(power),
        ByKey::Never => json!("never"),
    }
}

/// Collects the statuses of an endpoint's errors.
fn errors<E: Endpoint>(takes_query: bool) -> BTreeSet<u16> {
    let takes_body = E::TERMS.body != Body::None;
    let mut errors = vec![ApiError::InternalServerError];
    errors.push(if E::TERMS.auth == Auth::Open {
        ApiError::MethodNotAllowed
    } else {
        ApiError::StoreUnavailable
    });
    if let Some(action) = E::ACTION {
        if action != Action::ReadSelf {
            errors.push(ApiError::NotFound);
        }
        // A scope cap, limits, a credential or a senior role may require more permission than the endpoint does.
        if action.may_be_forbidden() {
            errors.push(ApiError::Forbidden);
        }
    }
    errors.extend(match E::TERMS.auth {
        Auth::Session => {
            &[ApiError::Unauthenticated, ApiError::IpNotAllowed, ApiError::TooManyRequests] as &[_]
        }
        Auth::ApiKey => &[
            ApiError::MissingApiKey,
            ApiError::InvalidApiKey,
            ApiError::TokenExpired,
            ApiError::IpNotAllowed,
            ApiError::TooManyRequests,
        ],
        Auth::Signature | Auth::Svix => &[ApiError::BadSignature, ApiError::NotFound],
        Auth::Open => &[],
    });
    if takes_body {
        errors.extend([ApiError::BadRequest, ApiError::PayloadTooLarge]);
    }
    if takes_body || takes_query {
        errors.push(ApiError::ValidationFailed);
    }
    if E::TERMS.is_change {
        errors.push(ApiError::RestoreUnderWay);
    }
    if E::METHOD != "GET" && E::ACTION.is_some() {
        errors.push(ApiError::Conflict);
        // For a bad idempotency key, or for a field that is checked against the clock or the current state.
        errors.push(ApiError::ValidationFailed);
    }
    errors.extend(E::TERMS.errors);
    if E::TERMS.if_match {
        errors.push(ApiError::PreconditionFailed);
    }
    errors.into_iter().map(ApiError::status).collect()
}

/// Removes `null` from a parameter's schema: a parameter that is not given is absent.
fn not_null(property: &mut Value) {
    if let Some(types) = property.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            property["type"] = only.clone();
        }
    }
    if let Some(any) = property.get_mut("anyOf").and_then(Value::as_array_mut) {
        any.retain(|schema| schema["type"] != "null");
        if let [only] = any.as_slice() {
            let only = only.clone();
            if let Some(map) = property.as_object_mut() {
                map.remove("anyOf");
                map.extend(only.as_object().cloned().unwrap_or_default());
            }
        }
    }
}

fn tag_of(pattern: &str) -> &str {
    match pattern.split('/').nth(1) {
        Some("api") => match pattern.split('/').nth(2) {
            Some("me" | "users") => "people",
            Some("dashboard" | "stats") => "dashboard",
            Some("usage-log") => "usage",
            Some("canary") => "health",
            Some(tag) => tag,
            None => "api",
        },
        Some("health" | "metrics") => "health",
        _ => "document",
    }
}
