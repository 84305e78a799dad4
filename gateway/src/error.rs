//! Failures, and the one place that turns them into responses.

use crate::limiter;
use domain::access::Denial;
use domain::error::GatewayError;
use domain::limit::ledger::LimitUse;
use domain::route::Route;
use domain::upstream::settings::Maintenance;
use domain::usage::outcome::Outcome;
use worker::Result;

/// When a client may come back after a store did not respond.
const STORE_RETRY_AFTER_S: i64 = 2;

/// How a call failed: what the client is told and what is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error: GatewayError,
    /// The status where it is not the error's own.
    pub status: Option<u16>,
    /// The text where it is not the error's own.
    pub message: Option<String>,
    pub outcome: Outcome,
    pub retry_after_s: Option<i64>,
    /// The methods that would have been taken, if the method is at fault (RFC 9110, section 15.5.6).
    pub allow: Option<String>,
    /// How the token's limits stand, where they were asked.
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

    /// A response whose status is none that HTTP knows, and that no platform lets us hand on.
    pub fn status_unknown(status: u16) -> Self {
        Self {
            message: Some(format!("The upstream answered with status {status}, which cannot be handed on.")),
            outcome: Outcome::UpstreamError,
            ..GatewayError::BadGateway.into()
        }
    }

    /// Adds the methods of the call's route to a refusal of its method.
    pub fn with_methods_of(mut self, route: Option<&Route>) -> Self {
        if let (GatewayError::MethodNotAllowed, Some(route)) = (self.error, route) {
            self.allow = Some(route.methods_listed());
        }
        self
    }

    pub fn maintenance(notice: &Maintenance) -> Self {
        Self {
            message: Some(notice.message.clone()),
            retry_after_s: Some(notice.retry_after_s.into()),
            ..GatewayError::UnderMaintenance.into()
        }
    }

    /// A status that the call itself asked for.
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
    /// The response: status and envelope. No cause, no inner text.
    pub fn respond(&self, request_id: &str) -> Result<web_sys::Response> {
        let mut envelope = self.error.envelope(request_id);
        if let Some(message) = &self.message {
            envelope.message.clone_from(message);
        }
        let response = edge::respond::error(self.status.unwrap_or(self.error.status()), &envelope)?;
        if let Some(seconds) = self.retry_after_s {
            response.headers().set("retry-after", &seconds.to_string())?;
        }
        if let Some(methods) = &self.allow {
            response.headers().set("allow", methods)?;
        }
        let response: web_sys::Response = response.into();
        limiter::tell(&response, &self.uses)?;
        Ok(response)
    }
}
