//! Alerts that leave the building. `domain::alert` decides; this reads, writes and sends.
//!
//! Events are noted in `alerts` in the transaction that notices them: by triggers on `notifications` and `memberships`.
//! The consumer notes where tokens are used from ([`places`]). Each minute the cron watches what no transaction notices
//! ([`watch`]), makes deliveries of what was noted and sends those that are due ([`deliver`]).
//!
//! If the cron dies at an await, this happens:
//!
//! 1. Deliveries are made, and the alerts marked, in one transaction. A repeat makes the same ids, which are there already.
//! 2. A delivery is taken, with a lease, before it is sent. Death before the result is stored: it is sent again when the
//!    lease is over, under the same id, by which receivers know it.

pub mod deliver;
pub mod places;
pub mod receiver;
pub mod watch;
