//! Every error code on the wire, and the one envelope that carries them.
//!
//! `error` strings are relied on by workflows of the earlier system and never change; `code` is
//! for machines, kebab-case and closed.

use crate::problem::Problem;
use serde::{Deserialize, Serialize};

/// The body of every error of both Workers.
// The gateway refuses no field: its details are `()`, so that it does not carry the way to write them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ErrorEnvelope"))]
pub struct ErrorEnvelope<D = FieldError> {
    /// The short text that workflows rely on.
    pub error: String,
    /// The reason, for people.
    pub message: String,
    /// The error's code in kebab-case.
    pub code: String,
    /// The id to look the call up by.
    pub request_id: String,
    /// The fields that were refused, each with its reason; empty if the error concerns no field.
    #[serde(default = "Vec::<D>::new", skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<D>,
}

/// One field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldError {
    /// The field's name, dotted where nested: `credential.token`.
    pub field: String,
    /// The problem with it.
    #[serde(flatten)]
    pub problem: Problem,
}

impl FieldError {
    /// Names a field and what is wrong with it.
    pub fn new(field: impl Into<String>, problem: impl Into<Problem>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// A row of the table below: status, `code`, `error`, `message`.
pub type Row = (u16, &'static str, &'static str, &'static str);

/// Declares an enum of errors on the wire: one row each, with the functions that read it.
#[macro_export]
macro_rules! wire_errors {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => ($status:literal, $code:literal, $error:literal, $message:literal),)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(
                #[doc = concat!("`", $message, "`")]
                $variant,
            )+
        }

        impl $name {
            /// All errors, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            const fn row(self) -> $crate::error::Row {
                match self { $(Self::$variant => ($status, $code, $error, $message),)+ }
            }

            /// Returns the HTTP status.
            pub const fn status(self) -> u16 {
                self.row().0
            }

            /// Returns the code in kebab-case.
            pub const fn code(self) -> &'static str {
                self.row().1
            }

            /// Returns the short text that workflows rely on.
            pub const fn error(self) -> &'static str {
                self.row().2
            }

            /// Returns the reason, for people.
            pub const fn message(self) -> &'static str {
                self.row().3
            }

            /// Makes the body of the error's response.
            pub fn envelope<D>(self, request_id: &str) -> $crate::error::ErrorEnvelope<D> {
                $crate::error::ErrorEnvelope {
                    error: self.error().to_owned(),
                    message: self.message().to_owned(),
                    code: self.code().to_owned(),
                    request_id: request_id.to_owned(),
                    details: vec![],
                }
            }
        }
    };
}

wire_errors! {
    /// The gateway's own errors.
    GatewayError {
        BadAddress => (400, "bad-address", "Bad Request", "The address of the request cannot be read. Check its Host header."),
        BadFault => (400, "bad-fault", "Bad Request", "X-Token-Manager-Fault must be latency=<0 to 60000>, status=<400 to 599>, cut=<bytes>."),
        BadChunks => (400, "bad-chunks", "Bad Request", "The aws-chunked body is not what its framing or X-Amz-Decoded-Content-Length says."),
        MissingApiKey => (401, "missing-api-key", "Missing API Key", "Send your token in X-API-Key, or as Authorization: Bearer ntk_…."),
        InvalidApiKey => (401, "invalid-api-key", "Invalid API Key", "The token is not valid. It may be mistyped, disabled or revoked."),
        TokenExpired => (401, "token-expired", "Token Expired", "The token, or this secret of it, has ended. Ask for a new one."),
        PermissionDenied => (403, "permission-denied", "Permission Denied", "The token does not cover this method and path."),
        IpNotAllowed => (403, "ip-not-allowed", "Permission Denied", "The token may not be used from this address."),
        ModelNotAllowed => (403, "model-not-allowed", "Permission Denied", "The token may not call this model, or the request names none that can be read."),
        RouteNotFound => (404, "route-not-found", "Route Not Found", "No route matches this path."),
        MethodNotAllowed => (405, "method-not-allowed", "Method Not Allowed", "The route does not take this method."),
        LengthRequired => (411, "length-required", "Length Required", "The token's bodies are bounded: send Content-Length."),
        BodyNotSignable => (413, "body-not-signable", "Payload Too Large", "This upstream's signature covers the whole body: send at most 10 MiB, with Content-Length."),
        PayloadTooLarge => (413, "payload-too-large", "Payload Too Large", "The body is larger than the token allows."),
        TooManyConcurrentCalls => (429, "too-many-concurrent-calls", "Rate Limit Exceeded", "The token has too many calls at once. Try again when one has ended."),
        RateLimitExceeded => (429, "rate-limit-exceeded", "Rate Limit Exceeded", "Too many calls. Wait as long as Retry-After says."),
        QuotaExceeded => (429, "quota-exceeded", "Quota Exceeded", "The token's quota is used up. Wait as long as Retry-After says."),
        AiTokenQuotaExceeded => (429, "ai-token-quota-exceeded", "Quota Exceeded", "The token's AI tokens are used up. Wait as long as Retry-After says."),
        CostQuotaExceeded => (429, "cost-quota-exceeded", "Quota Exceeded", "The token's budget is used up. Wait as long as Retry-After says."),
        DerivedCallsUsedUp => (429, "derived-calls-used-up", "Quota Exceeded", "The derived token has made all of its calls. Derive another one."),
        RoutesNotConfigured => (500, "routes-not-configured", "Routes Not Configured", "No route table has been published yet."),
        InternalServerError => (500, "internal-server-error", "Internal Server Error", "Something went wrong in the gateway. Quote the request id when you report it."),
        BadGateway => (502, "bad-gateway", "Bad Gateway", "The upstream could not be reached."),
        CredentialUnavailable => (502, "upstream-credential-unavailable", "Upstream Credential Unavailable", "The upstream's credential cannot be used. An admin has to set it again."),
        LimitsUnavailable => (503, "limits-unavailable", "Store Unavailable", "The token's limits cannot be checked. Try again shortly."),
        InjectedFault => (500, "injected-fault", "Injected Fault", "The call asked for this fault, to test its workflow."),
        UnderMaintenance => (503, "under-maintenance", "Under Maintenance", "The route is closed for maintenance. Wait as long as Retry-After says."),
        TokenNotUnderstood => (503, "token-not-understood", "Store Unavailable", "The token was stored by a newer version than this gateway, which cannot judge it. Try again shortly."),
        StoreUnavailable => (503, "store-unavailable", "Store Unavailable", "The token store cannot be reached. Try again shortly."),
        GatewayTimeout => (504, "gateway-timeout", "Gateway Timeout", "The upstream did not answer in time."),
        LoopDetected => (508, "loop-detected", "Loop Detected", "The route leads back to the gateway itself."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workflows of the earlier system compare these strings.
    #[test]
    fn the_strings_that_workflows_rely_on_are_pinned() {
        let rows: Vec<_> = GatewayError::ALL.iter().map(|e| (e.status(), e.error(), e.code())).collect();
        for row in [
            (401, "Missing API Key", "missing-api-key"),
            (401, "Invalid API Key", "invalid-api-key"),
            (401, "Token Expired", "token-expired"),
            (403, "Permission Denied", "permission-denied"),
            (404, "Route Not Found", "route-not-found"),
            (500, "Routes Not Configured", "routes-not-configured"),
            (500, "Internal Server Error", "internal-server-error"),
            (405, "Method Not Allowed", "method-not-allowed"),
            (429, "Rate Limit Exceeded", "rate-limit-exceeded"),
            (429, "Quota Exceeded", "quota-exceeded"),
            (502, "Bad Gateway", "bad-gateway"),
            (502, "Upstream Credential Unavailable", "upstream-credential-unavailable"),
            (503, "Store Unavailable", "store-unavailable"),
            (504, "Gateway Timeout", "gateway-timeout"),
            (508, "Loop Detected", "loop-detected"),
        ] {
            assert!(rows.contains(&row), "{row:?}");
        }
    }

    #[test]
    fn codes_are_kebab_case_and_unique() {
        let codes: Vec<_> = GatewayError::ALL.iter().map(|e| e.code()).collect();
        for code in &codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert_eq!(codes.iter().filter(|c| c == &code).count(), 1, "{code}");
        }
    }

    #[test]
    fn the_envelope_is_pinned() {
        let json = serde_json::to_string(&GatewayError::MissingApiKey.envelope::<()>("req_1")).unwrap();
        assert_eq!(
            json,
            r#"{"error":"Missing API Key","message":"Send your token in X-API-Key, or as Authorization: Bearer ntk_….","code":"missing-api-key","request_id":"req_1"}"#
        );
    }
}
