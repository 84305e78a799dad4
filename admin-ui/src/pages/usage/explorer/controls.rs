//! The choice of figure, split and time.

use super::filter::{By, UsageFilter};
use crate::components::{CheckField, Range, RangePicker, Select, edit, filled};
use crate::hooks::use_teams;
use crate::i18n::use_i18n;
use crate::pages::usage::figures::metric_name;
use contract::usage::Compare;
use domain::usage::metric::Metric;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ControlsProps {
    pub filter: UsageFilter,
    pub on_filter: Callback<UsageFilter>,
}

const WAYS: [(By, &str); 5] = [
    (By::Outcome, "outcome"),
    (By::Token, "token"),
    (By::Route, "route"),
    (By::Team, "team"),
    (By::Model, "model"),
];

#[component]
pub fn Controls(props: &ControlsProps) -> Html {
    let i18n = use_i18n();
    let teams = use_teams();
    let ControlsProps { filter, on_filter } = props;
    let metrics = Metric::ALL.map(|metric| (AttrValue::Static(metric.as_str()), metric_name(&i18n, metric)));
    let on_metric = edit(filter, on_filter, |filter: &mut UsageFilter, name: String| {
        filter.metric = Metric::ALL.into_iter().find(|metric| metric.as_str() == name);
        filter.sort = None;
    });
    let ways = WAYS.map(|(by, name)| {
        let text = match by {
            By::Outcome => i18n.t("usage.by-outcome"),
            By::Token => i18n.t("usage.by-token"),
            By::Route => i18n.t("usage.by-route"),
            By::Team => i18n.t("usage.by-team"),
            By::Model => i18n.t("usage.by-model"),
        };
        (AttrValue::Static(name), text)
    });
    let by = filter.by.unwrap_or_default();
    let by = WAYS.iter().find(|(other, _)| *other == by).map_or("", |(_, name)| *name);
    let on_by = edit(filter, on_filter, |filter: &mut UsageFilter, name: String| {
        filter.by = WAYS.iter().find(|(_, other)| *other == name).map(|(by, _)| *by);
        match filter.by {
            Some(By::Model) => (filter.token, filter.route) = (None, None),
            Some(By::Token | By::Route) => filter.model = None,
            _ => {}
        }
    });
    let mut options = vec![(AttrValue::Static(""), i18n.t("filter.any-team"))];
    if let Some(teams) = teams.state.ready() {
        options.extend(teams.iter().map(|team| (team.id.to_string().into(), team.name.clone().into())));
    }
    let on_team =
        edit(filter, on_filter, |filter: &mut UsageFilter, team: String| filter.team = filled(&team));
    let on_range = edit(filter, on_filter, |filter: &mut UsageFilter, range: Range| filter.range = range);
    let on_compare = edit(filter, on_filter, |filter: &mut UsageFilter, is_on: bool| {
        filter.compare = is_on.then_some(Compare::Previous);
    });
    html! {
        <div class="tm-toolbar" role="search" aria-label={i18n.t("filter.label")}>
            <Select label={i18n.t("usage.metric")} options={metrics.to_vec()} value={filter.metric.unwrap_or_default().as_str()} on_change={on_metric} />
            <Select label={i18n.t("usage.by")} options={ways.to_vec()} value={by} on_change={on_by} />
            <RangePicker range={filter.range.clone()} on_change={on_range} />
            <Select label={i18n.t("filter.team")} {options} value={filter.team.clone().unwrap_or_default()} on_change={on_team} />
            <CheckField label={i18n.t("usage.compare")} is_checked={filter.compare.is_some()} on_change={on_compare} />
        </div>
    }
}
