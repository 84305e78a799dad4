//! Time zones from the runtime's `Intl`: their rules are not part of the Worker.

use contract::teams::TeamZone;
use domain::limit::ledger::Zone as Rule;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, UnixMs};
use js_sys::{Array, Date, Function, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

/// A zone of the IANA database.
#[derive(Debug)]
pub struct Zone(Option<Function>);

impl Zone {
    /// Finds a zone by name; `None` if the runtime does not know it.
    pub fn named(name: &str) -> Option<Self> {
        if name == "UTC" {
            return Some(Self(None));
        }
        let options = Object::new();
        for (key, value) in [("timeZone", name), ("timeZoneName", "longOffset")] {
            Reflect::set(&options, &key.into(), &value.into()).ok()?;
        }
        let intl = Reflect::get(&js_sys::global(), &"Intl".into()).ok()?;
        let class: Function = Reflect::get(&intl, &"DateTimeFormat".into()).ok()?.dyn_into().ok()?;
        let format = Reflect::construct(&class, &Array::of2(&"en-US".into(), &options)).ok()?;
        Some(Self(Some(Reflect::get(&format, &"format".into()).ok()?.dyn_into().ok()?)))
    }

    /// Returns how far the zone is ahead of UTC at a time, in ms.
    pub fn offset_at(&self, at: UnixMs) -> i64 {
        let Some(format) = &self.0 else { return 0 };
        #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53")]
        let date = Date::new(&JsValue::from_f64(at as f64));
        let text = format.call1(&JsValue::UNDEFINED, &date).ok().and_then(|text| text.as_string());
        text.as_deref().and_then(parse_offset).unwrap_or(0)
    }
}

/// Returns a zone by name as limits count in it: its offset now, and its next change within a year and a half.
pub fn of_team(name: &str, now: UnixMs) -> Option<TeamZone> {
    let zone = Zone::named(name)?;
    Some(TeamZone { name: name.to_owned(), rule: rule(|at| zone.offset_at(at), now) })
}

fn rule(offset_at: impl Fn(UnixMs) -> i64, now: UnixMs) -> Rule {
    let offset_ms = offset_at(now);
    let days = (1..=550).map(|day| now + day * DAY_MS);
    let next = days.into_iter().find(|at| offset_at(*at) != offset_ms).map(|after| {
        let (mut before, mut after) = (after - DAY_MS, after);
        while after - before > 1 {
            let middle = before.midpoint(after);
            *(if offset_at(middle) == offset_ms { &mut before } else { &mut after }) = middle;
        }
        (after, offset_at(after))
    });
    Rule { offset_ms, next }
}

/// Reads the offset at the end of `11/23/2026, GMT+05:30`; `GMT` alone is 0.
fn parse_offset(text: &str) -> Option<i64> {
    let (_, offset) = text.rsplit_once("GMT")?;
    let (sign, rest) = match offset.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-" | "\u{2212}", rest) => (-1, rest),
        _ => return Some(0),
    };
    let (hours, minutes) = rest.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * HOUR_MS + minutes.get(..2)?.parse::<i64>().ok()? * MINUTE_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_from_intls_text() {
        for (text, minutes) in [("11/23/2026, GMT+08:00", 480), ("x, GMT-03:30", -210), ("x, GMT+05:30", 330)]
        {
            assert_eq!(parse_offset(text), Some(minutes * MINUTE_MS), "{text}");
        }
        assert_eq!(parse_offset("11/23/2026"), None);
    }

    #[test]
    fn the_next_change_of_a_zone_is_found_to_the_millisecond() {
        const CHANGE: UnixMs = 1_790_000_000_123;
        let summer = |at: UnixMs| if at < CHANGE { 2 * HOUR_MS } else { HOUR_MS };
        for now in [CHANGE - 200 * DAY_MS, CHANGE - 1] {
            assert_eq!(rule(summer, now), Rule { offset_ms: 2 * HOUR_MS, next: Some((CHANGE, HOUR_MS)) });
        }
        assert_eq!(rule(summer, CHANGE), Rule { offset_ms: HOUR_MS, next: None });
    }
}
