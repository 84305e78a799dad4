//! Outcomes other than success, and the one place that turns them into responses.

use crate::db::StoreError;
use contract::error::ApiError;
use domain::error::FieldError;
use domain::people::role::Refusal;
use domain::problem::Clash;
use domain::problem::Problem;
use edge::crypto::CryptoError;
use edge::log::{Source, log};
use worker::{Response, Result};

/// The reason why a request failed. A cause is logged once, when the response is made, and is never sent.
#[derive(Debug)]
pub enum Failure {
    Api(ApiError),
    /// Fields that are not acceptable; the error determines the status.
    Fields(ApiError, Vec<FieldError>),
    /// The method is not allowed; these are the allowed ones.
    MethodNotAllowed(Vec<&'static str>),
    /// D1, or the issuer's keys, cannot be reached.
    Unavailable(String),
    /// Clerk cannot be reached, or does not do its part.
    Clerk(String),
    Internal(String),
}

impl Failure {
    pub fn field(field: impl Into<String>, problem: impl Into<Problem>) -> Self {
        Self::Fields(ApiError::ValidationFailed, vec![FieldError::new(field, problem)])
    }

    pub fn conflict(field: &str, problem: impl Into<Problem>) -> Self {
        Self::Fields(ApiError::Conflict, vec![FieldError::new(field, problem)])
    }

    fn error(&self) -> ApiError {
        match self {
            Self::Api(error) | Self::Fields(error, _) => *error,
            Self::MethodNotAllowed(_) => ApiError::MethodNotAllowed,
            Self::Unavailable(_) => ApiError::StoreUnavailable,
            Self::Clerk(_) => ApiError::ClerkUnavailable,
            Self::Internal(_) => ApiError::InternalServerError,
        }
    }

    pub fn respond(self, request_id: &str) -> Result<Response> {
        let error = self.error();
        let mut envelope = error.envelope::<FieldError>(request_id);
        match &self {
            Self::Unavailable(cause) => log(Source::Request(request_id), "store unavailable", cause),
            Self::Clerk(cause) => log(Source::Request(request_id), "Clerk unavailable", cause),
            Self::Internal(cause) => log(Source::Request(request_id), "internal error", cause),
            Self::Fields(_, details) => envelope.details.clone_from(details),
            Self::Api(_) | Self::MethodNotAllowed(_) => {}
        }
        let response = edge::http::error(error.status(), &envelope)?;
        if let Self::MethodNotAllowed(methods) = &self {
            response.headers().set("allow", &methods.join(", "))?;
        }
        let retry_after_s = match error {
            ApiError::StoreUnavailable => Some("5"),
            ApiError::TooManyRequests | ApiError::RestoreUnderWay => Some("60"),
            _ => None,
        };
        if let Some(seconds) = retry_after_s {
            response.headers().set("retry-after", seconds)?;
        }
        Ok(response)
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<Vec<FieldError>> for Failure {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::Fields(ApiError::ValidationFailed, errors)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Api(match refusal {
            Refusal::Invisible => ApiError::NotFound,
            Refusal::Forbidden => ApiError::Forbidden,
        })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreachable(cause) => Self::Unavailable(cause),
            StoreError::Unreadable(cause) => {
                log(Source::Isolate, "stored value", &cause);
                Self::conflict("stored", Clash::StoredUnreadable)
            }
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<CryptoError> for Failure {
    fn from(error: CryptoError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<worker::Error> for Failure {
    fn from(error: worker::Error) -> Self {
        Self::Internal(error.to_string())
    }
}
