//! An end to waiting.

use crate::clock::sleep;
use futures_util::future::{Either, select};
use std::pin::pin;

/// The time is over and the work is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct TimedOut;

impl From<TimedOut> for String {
    fn from(cause: TimedOut) -> Self {
        cause.to_string()
    }
}

/// Waits for `work`, but no longer than `ms` milliseconds. Work that takes longer is dropped.
pub async fn within<F: Future>(ms: u64, work: F) -> Result<F::Output, TimedOut> {
    match select(pin!(work), pin!(sleep(ms))).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(_) => Err(TimedOut),
    }
}
