//! Targets: where a route's calls go, and with which credential.

use crate::credential::seal::SealedCredential;
use crate::upstream::address::UpstreamUrl;
use crate::v1::auth::Auth;

/// An upstream with the credential that its calls carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The upstream's address.
    pub upstream: UpstreamUrl,
    /// The credential for it.
    pub credential: RouteCredential,
}

/// The source of a route's credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteCredential {
    /// Calls go out without one.
    None,
    /// A credential that only the gateway can open.
    Sealed(SealedCredential),
    /// Named by a v1 table, to be resolved from Worker secrets or KV `secret:<NAME>`.
    V1(Auth),
    /// The table's entry cannot be read. The call is refused, never sent without.
    Unreadable,
}
