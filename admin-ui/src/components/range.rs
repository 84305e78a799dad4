//! The time that a report covers: the last hours or days, or from one day to another.

use crate::clock;
use crate::components::Select;
use crate::i18n::use_i18n;
use contract::usage::SpanQuery;
use domain::time::{DAY_MS, UnixMs};
use domain::usage::span::Interval;
use serde::{Deserialize, Serialize};
use web_sys::HtmlInputElement;
use yew::prelude::*;

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    #[serde(rename = "range")]
    pub preset: Option<Preset>,
    /// Days such as `2026-11-23`, in the reader's zone, both inclusive.
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

const INTERVALS: [(Interval, &str); 3] =
    [(Interval::FiveMinutes, "5m"), (Interval::Hour, "hour"), (Interval::Day, "day")];

impl Range {
    /// Returns the beginning and the exclusive end. An end of `None` means now.
    fn ends(
        &self,
        now: UnixMs,
        midnight: impl Fn(&str) -> Option<UnixMs>,
    ) -> (Option<UnixMs>, Option<UnixMs>) {
        if let Some(days) = self.preset.unwrap_or_default().days() {
            return (Some(now - days * DAY_MS), None);
        }
        let from = self.from.as_deref().and_then(&midnight);
        (from, self.to.as_deref().and_then(&midnight).map(|day| day + DAY_MS))
    }

    /// Returns the range as the API expects it: in the reader's zone, up to now unless an end is set.
    pub fn query(&self) -> SpanQuery {
        let (from, to) = self.ends(clock::now(), clock::midnight);
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
    let day = |label: AttrValue, value: Option<String>, change: fn(&mut Range, Option<String>)| {
        let range = props.range.clone();
        let onchange = props.on_change.reform(move |event: Event| {
            let mut range = range.clone();
            let day = event.target_unchecked_into::<HtmlInputElement>().value();
            change(&mut range, Some(day).filter(|day| !day.is_empty()));
            range
        });
        html! {
            <span class="pf-v6-c-form-control">
                <input type="date" aria-label={label} value={value.unwrap_or_default()} {onchange} />
            </span>
        }
    };
    html! {
        <>
            <Select label={i18n.t("range.label")} options={presets.to_vec()} value={preset.name()} on_change={on_preset} />
            if preset == Preset::Custom {
                { day(i18n.t("range.from"), props.range.from.clone(), |range, day| range.from = day) }
                { day(i18n.t("range.to"), props.range.to.clone(), |range, day| range.to = day) }
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

    #[test]
    fn an_included_last_day_ends_when_the_next_begins() {
        let midnight = |day: &str| day.parse::<i64>().ok().map(|day| day * DAY_MS);
        let custom = Range {
            preset: Some(Preset::Custom),
            from: Some("3".into()),
            to: Some("4".into()),
            interval: None,
        };
        assert_eq!(custom.ends(0, midnight), (Some(3 * DAY_MS), Some(5 * DAY_MS)));
        let week = Range { preset: Some(Preset::Week), ..custom };
        assert_eq!(week.ends(9 * DAY_MS, midnight), (Some(2 * DAY_MS), None));
    }
}
