//! The time that a report covers: the last hours or days, or from one minute to another.

use crate::clock;
use crate::components::Select;
use crate::i18n::use_i18n;
use contract::usage::SpanQuery;
use domain::time::{DAY_MS, MINUTE_MS, UnixMs};
use domain::usage::span::Interval;
use serde::{Deserialize, Serialize};
use web_sys::HtmlInputElement;
use yew::prelude::*;

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    #[serde(rename = "range")]
    pub preset: Option<Preset>,
    /// Minutes such as `2026-11-23T10:00`, or days such as `2026-11-23`, in the reader's zone, both inclusive.
    pub from: Option<String>,
    pub to: Option<String>,
    pub interval: Option<Interval>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    #[default]
    #[serde(rename = "24h")]
    Day,
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "30d")]
    Month,
    #[serde(rename = "90d")]
    Quarter,
    #[serde(rename = "custom")]
    Custom,
}

impl Preset {
    const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Custom];

    const fn name(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
            Self::Custom => "custom",
        }
    }

    const fn days(self) -> Option<i64> {
        match self {
            Self::Day => Some(1),
            Self::Week => Some(7),
            Self::Month => Some(30),
            Self::Quarter => Some(90),
            Self::Custom => None,
        }
    }
}

const FIRST_MINUTE: &str = "00:00";
const LAST_MINUTE: &str = "23:59";

const INTERVALS: [(Interval, &str); 3] =
    [(Interval::FiveMinutes, "5m"), (Interval::Hour, "hour"), (Interval::Day, "day")];

/// Whether a time is that of a day, as earlier addresses have it.
fn is_day(text: &str) -> bool {
    !text.contains('T')
}

/// Returns the minute that a day begins or ends with; a minute stays as it is.
fn minute(text: &str, of_day: &str) -> String {
    if is_day(text) { format!("{text}T{of_day}") } else { text.to_owned() }
}

impl Range {
    /// Returns the range from one time to another, which is exclusive.
    pub fn between(from: UnixMs, to: UnixMs) -> Self {
        Self {
            preset: Some(Preset::Custom),
            from: Some(clock::minute_of(from)),
            to: Some(clock::minute_of(to - MINUTE_MS)),
            interval: None,
        }
    }

    /// Returns the beginning and the exclusive end. An end of `None` means now.
    fn ends(
        &self,
        now: UnixMs,
        start_of: impl Fn(&str) -> Option<UnixMs>,
    ) -> (Option<UnixMs>, Option<UnixMs>) {
        if let Some(days) = self.preset.unwrap_or_default().days() {
            return (Some(now - days * DAY_MS), None);
        }
        let start = |text: &String| start_of(&minute(text, FIRST_MINUTE));
        let end = |text: &String| Some(start(text)? + if is_day(text) { DAY_MS } else { MINUTE_MS });
        (self.from.as_ref().and_then(start), self.to.as_ref().and_then(end))
    }

    /// Returns the range as the API expects it: in the reader's zone, up to now unless an end is set.
    pub fn query(&self) -> SpanQuery {
        let (from, to) = self.ends(clock::now(), clock::start_of);
        SpanQuery {
            from: from.map(|at| at.to_string()),
            to: to.map(|at| at.to_string()),
            interval: self.interval,
            tz: Some(clock::zone()).filter(|zone| !zone.is_empty()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RangePickerProps {
    pub range: Range,
    pub on_change: Callback<Range>,
    /// Whether an interval can be chosen: not for a list, which has no intervals.
    #[prop_or(true)]
    pub has_interval: bool,
}

#[component]
pub fn RangePicker(props: &RangePickerProps) -> Html {
    let i18n = use_i18n();
    let preset = props.range.preset.unwrap_or_default();
    let presets = Preset::ALL.map(|preset| {
        let text = match preset {
            Preset::Day => i18n.t("range.day"),
            Preset::Week => i18n.t("range.week"),
            Preset::Month => i18n.t("range.month"),
            Preset::Quarter => i18n.t("range.quarter"),
            Preset::Custom => i18n.t("range.custom"),
        };
        (AttrValue::Static(preset.name()), text)
    });
    let on_preset = {
        let range = props.range.clone();
        props.on_change.reform(move |name: String| Range {
            preset: Preset::ALL.into_iter().find(|preset| preset.name() == name),
            ..range.clone()
        })
    };
    let mut intervals = vec![(AttrValue::Static(""), i18n.t("range.auto"))];
    intervals.extend(INTERVALS.map(|(interval, name)| {
        let text = match interval {
            Interval::FiveMinutes => i18n.t("range.by-5-minutes"),
            Interval::Hour => i18n.t("range.by-hour"),
            Interval::Day => i18n.t("range.by-day"),
        };
        (AttrValue::Static(name), text)
    }));
    let interval = props.range.interval.and_then(|i| INTERVALS.iter().find(|(other, _)| *other == i));
    let on_interval = {
        let range = props.range.clone();
        props.on_change.reform(move |chosen: String| Range {
            interval: INTERVALS.iter().find(|(_, name)| *name == chosen).map(|(interval, _)| *interval),
            ..range.clone()
        })
    };
    let time = |label: AttrValue, value: Option<String>, change: fn(&mut Range, Option<String>)| {
        let range = props.range.clone();
        let onchange = props.on_change.reform(move |event: Event| {
            let mut range = range.clone();
            let minute = event.target_unchecked_into::<HtmlInputElement>().value();
            change(&mut range, Some(minute).filter(|minute| !minute.is_empty()));
            range
        });
        html! {
            <span class="pf-v6-c-form-control">
                <input type="datetime-local" aria-label={label} value={value.unwrap_or_default()} {onchange} />
            </span>
        }
    };
    html! {
        <>
            <Select label={i18n.t("range.label")} options={presets.to_vec()} value={preset.name()} on_change={on_preset} />
            if preset == Preset::Custom {
                { time(i18n.t("range.from"), props.range.from.as_ref().map(|from| minute(from, FIRST_MINUTE)), |range, at| range.from = at) }
                { time(i18n.t("range.to"), props.range.to.as_ref().map(|to| minute(to, LAST_MINUTE)), |range, at| range.to = at) }
            }
            if props.has_interval {
                <Select label={i18n.t("range.interval")} options={intervals} value={interval.map_or("", |(_, name)| *name)} on_change={on_interval} />
            }
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::HOUR_MS;

    #[test]
    fn an_included_last_day_or_minute_ends_when_the_next_begins() {
        let start_of = |minute: &str| {
            let (day, hour) = minute.strip_suffix(":00")?.split_once('T')?;
            Some(day.parse::<i64>().ok()? * DAY_MS + hour.parse::<i64>().ok()? * HOUR_MS)
        };
        let custom = Range {
            preset: Some(Preset::Custom),
            from: Some("3".into()),
            to: Some("4".into()),
            interval: None,
        };
        assert_eq!(custom.ends(0, start_of), (Some(3 * DAY_MS), Some(5 * DAY_MS)));
        let minutes = Range { from: Some("3T01:00".into()), to: Some("3T02:00".into()), ..custom.clone() };
        let hour = 3 * DAY_MS + HOUR_MS;
        assert_eq!(minutes.ends(0, start_of), (Some(hour), Some(hour + HOUR_MS + MINUTE_MS)));
        let week = Range { preset: Some(Preset::Week), ..custom };
        assert_eq!(week.ends(9 * DAY_MS, start_of), (Some(2 * DAY_MS), None));
    }
}
