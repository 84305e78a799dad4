//! A call that failed. It stays typed until it is shown.

use domain::error::{ErrorEnvelope, FieldError};

/// A call without a usable response, and the address it went to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    pub url: String,
    pub reason: Reason,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Offline, no such host, or refused by CORS: the browser does not say which.
    Unreachable,
    TimedOut,
    /// A response with an error status; the envelope only if the body was one.
    Refused {
        status: u16,
        envelope: Option<ErrorEnvelope>,
    },
    /// A success whose body has an unexpected form.
    Unreadable {
        status: u16,
    },
}

impl CallError {
    /// The status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self.reason {
            Reason::Refused { status, .. } | Reason::Unreadable { status } => Some(status),
            Reason::Unreachable | Reason::TimedOut => None,
        }
    }

    /// The fields that the API refused.
    pub fn fields(&self) -> &[FieldError] {
        match &self.reason {
            Reason::Refused { envelope: Some(envelope), .. } => &envelope.details,
            _ => &[],
        }
    }
}
