//! The platform's clock.

use domain::time::UnixMs;
use std::time::Duration;
use worker::Delay;

/// Returns the current time. Makes no `Date` object, as `worker::Date` does at each call.
#[expect(clippy::cast_possible_truncation, reason = "whole milliseconds, far below 2^53")]
pub fn now() -> UnixMs {
    js_sys::Date::now() as i64
}

/// Waits for `ms` milliseconds.
pub fn sleep(ms: u64) -> impl Future<Output = ()> {
    Delay::from(Duration::from_millis(ms))
}
