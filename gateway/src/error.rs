//! Failures, and the one place that turns them into responses.

use domain::access::Denial;
use domain::error::GatewayError;
use domain::usage::Outcome;
use worker::Result;

/// How a call failed: what the client is told and what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error: GatewayError,
    pub outcome: Outcome,
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self { error: denial.error(), outcome: denial.outcome() }
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
            GatewayError::PayloadTooLarge => Outcome::LimitedSize,
            GatewayError::MissingApiKey
            | GatewayError::InvalidApiKey
            | GatewayError::RoutesNotConfigured
            | GatewayError::InternalServerError
            | GatewayError::LimitsUnavailable
            | GatewayError::StoreUnavailable => Outcome::InternalError,
        };
        Self { error, outcome }
    }
}

impl Failure {
    /// The response: status and envelope. No cause, no inner text.
    pub fn respond(self, request_id: &str) -> Result<web_sys::Response> {
        let response = edge::respond::error(self.error.status(), &self.error.envelope(request_id))?;
        Ok(response.into())
    }
}
