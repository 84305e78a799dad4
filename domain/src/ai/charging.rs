//! Decides, after a call that may have gone to two upstreams, whether it can have been charged for.

/// The upstreams of a call: the route's own, and the one that it fails over to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// The route's own upstream.
    First,
    /// The upstream that the route fails over to.
    Second,
}

/// The upstreams at which a call is metered; either of them makes it reserve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeteredAt {
    /// Whether the first upstream meters the call.
    pub first: bool,
    /// Whether the second upstream does.
    pub second: bool,
}

/// The fate of a call at its upstreams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Upstreams that took the call and did not respond in time.
    pub timed_out: Vec<Upstream>,
    /// The upstream whose response the client gets.
    pub answered: Option<Upstream>,
}

/// The charge for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Nothing: no metered upstream took the call.
    Nothing,
    /// The usage that its response tells.
    ByResponse,
    /// An unknown amount: the reservation stays spent.
    Unknown,
}

impl MeteredAt {
    /// Whether any upstream meters the call.
    pub fn any(self) -> bool {
        self.first || self.second
    }

    /// Returns the charge for a call; `succeeded` says whether the client gets a successful response.
    pub fn charge(self, tried: &Tried, succeeded: bool) -> Charge {
        let is_metered = |upstream: Upstream| match upstream {
            Upstream::First => self.first,
            Upstream::Second => self.second,
        };
        if succeeded && tried.answered.is_some_and(is_metered) {
            Charge::ByResponse
        } else if tried.timed_out.iter().copied().any(is_metered) {
            Charge::Unknown
        } else {
            Charge::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Charge::{ByResponse, Nothing, Unknown};
    use super::Upstream::{First, Second};
    use super::*;

    const SECOND: MeteredAt = MeteredAt { first: false, second: true };
    const FIRST: MeteredAt = MeteredAt { first: true, second: false };
    const BOTH: MeteredAt = MeteredAt { first: true, second: true };

    fn tried(timed_out: &[Upstream], answered: Option<Upstream>) -> Tried {
        Tried { timed_out: timed_out.to_vec(), answered }
    }

    #[test]
    fn a_call_is_charged_by_the_upstream_that_responded() {
        for (answered, by_first, by_second) in [(First, ByResponse, Nothing), (Second, Nothing, ByResponse)] {
            let tried = tried(&[], Some(answered));
            assert_eq!(FIRST.charge(&tried, true), by_first);
            assert_eq!(SECOND.charge(&tried, true), by_second);
            assert_eq!(BOTH.charge(&tried, true), ByResponse);
            assert_eq!(MeteredAt::default().charge(&tried, true), Nothing);
        }
    }

    #[test]
    fn a_failure_costs_nothing_unless_a_metered_upstream_was_too_slow() {
        for metered in [FIRST, SECOND, BOTH] {
            assert_eq!(metered.charge(&tried(&[], None), false), Nothing);
            assert_eq!(metered.charge(&tried(&[], Some(First)), false), Nothing);
        }
        assert_eq!(FIRST.charge(&tried(&[First], None), false), Unknown);
        assert_eq!(SECOND.charge(&tried(&[First], None), false), Nothing, "it is free there");
        assert_eq!(SECOND.charge(&tried(&[Second], Some(First)), false), Unknown);
        assert_eq!(BOTH.charge(&tried(&[First], Some(Second)), false), Unknown);
    }

    #[test]
    fn a_free_response_does_not_settle_the_upstream_that_was_too_slow() {
        assert_eq!(FIRST.charge(&tried(&[First], Some(Second)), true), Unknown);
        assert_eq!(BOTH.charge(&tried(&[First], Some(Second)), true), ByResponse);
    }
}
