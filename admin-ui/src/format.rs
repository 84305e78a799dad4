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
    Date::new(&double(at).into()).to_locale_string(i18n.language.tag(), &options(json)).into()
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

/// Such as "3 hours ago" or "in 2 days", in the largest unit that is not zero.
pub fn relative(i18n: &I18n, at: UnixMs) -> String {
    let distance = at - clock::now();
    let (unit, width) = match distance.abs() {
        ms if ms < MINUTE_MS => ("second", 1_000),
        ms if ms < HOUR_MS => ("minute", MINUTE_MS),
        ms if ms < DAY_MS => ("hour", HOUR_MS),
        ms if ms < 60 * DAY_MS => ("day", DAY_MS),
        _ => ("month", 30 * DAY_MS),
    };
    let locales = Array::of1(&i18n.language.tag().into());
    let formatter = Intl::RelativeTimeFormat::new(&locales, &options(r#"{"numeric":"auto"}"#));
    formatter.format(double(distance / width), unit).into()
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

/// Such as 99.2 % for 992.
pub fn permille(i18n: &I18n, value: u64) -> String {
    let share = double(i64::try_from(value).unwrap_or(i64::MAX)) / 1000.0;
    formatted(i18n, share, r#"{"style":"percent","maximumFractionDigits":1}"#)
}

pub fn milliseconds(i18n: &I18n, value: u64) -> String {
    format!("{} ms", number(i18n, value))
}

/// In powers of 1024.
pub fn bytes(i18n: &I18n, value: u64) -> String {
    let mut scaled = double(i64::try_from(value).unwrap_or(i64::MAX));
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 1024.0 {
            return format!("{} {unit}", formatted(i18n, scaled, r#"{"maximumFractionDigits":1}"#));
        }
        scaled /= 1024.0;
    }
    format!("{} TiB", formatted(i18n, scaled, r#"{"maximumFractionDigits":1}"#))
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
