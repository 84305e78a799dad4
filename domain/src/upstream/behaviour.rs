//! Behaviour: how the gateway treats the calls of a route, whichever upstream they go to.

use crate::upstream::settings::RouteSettings;

/// Milliseconds to the upstream's first byte unless the route says otherwise.
pub const DEFAULT_TIMEOUT_MS: u32 = 100_000;
/// The longest timeout that may be asked for, in milliseconds. Cloudflare itself ends a call without a response at
/// 100 s on most plans, so more would promise what is not kept.
pub const MAX_TIMEOUT_MS: u32 = 600_000;

/// A route's timeout, cookies, CORS and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Milliseconds to the upstream's first byte.
    pub timeout_ms: u32,
    /// Whether the client's `Cookie` goes to the upstream. Off by default: a browser would send
    /// every upstream the cookies of the domain that the gateway shares with other applications.
    pub forward_cookies: bool,
    /// Origins that browsers may call from; empty means no CORS.
    pub cors_origins: Vec<String>,
    /// Settings that few routes have.
    pub settings: RouteSettings,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            timeout_ms: DEFAULT_TIMEOUT_MS,
            forward_cookies: false,
            cors_origins: vec![],
            settings: RouteSettings::default(),
        }
    }
}
