//! Failures, and the one place that turns them into responses.

use crate::step::Own;
use domain::access::Denial;
use domain::access::rule::Rule;
use domain::call::attempt::AttemptFault;
use domain::call::record::CLIENT_GONE;
use domain::error::GatewayError;
use domain::limit::ledger::LimitUse;
use domain::upstream::settings::Maintenance;
use domain::usage::outcome::Outcome;
use std::fmt::{Debug, Display};

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
            GatewayError::ModelNotAllowed => Outcome::DeniedModel,
            GatewayError::IpNotAllowed => Outcome::DeniedIp,
            GatewayError::TokenExpired => Outcome::DeniedExpired,
            GatewayError::RateLimitExceeded | GatewayError::TooManyConcurrentCalls => Outcome::LimitedRate,
            GatewayError::QuotaExceeded
            | GatewayError::AiTokenQuotaExceeded
            | GatewayError::DerivedCallsUsedUp
            | GatewayError::CostQuotaExceeded => Outcome::LimitedQuota,
            GatewayError::UnderMaintenance => Outcome::Maintenance,
            GatewayError::InjectedFault | GatewayError::BadFault => Outcome::InjectedFault,
            GatewayError::PayloadTooLarge | GatewayError::BodyNotSignable | GatewayError::LengthRequired => {
                Outcome::LimitedSize
            }
            GatewayError::BadAddress | GatewayError::BadChunks => Outcome::ClientError,
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

impl From<AttemptFault> for Failure {
    fn from(fault: AttemptFault) -> Self {
        let failure = Self::from(fault.error());
        if fault == AttemptFault::ClientGone {
            Self { outcome: Outcome::ClientGone, status: Some(CLIENT_GONE), ..failure }
        } else {
            failure
        }
    }
}

impl Failure {
    /// Makes the response: status and envelope, without the cause.
    pub fn response(&self, request_id: &str) -> Own {
        let mut envelope = self.error.envelope::<()>(request_id);
        if let Some(message) = &self.message {
            envelope.message.clone_from(message);
        }
        let mut headers =
            vec![header("content-type", "application/json"), header("cache-control", "no-store")];
        if let Some(seconds) = self.retry_after_s {
            headers.push(header("retry-after", &seconds.to_string()));
        }
        if let Some(methods) = &self.allow {
            headers.push(header("allow", methods));
        }
        Own {
            status: self.status.unwrap_or(self.error.status()),
            headers,
            body: serde_json::to_string(&envelope).unwrap_or_default(),
        }
    }
}

/// The reason why an attempt brought no response, with the cause for the log.
#[derive(Debug)]
pub struct AttemptError {
    pub fault: AttemptFault,
    pub cause: String,
}

impl AttemptError {
    pub fn new(fault: AttemptFault, cause: &(impl Display + ?Sized)) -> Self {
        Self { fault, cause: cause.to_string() }
    }

    /// Nothing was sent.
    pub fn not_sent(error: GatewayError, cause: &(impl Display + ?Sized)) -> Self {
        Self::new(AttemptFault::NotSent(error), cause)
    }

    /// The platform refused a step of our own.
    pub fn internal(cause: &impl Debug) -> Self {
        Self::not_sent(GatewayError::InternalServerError, &format!("{cause:?}"))
    }
}

impl From<AttemptFault> for AttemptError {
    fn from(fault: AttemptFault) -> Self {
        Self::new(fault, "the client broke its upload off")
    }
}

/// Makes a header of two texts.
pub fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
