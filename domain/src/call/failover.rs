//! The rule by which a call goes to a route's second upstream.

use super::attempt::AttemptFault;

/// The result of one attempt: a status, or the reason why there is none.
pub type Attempted = Result<u16, AttemptFault>;

/// Whether the upstream is down, as it or a proxy before it reports. 52x and 530 are Cloudflare's own statuses for
/// this. Faults of the client and of the gateway say nothing about the upstream, so a breaker does not hear of them.
pub fn is_away(attempted: Attempted) -> bool {
    match attempted {
        Ok(status) => matches!(status, 502..=504 | 521..=523 | 525 | 526 | 530),
        Err(fault) => fault.is_upstreams(),
    }
}

/// Whether the upstream refuses the credential, or has too many calls of it: another credential may still be served.
pub fn is_refusal(attempted: Attempted) -> bool {
    matches!(attempted, Ok(401 | 429))
}

/// Whether the client gets the second upstream's result, after the first one was away.
///
/// A response comes before a failure. Of two failures, a timeout of the first counts: that upstream may have carried
/// out the call.
pub fn takes_second(first: Attempted, second: Attempted) -> bool {
    second.is_ok() || !matches!(first, Ok(_) | Err(AttemptFault::Timeout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::GatewayError;

    const UNREACHABLE: Attempted = Err(AttemptFault::Unreachable);
    const TIMEOUT: Attempted = Err(AttemptFault::Timeout);

    #[test]
    fn only_what_the_upstream_did_counts_as_away() {
        for away in [UNREACHABLE, TIMEOUT, Ok(502), Ok(504), Ok(530)] {
            assert!(is_away(away), "{away:?}");
        }
        let own = Err(AttemptFault::NotSent(GatewayError::CredentialUnavailable));
        for here in [Ok(200), Ok(429), Ok(500), Ok(501), Ok(524), Err(AttemptFault::ClientGone), own] {
            assert!(!is_away(here), "{here:?}");
        }
        assert!(
            is_refusal(Ok(401)) && is_refusal(Ok(429)) && !is_refusal(Ok(403)) && !is_refusal(UNREACHABLE)
        );
    }

    #[test]
    fn a_response_comes_before_a_failure_and_a_timeout_before_others() {
        assert!(takes_second(TIMEOUT, Ok(500)));
        assert!(takes_second(Ok(503), Ok(503)));
        assert!(!takes_second(Ok(503), UNREACHABLE));
        assert!(!takes_second(TIMEOUT, UNREACHABLE));
        assert!(takes_second(UNREACHABLE, TIMEOUT));
    }
}
