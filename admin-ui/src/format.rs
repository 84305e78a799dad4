//! Times, numbers and sizes as the reader's language and time zone write them, by the browser's
//! `Intl`.

use crate::clock;
use crate::i18n::I18n;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, UnixMs};
use js_sys::{Array, Date, Intl, JSON, JsString, Object};
use web_sys::wasm_bindgen::{JsCast, JsValue};
use yew::AttrValue;

#[expect(clippy::cast_precision_loss, reason = "figures that people read are far below 2^53")]
fn double(value: i64) -> f64 {
    value as f64
}

fn options(json: &str) -> Object {
    JSON::parse(json).ok().and_then(|value| value.dyn_into().ok()).unwrap_or_default()
}

fn local(i18n: &I18n, at: UnixMs, json: &str) -> String {
    let text = Date::new(&double(at).into()).to_locale_string(i18n.language.tag(), &options(json));
    // In Chinese the browser puts the zone into brackets.
    String::from(text).replace(['[', ']'], "")
}

/// Day and minute, with the zone.
pub fn date_time(i18n: &I18n, at: UnixMs) -> String {
    local(
        i18n,
        at,
        r#"{"year":"numeric","month":"short","day":"numeric","hour":"2-digit","minute":"2-digit","hourCycle":"h23","timeZoneName":"short"}"#,
    )
}

/// To the second, with the zone.
pub fn date_time_exact(i18n: &I18n, at: UnixMs) -> String {
    local(
        i18n,
        at,
        r#"{"year":"numeric","month":"short","day":"numeric","hour":"2-digit","minute":"2-digit","second":"2-digit","hourCycle":"h23","timeZoneName":"short"}"#,
    )
}

/// The time of day, with the zone.
pub fn time(i18n: &I18n, at: UnixMs) -> String {
    local(
        i18n,
        at,
        r#"{"hour":"2-digit","minute":"2-digit","second":"2-digit","hourCycle":"h23","timeZoneName":"short"}"#,
    )
}

/// The time of day to the second.
pub fn clock_time(i18n: &I18n, at: UnixMs) -> String {
    local(i18n, at, r#"{"hour":"2-digit","minute":"2-digit","second":"2-digit","hourCycle":"h23"}"#)
}

/// The day.
pub fn date(i18n: &I18n, at: UnixMs) -> String {
    local(i18n, at, r#"{"year":"numeric","month":"short","day":"numeric"}"#)
}

/// Returns a distance in the unit that people would count it in, rounded: hours up to two days, days up to four months.
fn distance(ms: i64) -> (i64, &'static str) {
    let rounded = |width: i64| (ms + ms.signum() * width / 2) / width;
    let units =
        [("second", 1_000, 60), ("minute", MINUTE_MS, 60), ("hour", HOUR_MS, 48), ("day", DAY_MS, 120)];
    let fits = units.into_iter().map(|(unit, width, most)| (rounded(width), unit, most));
    let found = fits.into_iter().find(|(value, _, most)| value.abs() < *most + i64::from(*most == 120));
    found.map_or_else(|| (rounded(30 * DAY_MS), "month"), |(value, unit, _)| (value, unit))
}

/// Such as "3 hours ago" or "in 90 days".
pub fn relative(i18n: &I18n, at: UnixMs) -> String {
    let (value, unit) = distance(at - clock::now());
    let locales = Array::of1(&i18n.language.tag().into());
    // `auto` names days, and "tomorrow" would be wrong for one that is 40 hours away. For zero it says "now".
    let numeric = if value == 0 { r#"{"numeric":"auto"}"# } else { "{}" };
    let formatter = Intl::RelativeTimeFormat::new(&locales, &options(numeric));
    formatter.format(double(value), unit).into()
}

/// The day on which something ends, or the time if that is near, with the distance behind it.
pub fn end(i18n: &I18n, at: UnixMs) -> String {
    let is_near = (at - clock::now()).abs() < 2 * DAY_MS;
    let day = if is_near {
        local(
            i18n,
            at,
            r#"{"month":"short","day":"numeric","hour":"2-digit","minute":"2-digit","hourCycle":"h23"}"#,
        )
    } else {
        date(i18n, at)
    };
    format!("{day} · {}", relative(i18n, at))
}

fn formatted(i18n: &I18n, value: f64, json: &str) -> String {
    let locales = Array::of1(&i18n.language.tag().into());
    let format = Intl::NumberFormat::new(&locales, &options(json)).format();
    let text = format.call1(&JsValue::UNDEFINED, &value.into());
    text.ok().and_then(|text| text.dyn_into::<JsString>().ok()).map(String::from).unwrap_or_default()
}

pub fn number(i18n: &I18n, value: u64) -> String {
    formatted(i18n, double(i64::try_from(value).unwrap_or(i64::MAX)), "{}")
}

/// A part of a whole in percent, with one decimal place.
pub fn share(i18n: &I18n, part: u64, whole: u64) -> String {
    let [part, whole] = [part, whole].map(|value| double(i64::try_from(value).unwrap_or(i64::MAX)));
    let form = r#"{"style":"percent","minimumFractionDigits":1,"maximumFractionDigits":1}"#;
    formatted(i18n, part / whole, form)
}

/// How much a figure has changed, such as "+12 %". `None` if it was zero: nothing can be said then.
pub fn change(i18n: &I18n, now: u64, before: u64) -> Option<String> {
    let [now, before] = [now, before].map(|value| double(i64::try_from(value).unwrap_or(i64::MAX)));
    let form = r#"{"style":"percent","maximumFractionDigits":0,"signDisplay":"exceptZero"}"#;
    (before > 0.0).then(|| formatted(i18n, now / before - 1.0, form))
}

/// A difference of two parts of a thousand in percentage points, such as "+1.2".
pub fn points(i18n: &I18n, now: u64, before: u64) -> String {
    let [now, before] = [now, before].map(|value| double(i64::try_from(value).unwrap_or(i64::MAX)));
    formatted(i18n, (now - before) / 10.0, r#"{"maximumFractionDigits":1,"signDisplay":"exceptZero"}"#)
}

pub fn milliseconds(i18n: &I18n, value: u64) -> String {
    format!("{} ms", number(i18n, value))
}

/// A duration in seconds, with one decimal place.
pub fn seconds(i18n: &I18n, ms: i64) -> String {
    let form = r#"{"minimumFractionDigits":1,"maximumFractionDigits":1}"#;
    format!("{} s", formatted(i18n, double(ms) / 1_000.0, form))
}

/// A latency that is known within some percent, such as "~610 ms" or "~1.1 s".
pub fn about_ms(i18n: &I18n, value: u64) -> String {
    let ms = double(i64::try_from(value).unwrap_or(i64::MAX));
    let (value, unit) = if value < 1_000 { (ms, "ms") } else { (ms / 1_000.0, "s") };
    format!("~{} {unit}", formatted(i18n, value, r#"{"maximumSignificantDigits":2}"#))
}

/// Micro-dollars as dollars and cents. What is less than a cent is not shown as nothing.
pub fn dollars(i18n: &I18n, micros: u64) -> String {
    const CENT_MICROS: u64 = 10_000;
    let form = r#"{"style":"currency","currency":"USD"}"#;
    if (1..CENT_MICROS).contains(&micros) {
        return format!("< {}", formatted(i18n, 0.01, form));
    }
    formatted(i18n, double(i64::try_from(micros).unwrap_or(i64::MAX)) / 1_000_000.0, form)
}

/// Micro-dollars as dollars, to the last of six places.
pub fn exact_dollars(i18n: &I18n, micros: u64) -> String {
    let form = r#"{"style":"currency","currency":"USD","minimumFractionDigits":2,"maximumFractionDigits":6}"#;
    formatted(i18n, double(i64::try_from(micros).unwrap_or(i64::MAX)) / 1_000_000.0, form)
}

/// The beginning of a report's interval, as an axis shows it.
pub fn bucket(i18n: &I18n, at: UnixMs, is_day: bool) -> String {
    let form = if is_day {
        r#"{"month":"short","day":"numeric"}"#
    } else {
        r#"{"month":"numeric","day":"numeric","hour":"2-digit","minute":"2-digit","hourCycle":"h23"}"#
    };
    local(i18n, at, form)
}

/// One text for one, another for any other count; Chinese has the same text for both.
pub fn count(i18n: &I18n, one: &'static str, other: &'static str, count: u64) -> AttrValue {
    i18n.fill(if count == 1 { one } else { other }, &[("count", &number(i18n, count))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_rounded_and_days_are_counted_up_to_four_months() {
        for (ms, wanted) in [
            (400, (0, "second")),
            (-90 * 1_000, (-2, "minute")),
            (24 * HOUR_MS - 1_500, (24, "hour")),
            (-23 * HOUR_MS - 50 * MINUTE_MS, (-24, "hour")),
            (2 * DAY_MS - HOUR_MS, (47, "hour")),
            (2 * DAY_MS + 20 * HOUR_MS, (3, "day")),
            (90 * DAY_MS - 1_000, (90, "day")),
            (120 * DAY_MS, (120, "day")),
            (365 * DAY_MS, (12, "month")),
        ] {
            assert_eq!(distance(ms), wanted, "{ms}");
        }
    }
}
