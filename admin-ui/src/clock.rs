//! The browser's clock and time zone.

use domain::time::UnixMs;
use js_sys::{Array, Date, Intl, Object};

/// Returns the current time.
#[expect(clippy::cast_possible_truncation, reason = "a double holds whole ms for longer than time lasts")]
pub fn now() -> UnixMs {
    Date::now() as i64
}

/// Returns the reader's zone, such as `Asia/Taipei`; empty if the browser does not say.
pub fn zone() -> String {
    let format = Intl::DateTimeFormat::new(&Array::new(), &Object::new());
    let resolved = format.resolved_options();
    js_sys::Reflect::get(&resolved, &"timeZone".into())
        .ok()
        .and_then(|zone| zone.as_string())
        .unwrap_or_default()
}

/// Returns when a minute such as `2026-11-23T10:00` begins in the reader's zone.
#[expect(clippy::cast_possible_truncation, reason = "a double holds whole ms for longer than time lasts")]
pub fn start_of(minute: &str) -> Option<UnixMs> {
    let at = Date::new(&minute.into()).get_time();
    at.is_finite().then_some(at as i64)
}

/// Returns the minute of a time in the reader's zone, such as `2026-11-23T10:00`.
#[expect(clippy::cast_precision_loss, reason = "a double holds whole ms for longer than time lasts")]
pub fn minute_of(at: UnixMs) -> String {
    let date = Date::new(&(at as f64).into());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}",
        date.get_full_year(),
        date.get_month() + 1,
        date.get_date(),
        date.get_hours(),
        date.get_minutes()
    )
}
