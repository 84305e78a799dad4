//! Failures, and the one place that turns them into responses.

use crate::answer::tell;
use domain::access::Denial;
use domain::access::rule::Rule;
use domain::error::GatewayError;
use domain::limit::ledger::LimitUse;
use domain::upstream::settings::Maintenance;
use domain::usage::outcome::Outcome;
use wasm_bindgen::JsValue;
use worker::Result;

/// Time after which a client may try again if a store did not respond.
const STORE_RETRY_AFTER_S: i64 = 2;

/// A failed call: the error for the client and the outcome to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error: GatewayError,
    /// The status, if it is not the error's own.
    pub status: Option<u16>,
    /// The message, if it is not the error's own.
    pub message: Option<String>,
    pub outcome: Outcome,
    pub retry_after_s: Option<i64>,
    /// The methods that the route accepts, if the call's method is at fault (RFC 9110, section 15.5.6).
    pub allow: Option<String>,
    /// Uses of the token's limits, if its counter was asked.
    pub uses: Vec<LimitUse>,
}

impl Failure {
    fn of(error: GatewayError, outcome: Outcome) -> Self {
        let retry_after_s = match error {
            GatewayError::StoreUnavailable | GatewayError::LimitsUnavailable => Some(STORE_RETRY_AFTER_S),
            _ => None,
        };
        Self { error, status: None, message: None, outcome, retry_after_s, allow: None, uses: vec![] }
    }

    /// An upstream's status that HTTP does not know. The platform refuses to pass it on.
    pub fn status_unknown(status: u16) -> Self {
        Self {
            message: Some(format!("The upstream answered with status {status}, which cannot be passed on.")),
            outcome: Outcome::UpstreamError,
            ..GatewayError::BadGateway.into()
        }
    }

    /// Adds the route's methods if the call's method was refused.
    pub fn with_methods_of(mut self, rule: Option<&Rule>) -> Self {
        if let (GatewayError::MethodNotAllowed, Some(rule)) = (self.error, rule) {
            self.allow = Some(rule.methods_listed());
        }
        self
    }

    /// The route is under maintenance, with the admin's text.
    pub fn maintenance(notice: &Maintenance) -> Self {
        Self {
            message: Some(notice.message.clone()),
            retry_after_s: Some(notice.retry_after_s.into()),
            ..GatewayError::UnderMaintenance.into()
        }
    }

    /// A status that the call itself requested.
    pub fn injected(status: u16) -> Self {
        Self { status: Some(status), ..GatewayError::InjectedFault.into() }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::of(denial.error(), denial.outcome())
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        let outcome = match error {
            GatewayError::BadGateway => Outcome::Unreachable,
            GatewayError::GatewayTimeout => Outcome::Timeout,
            GatewayError::CredentialUnavailable => Outcome::CredentialUnavailable,
            GatewayError::LoopDetected => Outcome::Loop,
            GatewayError::RouteNotFound => Outcome::DeniedRoute,
            GatewayError::MethodNotAllowed => Outcome::DeniedMethod,
            GatewayError::PermissionDenied => Outcome::DeniedScope,
            GatewayError::IpNotAllowed => Outcome::DeniedIp,
            GatewayError::TokenExpired => Outcome::DeniedExpired,
            GatewayError::RateLimitExceeded | GatewayError::TooManyConcurrentCalls => Outcome::LimitedRate,
            GatewayError::QuotaExceeded
            | GatewayError::AiTokenQuotaExceeded
            | GatewayError::CostQuotaExceeded => Outcome::LimitedQuota,
            GatewayError::UnderMaintenance => Outcome::Maintenance,
            GatewayError::InjectedFault | GatewayError::BadFault => Outcome::InjectedFault,
            GatewayError::PayloadTooLarge | GatewayError::BodyNotSignable | GatewayError::LengthRequired => {
                Outcome::LimitedSize
            }
            GatewayError::BadChunks => Outcome::ClientError,
            GatewayError::MissingApiKey
            | GatewayError::InvalidApiKey
            | GatewayError::RoutesNotConfigured
            | GatewayError::InternalServerError
            | GatewayError::LimitsUnavailable
            | GatewayError::TokenNotUnderstood
            | GatewayError::StoreUnavailable => Outcome::InternalError,
        };
        Self::of(error, outcome)
    }
}

impl Failure {
    /// Makes the response: status and envelope, without the cause.
    pub fn respond(&self, request_id: &str) -> Result<web_sys::Response> {
        let mut envelope = self.error.envelope::<()>(request_id);
        if let Some(message) = &self.message {
            envelope.message.clone_from(message);
        }
        let response = edge::http::error(self.status.unwrap_or(self.error.status()), &envelope)?;
        if let Some(seconds) = self.retry_after_s {
            response.headers().set("retry-after", &seconds.to_string())?;
        }
        if let Some(methods) = &self.allow {
            response.headers().set("allow", methods)?;
        }
        let response: web_sys::Response = response.into();
        tell(&response, &self.uses)?;
        Ok(response)
    }
}

/// The reason why an upstream gave no response, with the cause for the log.
#[derive(Debug)]
pub struct UpstreamError {
    pub error: GatewayError,
    pub cause: String,
}

impl UpstreamError {
    pub fn new(error: GatewayError, cause: impl Into<String>) -> Self {
        Self { error, cause: cause.into() }
    }
}

/// The platform cannot reach the upstream.
pub fn unreachable(cause: &JsValue) -> UpstreamError {
    UpstreamError::new(GatewayError::BadGateway, format!("{cause:?}"))
}
