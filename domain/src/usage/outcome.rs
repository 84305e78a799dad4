//! Outcomes: how a call ended.

use serde::{Deserialize, Serialize};

/// How a call ended. A closed set: dashboards and alarms are written against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The upstream answered below 400.
    Ok,
    /// The upstream answered 4xx.
    ClientError,
    /// The upstream answered 5xx.
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
    DeniedRevoked,
    DeniedDisabled,
    DeniedExpired,
    DeniedIp,
    DeniedRoute,
    DeniedMethod,
    DeniedScope,
    LimitedRate,
    LimitedQuota,
    LimitedSize,
}

/// The class an outcome is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub const ALL: [Self; 21] = [
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
        Self::LimitedRate,
        Self::LimitedQuota,
        Self::LimitedSize,
    ];

    /// The outcome of a call that the upstream answered.
    pub fn of_status(status: u16) -> Self {
        match status {
            ..400 => Self::Ok,
            400..500 => Self::ClientError,
            500.. => Self::UpstreamError,
        }
    }

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
            | Self::DeniedScope => OutcomeClass::Denied,
            Self::LimitedRate | Self::LimitedQuota | Self::LimitedSize => OutcomeClass::Limited,
        }
    }

    /// The name on the wire and in D1.
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
