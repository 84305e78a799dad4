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

/// Returns when a day such as `2026-11-23` begins in the reader's zone.
#[expect(clippy::cast_possible_truncation, reason = "a double holds whole ms for longer than time lasts")]
pub fn midnight(day: &str) -> Option<UnixMs> {
    let at = Date::new(&format!("{day}T00:00").into()).get_time();
    at.is_finite().then_some(at as i64)
}
