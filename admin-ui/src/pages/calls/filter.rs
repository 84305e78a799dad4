//! The filters of calls, which are in the address.

use crate::components::Range;
use contract::usage::{EventQuery, SpanQuery};
use domain::id::{RouteId, TeamId, TokenId};
use domain::usage::outcome::Outcome;
use serde::{Deserialize, Serialize};
use yew::AttrValue;

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

/// Returns options behind one for any of them. A value that is none of them is one too: it may come from a link.
pub fn options(
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

pub fn same(text: &'static str) -> (AttrValue, AttrValue) {
    (AttrValue::Static(text), AttrValue::Static(text))
}
