//! The filters of calls that are used less often: behind a button, and as chips while they are hidden.

use super::filter::{CallFilter, options, same};
use crate::components::{Chip, NamedChip, SearchField, Select, edit, filled};
use crate::hooks::{Named, use_routes, use_teams};
use crate::i18n::{I18n, use_i18n};
use yew::prelude::*;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// The way that a filter is entered.
#[derive(Clone, Copy)]
enum Kind {
    Team,
    Route,
    Method,
    Text,
}

/// One of the filters behind the button.
pub struct Folded {
    kind: Kind,
    label: AttrValue,
    value: Option<String>,
    set: fn(&mut CallFilter, Option<String>),
}

/// Returns the filters behind the button, in their order.
fn folded(i18n: &I18n, filter: &CallFilter) -> [Folded; 9] {
    let text =
        |label, value: &Option<String>, set| Folded { kind: Kind::Text, label, value: value.clone(), set };
    [
        Folded {
            kind: Kind::Team,
            label: i18n.t("filter.team"),
            value: filter.team.as_ref().map(ToString::to_string),
            set: |filter, id| filter.team = id.map(Into::into),
        },
        Folded {
            kind: Kind::Route,
            label: i18n.t("route.title"),
            value: filter.route.as_ref().map(ToString::to_string),
            set: |filter, id| filter.route = id.map(Into::into),
        },
        Folded {
            kind: Kind::Method,
            ..text(i18n.t("tester.method"), &filter.method, |f, text| f.method = text)
        },
        text(i18n.t("calls.path"), &filter.call, |filter, text| filter.call = text),
        text(i18n.t("calls.contains"), &filter.contains, |filter, text| filter.contains = text),
        text(i18n.t("calls.model"), &filter.model, |filter, text| filter.model = text),
        text(i18n.t("workflows.name"), &filter.label, |filter, text| filter.label = text),
        text(i18n.t("calls.request-id"), &filter.request, |filter, text| filter.request = text),
        text(i18n.t("calls.client-ip"), &filter.client, |filter, text| filter.client = text),
    ]
}

/// Returns the number of filters behind the button that are set.
pub fn set_among(filter: &CallFilter) -> usize {
    let CallFilter {
        status: _,
        outcome: _,
        token: _,
        method,
        call,
        contains,
        route,
        team,
        model,
        label,
        request,
        client,
    } = filter;
    let texts = [method, call, contains, model, label, request, client];
    let is_set = texts.map(Option::is_some).into_iter().chain([route.is_some(), team.is_some()]);
    is_set.filter(|is| *is).count()
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct MoreProps {
    pub filter: CallFilter,
    pub on_filter: Callback<CallFilter>,
}

impl MoreProps {
    fn set(&self, set: fn(&mut CallFilter, Option<String>)) -> Callback<String> {
        edit(&self.filter, &self.on_filter, move |filter: &mut CallFilter, text: String| {
            set(filter, filled(&text));
        })
    }
}

/// Draws every filter behind the button.
#[component]
pub fn More(props: &MoreProps) -> Html {
    let i18n = use_i18n();
    let (routes, teams) = (use_routes(), use_teams());
    let text = |text: &str| AttrValue::from(text.to_owned());
    let teams = teams.state.ready().cloned().unwrap_or_default();
    let routes = routes.state.ready().cloned().unwrap_or_default();
    let field = |one: Folded| {
        let (value, on_change) = (one.value.clone().unwrap_or_default(), props.set(one.set));
        let select = |any, known| {
            let options = options(any, known, one.value.as_deref());
            html! { <Select label={&one.label} {options} value={value.clone()} on_change={on_change.clone()} /> }
        };
        match one.kind {
            Kind::Team => {
                let known = teams.iter().map(|team| (text(team.id.as_str()), text(&team.name))).collect();
                select(i18n.t("filter.any-team"), known)
            }
            Kind::Route => {
                let known =
                    routes.iter().map(|route| (text(route.id.as_str()), text(route.path.as_str()))).collect();
                select(i18n.t("calls.any-route"), known)
            }
            Kind::Method => select(i18n.t("calls.any-method"), METHODS.map(same).to_vec()),
            Kind::Text => html! { <SearchField label={&one.label} {value} {on_change} /> },
        }
    };
    html! { <>{ for folded(&i18n, &props.filter).into_iter().map(field) }</> }
}

/// Draws the filters behind the button that are set, each with a way out.
#[component]
pub fn Chips(props: &MoreProps) -> Html {
    let i18n = use_i18n();
    let chip = |one: Folded| {
        let value = one.value?;
        let on_clear = props.set(one.set).reform(|()| String::new());
        let kind = one.label;
        Some(match one.kind {
            Kind::Team => html! { <NamedChip {kind} named={Named::Team(value)} {on_clear} /> },
            Kind::Route => html! { <NamedChip {kind} named={Named::Route(value)} {on_clear} /> },
            Kind::Method | Kind::Text => {
                html! { <Chip {kind} name={value.clone()} {on_clear}><span dir="auto">{ value }</span></Chip> }
            }
        })
    };
    html! { <div class="tm-filters">{ for folded(&i18n, &props.filter).into_iter().filter_map(chip) }</div> }
}
