//! The filters of calls, which are in the address.

use crate::api::use_api;
use crate::components::{Button, Range, RangePicker, SearchField, Select, edit, filled};
use crate::hooks::{use_remote, use_routes, use_teams};
use crate::i18n::{I18n, use_i18n};
use contract::tokens::{ListTokens, TokenQuery};
use contract::usage::{EventQuery, SpanQuery};
use domain::id::{RouteId, TeamId, TokenId};
use domain::usage::outcome::Outcome;
use patternfly_yew::prelude::{ButtonVariant, Icon};
use serde::{Deserialize, Serialize};
use yew::prelude::*;

/// The filter in the address. Names are those of earlier addresses where there were some.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallFilter {
    /// A status such as `404`, or a class such as `4xx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Beginning of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

impl CallFilter {
    /// Returns the query of the API, within `range`.
    pub fn query(&self, range: &Range) -> EventQuery {
        let SpanQuery { from, to, .. } = range.query();
        EventQuery {
            // A call that is looked for by its id may be old.
            from: from.filter(|_| self.request.is_none()),
            to: to.filter(|_| self.request.is_none()),
            team_id: self.team.clone(),
            token_id: self.token.clone(),
            route_id: self.route.clone(),
            outcome: self.outcome,
            status: self.status.clone(),
            method: self.method.clone(),
            path: self.call.clone(),
            path_contains: self.contains.clone(),
            model: self.model.clone(),
            label: self.label.clone(),
            request_id: self.request.clone(),
            client_ip: self.client.clone(),
            ..EventQuery::default()
        }
    }
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const STATUSES: [&str; 15] =
    ["2xx", "3xx", "4xx", "5xx", "400", "401", "403", "404", "408", "413", "429", "500", "502", "503", "504"];

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct FiltersProps {
    pub filter: CallFilter,
    pub on_filter: Callback<CallFilter>,
    pub range: Range,
    pub on_range: Callback<Range>,
}

/// Returns options behind one for any of them. A value that is none of them is one too: it may come from a link.
fn options(
    any: AttrValue,
    known: impl IntoIterator<Item = (AttrValue, AttrValue)>,
    value: Option<&str>,
) -> Vec<(AttrValue, AttrValue)> {
    let mut options = vec![(AttrValue::Static(""), any)];
    options.extend(known);
    if let Some(value) = value.filter(|value| options.iter().all(|(known, _)| known != value)) {
        options.push((value.to_owned().into(), value.to_owned().into()));
    }
    options
}

fn same(text: &'static str) -> (AttrValue, AttrValue) {
    (AttrValue::Static(text), AttrValue::Static(text))
}

/// Draws every filter.
#[component]
pub fn Filters(props: &FiltersProps) -> Html {
    let i18n = use_i18n();
    let FiltersProps { filter, on_filter, range, on_range } = props;
    let set = |change: fn(&mut CallFilter, Option<String>)| {
        edit(filter, on_filter, move |filter: &mut CallFilter, text: String| change(filter, filled(&text)))
    };
    let outcomes = Outcome::ALL.map(|one| (AttrValue::Static(one.as_str()), i18n.outcome(one.as_str())));
    let on_outcome = set(|filter, name| {
        filter.outcome = Outcome::ALL.into_iter().find(|outcome| name.as_deref() == Some(outcome.as_str()));
    });
    html! {
        <>
            <RangePicker range={range.clone()} on_change={on_range.clone()} has_interval=false />
            <Whose filter={filter.clone()} on_filter={on_filter.clone()} />
            <Select label={i18n.t("calls.status")} options={options(i18n.t("calls.any-status"), STATUSES.map(same), filter.status.as_deref())} value={filter.status.clone().unwrap_or_default()} on_change={set(|filter, text| filter.status = text)} />
            <Select label={i18n.t("calls.outcome")} options={options(i18n.t("calls.any-outcome"), outcomes, None)} value={filter.outcome.map_or("", Outcome::as_str)} on_change={on_outcome} />
            <Select label={i18n.t("tester.method")} options={options(i18n.t("calls.any-method"), METHODS.map(same), filter.method.as_deref())} value={filter.method.clone().unwrap_or_default()} on_change={set(|filter, text| filter.method = text)} />
            <SearchField label={i18n.t("calls.path")} value={filter.call.clone().unwrap_or_default()} on_change={set(|filter, text| filter.call = text)} />
            { texts(&i18n, filter, &set) }
            if *filter != CallFilter::default() {
                <Button variant={ButtonVariant::Link} icon={Icon::Times} label={i18n.t("calls.clear").to_string()} onclick={on_filter.reform(|_| CallFilter::default())} />
            }
        </>
    }
}

type Set<'a> = dyn Fn(fn(&mut CallFilter, Option<String>)) -> Callback<String> + 'a;

/// The filters that are typed in.
fn texts(i18n: &I18n, filter: &CallFilter, set: &Set<'_>) -> Html {
    let field = |label: AttrValue, value: &Option<String>, on_change: Callback<String>| {
        html! { <SearchField {label} value={value.clone().unwrap_or_default()} {on_change} /> }
    };
    html! {
        <>
            { field(i18n.t("calls.contains"), &filter.contains, set(|filter, text| filter.contains = text)) }
            { field(i18n.t("calls.model"), &filter.model, set(|filter, text| filter.model = text)) }
            { field(i18n.t("workflows.name"), &filter.label, set(|filter, text| filter.label = text)) }
            { field(i18n.t("calls.request-id"), &filter.request, set(|filter, text| filter.request = text)) }
            { field(i18n.t("calls.client-ip"), &filter.client, set(|filter, text| filter.client = text)) }
        </>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct WhoseProps {
    filter: CallFilter,
    on_filter: Callback<CallFilter>,
}

/// Team, token and route.
#[component]
fn Whose(props: &WhoseProps) -> Html {
    let (i18n, api) = (use_i18n(), use_api());
    let WhoseProps { filter, on_filter } = props;
    let (routes, teams) = (use_routes(), use_teams());
    let tokens = use_remote((), move |()| {
        let api = api.clone();
        async move { api.read_all::<ListTokens, _>(&TokenQuery::default()).await }
    });
    let text = |text: &str| AttrValue::from(text.to_owned());
    let teams = teams.state.ready().cloned().unwrap_or_default();
    let teams = teams.iter().map(|team| (text(team.id.as_str()), text(&team.name)));
    let tokens = tokens.state.ready().cloned().unwrap_or_default();
    let tokens = tokens.iter().map(|token| (text(token.id.as_str()), text(&token.name)));
    let routes = routes.state.ready().cloned().unwrap_or_default();
    let routes = routes.iter().map(|route| (text(route.id.as_str()), text(route.path.as_str())));
    let [team, token, route] = [
        filter.team.as_ref().map(TeamId::as_str),
        filter.token.as_ref().map(TokenId::as_str),
        filter.route.as_ref().map(RouteId::as_str),
    ];
    let set = |change: fn(&mut CallFilter, Option<String>)| {
        edit(filter, on_filter, move |filter: &mut CallFilter, text: String| change(filter, filled(&text)))
    };
    html! {
        <>
            <Select label={i18n.t("filter.team")} options={options(i18n.t("filter.any-team"), teams, team)} value={text(team.unwrap_or_default())} on_change={set(|filter, id| filter.team = id.map(Into::into))} />
            <Select label={i18n.t("token.title")} options={options(i18n.t("calls.any-token"), tokens, token)} value={text(token.unwrap_or_default())} on_change={set(|filter, id| filter.token = id.map(Into::into))} />
            <Select label={i18n.t("route.title")} options={options(i18n.t("calls.any-route"), routes, route)} value={text(route.unwrap_or_default())} on_change={set(|filter, id| filter.route = id.map(Into::into))} />
        </>
    }
}
