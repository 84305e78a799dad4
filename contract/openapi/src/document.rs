//! The OpenAPI 3.1 document, made from the endpoints' own types. Built natively and committed
//! (`admin-api/openapi.json`); no Worker contains this module.
//!
//! To add an endpoint, derive `JsonSchema` for its types under the feature `schema`. The rest is in `endpoint!`.

use contract::error::ApiError;
use contract::{self, Auth, Body, Endpoint, Visitor};
use domain::people::role::{Action, Rule};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Makes the document.
pub fn document() -> Value {
    let mut builder = Builder::new();
    contract::visit(&mut builder);
    let mut document = builder.finish();
    spell_out_any(&mut document);
    document
}

/// Replaces each schema `true` by `{}`: both admit any value, but OpenAPI tools know only objects.
fn spell_out_any(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(spell_out_any),
        Value::Object(map) => {
            for name in ["schema", "items"] {
                map.get_mut(name).into_iter().for_each(spell_out_one);
            }
            if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
                properties.values_mut().for_each(spell_out_one);
            }
            map.values_mut().for_each(spell_out_any);
        }
        _ => {}
    }
}

fn spell_out_one(schema: &mut Value) {
    if *schema == Value::Bool(true) {
        *schema = json!({});
    }
}

struct Builder {
    schemas: SchemaGenerator,
    paths: Map<String, Value>,
}

/// Returns an endpoint's example request.
fn example<E: Endpoint>() -> Option<Value> {
    E::TERMS.example.and_then(|text| serde_json::from_str(text).ok())
}

fn rule_json(rule: Rule) -> Value {
    json!({ "core": rule.core, "team": rule.team, "own": rule.own, "any_team": rule.any_team, "anyone": rule.anyone })
}

/// Returns the name of an error response in the document.
const fn component(error: ApiError) -> &'static str {
    error.code()
}

impl Builder {
    fn new() -> Self {
        let settings =
            SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
        Self { schemas: settings.into_generator(), paths: Map::new() }
    }

    /// Collects the errors of an endpoint.
    fn errors<E: Endpoint>(takes_body: bool, takes_query: bool) -> BTreeSet<(u16, &'static str)> {
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
                &[ApiError::Unauthenticated, ApiError::SessionExpired, ApiError::TooManyRequests] as &[_]
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
        errors.into_iter().map(|error| (error.status(), component(error))).collect()
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
        if E::TERMS.idempotent {
            parameters.push(json!({ "$ref": "#/components/parameters/idempotency-key" }));
        }
        parameters
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

    fn finish(mut self) -> Value {
        let envelope = self.schemas.subschema_for::<domain::error::ErrorEnvelope>();
        let mut responses = Map::new();
        let statuses: BTreeSet<u16> = ApiError::ALL.iter().map(|error| error.status()).collect();
        for status in statuses {
            let of_status: Vec<&ApiError> = ApiError::ALL.iter().filter(|e| e.status() == status).collect();
            let examples: Map<String, Value> = of_status
                .iter()
                .map(|error| {
                    (error.code().to_owned(), json!({ "value": error.envelope::<domain::error::FieldError>("req_0123456789abcdef") }))
                })
                .collect();
            let codes: Vec<&str> = of_status.iter().map(|error| error.code()).collect();
            let about: Vec<&str> = of_status.iter().map(|error| error.message()).collect();
            responses.insert(
                status.to_string(),
                json!({
                    "description": about.join(" "),
                    "headers": { "x-request-id": { "$ref": "#/components/headers/x-request-id" } },
                    "content": { "application/json": {
                        "schema": { "allOf": [envelope, { "properties": { "code": { "enum": codes } } }] },
                        "examples": examples,
                    } },
                }),
            );
        }
        let schemas: Map<String, Value> = self.schemas.take_definitions(true).into_iter().collect();
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Token Manager admin API",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Tokens, routes, teams, people and usage. Times are unix milliseconds, UTC. Lists are paged: hand `next_cursor` back as `cursor`. What a caller may not see is 404.",
                "contact": { "name": "The platform's administrators (core-team)" },
                "license": { "name": "MIT", "identifier": "MIT" },
            },
            "servers": [{ "url": "/" }],
            "tags": TAGS.map(|(name, about)| json!({ "name": name, "description": about })),
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "responses": responses,
                "headers": {
                    "x-request-id": { "description": "Quote it when you report something.", "schema": { "type": "string" } },
                    "etag": { "description": "The version that `If-Match` may name.", "schema": { "type": "string" } },
                },
                "parameters": {
                    "if-match": { "name": "If-Match", "in": "header", "required": false, "description": "The `ETag` that was read: where somebody else has changed it since, the answer is 412 and nothing is changed.", "schema": { "type": "string" } },
                    "idempotency-key": { "name": "Idempotency-Key", "in": "header", "required": false, "description": "A repeat under the same key within a day makes nothing new, and does not show the secret again.", "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" } },
                },
                "securitySchemes": {
                    "session": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A Clerk session token." },
                    "token": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A token of this system." },
                    "signature": { "type": "apiKey", "in": "header", "name": "X-Signature", "description": "`t=<unix seconds>,v1=<hex HMAC-SHA-256 of t.body>` under USAGE_LOG_KEY." },
                    "svix": { "type": "apiKey", "in": "header", "name": "svix-signature", "description": "With svix-id and svix-timestamp, as Svix signs." },
                },
            },
        })
    }
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

/// The groups of endpoints, in the order in which the document shows them.
const TAGS: [(&str, &str); 14] = [
    ("tokens", "Tokens, their secrets and limits."),
    ("routes", "Routes, their upstreams and credentials."),
    ("teams", "Teams and their bounds."),
    ("people", "The caller, people and their roles."),
    ("invitations", "Invitations to teams."),
    ("usage", "Reports, recent calls, and usage logged by other systems."),
    ("dashboard", "Figures at a glance."),
    ("prices", "Prices of AI models."),
    ("notifications", "Notifications of the bell."),
    ("publication", "Publication to KV, and its comparison with D1."),
    ("import", "Import of the earlier system's data."),
    ("webhooks", "Webhooks of Clerk."),
    ("health", "Health of the service."),
    ("document", "This document."),
];

fn tag_of(pattern: &str) -> &str {
    match pattern.split('/').nth(1) {
        Some("api") => match pattern.split('/').nth(2) {
            Some("me" | "users") => "people",
            Some("dashboard" | "stats") => "dashboard",
            Some("usage-log") => "usage",
            Some(tag) => tag,
            None => "api",
        },
        Some("health") => "health",
        _ => "document",
    }
}

impl Visitor for Builder {
    fn visit<E: Endpoint>(&mut self)
    where
        E::Request: JsonSchema + DeserializeOwned,
        E::Response: JsonSchema,
    {
        let takes_body = E::TERMS.body != Body::None;
        let parameters = self.parameters::<E>();
        let takes_query = parameters.iter().any(|p| p["in"] == "query");

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
        responses.insert(E::STATUS.to_string(), success);
        for (status, _) in Self::errors::<E>(takes_body, takes_query) {
            let answer = json!({ "$ref": format!("#/components/responses/{status}") });
            responses.entry(status.to_string()).or_insert(answer);
        }

        // Links between Rust types lead nowhere in this document.
        let about = E::ABOUT.trim().replace("[`", "`").replace("`]", "`");
        let security = match E::TERMS.auth {
            Auth::Session => json!([{ "session": [] }]),
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
        if takes_body {
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
            });
        }
        let path = self.paths.entry(E::PATTERN.to_owned()).or_insert_with(|| json!({}));
        path[E::METHOD.to_lowercase()] = operation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Examples(Vec<String>);

    impl Visitor for Examples {
        fn visit<E: Endpoint>(&mut self)
        where
            E::Request: JsonSchema + DeserializeOwned,
            E::Response: JsonSchema,
        {
            let name = format!("{} {}", E::METHOD, E::PATTERN);
            assert!(!E::ABOUT.trim().is_empty(), "{name} has no description");
            let takes_body = E::TERMS.body != Body::None;
            let is_empty = std::any::type_name::<E::Request>() == "()";
            assert_eq!(takes_body, E::METHOD != "GET" && !is_empty, "{name}");
            match example::<E>() {
                Some(example) => {
                    let read = serde_json::from_value::<E::Request>(example);
                    assert!(read.is_ok(), "{name}: {}", read.err().unwrap());
                }
                None if takes_body => self.0.push(name),
                None => {}
            }
        }
    }

    #[test]
    fn every_request_body_has_a_valid_example() {
        let mut examples = Examples(vec![]);
        contract::visit(&mut examples);
        assert_eq!(examples.0, Vec::<String>::new());
    }

    #[test]
    fn every_endpoint_is_in_the_document() {
        let document = document();
        for contract::Row { method, pattern, action, .. } in contract::ENDPOINTS {
            let operation = &document["paths"][*pattern][method.to_lowercase()];
            assert!(operation.is_object(), "{method} {pattern}");
            assert_eq!(operation.get("x-access").is_some(), action.is_some(), "{method} {pattern}");
        }
    }

    #[test]
    fn every_reference_can_be_resolved() {
        fn walk(value: &Value, document: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(to)) = map.get("$ref") {
                        let pointer = to.trim_start_matches('#');
                        assert!(document.pointer(pointer).is_some(), "{to}");
                    }
                    map.values().for_each(|v| walk(v, document));
                }
                Value::Array(list) => list.iter().for_each(|v| walk(v, document)),
                _ => {}
            }
        }
        let document = document();
        walk(&document, &document);
    }
}
