//! The line of filters above the calls.

use super::filter::{CallFilter, options, same};
use super::more::{Chips, More, set_among};
use crate::components::{Button, Range, RangePicker, Select, TokenPicker, edit, filled};
use crate::hooks::use_id;
use crate::i18n::use_i18n;
use domain::usage::outcome::Outcome;
use patternfly_yew::prelude::{ButtonVariant, Icon};
use yew::prelude::*;

const STATUSES: [&str; 15] =
    ["2xx", "3xx", "4xx", "5xx", "400", "401", "403", "404", "408", "413", "429", "500", "502", "503", "504"];

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct FiltersProps {
    pub filter: CallFilter,
    pub on_filter: Callback<CallFilter>,
    pub range: Range,
    pub on_range: Callback<Range>,
}

/// Draws the filters: the most used in a line, and the others behind a button.
#[component]
pub fn Filters(props: &FiltersProps) -> Html {
    let i18n = use_i18n();
    let FiltersProps { filter, on_filter, range, on_range } = props;
    let is_open = use_state_eq(|| false);
    let panel = use_id();
    let set = |change: fn(&mut CallFilter, Option<String>)| {
        edit(filter, on_filter, move |filter: &mut CallFilter, text: String| change(filter, filled(&text)))
    };
    let outcomes = Outcome::ALL.map(|one| (AttrValue::Static(one.as_str()), i18n.outcome(one.as_str())));
    let on_outcome = set(|filter, name| {
        filter.outcome = Outcome::ALL.into_iter().find(|outcome| name.as_deref() == Some(outcome.as_str()));
    });
    let on_token = edit(filter, on_filter, |filter: &mut CallFilter, token| filter.token = token);
    let hidden = set_among(filter);
    let label = match hidden {
        0 => i18n.t("calls.more"),
        set => i18n.fill("calls.more-set", &[("count", &set.to_string())]),
    };
    let on_open = {
        let is_open = is_open.clone();
        Callback::from(move |_: MouseEvent| is_open.set(!*is_open))
    };
    html! {
        <>
            <div class="tm-toolbar tm-filter-line" role="search" aria-label={i18n.t("filter.label")}>
                <RangePicker range={range.clone()} on_change={on_range.clone()} has_interval=false />
                <TokenPicker value={filter.token.clone()} on_change={on_token} />
                <Select label={i18n.t("calls.status")} options={options(i18n.t("calls.any-status"), STATUSES.map(same), filter.status.as_deref())} value={filter.status.clone().unwrap_or_default()} on_change={set(|filter, text| filter.status = text)} />
                <Select label={i18n.t("calls.outcome")} options={options(i18n.t("calls.any-outcome"), outcomes, None)} value={filter.outcome.map_or("", Outcome::as_str)} on_change={on_outcome} />
                <Button variant={ButtonVariant::Secondary} icon={Icon::Filter} label={label.to_string()} is_expanded={*is_open} controls={is_open.then(|| panel.clone())} onclick={on_open} />
                if *filter != CallFilter::default() {
                    <Button variant={ButtonVariant::Link} icon={Icon::Times} label={i18n.t("calls.clear").to_string()} onclick={on_filter.reform(|_| CallFilter::default())} />
                }
            </div>
            if *is_open {
                <div class="tm-toolbar tm-filter-line" id={panel} role="group" aria-label={i18n.t("calls.more")}>
                    <More filter={filter.clone()} on_filter={on_filter.clone()} />
                </div>
            } else if hidden > 0 {
                <Chips filter={filter.clone()} on_filter={on_filter.clone()} />
            }
        </>
    }
}
