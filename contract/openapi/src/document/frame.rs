//! The document around the operations: its head, error responses and components.

use super::Builder;
use contract::error::ApiError;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The groups of endpoints, in the order in which the document shows them.
const TAGS: [(&str, &str); 17] = [
    ("tokens", "Tokens, their secrets and limits."),
    ("routes", "Routes, their upstreams and credentials."),
    ("teams", "Teams and their bounds."),
    ("people", "The caller, people and their roles."),
    ("invitations", "Invitations to teams."),
    ("keys", "Admin API keys, with which automation calls this API."),
    ("config", "Configuration as a file."),
    ("usage", "Reports, recent calls, and usage logged by other systems."),
    ("dashboard", "Figures at a glance."),
    ("prices", "Prices of AI models."),
    ("notifications", "Notifications of the bell."),
    ("channels", "Channels for alerts, and their deliveries."),
    ("publication", "Publication to KV, and its comparison with D1."),
    ("import", "Import of the earlier system's data."),
    ("webhooks", "Webhooks of Clerk."),
    ("health", "Health of the service."),
    ("document", "This document."),
];

impl Builder {
    /// Puts the document together.
    pub(super) fn finish(mut self) -> Value {
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
                "description": "Tokens, routes, teams, people and usage. Times are unix milliseconds, UTC. Lists are paged: pass `next_cursor` back as `cursor`. Anything that the caller may not see is 404.",
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
                    "if-match": { "name": "If-Match", "in": "header", "required": false, "description": "The `ETag` that was read: if somebody else has changed it since, the response is 412 and nothing changes.", "schema": { "type": "string" } },
                    "dry-run": { "name": "dry_run", "in": "query", "required": false, "description": "With `true` the change is checked as ever and tried on the recorded calls of the last 30 days. Nothing is changed, and nothing is written to the audit log; the response is a `DryRun`.", "schema": { "type": "boolean", "default": false } },
                    "idempotency-key": { "name": "Idempotency-Key", "in": "header", "required": false, "description": "A repeat under the same key within a day makes nothing new, and does not show the secret again.", "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" } },
                },
                "securitySchemes": security_schemes(),
            },
        })
    }
}

/// Returns the ways in which a caller proves who they are.
fn security_schemes() -> Value {
    json!({
        "session": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A Clerk session token." },
        "key": { "type": "http", "scheme": "bearer", "description": "An admin API key, `nak_…`, which acts for the person who made it." },
        "token": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A token of this system." },
        "signature": { "type": "apiKey", "in": "header", "name": "X-Signature", "description": "`t=<unix seconds>,v1=<hex HMAC-SHA-256 of t.body>` under USAGE_LOG_KEY." },
        "svix": { "type": "apiKey", "in": "header", "name": "svix-signature", "description": "With svix-id and svix-timestamp, as Svix signs." },
    })
}
