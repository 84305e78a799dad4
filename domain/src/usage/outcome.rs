//! Outcomes: how a call ended.

use serde::{Deserialize, Serialize};

/// How a call ended. A closed set: dashboards and alarms are written against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The upstream responded with a status below 400.
    Ok,
    /// The upstream responded with 4xx.
    ClientError,
    /// The upstream responded with 5xx.
    UpstreamError,
    /// The upstream could not be reached, or broke off before its first byte.
    Unreachable,
    /// No first byte within the route's time.
    Timeout,
    /// The upstream's credential could not be used; nothing was sent.
    CredentialUnavailable,
    /// The call came back to the gateway.
    Loop,
    /// The gateway failed.
    InternalError,
    /// The client hung up before the upstream's first byte.
    ClientGone,
    /// The route is closed for maintenance.
    Maintenance,
    /// A fault that the call itself asked for, to test a workflow.
    InjectedFault,
    /// The token was revoked.
    DeniedRevoked,
    /// The token is disabled.
    DeniedDisabled,
    /// The token, or this secret of it, has ended.
    DeniedExpired,
    /// The client's address is not in the token's allow-list.
    DeniedIp,
    /// No route matches.
    DeniedRoute,
    /// The route does not take the method.
    DeniedMethod,
    /// No scope of the token covers the call.
    DeniedScope,
    /// The token may not call the model.
    DeniedModel,
    /// A limit of calls in a sliding window, or at once, was reached.
    LimitedRate,
    /// A limit of a calendar day or month was reached.
    LimitedQuota,
    /// The body is longer than allowed, or its length is unknown.
    LimitedSize,
}

/// The class an outcome is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it, and `Outcome::class` what belongs to each")]
pub enum OutcomeClass {
    Ok,
    ClientError,
    UpstreamError,
    Timeout,
    GatewayError,
    Denied,
    Limited,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 22] = [
        Self::Ok,
        Self::ClientError,
        Self::UpstreamError,
        Self::Unreachable,
        Self::Timeout,
        Self::CredentialUnavailable,
        Self::Loop,
        Self::InternalError,
        Self::ClientGone,
        Self::Maintenance,
        Self::InjectedFault,
        Self::DeniedRevoked,
        Self::DeniedDisabled,
        Self::DeniedExpired,
        Self::DeniedIp,
        Self::DeniedRoute,
        Self::DeniedMethod,
        Self::DeniedScope,
        Self::DeniedModel,
        Self::LimitedRate,
        Self::LimitedQuota,
        Self::LimitedSize,
    ];

    /// Returns the outcome of a call to which the upstream responded with `status`.
    pub fn of_status(status: u16) -> Self {
        match status {
            ..400 => Self::Ok,
            400..500 => Self::ClientError,
            500.. => Self::UpstreamError,
        }
    }

    /// Returns the class that the outcome is counted under.
    pub fn class(self) -> OutcomeClass {
        match self {
            Self::Ok => OutcomeClass::Ok,
            Self::ClientError | Self::ClientGone => OutcomeClass::ClientError,
            Self::UpstreamError | Self::Unreachable => OutcomeClass::UpstreamError,
            Self::Timeout => OutcomeClass::Timeout,
            Self::CredentialUnavailable
            | Self::Loop
            | Self::InternalError
            | Self::Maintenance
            | Self::InjectedFault => OutcomeClass::GatewayError,
            Self::DeniedRevoked
            | Self::DeniedDisabled
            | Self::DeniedExpired
            | Self::DeniedIp
            | Self::DeniedRoute
            | Self::DeniedMethod
            | Self::DeniedScope
            | Self::DeniedModel => OutcomeClass::Denied,
            Self::LimitedRate | Self::LimitedQuota | Self::LimitedSize => OutcomeClass::Limited,
        }
    }

    /// Returns the name on the wire and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client-error",
            Self::UpstreamError => "upstream-error",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::CredentialUnavailable => "credential-unavailable",
            Self::Loop => "loop",
            Self::InternalError => "internal-error",
            Self::ClientGone => "client-gone",
            Self::Maintenance => "maintenance",
            Self::InjectedFault => "injected-fault",
            Self::DeniedRevoked => "denied-revoked",
            Self::DeniedDisabled => "denied-disabled",
            Self::DeniedExpired => "denied-expired",
            Self::DeniedIp => "denied-ip",
            Self::DeniedRoute => "denied-route",
            Self::DeniedMethod => "denied-method",
            Self::DeniedScope => "denied-scope",
            Self::DeniedModel => "denied-model",
            Self::LimitedRate => "limited-rate",
            Self::LimitedQuota => "limited-quota",
            Self::LimitedSize => "limited-size",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_d1_and_on_the_wire_agree() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{}\"", outcome.as_str()));
        }
    }
}
